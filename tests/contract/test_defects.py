"""Defects of the package grad-cam 1.5.5, numbered as in a list of them, none of which may come back here.

What another file holds is not tested again; what is held where:

 1 flags not restored: test_gives_back.py::test_a_call_changes_nothing
 2 gradients overwritten: test_gives_back.py::test_a_call_changes_nothing
 3 errors swallowed: test_gives_back.py::test_a_failure_changes_nothing, test_defects.py::test_a_users_own_error
 4 errors in the destructor: test_defects.py::test_there_is_no_destructor
 5 too few targets: test_messages.py::TestTargets
 6 targets are not optional: test_methods.py::test_all_forms_of_a_class_mean_the_same
 7 a Sequential taken apart: test_methods.py::test_a_sequential_is_one_layer
 8 plain classes refused: test_methods.py::test_all_forms_of_a_class_mean_the_same
 9 frozen networks: test_methods.py::test_a_frozen_network_gives_the_same_map,
   test_gives_back.py::test_the_callers_mode_does_not_matter
10 the graph is kept: test_gives_back.py::test_nothing_of_the_graph_outlives_the_call
11 a graph that nobody needs: test_defects.py::test_no_graph_without_need
12 no raw maps: test_methods.py::test_size_and_scales
13 scale of the scores: test_invariants.py::test_the_scale_of_the_scores_does_not_matter,
   test_overlay.py::test_scale_cam_image_has_no_epsilon
14 blank without a word: test_messages.py::TestBlankMaps
15 NaN turned into a map: test_messages.py::TestNonfinite
16 sign of the component: test_invariants.py::test_principal_component_knows_no_order,
   test_invariants.py::test_planted_blobs_stay_bright
17 memory of the component: test_defects.py::test_a_component_needs_no_square_of_the_positions
18 in-place operations: test_methods.py::test_an_in_place_operation_after_the_layer_changes_nothing
19 hooks between calls: test_users.py::test_hundreds_of_calls_leave_nothing, test_defects.py::test_between_calls
20 layers called twice, replicas: test_methods.py::test_a_module_called_twice_is_explained_at_its_last_call,
   test_users.py::test_replicas_in_threads
21 layers with tuples: test_methods.py::test_a_layer_that_returns_a_tuple
22 outputs that are no tensor: test_target_spec.py::test_scores_are_found_inside_outputs
23 one tensor only: test_target_spec.py::test_several_inputs, test_methods.py::test_precision_of_the_network
24 bfloat16: test_methods.py::test_precision_of_the_network
25 signals and volumes: test_methods.py::test_shape_range_type_and_repetition,
   test_defects.py::test_resizing_never_overshoots
26 smoothing over views: test_methods.py::test_a_segmenter_with_a_mask,
   test_methods.py::test_smoothing_over_views_fixes_the_class
27 options ignored in silence: test_defects.py::test_ignored_targets_are_said,
   test_defects.py::test_what_eigen_smooth_does_not_change_is_said
28 the constant of GradCAM++: test_invariants.py::test_tiny_scores_bring_gradcamplusplus_to_its_limit,
   test_closed_forms.py::test_gap_linear_gradcamplusplus
29 the pole of XGradCAM: test_invariants.py::test_poles_stay_finite
30 AblationCAM and the sign of the score: test_perturbation.py::TestAblationCAM,
   test_defects.py::test_ablation_does_not_see_a_constant
31 AblationCAM and the place in the batch: test_perturbation.py::TestBoth
32 AblationCAM leaves its layer behind: test_gives_back.py::test_a_failure_changes_nothing
33 one ablation layer for all: test_defects.py::test_two_ablations_inside_each_other
34 ratio of channels: test_perturbation.py::TestAblationCAM
35 order of layers: test_methods.py::test_the_order_of_layers_does_not_matter
36 memory of ScoreCAM: test_perturbation.py::TestBoth
37 hooks in masked passes: test_defects.py::test_masked_passes_run_without_hooks
38 FinerCAM and RefineCAM without context: test_gives_back.py::test_a_call_changes_nothing
39 FinerCAM of few classes: test_finer_refine.py::test_finercam_with_few_classes
40 RefineCAM: test_finer_refine.py::test_refinecam,
   test_finer_refine.py::test_refinecam_of_one_layer_is_its_base_and_takes_one_pass
41 ShapleyCAM: test_methods.py::test_the_order_of_layers_does_not_matter,
   test_fem_kpca_segeigen_shapley.py::test_shapleycam_of_tokens,
   test_fem_kpca_segeigen_shapley.py::test_shapleycam_through_fused_attention
42 FullGrad: test_fullgrad.py::test_the_map_is_the_authors
43 RandomCAM: test_methods.py::test_random_weights_come_from_the_seed_alone,
   test_methods.py::test_a_frozen_network_gives_the_same_map
44 ReLUs replaced for good: test_guided_backprop.py::test_nothing_is_left_behind
45 guided backpropagation adds up: test_guided_backprop.py::test_the_interface_of_old,
   test_guided_backprop.py::test_every_form_of_relu
46 overlays: test_overlay.py::test_the_overlay_is_a_true_blend,
   test_overlay.py::test_brightness_does_not_depend_on_the_picture
47 pictures of concepts: test_factorization.py::test_the_picture_of_a_picture
48 deep feature factorization: test_factorization.py::test_nothing_is_touched,
   test_factorization.py::test_signatures_of_the_contract
49 targets that cannot be differentiated: test_messages.py::TestTargets,
   test_detection.py::test_nothing_matches_is_zero_with_a_graph, test_defects.py::test_softmax_of_one_score
50 Otsu's wrong half: test_metrics.py::test_every_branch_removes_the_right_part
51 ties: test_metrics.py::test_ties_do_not_change_the_number
52 noise of ROAD: test_road.py::test_noise_is_seeded_and_in_the_holes_only,
   test_road.py::test_a_weighting_of_ones_own, test_road.py::test_the_picture_and_its_graph_stay_as_they_are
53 drops that are not relative: test_metrics.py::test_relative_drops_by_hand
54 hooks in metrics: test_metrics.py::test_no_hook_of_a_cam_fires
55 dead modules: test_older_names.py::test_edges, test_drop_in.py::test_the_contract
56 compiled and scripted networks: test_twins.py::test_the_same_map, test_twins.py::test_scripted_and_traced
57 networks without parameters: test_defects.py::test_a_network_without_parameters
58 command line: test_cli_messages.py::test_mistakes_get_one_sentence, test_models.py::test_a_factory_of_one_s_own
59 packaging: test_import_cost.py::test_importing_a_method_loads_torch_and_numpy_only,
   test_floors.py::test_the_requirements_agree, test_defects.py::test_version_and_types
"""

