"""What the conversion to NWB would otherwise lose: NWB has no place for it.

A JSON text in the comments of a plane's series of fluorescence, or of dF/F where there is no other.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from cascade_engine.errors import InputError
from cascade_engine.file_formats.json_text import parse_json
from cascade_engine.signal.frames import frame_mask

_MARK = "cascade-spikes conversion"

#: Facts that are stored under another name.
_KEYS = {"segments": "frames_per_session"}

#: Facts that are so or not.
_FLAGS = ("neuropil_is_background", "is_dff_used", "arbitrary_units", "denoised")


@dataclass(frozen=True)
class Notes:
    """Facts about a series that NWB has no place for.

    Attributes
    ----------
    neuropil_coefficient : float or None
        Part of the neuropil's changes to be subtracted.
    segments : list of int or None
        Frames of each uninterrupted segment.
    image_shape : tuple of int or None
        Height and width of the image in pixels; for volumes also the depth.
    neuropil_is_background : bool
        The neuropil is the background that a pipeline had taken out of the fluorescence.
    is_dff_used : bool
        The source's own dF/F is what spikes are inferred from there.
    arbitrary_units : bool
        Whether the series is no dF/F and cannot be turned into it.
    denoised : bool
        Whether it is known to be denoised.
    bad_frames : str or None
        Frames that are marked as bad in this plane and not in others, as text: ``0-99,500``.
    """

    neuropil_coefficient: float | None = None
    segments: list[int] | None = None
    image_shape: tuple[int, ...] | None = None
    neuropil_is_background: bool = False
    is_dff_used: bool = False
    arbitrary_units: bool = False
    denoised: bool = False
    bad_frames: str | None = None

    @property
    def text(self) -> str:
        """The comments of a series that say so."""
        known = {
            _KEYS.get(name, name): value
            for name, value in vars(self).items()
            if value is not None and value is not False
        }
        return json.dumps({_MARK: known}) if known else "no comments"


def read_notes(comments: Any, n_frames: int, description: str = "") -> Notes:
    """What the comments of a series say; what makes no sense counts as not said.

    Parameters
    ----------
    comments : object
        Comments of the series.
    n_frames : int
        Its number of frames.
    description : str
        Description of the series, in which earlier versions said of dF/F that it is in arbitrary units.

    Returns
    -------
    Notes
        Empty for files that were not converted by us.
    """
    is_arbitrary = description.startswith("dF/F: ") and description.endswith("in arbitrary units")
    try:
        found = parse_json(comments)[_MARK]
        flags = {name: found.get(name) is True for name in _FLAGS}
        coefficient, frames, shape, bad_frames = (
            found.get(name) for name in ("neuropil_coefficient", _KEYS["segments"], "image_shape", "bad_frames")
        )
    except (TypeError, ValueError, KeyError, AttributeError):
        return Notes(arbitrary_units=is_arbitrary)
    flags["arbitrary_units"] |= is_arbitrary
    is_number = isinstance(coefficient, int | float) and math.isfinite(coefficient) and 0 <= coefficient <= 2
    frames = frames if _are_counts(frames) and sum(frames) == n_frames else None
    shape = tuple(shape) if _are_counts(shape) and len(shape) in (2, 3) else None
    coefficient, marked = float(coefficient) if is_number else None, _frames(bad_frames, n_frames)
    return Notes(coefficient, frames, shape, bad_frames=marked, **flags)


def _frames(text: Any, n_frames: int) -> str | None:
    try:
        return text if isinstance(text, str) and frame_mask(text, n_frames).any() else None
    except InputError:
        return None


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value > 0 for value in values)
