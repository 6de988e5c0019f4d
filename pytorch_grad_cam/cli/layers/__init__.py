"""The command ``layers``."""
