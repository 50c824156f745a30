"""``.mat`` of version 5 (MATLAB's default, up to 2 GB) and of version 7.3 (HDF5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cascade_adapters.containers.arrays.contents import Contents
from cascade_engine.errors import InputError
from cascade_engine.file_formats.matlab_v5 import read_variables
from cascade_engine.file_formats.variables import Variable, problem_of

_NUMBER_CLASSES = {"double", "single"} | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}

#: A variable of version 5 cannot be larger.
_LARGEST_V5_BYTES = 2**31 - 1

#: Structs are looked into this deep.
_DEEPEST = 3

#: In front of the HDF5 content of version 7.3 lies a block of this size, whose first 128 bytes say so.
_USER_BLOCK = 512


def read_mat(path: Path) -> Contents:
    """What a ``.mat`` file holds, structs by the names of their fields; `layout` is "v5" or "v7.3".

    Raises
    ------
    InputError
        If it is damaged or something else.
    """
    import h5py

    try:
        version = "v7.3" if h5py.is_hdf5(path) else "v5"
        variables = list(_variables_v73(path) if version == "v7.3" else read_variables(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or 'it is damaged'}") from None
    except Exception:  # a damaged file can fail in any way
        raise InputError(f"{path} cannot be read: it is damaged, or no .mat file") from None
    return Contents(variables, layout=version)


def mat_files(stem: str, suffix: str, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], layout: str):
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


def _variables_v73(path: Path) -> Iterator[Variable]:
    import h5py

    with h5py.File(path, "r") as file:
        for name in file:
            if not name.startswith("#"):
                yield from _items_v73(path, name, file[name], _DEEPEST)


def _items_v73(path: Path, name: str, item: Any, depth: int) -> Iterator[Variable]:
    import h5py

    load = partial(_load_v73, path, item.name)
    kind = item.attrs.get("MATLAB_class", b"")
    kind = kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)
    if isinstance(item, h5py.Dataset):
        # MATLAB counts dimensions the other way round, and stores the shape of an empty array in its place
        shape, problem = item.shape[::-1], problem_of(item.dtype, item.shape)
        if "MATLAB_empty" in item.attrs:
            shape, problem = (), "empty"
        elif item.dtype.names == ("real", "imag"):
            problem = "complex"
        elif kind and kind not in _NUMBER_CLASSES:
            problem = kind
        yield Variable(name, shape, load, problem)
    elif "MATLAB_sparse" in item.attrs:
        yield Variable(name, (), load, "sparse")
    elif depth:
        for field in item:
            yield from _items_v73(path, f"{name}.{field}", item[field], depth - 1)
    else:
        yield Variable(name, (), load, "struct")


def _load_v73(path: Path, place: str) -> np.ndarray:
    import h5py

    with h5py.File(path, "r") as file:
        return file[place][()].T


def _save_v5(file: BinaryIO, content: Mapping[str, Any]) -> None:
    from scipy.io import savemat

    savemat(file, content, oned_as="column")


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
            value = np.asarray(value)
            if value.size:
                item = target.create_dataset(name, data=value.reshape(len(value) if value.ndim else 1, -1).T)
            else:
                item = target.create_dataset(name, data=np.array(value.shape, dtype=np.uint64))
                item.attrs["MATLAB_empty"] = np.uint8(1)
            item.attrs["MATLAB_class"] = np.bytes_("single" if value.dtype == np.float32 else "double")
    text = b"MATLAB 7.3 MAT-file, written by cascade-spikes, HDF5 schema 1.00 ."
    file.seek(0)
    file.write(text.ljust(116) + bytes(8) + b"\x00\x02IM")
