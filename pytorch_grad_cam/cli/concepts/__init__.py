"""The verb ``concepts``."""
