"""The command ``concepts``."""
