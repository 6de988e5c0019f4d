"""Labels of concepts made by a function of the user's own, and asked through the module."""

from typing import Any

import numpy as np

from pytorch_grad_cam.utils import image
from wild.networks import images


def main() -> dict[str, Any]:
    scores = images(1, (3, 4), 1).numpy()[0, 0]
    names = {0: "cat, tabby, kitten, puss", 1: "dog", 2: "fox", 3: "owl"}
    plain = image.create_labels_legend(scores, names, top_k=2)
    before = image.create_labels_legend
    image.create_labels_legend = lambda scores, labels, top_k=1: [labels[one] for one in np.argmax(scores, 1)]
    own = image.create_labels_legend(scores, names)
    image.create_labels_legend = before
    return {"plain": plain, "own": own}
