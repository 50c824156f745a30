"""The settings of a suite2p run, from either generation of its files.

Up to 0.14 everything lies flat in ``ops.npy``. From 1.0 on the same facts are spread over ``settings.npy`` (nested) and
``db.npy``; ``ops.npy`` is written beside them if asked for. All lie in the plane's folder, copies of the last two also
one level up.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cascade_adapters.containers.background import NEUROPIL_IS_BACKGROUND
from cascade_adapters.containers.frame_rates import doubts_about_rate
from cascade_engine.errors import InputError
from cascade_engine.file_formats.safe_pickle import load_settings
from cascade_engine.signal.noise import as_frame_rate

#: suite2p's own default, assumed where the settings have none.
DEFAULT_NEUROPIL_COEFFICIENT = 0.7

#: Where the conversion notes frames that were dropped, since suite2p has no place for it: frame and number before it.
DROPPED_FRAMES = "cascade_dropped_frames"

#: Where it notes that F is in arbitrary units, so that no dF/F can be had, and that F is denoised.
ARBITRARY_UNITS, DENOISED = "cascade_arbitrary_units", "cascade_denoised"

#: Where it notes the name of the indicator.
INDICATOR = "cascade_indicator"

#: Rate (Hz) that suite2p assumes.
DEFAULT_RATE = {10.0: "suite2p's default"}
#: Where the conversion lists what stands in for settings and files that suite2p's GUI wants, and nobody knows.
PLACEHOLDERS = "cascade_placeholders"

#: Where suite2p keeps the frames that it was told, or has found, to be bad: one boolean per frame.
BAD_FRAMES = "badframes"

#: The settings files that are there, in order of precedence, with their content.
_Files = list[tuple[Path, dict[str, Any]]]


@dataclass
class Suite2pSettings:
    """What matters of a run's settings.

    Attributes
    ----------
    frame_rate : float
        Frames per second per plane, in Hz.
    frame_rate_source : str
        File and key that it comes from, or "given".
    neuropil_coefficient : float
        Part of Fneu to subtract.
    neuropil_is_background : bool
        Whether a conversion has put the background that its source had taken out of F into F and Fneu.
    frames_per_session : list of int or None
        Frames of each concatenated folder.
    bad_frames : dict of str to array
        What the run has marked as bad frames, by where that is said; not checked.
    dropped_frames : dict of int to int
        Frames that were dropped before a stored frame, as of `cascade_engine.FrameGrid`.
    placeholders : list of str
        Names of files that the conversion has made up for suite2p's GUI.
    indicator : str or None
        Calcium indicator, noted by the conversion from a container that names it.
    remarks : list of str
        What is doubtful.
    arbitrary_units, denoised : bool
        Whether the conversion has noted that F is in arbitrary units, or denoised.
    """

    frame_rate: float
    frame_rate_source: str
    neuropil_coefficient: float
    neuropil_is_background: bool
    frames_per_session: list[int] | None
    bad_frames: dict[str, Any]
    dropped_frames: dict[int, int]
    placeholders: list[str]
    indicator: str | None
    remarks: list[str]
    arbitrary_units: bool = False
    denoised: bool = False


def read_settings(
    plane: Path, frame_rate: float | None = None, neuropil_coefficient: float | None = None
) -> Suite2pSettings:
    """Read the settings of a plane's folder.

    Parameters
    ----------
    plane : Path
        Folder with F.npy.
    frame_rate : float, optional
        Given by the user, in Hz; takes precedence.
    neuropil_coefficient : float, optional
        Given by the user; takes precedence.

    Returns
    -------
    Suite2pSettings
        With remarks where a value is missing or implausible.

    Raises
    ------
    InputError
        If a settings file is damaged, or there is no frame rate.
    """
    files = _read_files(plane)
    remarks = [] if files else ["no ops.npy and no settings.npy: suite2p's defaults were assumed"]
    if frame_rate is None:
        rate, rate_source = _frame_rate(files, plane, remarks)
    else:
        rate, rate_source = as_frame_rate(frame_rate), "given"
    is_background = neuropil_coefficient is None and _first(files, (NEUROPIL_IS_BACKGROUND,))[0] is True
    if neuropil_coefficient is None:
        neuropil_coefficient = _neuropil_coefficient(files, remarks)
    sessions = _frames_per_session(files, remarks)
    found, source = _first(files, (BAD_FRAMES,))
    bad_frames = {} if found is None else {f"marked in {source} ({BAD_FRAMES})": found}
    dropped_frames = _dropped_frames(files, remarks)
    arbitrary_units, denoised = (_first(files, (name,))[0] is True for name in (ARBITRARY_UNITS, DENOISED))
    indicator, _ = _first(files, (INDICATOR,))
    return Suite2pSettings(
        frame_rate=rate,
        frame_rate_source=rate_source,
        neuropil_coefficient=neuropil_coefficient,
        neuropil_is_background=is_background,
        frames_per_session=sessions,
        bad_frames=bad_frames,
        dropped_frames=dropped_frames,
        indicator=indicator if isinstance(indicator, str) else None,
        placeholders=_placeholders(files),
        remarks=remarks,
        arbitrary_units=arbitrary_units,
        denoised=denoised,
    )


def read_image_shape(plane: Path) -> tuple[int, int] | None:
    """Height and width (pixels) of the image of a plane's folder, or None if its settings do not say."""
    files = _read_files(plane)
    height, width = (_number(_first(files, (key,))[0]) for key in ("Ly", "Lx"))
    if "Ly" in _placeholders(files) or height is None or width is None or min(height, width) < 1:
        return None
    return int(height), int(width)


