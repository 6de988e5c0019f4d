"""What users of CAM libraries stumble on, row by row of a survey of their questions, most frequent first.

A row that another file holds is not tested again here; what is held where:

 1 no gradient, and why: test_messages.py::TestNoGradient, test_methods.py::test_a_frozen_network_gives_the_same_map,
   test_gives_back.py::test_the_callers_mode_does_not_matter, test_users.py::test_a_validation_loop
 2 transformers: test_tokens.py::test_the_grid_of_square_patches, test_tokens.py::test_several_readings_are_listed,
   test_automatic_layers.py::test_nothing_given_is_what_would_be_given, test_automatic_layers.py::test_what_is_chosen,
   test_automatic_layers.py::test_a_layer_behind_which_patches_do_not_matter_is_refused
 3 detectors: test_detection.py::test_the_detectors_of_torchvision, test_detection.py::test_heads_of_the_yolo_form,
   test_detection.py::test_nothing_matches_is_zero_with_a_graph
 4 segmentation: test_segmentation.py::test_region_mask_and_point_by_hand,
   test_segmentation.py::test_one_channel_by_hand, test_segmentation.py::test_a_class_is_its_predicted_region
 5 outputs that are no tensor: test_target_spec.py::test_scores_are_found_inside_outputs,
   test_target_spec.py::test_a_part_of_the_output_by_name_index_and_callable
 6 several inputs: test_target_spec.py::test_several_inputs, test_target_spec.py::test_which_input_the_map_is_for,
   test_target_spec.py::test_one_mapping_as_the_only_argument, test_users.py::test_inputs_that_are_no_tensors
 7 blank maps: test_messages.py::TestBlankMaps, test_messages.py::TestNonfinite, test_messages.py::TestNoGradient
 8 which layer: test_argument_messages.py::TestLayers, test_automatic_layers.py::test_what_is_chosen,
   test_automatic_layers.py::test_tokens_in_the_layer_browser, test_cli_verbs.py::test_layers_are_listed
 9 volumes: test_methods.py::test_shape_range_type_and_repetition, test_volumes.py::test_which_slices_are_shown
10 what a target means: test_methods.py::test_all_forms_of_a_class_mean_the_same,
   test_target_spec.py::test_yes_and_no_of_one_score, test_target_spec.py::test_several_targets_take_one_forward_pass,
   test_embeddings.py::test_regression_one_logit_and_several_labels, test_users.py::test_what_was_explained_is_said
11 memory and hooks: test_gives_back.py::test_nothing_of_the_graph_outlives_the_call,
   test_users.py::test_hundreds_of_calls_leave_nothing, test_users.py::test_no_method_leaves_anything
12 batches: test_methods.py::test_a_batch_equals_its_images_alone, test_messages.py::TestTargets,
   test_users.py::test_a_data_set_in_batches
13 overlays: test_overlay.py::test_the_overlay_is_a_true_blend, test_images.py::test_every_kind_of_pixel_becomes_rgb,
   test_overlay.py::test_weight_one_returns_the_picture_bit_for_bit, test_grid.py::test_a_grid_can_have_a_colour_bar,
   test_overlay.py::test_pictures_of_every_kind_give_the_same_overlay
14 training: test_gives_back.py::test_the_next_training_step_is_the_same,
   test_differentiable.py::test_a_loss_on_the_map_trains,
   test_examples.py::test_training_with_maps_is_bit_for_bit_training_without
15 video and recurrent networks: test_video.py::test_only_recurrent_modules_run_without_cudnn_and_only_in_a_call,
   test_video.py::test_folded_frames_give_the_maps_of_the_same_network_unfolded
16 in-place operations: test_methods.py::test_an_in_place_operation_after_the_layer_changes_nothing
17 raw results: test_methods.py::test_size_and_scales, test_invariants.py::test_the_scale_of_the_scores_does_not_matter,
   test_users.py::test_maps_that_compare_between_images
18 evaluation: test_metrics.py::test_relative_drops_by_hand, test_metrics.py::test_a_constant_map_is_reported,
   test_metrics.py::test_ties_do_not_change_the_number, test_road.py::test_noise_is_seeded_and_in_the_holes_only
19 correctness: test_oracles.py::test_method_is_its_definition, test_hand_numbers.py::test_four_pixels,
   test_closed_forms.py::test_gap_linear_is_cam
20 boxes: test_boxes.py::test_boxes_cover_the_blobs_largest_first,
   test_boxes.py::test_boxes_lie_in_the_pixels_of_the_picture
21 speed and noise of perturbation: test_perturbation.py::TestBoth, test_perturbation.py::TestScoreCAM,
   test_replay.py::test_what_comes_before_the_layer_does_not_run_again
22 signals: test_methods.py::test_shape_range_type_and_repetition,
   test_signals.py::test_each_part_has_the_colour_of_its_map
23 command line: test_cli_messages.py::test_mistakes_get_one_sentence, test_cli_many.py::test_a_folder_of_pictures,
   test_cli_messages.py::test_files_that_are_no_pictures, test_models.py::test_a_factory_of_one_s_own
24 several devices: test_users.py::test_replicas_in_threads, test_users.py::test_a_distributed_network_waits_for_nobody
25 embeddings: test_embeddings.py::test_similarity_by_hand,
   test_embeddings.py::test_an_embedding_without_a_target_is_refused
26 precision: test_methods.py::test_precision_of_the_network, test_invariants.py::test_autocast_is_for_the_network
27 tensors that stay: test_gpu.py::test_the_map_of_the_cpu, test_users.py::test_the_default_device_is_not_used
28 compiled, scripted, exported: test_twins.py::test_the_same_map, test_twins.py::test_scripted_and_traced,
   test_exported.py::test_everything_is_as_in_the_network
29 dependencies: test_import_cost.py::test_importing_a_method_loads_torch_and_numpy_only
30 bands and odd sizes: test_overlay.py::test_of_many_bands_the_mean_is_shown, test_users.py::test_bands_and_strips
31 devices: test_users.py::test_the_default_device_is_not_used
32 guided backpropagation: test_guided_backprop.py::test_nothing_is_left_behind,
   test_guided_backprop.py::test_every_form_of_relu
33 old names: test_argument_messages.py::TestArguments, test_users.py::test_old_names_in_a_call
34 repetition: test_methods.py::test_shape_range_type_and_repetition,
   test_gives_back.py::test_a_call_changes_nothing
35 prediction with the map: test_users.py::test_what_was_explained_is_said
36 evidence against: test_target_spec.py::test_against_and_contrast_by_hand
37 views of one's own: test_methods.py::test_smoothing_with_ttach,
   test_methods.py::test_smoothing_over_views_fixes_the_class
"""

