"""ScoreCAM, AblationCAM, FullGrad: against their definitions, independent of how the work is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_nets import SIZES, ConvNet, GapLinear, ResidualNet, TinyViT, build, inputs, tokens_to_grid
from torch import Tensor, nn

from pytorch_grad_cam import AblationCAM, AblationLayer, AblationLayerVit, GradCAM, ScoreCAM
from pytorch_grad_cam.engine import perturb

pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")


def hidden(net: ConvNet, x: Tensor) -> Tensor:
    """The output of ``act2``."""
    with torch.no_grad():
        return net.features(x)


def tail(net: ConvNet, activations: Tensor) -> Tensor:
    with torch.no_grad():
        return net.head(net.act3(net.conv3(activations)).flatten(2).mean(2))


def aligned(channel: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Resize linearly so that the corner samples coincide, one axis after the other."""
    for axis, new in enumerate(size):
        old = channel.shape[axis]
        where = np.linspace(0, old - 1, new)
        low = np.minimum(where.astype(int), max(old - 2, 0))
        share = (where - low).reshape([-1 if each == axis else 1 for each in range(channel.ndim)])
        first, second = (np.take(channel, np.minimum(low + step, old - 1), axis) for step in (0, 1))
        channel = first * (1 - share) + second * share
    return channel


class TestScoreCAM:
    @pytest.mark.parametrize("ndim", SIZES)
    def test_definition(self, ndim: int) -> None:
        net, x = build(ConvNet, ndim).double(), inputs(ndim).double()
        found = ScoreCAM(net, "act2").explain(x, [1, 2])
        for row, category in enumerate((1, 2)):
            scores = []
            for channel in hidden(net, x)[row].numpy():
                mask = aligned(channel, SIZES[ndim])
                spread = mask.max() - mask.min()
                mask = (mask - mask.min()) / spread if spread else mask * 0
                with torch.no_grad():
                    scores.append(net(x[row : row + 1] * torch.from_numpy(mask))[0, category].item())
            weights = np.exp(scores) / np.exp(scores).sum()
            np.testing.assert_allclose(found.weights[0][row], weights, rtol=1e-9)
            expected = np.tensordot(weights, hidden(net, x)[row].numpy(), 1)
            np.testing.assert_allclose(found.raw[0][row], expected, rtol=1e-9)

    def test_constant_channels_are_run_once(self) -> None:
        net, x = build(ConvNet), inputs()
        net.conv2.weight.data[1:4] = 0
        net.conv2.bias.data[1:4] = torch.tensor([-1.0, 2.0, -3.0])  # dead, constant, dead
        rows: list[int] = []
        net.register_forward_hook(lambda module, args, output: rows.append(len(output)))
        found = ScoreCAM(net, "act2").explain(x, 1)
        assert sum(rows) == 2 + 2 * 3  # the batch itself, then two varied channels and one constant per image
        with torch.no_grad():
            blank = net(x[:1] * 0)[0, 1]
        scores = found.weights[0][0].log()
        torch.testing.assert_close(scores[1:4] - scores[1], torch.zeros(3))
        with torch.no_grad():
            mask = torch.from_numpy(aligned(hidden(net, x)[0, 0].numpy(), SIZES[2]))
            other = net(x[:1] * ((mask - mask.min()) / (mask.max() - mask.min())).float())[0, 1]
        torch.testing.assert_close(scores[0] - scores[1], other - blank, atol=1e-4, rtol=1e-4)

    def test_equal_masks_are_run_once(self) -> None:
        net, x = build(ConvNet), inputs()
        for values in (net.conv2.weight.data, net.conv2.bias.data):
            values[3] = 2 * values[0]  # differ in scale only, which the stretched mask does not show
            values[4] = 0.5 * values[0]
        rows: list[int] = []
        net.register_forward_hook(lambda module, args, output: rows.append(len(output)))
        found = ScoreCAM(net, "act2").explain(x, 1).weights[0]
        channels = found.shape[1]
        assert sum(rows) == 2 + 2 * (channels - 2)
        assert torch.equal(found[:, [3, 4]], found[:, [0, 0]])
        for row in range(2):
            scores = []
            for channel in hidden(net, x)[row].numpy():
                mask = aligned(channel, SIZES[2])
                mask = torch.from_numpy((mask - mask.min()) / (mask.max() - mask.min())).float()
                with torch.no_grad():
                    scores.append(net(x[row : row + 1] * mask)[0, 1])
            torch.testing.assert_close(found[row], torch.stack(scores).softmax(0), rtol=1e-4, atol=1e-6)

    def test_channels_limits_what_is_tried(self) -> None:
        net, x = build(ConvNet), inputs()
        every = ScoreCAM(net, "act2").explain(x, 1).weights[0]
        some = ScoreCAM(net, "act2", channels=2).explain(x, 1).weights[0]
        energy = hidden(net, x).mean((2, 3))
        for row in range(2):
            kept = energy[row].topk(2).indices
            assert set(some[row].nonzero()[:, 0].tolist()) == set(kept.tolist())
            torch.testing.assert_close(some[row, kept], every[row, kept] / every[row, kept].sum())


