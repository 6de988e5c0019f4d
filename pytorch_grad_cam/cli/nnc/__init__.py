"""The verb ``nnc``: maps for Neural Network Console."""
