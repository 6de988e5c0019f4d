"""The product for Neural Network Console: its CSV files, its styles and the work of its commands."""
