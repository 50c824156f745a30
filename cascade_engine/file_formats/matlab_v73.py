"""Reading ``.mat`` files of version 7.3, which are HDF5: a list of variables, or one of them with all it holds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.file_formats.hdf5 import check_stored, open_hdf5
from cascade_engine.file_formats.matlab_v5 import DEEPEST, DEEPEST_LISTED, MOST_ARRAYS
from cascade_engine.file_formats.unpacking import check_unpacked
from cascade_engine.file_formats.variables import Variable, problem_of

if TYPE_CHECKING:
    import h5py

_NUMBER_CLASSES = {"double", "single"} | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}

#: Names in MATLAB have no more characters.
_LONGEST_CLASS = 63

#: Larger matrices are not read whole.
_LARGE_BYTES = 1 << 26


def read_variables(path: Path) -> Iterator[Variable]:
    """As `matlab_v5.read_variables`; h5py may raise further errors."""
    with open_hdf5(path) as file:
        for name in file:
            if not name.startswith("#"):
                yield from _variables(path, name, file[name], DEEPEST_LISTED)


def load_variable(path: Path, name: str) -> Any:
    """As `matlab_v5.load_variable`; h5py may raise further errors."""
    with open_hdf5(path) as file:
        if name not in file:
            raise KeyError(name)
        return _Reader(file, path.stat().st_size).value(file[name], DEEPEST)


def _variables(path: Path, name: str, item: h5py.Dataset | h5py.Group, depth: int) -> Iterator[Variable]:
    import h5py

    load = partial(_load_numbers, path, item.name)
    kind = _class_of(item)
    if isinstance(item, h5py.Dataset):
        # MATLAB counts dimensions the other way round, and stores the shape of an empty array in its place
        shape, problem = item.shape[::-1], problem_of(item.dtype, item.shape)
        if "MATLAB_empty" in item.attrs:
            shape, problem = (), "empty"
        elif item.dtype.names == ("real", "imag"):
            problem = "complex"
        elif kind and kind not in _NUMBER_CLASSES:
            problem = kind
        is_large = not problem and len(shape) == 2 and item.nbytes > _LARGE_BYTES
        yield Variable(name, shape, load, problem, partial(MatrixOnDisk, path, item.name) if is_large else None)
    elif "MATLAB_sparse" in item.attrs:
        yield Variable(name, (), load, "sparse")
    elif depth:
        for field in item:
            yield from _variables(path, f"{name}.{field}", item[field], depth - 1)
    else:
        yield Variable(name, (), load, "struct")


class MatrixOnDisk:
    """A large matrix, of which rows are read when they are asked for.

    HDF5 stores what are columns to MATLAB as rows: reading columns of it is fast, and rows once it is `transposed`.

    Parameters
    ----------
    path : Path
        The file.
    place : str
        Where the matrix is in it.
    is_by_columns : bool
        Whether it is taken as MATLAB knows it, so that its columns lie together.
    """

    ndim = 2

    def __init__(self, path: Path, place: str, is_by_columns: bool = True):
        self.path, self.is_by_columns, self._place = path, is_by_columns, place
        with open_hdf5(path) as file:
            stored = file[place]
            try:
                check_stored(stored)
            except ValueError as error:
                raise InputError(f"{path}: {place} cannot be read: {error}") from None
            shape, self.dtype = stored.shape, stored.dtype
        self.shape: tuple[int, ...] = shape[::-1] if is_by_columns else shape

    def transposed(self) -> MatrixOnDisk:
        """The same matrix with its rows as columns."""
        return MatrixOnDisk(self.path, self._place, not self.is_by_columns)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        """Read rows: one, a slice, or several by their numbers in order; a slice of columns may follow."""
        rows, columns = index if isinstance(index, tuple) else (index, slice(None))
        try:
            with open_hdf5(self.path) as file:
                if self.is_by_columns:
                    return file[self._place][columns, rows].T
                return file[self._place][rows, columns]
        except Exception as error:  # a damaged file can fail in any way
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"{self.path}: {self._place} cannot be read: {reason}") from None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)


def _load_numbers(path: Path, place: str) -> np.ndarray:
    with open_hdf5(path) as file:
        stored = file[place]
        check_stored(stored)
        return stored[()].T


def _class_of(item: h5py.Dataset | h5py.Group) -> str:
    kind = item.attrs.get("MATLAB_class", b"")
    kind = kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)
    return kind if kind.isidentifier() and len(kind) <= _LONGEST_CLASS else "of an unknown class" if kind else ""


class _Reader:
    """Reads an item with all that is nested in it, and counts arrays and bytes.

    Cells and arrays of structs are references to other items, so that a damaged file can refer to itself.
    """

    def __init__(self, file: h5py.File, file_size: int):
        self._file = file
        self._n_left, self._n_bytes, self._file_size = MOST_ARRAYS, 0, file_size

    def value(self, item: h5py.Dataset | h5py.Group, depth: int) -> Any:
        """Its value, as in `matlab_v5.load_variable`."""
        import h5py

        self._n_left -= 1
        if not depth or self._n_left < 0:
            raise ValueError(f"arrays nested deeper than {DEEPEST} times, or more than {MOST_ARRAYS} of them")
        kind = _class_of(item)
        if not isinstance(item, h5py.Dataset):
            return None if "MATLAB_sparse" in item.attrs else self._struct(item, depth)
        if "MATLAB_empty" in item.attrs or not item.size:
            return {"cell": [], "struct": [], "char": ""}.get(kind, np.empty((0, 0)))
        self._n_bytes += item.nbytes  # items can be referred to again and again
        check_unpacked(self._n_bytes, self._file_size)
        if kind == "cell":
            return self._elements(item, depth)
        if kind == "char":
            rows = ["".join(map(chr, row)) for row in np.atleast_2d(item[()].T)]
            return rows if len(rows) > 1 else rows[0]
        if item.dtype.names == ("real", "imag"):
            stored = item[()].T
            values = np.empty(stored.shape, dtype=np.complex128)
            values.real, values.imag = stored["real"], stored["imag"]
            return values
        if kind == "logical":
            return item[()].T != 0
        return item[()].T if kind in _NUMBER_CLASSES and item.dtype.kind in "iuf" else None

    def _struct(self, group: h5py.Group, depth: int) -> dict[str, Any] | list[dict[str, Any]]:
        import h5py

        items = {name: group[name] for name in group}
        # the fields of an array of structs refer to one value per struct, and say nothing of a class
        if items and all(
            isinstance(item, h5py.Dataset) and item.dtype == h5py.ref_dtype and not _class_of(item)
            for item in items.values()
        ):
            columns = [self._elements(item, depth) for item in items.values()]
            return [dict(zip(items, values, strict=True)) for values in zip(*columns, strict=True)]
        return {name: self.value(item, depth - 1) for name, item in items.items()}

    def _elements(self, item: h5py.Dataset, depth: int) -> list[Any]:
        import h5py

        if item.dtype != h5py.ref_dtype or item.size > self._n_left:
            raise ValueError(f"{item.size} elements of the type {item.dtype}")
        return [self.value(self._file[reference], depth - 1) for reference in item[()].ravel()]
