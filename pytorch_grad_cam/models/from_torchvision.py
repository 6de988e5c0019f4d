"""The networks of torchvision as a source: classifiers, segmentation networks and detectors, by name."""

from __future__ import annotations

from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.models.torchvision_classifiers import classifier_names, load_classifier
from pytorch_grad_cam.models.torchvision_tasks import load_task_network, task_by_name


def torchvision_names() -> list[str]:
    """Return the names of torchvision's classifiers, segmentation networks and detectors."""
    return [*classifier_names(), *task_by_name()]


def load_torchvision(spec: str, weights: str | None = None, trust_pickle: bool = False) -> LoadedModel:
    """Build a torchvision network, in evaluation mode.

    Args:
        spec: one of `torchvision_names`, in any case.
        weights: None for torchvision's first published weights (IMAGENET1K_V1, what ``pretrained=True`` gave; mostly),
            the name of others (IMAGENET1K_V2, DEFAULT), "random", or a file. Downloaded weights are kept in
            torch's cache.
        trust_pickle: see `models.weights_file.read_weights`.

    Raises:
        RuntimeError: if the weights cannot be downloaded.
        ValueError: if a file's weights are no such network's, or there are no weights of that name.
    """
    name = spec.lower()
    load = load_task_network if name in task_by_name() else load_classifier
    return load(name, weights, trust_pickle)
