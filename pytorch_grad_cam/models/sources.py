"""SOURCES: every kind of place that networks come from. The only list there is; reading it loads none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytorch_grad_cam.models.loaded import LoadedModel

    # A name as the user writes it; a file of weights, or what else `Source.takes_weights` allows; trust_pickle.
    Loader = Callable[[str, str | None, bool], LoadedModel]


@dataclass(frozen=True)
class Source:
    """One row of the table: how the names of a source are recognised, and which function loads them.

    Attributes:
        loader: "module:function", a `Loader`; imported when a network of this source is loaded.
        offer: what it has, for the message on an unknown name.
        help: the same for the command line, with a spelling.
        names: fixed names, in lower case.
        endings: of files, in lower case.
        prefixes: of names, as they are written.
        separator: a sign between two parts of a name.
        listing: "module:function" that returns its names, in lower case, where only another package knows them.
        takes_weights: whether weights can be given; False: the file holds them.
        random_weights: whether weights are downloaded if none are given, and "random" in their place leaves that out.
        folder_file: a file by which a folder is known that stands behind the prefix instead of a name: it has weights.
    """

    loader: str
    offer: str
    help: str
    names: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    separator: str = ""
    listing: str = ""
    takes_weights: bool = True
    random_weights: bool = False
    folder_file: str = ""

    def load(self, spec: str, weights: str | None, trust_pickle: bool) -> LoadedModel:
        """Import the loader and call it."""
        loader: Loader = _imported(self.loader)
        return loader(spec, weights, trust_pickle)

    def listed(self) -> Iterable[str]:
        """Return all of its names that can be listed, in lower case; importing the package that knows them."""
        names: Iterable[str] = _imported(self.listing)() if self.listing else ()
        return (*self.names, *names)

    def is_downloaded(self, spec: str) -> bool:
        """Say whether the weights of one of its networks are downloaded if none are given."""
        folder = spec.partition("/")[2]
        return self.random_weights and not (self.folder_file and Path(folder, self.folder_file).is_file())


SOURCES = (
    Source(
        "models.shapes:load_built_in",
        offer="shapes",
        help="shapes (built in, needs no download)",
        names=("shapes",),
    ),
    Source(
        "models.from_torchvision:load_torchvision",
        offer="torchvision's networks for classification, segmentation and detection",
        help="a torchvision network such as resnet50",
        listing="models.from_torchvision:torchvision_names",
        random_weights=True,
    ),
    Source(
        "models.from_timm:load_timm",
        offer="timm/NAME",
        help="timm/NAME or timm/FOLDER",
        prefixes=("timm/",),
        random_weights=True,
        folder_file="config.json",
    ),
    Source(
        "models.from_timm:load_timm",
        offer="hf-hub:NAME",
        help="hf-hub:OWNER/NAME (timm)",
        prefixes=("hf-hub:", "hf_hub:", "local-dir:"),
    ),
    Source(
        "models.from_huggingface:load_huggingface",
        offer="hf/PATH",
        help="hf/NAME or hf/FOLDER (transformers)",
        prefixes=("hf/",),
    ),
    Source(
        "models.from_factory:load_factory",
        offer="package.module:factory for your own",
        help="package.module:factory for your own",
        separator=":",
    ),
    Source(
        "models.from_pickle:load_pickled",
        offer=".pt and .pth files with a whole network, as of ultralytics",
        help="a .pt or .pth file with a whole network (YOLO; needs --trust-pickle)",
        endings=(".pt", ".pth"),
        takes_weights=False,
    ),
    Source(
        "models.nnp.load:load_nnp",
        offer=".nnp files of Neural Network Console",
        help="a .nnp file",
        endings=(".nnp",),
        takes_weights=False,
    ),
    Source(
        "models.from_exported:load_exported",
        offer=".pt2 files of torch.export",
        help="a .pt2 file of torch.export",
        endings=(".pt2",),
        takes_weights=False,
    ),
)


def source_of(spec: str) -> Source | None:
    """Return the source that a name belongs to, wherever its row stands; None if it is unknown.

    A fixed name counts before an ending, that before a prefix, that before a separator; only what is none of these is
    looked up in the listings of other packages.
    """
    lower = spec.lower()
    rules: tuple[Callable[[Source], bool], ...] = (
        lambda source: lower in source.names,
        lambda source: lower.endswith(source.endings),
        lambda source: spec.startswith(source.prefixes),
        lambda source: bool(source.separator) and source.separator in spec,
        lambda source: lower in source.listed(),
    )
    return next((source for rule in rules for source in SOURCES if rule(source)), None)


def sentence(phrases: Iterable[str], conjunction: str) -> str:
    """Join phrases to a list with commas; the conjunction stands before the last."""
    *most, last = phrases
    return f"{', '.join(most)}, {conjunction} {last}"


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(f"pytorch_grad_cam.{module}"), name)
