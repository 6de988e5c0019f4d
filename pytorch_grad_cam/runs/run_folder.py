"""The folder of a run over many pictures: what it says about itself, and who may write into it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from pytorch_grad_cam.data.files import write_bytes
from pytorch_grad_cam.runs.lock import LOCK, folder_lock
from pytorch_grad_cam.runs.run_index import RunIndex
from pytorch_grad_cam.runs.shards import Shard

FORMAT = 1
MANIFEST, INDEX, TIMES, SHARDS, REPORT = "manifest.json", "index.jsonl", "times.jsonl", "shards", "report"
PAGE = "index.html"  # of the report
# Where the files of pictures are, and how they end; `picture_files` says which is which.
PICTURES = ("overlays", "heatmaps", "maps", "boxes", "records", "thumbs")
_ENDINGS = (".jpg", ".png", ".npy", ".json", ".part")
_MOMENT = 5.0  # seconds within which whoever only looks whether a lock is free has given it back
_CLAIMING = 120.0  # likewise, seconds for all shares that begin at the same moment to write or read the manifest


class ChangedManifestError(ValueError):
    """The folder holds a run with other settings."""


class RunFolder:
    """A run's folder.

    Args:
        path: the folder; it need not exist.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def manifest_path(self) -> Path:
        """Where the settings are."""
        return self.path / MANIFEST

    def manifest(self) -> dict[str, Any] | None:
        """Return the settings of the run that lies here; None if there is none.

        Raises:
            ValueError: for a manifest that is damaged or of another version.
        """
        if not self.manifest_path.is_file():
            return None
        try:
            manifest = json.loads(self.manifest_path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self.manifest_path} is damaged ({error}); --overwrite begins anew") from error
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise ValueError(f"{self.manifest_path} was written by another version; name another folder")
        return manifest

    def claim(self, settings: Mapping[str, Any]) -> None:
        """Write the settings, or compare them with those that are there. The caller holds the lock (`writing`).

        Raises:
            ChangedManifestError: if they are others; the message names what differs.
            FileExistsError: if the folder holds files that a run would write, but no run.
        """
        now = json.loads(json.dumps({"format": FORMAT, **settings}))
        with folder_lock(self.path / SHARDS, _CLAIMING) if (self.path / SHARDS).is_dir() else nullcontext():
            before = self.manifest()  # shares that begin at the same moment come here one after the other
            if before is None:
                self._refuse_files_of_others()
                text = json.dumps(now, indent=2, ensure_ascii=False) + "\n"
                write_bytes(self.manifest_path, text.encode(errors="backslashreplace"), durable=True, sole_writer=True)
                return
        changed = [name for name in dict.fromkeys([*now, *before]) if before.get(name) != now.get(name)]
        if changed:
            what = "; ".join(
                f"{name}: {_short(before.get(name))} then, {_short(now.get(name))} now" for name in changed
            )
            raise ChangedManifestError(
                f"{self.path} holds a run with other settings ({what}); give the same as then, name another "
                "--output-dir, or begin anew with --overwrite"
            )

    def check_there(self) -> None:
        """Raise if the folder was deleted or moved away during the run, before anything is written to its place.

        Raises:
            FileNotFoundError: if it is not there.
        """
        if not self.manifest_path.is_file():
            raise FileNotFoundError(
                f"{self.path} was deleted or moved away during the run; put it back, and the same command goes on, or "
                "begins anew where it is gone"
            )

    @contextmanager
    def writing(self, shard: Shard | None) -> Iterator[None]:
        """Keep others out while the block writes: of the whole folder or, for a share of the run, of its own.

        Whoever has the whole folder shuts out all shares, and a share shuts out whoever wants the whole.

        Raises:
            RuntimeError: if another process is at work there.
            ValueError: for a share of a run that is shared out among another number.
        """
        if shard is None:
            with folder_lock(self.path, _MOMENT):
                for each in self.shards():
                    with folder_lock(self.of_shard(each)):  # only looks whether it is free
                        pass
                yield
            return
        self._refuse_other_counts(shard)
        with folder_lock(self.of_shard(shard)):
            with folder_lock(self.path, _MOMENT):  # likewise
                self._refuse_other_counts(shard)
            yield

    def of_shard(self, shard: Shard | None) -> Path:
        """Return where the index of a share of the run is; of a run that is not shared out, the folder itself."""
        return self.path if shard is None else self.path / SHARDS / shard.name

    def index(self, shard: Shard | None = None) -> RunIndex:
        """Open the index."""
        return RunIndex(self.of_shard(shard) / INDEX)

    def times(self, shard: Shard | None = None) -> RunIndex:
        """Open the list of how long each picture took."""
        return RunIndex(self.of_shard(shard) / TIMES)

    def shards(self) -> list[Shard]:
        """Return the shares that were begun here."""
        folder = self.path / SHARDS
        names = sorted(each.name for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []
        shards = []
        for name in names:
            number, _, count = name.partition("-of-")
            if number.isdecimal() and count.isdecimal():
                shards.append(Shard(int(number), int(count)))
        return sorted(shards, key=lambda shard: shard.number)

    def clear(self) -> None:
        """Delete what a run has written here, also what a kill left behind; nothing else, and nothing of no run.

        The caller holds the lock.
        """
        if not self._is_run():
            return
        for shard in self.shards():
            for name in (INDEX, TIMES, f".{INDEX}.part", f".{TIMES}.part", LOCK):
                (self.of_shard(shard) / name).unlink(missing_ok=True)
            self.of_shard(shard).rmdir()
        for name in (INDEX, TIMES):
            (self.path / name).unlink(missing_ok=True)
        for name in PICTURES:
            _clear_pictures(self.path / name)
        if (self.path / REPORT).is_dir():
            shutil.rmtree(self.path / REPORT)
        self.manifest_path.unlink(missing_ok=True)  # the last one: as long as it is there, this is a run

    def _is_run(self) -> bool:
        try:
            return self.manifest() is not None
        except ValueError:  # it is damaged, or not ours
            return (self.path / INDEX).is_file() or bool(self.shards())

    def _refuse_other_counts(self, shard: Shard) -> None:
        other = next((each for each in self.shards() if each.count != shard.count), None)
        if other is not None:
            raise ValueError(
                f"{self.path} holds share {other} of a run, and this is share {shard}: a run goes on with as many "
                f"shares as it began with; give --shard I/{other.count}, or, to share it out anew, delete "
                f"{self.path / SHARDS}"
            )

    def _refuse_files_of_others(self) -> None:
        for name in (INDEX, *PICTURES, REPORT):
            folder = self.path / name
            if folder.exists() and not (name in PICTURES and folder.is_dir() and not any(_written_by_runs(folder))):
                raise FileExistsError(
                    f"{self.path} has {name} already but no {MANIFEST}, so it is no run; name another --output-dir"
                )


def _written_by_runs(folder: Path) -> Iterator[Path]:
    """Yield the files that a run may have written into one of its folders."""
    return (each for each in folder.rglob("*") if each.suffix in _ENDINGS and (each.is_file() or each.is_symlink()))


def _clear_pictures(folder: Path) -> None:
    """Delete the files of a run in one of its folders, and the folders that are empty then."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in list(_written_by_runs(folder)):
        path.unlink()
    for each in [*sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True), folder]:
        with suppress(OSError):  # something else is in it, which stays
            each.rmdir()


def files_of(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the files that a row of the index names, relative to the run's folder."""
    for key in ("thumb", "record"):
        if row.get(key):
            yield row[key]
    for each in row.get("maps", ()):
        yield from each.get("files", {}).values()


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
