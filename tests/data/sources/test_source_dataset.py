"""Data sets of PyTorch as a source of pictures."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.small_pictures import MAX_PIXELS, check_items, number_of, picture, write_pictures
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset
from torchvision.datasets import FakeData, ImageFolder
from torchvision.transforms.functional import normalize, to_tensor

from pytorch_grad_cam.data.sources.dataset import DatasetSource


def array(number: int) -> Any:
    return np.array(picture(number))


class Pictures(Dataset[Any]):
    """The pictures 0 to 3 in some form."""

    def __init__(self, form: Callable[[int], Any]) -> None:
        self.form = form

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < 4:
            raise IndexError(index)
        return self.form(index)


def labelled(number: int) -> tuple[Any, int]:
    return picture(number), number + 10


def found(data: Any) -> list[tuple[str, str | int | None, int]]:
    return [(each.id, each.label, number_of(each.read(MAX_PIXELS))) for each in DatasetSource(data)]


@pytest.mark.parametrize(
    "form",
    [
        picture,
        array,
        lambda n: torch.from_numpy(array(n)).permute(2, 0, 1),
        lambda n: to_tensor(picture(n)),
        lambda n: to_tensor(picture(n)).double().requires_grad_(),
        lambda n: array(n).astype(np.float32) / 255,
        lambda n: torch.cat([to_tensor(picture(n)), torch.ones(1, 4, 6)]),  # nothing shines through
        lambda n: picture(n).convert("RGBA"),
    ],
)
def test_forms_of_a_picture(form: Callable[[int], Any]) -> None:
    for item in (form, lambda n: (form(n), n), lambda n: [form(n)], lambda n: {"image": form(n), "label": n}):
        assert [number for _, _, number in found(Pictures(item))] == [0, 1, 2, 3]


def test_gray_pictures() -> None:
    for form in (lambda n: torch.full((1, 4, 6), n / 255), lambda n: torch.full((4, 6), n, dtype=torch.uint8)):
        for number, item in enumerate(DatasetSource(Pictures(form))):
            assert item.read(MAX_PIXELS).tolist() == np.full((4, 6, 3), number).tolist()


@pytest.mark.parametrize(
    ("label", "wanted"),
    [
        (3, 3),
        (torch.tensor(3), 3),
        (torch.tensor([3]), 3),
        (np.int64(3), 3),
        ("cat", "cat"),
        ("", None),
        (None, None),
        (0.5, None),
        (True, None),
        (torch.tensor([0, 1]), None),
        ({"boxes": []}, None),
    ],
)
def test_labels(label: Any, wanted: Any) -> None:
    (first, *_) = DatasetSource(Pictures(lambda n: (picture(n), label, "more")))
    assert first.label == wanted  # before the picture is read
    (first, *_) = DatasetSource(Pictures(lambda n: (picture(n), label)))
    first.read(MAX_PIXELS)
    assert first.label == wanted


def test_the_names_of_classes_and_labels_without_a_look_at_the_pictures(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["cat/0.png", "cat/1.png", "dog/2.png", "dog/3.png"])
    wanted = [("00000000", "cat", 0), ("00000001", "cat", 1), ("00000002", "dog", 2), ("00000003", "dog", 3)]
    folder = ImageFolder(str(tmp_path))
    assert found(folder) == wanted
    assert found(Subset(Subset(folder, [3, 1, 0]), [0, 1])) == [("00000000", "dog", 3), ("00000001", "cat", 1)]
    for path in tmp_path.rglob("*.png"):
        path.write_bytes(b"")
    assert [each.label for each in DatasetSource(folder)] == ["cat", "cat", "dog", "dog"]
    assert [each.label for each in DatasetSource(Subset(folder, [2]))] == ["dog"]
    folder.classes = [("cat", "kitty"), ("dog", "hound")]
    assert [each.label for each in DatasetSource(folder)] == ["cat", "cat", "dog", "dog"]


def test_changed_labels_have_no_names(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["cat/0.png", "dog/1.png"])
    changed = ImageFolder(str(tmp_path), target_transform=lambda label: label + 100)
    assert [label for _, label, _ in found(changed)] == [100, 101]


def test_a_loader_stands_for_its_data_set() -> None:
    source = DatasetSource(DataLoader(Pictures(labelled), batch_size=3, shuffle=True))
    assert [number_of(each.read(MAX_PIXELS)) for each in source] == [0, 1, 2, 3]
    assert source.description == "data set: Pictures, in the order of the loader's data set"
    assert DatasetSource([picture(0)]).description == "data set: list"


FACTORY = """
from helpers.small_pictures import picture

def make():
    with open("made.txt", "a") as file:
        file.write("made\\n")
    return [(picture(number), "cat" if number else 7) for number in range(3)]

ready = [picture(4)]

def broken():
    raise KeyError("key")

def no_data_set():
    return 7
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the module own_pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())  # the working folder is added to it
    monkeypatch.delitem(sys.modules, "own_pictures", raising=False)
    (tmp_path / "own_pictures.py").write_text(FACTORY)
    return tmp_path


def test_a_factory(here: Path) -> None:
    items = list(DatasetSource("own_pictures:make"))
    assert [(each.id, each.label) for each in items] == [("00000000", 7), ("00000001", "cat"), ("00000002", "cat")]
    assert items[1].origin == "item 1 of own_pictures:make"
    assert (here / "made.txt").read_text() == "made\n"
    assert all(len(pickle.dumps(each)) < 300 for each in items)
    assert pickle.loads(pickle.dumps(items[1])).label == "cat"
    again = pickle.dumps(items)
    assert (here / "made.txt").read_text() == "made\n"
    del items
    assert [number_of(each.read(MAX_PIXELS)) for each in pickle.loads(again)] == [0, 1, 2]
    assert number_of(pickle.loads(again)[2].read(MAX_PIXELS)) == 2
    assert (here / "made.txt").read_text() == "made\nmade\n"  # once more, when nobody here had it any more
    assert len(DatasetSource("own_pictures:ready")) == 1
    assert len(DatasetSource("torchvision.datasets:FakeData")) == len(FakeData())


