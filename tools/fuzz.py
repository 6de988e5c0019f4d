"""Feed every reader of files with damaged and invented ones, each with a limit on time and memory, and count.

Run ``python -m tools.fuzz --inputs 1000`` (for each reader; ``--help`` shows more). An input is made of the seed, the
reader's name and its number alone, so ``--reader nnp-text --first 4711 --inputs 1`` makes the same one again. What a
reader may do with a file: read it, or raise ValueError or OSError. Anything else, more than 5 seconds, or more than
1 GB is a defect; the summary counts them, and the exit status is 1 if there is one. Needs Linux, which tells memory.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import queue
import random
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

SECONDS, MEMORY = 5.0, 1 << 30
STARTING = 120.0  # seconds that a worker may take before its first input
NUMBERS = (
    "0",
    "-1",
    "1",
    "7",
    "255",
    "65536",
    "2147483647",
    "4294967296",
    "1e308",
    "nan",
    "inf",
    "9" * 50,
    "0x7fffffff",
)
WORDS = (
    *("{", "}", "[", "]", '"', "'", "\\", ":", ",", "\n", "\0", "é", "\x1a", "#", "<", ">", "=", "true", "null"),
    *("__import__('os')", "s0**s0", "Pow(9, 9)", "torch.os.system", "../", "/dev/zero", "repeat_id", "dim", "stop"),
)


@dataclass(frozen=True)
class Reader:
    """A reader of files.

    Attributes:
        suffix: of the files that it reads.
        read: is given a path.
        seeds: sound files, which are damaged.
        member: of archives: what the name of the member that is damaged contains; empty to damage the whole file.
        signed: two files in three get new digests at the ends of their lines when they have been damaged.
    """

    suffix: str
    read: Callable[[Path], object]
    seeds: Callable[[], list[bytes]]
    member: str = ""
    signed: bool = False


# --- inputs ---------------------------------------------------------------------------------------------------------


def input_of(reader: Reader, seeds: Sequence[bytes], name: str, seed: int, number: int) -> bytes:
    """Make one input."""
    draw = random.Random(f"{seed} {name} {number}")
    whole = draw.choice(seeds)
    if not reader.member:
        data = damaged(whole, seeds, draw)
        return signed(data) if reader.signed and draw.random() < 0.67 else data
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(result, "w", zipfile.ZIP_STORED) as new:
        for member in old.namelist():
            data = old.read(member)
            if reader.member in member:
                data = changed_json(data, draw) if member.endswith(".json") else damaged(data, [data], draw)
            new.writestr(zipfile.ZipInfo(member), data)  # without the time of day
    return result.getvalue()


def sound_files(reader: Reader) -> list[bytes]:
    """Return the files that are damaged, the same in every process: no chance and no time of day is in them."""
    import torch

    with warnings.catch_warnings(), torch.random.fork_rng(devices=()):
        warnings.simplefilter("ignore")  # torch's, on the formats that are written
        torch.manual_seed(0)
        return reader.seeds()


def signed(data: bytes) -> bytes:
    """Give each line its digest, in the place of the one that it ends in."""
    return b"".join(_signed(re.sub(rb" \w*$", b"", line)) for line in data.splitlines())


def _signed(text: bytes) -> bytes:
    return text + b" " + hashlib.sha256(text).hexdigest()[:32].encode() + b"\n"


def damaged(data: bytes, others: Sequence[bytes], draw: random.Random) -> bytes:
    """Damage bytes in one to four places."""
    for _ in range(draw.choice((1, 1, 2, 4))):
        data = draw.choice(_DAMAGES)(data, draw) if draw.random() < 0.9 else _spliced(data, draw.choice(others), draw)
    return data


def _place(data: bytes, draw: random.Random) -> int:
    return draw.randrange(len(data) + 1)


def _bits(data: bytes, draw: random.Random) -> bytes:
    result = bytearray(data)
    for _ in range(draw.choice((1, 3, 20)) if data else 0):
        result[draw.randrange(len(result))] ^= 1 << draw.randrange(8)
    return bytes(result)


def _bytes(data: bytes, draw: random.Random) -> bytes:
    at, count = _place(data, draw), draw.choice((1, 2, 4, 8))
    value = draw.choice((b"\0", b"\xff", b"\x7f", bytes([draw.randrange(256)])))
    return data[:at] + value * count + data[at + count :]


def _cut(data: bytes, draw: random.Random) -> bytes:
    return data[: _place(data, draw)]


def _without(data: bytes, draw: random.Random) -> bytes:
    at = _place(data, draw)
    return data[:at] + data[at + draw.choice((1, 4, 64)) :]


def _repeated(data: bytes, draw: random.Random) -> bytes:
    at, length = _place(data, draw), draw.choice((1, 8, 100))
    return data[:at] + data[at : at + length] * draw.choice((2, 10, 1000)) + data[at:]


def _word(data: bytes, draw: random.Random) -> bytes:
    at = _place(data, draw)
    return data[:at] + draw.choice(WORDS).encode() * draw.choice((1, 1, 1, 5000)) + data[at:]


def _number(data: bytes, draw: random.Random) -> bytes:
    found = list(re.finditer(rb"-?\d+(\.\d+)?", data))
    if not found:
        return _bits(data, draw)
    which = draw.choice(found)
    return data[: which.start()] + draw.choice(NUMBERS).encode() + data[which.end() :]


def _spliced(data: bytes, other: bytes, draw: random.Random) -> bytes:
    return data[: _place(data, draw)] + other[_place(other, draw) :]


_DAMAGES: Sequence[Callable[[bytes, random.Random], bytes]] = (_bits, _bytes, _cut, _without, _repeated, _word, _number)


def changed_json(data: bytes, draw: random.Random) -> bytes:
    """Change values of JSON, which stays JSON; now and then the bytes."""
    if draw.random() < 0.1:
        return damaged(data, [data], draw)
    content = json.loads(data)
    places = list(_places(content))
    for _ in range(draw.choice((1, 1, 3))):
        holder, key = draw.choice(places)
        value = holder[key]
        text = damaged(str(value).encode(), [b""], draw).decode(errors="replace")
        number = draw.choice((0, -1, 1, 1 << 31, 1 << 63, 10**30, 0.5, float("inf")))
        holder[key] = draw.choice((text, text, number, number, None, True, [], {}, [value, value], {"as_int": value}))
    return json.dumps(content).encode()


def _places(content: Any) -> Any:
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in entries:
        yield content, key
        yield from _places(value)


# --- readers --------------------------------------------------------------------------------------------------------


def _read_nnp(path: Path) -> object:
    from pytorch_grad_cam.models.nnp import load_nnp

    return load_nnp(path)


def _read_exported(path: Path) -> object:
    from pytorch_grad_cam.models.from_exported import load_exported

    return load_exported(str(path))


def _read_weights(path: Path) -> object:
    from torch import nn

    from pytorch_grad_cam.models.weights_file import copy_weights, read_weights

    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    return copy_weights(net, read_weights(path), path)


def _read_image(path: Path) -> object:
    from pytorch_grad_cam.data.images import read_image

    return read_image(path)


def _read_categories(path: Path) -> object:
    from pytorch_grad_cam.models.categories import read_categories

    return read_categories(path)


def _read_dataset(path: Path) -> object:
    from pytorch_grad_cam.nnc.dataset_csv import DatasetCsv, Labels

    dataset = DatasetCsv(path)
    dataset.positions("x")
    labels = Labels(dataset, "y", 3)
    problems = []
    for row in dataset.rows():
        try:
            labels(dataset.checked(row))
        except (ValueError, OSError) as error:
            problems.append(error)
    return list(dataset.copied(path.parent / "other")), problems


def _read_journal(path: Path) -> object:
    from pytorch_grad_cam.runs.journal import Journal

    journal = Journal(path, {"model": "net", "rows": 9})
    if journal.changed or journal.unreadable:
        raise ValueError(journal.unreadable or f"other settings: {journal.changed}")
    return list(journal.batches())


def _nnp(how: str) -> list[bytes]:
    from helpers.nnp_files import classifier, dims, executor, function, network, variable, write_nnp

    start, inside = 'repeat_param { repeat_id: "R" times: 3 }', 'repeat_id: "R"'
    body = "".join(variable(name, [-1, 2], more=inside * (name in "ab")) for name in "xaby")
    body += function("RepeatStart", ["x", "b"], ["a"], start, more=inside) + function("RepeatEnd", ["b"], ["y"], start)
    body += function("Pad", ["a"], ["b"], 'pad_param { pad_width: 0 pad_width: 0 mode: "reflect" }', more=inside)
    repeated = network(body, more=f'repeat_info {{ id: "R" times: 3 {dims("shape", [1])} }}') + executor()
    with tempfile.TemporaryDirectory() as folder:
        paths = [write_nnp(Path(folder) / "a", *classifier(), how)]
        if how == "text":
            paths.append(write_nnp(Path(folder) / "b", repeated))
        return [_without_time(path) for path in paths]


def _without_time(path: Path) -> bytes:
    result = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(result, "w") as new:
        for member in old.namelist():
            new.writestr(zipfile.ZipInfo(member), old.read(member), zipfile.ZIP_DEFLATED)
    return result.getvalue()


def _exported() -> list[bytes]:
    import torch
    from torch import nn

    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    seeds = []
    for shapes in (None, ({0: torch.export.Dim("batch"), 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO},)):
        file = io.BytesIO()
        torch.export.save(torch.export.export(net, (torch.zeros(2, 2, 9, 8),), dynamic_shapes=shapes), file)
        seeds.append(file.getvalue())
    return seeds


def _pickled() -> list[bytes]:
    import torch
    from torch import nn

    state = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)).state_dict()
    # All in one storage: those of a file of before torch 1.6 are named, and sorted, by where they lie in memory.
    whole = torch.rand(sum(tensor.numel() for tensor in state.values() if tensor.is_floating_point()))
    state = {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
    parts = whole.split([tensor.numel() for tensor in state.values()])
    state = {name: part.view_as(tensor) for (name, tensor), part in zip(state.items(), parts, strict=True)}
    seeds = []
    for zipped in (True, False):
        file = io.BytesIO()
        torch.save({"state_dict": state, "epoch": 3}, file, _use_new_zipfile_serialization=zipped)
        seeds.append(_without_addresses(file.getvalue()))
    return seeds


def _without_addresses(data: bytes) -> bytes:
    return re.sub(rb"X[\x08-\x14]\0\0\0\d{8,20}", b"X\x0e\0\0\0" + b"7" * 14, data)


def _safetensors() -> list[bytes]:
    import safetensors.torch
    from torch import nn

    return [safetensors.torch.save(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)).state_dict())]


def _images() -> list[bytes]:
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (24, 33, 4), dtype=np.uint8)
    seeds = []
    kinds = {"JPEG": "RGB", "PNG": "RGBA", "GIF": "P", "BMP": "RGB", "TIFF": "RGB", "WEBP": "RGB", "PPM": "L"}
    for kind, mode in kinds.items():
        file = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(file, kind)
        seeds.append(file.getvalue())
    file = io.BytesIO()
    Image.fromarray(pixels.view(np.uint16)[:, :, 0]).save(file, "PNG")
    return [*seeds, file.getvalue()]


def _categories() -> list[bytes]:
    forms = (["cat", "dog"], {"0": ["n1", "cat"], "1": "dog"}, {"cat": 1, "dog": 0}, [{"name": "cat"}])
    return [json.dumps(form).encode() for form in forms]


def _dataset() -> list[bytes]:
    return [
        b"x:image,y:label\na.png,0\nb.png,2\n./c.png,1\n",
        b'\xef\xbb\xbfx,y__0:cat,y__1:dog,y__2,#note\r\na.png,0,1,0,hi\r\n"b,c.png",1,0,0,\r\n',
    ]


def _journal() -> list[bytes]:
    row = ["a", [7, 9, "b"], None]
    said = {"failed": [[1, "unlucky"]], "notes": [[2, "flat"]], "saturated": [3], "rows": [row] * 4}
    head = {"format": 2, "settings": {"model": "net", "rows": 9}}
    lines = [head, {"start": 0, "stop": 4, **said}, {"start": 4, "stop": 8, **said, "failed": []}]
    return [b"".join(_signed(json.dumps(line).encode()) for line in lines)]


READERS = {
    "nnp": Reader(".nnp", _read_nnp, lambda: _nnp("h5")),
    "nnp-text": Reader(".nnp", _read_nnp, lambda: _nnp("text"), "network.nntxt"),
    "nnp-protobuf": Reader(".nnp", _read_nnp, lambda: _nnp("protobuf"), "parameter.protobuf"),
    "nnp-h5": Reader(".nnp", _read_nnp, lambda: _nnp("h5"), "parameter.h5"),
    "pt2": Reader(".pt2", _read_exported, _exported),
    "pt2-program": Reader(".pt2", _read_exported, _exported, "models/"),
    "pt2-tensors": Reader(".pt2", _read_exported, _exported, "_config.json"),
    "pth": Reader(".pth", _read_weights, _pickled),
    "pth-pickle": Reader(".pth", _read_weights, lambda: _pickled()[:1], "data.pkl"),
    "safetensors": Reader(".safetensors", _read_weights, _safetensors),
    "image": Reader(".img", _read_image, _images),
    "categories": Reader(".json", _read_categories, _categories),
    "dataset": Reader(".csv", _read_dataset, _dataset),
    "journal": Reader(".jsonl", _read_journal, _journal, signed=True),
}


# --- a worker: reads inputs one after the other, and tells what became of each ----------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What became of an input: "read", "refused", "unexpected", "slow" or "large", and why."""

    kind: str
    seconds: float = 0.0
    memory: int = 0
    why: str = ""


