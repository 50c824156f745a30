"""Wrong attributes of HDF5 files and of Zarr stores; `fuzz.py` uses it with ``--attributes``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.reliability.damage import WRONG_JSON, WRONG_VALUES, Rng

#: Kinds of recordings that have attributes.
KINDS_WITH_ATTRIBUTES = ("caiman", "nwb", "zarr", "mat v7.3", "EXTRACT")

#: Names by which pynwb, MATLAB and the results of this package know what they read.
_TELLING = (
    "neurodata_type", "namespace", "object_id", "colnames", "description", "conversion", "offset", "unit", "rate",
    "comments", "table", "target", "MATLAB_class", "MATLAB_empty", "MATLAB_fields", "MATLAB_sparse", "nwb_version",
    "provenance", "zarr_dtype", "_ARRAY_DIMENSIONS", "interval", "resolution",
)  # fmt: skip


def has_attributes(file: Path) -> bool:
    """Whether a file holds attributes that can be damaged."""
    return file.name == ".zattrs" or (file.suffix in (".mat", ".hdf5", ".nwb") and h5py.is_hdf5(file))


def damage_attribute(file: Path, rng: Rng) -> str:
    """Give one attribute a value that no one expects; returns which."""
    if file.name == ".zattrs":
        return _damage_zattrs(file, rng)
    names = ["/"]
    with h5py.File(file, "r+") as root:
        root.visit(names.append)
        named = [name for name in names if not name.startswith("specifications")]
        item = root[named[rng.integers(len(named))]]
        known = list(item.attrs)
        key = (
            known[rng.integers(len(known))] if known and rng.random() < 0.75 else _TELLING[rng.integers(len(_TELLING))]
        )
        if key in item.attrs:
            del item.attrs[key]
        how, write = _WAYS[rng.integers(len(_WAYS))]
        write(root, item, key, rng)
        return f"{file.name}: attribute {key} of {item.name} {how}"


def _damage_zattrs(file: Path, rng: Rng) -> str:
    content = json.loads(file.read_text("utf-8") or "{}")
    key = list(content)[rng.integers(len(content))] if content else _TELLING[rng.integers(len(_TELLING))]
    wrong: tuple[Any, ...] = (*WRONG_JSON, "x" * 5_000_000, [0] * 500_000, json.loads("[" * 500 + "]" * 500))
    content[key] = wrong[rng.integers(len(wrong))]
    file.write_text(json.dumps(content), "utf-8")
    return f"{file.parent.name}/.zattrs: {key} is {str(content[key])[:40]!r}"


def _value(root: h5py.File, item: Any, key: str, rng: Rng) -> None:
    value = WRONG_VALUES[rng.integers(len(WRONG_VALUES))]
    array = np.asarray(value)
    is_plain = array.dtype.kind not in "OMU" and not (isinstance(value, int) and abs(value) > 2**62)
    item.attrs[key] = value if is_plain else str(value).replace("\0", "")


def _bytes(root: h5py.File, item: Any, key: str, rng: Rng) -> None:
    """Text in no encoding, said to be UTF-8 or ASCII."""
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(8)
    kind.set_cset(h5py.h5t.CSET_UTF8 if rng.random() < 0.5 else h5py.h5t.CSET_ASCII)
    space = h5py.h5s.create(h5py.h5s.SCALAR)
    attribute = h5py.h5a.create(item.id, key.encode(), kind, space)
    attribute.write(np.array(rng.bytes(8), dtype="S8"), mtype=kind)


def _large(root: h5py.File, item: Any, key: str, rng: Rng) -> None:
    """Larger than HDF5 keeps in the head of an object."""
    with h5py.File(root.filename, "r+", libver="latest") as file:
        file[item.name].attrs[key] = ("x" * 8_000_000) if rng.random() < 0.5 else "[" * 60_000


def _reference(root: h5py.File, item: Any, key: str, rng: Rng) -> None:
    """To the root, to itself, or to nothing."""
    target = (root.ref, item.ref, h5py.Reference())[rng.integers(3)]
    item.attrs.create(key, target, dtype=h5py.ref_dtype)


def _references(root: h5py.File, item: Any, key: str, rng: Rng) -> None:
    item.attrs.create(key, [item.ref] * 50, dtype=h5py.ref_dtype)


def _compound(root: h5py.File, item: Any, key: str, rng: Rng) -> None:
    item.attrs[key] = np.zeros(3, [("a", "f4"), ("b", "i8", (2,))])


def _empty(root: h5py.File, item: Any, key: str, rng: Rng) -> None:
    item.attrs[key] = h5py.Empty(("f8", "S10", "i4")[rng.integers(3)])


def _ragged(root: h5py.File, item: Any, key: str, rng: Rng) -> None:
    item.attrs.create(key, np.array([b"a", b"\xff\xfe", b""], dtype=object), dtype=h5py.string_dtype("ascii"))


def _removed(root: h5py.File, item: Any, key: str, rng: Rng) -> None:
    pass


_WAYS: tuple[tuple[str, Callable[[h5py.File, Any, str, Rng], None]], ...] = (
    ("has another value", _value),
    ("has another value", _value),
    ("is bytes in no encoding", _bytes),
    ("is large", _large),
    ("is a reference", _reference),
    ("is a list of references", _references),
    ("is a record", _compound),
    ("is empty", _empty),
    ("is a list of texts", _ragged),
    ("is gone", _removed),
)
