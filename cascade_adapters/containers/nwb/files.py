"""Which files and folders are NWB files, and which of them we have written ourselves."""

from __future__ import annotations

import os
from pathlib import Path

from cascade_adapters.containers.nwb.opening import is_zarr, open_root
from cascade_adapters.containers.nwb.results import Found, find_results
from cascade_adapters.containers.searching import walk
from cascade_engine.errors import CascadeError
from cascade_engine.file_formats.hdf5 import is_hdf5
from cascade_engine.file_formats.json_text import parse_json

_SUFFIXES = (".nwb.zarr", ".zarr", ".nwb", ".hdf5", ".h5")

_OUTPUT = "_cascade"


def nwb_files(path: Path, in_place: bool = False) -> list[Path]:
    """NWB files at or below a path, in order; a file that we have written stands for the one that it was made from.

    Parameters
    ----------
    path : Path
        A file, a Zarr store, or a folder.
    in_place : bool
        The path means the very file.

    Returns
    -------
    list of Path
        HDF5 files and folders of Zarr stores; below a folder, only those whose name ends with ``.nwb`` or ``.zarr``.
    """
    if path.is_file() or is_zarr(path):
        return [(not in_place and source_of(path)) or path] if _is_nwb(path) else []
    found = []
    for folder, folders, names in walk(path):
        here = [folder / name for name in names if name.lower().endswith(".nwb")]
        stores = [folder / name for name in folders if is_zarr(folder / name)]
        folders[:] = sorted(set(folders) - {store.name for store in stores})
        found += here + [store for store in stores if _is_nwb(store)]
    return [file for file in found if source_of(file) is None]


def output_of(source: Path) -> Path:
    """Where the results of a file go by default."""
    suffix = _suffix(source)
    return source.with_name(f"{source.name[: len(source.name) - len(suffix)]}{_OUTPUT}{suffix}")


def source_of(path: Path) -> Path | None:
    """The file beside a file of ours from which it was made, or None."""
    suffix = _suffix(path)
    stem = path.name[: len(path.name) - len(suffix)]
    source = path.with_name(stem[: -len(_OUTPUT)] + suffix)
    if not stem.endswith(_OUTPUT) or stem == _OUTPUT or not source.exists():
        return None
    try:
        return source if holds_results_of(path, source) else None
    except CascadeError:
        return None


def holds_results_of(path: Path, source: Path) -> bool:
    """Whether a file holds results of ours in a copy of a source, which may have another name since."""
    names = {found.copy_of for found in results_in(path)} - {None}
    if source.name in names or not any("://" not in str(name) for name in names):
        return source.name in names
    return _identifier(path) == _identifier(source)


def results_in(path: Path) -> list[Found]:
    """All results of ours in a file; none if there is no file."""
    if not path.exists() and not path.is_symlink():
        return []
    with open_root(path) as root:
        return find_results(root)


def state_of(path: Path) -> dict:
    """What tells whether a file has changed: its name, size in bytes and time of modification in ns."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    states = [file.stat() for file in files]
    size, newest = sum(state.st_size for state in states), max((state.st_mtime_ns for state in states), default=0)
    return {"name": path.name, "size": size, "mtime_ns": newest}


def set_newest(path: Path, time_ns: int) -> None:
    """Set back the time of modification (in ns) of what is newer than that."""
    for file in [path] if path.is_file() else path.rglob("*"):
        if file.is_file() and file.stat().st_mtime_ns > time_ns:
            os.utime(file, ns=(time_ns, time_ns))


def _identifier(path: Path) -> str:
    """What NWB wants to be another text for each file, and a copy has in common with its source."""
    with open_root(path) as root:
        return str(root["identifier"][()]) if "identifier" in root else str(path.resolve())


def _is_nwb(path: Path) -> bool:
    if is_zarr(path):
        try:
            return path.name.lower().endswith(".nwb.zarr") or "nwb_version" in parse_json(
                (path / ".zattrs").read_text("utf-8")
            )
        except (OSError, ValueError):
            return False
    if path.name.lower().endswith(".nwb"):
        return True
    try:
        if not is_hdf5(path):
            return False
        with open_root(path):
            return True
    except (OSError, CascadeError):
        return False


def _suffix(path: Path) -> str:
    known = (path.name[-len(suffix) :] for suffix in _SUFFIXES if path.name.lower().endswith(suffix))
    return next(known, path.suffix)
