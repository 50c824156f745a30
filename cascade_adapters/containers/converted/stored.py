"""Where the arrays of one plane lie, and how each is read: from an ``.npz`` or ``.mat`` file, or from tables."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cascade_adapters.containers.converted.content import split
from cascade_adapters.results import Spikes, schema
from cascade_engine.errors import InputError
from cascade_engine.file_formats.json_text import parse_json
from cascade_engine.file_formats.matlab import load_variable
from cascade_engine.file_formats.variables import Variable, load_numbers


class Stored(ABC):
    """The arrays of one plane.

    Parameters
    ----------
    path : Path
        File or folder.
    """

    def __init__(self, path: Path):
        self.path = path

    @property
    @abstractmethod
    def names(self) -> set[str]:
        """What there is, by the names of `content`."""

    @abstractmethod
    def _load(self, name: str) -> Any:
        """Read one; may fail in any way."""

    def get(self, name: str) -> Any:
        """An array, number or text, as it was written; None if it is not there.

        Raises
        ------
        InputError
            If it cannot be read.
        """
        if name not in self.names:
            return None
        try:
            return self._load(name)
        except InputError:
            raise
        except Exception as error:  # a damaged file can fail in any way
            raise self.damaged(name, " ".join(str(error).split()) or type(error).__name__) from None

    def damaged(self, name: str, reason: str) -> InputError:
        """What to raise if an array is not what it should be."""
        return InputError(f"{self.path}: {name} cannot be used: {reason}; write the file again with 'cascade convert'")

    def numbers(self, name: str, n_axes: int) -> np.ndarray | None:
        """An array of real numbers with so many axes, or None; MATLAB knows none with fewer than two."""
        values = self.get(name)
        if values is None:
            return None
        values = np.asarray(values)
        if values.dtype.kind not in "biuf":
            raise self.damaged(name, f"it holds {values.dtype}, no real numbers")
        if n_axes == 0 and values.size == 1:
            values = values.reshape(())
        elif n_axes == 1 and values.size == max(values.shape, default=1):
            values = values.ravel()
        elif n_axes == 2 and values.ndim == 1:
            values = values[np.newaxis]  # one ROI, or one row
        if values.ndim != n_axes:
            raise self.damaged(name, f"it has the shape {values.shape}")
        return values

    def number(self, name: str) -> float | None:
        """A single number, or None."""
        values = self.numbers(name, 0)
        return None if values is None else float(values)

    def flag(self, name: str) -> bool:
        """Whether it is there and not zero."""
        return bool(self.number(name))

    def text(self, name: str) -> str | None:
        """A text, or None."""
        value = self.get(name)
        value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
        if value is not None and not isinstance(value, str):
            raise self.damaged(name, "it is no text")
        return value


#: Arrays of ROIs x frames; tables have a row per frame and a column per ROI, behind one of times.
_WITH_FRAMES = ("F", "Fneu", "dff", "source_dff", *(array.name for array in schema.ARRAYS if array.has_frames))


class StoredArrays(Stored):
    """The arrays of one plane in an ``.npz`` or ``.mat`` file.

    Parameters
    ----------
    path : Path
        The file.
    variables : list of Variable
        All that the file holds.
    plane : str
        What stands in front of the names of the plane's; empty if there is but one.
    """

    def __init__(self, path: Path, variables: list[Variable], plane: str = ""):
        super().__init__(path)
        named = ((*split(variable.name), variable) for variable in variables)
        self._in_file = {array: variable for own, array, variable in named if own == plane}

    @property
    def names(self) -> set[str]:
        """What there is."""
        return set(self._in_file)

    @cached_property
    def _is_by_frames(self) -> bool:
        """Whether frames come first: results have the form of the array that they were made from, and say so."""
        record = parse_json(self.text("record") or "{}")
        return bool(record.get("container", {}).get("orientation") == "frames-first")

    def _load(self, name: str) -> Any:
        variable = self._in_file[name]
        if self.path.suffix.lower() == ".mat":
            values = load_variable(self.path, variable.name)
        elif variable.problem == "damaged":
            raise ValueError("it is damaged")
        else:
            values = variable.load()
        return values.T if name in _WITH_FRAMES and self._is_by_frames else values


#: Columns of the table of ROIs.
_PER_ROI = ("is_cell", "cell_probability", *(array.name for array in schema.ARRAYS if not array.has_frames))


class StoredTables(Stored):
    """The arrays of one plane in a folder of CSV tables.

    Parameters
    ----------
    path : Path
        The folder.
    opened : dict of str to Variable, optional
        Tables of traces that have been read already, without their times.
    """

    def __init__(self, path: Path, opened: Mapping[str, Variable] | None = None):
        super().__init__(path)
        self._opened = dict(opened or {})

    @cached_property
    def _facts(self) -> dict[str, Any]:
        return read_about(self.path)

    @cached_property
    def _rois(self) -> dict[str, np.ndarray]:
        path = self.path / "rois.csv"
        return _read_table(path) if path.is_file() else {}

    @property
    def names(self) -> set[str]:
        """What there is."""
        there = {name for name in _WITH_FRAMES if (self.path / f"{name}.csv").is_file()}
        there |= {name for name in _PER_ROI if name in self._rois} | set(self._facts) - {"types", "content"}
        others = {"spikes.csv": ["spikes"], "pixels.csv": ["pixels", "pixel_weights"], "record.json": ["record"]}
        return there.union(*(names for file, names in others.items() if (self.path / file).is_file()))

    def _load(self, name: str) -> Any:
        if name in _WITH_FRAMES:
            path = self.path / f"{name}.csv"
            opened = self._opened.get(name)
            values = np.stack(list(_read_table(path).values())[1:]) if opened is None else load_numbers(opened, path).T
            return values.astype(self._facts.get("types", {}).get(name, values.dtype), copy=False)
        if name in _PER_ROI:
            return self._rois[name]
        if name == "record":
            return (self.path / "record.json").read_text("utf-8")
        if name == "spikes":
            table = _read_table(self.path / "spikes.csv")
            return np.stack([table[column] for column in Spikes.COLUMNS], axis=1)
        if name in ("pixels", "pixel_weights"):
            table = _read_table(self.path / "pixels.csv")
            weights = table.pop("weight")
            return weights if name == "pixel_weights" else np.stack(list(table.values()), axis=1).astype(np.int64)
        return self._facts[name]


def read_about(folder: Path) -> dict[str, Any]:
    """The facts in a folder of tables, and under ``content`` what all of it is; `InputError` if they are damaged."""
    path = folder / "about.json"
    try:
        found = parse_json(path.read_text("utf-8"))
        return dict(found)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from None


def _read_table(path: Path) -> dict[str, np.ndarray]:
    """The columns of a table by their names, with the very numbers that were written."""
    try:
        header, *lines = path.read_text("utf-8").splitlines()
        names = next(csv.reader([header]))
        values = np.loadtxt(lines, delimiter=",", ndmin=2) if lines else np.empty((0, len(names)))
    except (OSError, ValueError, csv.Error, StopIteration) as error:
        raise InputError(f"{path} cannot be read as a table: {' '.join(str(error).split())}") from None
    if values.shape[1] != len(names):
        raise InputError(f"{path} has {len(names)} names above {values.shape[1]} columns")
    return dict(zip(names, values.T, strict=True))
