"""Networks ready to be explained, from every source."""
