"""The function by which Quantus asks for maps; with Quantus itself in test_examples_with.py."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.tiny_nets import ConvNet, build, inputs

from pytorch_grad_cam import GradCAM, LayerCAM
from pytorch_grad_cam.integrations.quantus import explain_func


def test_it_is_the_method_itself() -> None:
    net, x = build(ConvNet), inputs()
    maps = explain_func(net, x.numpy(), np.array([0, 1]), method="Layer-CAM", device="cpu", relu=False)
    assert maps.shape == (2, 1, *x.shape[2:])
    np.testing.assert_array_equal(maps[:, 0], LayerCAM(net)(x, [0, 1], relu=False))
    chosen = explain_func(model=net, inputs=x, targets=np.array([[0], [1]]), method=GradCAM, target_layers=["conv2"])
    np.testing.assert_array_equal(chosen[:, 0], GradCAM(net, "conv2")(x, [0, 1]))


def test_a_module_would_be_of_another_network() -> None:
    net = build(ConvNet)
    for layers in (net.conv2, [net.conv2]):
        with pytest.raises(TypeError, match="copies of the network do not have; give its name"):
            explain_func(net, inputs(), [0, 1], target_layers=layers)
