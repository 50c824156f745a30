"""The arrays of a result, listed once: every container writes and reads whatever this list holds.

A further array is one line in `ARRAYS`; everybody reads the list as ``schema.ARRAYS``. Its values are taken, block by
block, from what computes them: the field of this name of `cascade_engine.inference.InferredBlock` or of
`cascade_adapters.running.blocks.DffBlock`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ResultArray:
    """One array of a result.

    Attributes
    ----------
    name : str
        Name of the array, in every container.
    axes : tuple of str
        ``("roi", "frame")``, or ``("roi",)`` for one value per ROI.
    unit : str
        Unit of its values, in words.
    description : str
        What it is, in one sentence.
    since : str
        Version that wrote it first; results of earlier versions lack it.
    dtype : str
        Type of its values; all are floating point, NaN where there is no value.
    if_arbitrary : tuple of str or None
        Its unit and description where the traces are in arbitrary units, if they are others then.
    """

    name: str
    axes: tuple[str, ...]
    unit: str
    description: str
    since: str
    dtype: str = "float32"
    if_arbitrary: tuple[str, str] | None = None

    def in_units(self, arbitrary: bool) -> ResultArray:
        """The same, with the unit and description that hold for dF/F, or for traces in arbitrary units."""
        if not arbitrary or self.if_arbitrary is None:
            return self
        return replace(self, unit=self.if_arbitrary[0], description=self.if_arbitrary[1])

    @property
    def has_frames(self) -> bool:
        """Whether there is one value per ROI and frame."""
        return self.axes == ("roi", "frame")

    def shape(self, n_rois: int, n_frames: int) -> tuple[int, ...]:
        """Shape of the array for a recording of this size."""
        return (n_rois, n_frames) if self.has_frames else (n_rois,)


#: All arrays, in the order in which they are written.
ARRAYS: tuple[ResultArray, ...] = (
    ResultArray(
        "spike_prob",
        ("roi", "frame"),
        "expected spikes per frame",
        "Expected number of spikes per frame; times the frame rate it is a rate in Hz. NaN: no prediction.",
        since="0.1.0",
    ),
    ResultArray(
        "dff",
        ("roi", "frame"),
        "fraction",
        "dF/F, as a fraction, from which spikes were inferred. NaN: missing.",
        since="0.1.0",
        if_arbitrary=(
            "arbitrary units",
            "No dF/F: traces in arbitrary units, scaled by their noise, from which spikes were inferred. NaN: missing.",
        ),
    ),
    ResultArray(
        "noise_levels",
        ("roi",),
        "percent per sqrt(Hz)",
        "Noise level of dF/F: median absolute change from frame to frame over the square root of the frame rate.",
        since="0.1.0",
        if_arbitrary=("not known", "Noise level of dF/F: NaN, since it is not known in arbitrary units."),
    ),
)


def complete(
    arrays: Mapping[str, Any], n_rois: int, n_frames: int, written_by: str = "0.1.0"
) -> tuple[dict[str, Any], str]:
    """Check that arrays read from a container are a whole result.

    Parameters
    ----------
    arrays : mapping of str to array-like
        What was found, by name; further names are left out.
    n_rois, n_frames : int
        Size of the recording.
    written_by : str
        Version that wrote them: arrays that are younger than it may be missing.

    Returns
    -------
    arrays : dict of str to array-like
        Those of `ARRAYS`.
    problem : str
        What is missing or damaged; empty if nothing is.
    """
    found: dict[str, Any] = {}
    for array in ARRAYS:
        value = arrays.get(array.name)
        if value is None:
            if version_key(array.since) <= version_key(written_by):
                return {}, f"{array.name} is missing"
            continue
        expected = array.shape(n_rois, n_frames)
        shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
        if shape != expected or dtype is None or np.dtype(dtype).kind != "f":
            return {}, f"{array.name} must be numbers of shape {expected}, but is {dtype} of shape {shape}"
        found[array.name] = value
    return found, ""


def version_key(version: str) -> tuple[int, ...]:
    """A version as numbers that can be compared; whatever is not a number counts as 0."""
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))
