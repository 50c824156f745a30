"""What an NWB file holds besides results of ours, whatever the times of the file say.

Copying, downloading and unpacking files gives them new times, so that these cannot tell whether a file was changed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade_adapters.containers.nwb.layout import MODULE, MODULE_DESCRIPTION
from cascade_adapters.containers.nwb.opening import is_zarr, open_root
from cascade_adapters.containers.nwb.results import find_results

if TYPE_CHECKING:
    import h5py
    import zarr

#: Bytes of a dataset that are read at a time.
_BLOCK_BYTES = 32_000_000

#: Names of files in a Zarr store: metadata, and chunks of arrays.
_OF_A_STORE = re.compile(r"\.z(group|attrs|array|metadata)|\d+(\.\d+)*")


def hold_the_same(one: Path, other: Path) -> bool:
    """Whether two NWB files hold the same, but for results of ours.

    Everything is compared, with the values of all datasets: large files take their time.

    Parameters
    ----------
    one, other : Path
        HDF5 files or Zarr stores.

    Raises
    ------
    InputError
        If one of them cannot be read.
    """
    if is_zarr(one) != is_zarr(other) or not all(_has_nothing_else(path) for path in (one, other) if is_zarr(path)):
        return False
    with open_root(one) as root, open_root(other) as other_root:
        pairs = itertools.zip_longest(_described(root), _described(other_root))
        return all(a == b for a, b in pairs)


def _has_nothing_else(store: Path) -> bool:
    """Whether all files in the folder of a Zarr store are the store's."""
    return all(_OF_A_STORE.fullmatch(file.name) for file in store.rglob("*") if file.is_file())


def _described(root: h5py.File | zarr.Group) -> Iterator[tuple]:
    """Everything in a file, piece by piece, in the order of its names."""
    ours = {path.strip("/") for found in find_results(root) for path in found.names.all}
    yield from _of_group(root, root, "", ours)


def _of_group(root: Any, group: Any, path: str, ours: Collection[str]) -> Iterator[tuple]:
    import h5py

    yield path, _attributes(root, group)
    for name in sorted(group):
        place = f"{path}/{name}".strip("/")
        if place in ours:
            continue
        link: Any = group.get(name, getlink=True) if isinstance(group, h5py.Group) else None
        if getattr(link, "path", None) is not None:  # leads elsewhere in the file, or to another one
            yield place, link.path, getattr(link, "filename", None)
        elif hasattr(thing := group[name], "shape"):
            yield place, _attributes(root, thing), str(thing.dtype), tuple(thing.shape)
            yield from ((place, digest) for digest in _digests(root, thing))
        elif not _is_made_for(thing, place, ours):
            yield from _of_group(root, thing, place, ours)


def _is_made_for(group: Any, place: str, ours: Collection[str]) -> bool:
    """Whether a group was made to hold results of ours, and holds nothing else."""
    inside = [f"{place}/{name}" for name in group]
    is_module = place == f"processing/{MODULE}"
    if not inside or (is_module and group.attrs.get("description") != MODULE_DESCRIPTION):
        return False
    if not is_module and not all(path in ours for path in inside):
        return False
    return all(path in ours or _is_made_for(group[path[len(place) + 1 :]], path, ours) for path in inside)


def _attributes(root: Any, thing: Any) -> str:
    plain = {name: _plain(root, value) for name, value in dict(thing.attrs).items()}
    return json.dumps(plain, sort_keys=True, default=str)


def _digests(root: Any, data: Any) -> Iterator[str]:
    if data.shape is None or not data.shape:
        yield json.dumps(_plain(root, data[()]) if data.shape is not None else None, default=str)
        return
    row_bytes = max(1, int(np.prod(data.shape[1:], dtype=object)) * data.dtype.itemsize)
    chunk = (data.chunks or (1,))[0]
    step = max(1, _BLOCK_BYTES // (row_bytes * chunk)) * chunk
    for start in range(0, data.shape[0], step):
        values = np.asarray(data[start : start + step])
        content = np.ascontiguousarray(values).tobytes() if not values.dtype.hasobject else b""
        content = content or json.dumps(_plain(root, values), default=str).encode()
        yield hashlib.sha256(content).hexdigest()


def _plain(root: Any, value: Any) -> Any:
    """A value as JSON knows it; references by the path that they lead to."""
    import h5py

    if isinstance(value, h5py.Reference):
        return root[value].name if value else None
    if isinstance(value, h5py.RegionReference):
        return str(value)
    if isinstance(value, np.ndarray | np.void):
        return [_plain(root, each) for each in value.tolist()] if value.shape or value.dtype.names else value.tobytes()
    if isinstance(value, list | tuple):
        return [_plain(root, each) for each in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value
