"""What is said when something cannot be explained: the cause, what was given, the way out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_nets import ConvNet, DictNet, ResidualNet, TinyViT, UNet, build, inputs, tokens_to_grid
from torch import Tensor, nn

from pytorch_grad_cam import EigenCAM, Explanation, GradCAM, GradCAMPlusPlus, HiResCAM
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.engine.diagnosis import finite
from pytorch_grad_cam.targets.classification import (
    BinaryClassifierOutputTarget,
    ClassifierOutputSoftmaxTarget,
    ClassifierOutputTarget,
    RawScoresOutputTarget,
)
from pytorch_grad_cam.targets.segmentation import SemanticSegmentationTarget


class Head(nn.Module):
    """A convolution, then whatever ``head`` makes of its output."""

    def __init__(self, head: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.aside = nn.Conv2d(2, 3, 3)
        self.unused = nn.Conv2d(2, 3, 3)
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        self.aside(x)
        return self.head(self.conv(x))


def pooled(features: Tensor) -> Tensor:
    return features.mean((2, 3))


def notes_and_warning(cam: BaseCAM, *given: Any, **options: Any) -> tuple[Explanation, str]:
    """Return the explanation and the text of the one warning that comes with it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        explanation = cam.explain(inputs(), *given, **options)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    return explanation, str(caught[0].message)


class TestNoGradient:
    def test_not_on_the_path(self) -> None:
        net = build(Head, pooled)
        explanation, said = notes_and_warning(GradCAM(net, net.aside), 1)
        for text in (said, *explanation.notes[0], *explanation.notes[1]):
            assert "zero gradient at layer 'aside': the layer is not on the path" in text
        assert explanation.maps.abs().max() == 0

    @pytest.mark.parametrize(
        "head",
        [lambda a: pooled(a.detach()), lambda a: torch.as_tensor(a.detach().numpy()).mean((2, 3))],
        ids=["detach", "numpy"],
    )
    @pytest.mark.parametrize("frozen", [False, True])
    def test_detached(self, head: Callable[[Tensor], Tensor], frozen: bool) -> None:
        net = build(Head, head)
        if not frozen:
            net.head = nn.Sequential(Call(head), nn.Linear(3, 3))  # the score has a graph, but not back to the layer
        explanation, said = notes_and_warning(GradCAM(net, net.conv), 1)
        assert "zero gradient at layer 'conv': the target depends on the layer, but not through the graph" in said
        assert all(len(notes) == 1 for notes in explanation.notes)

    def test_patch_tokens_that_the_head_does_not_read(self) -> None:
        net = build(TinyViT)
        x = inputs(size=TinyViT.size)
        with pytest.warns(UserWarning, match=r"only tokens that reshape_transform leaves out.*first norm"):
            GradCAM(net, net.norm, tokens_to_grid)(x, 1)
        GradCAM(net, net.blocks[-1].norm1, tokens_to_grid)(x, 1)  # what the message advises works

    def test_saturated(self) -> None:
        net = build(Head, lambda a: pooled(a) * 1e4)
        _, said = notes_and_warning(GradCAM(net, net.conv), ClassifierOutputSoftmaxTarget(1))
        assert "does not react to the layer" in said

    def test_only_the_image_concerned_is_named(self) -> None:
        net = build(Head, pooled)
        explanation, said = notes_and_warning(HiResCAM(net, net.conv), [lambda y: y[0] * 0, lambda y: y[0]], relu=False)
        assert [len(notes) for notes in explanation.notes] == [1, 0]
        assert "image 0: zero gradient at layer 'conv': the target does not react to the layer" in said
        assert "image 1" not in said

    def test_a_layer_that_does_not_run(self) -> None:
        net = build(Head, pooled)
        with pytest.raises(RuntimeError, match=r"'unused' did not run in this forward pass.*choose a layer"):
            GradCAM(net, net.unused)(inputs(), 1)

    def test_inference_mode_inside_the_model(self) -> None:
        net = build(ResidualNet)
        net.forward = torch.inference_mode()(net.forward)  # type: ignore[method-assign]
        with pytest.raises(RuntimeError, match=r"'norm' runs under torch.inference_mode\(\) inside the model.*no_grad"):
            GradCAM(net, net.norm)(inputs(), 1)

    def test_a_model_made_in_inference_mode(self) -> None:
        with torch.inference_mode():
            net = build(ConvNet)
        with pytest.raises(ValueError, match=r"made under torch.inference_mode"):
            GradCAM(net, net.conv2)(inputs(), 1)


