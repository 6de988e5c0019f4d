"""The command ``video``: a network of pictures, frame by frame, asked for one class."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.cli.explain.arrays.common import each_file
from pytorch_grad_cam.cli.explain.arrays.video_options import VideoOptions
from pytorch_grad_cam.cli.explain.image_explainer import ImageExplainer, as_said
from pytorch_grad_cam.cli.network import load_network, network_summary
from pytorch_grad_cam.cli.output import headed_lines, written_files
from pytorch_grad_cam.common.messages import MeaninglessMapWarning
from pytorch_grad_cam.core.call import MapOptions
from pytorch_grad_cam.data.files import check_writable
from pytorch_grad_cam.data.videos import ANIMATED, Video, read_video, save_video
from pytorch_grad_cam.engine.restore import giving_back, undisturbed
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.picture_targets import read_scores
from pytorch_grad_cam.targets.class_choices import TopClasses, class_label
from pytorch_grad_cam.targets.score_kinds import ScoreKind
from pytorch_grad_cam.targets.spec import REST
from pytorch_grad_cam.visualization.colormaps import colormap_number
from pytorch_grad_cam.visualization.video import save_gif, show_cam_on_video

_BATCH = 8  # frames that run together, unless --batch-size says otherwise


def run(options: VideoOptions) -> int:
    """Explain every video frame by frame, write it with its maps, and say what was found.

    Returns:
        0; 1 if one failed, which is said.

    Raises:
        Exception: with a message for people where nothing at all can be done, or a single video failed.
    """
    check_writable(options.output_dir)
    videos = {path: _read(path, options) for path in options.image_path[:1]}
    loaded, device = load_network(options)
    loaded = as_said(loaded, options)
    if loaded.task != "classification":
        raise ValueError(f"{loaded.source} does {loaded.task}; a video is explained for one class of a classifier")
    explainer = ImageExplainer(loaded, options, device)

    def explain(path: str) -> Sequence[str]:
        video = videos.pop(path, None) or _read(path, options)
        inputs = torch.stack([loaded.preprocessing(frame) for frame in video.frames]).to(device)
        kind, named = read_scores(loaded, inputs[:1], options.scores)
        shares = _shares(loaded, inputs, kind)
        classes = _classes(explainer, shares)
        print(f"video:      {path}, {_described(video)}")
        print(f"model:      {network_summary(loaded, (inputs.shape[2], inputs.shape[3]))}")
        lines = [f"{class_label(category, named.categories)}{_spread(shares, category)}" for category in classes]
        print(*headed_lines("explained", lines), sep="\n")
        files: list[Path] = []
        problems: list[str] = []
        for name, cam in explainer.cams.items():
            for category in classes if cam.uses_targets else classes[:1]:
                maps = _maps(cam, inputs, category, explainer)
                if not np.abs(maps).max() > 0:
                    problems.append(f"{name}: nothing was drawn, no frame has a map that means something")
                    continue
                files.append(_write(path, name, category if len(classes) > 1 else None, video, maps, explainer))
        if files:
            print(*written_files(files), sep="\n")
        return problems

    return each_file(options, explain)


def _read(path: str, options: VideoOptions) -> Video:
    return read_video(path, options.max_frames, options.max_pixels)


@giving_back
def _shares(loaded: LoadedModel, inputs: Tensor, kind: ScoreKind | None) -> Tensor:
    """Return the share of each class in each frame, ``(T, M)``.

    Raises:
        ValueError: if the network gives no scores of classes.
    """
    with undisturbed(loaded.model, inputs.device):
        outputs = [loaded.run(part) for part in torch.split(inputs, _BATCH)]
    if kind is None or not all(isinstance(part, Tensor) and part.ndim == 2 for part in outputs):
        raise ValueError("a video is explained for one class, and this network does not return one number per class")
    return torch.stack([kind.shares(scores) for scores in torch.cat(outputs).cpu()])


def _classes(explainer: ImageExplainer, shares: Tensor) -> list[int]:
    """Return the classes to explain in all frames: those that were named or, by their mean share, the first ones."""
    ranked = shares.mean(0).argsort(descending=True).tolist()
    chosen: list[int] = []
    for choice in explainer.choices or [TopClasses(1)]:
        chosen += ranked[: choice.count] if isinstance(choice, TopClasses) else [choice]
    return list(dict.fromkeys(chosen))


def _maps(cam: BaseCAM, inputs: Tensor, category: int, explainer: ImageExplainer) -> NDArray[np.float32]:
    """Return the maps of all frames ``(T, h, w)`` on one scale: what is brighter is stronger, in every frame."""
    options = explainer.options
    contrast = explainer.contrast
    asked: MapOptions = {"normalize": "none", "relu": contrast is None}
    asked["against"] = options.against and cam.uses_targets
    if contrast is not None:
        asked["contrast"] = (contrast.first, contrast.second)
    elif options.rest and cam.uses_targets:
        asked["contrast"] = REST
    parts = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeaninglessMapWarning)  # a frame without the class has no map, and shows none
        for part in torch.split(inputs, options.batch_size or _BATCH):
            target = category if contrast is None and cam.uses_targets else None
            with explainer.passes(cam, part):
                found = cam.explain(part, target, eigen_smooth=options.eigen_smooth, **asked)
            parts.append(found.numpy())
    maps = np.concatenate(parts)
    highest = np.abs(maps).max()
    scaled: NDArray[np.float32] = maps / highest if highest > 0 else maps
    return scaled


def _write(
    path: str, method: str, category: int | None, video: Video, maps: NDArray[np.float32], explainer: ImageExplainer
) -> Path:
    options = explainer.options
    assert isinstance(options, VideoOptions)
    size = video.frames.shape[1:3]
    placed = np.stack([explainer.loaded.preprocessing.to_picture(map, size) for map in maps])
    blended = show_cam_on_video(
        video.frames,
        placed,
        signed=explainer.contrast is not None,
        colormap=colormap_number(options.colormap),
        image_weight=options.image_weight,
    )
    ending = options.format or ("gif" if Path(path).suffix.lower() in ANIMATED else "mp4")
    against = ("_rest" if options.rest else "") + ("_against" if options.against else "")
    which = "" if category is None else f"_{category}"
    target = Path(options.output_dir) / f"{Path(path).stem}_{method}{against}{which}.{ending}"
    rate = options.rate or video.rate
    if ending == "gif":
        save_gif(target, blended, fps=rate)
    else:
        save_video(target, blended, rate)
    return target


def _described(video: Video) -> str:
    """Write length and size of a video for people."""
    count, height, width = video.frames.shape[:3]
    more = f" (the first; {video.left_out} more are left out, see --max-frames)" if video.left_out else ""
    return f"{count} frames{more} of {width} x {height}, {video.rate:.3g} per second"


def _spread(shares: Tensor, category: int) -> str:
    """Write the lowest and highest share of a class over the frames."""
    if category >= shares.shape[1]:
        return ""
    of_class = 100 * shares[:, category]
    return f" in every frame, {float(of_class.min()):.1f} to {float(of_class.max()):.1f} %"
