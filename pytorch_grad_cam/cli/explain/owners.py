"""Tell of which picture files in a folder are, and keep those of another one when the same names are written again.

Drawings carry a comment with a code of the picture's path, from which the path cannot be read: they are published.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from pytorch_grad_cam.data.files import move_file
from pytorch_grad_cam.data.images import image_comment
from pytorch_grad_cam.data.samples import ENDINGS as PICTURES

_COMMENT = "pytorch_grad_cam, picture "
_PAGE = ", page "
_UNKNOWN = "earlier"  # the folder of files whose picture cannot be told
_MOST_LOOKED_AT = 100_000  # files among which the picture of a comment is looked for


def comment_for(picture: str | Path, page: int = 1) -> str:
    """Return the comment that drawings of a picture, or of a page of its file, carry."""
    code = sha256(os.path.abspath(picture).encode(errors="surrogateescape")).hexdigest()[:20]
    return f"{_COMMENT}{code}" + (f"{_PAGE}{page}" if page > 1 else "")


def keep_others(
    folder: Path, groups: Sequence[Sequence[str]], picture: str | Path, page: int = 1
) -> list[tuple[Path, Path]]:
    """Move the files of other pictures out of the way, into a folder of their own beside them.

    Args:
        folder: where files of ``picture`` are about to be written.
        groups: names of files that belong together, being of one map; one of a group is about to be written.
        picture: whose files stay.
        page: of its file.

    Returns:
        Where each file was and is now.

    Raises:
        OSError: if a file cannot be moved.
    """
    moved: list[tuple[Path, Path]] = []
    own = comment_for(picture, page)
    for group in groups:
        files = [folder / name for name in group if (folder / name).is_file()]
        comment = _comment_of(files)
        if files and comment != own:
            aside = _folder_for(folder, comment, [file.name for file in files], Path(picture))
            for file in files:
                move_file(file, aside / file.name)
                moved.append((file, aside / file.name))
    return moved


def _comment_of(files: Sequence[Path]) -> str | None:
    """Return the comment of the first file of a group that has one of ours."""
    comments = (image_comment(file) for file in files)
    return next((comment for comment in comments if comment and comment.startswith(_COMMENT)), None)


def _folder_for(folder: Path, comment: str | None, names: Sequence[str], picture: Path) -> Path:
    """Return the folder that files go to: none of another picture is replaced there."""
    stem = _picture_called(comment, picture) or _UNKNOWN
    number, aside = 1, folder / stem
    while any((aside / name).exists() for name in names):
        if comment is not None and _comment_of([aside / name for name in names if (aside / name).is_file()]) == comment:
            break  # an earlier run on the same picture
        number += 1
        aside = folder / f"{stem}_{number}"
    return aside


def _picture_called(comment: str | None, picture: Path) -> str | None:
    """Return the name, without its ending, of the picture that a comment is for, if it lies near."""
    if comment is None:
        return None
    code, _, page = comment.partition(_PAGE)
    suffix = f"_page{page}" if page else ""
    return next((path.stem + suffix for path in _pictures_near(picture) if comment_for(path) == code), None)


def _pictures_near(picture: Path) -> Iterator[Path]:
    looked_at = 0
    for folder in dict.fromkeys((picture.absolute().parent, Path.cwd())):
        with os.scandir(folder) as entries:
            for entry in entries:
                looked_at += 1
                if looked_at > _MOST_LOOKED_AT:
                    return
                if os.path.splitext(entry.name)[1].lower() in PICTURES:
                    yield Path(entry.path)
