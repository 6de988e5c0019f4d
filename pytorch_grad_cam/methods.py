"""METHODS: every method by its command-line name. The only list of methods there is; reading it loads none of them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytorch_grad_cam.base_cam import BaseCAM


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        name: on the command line.
        path: "module:Class".
        summary: one line: what is highlighted.
        passes: per image: F and B forward and backward, Ft and Bt only through what follows the layer,
            K channels.
        source: authors, year, arXiv id or DOI.
        aliases: other spellings.
    """

    name: str
    path: str
    summary: str
    passes: str
    source: str
    aliases: tuple[str, ...] = ()

    def load(self) -> type[BaseCAM]:
        """Import the method's class."""
        module, _, name = self.path.partition(":")
        found: type[BaseCAM] = getattr(import_module(module), name)
        return found


_ROWS = (
    Method(
        "gradcam",
        "pytorch_grad_cam.grad_cam:GradCAM",
        "channels weighted by their mean gradient",
        "F + Bt",
        "Selvaraju et al. 2017, arXiv:1610.02391",
    ),
    Method(
        "hirescam",
        "pytorch_grad_cam.hirescam:HiResCAM",
        "every activation times its own gradient",
        "F + Bt",
        "Draelos and Carin 2020, arXiv:2011.08891",
    ),
    Method(
        "gradcam++",
        "pytorch_grad_cam.grad_cam_plusplus:GradCAMPlusPlus",
        "positive gradients, every object of a class counted alike",
        "F + Bt",
        "Chattopadhay et al. 2018, arXiv:1710.11063",
        ("gradcamplusplus", "gradcampp"),
    ),
    Method(
        "xgradcam",
        "pytorch_grad_cam.xgrad_cam:XGradCAM",
        "gradients averaged with the activations as weights",
        "F + Bt",
        "Fu et al. 2020, arXiv:2008.02312",
    ),
    Method(
        "layercam",
        "pytorch_grad_cam.layer_cam:LayerCAM",
        "every activation times its positive gradient; for early layers too",
        "F + Bt",
        "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
    ),
    Method(
        "gradcamelementwise",
        "pytorch_grad_cam.grad_cam_elementwise:GradCAMElementWise",
        "positive gradient times activation, before anything cancels",
        "F + Bt",
        "variant of the package grad-cam",
    ),
    Method(
        "scorecam",
        "pytorch_grad_cam.score_cam:ScoreCAM",
        "channels that keep the score up when they mask the image",
        "(1 + K) F",
        "Wang et al. 2020, arXiv:1910.01279",
    ),
    Method(
        "ablationcam",
        "pytorch_grad_cam.ablation_cam:AblationCAM",
        "channels without which the score drops",
        "2 F + K Ft",
        "Desai and Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360",
    ),
    Method(
        "fullgrad",
        "pytorch_grad_cam.fullgrad_cam:FullGrad",
        "what the input and every bias contributed",
        "F + B",
        "Srinivas and Fleuret 2019, arXiv:1905.00780",
    ),
    Method(
        "eigencam",
        "pytorch_grad_cam.eigen_cam:EigenCAM",
        "what stands out in the activations, whatever the class",
        "F",
        "Muhammad and Yeasin 2020, arXiv:2008.00299",
    ),
    Method(
        "eigengradcam",
        "pytorch_grad_cam.eigen_grad_cam:EigenGradCAM",
        "what stands out in gradient times activation",
        "F + Bt",
        "variant of the package grad-cam",
    ),
    Method(
        "randomcam",
        "pytorch_grad_cam.random_cam:RandomCAM",
        "random weights: the floor that a method has to beat",
        "F",
        "baseline of the package grad-cam",
    ),
)

METHODS = {method.name: method for method in _ROWS}
_SPELLINGS = {spelling: method.name for method in _ROWS for spelling in (method.name, *method.aliases)}


def method_name(name: str) -> str:
    """Return the command-line name for any spelling: case, ``-``, ``_`` and blanks do not count.

    Raises:
        ValueError: for an unknown method; the message names the closest.
    """
    plain = name.lower().replace("-", "").replace("_", "").replace(" ", "")
    if plain in _SPELLINGS:
        return _SPELLINGS[plain]
    close = difflib.get_close_matches(plain, _SPELLINGS, n=1)
    hint = f"; did you mean {_SPELLINGS[close[0]]!r}?" if close else ""
    raise ValueError(f"unknown method {name!r}{hint} Known: {', '.join(METHODS)}")


def method_class(name: str) -> type[BaseCAM]:
    """Return the class of a method, by any spelling of its name."""
    return METHODS[method_name(name)].load()
