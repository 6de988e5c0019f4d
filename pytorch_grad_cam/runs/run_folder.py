"""The folder of a run over many pictures: what it says about itself, and who may write into it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytorch_grad_cam.data.files import write_bytes
from pytorch_grad_cam.runs.lock import LOCK, folder_lock
from pytorch_grad_cam.runs.run_index import RunIndex
from pytorch_grad_cam.runs.shards import Shard

FORMAT = 1
MANIFEST, INDEX, TIMES, SHARDS, REPORT = "manifest.json", "index.jsonl", "times.jsonl", "shards", "report"
PAGE = "index.html"  # of the report


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
        """Write the settings, or compare them with those that are there.

        Raises:
            ChangedManifestError: if they are others; the message names what differs.
            FileExistsError: if the folder holds files that a run would write, but no run.
        """
        now = json.loads(json.dumps({"format": FORMAT, **settings}))
        before = self.manifest()
        if before is None:
            self._refuse_files_of_others()
            self._write(now)
            before = self.manifest()  # another share of the run may have written it at the same moment
        assert before is not None
        changed = [name for name in dict.fromkeys([*now, *before]) if before.get(name) != now.get(name)]
        if changed:
            what = "; ".join(
                f"{name}: {_short(before.get(name))} then, {_short(now.get(name))} now" for name in changed
            )
            raise ChangedManifestError(
                f"{self.path} holds a run with other settings ({what}); give the same as then, name another "
                "--output-dir, or begin anew with --overwrite"
            )

    @contextmanager
    def writing(self, shard: Shard | None) -> Iterator[None]:
        """Keep others out while the block writes: of the whole folder or, for a share of the run, of its own.

        Raises:
            RuntimeError: if another process is at work there.
        """
        with folder_lock(self.of_shard(shard)):
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

    def begin_anew(self, settings: Mapping[str, Any]) -> None:
        """Delete what a run has written here, nothing else, and write other settings; the caller holds the lock.

        Raises:
            FileExistsError: if the folder holds files that a run would write, but no run.
        """
        if not self.manifest_path.is_file():
            return self.claim(settings)
        for shard in (None, *self.shards()):
            for row in self.index(shard).rows():
                for file in files_of(row):
                    (self.path / file).unlink(missing_ok=True)
            for name in (INDEX, TIMES, *([LOCK] if shard else [])):
                (self.of_shard(shard) / name).unlink(missing_ok=True)
            if shard is not None:
                self.of_shard(shard).rmdir()
        (self.path / REPORT / PAGE).unlink(missing_ok=True)  # it would show what is not there any more
        self._write({"format": FORMAT, **settings})
        return None

    def _write(self, manifest: Mapping[str, Any]) -> None:
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        write_bytes(self.manifest_path, text.encode(errors="backslashreplace"), durable=True)

    def _refuse_files_of_others(self) -> None:
        for name in (INDEX, "overlays", "heatmaps", "maps", "boxes", "records", "thumbs", REPORT):
            if (self.path / name).exists():
                raise FileExistsError(
                    f"{self.path} has {name} already but no {MANIFEST}, so it is no run; name another --output-dir"
                )


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