class Call(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class TestBlankMaps:
    def test_all_evidence_negative(self) -> None:
        net = build(Head, lambda a: -pooled(a.relu() + 0.1))
        net.conv.bias.data += 9  # positive everywhere
        explanation, said = notes_and_warning(GradCAM(net, net.conv), 1)
        assert explanation.notes == (("all evidence at layer 'conv' is negative (relu=False shows it)",),) * 2
        assert "image 0: all evidence" in said
        assert "image 1: all evidence" in said
        assert GradCAM(net, net.conv)(inputs(), 1, relu=False).min() == -1

    def test_constant(self) -> None:
        net = build(Head, lambda a: pooled(a * 0 + a.mean((2, 3), keepdim=True)))
        net.conv.weight.data *= 0
        explanation, said = notes_and_warning(HiResCAM(net, net.conv), 1, relu=False)
        assert "constant map at layer 'conv': every position counts the same" in said
        assert explanation.maps.std() < 1e-6

    def test_one_position(self) -> None:
        net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        _, said = notes_and_warning(EigenCAM(net, net[1]))
        assert "layer '1' has one position only; choose an earlier layer" in said

    def test_a_map_that_is_fine_says_nothing(self) -> None:
        net = build(ConvNet)
        assert GradCAMPlusPlus(net, net.conv2).explain(inputs(), 1, relu=False).notes == ((), ())

    def test_many_images_make_one_short_warning(self) -> None:
        net = build(Head, pooled)
        with pytest.warns(UserWarning, match=r"image 2: .*and 7 more, see Explanation.notes") as caught:
            GradCAM(net, net.aside)(inputs(batch=10), 1)
        assert len(caught) == 1


class TestNonfinite:
    def test_input(self) -> None:
        net, x = build(ConvNet), inputs(batch=3)
        x[1, 0, 2, 2] = torch.nan
        with pytest.raises(ValueError, match=r"input contains NaN or infinity \(image 1\).*allow_nonfinite=True"):
            GradCAM(net, net.conv2)(x, 1)
        with pytest.warns(UserWarning, match=r"image 1: the activations of layer 'conv2' contain NaN"):
            found = GradCAM(net, net.conv2).explain(x, 1, allow_nonfinite=True)
        assert found.maps.isfinite().all()
        assert [bool(notes) for notes in found.notes] == [False, True, False]

    def test_activations(self) -> None:
        net = build(ConvNet)
        net.conv1.weight.data[:] = torch.inf
        with pytest.raises(ValueError, match=r"activations of layer 'conv2' contain NaN or infinity for image 0, 1;"):
            EigenCAM(net, net.conv2)(inputs())

    def test_gradients(self) -> None:
        net = build(Head, lambda a: pooled((a * 0).sqrt()))
        with pytest.raises(ValueError, match=r"gradients at layer 'conv' contain NaN or infinity"):
            GradCAM(net, net.conv)(inputs(), 1)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    @pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
    def test_numbers_whose_sum_overflows_are_finite(self, dtype: torch.dtype, bad: float) -> None:
        values = torch.full((3, 2, 4, 4), torch.finfo(dtype).max, dtype=dtype)
        assert finite(values) == [True, True, True]
        values[1, 1, 2, 3] = bad
        assert finite(values) == [True, False, True]
        values[1, 1, 0, 0] = -bad
        assert finite(values) == [True, False, True]


class TestTargets:
    @pytest.mark.parametrize(
        ("targets", "error", "match"),
        [
            ([1], ValueError, r"1 targets for a batch of 2 images; give one per image"),
            ([0, 1, 2], ValueError, r"3 targets for a batch of 2 images"),
            (torch.tensor([1]), ValueError, r"1 targets for a batch of 2"),
            ([ClassifierOutputTarget(1)], ValueError, r"1 targets for a batch of 2"),
            (3, IndexError, r"class 3 does not exist: the model has 3 classes, 0 to 2"),
            (-1, IndexError, r"class -1 does not exist"),
            (ClassifierOutputTarget(3), IndexError, r"class 3 does not exist: the model has 3 outputs"),
            ("dog", ValueError, r"'dog' cannot be found by name: this network has no class names; give an index, or"),
            (1.5, TypeError, r"not 1.5"),
            (torch.tensor([0.5, 1.0]), TypeError, r"not 0.5"),
            (True, TypeError, r"not True"),
            (RawScoresOutputTarget(), ValueError, r"image 0 returned a tensor of shape \(3,\); .* one number"),
            (lambda y: float(y[0].detach()), TypeError, r"returned float, not a tensor; .*no .item"),
        ],
    )
    def test_refused(self, targets: Any, error: type[Exception], match: str) -> None:
        net = build(ConvNet)
        with pytest.raises(error, match=match):
            GradCAM(net, net.conv2)(inputs(), targets)

    def test_no_top_class(self) -> None:
        with pytest.raises(ValueError, match=r"the top class is explained, but the model returns dict, not one score"):
            GradCAM(build(DictNet), "conv2", output=lambda outputs: {"unknown": outputs["logits"]})(inputs())
        tokens = {"output": lambda outputs: outputs.flatten(2)}  # (B, M, N): tokens, boxes or a signal's classes
        with pytest.raises(ValueError, match=r"returns a tensor \(2, 3, 154\), not one score per class"):
            GradCAM(build(UNet), "up", **tokens)(inputs())
        with pytest.raises(ValueError, match=r"target 1 is a class, but .* give a target"):
            GradCAM(build(UNet), "up", **tokens)(inputs(), 1)
        EigenCAM(build(DictNet), "conv2")(inputs())  # asks nothing, so anything may come out

    def test_a_mask_with_other_axes(self) -> None:
        with pytest.raises(ValueError, match=r"mask is \(1, 3, 3\), the model's output for one class \(11, 14\)"):
            GradCAM(build(UNet), "up")(inputs(), SemanticSegmentationTarget(1, np.ones((1, 3, 3))))

    def test_one_number_per_image(self) -> None:
        net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))
        x = inputs()
        one = HiResCAM(net, net[0]).explain(x, relu=False, normalize="none")
        flat = HiResCAM(nn.Sequential(*net, nn.Flatten(0)), net[0]).explain(x, relu=False, normalize="none")
        against = HiResCAM(net, net[0]).explain(x, BinaryClassifierOutputTarget(0), relu=False, normalize="none")
        assert torch.equal(one.maps, flat.maps)
        assert torch.equal(one.maps, -against.maps)
        assert one.classes == flat.classes == (1, 1)  # yes, of no and yes
