"""``.npy`` and ``.npz``; of pickles only arrays are rebuilt, and nothing that they ask for is run."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from cascade_adapters.containers.arrays.contents import Contents
from cascade_adapters.containers.arrays.laid_out import LaidOut
from cascade_engine.errors import InputError
from cascade_engine.file_formats.npy import ArrayOnDisk
from cascade_engine.file_formats.safe_pickle import load_arrays
from cascade_engine.file_formats.unpacking import check_archive
from cascade_engine.file_formats.variables import Variable, problem_of

#: A pickle begins so, a ``.npy`` file does not.
_PICKLE = b"\x80"


def read_npy(path: Path) -> Contents:
    """What a ``.npy`` file holds; its array is read by rows when they are asked for.

    Raises
    ------
    InputError
        If it is damaged or something else.
    """
    try:
        with path.open("rb") as file:
            if file.read(1) == _PICKLE:
                return Contents(_pickled("", _PICKLE + file.read()))
            file.seek(0)
            shape, dtype = _header(file)
            if dtype.hasobject:
                return Contents(_pickled_or_objects("", shape, file))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception:  # a damaged header can fail in any way
        archive = "; it is an archive: rename it to .npz" if zipfile.is_zipfile(path) else ""
        raise InputError(f"{path} cannot be read as an array: it is damaged, or no .npy file{archive}") from None
    load = partial(np.load, path, allow_pickle=False)
    return Contents([Variable("", shape, load, problem_of(dtype, shape), partial(ArrayOnDisk, path, hashed=True))])


def read_npz(path: Path) -> Contents:
    """What an ``.npz`` file holds.

    Raises
    ------
    InputError
        If it is damaged or something else.
    """
    variables = []
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name == member.filename:
                    variables.append(Variable(name, (), partial(_load_member, path, name), "no array"))
                    continue
                with archive.open(member) as file:
                    shape, dtype = _header(cast(BinaryIO, file))
                    if dtype.hasobject:
                        variables += _pickled_or_objects(name, shape, cast(BinaryIO, file))
                        continue
                    problem = problem_of(dtype, shape)
                    # a header must not make anyone reserve memory that the content cannot fill
                    if not problem and prod(shape) * dtype.itemsize > member.file_size:
                        problem = "damaged"
                variables.append(Variable(name, shape, partial(_load_member, path, name), problem))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception:  # a damaged archive can fail in any way
        raise InputError(f"{path} cannot be read: it is damaged, or no .npz file") from None
    return Contents(variables)


def npy_files(stem: str, suffix: str, arrays: Mapping[str, LaidOut], facts: Mapping[str, Any], layout: Any):
    """One ``.npy`` file per array; see `cascade_adapters.containers.arrays.formats.Format`."""
    return {f"{stem}_{name}{suffix}": partial(_save, array=array) for name, array in arrays.items()}


def npz_files(stem: str, suffix: str, arrays: Mapping[str, LaidOut], facts: Mapping[str, Any], layout: Any):
    """One ``.npz`` file for everything; see `cascade_adapters.containers.arrays.formats.Format`."""

    def save(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    _save(cast(BinaryIO, member), array)
            for name, fact in facts.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(fact), allow_pickle=False)

    return {f"{stem}{suffix}": save}


def load_npy_results(
    folder: Path, stem: str, suffix: str, names: tuple[str, ...], layout: Any
) -> dict[str, ArrayOnDisk]:
    """What `npy_files` has written."""
    places = {name: folder / f"{stem}_{name}{suffix}" for name in names}
    return {name: ArrayOnDisk(place) for name, place in places.items() if place.is_file()}


def load_npz_results(
    folder: Path, stem: str, suffix: str, names: tuple[str, ...], layout: Any
) -> dict[str, np.ndarray]:
    """What `npz_files` has written."""
    check_archive(folder / f"{stem}{suffix}")
    with np.load(folder / f"{stem}{suffix}", allow_pickle=False) as archive:
        return {name: archive[name] for name in names if name in archive}


def _pickled_or_objects(name: str, shape: tuple[int, ...], file: BinaryIO) -> list[Variable]:
    """The arrays in an array of Python objects, or the latter as one that cannot be read."""
    try:
        return _pickled(name, file.read())
    except ValueError:
        return [Variable(name, shape, partial(np.empty, 0), problem_of(np.dtype(object), shape))]


def _pickled(name: str, content: bytes) -> list[Variable]:
    """The arrays in a pickle: masked arrays, rows, or a dictionary; `ValueError` for anything else."""
    found = load_arrays(content)
    if isinstance(found, dict):
        arrays = {f"{name}.{key}" if name else key: array for key, array in found.items()}
    else:
        arrays = {name: found}
    return [
        Variable(each, array.shape, partial(np.asarray, array), problem_of(array.dtype, array.shape))
        for each, array in arrays.items()
    ]


def _header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, _, dtype = read(file)
    if min(shape, default=1) < 0:
        raise ValueError(shape)
    return shape, dtype


def _load_member(path: Path, name: str) -> np.ndarray:
    check_archive(path)
    with np.load(path, allow_pickle=False) as archive:
        return archive[name]


def _save(file: BinaryIO, array: LaidOut) -> None:
    """Write a ``.npy`` file; an array by frames is one whose first axis is fastest, so that ROIs lie together."""
    dtype = array.dtype.newbyteorder("<")
    header = {"descr": dtype.str, "fortran_order": array.is_by_columns, "shape": array.shape}
    np.lib.format.write_array_header_1_0(file, header)
    for _, block in array.blocks():
        file.write(np.ascontiguousarray(block, dtype=dtype).tobytes())
