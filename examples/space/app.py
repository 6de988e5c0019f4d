"""The demo on a hosted space, which listens on port 7860: the bundled network and a ResNet-50."""

import sys

from pytorch_grad_cam.cli.main import main

if __name__ == "__main__":
    networks = ["--model", "shapes", "--model", "resnet50"]
    sys.exit(main(["demo", *networks, "--host", "0.0.0.0", "--port", "7860"]))
