"""The commands for what is no picture: volumes, signals and video."""
