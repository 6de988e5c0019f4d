"""Networks from .nnp files: against nnabla's own numbers, and as torch modules that every method works on."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.nnp_files import classifier, dims, executor, function, network, one_function, variable, write_nnp
from PIL import Image
from torch import nn

from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.layers import layer_at
from pytorch_grad_cam.engine.replay import Replay
from pytorch_grad_cam.methods import METHODS, method_class
from pytorch_grad_cam.models.load import load_model
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.models.nnp import NnpNetwork, load_nnp
from pytorch_grad_cam.targets.classification import ClassifierOutputTarget

FILES = ["gray/results.nnp", "gray/results_console_style.nnp", "rgb/model.nnp", "bin/model.nnp", "loop/model.nnp"]
LOOP = "loop"  # has neither pictures nor logits


def network_of(loaded: LoadedModel) -> NnpNetwork:
    assert isinstance(loaded.model, NnpNetwork)
    return loaded.model


@pytest.fixture
def small(tmp_path: Path) -> NnpNetwork:
    text, weights = classifier()
    return network_of(load_nnp(write_nnp(tmp_path / "small.nnp", text, weights)))


def off(found: Any, expected: Any) -> float:
    """Return the largest error relative to the largest number."""
    found, expected = (np.asarray(each, dtype=np.float64) for each in (found, expected))
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


# --- nnabla's own numbers -------------------------------------------------------------------------------------------


@pytest.fixture(params=FILES)
def case(request: pytest.FixtureRequest, shared: Path) -> tuple[NnpNetwork, LoadedModel, Any, Path]:
    path = shared / "nnp" / request.param
    loaded = load_nnp(path)
    return network_of(loaded), loaded, np.load(path.parent / "reference.npz"), path


def test_outputs_and_logits(case: tuple[NnpNetwork, LoadedModel, Any, Path]) -> None:
    model, loaded, reference, path = case
    x = torch.from_numpy(reference["x"])
    with torch.no_grad():
        assert np.abs(model(x).numpy() - reference["output"]).max() <= 1e-5
        assert np.abs(model(x[:1]).numpy() - reference["output"][:1]).max() <= 1e-5
        if path.parent.name != LOOP:
            assert off(model.logits()(x), reference["logits"]) <= 1e-5
            assert model.logit_layer == model.variables[str(reference["logit_variable"])]
    assert (model.input_name, model.output_names, model.normalizes) == ("x", ("y'",), True)
    assert loaded.scores == ("multi-label" if model.output_shape == (1,) else None)


@pytest.mark.filterwarnings("ignore:.*not every map means something")  # nnabla's are all zero there, too
def test_activations_gradients_and_maps(case: tuple[NnpNetwork, LoadedModel, Any, Path]) -> None:
    model, loaded, reference, path = case
    x, targets = torch.from_numpy(reference["x"]), reference["target"].tolist()
    assert model.last_convolution == model.variables[str(reference["last_conv"])]
    assert loaded.target_layers == (model.last_convolution,)
    networks = {"output": model} if path.parent.name == LOOP else {"output": model, "logit": model.logits()}
    for kind, net in networks.items():
        cam = method_class("gradcam")(net, loaded.target_layers)
        kept = []
        layer = net.get_submodule(model.last_convolution)
        handle = layer.register_forward_hook(lambda module, inputs, output, kept=kept: kept.append(output))
        scores = net(x)[range(len(x)), targets].sum()
        handle.remove()
        (grads,) = torch.autograd.grad(scores, kept[0])
        assert off(kept[0].detach(), reference["act"]) <= 1e-5
        assert off(grads, reference[f"grad_{kind}"]) <= 1e-5
        # A bare 0 would mean the absence of the class of a network with one output.
        classes, size = [ClassifierOutputTarget(target) for target in targets], reference["act"].shape[2:]
        found = cam.explain(x, classes, normalize="none", size=size)
        assert off(found.maps, reference[f"cam_{kind}"]) <= 1e-4


@pytest.mark.parametrize("case", [name for name in FILES if not name.startswith(LOOP)], indirect=True)
def test_pictures_become_what_nnabla_made_of_them(case: tuple[NnpNetwork, LoadedModel, Any, Path]) -> None:
    _, loaded, reference, path = case
    pictures = [path.parent / "images" / f"{place}.png" for place in range(len(reference["x"]))]
    assert np.array_equal([loaded.preprocessing(read_image(picture)).numpy() for picture in pictures], reference["x"])


def test_both_dialects_give_the_same_network(shared: Path) -> None:
    one, other = (network_of(load_nnp(shared / "nnp" / name)) for name in FILES[:2])
    assert one.variables == other.variables
    assert list(one.state_dict()) == list(other.state_dict())
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


# --- the module -----------------------------------------------------------------------------------------------------


def test_what_a_network_says_of_itself(small: NnpNetwork) -> None:
    names = ["Convolution", "BN", "ReLU", "Convolution_2", "Add2", "MaxPooling", "Affine", "Softmax"]
    assert [name for name, _ in small.named_children()] == names
    assert (small.input_shape, small.output_shape) == ((1, 8, 8), (3,))
    assert (small.last_convolution, small.logit_layer, small.closing) == ("Convolution_2", "Affine", "Softmax")
    assert small.variables == {name: name for name in names}
    assert not small.training
    kinds = {name: type(small.get_submodule(name)) for name in names}
    assert kinds["Convolution"] is nn.Conv2d
    assert kinds["BN"] is nn.BatchNorm2d
    assert kinds["ReLU"] is nn.ReLU
    assert kinds["MaxPooling"] is nn.MaxPool2d
    assert issubclass(kinds["Affine"], nn.Linear)


def test_a_network_against_itself_in_float64(small: NnpNetwork) -> None:
    """Every layer's arithmetic is tested alone; this is their order, the skip and the sharing."""
    _, weights = classifier()
    x = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    w = {name: torch.from_numpy(array).double() for name, array in weights.items()}
    y = nn.functional.conv2d(x, w["Convolution/conv/W"], w["Convolution/conv/b"], padding=1)
    mean, var, gamma, beta = (w[f"BN/bn/{name}"] for name in ("mean", "var", "gamma", "beta"))
    relu = ((y - mean) / (var + 1e-5).sqrt() * gamma + beta).relu()
    y = nn.functional.conv2d(relu, w["Convolution_2/conv/W"], padding=1) + relu
    y = nn.functional.max_pool2d(y, 2).flatten(1) @ w["Affine/affine/W"] + w["Affine/affine/b"]
    torch.testing.assert_close(small.logits()(x.float()).double(), y, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(small(x.float()).double(), y.softmax(1), rtol=1e-5, atol=1e-6)
    assert torch.equal(copy.deepcopy(small)(x.float()), small(x.float()))
    torch.testing.assert_close(small.double()(x), y.softmax(1))


def test_the_logits_share_the_layers(small: NnpNetwork) -> None:
    logits = small.logits()
    shared = dict(small.named_children())
    assert dict(logits.named_children()) == {name: shared[name] for name in shared if name != "Softmax"}
    assert (logits.last_convolution, logits.output_shape, logits.closing) == ("Convolution_2", (3,), None)
    assert logits.logit_layer is None
    assert dict(logits.logits().named_children()) == dict(logits.named_children())
    assert torch.equal(logits.output("y'")(torch.ones(1, 1, 8, 8)), small(torch.ones(1, 1, 8, 8)))
    with pytest.raises(ValueError, match=r"the network has no output 'z'; it has \"y'\""):
        small.output("z")


@pytest.mark.parametrize("shape", [(1, 1, 8, 9), (1, 3, 8, 8), (1, 8, 8)])
def test_another_size_is_refused(shape: tuple[int, ...], small: NnpNetwork) -> None:
    with pytest.raises(ValueError, match=r"the network takes a batch of 1 x 8 x 8, 'x', not \(1, "):
        small(torch.zeros(shape))


def test_loading_leaves_the_random_state_alone(tmp_path: Path) -> None:
    text, weights = classifier()
    path = write_nnp(tmp_path / "a.nnp", text, weights)
    before = torch.random.get_rng_state()
    load_nnp(path)
    assert torch.equal(torch.random.get_rng_state(), before)


CONVOLUTION = f"convolution_param {{ base_axis: 1 {dims('pad', [1, 1])} group: 1 }}"


def conv(name: str, source: str, weight: str = "w", more: str = "", label: str = "") -> str:
    return function("Convolution", [source, weight], [name], CONVOLUTION, label, more)


def test_the_last_convolution_is_found_by_type_and_order(tmp_path: Path) -> None:
    weights = {"w": np.ones((1, 1, 3, 3))}
    body = "".join(variable(name, [-1, 1, 4, 4]) for name in ("x", "a", "b", "c", "side"))
    body += variable("w", [1, 1, 3, 3], "Parameter")
    # written backwards, under names that say something else; "side" is not on the way to the output
    body += function("Deconvolution", ["b", "w"], ["c"], CONVOLUTION.replace("conv", "deconv"), "Convolution_9")
    body += (
        conv("b", "a", label="ReLU") + conv("a", "x", label="Convolution") + conv("side", "b", label="Convolution_8")
    )
    model = network_of(load_nnp(write_nnp(tmp_path / "a.nnp", network(body) + executor("c"), weights)))
    assert [name for name, _ in model.named_children()] == ["Convolution", "ReLU", "Convolution_9"]
    assert model.last_convolution == "ReLU"
    assert (model.logit_layer, model.closing) == (None, None)


def test_names_that_a_submodule_cannot_have(tmp_path: Path) -> None:
    names = [
        "a.b",
        "a_b",
        "forward",
        "output",
        "variables",
        "training",
        "__class__",
        "",
        "input_name",
        "l[2]",
        "\\n",
        "7",
    ]
    body = variable("v0", [-1, 2]) + "".join(variable(f"v{place + 1}", [-1, 2]) for place in range(len(names)))
    for place, name in enumerate(names):
        body += function("ReLU", [f"v{place}"], [f"v{place + 1}"], name=name or "~").replace('"~"', '""')
    model = network_of(load_nnp(write_nnp(tmp_path / "a.nnp", network(body) + executor(f"v{len(names)}", "v0"))))
    found = [name for name, _ in model.named_children()]
    assert found[:4] == ["a_b", "a_b_2", "forward_2", "output_2"]
    assert len(set(found)) == len(names)
    for name in found:
        assert layer_at(model, name) is dict(model.named_children())[name]
    assert model.functions["a.b"] == "a_b"
    assert model(torch.tensor([[-1.0, 2.0]])).tolist() == [[0, 2]]


def test_functions_that_nnabla_numbers_go_by_the_layer_s_name(tmp_path: Path) -> None:
    body = (
        variable("x", [-1, 2]) + variable("Tanh_2", [-1, 2]) + function("Tanh", ["x"], ["Tanh_2"], name="@Main/Tanh_1")
    )
    model = network_of(load_nnp(write_nnp(tmp_path / "a.nnp", network(body) + executor("Tanh_2"))))
    assert model.variables == {"Tanh_2": "Tanh_2"}
    assert model.functions == {"@Main/Tanh_1": "Tanh_2"}


def test_nested_repeat_blocks(tmp_path: Path) -> None:
    """Outer block twice, inner three times: x -> tanh(w x) with six matrices, and 1 added after each inner block."""
    outer, both = 'repeat_id: "O"', 'repeat_id: "O" repeat_id: "I"'
    body = variable("x", [-1, 2]) + variable("y", [-1, 2])
    body += "".join(variable(name, [-1, 2], more=outer) for name in ("o", "e", "p"))
    body += "".join(variable(name, [-1, 2], more=both) for name in ("i", "a", "t"))
    body += variable("A{O}{I}/W", [2, 2], "Parameter", both)
    body += function("RepeatStart", ["x", "p"], ["o"], 'repeat_param { repeat_id: "O" }', more=outer)
    body += function("RepeatStart", ["o", "t"], ["i"], 'repeat_param { repeat_id: "I" }', more=both)
    body += function("Affine", ["i", "A{O}{I}/W"], ["a"], "affine_param { base_axis: 1 }", more=both)
    body += function("Tanh", ["a"], ["t"], more=both)
    body += function("RepeatEnd", ["t"], ["e"], 'repeat_param { repeat_id: "I" times: 3 }', more=outer)
    body += function("AddScalar", ["e"], ["p"], "add_scalar_param { val: 1 }", more=outer)
    body += function("RepeatEnd", ["p"], ["y"], 'repeat_param { repeat_id: "O" times: 2 }')
    draw = np.random.default_rng(0)
    weights = {f"A[{o}][{i}]/W": draw.normal(0, 1, (2, 2)) for o in range(2) for i in range(3)}
    path = write_nnp(tmp_path / "a.nnp", network(body) + executor(), weights, "h5")
    model = network_of(load_nnp(path))
    x = draw.normal(0, 1, (3, 2))
    expected = x
    for o in range(2):
        for i in range(3):
            expected = np.tanh(expected @ weights[f"A[{o}][{i}]/W"])
        expected = expected + 1
    np.testing.assert_allclose(model(torch.tensor(x, dtype=torch.float32)).detach(), expected, atol=1e-5)
    assert model.variables["t_O[1]_I[2]"] == "t_O_1_I_2"


def test_closing_layers(tmp_path: Path) -> None:
    text, named = one_function("Sigmoid", (3,))
    loaded = load_nnp(write_nnp(tmp_path / "a.nnp", text, named))
    assert loaded.scores == "multi-label"
    model = network_of(loaded)
    assert (model.closing, model.logit_layer, loaded.target_layers) == ("Sigmoid", None, None)
    x = torch.tensor([[1.0, 2.0, 3.0]])
    assert torch.equal(model.logits()(x), x)


# --- pictures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
@pytest.mark.parametrize("normalizes", [True, False])
def test_preprocessing(channels: int, mode: str, normalizes: bool, tmp_path: Path) -> None:
    more = "" if normalizes else "no_image_normalization: true"
    text, _ = one_function("ReLU", (channels, 6, 9))
    text = text.replace("executor {", f"executor {{ {more}")
    loaded = load_nnp(write_nnp(tmp_path / "a.nnp", text))
    assert network_of(loaded).normalizes == normalizes
    picture = np.random.default_rng(0).integers(0, 256, (31, 17, 3), dtype=np.uint8)
    small = Image.fromarray(picture).convert(mode).resize((9, 6), Image.Resampling.BILINEAR)
    expected = np.asarray(small, dtype=np.float64).reshape(6, 9, channels).transpose(2, 0, 1)
    found = loaded.preprocessing(picture)
    assert found.shape == (channels, 6, 9)
    np.testing.assert_allclose(found, expected / (255 if normalizes else 1), rtol=1e-6)
    assert loaded.preprocessing.to_picture(np.ones((6, 9)), (31, 17)).min() == 1  # nothing was cut off


def test_what_is_no_picture_loads_all_the_same(tmp_path: Path) -> None:
    text, named = one_function("ReLU", (5,))
    loaded = load_nnp(write_nnp(tmp_path / "a.nnp", text, named))
    assert loaded.model(torch.ones(2, 5)).shape == (2, 5)
    with pytest.raises(ValueError, match="the network takes a batch of 5"):
        loaded.model(loaded.preprocessing(np.zeros((4, 4, 3), dtype=np.uint8))[None])


# --- the rest of the toolkit ----------------------------------------------------------------------------------------

USUAL = ["gradcam", "hirescam", "gradcam++", "xgradcam", "layercam", "eigencam", "scorecam", "ablationcam", "fullgrad"]


@pytest.mark.filterwarnings("ignore:.*not every map means something")  # the weights are random
@pytest.mark.parametrize("name", [name for name in USUAL if name in METHODS])
def test_methods_work_on_it(name: str, small: NnpNetwork) -> None:
    x = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    cam = method_class(name)(small.logits(), [small.last_convolution])
    found = cam.explain(x, [0, 2])
    assert found.maps.shape == (2, 8, 8)
    assert not torch.isnan(found.maps).any()
    if name == "fullgrad":  # piecewise linear, and every bias is in a module that it knows: nothing is missing
        assert found.notes == ((), ())


def test_replay_is_exact(small: NnpNetwork) -> None:
    x = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    replay = Replay(small, small.get_submodule("Convolution_2"), x)
    assert replay.exact
    assert torch.equal(replay(replay.activations), replay.outputs)


def test_guided_backpropagation(small: NnpNetwork) -> None:
    from pytorch_grad_cam.guided_backprop import GuidedBackpropReLUModel

    x = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    assert GuidedBackpropReLUModel(small.logits()).gradients(x, 1).abs().max() > 0


def test_load_model_takes_it(tmp_path: Path) -> None:
    text, weights = classifier()
    path = write_nnp(tmp_path / "Results.NNP", text, weights)
    loaded = load_model(str(path), device="cpu")
    assert loaded.preprocessing == Preprocessing((8, 8), None, (0.0,), (1.0,))
    assert loaded.source == f"{path}, network Main"
    with pytest.raises(ValueError, match=r"Results.NNP holds its weights; leave out --weights a.pth"):
        load_model(str(path), "a.pth")
    with pytest.raises(FileNotFoundError, match=r"the network file no.nnp does not exist"):
        load_model("no.nnp")


def test_the_command_takes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, weights = classifier()
    path, picture = write_nnp(tmp_path / "results.nnp", text, weights), tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8)).save(picture)
    arguments = ["--model", str(path), "--image-path", str(picture)]
    assert main(["layers", *arguments]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Convolution_2"))
    assert line.split() == ["Convolution_2", "Conv2d", "4", "x", "8", "x", "8", "yes,", "the", "automatic", "choice"]
    out = tmp_path / "out"
    assert main([*arguments, "--method", "scorecam", "--target", "1", "--output-dir", str(out)]) == 0
    assert (out / "scorecam_cam.jpg").is_file()
    assert main(["layers", "--model", str(tmp_path / "no.nnp")]) == 1
    assert "no.nnp does not exist; check the path" in capsys.readouterr().err
