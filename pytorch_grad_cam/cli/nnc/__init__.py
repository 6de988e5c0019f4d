"""The command ``nnc``: maps for Neural Network Console."""
