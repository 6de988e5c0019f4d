"""Short programs, one idea each. Run them from the root of the project: ``python -m examples.one_picture``."""
