"""What the files in a folder hold, as their own libraries read them, in a form that can be compared."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr
from hdmf_zarr import NWBZarrIO
from pynwb import NWBHDF5IO
from scipy.io import loadmat

from tests.builders import caiman_files

#: What differs between two runs that write the same: random names of objects, and times.
VARYING = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d)?"
    r"|(stamp|mtime)_ns\\*\": \d+"
    r"|_cascade\.mat\": \"[0-9a-f]{64}"  # the header of MATLAB v5 tells the time
)


def contents(folder: Path) -> dict[str, Any]:
    """What the libraries of all files in a folder find in them; hidden files and folders are no one's."""
    found: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.name.endswith(".zarr"):
            found |= {f"{path.name}/{name}": content for name, content in contents(path).items()}
        elif path.is_dir():
            found[path.name] = zarr_content(path)
        else:
            found[path.name] = file_content(path.suffix, path.read_bytes(), path)
    return found


class _Known:
    """A path that does not count when two calls are compared."""

    def __init__(self, path: Path):
        self.path = path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known)

    def __hash__(self) -> int:
        return 0


def file_content(suffix: str, stored: bytes, path: Path) -> Any:
    """What a file holds; one that was opened before is not opened again."""
    return _file_content(suffix, stored, _Known(path))


@lru_cache(maxsize=256)
def _file_content(suffix: str, stored: bytes, known: _Known) -> Any:
    path = known.path
    if suffix == ".npy":
        np.load(path, allow_pickle=True)
        return stored
    if suffix == ".npz":
        with np.load(path) as archive:
            return {name: plain(archive[name]) for name in archive}
    if suffix == ".mat":
        try:
            variables = loadmat(path)
        except NotImplementedError:
            return hdf5_content(path)
        return {name: plain(value) for name, value in variables.items() if not name.startswith("__")}
    if suffix == ".nwb":
        with NWBHDF5IO(str(path), "r", load_namespaces=True) as reader:
            reader.read()
        return hdf5_content(path)
    if suffix == ".hdf5":
        caiman_files.load(path)
        return stored
    text = stored.decode()
    if suffix == ".json":
        json.loads(text)
    return VARYING.sub("", text)


def hdf5_content(path: Path) -> dict[str, Any]:
    """Everything in an HDF5 file but the random names of its objects."""
    found: dict[str, Any] = {}
    with h5py.File(path, "r") as file:

        def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
            value = plain(item[()], file) if isinstance(item, h5py.Dataset) else None
            found[name] = (value, sorted((key, plain(value, file)) for key, value in item.attrs.items()))

        add("", file)
        file.visititems(add)
    return found


def zarr_content(path: Path) -> dict[str, Any]:
    """Everything in a Zarr store but the random names of its objects."""
    with NWBZarrIO(str(path), "r", load_namespaces=True) as reader:
        reader.read()
    found: dict[str, Any] = {}

    def add(name: str, item: zarr.Group | zarr.Array) -> None:
        value = plain(item[...]) if isinstance(item, zarr.Array) else None
        found[name] = (value, VARYING.sub("", json.dumps(dict(item.attrs), sort_keys=True)))

    root = zarr.open_group(str(path), mode="r")
    add("", root)
    root.visititems(add)
    return found


def plain(value: Any, file: h5py.File | None = None) -> Any:
    """A value in a form that can be compared."""
    if isinstance(value, h5py.Reference):
        return file[value].name
    if isinstance(value, np.ndarray) and value.dtype.kind in "OUV":
        return [plain(each, file) for each in value.ravel()]
    if isinstance(value, np.ndarray | np.number | np.bool_):
        return value.dtype.str, value.shape, value.tobytes()
    return VARYING.sub("", value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def stored_bytes(folder: Path) -> dict[str, bytes | None]:
    """Every file in a folder, hidden ones too, and the names of all folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
