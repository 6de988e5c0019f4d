"""Pictures in and out: files, preprocessing and procedural scenes."""
