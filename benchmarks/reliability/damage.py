"""Damage of all sorts to files of all kinds; `fuzz.py` uses it.

What is damaged is a copy of a file that was whole, so that it can be opened here to give its parts wrong types.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import io
import json
import logging
import operator
import os
import pathlib
import pickle
import shutil
import subprocess
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import loadmat, savemat

#: Values that no one expects.
WRONG_VALUES: tuple[Any, ...] = (
    None, "", "thirty", "1e400", "ü\0\n", True, -1, 0, 1, 30, 10**30, 0.0, -7.5, 1e-300, 1e300, float("nan"),
    float("inf"), [], [[]], ["a", 1], [30.0, 30.0], {}, {"fs": 30.0}, 1j, b"\xff\x00",
)  # fmt: skip

#: As far as JSON can say them.
WRONG_JSON = tuple(value for value in WRONG_VALUES if not isinstance(value, complex | bytes))

#: Bytes at the beginning of a file that say how the rest is to be read.
_HEAD = 4096

Rng = np.random.Generator


def damage(file: Path, rng: Rng) -> str:
    """Damage a file in some way; returns which."""
    ways: list[Callable[[Path, Rng], str]] = [_BYTES[rng.integers(len(_BYTES))]]
    structural = _STRUCTURES.get(_format_of(file))
    ways += [structural] * 2 if structural else []
    ways += [misplace] if rng.random() < 0.3 else []
    try:
        return f"{file.name}: {ways[rng.integers(len(ways))](file, rng)}"
    except (ValueError, TypeError, OSError, RuntimeError):  # not every wrong value can be stored
        return f"{file.name}: {flip_bits(file, rng)}"


def _format_of(file: Path) -> str:
    if file.name.startswith(".z"):
        return ".json"
    if file.suffix in (".mat", ".hdf5", ".nwb") and h5py.is_hdf5(file):
        return ".hdf5"
    return file.suffix


# ---------------------------------------------------------------------------------------------------------------- bytes


def truncate(file: Path, rng: Rng) -> str:
    """Cut off the end."""
    length = int(rng.integers(file.stat().st_size + 1))
    os.truncate(file, length)
    return f"truncated to {length} bytes"


def empty(file: Path, rng: Rng) -> str:
    """Leave nothing."""
    os.truncate(file, 0)
    return "empty"


def zero(file: Path, rng: Rng) -> str:
    """Let all be zero, as a crashed file system leaves it."""
    file.write_bytes(bytes(file.stat().st_size))
    return "zeros alone"


def zero_from(file: Path, rng: Rng) -> str:
    """Let all be zero from some place."""
    content = file.read_bytes()
    first = int(rng.integers(len(content) + 1))
    file.write_bytes(content[:first].ljust(len(content), b"\0"))
    return f"zeros from byte {first}"


def flip_bits(file: Path, rng: Rng) -> str:
    """Turn some bits round."""
    return _change(file, rng, file.stat().st_size, lambda old: old ^ (1 << int(rng.integers(8))), "bits turned")


def flip_bits_at_the_ends(file: Path, rng: Rng) -> str:
    """Turn bits round where formats say how the rest is to be read."""
    return _change(file, rng, _HEAD, lambda old: old ^ (1 << int(rng.integers(8))), "bits turned at the ends")


def overwrite(file: Path, rng: Rng) -> str:
    """Overwrite some bytes."""
    return _change(file, rng, file.stat().st_size, lambda old: int(rng.integers(256)), "bytes overwritten")


def overwrite_block(file: Path, rng: Rng) -> str:
    """Overwrite a block with noise, or with another part of the file."""
    content = bytearray(file.read_bytes())
    length = int(rng.integers(1, 600))
    place, other = rng.integers(max(1, len(content)), size=2)
    content[place : place + length] = rng.bytes(length) if rng.random() < 0.5 else content[other : other + length]
    file.write_bytes(content)
    return f"a block of {length} bytes overwritten at {place}"


def append(file: Path, rng: Rng) -> str:
    """Add bytes behind the end."""
    with file.open("ab") as target:
        target.write(rng.bytes(int(rng.integers(1, 5000))))
    return "bytes behind its end"


def replace_by_noise(file: Path, rng: Rng) -> str:
    """Leave the name alone."""
    file.write_bytes(rng.bytes(int(rng.integers(1, 5000))))
    return "noise alone"


def _change(file: Path, rng: Rng, reach: int, change: Callable[[int], int], what: str) -> str:
    content = bytearray(file.read_bytes())
    n_changes, reach = int(rng.integers(1, 20)), max(1, min(reach, len(content)))
    for place in rng.integers(reach, size=n_changes) if content else ():
        place = int(place) if rng.random() < 0.8 or reach == len(content) else len(content) - 1 - int(place)
        content[place] = change(content[place])
    file.write_bytes(content)
    return f"{n_changes} {what}"


_BYTES = (
    truncate, empty, zero, zero_from, flip_bits, flip_bits, flip_bits_at_the_ends, flip_bits_at_the_ends, overwrite,
    overwrite_block, append, replace_by_noise,
)  # fmt: skip


def misplace(file: Path, rng: Rng) -> str:
    """Let the name stand for nothing, a folder, or a link that leads nowhere or to itself."""
    what = ("removed", "a folder", "a link to nothing", "a link to itself")[rng.integers(4)]
    file.unlink()
    if what == "a folder":
        file.mkdir()
    elif what.startswith("a link"):
        file.symlink_to("nothing" if what.endswith("nothing") else file.name)
    return what


# ---------------------------------------------------------------------------------------------------------- wrong types


def wrong_array(array: np.ndarray, rng: Rng) -> Any:
    """The array with another type or shape, or values that are no use."""
    numbers = array if array.dtype.kind in "fiub" else np.zeros((3, 50))
    float_array = numbers.astype(float)
    choices: tuple[Callable[[], Any], ...] = (
        lambda: array.T,
        array.ravel,
        lambda: array[np.newaxis],
        lambda: array[:0],
        lambda: array[..., :0],
        lambda: array[..., : int(rng.integers(1, 40))],
        lambda: array[: len(array) // 2],
        lambda: array.reshape(-1)[0] if array.size else np.float64(1),
        lambda: (float_array * 1j).astype(complex),
        lambda: float_array > 0.5,
        lambda: np.nan_to_num(float_array).astype(np.int8),
        lambda: float_array.astype(">f8"),
        lambda: float_array.astype(np.float16),
        lambda: float_array.astype(str).astype("S8"),
        lambda: float_array.astype(str),
        lambda: np.zeros(array.shape, "datetime64[s]"),
        lambda: np.zeros(array.shape, [("a", "f4"), ("b", "S3")]),
        lambda: np.full(array.shape, np.nan),
        lambda: np.full(array.shape, np.inf),
        lambda: np.zeros(array.shape),
        lambda: -1e300 * float_array,
        lambda: np.where(rng.random(numbers.shape) < 0.5, np.nan, float_array),
        lambda: np.array({"fs": 30.0}, dtype=object),
        lambda: np.array([[1, 2], "x", None], dtype=object),
    )
    return choices[rng.integers(len(choices))]()


def wrong_value(value: Any, rng: Rng, values: tuple[Any, ...] = WRONG_VALUES) -> Any:
    """The value, or something inside it, replaced by what no one expects."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = list(value)[rng.integers(len(value))]
        changed = dict(value)
        if rng.random() < 0.2:
            del changed[key]
        else:
            changed[key] = wrong_value(value[key], rng, values)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.6:
        place = int(rng.integers(len(value)))
        return [*value[:place], wrong_value(value[place], rng, values), *value[place + 1 :]]
    if isinstance(value, np.ndarray) and value.ndim and rng.random() < 0.7:
        return wrong_array(value, rng)
    return values[rng.integers(len(values))]


