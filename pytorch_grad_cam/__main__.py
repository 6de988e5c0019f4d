"""``python -m pytorch_grad_cam``: the command line."""

import sys

from pytorch_grad_cam.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
