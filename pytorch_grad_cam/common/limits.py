"""Limits that the command line shows and the readers of files keep. Importing this costs nothing."""

from __future__ import annotations

MAX_PIXELS = 64_000_000  # of a picture's file: 0.7 GB while it is read, whatever its kind
