"""``.mat`` of version 5 (MATLAB's default, up to 2 GB) and of version 7.3 (HDF5)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from cascade_adapters.containers.arrays.contents import Contents
from cascade_adapters.containers.arrays.laid_out import LaidOut
from cascade_adapters.containers.arrays.matlab_cells import variables_in_cells
from cascade_engine.errors import InputError
from cascade_engine.file_formats.matlab import list_variables, version_of

if TYPE_CHECKING:
    import h5py

#: A variable of version 5 cannot be larger.
_LARGEST_V5_BYTES = 2**31 - 1

#: Larger arrays are written by blocks into version 7.3, in chunks of so many values, and of so many ROIs at most.
_LARGE_BYTES = 1 << 26
_CHUNK_VALUES, _CHUNK_ROIS = 1 << 17, 16

#: In front of the HDF5 content of version 7.3 lies a block of this size, whose first 128 bytes say so.
_USER_BLOCK = 512


def read_mat(path: Path) -> Contents:
    """What a ``.mat`` file holds, structs by the names of their fields; `layout` is "v5" or "v7.3".

    Raises
    ------
    InputError
        If it is damaged or something else.
    """
    variables = list_variables(path)
    return Contents(variables, layout=version_of(path), look_inside=partial(variables_in_cells, path, list(variables)))


def read_mat_once(path: Path) -> Contents | None:
    """The same for all kinds of container that may want a file, read once; None if it cannot be read."""
    try:
        status = path.stat()
        return _read_mat_in_state(path, status.st_size, status.st_mtime_ns)
    except (InputError, OSError):
        return None


@lru_cache(maxsize=1)
def _read_mat_in_state(path: Path, size: int, modified: int) -> Contents:
    return read_mat(path)


def mat_files(stem: str, suffix: str, arrays: Mapping[str, LaidOut], facts: Mapping[str, Any], layout: str):
    """One ``.mat`` file for everything, of the input's version; see `Format` in `formats`."""
    too_large = any(array.nbytes > _LARGEST_V5_BYTES for array in arrays.values())
    save = _save_v73 if layout == "v7.3" or too_large else _save_v5
    return {f"{stem}{suffix}": partial(save, content={**arrays, **facts})}


def load_mat_results(
    folder: Path, stem: str, suffix: str, names: tuple[str, ...], layout: Any
) -> dict[str, np.ndarray]:
    """What `mat_files` has written."""
    contents = read_mat(folder / f"{stem}{suffix}")
    found = [variable for variable in contents.variables if variable.name in names]
    return {one.name: np.empty(0) if one.problem == "empty" else one.load() for one in found}


def _save_v5(file: BinaryIO, content: Mapping[str, Any]) -> None:
    from scipy.io import savemat

    whole = {name: value.whole() if isinstance(value, LaidOut) else value for name, value in content.items()}
    savemat(file, whole, oned_as="column")


def _save_v73(file: BinaryIO, content: Mapping[str, Any]) -> None:
    """Write HDF5 in the way that MATLAB's documentation of its attributes and user block describes."""
    import h5py

    with h5py.File(file, "w", userblock_size=_USER_BLOCK) as target:
        for name, value in content.items():
            if isinstance(value, str):
                codes = np.frombuffer(value.encode("utf-16-le"), dtype=np.uint16)
                item = target.create_dataset(name, data=codes[:, np.newaxis])
                item.attrs["MATLAB_class"], item.attrs["MATLAB_int_decode"] = np.bytes_("char"), np.int32(2)
                continue
            if not isinstance(value, LaidOut):
                value = LaidOut(np.asarray([value]), (1, 1))
            item = _save_matrix(target, name, value)
            item.attrs["MATLAB_class"] = np.bytes_("single" if value.dtype == np.float32 else "double")
    text = b"MATLAB 7.3 MAT-file, written by cascade-spikes, HDF5 schema 1.00 ."
    file.seek(0)
    file.write(text.ljust(116) + bytes(8) + b"\x00\x02IM")


def _save_matrix(target: h5py.File, name: str, array: LaidOut) -> h5py.Dataset:
    """Write a matrix, which HDF5 stores with what are MATLAB's columns as rows; a large one by blocks of ROIs."""
    if not array.nbytes:
        item = target.create_dataset(name, data=np.array(array.shape, dtype=np.uint64))
        item.attrs["MATLAB_empty"] = np.uint8(1)
        return item
    n_rows, n_columns = array.shape if len(array.shape) == 2 else (array.shape[0], 1)
    if array.nbytes <= _LARGE_BYTES or min(n_rows, n_columns) == 1:
        return target.create_dataset(name, data=array.whole().reshape(n_rows, n_columns).T)
    chunks = None
    if not array.is_by_columns:  # a block of ROIs is a few columns of what HDF5 stores
        rows = next(array.blocks())[0]
        n_rois = min(rows.stop, _CHUNK_ROIS)
        chunks = (min(n_columns, _CHUNK_VALUES // n_rois), n_rois)
    item = target.create_dataset(name, (n_columns, n_rows), array.dtype, chunks=chunks)
    for rois, block in array.blocks():
        if array.is_by_columns:
            item[rois] = block
        else:
            item[:, rois] = block.T
    return item
