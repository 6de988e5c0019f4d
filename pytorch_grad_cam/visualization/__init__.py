"""What is drawn: overlays, grids, signals, volumes and video."""