from __future__ import annotations

import ast
import copy
import gc
import re
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.failures import BrokenError
from helpers.methods_for_any_network import ANY_NETWORK, few_steps  # noqa: F401 - the fixture
from helpers.tiny_nets import ConvNet, InPlaceNet, ResidualNet, build, frozen, inputs
from torch import Tensor, nn

from pytorch_grad_cam import GradCAM, HiResCAM

TESTS = Path(__file__).resolve().parents[1]
every_method = pytest.mark.parametrize("method", ANY_NETWORK.values(), ids=ANY_NETWORK)
maps_may_mean_nothing = pytest.mark.filterwarnings("ignore:.*not every map means something")


def source(name: str) -> Path:
    """Return the only test file of this name."""
    (found,) = TESTS.rglob(name)
    return found


@pytest.mark.parametrize(("file", "rows"), [("test_users.py", 37), ("test_defects.py", 59)])
def test_the_table_is_complete_and_names_tests_that_exist(file: str, rows: int) -> None:
    table = ast.get_docstring(ast.parse(source(file).read_text(encoding="utf-8")), clean=False) or ""
    assert [int(row) for row in re.findall(r"^ *(\d+) ", table, re.MULTILINE)] == list(range(1, rows + 1))
    named = re.findall(r"(test_\w+\.py)::(\w+)", table)
    assert len(named) >= rows
    there = {
        (name, node.name)
        for name in {name for name, _ in named}
        for node in ast.parse(source(name).read_text(encoding="utf-8")).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }
    assert not set(named) - there


def hooks_of(net: nn.Module) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in net.modules() for kind in kinds)