def _read_files(plane: Path) -> _Files:
    candidates = [plane / name for name in ("ops.npy", "settings.npy", "db.npy", "reg_outputs.npy")]
    candidates += [plane.parent / name for name in ("settings.npy", "db.npy")]
    return [(path, load_settings(path)) for path in candidates if path.is_file()]


def _frame_rate(files: _Files, plane: Path, remarks: list[str]) -> tuple[float, str]:
    found, source = _first(files, ("fs",))
    rate = _number(found)
    if rate is None or rate <= 0:
        what = "no frame rate" if found is None else f"the frame rate {reprlib.repr(found)}"
        raise InputError(f"{plane} has {what} in its settings: pass --frame-rate (Hz per plane)")
    where = f"fs in {source}"
    remarks += doubts_about_rate(rate, where, DEFAULT_RATE, _n_planes(files, plane))
    if rate <= 1:
        remarks.append(
            f"{where} is {rate:g} Hz, too slow for most recordings: check it, and pass --frame-rate if it is another"
        )
    return rate, where


def _n_planes(files: _Files, plane: Path) -> int:
    """Planes of the run: as its settings say, else as many folders as there are."""
    found = _number(_first(files, ("nplanes",))[0])
    if found is not None:
        return int(found)
    return sum(bool(re.fullmatch(r"plane\d+", folder.name)) for folder in plane.absolute().parent.iterdir())


def _neuropil_coefficient(files: _Files, remarks: list[str]) -> float:
    found, source = _first(files, ("neucoeff", "extraction.neuropil_coefficient"))
    if found is None:
        return DEFAULT_NEUROPIL_COEFFICIENT
    value = _number(found)
    if value is not None and 0 <= value <= 2:
        return value
    remarks.append(
        f"the neuropil coefficient in {source} is {reprlib.repr(found)}: {DEFAULT_NEUROPIL_COEFFICIENT} was taken, "
        "pass --neuropil-coefficient for another"
    )
    return DEFAULT_NEUROPIL_COEFFICIENT


def _frames_per_session(files: _Files, remarks: list[str]) -> list[int] | None:
    found, _ = _first(files, ("frames_per_folder", "nframes_per_folder"))
    if found is None:
        return None
    try:
        counts = [int(count) for count in np.atleast_1d(found).ravel()]
    except (TypeError, ValueError, OverflowError):
        remarks.append(f"frames_per_folder is {reprlib.repr(found)}: the recording is taken as one segment")
        return None
    return counts if len(counts) > 1 else None


def marked_frames(found: Mapping[str, Any], n_frames: int, remarks: list[str]) -> dict[str, np.ndarray]:
    """Bad frames as masks, by where they are marked; what does not fit to the frames is a remark.

    Parameters
    ----------
    found : mapping of str to array
        What is said to be one boolean per frame.
    n_frames : int
        Frames of the traces.
    remarks : list of str
        Takes what is doubtful.

    Returns
    -------
    dict of str to array of bool, shape (n_frames,)
        As of `Traces.excluded`.
    """
    masks = {}
    for source, values in found.items():
        values = np.asarray(values)
        if values.dtype.kind not in "biuf" or values.size != n_frames or not np.isin(values, (0, 1)).all():
            remarks.append(f"bad frames {source} are no mask of {n_frames} frames: they were ignored")
        else:
            masks[source] = values.ravel().astype(bool)
    return masks


def _dropped_frames(files: _Files, remarks: list[str]) -> dict[int, int]:
    found, _ = _first(files, (DROPPED_FRAMES,))
    try:
        return {} if found is None else {int(frame): int(count) for frame, count in found}
    except (TypeError, ValueError, OverflowError):
        remarks.append(f"{DROPPED_FRAMES} is damaged: no frames were taken for dropped")
        return {}


def _placeholders(files: _Files) -> list[str]:
    found, _ = _first(files, (PLACEHOLDERS,))
    return found if isinstance(found, list) else []


def _first(files: _Files, keys: tuple[str, ...]) -> tuple[Any, str]:
    """First value found under one of some keys, ``group.key`` for nested ones, and the name of its file."""
    for path, content in files:
        for key in keys:
            value: Any = content
            for part in key.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if value is not None:
                return value, path.name
    return None, ""


def _number(value: Any) -> float | None:
    try:
        number = float(np.asarray(value).item())
    except (TypeError, ValueError, OverflowError):
        return None
    return number if np.isfinite(number) else None
