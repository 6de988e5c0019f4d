"""What is said when an argument, or the name of a layer or method, is wrong: the mistake, and what to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_nets import ConvNet, TinyViT, build, inputs, tokens_to_grid
from torch import Tensor, nn

from pytorch_grad_cam import RISE, AblationCAM, FullGrad, GradCAM, GuidedBackpropReLUModel, ScoreCAM, VanillaGradient
from pytorch_grad_cam.engine.layers import layer_at
from pytorch_grad_cam.methods import method_name


@pytest.mark.parametrize(
    ("ask", "error", "match"),
    [
        (lambda net: GradCAM(net, 3), TypeError, r"target_layers must be a module, .* not 3; give e.g."),
        (
            lambda net: GradCAM(net, target_layer_s="conv2"),
            TypeError,
            r"'target_layer_s'; did you mean 'target_layers'",
        ),
        (lambda net: ScoreCAM(net, "conv2", batchsize=4), TypeError, r"'batchsize'; did you mean 'batch_size'"),
        (lambda net: ScoreCAM(net, "conv2", batch_size=0), ValueError, "batch_size=0 is no number .* from 1 on"),
        (lambda net: AblationCAM(net, "conv2", batch_size=-3), ValueError, "batch_size=-3 is no number"),
        (lambda net: AblationCAM(net, "conv2", batch_size=2.5), ValueError, "batch_size=2.5 is no number"),
        (lambda net: setattr(ScoreCAM(net, "conv2"), "batch_size", 0), ValueError, "batch_size=0 is no number"),
    ],
)
def test_where_a_method_is_made(ask: Callable[[nn.Module], Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        ask(build(ConvNet))


@pytest.mark.parametrize(
    ("ask", "error", "match"),
    [
        (lambda cam, x: cam(x, size=5), TypeError, r"size=5 is no sequence; give 2 positive numbers, .* \(11, 14\)"),
        (lambda cam, x: cam(x, relu="no"), TypeError, r"relu='no' is neither True nor False"),
        (lambda cam, x: cam(x, forward_kwargs="foo"), TypeError, r"forward_kwargs must be a mapping .* not 'foo'"),
        (lambda cam, x: cam(x, image=3), ValueError, r"image=3 is none of the inputs: one tensor was given"),
        (lambda cam, x: cam.explain_each(x, 3), TypeError, r"a sequence of targets, not 3; give e.g. \[3\]"),
        (lambda cam, x: cam.explain_each(x, "cat"), TypeError, r"a sequence of targets, not 'cat'"),
        (lambda cam, x: cam.explain_each(x, [1], aug_smooth=True), TypeError, r"explain_each has no aug_smooth; call"),
        (lambda cam, x: cam(x.to(torch.uint8)), TypeError, r"whole numbers \(torch.uint8\), .*float32; .*\) / 255"),
        (lambda cam, x: cam(x[0]), ValueError, r"shape \(2, 11, 14\), .* for a single image x\[None\]"),
    ],
)
def test_where_it_is_asked(ask: Callable[[GradCAM, Tensor], Any], error: type[Exception], match: str) -> None:
    cam = GradCAM(build(ConvNet), "conv2")
    with pytest.raises(error, match=match):
        ask(cam, inputs())
    assert cam(inputs(), relu=True, size=[4, 5], image=0, forward_kwargs={}).shape == (2, 4, 5)
    assert cam.explain_each(inputs(), range(2)).maps.shape == (2, 2, 11, 14)


@pytest.mark.parametrize("method", [GradCAM, VanillaGradient, RISE, FullGrad], ids=lambda each: each.__name__)
@pytest.mark.parametrize(
    ("kind", "match"),
    [
        (lambda x: x.long(), r"whole numbers \(torch.int64\)"),
        (lambda x: x > 0, r"whole numbers \(torch.bool\)"),
        (lambda x: x.to(torch.complex64), r"complex numbers \(torch.complex64\).*x.abs\(\)"),
        (lambda x: x.to_sparse(), r"layout torch.sparse_coo; .* x.to_dense\(\)"),
        (lambda x: x.to("meta"), "on the device meta"),
        (lambda x: torch.nested.as_nested_tensor(x), r"nested tensor.* image\[None\]"),
        (lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.quint8), r"quantised \(torch.quint8\).*dequantize"),
    ],
    ids=["int64", "bool", "complex", "sparse", "meta", "nested", "quantised"],
)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors", "ignore:.*quantize_per_tensor")
def test_inputs_that_are_no_plain_numbers(method: Any, kind: Callable[[Tensor], Tensor], match: str) -> None:
    net = build(ConvNet)
    cam = method(net, "conv2") if method is GradCAM else method(net)
    with pytest.raises(TypeError, match=match):
        cam(kind(inputs()), 1)


def test_whole_numbers_that_an_embedding_looks_up() -> None:
    class Looked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.net = nn.Embedding(5, 1), ConvNet()

        def forward(self, x: Tensor) -> Tensor:
            return self.net(self.table(x)[..., 0])

    net = build(Looked)
    assert GradCAM(net, "net.conv2")(inputs().abs().long().clamp(max=4), 1).shape == (2, 11, 14)


@pytest.mark.parametrize("early", [True, False], ids=["first", "last"])
def test_lazy_layers_that_have_not_run(early: bool) -> None:
    conv = nn.LazyConv2d(4, 3) if early else nn.Conv2d(2, 4, 3)
    net = nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(3)).eval()
    for explain in (GradCAM(net, "0"), GradCAM(net), VanillaGradient(net), GuidedBackpropReLUModel(net)):
        with pytest.raises(ValueError, match=r"lazy layers .* \(.*4\); run it once"):
            explain(inputs(), 1)
    assert isinstance(net[4], nn.LazyLinear), "nothing has run"
    net(inputs())
    assert GradCAM(net, "0")(inputs(), 1).shape == (2, 11, 14)


def test_a_model_without_numbers() -> None:
    with pytest.raises(ValueError, match="the model is on the device meta"):
        GradCAM(build(ConvNet).to("meta"), "conv2")(inputs(), 1)


def test_one_image_for_a_network_that_fails_on_it() -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
    for layer in ("0", None):
        with pytest.raises(ValueError, match=r"for a single image x\[None\]"):
            GradCAM(net, layer)(inputs()[0])
    with pytest.raises(RuntimeError, match="expected input"):  # another mistake keeps its own message
        GradCAM(net, "0")(torch.zeros(1, 5, 9, 9))


class Signals(nn.Module):
    """Takes signals (B, channels, T) as pictures of one plane."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x[:, None]).relu().mean((2, 3)))