def living_tensors(collected: bool = True) -> int:
    if collected:
        gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # asking some objects of other packages for their class warns
        return sum(isinstance(each, Tensor) for each in gc.get_objects())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_validation_loop(mode: Any) -> None:
    """Row 1: frozen backbone, the loop's own mode around everything, batches made under it: the map of old."""
    net, expected = build(ResidualNet), []
    for seed in range(3):
        expected.append(GradCAM(net, net.norm)(inputs(seed=seed), 1))
    backbone = frozen(net)
    backbone.head.weight.requires_grad = True
    backbone.train()
    cam = GradCAM(backbone, "norm")
    with mode():
        for seed, map_ in enumerate(expected):
            np.testing.assert_array_equal(cam(inputs(seed=seed), 1), map_)
    torch.set_grad_enabled(False)
    try:
        np.testing.assert_array_equal(cam(inputs(seed=0), 1), expected[0])
    finally:
        torch.set_grad_enabled(True)


class WithText(nn.Module):
    """Takes an image, a text and further settings."""

    def __init__(self) -> None:
        super().__init__()
        self.net = build(ConvNet)

    def forward(self, x: Tensor, text: Any, settings: dict[str, Any] | None = None) -> Tensor:
        return self.net(x) * len(text) * (settings or {"factor": 1})["factor"]


def test_inputs_that_are_no_tensors() -> None:
    """Row 6: texts, lists of texts, None and numbers go to the model as they are."""
    net, x = WithText(), inputs()
    expected = GradCAM(net.net, "conv2")(x, 1)
    for given in ((x, "dog"), (x, ["a", "dog"], None), {"x": x, "text": "dog", "settings": {"factor": 2}}):
        np.testing.assert_allclose(GradCAM(net, "net.conv2")(given, 1), expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"one of the model's inputs has 3 rows.* batch of 2, and the model fails \("):
        GradCAM(net, "net.conv2")((x, "dog", {"factor": torch.ones(3, 5)}), 1)


def test_what_was_explained_is_said() -> None:
    """Rows 10 and 35: the class that None takes, its score and the whole prediction come with the map."""
    net, x = build(ConvNet), inputs(batch=4)
    calls: list[Any] = []
    net.head.register_forward_hook(lambda *given: calls.append(given))
    found = GradCAM(net, "conv2").explain(x)
    assert len(calls) == 1
    with torch.no_grad():
        scores = net(x)
    assert found.classes == tuple(scores.argmax(1).tolist())
    torch.testing.assert_close(found.outputs, scores)
    torch.testing.assert_close(found.scores, scores.amax(1))
    assert not found.outputs.requires_grad


def broken(output: Any) -> Tensor:
    raise BrokenError  # a new one: one that was made before would keep its traceback, and so the tensors of the call


@pytest.mark.again
def test_hundreds_of_calls_leave_nothing() -> None:
    """Row 11: 200 calls, 200 failures and 200 plain forwards: no hook, not one tensor more."""
    net, x = build(ConvNet), inputs()
    cam = GradCAM(net, ["conv2", "act3"])

    def round_of_calls() -> None:
        cam(x, 1)
        with pytest.raises(BrokenError):
            cam(x, broken)
        net(x)
        assert not hooks_of(net)

    round_of_calls()
    before = living_tensors()
    for _ in range(200):
        round_of_calls()
    assert living_tensors() <= before  # fewer, where other tests left something to be freed meanwhile
    assert not any(isinstance(value, Tensor) and value.requires_grad for value in vars(cam).values())


@maps_may_mean_nothing
def test_no_method_leaves_anything() -> None:
    """Row 11: nor does any other method, and nothing waits in a cycle for the garbage collector."""
    net, x = build(InPlaceNet), inputs()
    kinds = [method.load() for method in ANY_NETWORK.values()]
    cams = [kind(net, "conv2") for kind in kinds]
    for cam in cams:
        cam(x, 1)
        cam.release()  # what the last pass found
    before = living_tensors()
    gc.disable()
    try:
        for kind, cam in zip(kinds, cams, strict=True):
            for _ in range(3):
                cam(x, 1)
                if kind.uses_targets:
                    with pytest.raises(BrokenError):
                        cam(x, broken)
                assert not hooks_of(net), kind
            cam.release()
        assert living_tensors(collected=False) == before
    finally:
        gc.enable()


