"""Explain a picture from the command line: ``python cam.py --help``."""

import sys

from pytorch_grad_cam.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