class TestAblationCAM:
    @pytest.mark.parametrize("ndim", SIZES)
    @pytest.mark.parametrize("sign", [1, -1])
    def test_definition(self, ndim: int, sign: int) -> None:
        net, x = build(ConvNet, ndim).double(), inputs(ndim).double()
        found = AblationCAM(net, "act2").explain(x, lambda output: sign * output[1])
        activations = hidden(net, x)
        score = sign * tail(net, activations)[:, 1]
        for channel in range(activations.shape[1]):
            without = activations.clone()
            without[:, channel] = 0
            weight = (score - sign * tail(net, without)[:, 1]) / score.abs()
            torch.testing.assert_close(found.weights[0][:, channel], weight)

    def test_closed_form_after_pooling_and_one_linear_layer(self) -> None:
        net, x = build(GapLinear), inputs()
        found = AblationCAM(net, "features").explain(x, 1)
        with torch.no_grad():
            pooled, score = net.features(x).mean((2, 3)), net(x)[:, 1:2]
        torch.testing.assert_close(found.weights[0], net.head.weight[1].detach() * pooled / score.abs())

    def test_the_sign_of_the_score_does_not_turn_the_map(self) -> None:
        net, x = build(GapLinear), inputs()
        maps = []
        for shift in (50.0, -50.0):
            net.head.bias.data[1] = shift
            maps.append(AblationCAM(net, "features")(x, 1))
        np.testing.assert_allclose(maps[0], maps[1], atol=1e-3)

    def test_tokens_without_the_class_token(self) -> None:
        net, x = build(TinyViT), inputs(size=TinyViT.size)
        layer = net.blocks[1].norm1
        found = AblationCAM(net, layer, tokens_to_grid).explain(x, 1).weights[0]
        with torch.no_grad():
            score = net(x)[:, 1]
            for channel in range(3):

                def silence(module: nn.Module, args: Any, output: Tensor, channel: int = channel) -> Tensor:
                    output = output.clone()
                    output[:, 1:, channel] = 0
                    return output

                handle = layer.register_forward_hook(silence)
                torch.testing.assert_close(found[:, channel], (score - net(x)[:, 1]) / score.abs())
                handle.remove()

    def test_a_reshape_that_computes_is_refused(self) -> None:
        net = build(ConvNet)
        with pytest.raises(ValueError, match=r"computes new values instead of rearranging .* give an ablation_layer"):
            AblationCAM(net, "act2", lambda output: output * 2)(inputs(), 1)

    def test_explicit_layers(self) -> None:
        net, x = build(ConvNet), inputs()
        expected = AblationCAM(net, "act2").explain(x, 1).weights[0]
        given = AblationCAM(net, "act2", ablation_layer=AblationLayer(), batch_size=2).explain(x, 1).weights[0]
        torch.testing.assert_close(given, expected)
        vit, x = build(TinyViT), inputs(size=TinyViT.size)
        layer = vit.blocks[1].norm1
        found = AblationCAM(vit, layer, tokens_to_grid, AblationLayerVit()).explain(x, 1).weights[0]
        assert not torch.allclose(found, AblationCAM(vit, layer, tokens_to_grid).explain(x, 1).weights[0])

    def test_a_users_own_ablation_layer_is_honoured(self) -> None:
        class Halve(AblationLayer):
            def __call__(self, x: Tensor) -> Tensor:
                for row in range(len(self.activations)):
                    self.activations[row, self.indices[row]] *= 0.5
                return self.activations

        net, x = build(GapLinear), inputs()
        halved = AblationCAM(net, "features", ablation_layer=Halve(), batch_size=2).explain(x, 1).weights[0]
        torch.testing.assert_close(halved, AblationCAM(net, "features").explain(x, 1).weights[0] / 2)

    def test_ratio_keeps_the_top_channels_only(self) -> None:
        net, x = build(ConvNet), inputs()
        every = AblationCAM(net, "act2").explain(x, 1).weights[0]
        some = AblationCAM(net, "act2", ratio_channels_to_ablate=0.8).explain(x, 1).weights[0]
        assert ((some == 0).sum(1) >= 1).all()
        torch.testing.assert_close(some[some != 0], every[some != 0])
        with pytest.raises(ValueError, match="ratio_channels_to_ablate=0 is not a share"):
            AblationCAM(net, "act2", ratio_channels_to_ablate=0)

    def test_dead_channels_are_not_run(self) -> None:
        net, x = build(ConvNet), inputs()
        net.conv2.weight.data[2] = 0
        net.conv2.bias.data[2] = -1
        rows: list[int] = []
        net.head.register_forward_hook(lambda module, args, output: rows.append(len(output)))
        weights = AblationCAM(net, "act2").explain(x, 1).weights[0]
        assert (weights[:, 2] == 0).all()
        assert sum(rows) == 2 + 2 * (1 + 2 + 4)  # the batch; per image the record, its check, the living channels


