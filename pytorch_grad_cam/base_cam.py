"""BaseCAM: what every method offers, whole; the order of a call's stages is in ``core/pipeline.py``."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients
from pytorch_grad_cam.common.messages import Note
from pytorch_grad_cam.core import older_steps, pipeline
from pytorch_grad_cam.core.call import Call, CallResult, MapOptions, refuse_older_names
from pytorch_grad_cam.core.explanation import Explanation, with_pictures
from pytorch_grad_cam.core.forward_pass import LayerRecord
from pytorch_grad_cam.engine import maps
from pytorch_grad_cam.engine.arrays import get_2d_projection, in_kind
from pytorch_grad_cam.engine.arrays import scale_cam_image as scale_cam_image  # patched here, see older_steps
from pytorch_grad_cam.engine.image_model import OutputSelector
from pytorch_grad_cam.engine.layers import LayerSpec, layers_or_choice, network_in, resolve_layers
from pytorch_grad_cam.engine.pass_record import PassRecord, ReshapeTransform
from pytorch_grad_cam.targets.classification import ClassifierOutputTarget as ClassifierOutputTarget  # patched here
from pytorch_grad_cam.targets.classification import Target, Targets
from pytorch_grad_cam.targets.spec import ClassTarget, TargetSpec

if TYPE_CHECKING:
    from pytorch_grad_cam.engine.relu_rules import Rule

log = logging.getLogger(__name__)

Arrays = NDArray[np.float32]
PACKAGE = __name__.partition(".")[0]


class BaseCAM(older_steps.OlderSteps):
    """A method of explanation: subclasses say how channels are weighted, everything else is here.

    Override ``get_cam_weights`` (weights ``(B, C)`` or ``(B, C, *S)``) or, where a map is not a weighted sum,
    ``get_cam_image``. An override defined outside this package receives NumPy arrays, unless its class sets
    ``tensors = True``. What a method needs is a class attribute, see below.

    Args:
        model: the network. It is never changed: training flags, ``.grad``, hooks and parameters stay as they were.
            An object that is no module, but called like one and has ``parameters()``, is taken as one.
        target_layers: a module, a dotted name, or a list of these; None takes the last layer with positions that
            matter, found on the first input by one extra forward pass, and logs it; see ``engine.auto_layer``. "stages"
            takes the last of each of the last three resolutions, see ``engine.stages``; ["stages"] a layer so named.
        reshape_transform: from a layer's output to ``(B, C, *S)``; None: found by shapes, see ``engine.layout``.
        compute_input_gradient: the input that overrides receive carries its gradient in ``.grad``.
        uses_gradients: replaces the class's own statement; for subclasses written elsewhere.
        tta_transforms: views for ``aug_smooth``: an iterable of objects with ``augment_image`` and
            ``deaugment_mask``, such as a ``ttach.Compose``; None for flips of the last axis times factors 0.9, 1, 1.1.
        detach: False: overrides receive activations and gradients that can be differentiated further.
        output: which part of the model's output is meant: an index, a key, an attribute or a callable; None: all of
            it. Class targets find ``logits``, ``out`` or the first tensor by themselves.
        relu_rule: how gradients pass ReLUs: "plain", or "guided" or "deconv" (see ``engine.relu_rules``).
        keep_mode: explain the network as it stands, each module in the mode that it is in, such as dropout that is
            left in training mode on purpose (Monte Carlo dropout); else in evaluation mode. What it draws differs from
            call to call; a batch norm in training mode normalises by the batch, but its running means do not move.
        categories: names of the classes, in the order of the outputs or by index, so that targets can be names; None:
            those that the network has itself (``config.id2label`` or ``names``), if any.

    Raises:
        TypeError: for a model that is no module nor called like one, or for arguments of older interfaces that have a
            new name.
        ValueError: for layers that the model does not have.
    """

    uses_gradients: bool = True  # whether get_cam_weights needs grads
    uses_targets: bool = True  # whether the map depends on what is asked for
    tells_classes: bool = True  # whether maps of different classes differ much, where the method uses targets
    uses_layers: bool = True  # whether target_layers and reshape_transform matter
    tensors: bool = False  # whether overrides written elsewhere take tensors instead of arrays
    rectifies: bool = True  # whether a map shows evidence for the target only, unless relu=False says otherwise
    fine_grained: bool = False  # whether a map has a value of its own for every pixel, few of them large
    layers_are_scales: bool = False  # whether the target layers were chosen, one for each scale of a detector
    replays: bool = False  # whether the part behind the layer will run again and again
    class_target: ClassTarget | None = None  # how a class is scored, where it is not by the class's own score
    record_class: type[PassRecord] = PassRecord  # what runs the pass

    def __init__(
        self,
        model: nn.Module,
        target_layers: LayerSpec | Iterable[LayerSpec] | None = None,
        reshape_transform: ReshapeTransform | None = None,
        compute_input_gradient: bool = False,
        uses_gradients: bool | None = None,
        tta_transforms: Iterable[Any] | None = None,
        detach: bool = True,
        *,
        output: OutputSelector | None = None,
        relu_rule: Rule = "plain",
        keep_mode: bool = False,
        categories: Sequence[str] | Mapping[int, str] | None = None,
        **older: Any,
    ) -> None:
        if not isinstance(model, nn.Module):
            from pytorch_grad_cam.engine.called_model import as_module  # few models are none

            model = as_module(model, target_layers)
        if reshape_transform is not None and not callable(reshape_transform):
            raise TypeError(f"reshape_transform must be a callable or None, not {reshape_transform!r}")
        refuse_older_names(type(self), older)
        self.model = model = network_in(model)
        self.target_layers, self.layer_choice = layers_or_choice(model, target_layers)
        self.reshape_transform = reshape_transform
        if uses_gradients is not None:
            self.uses_gradients = uses_gradients
        self.compute_input_gradient, self.detach = compute_input_gradient, detach
        self.tta_transforms = tta_transforms
        self.output, self.relu_rule, self.keep_mode = output, relu_rule, keep_mode
        self.categories = categories
        if not keep_mode and any(module.training for module in model.modules()):
            log.info(
                "the network is in training mode: a call puts it in evaluation mode and gives its mode back; put it in "
                "evaluation mode to predict like what is explained, or give keep_mode=True to explain it as it is"
            )
        if older_steps.is_patched("ActivationsAndGradients"):  # somebody put another in its place here
            self.activations_and_grads = ActivationsAndGradients(
                model, self.target_layers or [], reshape_transform, detach
            )

    if not TYPE_CHECKING:  # a checker would let any attribute be set

        def __setattr__(self, name: str, value: Any) -> None:
            """Refuse a batch size without images, also one that is set later, for every method that has one."""
            if name == "batch_size" and isinstance(value, (int, float)) and not (isinstance(value, int) and value >= 1):
                raise ValueError(f"batch_size={value} is no number of images; give a whole number from 1 on")
            super().__setattr__(name, value)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let what this package writes for tensors also take arrays, and answer in arrays."""
        super().__init_subclass__(**kwargs)
        for name in ("get_cam_weights", "get_cam_image"):
            if name in vars(cls) and older_steps.is_ours(vars(cls)[name]):
                setattr(cls, name, in_kind(vars(cls)[name]))

    @classmethod
    def __subclasses__(cls) -> list[type[BaseCAM]]:
        """Return the classes made of this one; of ``BaseCAM`` every method that there is, and those of the user.

        Whoever builds a table of methods finds all of them, whichever were imported before.
        """
        direct: list[type[BaseCAM]] = type.__subclasses__(cls)
        if cls is not BaseCAM:
            return direct
        package = importlib.import_module(PACKAGE)  # its names are those of the table
        public = [value for name in package.__all__ if isinstance(value := getattr(package, name), type)]
        methods = [value for value in public if issubclass(value, BaseCAM) and value is not BaseCAM]
        return list(dict.fromkeys(methods + [found for found in direct if not older_steps.is_ours(found)]))

    def __call__(
        self,
        input_tensor: Tensor,
        targets: Targets = None,
        aug_smooth: bool = False,
        eigen_smooth: bool = False,
        **options: Unpack[MapOptions],
    ) -> NDArray[np.float32]:
        """Explain a batch of images; ``explain`` says what the arguments mean.

        Returns:
            float32 ``(B, *S)``, in [0, 1] unless the options ask for something else.
        """
        if options.get("differentiable") or "images" in options:
            raise ValueError(
                "an array has no graph and keeps no pictures; call cam.explain(...), with the same arguments"
            )
        if names := older_steps.taken(self):
            older_steps.refuse(self, names, options)
            return older_steps.run(self, input_tensor, targets, aug_smooth, eigen_smooth)
        smooth = {"aug_smooth": aug_smooth, "eigen_smooth": eigen_smooth}
        return pipeline.explain(self, input_tensor, TargetSpec.asked(targets, options), **smooth, **options).numpy()

    def explain(
        self,
        input_tensor: Tensor,
        targets: Targets = None,
        *,
        aug_smooth: bool = False,
        eigen_smooth: bool = False,
        **options: Unpack[MapOptions],
    ) -> Explanation:
        """Find out which parts of each image speak for its target.

        Args:
            input_tensor: ``(B, C, *S)``; it is moved to the model's device and floating type, and never changed. A
                tuple, list or mapping holds several inputs of the model.
            targets: None (each image's top class), a class index or name, a callable from one image's output to a
                scalar, a list or tensor with one of these per image, or labels ``(B, M)``.
            aug_smooth: average over changed views of the input; the class is fixed on the unchanged input.
            eigen_smooth: first principal component of the weighted activations instead of their sum.
            **options:
                relu: keep only evidence for the target (default True); False gives signed maps.
                normalize: how each layer's map, and then their mean, is scaled: "minmax" to [0, 1] (default with
                relu), "max" by the largest absolute value (default without), "none": comparable between images.
                size: spatial size of the maps; default: the input's.
                allow_nonfinite: count NaN and infinity as 0 and say so in ``notes``, instead of raising.
                against: explain what speaks against the target.
                contrast: two classes; explain what speaks for the first rather than the second. Signed by default.
                Or "rest": what speaks for the class of ``targets`` rather than for all others together, its log odds.
                differentiable: the maps carry a graph down to the input and the parameters (gradient methods).
                forward_kwargs: further keyword arguments of the model.
                image: index or name of the input, of several, that the map is drawn for; default: the first that
                    can be a picture.
                samples: explain the network so many times and return the mean, and in ``variance`` how the maps
                differ; for networks that draw (``keep_mode=True``, Monte Carlo dropout). One more pass, in evaluation
                mode, decides what is explained; everything but the maps is of that pass.
                activations: hand out the layers' ``activations`` and ``gradients`` too.
                images: the pictures that the images were made of, one for each, of any kind: the explanation keeps
                them, draws its maps over them (``overlay``, ``grid``, ``save``), and shows itself in a notebook.

        Raises:
            TypeError, ValueError, IndexError: for inputs, targets or options that cannot be; the message says why.
            RuntimeError: if a target layer does not run, or runs in inference mode.
        """
        if names := older_steps.taken(self):
            return older_steps.explain(self, input_tensor, targets, aug_smooth, eigen_smooth, names, options)
        spec, images = TargetSpec.asked(targets, options), options.pop("images", None)
        smooth = {"aug_smooth": aug_smooth, "eigen_smooth": eigen_smooth}
        return with_pictures(pipeline.explain(self, input_tensor, spec, **smooth, **options), images, self)

    def explain_each(
        self,
        input_tensor: Tensor,
        targets: Sequence[Targets] | None = None,
        *,
        eigen_smooth: bool = False,
        **options: Unpack[MapOptions],
    ) -> Explanation:
        """Explain several targets of every image, gradient methods from one forward pass.

        Args:
            input_tensor: as for ``explain``.
            targets: ``K`` times what ``explain`` takes; None: all classes.
            eigen_smooth, **options: as for ``explain``.

        Returns:
            As ``explain``, with an axis of length ``K`` after the first: maps ``(B, K, *S)``, scores ``(B, K)``.

        Raises:
            TypeError: if the targets are no sequence, or ``aug_smooth`` is asked for; else as ``explain``.
        """
        for name in {"aug_smooth", "samples"} & options.keys():
            raise TypeError(f"explain_each has no {name}; call cam.explain(..., {name}=...) for each target")
        if targets is not None and (isinstance(targets, str) or not isinstance(targets, Sequence)):
            raise TypeError(f"explain_each takes a sequence of targets, not {targets!r}; give e.g. [{targets!r}]")
        if names := older_steps.taken(self):
            return older_steps.explain_each(self, input_tensor, targets, eigen_smooth, names, options)
        from pytorch_grad_cam.core.several import explain_each  # not needed for one target

        specs = None if targets is None else [TargetSpec.asked(target, options) for target in targets]
        images = options.pop("images", None)
        return with_pictures(explain_each(self, input_tensor, specs, eigen_smooth, **options), images, self)

    def layer_sweep(
        self,
        input_tensor: Tensor,
        targets: Targets = None,
        layers: Iterable[LayerSpec] | None = None,
        *,
        eigen_smooth: bool = False,
        **options: Unpack[MapOptions],
    ) -> dict[str, Explanation]:
        """Explain one target of every image at several layers, gradient methods from one forward and backward pass.

        Args:
            input_tensor, targets: as for ``explain``.
            layers: modules or dotted names; None takes the network's stages, up to the target layer, found by two extra
                forward passes: the last layer of each resolution, or what each block of a transformer begins with; see
                ``engine.stages``.
            eigen_smooth, **options: as for ``explain``.

        Returns:
            By the name of each layer what ``explain`` returns for it alone, in the order in which the layers run or, if
            they were given, in that order.

        Raises:
            TypeError: if ``aug_smooth`` is asked for; else as ``explain``.
            ValueError: if the method looks at no layer, or the network has none with positions; else as ``explain``.
        """
        if "aug_smooth" in options:
            raise TypeError("layer_sweep has no aug_smooth; call cam.explain(..., aug_smooth=True) for each layer")
        from pytorch_grad_cam.core.several import layer_sweep  # not needed for one layer

        chosen = None if layers is None else resolve_layers(self.model, layers)
        spec, images = TargetSpec.asked(targets, options), options.pop("images", None)
        explanations = layer_sweep(self, input_tensor, spec, chosen, eigen_smooth, **options)
        return {found.layers[-1]: with_pictures(found, images, self) for found in explanations}

    # What a method overrides: the first two everybody's, the others those of this package.

    def get_cam_weights(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
    ) -> Tensor:
        """Weigh the channels: the one thing a method has to say.

        Args:
            input_tensor: the input, ``(B, C, *S)``.
            target_layer: the layer that is explained.
            targets: one callable per image.
            activations: of the layer, ``(B, C, *s)``, at least float32.
            grads: of the scores by the activations, same shape; None for a method that takes none.

        Returns:
            ``(B, C)`` or ``(B, C, *s)``.
        """
        raise NotImplementedError(f"{type(self).__name__} must override get_cam_weights or get_cam_image")

    @in_kind
    def get_cam_image(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
        eigen_smooth: bool = False,
    ) -> Tensor:
        """Make the map of one layer, signed and at its resolution: the weighted sum of its channels.

        Returns:
            ``(B, *s)``.
        """
        weights = self._override(self.get_cam_weights, input_tensor, target_layer, targets, activations, grads)
        if eigen_smooth and older_steps.is_patched("get_2d_projection"):  # somebody put another here
            return torch.as_tensor(get_2d_projection(maps.weighted(weights, activations).numpy(force=True)))
        return maps.combined(weights, activations, eigen_smooth)

    def explain_call(self, call: Call) -> CallResult:
        """Explain one batch as it is; a method whose stages are others than ``core.pipeline``'s has its own.

        Raises:
            TypeError: for a class that has replaced steps which another method, made of it, would not take.
        """
        if names := older_steps.taken(self):
            raise TypeError(
                f"{type(self).__name__} has steps of its own ({', '.join(names)}), which a method made of another one "
                "does not take; give it a class that overrides get_cam_weights or get_cam_image only"
            )
        return pipeline.explain_layers(self, call)

    @property
    def takes_steps(self) -> bool:
        """Whether the map is what the steps of ``core.older_steps`` make, so that each of them can be replaced."""
        kind = type(self)
        own = (kind.explain_call, kind.layer_map, kind.record_class)
        return own == (BaseCAM.explain_call, BaseCAM.layer_map, BaseCAM.record_class)

    @property
    def shares_pass(self) -> bool:
        """Whether several targets can be asked of one pass: the method has no stages of its own."""
        return type(self).explain_call is BaseCAM.explain_call

    def choose_layers(self, call: Call) -> list[nn.Module]:
        """Find target layers on the user's own input, where none were given: mostly one, or one per resolution."""
        from pytorch_grad_cam.engine.stages import chosen_layers  # not needed where layers are given

        inputs, layout = call.inputs, self.reshape_transform
        return chosen_layers(self.layer_choice, self.model, lambda: call.run(inputs), inputs, layout)

    def layer_map(self, call: Call, layer: LayerRecord, targets: list[Target]) -> pipeline.WeightsAndMap:
        """Return the weights (None where a method makes its map without) and the map of one layer."""
        arguments = (call.inputs, layer.module, targets, layer.activations, layer.grads)
        if getattr(self.get_cam_image, "__func__", None) is not BaseCAM.get_cam_image:
            return None, self._override(self.get_cam_image, *arguments, call.options.eigen_smooth)
        weights = self.layer_weights(call, layer, targets)
        return weights, maps.combined(weights, layer.activations, call.options.eigen_smooth)

    def layer_weights(self, call: Call, layer: LayerRecord, targets: list[Target]) -> Tensor:
        """Return the weights ``(B, C)`` or ``(B, C, *s)`` of one layer's channels."""
        return self._override(self.get_cam_weights, call.inputs, layer.module, targets, layer.activations, layer.grads)

    def notes_on_weights(self, weights: Tensor | None) -> Sequence[Note | None]:
        """Say per image what is wrong with one layer's weights, if anything; empty where they say nothing."""
        return ()

    def combine_layers(self, call: Call, targets: list[Target], raws: Sequence[Tensor]) -> Tensor:
        """Make one map ``(B, *S)`` per image of the layers' maps ``(B, *s)``."""
        return pipeline.resize_and_aggregate(raws, call.options)

    def _override(self, override: Callable[..., Any], *arguments: Any) -> Tensor:
        """Call an override with what its author expects: tensors in this package, arrays outside of it."""
        activations = arguments[3]
        if not (self.tensors or not self.detach or older_steps.is_ours(override)):
            arguments = tuple(
                item.cpu().numpy() if isinstance(item, Tensor) and index > 0 else item
                for index, item in enumerate(arguments)
            )
        return torch.as_tensor(override(*arguments), dtype=activations.dtype, device=activations.device)
