"""Traces in cells and arrays of structs of MATLAB: one trace in each element, or one matrix."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cascade_engine.file_formats.matlab import load_variable
from cascade_engine.file_formats.variables import Variable, problem_of

#: What variables are called that hold others (`Variable.problem`); fields of arrays of structs in version 7.3 refer to
#: others without saying so.
_HOLDERS = ("cell", "struct", "Python objects")

#: Cells in cells are looked into this deep.
_DEEPEST = 3


def variables_in_cells(path: Path, variables: list[Variable]) -> list[Variable]:
    """What is in the cells and arrays of structs of a file, as variables of their own.

    Elements that are vectors of one length are the rows of one matrix: one trace each. Matrices are called by their
    place, as in MATLAB: ``dff{2}``, ``session(2).dff``. Numbers are kept if they are the same in all structs of an
    array. Elements of different kinds are left out.

    Parameters
    ----------
    path : Path
        The file.
    variables : list of Variable
        All of the file.

    Returns
    -------
    list of Variable
        Their values are in memory already.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    held = [variable.name for variable in variables if variable.problem in _HOLDERS]
    known = {variable.name for variable in variables} - set(held)
    found = []
    for top in dict.fromkeys(name.split(".")[0] for name in held):
        content = load_variable(path, top)
        found += [each for each in _within(top, content, _DEEPEST) if each.name not in known]
    return found


def _within(name: str, content: Any, depth: int) -> Iterator[Variable]:
    if isinstance(content, dict):
        for field, value in content.items():
            yield from _within(f"{name}.{field}", value, depth)
    elif isinstance(content, list) and content and depth:
        if all(isinstance(element, dict) for element in content):
            for field in content[0]:
                values = [element.get(field) for element in content]
                names = [f"{name}({number}).{field}" for number in range(1, len(values) + 1)]
                yield from _elements(f"{name}.{field}", names, values, depth)
        else:
            names = [f"{name}{{{number}}}" for number in range(1, len(content) + 1)]
            yield from _elements(name, names, content, depth)


def _elements(name: str, names: list[str], values: list[Any], depth: int) -> Iterator[Variable]:
    """The elements of a cell, or one field of all structs of an array, as few variables as possible."""
    if any(isinstance(value, dict | list) for value in values):
        for each, value in zip(names, values, strict=True):
            yield from _within(each, value, depth - 1)
        return
    if not all(isinstance(value, np.ndarray) and value.dtype.kind in "fiu" for value in values):
        return
    lengths = {value.size for value in values if value.size}
    if all(value.size == max(value.shape, default=0) for value in values) and len(lengths) == 1:
        (length,) = lengths
        if length > 1:
            rows = [value.ravel() if value.size else np.full(length, np.nan) for value in values]
            yield _variable(name, np.stack(rows), rows_are=f"each element of {name} is one trace")
        elif len({float(value.ravel()[0]) for value in values if value.size}) == 1:
            yield _variable(name, next(value for value in values if value.size).reshape(1, 1))
        return
    for each, value in zip(names, values, strict=True):
        yield _variable(each, value)


def _variable(name: str, values: np.ndarray, rows_are: str = "") -> Variable:
    return Variable(
        name, values.shape, partial(np.asarray, values), problem_of(values.dtype, values.shape), None, rows_are
    )
