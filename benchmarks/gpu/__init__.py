"""Everything that a machine with a CUDA device can say of the package, by one command: see `__main__`."""
