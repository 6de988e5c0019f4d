"""Targets, reshape transforms and pictures: what goes into an explanation and what is drawn of it."""
