"""Tensors, modules and layers; knows no method."""
