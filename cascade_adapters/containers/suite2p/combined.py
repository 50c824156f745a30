"""The folder ``combined`` that suite2p adds to several planes: it repeats them; cells are sometimes chosen there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from cascade_adapters.containers.suite2p.files import read_iscell
from cascade_engine.errors import InputError
from cascade_engine.file_formats.npy import ArrayOnDisk

NAME = "combined"


def natural(folder: Path) -> list:
    """Sort key that puts plane10 behind plane9."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", str(folder))]


def read_cells(plane: Path, n_rois: int, remarks: list[str]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Which ROIs of a plane are cells, and how probable each is, chosen in the plane or later in ``combined``.

    Parameters
    ----------
    plane : Path
        The plane's folder.
    n_rois : int
        Number of its ROIs.
    remarks : list of str
        Takes what is doubtful.

    Returns
    -------
    is_cell : array of bool, shape (n_rois,), or None
        None if neither says it.
    cell_probability : array, shape (n_rois,), or None
        From 0 to 1.
    """
    own, others = plane / "iscell.npy", plane.absolute().parent / NAME / "iscell.npy"
    is_cell, probability = read_iscell(own, n_rois, remarks)
    if not others.is_file() or (own.is_file() and own.stat().st_mtime_ns >= others.stat().st_mtime_ns):
        return is_cell, probability
    rows, n_all = _rows(plane)
    chosen, _ = read_iscell(others, n_all, [])
    if rows is None or chosen is None or (is_cell is not None and np.array_equal(chosen[rows], is_cell)):
        return is_cell, probability
    remarks.append(f"which ROIs are cells was changed in {NAME} after it was in {plane.name}: {NAME} was followed")
    return chosen[rows], probability


def why_not(path: Path) -> str:
    """What to do with a folder ``combined``, or one that has it and no planes; empty for anything else."""
    folder = path if path.absolute().name == NAME else path / NAME
    if not (folder / "F.npy").is_file():
        return ""
    if _planes(folder.absolute().parent):
        parent = folder.absolute().parent
        return f"{folder} repeats the planes beside it: pass {parent} (cells chosen in {NAME} are heeded)"
    return (
        f"{folder} is a combination of planes that are not there, shorter ones padded with zeros: bring the folders "
        f"of the planes, or rename {NAME} to plane0 to take it as one plane"
    )


def _planes(folder: Path) -> list[Path]:
    found = (each for each in folder.iterdir() if each.name != NAME and (each / "F.npy").is_file())
    return sorted(found, key=natural)


def _rows(plane: Path) -> tuple[slice | None, int]:
    """The rows of a plane in ``combined``, and how many there are in all."""
    first, rows = 0, None
    for each in _planes(plane.absolute().parent):
        try:
            n_rois = len(ArrayOnDisk(each / "F.npy"))
        except InputError:
            return None, 0
        if each.name == plane.absolute().name:
            rows = slice(first, first + n_rois)
        first += n_rois
    return rows, first
