"""Evaluation: which method, at which layer, is best on a network and pictures of one's own, and is it any good."""
