"""A call reads few numbers on its way, whatever the batch, the classes and the layers: each read waits for a GPU."""

from __future__ import annotations

import pytest
from helpers.counted_networks import LAYERS, SETTINGS, SIZES
from helpers.host_reads import HostReads
from helpers.tiny_nets import ConvNet, TinyViT, build, inputs
from torch import nn

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.methods import METHODS, Method

MOST = 2  # of a call of GradCAM
# Methods that run each image by itself, in very many passes, and how many reads each image may take.
OF_AN_IMAGE = {"ablationcam": 3, "reciprocam": 3, "vitreciprocam": 3} | dict.fromkeys(
    ("scorecam", "sscam", "iscam", "gscorecam"),
    1,  # which masks are equal
)
pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("classes", [1, None, [0, 2, 1, 0, 0, 1, 2]])
@pytest.mark.parametrize("layers", [["conv2"], ["conv1", "conv2", "act2", "conv3"]])
def test_gradcam_reads_two_numbers(batch: int, classes: int | list[int] | None, layers: list[str]) -> None:
    cam, x = GradCAM(build(ConvNet), layers), inputs(batch=batch)
    with HostReads() as reads:
        cam(x, classes[:batch] if isinstance(classes, list) else classes)
    assert reads.counted.total() <= MOST, reads.counted


def test_several_classes_of_one_pass_add_none() -> None:
    cam, x = GradCAM(build(ConvNet), ["conv2", "conv3"]), inputs(batch=3)
    with HostReads() as reads:
        cam.explain_each(x, [0, 1, 2])
    assert reads.counted.total() <= MOST, reads.counted


@pytest.mark.parametrize("batch", [1, 7])
def test_so_it_does_of_a_thousand_classes(batch: int) -> None:
    """Outputs so long are looked at: they might be an embedding."""
    net = build(ConvNet)
    net.head = nn.Linear(6, 1000)
    with HostReads() as reads:
        GradCAM(net, "conv2")(inputs(batch=batch))
    assert reads.counted.total() <= MOST, reads.counted


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_the_batch_adds_none(method: Method) -> None:
    """Of the operators that every device has; copies to the host are counted on a simulated one."""
    net = build(TinyViT if method.needs == "attention" else ConvNet, seed=1)
    options, _ = SETTINGS.get(method.name, ({}, {}))
    counted = []
    for batch in (1, 4):
        cam = method.load()(net, LAYERS[method.needs], **options)
        x = inputs(batch=batch, size=SIZES[method.needs])
        cam(x, 1)  # the first call may look around
        with HostReads() as reads:
            cam(x, 1)
        counted.append(reads.counted.total())
    assert counted[1] - counted[0] <= 3 * OF_AN_IMAGE.get(method.name, 0), counted


def test_one_that_reads_is_counted() -> None:
    x = inputs()
    with HostReads() as reads:
        float(x.sum()), bool((x > 0).all()), x.nonzero(), x[x > 0]
    assert reads.counted.total() >= 3
