"""The ``.npy`` files of a plane: traces, which are read some ROIs at a time, and which ROIs are cells."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from cascade_adapters.results import schema
from cascade_engine.errors import InputError
from cascade_engine.file_formats.npy import ArrayOnDisk

_OF_SUITE2P = (
    r"(F|Fneu|F_chan2|Fneu_chan2|spks|spks_suite2p|iscell|redcell|stat|ops|db|settings|reg_outputs|detect_outputs)\.npy"
)


def is_part_of_plane(path: Path) -> bool:
    """Whether a file is called as one of those in a plane's folder: suite2p's, or ours."""
    arrays = "|".join(array.name for array in schema.ARRAYS)
    ours = rf"cascade(_chan2)?_({arrays})\.npy|cascade(_chan2)?_spikes\.npz"
    return re.fullmatch(f"{_OF_SUITE2P}|{ours}", path.name) is not None


def read_array(path: Path, n_axes: int = 2) -> ArrayOnDisk:
    """An array of a plane, not read yet.

    Parameters
    ----------
    path : Path
        The file.
    n_axes : int
        2 for ROIs x frames, 1 for one value per ROI.

    Returns
    -------
    ArrayOnDisk
        It is hashed while it is read.

    Raises
    ------
    InputError
        If it is damaged, empty, or holds anything else.
    """
    array = ArrayOnDisk(path, hashed=True)
    if array.ndim != n_axes or array.dtype.kind not in "fiu":
        what = "ROIs x frames" if n_axes == 2 else "ROIs"
        raise InputError(f"{path} must hold numbers of {what}, but is {array.dtype} of shape {array.shape}")
    if not array.size:
        raise InputError(f"{path} is empty: shape {array.shape}")
    return array


def read_iscell(path: Path, n_rois: int, remarks: list[str]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Which ROIs are cells, and how probable each is; None for what ``iscell.npy`` does not say."""
    if not path.is_file():
        return None, None
    try:
        stored = ArrayOnDisk(path)
        if len(stored) != n_rois or not stored.size:
            remarks.append(f"iscell.npy has {len(stored)} rows for {n_rois} ROIs and was ignored")
            return None, None
        if stored.ndim not in (1, 2) or stored.dtype.kind not in "fiub":
            raise InputError(f"{path} does not hold numbers of ROIs")
        iscell = stored[:].reshape(n_rois, -1)[:, :2]
    except InputError:
        remarks.append("iscell.npy cannot be read and was ignored")
        return None, None
    known = iscell.shape[1] > 1 and np.isfinite(iscell[:, 1]).all()
    return iscell[:, 0] > 0.5, iscell[:, 1].astype(float) if known else None