def outcome_of(reader: Reader, path: Path) -> Outcome:
    """Read a file, and measure."""
    _reset_peak()
    before, began = _memory("VmRSS"), time.perf_counter()
    kind, why = "read", ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(path)
    except (ValueError, OSError) as error:
        kind, why = "refused", f"{error}"
    except MemoryError:
        kind = "large"
    except BaseException as error:  # whatever it is: that is what is looked for
        kind, why = "unexpected", f"{type(error).__name__}: {error}"
    seconds, memory = time.perf_counter() - began, _memory("VmHWM") - before
    kind = "slow" if seconds > SECONDS else "large" if memory > MEMORY else kind
    return Outcome(kind, seconds, max(memory, 0), why[:300])


def _memory(what: str) -> int:
    with open("/proc/self/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(what))


def _reset_peak() -> None:
    with open("/proc/self/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")


def work(name: str, seed: int) -> None:
    """Read the numbers of inputs from standard input; write an outcome a line."""
    import torch

    torch.set_num_threads(1)
    reader = READERS[name]
    answers, sys.stdout = sys.stdout, sys.stderr
    seeds = sound_files(reader)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"input{reader.suffix}"
        for sound in seeds:  # imports what reading needs, and shows that the seeds are sound
            path.write_bytes(sound)
            reader.read(path)
        limit = _memory("VmSize") + MEMORY + (256 << 20)  # addresses, of which more are taken than memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        print(json.dumps("ready"), file=answers, flush=True)
        for line in sys.stdin:
            path.write_bytes(input_of(reader, seeds, name, seed, int(line)))
            print(json.dumps(vars(outcome_of(reader, path))), file=answers, flush=True)


# --- the parent: hands out inputs, ends workers that hang, counts ----------------------------------------------------


@dataclass
class Tally:
    """The outcomes of one reader."""

    kinds: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    largest: int = 0
    defects: list[str] = field(default_factory=list)

    def add(self, number: int, outcome: Outcome) -> None:
        """Count an outcome."""
        self.kinds[outcome.kind] += 1
        self.slowest, self.largest = max(self.slowest, outcome.seconds), max(self.largest, outcome.memory)
        if outcome.kind not in ("read", "refused"):
            self.defects.append(f"{number}: {outcome.kind}, {outcome.why}")


class Worker:
    """A process that reads inputs, and is ended when one takes too long."""

    def __init__(self, name: str, seed: int) -> None:
        command = [sys.executable, "-m", "tools.fuzz", "--work", name, "--seed", str(seed)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
        if self._answer(STARTING) != "ready":
            raise RuntimeError(f"the worker for {name} does not start; run python -m tools.fuzz --work {name}")

    def outcome(self, number: int) -> Outcome | None:
        """Have an input read; None if the process had to be ended, or has ended itself."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        answer = self._answer(2 * SECONDS)
        return Outcome(**answer) if isinstance(answer, dict) else None

    def close(self) -> int | None:
        """End the process, and return the status that it had ended with before; None if it ran."""
        status = self._process.poll()
        self._process.kill()
        self._process.wait()
        return status

    def _listen(self, stream: IO[str]) -> None:
        for line in stream:
            self._answers.put(line)
        self._answers.put("null")

    def _answer(self, seconds: float) -> Any:
        try:
            return json.loads(self._answers.get(timeout=seconds))
        except queue.Empty:
            return None


def fuzz(name: str, seed: int, first: int, count: int) -> Tally:
    """Feed one reader with inputs."""
    tally, worker = Tally(), Worker(name, seed)
    for number in range(first, first + count):
        outcome = worker.outcome(number)
        if outcome is None:
            status = worker.close()
            ended = f"the process ended with {status}" if status is not None else "the process had to be ended"
            outcome = Outcome(
                "slow" if status is None else "unexpected", 2 * SECONDS if status is None else 0, 0, ended
            )
            worker = Worker(name, seed)
        tally.add(number, outcome)
    worker.close()
    return tally


def table(tallies: dict[str, Tally]) -> str:
    """Return the summary as a table in Markdown."""
    rows = [
        "| reader | inputs | read | refused | unexpected | > 5 s | > 1 GB | slowest | most memory |",
        "| --- " * 9 + "|",
    ]
    total: Counter[str] = Counter()
    for name, tally in tallies.items():
        total += tally.kinds
        rows.append(_row(name, tally.kinds, f"{tally.slowest:.2f} s", f"{tally.largest >> 20} MB"))
    slowest, largest = (max(getattr(tally, what) for tally in tallies.values()) for what in ("slowest", "largest"))
    return "\n".join([*rows, _row("all", total, f"{slowest:.2f} s", f"{largest >> 20} MB")])


def _row(name: str, kinds: Counter[str], slowest: str, largest: str) -> str:
    counts = (kinds.total(), *(kinds[kind] for kind in ("read", "refused", "unexpected", "slow", "large")))
    return "| " + " | ".join([name, *(f"{count:,}" for count in counts), slowest, largest]) + " |"


def main() -> int:
    """Read the options, and feed the readers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100, metavar="N", help="for each reader (default: 100)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first input (default: 0)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(default: 0)")
    parser.add_argument("--reader", nargs="+", choices=READERS, default=list(READERS), help="(default: all)")
    parser.add_argument("--work", choices=READERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # small .nnp files are made there
    if options.work:
        work(options.work, options.seed)
        return 0
    tallies = {}
    for name in options.reader:
        tallies[name] = fuzz(name, options.seed, options.first, options.inputs)
        for defect in tallies[name].defects:
            print(f"{name} {defect}", flush=True)
    print(table(tallies))
    return int(any(tally.defects for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