from __future__ import annotations

import gc
import re
import tomllib
from importlib import resources
from typing import Any

import numpy as np
import pytest
import torch
from helpers.methods_for_any_network import ANY_NETWORK, few_steps  # noqa: F401 - the fixture
from helpers.paths import ROOT
from helpers.tiny_nets import ConvNet, build, inputs
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import pytorch_grad_cam
from pytorch_grad_cam import AblationCAM, EigenCAM, GradCAM, HiResCAM, ScoreCAM
from pytorch_grad_cam.engine.maps import principal_projection
from pytorch_grad_cam.targets.classification import ClassifierOutputSoftmaxTarget

every_method = pytest.mark.parametrize("method", ANY_NETWORK.values(), ids=ANY_NETWORK)
WITHOUT_GRADIENTS = {name: method for name, method in ANY_NETWORK.items() if not method.load().uses_gradients}
maps_may_mean_nothing = pytest.mark.filterwarnings("ignore:.*not every map means something")


def test_a_users_own_error() -> None:
    """Row 3: an IndexError of the user's own code leaves the with block."""
    with pytest.raises(IndexError, match="list index"), GradCAM(build(ConvNet), "conv2") as cam:
        cam(inputs(), [0, 1, 2][3])


def test_there_is_no_destructor() -> None:
    """Row 4: what failed while it was made has nothing to clean up, so no second error hides the first."""
    for method in ANY_NETWORK.values():
        kind = method.load()
        assert not hasattr(kind, "__del__")
        with pytest.raises(TypeError, match=r"must be a torch.nn.Module"):
            kind("resnet50")  # type: ignore[arg-type]
    gc.collect()  # an error in a destructor would be raised by pytest here


@pytest.mark.parametrize("method", [*WITHOUT_GRADIENTS.values(), ANY_NETWORK["gradcam"]], ids=lambda row: row.name)
@maps_may_mean_nothing
def test_no_graph_without_need(method: Any) -> None:
    """Row 11: methods that take no gradients look at the network without a graph; GradCAM's begins at the layer."""
    net, graphs = build(ConvNet), []
    for layer in (net.conv1, net.head):
        layer.register_forward_hook(lambda module, args, output: graphs.append(output.requires_grad))
    method.load()(net, "conv3")(inputs(), 1)
    assert graphs[:2] == [False, method.name == "gradcam"]


class LargestTensor(TorchDispatchMode):
    """Knows how many numbers the largest tensor had that was made meanwhile."""

    size = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for each in made if isinstance(made, (tuple, list)) else [made]:
            if isinstance(each, Tensor):
                self.size = max(self.size, each.numel())
        return made


@pytest.mark.parametrize("shape", [(1, 16, 40, 40), (1, 512, 5, 5)])
def test_a_component_needs_no_square_of_the_positions(shape: tuple[int, ...]) -> None:
    """Row 17: nothing larger than the activations is made, neither positions by positions nor channels by channels."""
    values = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    with LargestTensor() as largest:
        principal_projection(values)
    assert largest.size <= values.numel()


