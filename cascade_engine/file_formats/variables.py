"""The variables of a file of arrays, before any of their values are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.file_formats.unpacking import check_memory

#: What arrays that cannot be traces hold, by `numpy.dtype.kind`.
_NO_NUMBERS = {
    "b": "logical", "c": "complex", "O": "Python objects", "S": "text", "U": "text", "V": "records", "m": "times",
    "M": "times",
}  # fmt: skip


@dataclass(frozen=True)
class Variable:
    """One variable of a file.

    Attributes
    ----------
    name : str
        With the names of the structs around it, as ``data.dff``; empty where a file holds one array without a name.
    shape : tuple of int
        As the user knows it.
    load : callable
        Reads its value; may fail in any way if the file is damaged.
    problem : str
        What it is if it cannot be numbers, or an empty string.
    open : callable or None
        Opens a large matrix to be read by rows or columns: an `ArrayOnDisk`, or something that can do the same.
    rows_are : str
        Why each row is known to be the trace of one ROI; empty where it is not known.
    """

    name: str
    shape: tuple[int, ...]
    load: Callable[[], np.ndarray]
    problem: str = ""
    open: Callable[[], Any] | None = None
    rows_are: str = ""

    @property
    def is_matrix(self) -> bool:
        """Whether it may be the traces of several ROIs."""
        return not self.problem and len(self.shape) == 2 and min(self.shape) > 1

    @property
    def is_vector(self) -> bool:
        """Whether it may be one trace, or the times of frames."""
        return not self.problem and len(self.shape) in (1, 2) and max(self.shape) == prod(self.shape) > 1

    @property
    def is_scalar(self) -> bool:
        """Whether it is a single number."""
        return not self.problem and prod(self.shape) == 1

    def __str__(self) -> str:
        shape = " x ".join(map(str, self.shape)) or ("" if self.problem else "a single number")
        name = "".join(character if character.isprintable() else "?" for character in self.name[:80])
        return f"{name or 'an array'} ({', '.join(filter(None, [shape, self.problem]))})"


def problem_of(dtype: np.dtype, shape: tuple[int, ...]) -> str:
    """Why an array of this type and shape cannot be traces, rates or times; empty if it can."""
    return _NO_NUMBERS.get(dtype.kind, "") or ("empty" if prod(shape) == 0 else "")


def load_numbers(variable: Variable, path: Path) -> np.ndarray:
    """Read a variable that must hold numbers.

    Parameters
    ----------
    variable : Variable
        One that says it has no problem.
    path : Path
        Its file, for messages.

    Returns
    -------
    array
        Real numbers, of the shape that was announced.

    Raises
    ------
    InputError
        If it holds anything else, or is damaged.
    """
    try:
        if not variable.problem:
            check_memory(prod(variable.shape) * 4)  # the least that its numbers may take
        array = variable.load()
        found = problem_of(array.dtype, array.shape) if isinstance(array, np.ndarray) else "no array"
        if not found and array.shape != variable.shape:
            found = f"of the shape {array.shape}, not {variable.shape}"
    except Exception as error:  # a damaged file can fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: {variable} cannot be read: {reason}") from None
    if found:
        raise InputError(f"{path}: {variable} does not hold real numbers: it is {found}")
    return array