@pytest.mark.slow  # another process loads torch
def test_a_factory_is_called_once_in_another_process(here: Path) -> None:
    check_items(DatasetSource("own_pictures:make"), here, smaller_than=300)
    assert (here / "made.txt").read_text() == "made\n"
    assert (here / "elsewhere" / "made.txt").read_text() == "made\n"


@pytest.mark.parametrize(
    ("spec", "kind", "message"),
    [
        ("own_pictures:broken", RuntimeError, r"own_pictures:broken\(\) raised KeyError: 'key'; it is called without"),
        (
            "own_pictures:no_data_set",
            ValueError,
            "own_pictures:no_data_set is a int, no data set; give a data set",
        ),
        ("own_pictures:missing", ImportError, "has no 'missing'; it has picture, make, broken, no_data_set"),
        ("not_there:make", ImportError, "there is no module 'not_there'"),
        ("own_pictures.py:make", ValueError, "names a file; write it as a module: own_pictures:make"),
    ],
)
def test_factories_that_make_none(spec: str, kind: type[Exception], message: str, here: Path) -> None:
    with pytest.raises(kind, match=message):
        DatasetSource(spec)


def test_an_object_goes_with_its_items_and_comes_back_as_the_same() -> None:
    source = DatasetSource(Pictures(picture))
    items = pickle.loads(pickle.dumps(list(source)))
    assert [number_of(each.read(MAX_PIXELS)) for each in items] == [0, 1, 2, 3]
    first, second = (pickle.loads(pickle.dumps(each)) for each in list(source)[:2])
    assert first._shared is second._shared is source._shared
    del source, items
    data = pickle.dumps(first)
    del first, second
    assert number_of(pickle.loads(data).read(MAX_PIXELS)) == 0  # nobody here has it any more


def test_a_data_set_is_asked_for_one_picture_at_a_time() -> None:
    inside = 0

    def form(number: int) -> Any:
        nonlocal inside
        inside += 1
        assert inside == 1
        pause.wait(0.01)
        inside -= 1
        return picture(number)

    pause = threading.Event()
    items = list(DatasetSource(Pictures(form)))
    read: list[int] = []
    threads = [
        threading.Thread(target=lambda each=each: read.append(number_of(each.read(MAX_PIXELS)))) for each in items
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(read) == [0, 1, 2, 3]


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield picture(0)


class Endless(Dataset[Any]):
    def __getitem__(self, index: int) -> Any:
        return picture(0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            Stream(),
            "Stream can only be read from its beginning on, as an IterableDataset; give a data",
        ),
        (DataLoader(Stream()), "Stream can only be read from its beginning on"),
        (Endless(), "Endless does not say how many pictures it has"),
        (7, "int is a int, no data set; give a data set with len"),
        (Pictures, "type is a type, no data set"),
    ],
)
def test_what_is_no_data_set(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DatasetSource(data)


MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def fail(number: int) -> Any:
    raise KeyError(number)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (
            lambda n: normalize(to_tensor(picture(n)), MEAN, DEVIATION),
            r"item 0 of Pictures: its values are floats in -2.1\d*..1.6\d*, so it is normalized or scaled; give "
            "uint8, or floats in 0..1: the transforms without Normalize",
        ),
        (lambda n: 255 * to_tensor(picture(n)), "so it is normalized or scaled"),
        (lambda n: torch.full((3, 4, 6), float("nan")), "floats in nan..nan"),
        (lambda n: torch.zeros(5, 6, 3), r"a tensor must be one picture \(C, H, W\) .*, not \(5, 6, 3\)"),
        (lambda n: torch.zeros(1, 3, 4, 6), r"not \(1, 3, 4, 6\)"),
        (lambda n: torch.zeros(3, 0, 6), r"not \(3, 0, 6\)"),
        (lambda n: np.zeros((3, 4, 6), np.uint8), "channels come last, transpose it"),
        (lambda n: np.zeros(3, np.uint8), "a picture must have shape"),
        (lambda n: torch.full((3, 4, 6), 300), "must be integers in 0..255"),
        (lambda n: "a.png", "a picture must be a PIL image, an array or a tensor, not str"),
        (lambda n: (), "not NoneType"),
        (lambda n: {"pixels": 1}, "item 0 of Pictures has no picture under 'image', only pixels"),
        (fail, "item 0 of Pictures cannot be read: KeyError: 0"),
        (lambda n: picture(n, (40, 30)), "item 0 of Pictures: it has 40 x 30 pixels, more than the 1000 that are read"),
        (lambda n: np.zeros((30, 40, 3), np.uint8), "it has 40 x 30 pixels"),
    ],
)
def test_items_that_are_no_pictures(form: Callable[[int], Any], message: str) -> None:
    (first, *_) = DatasetSource(Pictures(form))
    with pytest.raises(ValueError, match=message):
        first.read(MAX_PIXELS)


def test_a_picture_that_is_opened_but_not_decoded_may_be_damaged() -> None:
    whole = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8)).save(whole, "PNG")
    half = whole.getvalue()[: len(whole.getvalue()) // 2]
    (first, *_) = DatasetSource(Pictures(lambda n: Image.open(BytesIO(half))))
    with pytest.raises(ValueError, match=r"item 0 of Pictures: .*truncated"):
        first.read(MAX_PIXELS)