def test_between_calls() -> None:
    """Row 19: a forward pass of the user's own is not recorded, and his reshape_transform stays out of it."""
    net, x, reshaped = build(ConvNet), inputs(), []

    def reshape(output: Tensor) -> Tensor:
        reshaped.append(output)
        return output

    with GradCAM(net, "conv2", reshape) as cam:
        cam(x, 1)
        count = len(reshaped)
        kept = cam.activations_and_grads.activations
        for _ in range(20):
            net(x)
        assert len(reshaped) == count
        assert cam.activations_and_grads.activations is kept
    assert cam.activations_and_grads.activations == []


def test_resizing_never_overshoots() -> None:
    """Row 25: maps of volumes are interpolated linearly, so they stay between the values they come from."""
    found = HiResCAM(build(ConvNet, 3), "conv2").explain(inputs(3), 1, relu=False, normalize="none")
    low, high = found.raw[0].flatten(1).aminmax(dim=1)
    assert (found.maps.flatten(1).amin(1) >= low - 1e-6).all()
    assert (found.maps.flatten(1).amax(1) <= high + 1e-6).all()


@every_method
@maps_may_mean_nothing
def test_ignored_targets_are_said(method: Any, logged: list[str]) -> None:
    """Row 27: a method that shows the same whatever the target says so when it is given one, and only then."""
    kind, x = method.load(), inputs()
    cam = kind(build(ConvNet), "conv2")
    cam(x)
    assert not any("targets are ignored" in each for each in logged)
    cam(x, 1)
    assert any("targets are ignored" in each for each in logged) is not kind.uses_targets


@maps_may_mean_nothing
def test_what_eigen_smooth_does_not_change_is_said() -> None:
    """Row 27: where the map is a principal component already, the documentation says that smoothing changes nothing."""
    x, unchanged = inputs(), []
    for kind in (method.load() for method in ANY_NETWORK.values()):
        cam = kind(build(ConvNet), "conv2")
        if kind.get_cam_image is not GradCAM.get_cam_image and np.array_equal(cam(x, 1), cam(x, 1, eigen_smooth=True)):
            unchanged.append(kind)
    assert EigenCAM in unchanged
    for kind in unchanged:
        assert re.search(r"``eigen_smooth``\s+(changes\s+nothing|is\s+ignored)", kind.__doc__ or ""), kind


@pytest.mark.parametrize("offset", [-50.0, 50.0])
def test_ablation_does_not_see_a_constant(offset: float) -> None:
    """Row 30: a constant added to a score neither turns the map around nor lets it vanish."""
    net, x = build(ConvNet).double(), inputs().double()
    expected = AblationCAM(net, "conv2").explain(x, 1, relu=False)
    net.head.bias.data += offset
    found = AblationCAM(net, "conv2").explain(x, 1, relu=False)
    torch.testing.assert_close(found.maps, expected.maps, atol=1e-5, rtol=0)


def test_two_ablations_inside_each_other() -> None:
    """Row 33: one AblationCAM may be called while another one runs."""
    net, x = build(ConvNet), inputs()
    outer, inner = AblationCAM(net, "conv2"), AblationCAM(net, "conv2")
    expected, expected_inner = outer(x, 1), inner(x, 2)
    found: list[Any] = []

    def target(output: Tensor) -> Tensor:
        if len(found) < 2:
            found.append(inner(x, 2))
        return output[1]

    np.testing.assert_array_equal(outer(x, target), expected)
    for each in found:
        np.testing.assert_array_equal(each, expected_inner)


@maps_may_mean_nothing
def test_masked_passes_run_without_hooks() -> None:
    """Row 37: the layer is watched once; the passes over masked copies of the images leave no activations."""
    net, hooks = build(ConvNet), []
    net.head.register_forward_hook(lambda module, args, output: hooks.append(len(net.conv2._forward_hooks)))
    ScoreCAM(net, "conv2")(inputs(), 1)
    assert hooks[0] == 1
    assert len(hooks) > 1
    assert not any(hooks[1:])


def test_softmax_of_one_score() -> None:
    """Row 49: it is 1 whatever the picture shows, so the map is blank, and that is said."""
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))
    with pytest.warns(UserWarning, match="the target does not react to the layer there"):
        GradCAM(net, "0")(inputs(), ClassifierOutputSoftmaxTarget(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_a_network_without_parameters(dtype: torch.dtype) -> None:
    """Row 57: it is where its input is, and calculates in the input's type."""
    net, x = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), inputs().to(dtype)
    cam = EigenCAM(net, "0")
    assert cam.device == torch.device("cpu")
    assert cam(x).shape == (2, 11, 14)
    relu = x[:, 1].float().relu().flatten(1)
    low, high = relu.amin(1, keepdim=True), relu.amax(1, keepdim=True)
    found = torch.from_numpy(GradCAM(net, "0")(x, 1)).flatten(1)
    torch.testing.assert_close(found, (relu - low) / (high - low), atol=1e-2, rtol=0)


def test_version_and_types() -> None:
    """Row 59: the version is written once, and type checkers may read the annotations."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "pytorch_grad_cam.__version__"}
    assert "version" not in (ROOT / "setup.py").read_text(encoding="utf-8")
    assert not (ROOT / "setup.cfg").exists()
    assert resources.files(pytorch_grad_cam).joinpath("py.typed").is_file()
