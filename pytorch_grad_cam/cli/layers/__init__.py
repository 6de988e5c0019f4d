"""The verb ``layers``."""
