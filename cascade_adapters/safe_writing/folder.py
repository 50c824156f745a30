"""Changing several files of a folder as one: all of them, or none.

New content is written into a hidden folder beside the files. When it is complete a list of the changes is put there;
from that moment on they are carried out, in order, by renaming. A run that is killed before leaves nothing but the
hidden folder, which is thrown away; one that is killed after is finished by whoever opens the folder next.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from cascade_adapters.safe_writing import names
from cascade_adapters.safe_writing.fsync import sync_file, sync_folder, sync_open
from cascade_adapters.safe_writing.interruption import held_back
from cascade_adapters.safe_writing.lock import is_under_way, lock, under_way
from cascade_engine.errors import InputError
from cascade_engine.file_formats.atomic import replacing
from cascade_engine.file_formats.json_text import parse_json

_CHANGES = "changes.json"

#: Pieces of a file, with their length in bytes, that tell whether it was changed.
_PIECES, _PIECE_BYTES = 64, 16_384
#: What is said of each kind of change.
_KEYS = {"place": {"name", "before"}, "move": {"source", "name", "before"}, "remove": {"name", "before"}}


class Transaction:
    """Changes to a folder, to be carried out together; see `change_folder`."""

    def __init__(self, folder: Path, staging: Path):
        self._folder = folder
        self._staging = staging
        self._changes: list[dict[str, Any]] = []

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """Open a file that will replace or create `name`."""
        with (self._staging / name).open("wb") as file:
            yield file
            sync_open(file)
        self._changes.append({"do": "place", "name": name})

    def staged(self, name: str) -> Path:
        """Where the new content of `name` lies until then."""
        return self._staging / name

    def keep(self, name: str) -> None:
        """Leave `name` as it is after all: its new content, which is staged, is the same."""
        (self._staging / name).unlink()
        self._changes.remove({"do": "place", "name": name})

    def adopt(self, name: str, path: Path) -> None:
        """Let a finished file from elsewhere replace or create `name`; it is moved, if that can be, and else copied."""
        target = self._staging / name
        try:
            os.rename(path, target)
        except OSError as error:
            if error.errno != errno.EXDEV:  # another file system
                raise
            shutil.copyfile(path, target)
        sync_file(target)
        self._changes.append({"do": "place", "name": name})

    def copy(self, source: str, name: str) -> None:
        """Copy a file of the folder to `name`, with its times; of a link the link."""
        shutil.copy2(self._folder / source, self._staging / name, follow_symlinks=False)
        self._changes.append({"do": "place", "name": name})

    def move(self, source: str, name: str) -> None:
        """Rename a file of the folder, replacing `name`."""
        self._changes.append({"do": "move", "source": source, "name": name})

    def remove(self, name: str) -> None:
        """Delete a file of the folder, if it is there."""
        self._changes.append({"do": "remove", "name": name})

    def commit(self) -> None:
        """From here on the changes happen, whatever happens to this process."""
        for change in self._changes:
            change["before"] = _content(self._folder / change["name"])
        with replacing(self._staging / _CHANGES) as file:
            file.write(json.dumps(self._changes).encode())
        _carry_out(self._folder, self._staging)


@contextmanager
def change_folder(folder: Path, concerns: str = "") -> Iterator[Transaction]:
    """Collect changes to a folder; they are carried out when the block ends without an error.

    Parameters
    ----------
    folder : Path
        Folder to change. What a killed run has left there is finished or thrown away first.
    concerns : str
        Name of a file in the folder that all changes go with, if there is one: changes that concern different files can
        be made at once.

    Yields
    ------
    Transaction
        Takes the changes.

    Raises
    ------
    InputError
        If another run is still changing the folder, or it cannot be written to.
    """
    staging = names.staging(folder, concerns)
    assert not is_under_way(folder / concerns), "the changes of one folder are collected in one block"
    with lock(folder / concerns), under_way(folder / concerns):
        with held_back():
            _recover(folder, staging)
        try:
            staging.mkdir()
            transaction = Transaction(folder, staging)
            yield transaction
            with held_back():
                transaction.commit()
        except BaseException as error:
            # changes that are listed already will be finished by the next run
            with held_back():
                if not (staging / _CHANGES).exists():
                    shutil.rmtree(staging, ignore_errors=True)
            if isinstance(error, OSError):
                raise InputError(f"{folder} cannot be changed: {error.strerror or error}") from error
            raise


def finish_interrupted(folder: Path, concerns: str = "") -> None:
    """Finish, or throw away, what a killed run has left in a folder; `concerns` as in `change_folder`."""
    staging = names.staging(folder, concerns)
    if staging.exists() and not is_under_way(folder / concerns):
        with lock(folder / concerns), held_back():
            _recover(folder, staging)


def _recover(folder: Path, staging: Path) -> None:
    if not (staging / _CHANGES).exists():
        shutil.rmtree(staging, ignore_errors=True)
        return
    try:
        _carry_out(folder, staging)
    except OSError as error:
        raise InputError(f"what a killed run has left in {folder} cannot be finished: {error}") from error


def _carry_out(folder: Path, staging: Path) -> None:
    """Carry out the listed changes.

    Each may have been done by an earlier, killed attempt. A file that somebody else has changed since then stays.
    """
    for change in _read_changes(staging / _CHANGES):
        name = folder / change["name"]
        if not _is_still(name, change["before"]):
            continue
        if change["do"] == "remove":
            name.unlink(missing_ok=True)
            continue
        source = staging / change["name"] if change["do"] == "place" else folder / change["source"]
        if os.path.lexists(source):  # a link that was copied leads somewhere only in its place
            os.replace(source, name)
    sync_folder(folder)
    (staging / _CHANGES).unlink()
    shutil.rmtree(staging)


def _read_changes(path: Path) -> list[dict[str, Any]]:
    """The list of changes; an `InputError` if it is not one of ours, which stay within their folder."""
    try:
        changes = parse_json(path.read_text("utf-8"))
        names_used = [change[key] for change in changes for key in ("name", "source") if key in change]
        if all(change["do"] in _KEYS and _KEYS[change["do"]] <= set(change) for change in changes) and all(
            Path(name).name == name for name in names_used
        ):
            return changes
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    raise InputError(
        f"{path} is no list of changes of cascade's: if the files beside it are whole, remove {path.parent}"
    )


def _content(path: Path) -> list[int | str] | None:
    """Size of a file and a digest of parts all over it; its times are others once it was copied."""
    if not path.exists():
        return None
    size, digest = path.stat().st_size, hashlib.sha256()
    with path.open("rb") as file:
        for number in range(_PIECES):
            file.seek(max(0, size - _PIECE_BYTES) * number // (_PIECES - 1))
            digest.update(file.read(_PIECE_BYTES))
    return [size, digest.hexdigest()]


def _is_still(path: Path, before: list[int | str] | None) -> bool:
    """Whether a file is what it was; versions up to 0.2.0 noted size and time of modification."""
    if before is not None and path.exists() and isinstance(before[-1], int):
        status = path.stat()
        return before == [status.st_size, status.st_mtime_ns]
    return before == _content(path)