def _damage_npy(file: Path, rng: Rng) -> str:
    array = np.load(file, allow_pickle=True)
    if array.dtype != object:
        changed = wrong_array(array, rng)
    elif array.ndim == 0:  # settings
        changed = wrong_value(array.item(), rng)
    else:  # records
        changed = array.copy()
        place = rng.integers(len(array))
        changed[place] = wrong_value(array[place], rng)
    np.save(file, changed, allow_pickle=True)
    return f"now {_told(changed)}"


def _damage_npz(file: Path, rng: Rng) -> str:
    with np.load(file) as archive:
        arrays = dict(archive)
    name = list(arrays)[rng.integers(len(arrays))]
    arrays[name] = wrong_array(arrays[name], rng)
    np.savez(file, **arrays)
    return f"{name} is {_told(arrays[name])}"


def _damage_mat(file: Path, rng: Rng) -> str:
    variables = {name: value for name, value in loadmat(file).items() if not name.startswith("__")}
    name = list(variables)[rng.integers(len(variables))]
    changed = wrong_value(variables[name], rng)
    savemat(file, variables | {name: 0 if changed is None else changed})
    return f"{name} is {_told(changed)}"


def _damage_hdf5(file: Path, rng: Rng) -> str:
    names: list[str] = []
    with h5py.File(file, "r+") as root:
        root.visit(names.append)
        named = [name for name in names if not name.startswith("specifications")] or names
        name = named[rng.integers(len(named))]
        item = root[name]
        if len(item.attrs) and rng.random() < 0.3:
            key = list(item.attrs)[rng.integers(len(item.attrs))]
            del item.attrs[key]
            what = f"attribute {key} of {name} "
            if rng.random() < 0.3:
                return what + "removed"
            value = _storable(WRONG_VALUES[rng.integers(len(WRONG_VALUES))])
            item.attrs[key] = value
            return what + f"is {_told(value)}"
        old = item[()] if isinstance(item, h5py.Dataset) else None
        attributes = dict(item.attrs)
        del root[name]
        way = rng.random()
        if way < 0.15:
            return f"{name} removed"
        if way < 0.25:
            root[name] = (h5py.SoftLink("/nothing"), h5py.SoftLink(f"/{name}"), h5py.ExternalLink("no.h5", "/a"))[
                rng.integers(3)
            ]
            return f"{name} is a link to nothing"
        if way < 0.3:
            root.create_group(name)
            return f"{name} is a group"
        is_array = isinstance(old, np.ndarray) and old.dtype.kind in "fiub" and rng.random() < 0.8
        value = _storable(wrong_array(old, rng) if is_array else WRONG_VALUES[rng.integers(len(WRONG_VALUES))])
        new = root.create_dataset(name, data=value)
        if rng.random() < 0.7:
            for key, attribute in attributes.items():
                new.attrs[key] = attribute
        return f"{name} is {_told(value)}"