def test_a_batch_of_one_signal_is_no_image_without_a_batch() -> None:
    cam = GradCAM(build(Signals), "conv", lambda output: output.mean(2))
    x = torch.randn(1, 4, 20, generator=torch.Generator().manual_seed(0))
    assert cam(x, 1, relu=False).shape == (1, 20)


class TestNames:
    def test_a_module_with_two_names(self) -> None:
        net = build(ConvNet)
        net.backbone = net.conv2  # a second name
        net.again = nn.Sequential(net.act1, net.conv2, net.act1)
        assert layer_at(net, "backbone") is layer_at(net, "conv2") is layer_at(net, "again.1") is net.conv2
        assert layer_at(net, "again[-1]") is layer_at(net, "again.2") is net.act1
        assert GradCAM(net, "backbone").explain(inputs(), 1).layers == ("conv2",)

    def test_brackets_in_a_name(self) -> None:
        net = nn.Sequential()
        net.add_module("block[0]", nn.Sequential(nn.Conv2d(2, 3, 3)))
        net.add_module("block", nn.Sequential(nn.ReLU(), nn.Tanh()))
        assert layer_at(net, "block[0]") is net[0]
        assert layer_at(net, "block[0].0") is net[0][0]
        assert layer_at(net, "block[1]") is net[1][1]
        assert layer_at(net, "[-1][0]") is net[1][0]
        with pytest.raises(ValueError, match=r"no layer 'block\[7\]'"):
            layer_at(net, "block[7]")

    def test_methods(self) -> None:
        with pytest.raises(ValueError, match=r"^unknown method 'foo'; known: gradcam, "):
            method_name("foo")
        with pytest.raises(ValueError, match=r"'gradcm'; did you mean 'gradcam'\? Known: gradcam, "):
            method_name("gradcm")


