"""One call, from the input to the maps."""
