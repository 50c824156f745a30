"""Reading ``.mat`` files of version 5 (MATLAB's default): a list of variables, or one of them with all it holds.

scipy reads them too, but a damaged file can crash it, and it cannot list the fields of a struct without reading them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from cascade_engine.file_formats.matlab_elements import (
    CELL,
    CHAR,
    NUMERIC,
    STRUCT,
    Array,
    Place,
    find_places,
    read_array,
)
from cascade_engine.file_formats.variables import Variable

#: The list of variables goes into structs this deep.
DEEPEST_LISTED = 3

#: Cells and structs nested deeper, or files with more arrays than this, are refused: damage can pretend anything.
DEEPEST, MOST_ARRAYS = 16, 1_000_000

#: Enough of a variable for its class, shape and name.
_START_BYTES = 4096


def read_variables(path: Path) -> Iterator[Variable]:
    """Yield the variables of a file, structs by the names of their fields.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    ValueError, OSError
        If the file is damaged or something else.
    """
    for number, variable in enumerate(_variables(path)):
        if number == MOST_ARRAYS:
            raise ValueError(f"more than {MOST_ARRAYS} variables")
        yield variable


def load_variable(path: Path, name: str) -> Any:
    """Read one variable with all it holds.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Name of the variable.

    Returns
    -------
    array, str, list or dict
        Numbers as an array of their type and shape, text as ``str``; a cell as the list of its elements, down the
        columns; a struct as a dictionary, an array of structs as a list of dictionaries. Objects, functions and sparse
        matrices are None.

    Raises
    ------
    KeyError
        If there is no such variable.
    ValueError, OSError
        If the file is damaged or something else.
    """
    for place in find_places(path):
        if place.read(_START_BYTES).name == name:
            return _Reader().value(place.read(), DEEPEST)
    raise KeyError(name)


def _variables(path: Path) -> Iterator[Variable]:
    for place in find_places(path):
        array = place.read(_START_BYTES)
        if array.kind == STRUCT:
            array = place.read()
            yield from _fields(array.name, array, DEEPEST_LISTED)
        elif array.name:  # MATLAB keeps the content of objects in a variable without a name
            yield Variable(array.name, array.shape, partial(_load_numbers, place), array.problem)


def _load_numbers(place: Place) -> np.ndarray:
    return place.read().numbers()


def _fields(name: str, array: Array, depth: int) -> Iterator[Variable]:
    """The fields of a single struct, by their names, or the array itself."""
    if array.kind != STRUCT or prod(array.shape) != 1 or not depth:
        yield Variable(name, array.shape, array.numbers, array.problem)
        return
    for field, content in zip(*array.fields(), strict=True):
        if content:  # otherwise it is empty
            yield from _fields(f"{name}.{field}", read_array(content, array.order), depth - 1)


class _Reader:
    """Reads an array with all that is nested in it, and counts the arrays."""

    def __init__(self) -> None:
        self._n_left = MOST_ARRAYS

    def value(self, array: Array, depth: int) -> Any:
        """Its value, as in `load_variable`."""
        if array.kind == CELL:
            return list(self._values(array.elements(), array.order, depth))
        if array.kind == STRUCT:
            names, contents = array.fields()
            values = self._values(contents, array.order, depth)
            if prod(array.shape) == 1:
                return dict(zip(names, values, strict=True))
            n_structs = prod(array.shape) if names else 0
            return [{name: next(values) for name in names} for _ in range(n_structs)]
        if array.kind == CHAR:
            return array.text()
        if array.kind not in NUMERIC:
            return None
        if array.is_complex:
            return array.complex_numbers()
        return array.numbers() != 0 if array.is_logical else array.numbers()

    def _values(self, contents: Iterator[memoryview], order: str, depth: int) -> Iterator[Any]:
        for content in contents:
            self._n_left -= 1
            if not depth or self._n_left < 0:
                raise ValueError(f"arrays nested deeper than {DEEPEST} times, or more than {MOST_ARRAYS} of them")
            # nothing is stored of an empty array
            yield self.value(read_array(content, order), depth - 1) if content else np.empty((0, 0))