class TestArguments:
    def test_names_of_older_interfaces(self) -> None:
        net = build(ConvNet)
        with pytest.raises(
            TypeError, match=r"GradCAM\(\) does not take the argument 'target_layer'; use target_layers="
        ):
            GradCAM(model=net, target_layer=net.conv2)
        with pytest.raises(TypeError, match=r"'target_category'; use cam"):
            GradCAM(net, net.conv2, target_category=1)
        with pytest.raises(TypeError, match=r"does not take the argument 'colour'$"):
            GradCAM(net, net.conv2, colour=1)
        with pytest.warns(DeprecationWarning, match=r"use_cuda is ignored: .* call model.cuda") as caught:
            cam = GradCAM(model=net, target_layers=[net.conv2], use_cuda=True)
        assert caught[0].filename == __file__
        assert cam(inputs()).shape == (2, 11, 14)

    @pytest.mark.parametrize(
        ("given", "error", "match"),
        [
            (np.zeros((1, 2, 9, 9)), TypeError, r"must be a tensor .*, not ndarray"),
            (torch.zeros(9, 9), ValueError, r"shape \(9, 9\); .*input_tensor\[None\]"),
            (torch.zeros(0, 2, 9, 9), ValueError, r"shape \(0, 2, 9, 9\)"),
        ],
    )
    def test_inputs(self, given: Any, error: type[Exception], match: str) -> None:
        net = build(ConvNet)
        with pytest.raises(error, match=match):
            GradCAM(net, net.conv2)(given)

    def test_options(self) -> None:
        net = build(ConvNet)
        cam = GradCAM(net, net.conv2)
        with pytest.raises(ValueError, match=r"normalize='l2' is unknown; choose one of 'none', 'max', 'minmax'"):
            cam(inputs(), normalize="l2")
        with pytest.raises(ValueError, match=r"size=\(3, 3, 3\) must have 2 positive numbers"):
            cam(inputs(), size=(3, 3, 3))
        with pytest.raises(TypeError, match=r"model must be a torch.nn.Module, not function"):
            GradCAM(lambda x: x, "conv2")
        with pytest.raises(TypeError, match=r"reshape_transform must be a callable or None, not True"):
            GradCAM(net, net.conv2, True)  # where older interfaces had use_cuda


class TestLayers:
    @pytest.mark.parametrize(
        ("layers", "error", "match"),
        [
            ("conv7", ValueError, r"no layer 'conv7'; close names: conv\d, conv\d, conv\d"),
            ([], ValueError, r"no target layer was given"),
            ([3], TypeError, r"module or its dotted name, not int"),
            (
                nn.Conv2d(1, 1, 1),
                ValueError,
                "Conv2d is not part of the model.*own layers of this type are conv1, conv2",
            ),
        ],
    )
    def test_refused(self, layers: Any, error: type[Exception], match: str) -> None:
        with pytest.raises(error, match=match):
            GradCAM(build(ConvNet), layers)

    def test_a_module_list_has_no_output(self) -> None:
        net = build(TinyViT)
        for given in ([net.blocks], "blocks"):
            with pytest.raises(ValueError, match=r"'blocks' is a ModuleList, .* give its members, e.g. 'blocks.0'"):
                GradCAM(net, given)
        assert GradCAM(net, net.blocks).target_layers == list(net.blocks)  # the only thing it can mean

    def test_a_module_dict_with_a_forward_of_its_own_is_a_layer(self) -> None:
        class Block(nn.ModuleDict):
            def forward(self, x: Tensor) -> Tensor:
                return self["conv"](x)

        net = nn.Sequential(Block({"conv": nn.Conv2d(2, 3, 3)}), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        assert GradCAM(net, net[0]).explain(inputs(), 1).layers == ("0",)

    def test_names_with_places(self) -> None:
        net = build(TinyViT)
        cam = GradCAM(net, ["blocks[-1].norm1", "blocks.-1.norm1", "blocks.1.norm1"], tokens_to_grid)
        assert cam.target_layers == [net.blocks[1].norm1] * 3

    def test_an_output_of_another_form(self) -> None:
        net = build(TinyViT)
        x = inputs(size=TinyViT.size)
        message = r"after layer 'norm' the head reads only tokens .* choose the layer 'blocks.1.norm1'"
        with pytest.raises(ValueError, match=message):
            GradCAM(net, net.norm)(x, 1)
        with pytest.raises(ValueError, match=r"layer 'head' gives \(2, 3\)"):
            GradCAM(net, net.head)(x, 1)

    def test_no_automatic_choice(self) -> None:
        flat = nn.Sequential(nn.Flatten(), nn.Linear(2 * 11 * 14, 3))
        with pytest.raises(ValueError, match=r"no layer of Sequential returns .* more than one position"):
            GradCAM(flat)(inputs())


def test_an_unknown_option() -> None:
    with pytest.raises(TypeError, match=r"there is no option 'normalise'; did you mean 'normalize'\?"):
        GradCAM(build(ConvNet), "conv2")(inputs(), normalise="max")  # type: ignore[call-arg]