class TestBoth:
    @pytest.mark.parametrize("kind", [ScoreCAM, AblationCAM])
    def test_weights_do_not_depend_on_the_batch_size_or_the_place_in_the_batch(self, kind: Any) -> None:
        net, x = build(ResidualNet), inputs(batch=3)
        expected = kind(net, "norm", batch_size=32).explain(x, [0, 1, 2]).weights[0]
        for size in (1, 3):
            torch.testing.assert_close(kind(net, "norm", batch_size=size).explain(x, [0, 1, 2]).weights[0], expected)
        turned = kind(net, "norm").explain(x.flip(0), [2, 1, 0]).weights[0].flip(0)
        torch.testing.assert_close(turned, expected)
        cam = kind(net, "norm")
        cam.batch_size = 2  # as people set it
        torch.testing.assert_close(cam.explain(x, [0, 1, 2]).weights[0], expected)

    @pytest.mark.parametrize("kind", [ScoreCAM, AblationCAM])
    def test_no_chunk_is_larger_than_the_batch_size(self, kind: Any) -> None:
        net, rows = build(ConvNet), []
        net.head.register_forward_hook(lambda module, args, output: rows.append(len(output)))
        kind(net, "act2", batch_size=2)(inputs(batch=1), 1)
        assert max(rows) == 2

    @pytest.mark.parametrize("kind", [ScoreCAM, AblationCAM])
    def test_one_bar_when_asked_and_silence_otherwise(self, kind: Any, capsys: pytest.CaptureFixture[str]) -> None:
        net = build(ConvNet)
        kind(net, "act2")(inputs(), 1)
        quiet = capsys.readouterr()
        assert (quiet.out, quiet.err) == ("", "")
        kind(net, "act2", progress=True)(inputs(), 1)
        shown = capsys.readouterr()
        assert shown.out == ""
        assert f"{kind.__name__}: 100%" in shown.err

    def test_a_layer_of_a_tuple_can_be_silenced(self) -> None:
        output = (torch.arange(12.0).reshape(1, 3, 2, 2), {"more": torch.ones(1, 5)})
        channels = perturb.Channels(output, lambda pair: pair[0])
        first, second = channels.without(torch.tensor([2, 0]))
        assert first.shape == (2, 3, 2, 2)
        assert first[0, 2].sum() == first[1, 0].sum() == 0
        assert torch.equal(first[0, :2], output[0][0, :2])
        assert torch.equal(second["more"], torch.ones(2, 5))

    @pytest.mark.parametrize("written", [False, True])
    def test_copies_are_used_again_unless_the_network_wrote_to_them(self, written: bool) -> None:
        output = torch.randn(1, 3, 2, 2)
        channels = perturb.Channels(output, None)
        memory = set()
        for pair in ((2, 0), (1, 2), (0, 1)):
            found = channels.without(torch.tensor(pair))
            for copy, silent in zip(found, pair, strict=True):
                kept = [channel for channel in range(3) if channel != silent]
                assert torch.equal(copy[kept], output[0, kept])
                assert not copy[silent].any()
            memory.add(found.data_ptr())
            if written:
                found.view(2, -1).relu_()
        assert written or len(memory) == 1
        (last,) = channels.without(torch.tensor([1]))  # the rest of a layer whose channels are no multiple
        assert torch.equal(last[[0, 2]], output[0, [0, 2]])


def test_smoothing_costs_one_pass_per_view() -> None:
    net, calls = build(ConvNet), []
    net.register_forward_hook(lambda *args: calls.append(1))
    GradCAM(net, "act2")(inputs(), aug_smooth=True)
    assert len(calls) == 6


def test_a_network_that_views_its_activations() -> None:
    """``Tensor.view`` refuses channels last in memory, which ScoreCAM tries first."""

    class Viewing(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            x = self.act3(self.conv3(self.features(x)))
            return self.head(x.view(len(x), x.shape[1], -1).mean(2))

    net, twin, x = build(Viewing), build(ConvNet), inputs()
    np.testing.assert_allclose(ScoreCAM(net, "conv2")(x, 1), ScoreCAM(twin, "conv2")(x, 1), atol=1e-5)
