"""Limits on the sizes of everything in a .nnp file, which may come from anybody and may claim anything."""

from __future__ import annotations

MAX_MEMBERS = 1_000  # files in the container; a training leaves about five
MAX_TEXT = 64 << 20  # bytes of network text
MAX_WEIGHTS = 2 << 30  # bytes of weight files
MAX_RATIO = 100  # decompressed bytes, of all members, to the file's; deflated weights reach about 1.1, text about 30
FREE_RATIO = 16 << 20  # bytes, of all members, below which the ratio does not matter
WEIGHTS_RATIO = 20  # bytes of all arrays in .h5 to the file's, and numbers in all modules to those in the file
FREE_WEIGHTS = 1 << 26  # bytes of arrays, or numbers in modules, below which that ratio does not matter
MAX_DEPTH = 32  # of nested messages, or of groups of parameters
MAX_FIELDS = 10_000_000  # single values in the network text, or fields in a .protobuf
FREE_FIELDS = 300_000  # of these, beside one for every byte of the file; every one costs time and up to 200 bytes
MAX_MESSAGES = 300_000  # in the network text; a network of 5000 functions has about 50,000
MAX_TEXT_VALUE = 10_000  # characters of one text value
MAX_PARAMETERS = 20_000  # arrays of weights
MAX_FUNCTIONS = 5_000  # after unrolling
MAX_LINKS = 1_000  # inputs, or outputs, of a function
MAX_ALL_LINKS = 100_000  # of all functions after unrolling
MAX_NAME = 1_000  # characters
MAX_ALL_NAMES = 20_000_000  # characters in all names after unrolling
MAX_ELEMENTS = 1 << 29  # numbers in all weights together
MAX_ACTIVATION = 1 << 26  # numbers in one activation of one image
MAX_ACTIVATIONS = 1 << 31  # numbers in all activations of one image
MAX_AXES = 8