def test_a_data_set_in_batches() -> None:
    """Row 12: the batches of a loader, the last one smaller, give each picture's own map and hold no graph."""
    net, x, labels = build(ConvNet), inputs(batch=7), torch.tensor([0, 1, 2, 1, 0, 2, 2])
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, labels), batch_size=3)
    cam = GradCAM(net, "conv2")
    found = [cam.explain(batch, targets) for batch, targets in loader]
    alone = [cam(image[None], label) for image, label in zip(x, labels, strict=True)]
    np.testing.assert_allclose(torch.cat([each.maps for each in found]), np.concatenate(alone), atol=1e-5)
    assert sum((each.classes for each in found), ()) == tuple(labels.tolist())
    held = [tensor for each in found for tensor in (each.maps, each.outputs, each.scores, *each.raw, *each.weights)]
    assert not any(tensor.requires_grad for tensor in held)


def test_maps_that_compare_between_images() -> None:
    """Row 17: with normalize="none" twice the evidence is twice the map, and a map does not depend on its batch."""
    x, cam = inputs(batch=3), HiResCAM(build(ConvNet), "conv2")
    options: dict[str, Any] = {"normalize": "none", "relu": False}
    found = cam.explain(x, 1, **options).maps
    alone = cam.explain(x[1:2], 1, **options).maps
    torch.testing.assert_close(found[1:2], alone)
    twice = cam.explain(x, lambda output: 2 * output[1], **options).maps
    torch.testing.assert_close(twice, 2 * found)


class Replicated(nn.DataParallel):
    """On the CPU what happens on several devices: copies of the network, each in its thread, on a part of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        parts = dict(enumerate(x.chunk(2)))
        copies = {index: copy.deepcopy(self.module) for index in parts}
        found: dict[int, Tensor] = {}

        def run(index: int) -> None:
            found[index] = copies[index](parts[index])

        threads = [threading.Thread(target=run, args=(index,)) for index in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return torch.cat([found[index] for index in parts])


@every_method
@maps_may_mean_nothing
def test_replicas_in_threads(method: Any) -> None:
    """Row 24: a replicated network gives the maps of the whole batch, in its order."""
    net, x = build(ConvNet), inputs(batch=3)
    expected = method.load()(net, "conv2")(x, [0, 1, 2])
    np.testing.assert_array_equal(method.load()(Replicated(net), "conv2")(x, [0, 1, 2]), expected)


def test_a_distributed_network_waits_for_nobody() -> None:
    """Row 24: one process may explain while the others do something else."""

    class Waiting(nn.parallel.DistributedDataParallel):
        def __init__(self, module: nn.Module) -> None:
            nn.Module.__init__(self)
            self.module = module

        def forward(self, *given: Any, **named: Any) -> Any:
            raise AssertionError("this would wait for the other processes")

    net, x = build(ConvNet), inputs()
    found = GradCAM(Waiting(net)).explain(x, 1)
    assert found.layers == ("module.act3",)
    np.testing.assert_array_equal(found.numpy(), GradCAM(net, "act3")(x, 1))


@every_method
@maps_may_mean_nothing
def test_the_default_device_is_not_used(method: Any) -> None:
    """Rows 27 and 31: everything is made where the model is, wherever new tensors are made by default."""
    net, x = build(ConvNet), inputs()
    expected = method.load()(net, "conv2").explain(x, 1).maps
    with torch.device("meta"):  # on which numbers cannot be read
        found = method.load()(net, "conv2").explain(x, 1).maps
    assert torch.equal(found, expected)


@pytest.mark.parametrize("bands", [1, 3, 4, 11])
@pytest.mark.parametrize("size", [(60, 1), (1, 60), (9, 8)])
def test_bands_and_strips(bands: int, size: tuple[int, int]) -> None:
    """Row 30: any number of channels, pictures one pixel wide or high."""
    net = build(nn.Sequential, nn.Conv2d(bands, 3, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x = torch.randn((2, bands, *size), generator=torch.Generator().manual_seed(0))
    found = GradCAM(net, "1")(x, 1)
    assert found.shape == (2, *size)
    assert found.max(axis=(1, 2)).tolist() == [1, 1]


def test_old_names_in_a_call() -> None:
    """Row 33: the names that published tutorials use are answered with today's; so is a forgotten batch axis."""
    net, x = build(ConvNet), inputs()
    for name in ("target_category", "class_idx"):
        with pytest.raises(TypeError, match=rf"there is no option '{name}'; use cam\(input_tensor, targets=...\)"):
            GradCAM(net, "conv2")(x, **{name: 1})
    with pytest.raises(ValueError, match=r"without a batch axis; give .*, for a single image x\[None\]"):
        GradCAM(net, "conv2")(x[0], 1)
