"""Limits on the sizes of everything in a .nnp file, which may come from anybody and may claim anything."""

from __future__ import annotations

MAX_MEMBERS = 1_000  # files in the container; a training leaves about five
MAX_TEXT = 64 << 20  # bytes of network text
MAX_WEIGHTS = 2 << 30  # bytes of weight files
MAX_RATIO = 100  # decompressed to compressed bytes; deflated weights reach about 1.1, text about 30
FREE_RATIO = 16 << 20  # bytes below which the ratio does not matter
MAX_DEPTH = 32  # of nested messages, or of groups of parameters
MAX_FIELDS = 10_000_000  # single values in the network text
MAX_PARAMETERS = 20_000  # arrays of weights
MAX_FUNCTIONS = 5_000  # after unrolling
MAX_LINKS = 1_000  # inputs, or outputs, of a function
MAX_NAME = 1_000  # characters
MAX_ELEMENTS = 1 << 29  # numbers in all weights together
MAX_ACTIVATION = 1 << 26  # numbers in one activation of one image
MAX_ACTIVATIONS = 1 << 31  # numbers in all activations of one image
MAX_AXES = 8