def _storable(value: Any) -> Any:
    """The value in a form that HDF5 can hold."""
    array = np.asarray(value)
    if array.dtype.kind in "OMU" or (isinstance(value, int) and abs(value) > 2**62):
        return str(value).replace("\0", "")
    return value


def _damage_json(file: Path, rng: Rng) -> str:
    changed = wrong_value(json.loads(file.read_text("utf-8")), rng, WRONG_JSON)
    file.write_text(json.dumps(changed), "utf-8")
    return "a value of another type"


def _damage_text(file: Path, rng: Rng) -> str:
    lines = file.read_text("utf-8").splitlines()
    place = int(rng.integers(len(lines)))
    cells = lines[place].split(",")
    cell = int(rng.integers(len(cells)))
    wrong = ("abc", "", "1,5", '"', '"a\nb"', "nan", "-inf", "1e999", "0x1F", "ü", "\0", "1 2", "1;2", "," * 5000)
    cells[cell] = wrong[rng.integers(len(wrong))]
    lines[place] = ",".join(cells)
    encoding = ("utf-8", "utf-16", "utf-8-sig", "latin1")[rng.integers(4)]
    file.write_bytes("\n".join(lines).encode(encoding, errors="replace"))
    return f"{cells[cell][:10]!r} in line {place}, in {encoding}"


def _damage_pickle(file: Path, rng: Rng) -> str:
    with file.open("rb") as source:
        content = pickle.load(source)
    file.write_bytes(pickle.dumps(wrong_value(content, rng), int(rng.integers(6))))
    return "a value of another type"


_STRUCTURES: dict[str, Callable[[Path, Rng], str]] = {
    ".npy": _damage_npy,
    ".npz": _damage_npz,
    ".mat": _damage_mat,
    ".hdf5": _damage_hdf5,
    ".json": _damage_json,
    ".csv": _damage_text,
    ".txt": _damage_text,
    ".pkl": _damage_pickle,
}


