"""The settings of a suite2p run, from either generation of its files.

Up to 0.14 everything lies flat in ``ops.npy``. From 1.0 on the same facts are spread over ``settings.npy`` (nested) and
``db.npy``; ``ops.npy`` is written beside them if asked for. All lie in the plane's folder, copies of the last two also
one level up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cascade_adapters.safe_pickle import load_settings
from cascade_engine.errors import InputError

#: suite2p's own default, assumed where the settings have none.
DEFAULT_NEUROPIL_COEFFICIENT = 0.7

_UNTOUCHED_RATE = 10.0


@dataclass
class Suite2pSettings:
    """What matters of a run's settings.

    Attributes
    ----------
    frame_rate : float or None
        Frames per second per plane, in Hz.
    frame_rate_source : str
        File and key that it comes from.
    neuropil_coefficient : float
        Part of Fneu to subtract.
    frames_per_session : list of int or None
        Frames of each concatenated folder.
    remarks : list of str
        What is doubtful.
    """

    frame_rate: float | None = None
    frame_rate_source: str = ""
    neuropil_coefficient: float = DEFAULT_NEUROPIL_COEFFICIENT
    frames_per_session: list[int] | None = None
    remarks: list[str] = field(default_factory=list)


def read_settings(plane: Path) -> Suite2pSettings:
    """Read the settings of a plane's folder.

    Parameters
    ----------
    plane : Path
        Folder with F.npy.

    Returns
    -------
    Suite2pSettings
        With remarks where a value is missing or implausible.

    Raises
    ------
    InputError
        If a settings file is damaged.
    """
    candidates = [plane / name for name in ("ops.npy", "settings.npy", "db.npy", "reg_outputs.npy")]
    candidates += [plane.parent / name for name in ("settings.npy", "db.npy")]
    files = [(path, load_settings(path)) for path in candidates if path.is_file()]
    settings = Suite2pSettings()
    if not files:
        settings.remarks.append("no ops.npy and no settings.npy: suite2p's defaults were assumed")

    rate, source = _first(files, ("fs",))
    if rate is not None:
        settings.frame_rate, settings.frame_rate_source = _positive_number(rate), f"fs in {source}"
        if settings.frame_rate is None:
            settings.remarks.append(f"fs in {source} is {rate!r}, not a frame rate")
        elif settings.frame_rate == _UNTOUCHED_RATE:
            settings.remarks.append(
                f"fs in {source} is 10 Hz, suite2p's default, which may never have been set: check it, and pass "
                "--frame-rate if it is another"
            )
        elif settings.frame_rate <= 1:
            settings.remarks.append(
                f"fs in {source} is {settings.frame_rate:g} Hz, too slow for most recordings: check it, and pass "
                "--frame-rate if it is another"
            )

    coefficient, source = _first(files, ("neucoeff", "extraction.neuropil_coefficient"))
    if coefficient is not None:
        value = _number(coefficient)
        if value is not None and 0 <= value <= 2:
            settings.neuropil_coefficient = value
        else:
            settings.remarks.append(
                f"the neuropil coefficient in {source} is {coefficient!r}: {DEFAULT_NEUROPIL_COEFFICIENT} was taken, "
                "pass --neuropil-coefficient for another"
            )

    counts, _ = _first(files, ("frames_per_folder", "nframes_per_folder"))
    if counts is not None:
        try:
            counts = [int(count) for count in np.atleast_1d(counts).ravel()]
        except (TypeError, ValueError, OverflowError):
            settings.remarks.append(f"frames_per_folder is {counts!r}: seams were ignored")
            counts = []
        settings.frames_per_session = counts if len(counts) > 1 else None
    return settings


def _first(files: list[tuple[Path, dict[str, Any]]], keys: tuple[str, ...]) -> tuple[Any, str]:
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
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _positive_number(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None


def required_frame_rate(settings: Suite2pSettings, plane: Path) -> float:
    """The frame rate (Hz), or an `InputError` that says how to give it."""
    if settings.frame_rate is None:
        raise InputError(f"{plane} has no frame rate in its settings: pass --frame-rate (Hz per plane)")
    return settings.frame_rate
