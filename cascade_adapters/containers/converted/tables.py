"""A folder of CSV tables of `cascade convert` as a container."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from cascade_adapters.containers.arrays.contents import Contents
from cascade_adapters.containers.arrays.file import ArrayFile
from cascade_adapters.containers.base import Selection
from cascade_adapters.containers.converted.content import TRACES, content, describes_ours, split
from cascade_adapters.containers.converted.file import ConvertedFile
from cascade_adapters.containers.converted.reading import default_array
from cascade_adapters.containers.converted.stored import Stored, StoredTables, read_about
from cascade_engine.errors import CascadeError
from cascade_engine.file_formats.variables import Variable


class ConvertedTables(ConvertedFile):
    """One plane in a folder of tables, by the table of its traces: ``F.csv`` or a table of dF/F.

    New results lie beside that table, in its form: ``F_cascade_spike_prob.csv``, ...
    """

    kind = "converted tables"
    looks_for = "folders of CSV tables of 'cascade convert'"
    orientation: ClassVar[str] = "frames-first"

    @classmethod
    def find(cls, path: Path, selection: Selection = Selection()) -> list[ArrayFile]:
        """Every plane of the folder; a table of traces in it stands for the plane that it is of."""
        plane, array = split(selection.key or TRACES[0])
        if array not in TRACES:
            return []
        if path.is_file():
            return cls._of_table(path, selection)
        folders = [folder for folder in (path, *_plane_folders(path)) if _is_ours(folder)]
        found: list[ArrayFile] = []
        for folder in folders:
            name = folder.name if folder != path else ""
            if plane in ("", name):
                try:
                    table = array if selection.key else default_array(StoredTables(folder))
                except CascadeError:  # reading it says why
                    table = array
                found.append(cls(folder / f"{table}.csv", selection, name))
        return found

    @classmethod
    def _of_table(cls, path: Path, selection: Selection) -> list[ArrayFile]:
        """The plane of a table of traces, or of results that were made from one; none for any other file."""
        if path.suffix.lower() != ".csv" or not _is_ours(path.parent):
            return []
        path = next((file.path for file in ArrayFile.find(path)), path)
        if path.stem not in TRACES:
            return []
        usual = cls.find(path.parent, selection)
        return usual if selection.key or path == usual[0].path else [cls(path, replace(selection, key=path.stem))]

    @classmethod
    def why_not(cls, path: Path) -> str:
        """Why another table of such a folder is refused; see `Container.why_not`."""
        names = {*content(), "rois", "pixels", "about"}
        if path.stem not in names or path.suffix.lower() not in (".csv", ".json") or not _is_ours(path.parent):
            return ""
        return f"{path} is one of the tables that 'cascade convert' has written: pass their folder, {path.parent}"

    @property
    def session(self) -> Path:
        """The folder around the planes, or the only one."""
        return self.path.parent.parent if self._plane else self.path.parent

    def _open(self, contents: Contents) -> Stored:
        return StoredTables(self.path.parent, {self.path.stem: contents.variables[0]})

    def _variable(self) -> Variable:
        return self._contents().variables[0]

    def _stem(self) -> str:
        return f"{self.path.stem}_cascade"


def _plane_folders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    found = [folder for folder in path.iterdir() if re.fullmatch(r"plane\d+", folder.name) and folder.is_dir()]
    return sorted(found, key=lambda folder: (len(folder.name), folder.name))


def _is_ours(folder: Path) -> bool:
    try:
        return (folder / "about.json").is_file() and describes_ours(read_about(folder).get("content"))
    except CascadeError:
        return False
