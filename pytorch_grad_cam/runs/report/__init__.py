"""The report of a run: a page that people read, which opens from disk."""
