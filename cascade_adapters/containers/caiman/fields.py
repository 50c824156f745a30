"""The fields of a CaImAn result, alike whether they lie in a file or in memory.

A field is None where CaImAn has none: missing, None, or what it writes for None, the bytes ``NoneType``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cascade_engine.errors import CascadeError, InputError
from cascade_engine.file_formats.hdf5 import open_hdf5

if TYPE_CHECKING:
    import h5py

#: Compression by HDF5's own filters makes numbers at most about a thousand times smaller.
_LARGEST_COMPRESSION = 1100


class Fields(Protocol):
    """Access to the fields of a result."""

    #: What it is, for messages.
    where: str

    def get(self, *path: str) -> Any:
        """A field by its path: a number, something like an array, a sparse matrix, a mapping, or None."""

    def rows(self, found: Any) -> Any:
        """Something like an array that was found, so that its rows can still be read when the result is closed."""


class FileFields:
    """Fields of an open file.

    Text is taken for None: nothing that is needed is text, and in a damaged file HDF5 can read it for ever.

    Parameters
    ----------
    file : h5py.File
        Open for reading.
    path : Path
        Where it is.
    """

    def __init__(self, file: h5py.File, path: Path):
        self._file = file
        self._path = path
        self._state = _state(path)
        self.where = str(path)

    def get(self, *path: str) -> Any:
        """A field by its path; see `Fields`."""
        import h5py

        group: Any = self._file
        for name in path[:-1]:
            group = group.get(name)
            if not isinstance(group, h5py.Group):
                return None
        found = group.get(path[-1])
        if isinstance(found, h5py.Group):
            return self._sparse(found) if {"data", "indices", "indptr", "shape"} <= set(found) else dict(found)
        if found is None and path[-1] in group.attrs:
            found = group.attrs.get_id(path[-1])
            return _plain(group.attrs[path[-1]]) if found.dtype.kind in "fiub" else None
        if found is None or found.dtype.kind == "O":
            return None
        self._refuse_absurd_size(found)
        return found if found.ndim else _plain(found[()])

    def rows(self, found: Any) -> Any:
        """Rows that are read from the file; see `Fields`."""
        return FileRows(self._path, self._state, found) if hasattr(found, "chunks") else found

    def _sparse(self, group: h5py.Group) -> Any:
        from scipy.sparse import csc_matrix

        for name in ("data", "indices", "indptr", "shape"):
            self._refuse_absurd_size(group[name])
        matrix = csc_matrix(
            (group["data"][()], group["indices"][()], group["indptr"][()]), shape=tuple(group["shape"][()])
        )
        matrix.check_format(full_check=True)  # an index beyond the end would make scipy read anywhere
        return matrix

    def _refuse_absurd_size(self, dataset: h5py.Dataset) -> None:
        """A damaged header can claim any size, and HDF5 would fill the memory with zeros."""
        stored = dataset.id.get_storage_size()
        if dataset.size and dataset.nbytes > stored * (1 if dataset.chunks is None else _LARGEST_COMPRESSION):
            raise InputError(f"{self.where}: {dataset.name} is damaged: it claims {dataset.nbytes} bytes")


class FileRows:
    """A dataset of a file, which is opened whenever rows are asked for; `InputError` if it was changed since.

    Parameters
    ----------
    path : Path
        The file.
    state : tuple
        What tells whether it was changed.
    dataset : h5py.Dataset
        The dataset, in the file opened once.
    """

    def __init__(self, path: Path, state: tuple, dataset: h5py.Dataset):
        self.shape, self.dtype, self.ndim, self.size = dataset.shape, dataset.dtype, dataset.ndim, dataset.size
        self._path, self._state, self._name = path, state, dataset.name

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        with explained(self._path, "read"), open_hdf5(self._path) as file:
            if _state(self._path) != self._state:
                raise InputError(f"{self._path} was changed by another program while it was read: run again")
            return file[self._name][index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)


@contextmanager
def opened(path: Path) -> Iterator[FileFields]:
    """Open a file and give its fields.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Yields
    ------
    FileFields
        Usable within the block.

    Raises
    ------
    InputError
        If the file, or anything in it that is read within the block, is damaged.
    """
    with explained(path, "read"), open_hdf5(path) as file:
        yield FileFields(file, path)


@contextmanager
def explained(path: Path, purpose: str) -> Iterator[None]:
    """Turn any failure of HDF5 within the block into an `InputError` of one line: "`path` cannot be `purpose`"."""
    try:
        yield
    except CascadeError:
        raise
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(f"{path} cannot be {purpose}: {' '.join(str(error).split())}") from None


class ObjectFields:
    """Fields of an object in memory, read by its attributes alone.

    Parameters
    ----------
    cnm : object
        A CNMF or OnACID object, or the Estimates of one.
    """

    where = "the CaImAn object"

    def __init__(self, cnm: Any):
        self.estimates = getattr(cnm, "estimates", cnm)
        if not hasattr(self.estimates, "C"):
            raise InputError(f"a CNMF object, or its estimates, is needed, not {type(cnm).__name__}")
        self._cnm = cnm

    def get(self, *path: str) -> Any:
        """A field by its path; see `Fields`."""
        if path[0] == "estimates":
            found = self.estimates
            path = path[1:]
        else:
            found = self._cnm
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else getattr(found, name, None)
            if found is None:
                return None
        if isinstance(found, list | tuple):
            found = np.asarray(found)
        return _plain(found)

    def rows(self, found: Any) -> Any:
        """The array itself; see `Fields`."""
        return found


def _state(path: Path) -> tuple[int, int, int]:
    """What tells whether a file was changed or replaced."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def _plain(value: Any) -> Any:
    """A value without the disguises of numpy and CaImAn, where it is a number, text or None."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str) and value == "NoneType":
        return None
    return value.item() if isinstance(value, np.generic) else value


def matrix_of(fields: Fields, name: str) -> Any:
    """A field of the estimates that is two-dimensional and numeric; None where there is none, or an empty one.

    Parameters
    ----------
    fields : Fields
        The result.
    name : str
        Name of the field.

    Returns
    -------
    array-like or None
        Something with a shape and numbers, which may still lie in the file.

    Raises
    ------
    InputError
        If it is something else.
    """
    found = fields.get("estimates", name)
    if hasattr(found, "toarray"):
        found = found.toarray()
    if found is None or (hasattr(found, "size") and found.size == 0):
        return None
    if getattr(found, "ndim", 0) != 2 or found.dtype.kind not in "fiu":
        what = f"{found.dtype} of shape {found.shape}" if hasattr(found, "dtype") else repr(found)
        raise InputError(f"{fields.where}: estimates/{name} must be a matrix of numbers, but it is {what}")
    return fields.rows(found)
