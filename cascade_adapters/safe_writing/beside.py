"""Results in files beside the file or folder that they were made from, for containers that are only read.

A record (JSON: how the results came about, and the SHA-256 of every file) tells our files from all others: a file that
is not in it, or was changed since, is never overwritten and never removed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from cascade_adapters.safe_writing.folder import change_folder, finish_interrupted
from cascade_engine.errors import InputError
from cascade_engine.file_formats.atomic import sha256
from cascade_engine.file_formats.json_text import parse_json


class FilesBeside:
    """The files that belong to one set of results.

    Parameters
    ----------
    source : Path
        File or folder that the results are made from; they lie in the same folder.
    record : str
        Name of the record.
    """

    def __init__(self, source: Path, record: str):
        self._source, self._folder, self._record = source, source.parent, record

    @property
    def path(self) -> Path:
        """Where the record lies."""
        return self._folder / self._record

    def record(self) -> dict[str, Any] | None:
        """Content of the record, or None if there is none.

        Raises
        ------
        InputError
            If there is one that cannot be read, or that is not about `source`.
        """
        finish_interrupted(self._folder, self._source.name)
        path = self._folder / self._record
        if not path.exists():
            return None
        content = _read(path)
        if content is None or content["source"] != self._source.name:
            raise InputError(
                f"{path} is no record of results from {self._source.name}: rename it, or remove it together with the "
                "cascade files beside it"
            )
        return content

    def check_free(self, names: Iterable[str]) -> None:
        """Raise `InputError` if one of these files is there and is not ours."""
        ours = (self.record() or {}).get("files", {})
        for path in (self._folder / name for name in names):
            if path.exists() and not (path.is_file() and sha256(path) == ours.get(path.name)):
                what = "was changed since cascade wrote it" if path.name in ours else "was not written by cascade"
                raise InputError(f"{path} is where results would go, but it {what}: rename it")

    def write(self, files: Mapping[str, Callable[[BinaryIO], None] | None], provenance: dict[str, Any]) -> list[str]:
        """Write files and the record in the place of all earlier ones of ours, all or nothing.

        Parameters
        ----------
        files : mapping of str to callable
            Name of each file, and what writes its content into an open file; None: ours, which stays as it is.
        provenance : dict
            How the results came about, ready for JSON.

        Returns
        -------
        list of str
            Names written, without those of files that stay as they are.
        """
        self.check_free(files)
        earlier = (self.record() or {}).get("files", {})
        with change_folder(self._folder, self._source.name) as transaction:
            digests, written = {}, []
            for name, save in files.items():
                if save is None:
                    digests[name] = earlier[name]
                    continue
                with transaction.writing(name) as file:
                    save(file)
                digests[name] = sha256(transaction.staged(name))
                if digests[name] == earlier.get(name) and self._is_unchanged(name, digests[name]):
                    transaction.keep(name)
                else:
                    written.append(name)
            for name in set(earlier) - set(files):
                if self._is_unchanged(name, earlier[name]):
                    transaction.remove(name)
            content = {**provenance, "source": self._source.name, "files": digests}
            with transaction.writing(self._record) as file:
                file.write(json.dumps(content, indent=1, allow_nan=False).encode())
        return [*written, self._record]

    def remove(self) -> list[str]:
        """Remove what `write` has written; returns what was done."""
        record = self.record()
        if record is None:
            return []
        done = []
        with change_folder(self._folder, self._source.name) as transaction:
            for name, digest in record["files"].items():
                if self._is_unchanged(name, digest):
                    transaction.remove(name)
                    done.append(f"removed {name}")
                elif (self._folder / name).exists():
                    done.append(f"left {name}, which was changed since")
            transaction.remove(self._record)
        return [*done, f"removed {self._record}"]

    def _is_unchanged(self, name: str, digest: str) -> bool:
        path = self._folder / name
        return path.is_file() and sha256(path) == digest


def source_of(record: Path) -> str | None:
    """Name of the file or folder that a record is about; None if this is no record."""
    content = _read(record)
    return None if content is None else content["source"]


def record_of(path: Path, source: str) -> dict[str, Any]:
    """Content of a record if it is about a file or folder of this name; else nothing."""
    content = _read(path)
    return content if content is not None and content["source"] == source else {}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = parse_json(path.read_text("utf-8"))
        names = [content["source"], *content["files"], *content["files"].values()]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    # a name with a folder in it would lead out of ours
    return content if all(isinstance(name, str) and Path(name).name == name for name in names) else None
