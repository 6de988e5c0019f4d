"""How maps may be drawn, by name. Importing this costs nothing."""

from __future__ import annotations

from typing import Literal

Blend = Literal["classic", "alpha", "contour"]
BLENDS: dict[Blend, str] = {
    "classic": "picture and colours mixed alike everywhere",
    "alpha": "as opaque as the map is strong: where it is 0 the picture stays as it is",
    "contour": "lines at 0.2, 0.4, 0.6 and 0.8 of the map's range, the picture as it is",
}
# From dark to light without a step back: told apart by the colour-blind, and printed in gray.
PERCEPTUAL = ("viridis", "cividis", "magma", "inferno", "plasma")
# Others of OpenCV's, in lower case and without COLORMAP_.
COLORMAPS = (
    "jet", "turbo", *PERCEPTUAL, "parula", "hot", "bone", "rainbow", "ocean", "winter", "summer", "autumn", "spring",
    "cool", "hsv", "pink", "twilight", "twilight_shifted", "deepgreen",
)  # fmt: skip
# For signed maps, white where nothing is said: told apart by the colour-blind. The first one is the default.
SIGNED_COLORMAPS = ("bluered", "purpleorange")
