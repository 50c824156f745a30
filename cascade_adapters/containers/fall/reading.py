"""What suite2p writes into ``Fall.mat``: F and Fneu, settings, which ROIs are cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cascade_adapters.containers.arrays.choosing import find_frame_rate, find_n_planes
from cascade_adapters.containers.arrays.contents import Contents
from cascade_adapters.containers.base import Reading, Traces
from cascade_adapters.containers.frame_rates import doubts_about_rate
from cascade_adapters.containers.suite2p.settings import (
    BAD_FRAMES,
    DEFAULT_NEUROPIL_COEFFICIENT,
    DEFAULT_RATE,
    marked_frames,
)
from cascade_engine.errors import InputError
from cascade_engine.file_formats.variables import Variable, load_numbers


def fluorescence_of(contents: Contents, suffix: str = "") -> Variable | None:
    """The variable F (with suffix ``_chan2``: F_chan2) if this is a file of suite2p's that has it, else None."""
    f, fneu = contents.named(f"F{suffix}"), contents.named(f"Fneu{suffix}")
    is_suite2p = any(variable.name == "iscell" or variable.name.startswith("ops.") for variable in contents.variables)
    return f if f is not None and fneu is not None and is_suite2p else None


def read_fall(contents: Contents, path: Path, reading: Reading, suffix: str = "") -> Traces:
    """Read F, Fneu and what goes with them; ROIs come first, in suite2p's order. Suffix ``_chan2``: of channel 2.

    Raises
    ------
    InputError
        If something needed is missing or damaged.
    """
    f, fneu = contents.named(f"F{suffix}"), contents.named(f"Fneu{suffix}")
    assert f is not None and fneu is not None
    for variable in (f, fneu):
        if variable.problem or len(variable.shape) != 2:
            raise InputError(f"{path} looks like suite2p's Fall.mat, but holds {variable} instead of ROIs x frames")
    if f.shape != fneu.shape:
        raise InputError(f"{path} holds {f}, but {fneu}: they must come from the same run")
    remarks = list(contents.remarks)
    rate, rate_source = find_frame_rate(contents, reading.frame_rate, path)
    if reading.frame_rate is None:
        remarks += doubts_about_rate(rate, rate_source, DEFAULT_RATE, find_n_planes(contents, path))
    n_rois, n_frames = f.shape
    return Traces(
        fluorescence=load_numbers(f, path),
        neuropil=load_numbers(fneu, path),
        neuropil_coefficient=_neuropil_coefficient(contents, path, reading, remarks),
        frame_rate=rate,
        frame_rate_source=rate_source,
        source=f"{f.name} and {fneu.name}, rois-first (as suite2p writes them)",
        segments=_segments(contents, path, n_frames, remarks),
        excluded=_bad_frames(contents, path, n_frames, remarks),
        is_cell=_is_cell(contents, path, n_rois, remarks),
        remarks=remarks,
    )


def _neuropil_coefficient(contents: Contents, path: Path, reading: Reading, remarks: list[str]) -> float:
    if reading.neuropil_coefficient is not None:
        return reading.neuropil_coefficient
    for name in ("ops.neucoeff", "ops.extraction.neuropil_coefficient"):
        variable = contents.named(name)
        if variable is None or not variable.is_scalar:
            continue
        value = float(load_numbers(variable, path).ravel()[0])
        if 0 <= value <= 2:
            return value
        remarks.append(
            f"{name} is {value:g}: {DEFAULT_NEUROPIL_COEFFICIENT} was taken, pass --neuropil-coefficient for another"
        )
    return DEFAULT_NEUROPIL_COEFFICIENT


def _segments(contents: Contents, path: Path, n_frames: int, remarks: list[str]) -> list[int] | None:
    variable = contents.named("ops.frames_per_folder") or contents.named("ops.nframes_per_folder")
    if variable is None or not variable.is_vector:
        return None
    counts = [int(count) for count in load_numbers(variable, path).ravel() if np.isfinite(count)]
    if sum(counts) == n_frames:
        return counts
    remarks.append(f"{variable.name} adds up to {sum(counts)}, not {n_frames}: the recording is taken as one segment")
    return None


def _bad_frames(contents: Contents, path: Path, n_frames: int, remarks: list[str]) -> dict[str, np.ndarray]:
    variable = contents.named(f"ops.{BAD_FRAMES}")
    if variable is None:
        return {}
    try:
        values = variable.load()
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(f"{path}: {variable} cannot be read: {' '.join(str(error).split())}") from None
    return marked_frames({f"marked in {variable.name}": values}, n_frames, remarks)


def _is_cell(contents: Contents, path: Path, n_rois: int, remarks: list[str]) -> np.ndarray | None:
    variable = contents.named("iscell")
    if variable is None:
        return None
    if variable.problem or n_rois not in variable.shape:
        remarks.append(f"{variable} does not fit to {n_rois} ROIs and was ignored")
        return None
    iscell = load_numbers(variable, path)
    iscell = iscell if iscell.shape[0] == n_rois else iscell.T
    return iscell.reshape(n_rois, -1)[:, 0] > 0.5
