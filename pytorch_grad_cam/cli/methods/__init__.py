"""The verb ``methods``."""