def _told(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return f"{type(value).__name__} {str(value)[:30]!r}"


# ------------------------------------------------------------------------------------------------------ hostile pickles


class Calls:
    """An object whose pickle calls a function with arguments, and may go on with what it gives."""

    def __init__(self, function: Callable, *arguments: Any, state: Any = None):
        self._reduced = (function, arguments) if state is None else (function, arguments, state)

    def __call__(self) -> None:
        """Do nothing: a pickle may call what this call gives, so that pickle wants it to look callable."""

    def __reduce__(self) -> tuple:
        return self._reduced


def hostile(marker: Path, rng: Rng) -> tuple[str, Any]:
    """An object that makes the file `marker` if it is unpickled, inside something harmless; and how."""
    name, path = str(marker), Calls(pathlib.PosixPath, str(marker))
    code = f"open({name!r}, 'w').close()"
    calls: dict[str, Callable[[], Any]] = {
        "os.system": lambda: Calls(os.system, f"touch '{name}'"),
        "subprocess.call": lambda: Calls(subprocess.call, ["touch", name]),
        "exec": lambda: Calls(builtins.exec, code),
        "eval": lambda: Calls(builtins.eval, code),
        "open": lambda: Calls(builtins.open, name, "w"),
        "io.FileIO": lambda: Calls(io.FileIO, name, "w"),
        "getattr touch": lambda: Calls(Calls(builtins.getattr, path, "touch")),
        "Path.touch": lambda: Calls(pathlib.Path.touch, path),
        "methodcaller": lambda: Calls(Calls(operator.methodcaller, "touch"), path),
        "partial": lambda: Calls(Calls(functools.partial, os.system, f"touch '{name}'")),
        "import_module": lambda: Calls(Calls(builtins.getattr, Calls(importlib.import_module, "os"), "mkdir"), name),
        "logging": lambda: Calls(logging.FileHandler, name),
        "memmap": lambda: Calls(np.memmap, name, np.uint8, "w+", 0, (1,)),
        "symlink": lambda: Calls(os.symlink, "nothing", name),
        "copyfile": lambda: Calls(shutil.copyfile, __file__, name),
        "tofile": lambda: Calls(np.ndarray.tofile, np.zeros(3), name),
        "map": lambda: Calls(builtins.list, Calls(builtins.map, os.mkdir, [name])),
    }
    key = list(calls)[rng.integers(len(calls))]
    call = calls[key]()
    array = np.empty(2, dtype=object)
    array[:] = [call, 1]
    around: tuple[Any, ...] = (
        call,
        {"fs": 30.0, "neucoeff": 0.7, "extra": call},
        {"fs": call},
        [{"ypix": np.arange(3), "xpix": np.arange(3), "lam": call}],
        OrderedDict(fs=30.0, deep={"list": [1, (2, call)]}),
        {"meanImg": array, "fs": 30.0},
        Calls(dict, [("fs", call)]),
        Calls(OrderedDict, state={"fs": call}),
    )
    place = int(rng.integers(len(around)))
    return f"{key} in place {place}", around[place]


def save_hostile(file: Path, content: Any, rng: Rng) -> str:
    """Put a pickle into a file in one of the ways in which numpy, zarr, or nobody would look for it."""
    protocol = int(rng.integers(6))
    pickled = pickle.dumps(content, protocol)
    if file.suffix == ".npz":
        array = np.empty(1, dtype=object)
        array[0] = content
        np.savez(file, dff=array)
        return "an array of objects"
    if file.name == ".zarray":
        described = json.loads(file.read_text())
        described |= {"filters": [{"id": "pickle", "protocol": protocol}], "compressor": None, "dtype": "|O"}
        file.write_text(json.dumps(described))
        chunk = ".".join("0" * len(described["shape"])) or "0"
        (file.parent / chunk).write_bytes(pickled)
        summary = next((each / ".zmetadata" for each in file.parents if (each / ".zmetadata").is_file()), None)
        if summary is not None:
            known = json.loads(summary.read_text())
            known["metadata"][str(file.relative_to(summary.parent))] = described
            summary.write_text(json.dumps(known))
        return f"a codec that unpickles, protocol {protocol}"
    if file.suffix != ".npy" or rng.random() < 0.2:
        file.write_bytes(pickled)
        return f"a bare pickle of protocol {protocol}"
    shape = ((), (1,), (3, 40))[rng.integers(3)]
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": shape})
    file.write_bytes(header.getvalue() + pickled)
    return f"an array of objects of shape {shape}, protocol {protocol}"
