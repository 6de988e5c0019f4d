"""What every room may use: names loaded late, packages that may be missing, errors."""
