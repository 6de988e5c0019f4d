"""Names that families of networks give their parts. Names only: whoever reads them looks whether they are there."""

from __future__ import annotations

# Packages whose classes are meant: somebody's own ResNet may have a fifth layer.
PACKAGES = ("torchvision", "timm")

# Class of a network -> the layers that people look at, the best first. All others are judged by their shapes.
FAMILY_LAYERS: dict[str, tuple[str, ...]] = {
    "ResNet": ("layer4",),  # also those that end in attention pooling
    "ByobNet": ("final_conv", "stages"),
    "VGG": ("features",),
    "AlexNet": ("features",),
    "SqueezeNet": ("features",),
}

# Beginnings of the names of parts that help in training only: what they return is not what the score is made of.
AUXILIARY = ("aux",)

# Parts of the names of modules that let tokens look at each other.
TOKEN_MIXERS = ("att", "mixer")
