"""The command ``methods``."""
