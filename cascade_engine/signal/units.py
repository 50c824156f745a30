"""Checks whether numbers of unknown origin can be dF/F or raw fluorescence, and scaling for traces that are neither.

The checks look at a sample of the traces, so that a mistake is found before any work is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cascade_engine.signal.masked import unmasked
from cascade_engine.signal.noise import noise_levels

#: Median dF/F (fraction) above which numbers are taken for raw fluorescence.
_RAW_MEDIAN = 5.0

#: Median noise level (percent per sqrt(Hz)) above which dF/F is taken for percent.
_PERCENT_NOISE_LEVEL = 50.0

#: Size of the sample.
_SAMPLED_ROIS, _SAMPLED_FRAMES = 200, 20_000

#: Raw fluorescence counts photons, so that a trace in which a larger fraction of the values is below zero is something
#: else. The second limit is for numbers as small as those of dF/F: no subtracted offset explains negative ones there.
_NEGATIVE_FRACTION, _NEGATIVE_FRACTION_IF_SMALL = 0.1, 0.01

#: dF/F (fraction) that most traces of a recording must reach for it to be something else.
_HIGHEST_PEAK = 100.0

#: Noise level (percent per sqrt(Hz)) to which traces in arbitrary units are scaled: that of a good recording.
ARBITRARY_NOISE_LEVEL = 2.0

#: At this noise level no indicator has a peak of more dF/F (fraction) than the first number: what has lost its noise is
#: scaled by its peak instead, to the second, as is usual for a recording of some minutes.
_HIGHEST_SCALED_PEAK, ARBITRARY_PEAK = 100.0, 2.0

#: Part of the frames, and least number of frames, that a peak stands for: not a single one, which may be an artefact.
_PEAK_PART, _PEAK_FRAMES = 0.001, 2

#: The warning that goes with such traces.
ARBITRARY_UNITS = (
    "ARBITRARY UNITS: this is no dF/F. Spikes are inferred from traces that are detrended and scaled to a noise level "
    f"of {ARBITRARY_NOISE_LEVEL:g}; their true noise level and what to expect are not known, and numbers of spikes "
    "cannot be trusted, nor compared between ROIs"
)

#: The warning that goes with traces that are known to be denoised.
DENOISED = (
    "these traces are denoised or smoothed: without their noise a network is too confident, and nothing is known of "
    "what to expect; use the original traces if you can"
)

#: Why a trace in arbitrary units cannot be used.
_CONSTANT = "constant: there is nothing to scale"

#: Values beyond this are left out of the sample, since their squares could overflow.
_BOUND = 1e30

#: How far mean and standard deviation of z-scores may be from 0 and 1.
_Z_TOLERANCE = 0.01


def unit_problem(median_dff: float, noise_level: float, peak: float = 0.0) -> str:
    """Why numbers meant to be dF/F as a fraction look like something else; empty if they do not.

    Parameters
    ----------
    median_dff : float
        Median of dF/F (fraction).
    noise_level : float
        Noise level in percent per sqrt(Hz).
    peak : float
        Largest distance of a trace from zero, the median of all traces.

    Returns
    -------
    str
        What was found and what to do.
    """
    if median_dff > _RAW_MEDIAN:
        return f"the median of dF/F is {median_dff:.3g}, as of raw fluorescence: pass dF/F as a fraction (0.5 is 50 %)"
    if noise_level > _PERCENT_NOISE_LEVEL and peak < 100 * _HIGHEST_PEAK:
        return (
            f"the median noise level is {noise_level:.3g} % per sqrt(Hz), as if dF/F were in percent: divide it by 100"
        )
    if peak > _HIGHEST_PEAK:
        return f"most traces reach {peak:.3g} or more, which dF/F as a fraction does not: they are in another unit"
    return ""


def why_not_dff(values: Any, frame_rate: float) -> str:
    """Why numbers cannot be dF/F as a fraction; empty if they can.

    Parameters
    ----------
    values : array-like, shape (n_rois, n_frames)
        Numbers meant to be dF/F; some rows of them are read.
    frame_rate : float
        Frame rate in Hz.

    Returns
    -------
    str
        What was found and what to do.
    """
    sample = _sample(values)
    if sample is None:
        return ""
    centred = np.abs(np.nanmean(sample, axis=1)) < _Z_TOLERANCE
    if (centred & (np.abs(np.nanstd(sample, axis=1) - 1.0) < _Z_TOLERANCE)).all():
        return "each ROI has the mean 0 and the standard deviation 1, as z-scores: pass dF/F as a fraction"
    levels = noise_levels(sample, frame_rate)
    middle = float(np.median(np.nanmedian(sample, axis=1)))
    peak = float(np.median(np.nanmax(np.abs(sample), axis=1)))
    return unit_problem(middle, float(np.nanmedian(levels)) if np.isfinite(levels).any() else 0.0, peak)


def why_not_raw(values: Any) -> str:
    """Why numbers cannot be raw fluorescence; empty if they can.

    Parameters
    ----------
    values : array-like, shape (n_rois, n_frames)
        Numbers meant to be raw fluorescence; some rows of them are read.

    Returns
    -------
    str
        What was found.
    """
    sample = _sample(values)
    if sample is None:
        return ""
    middle = float(np.median(np.nanmedian(sample, axis=1)))
    negative = float(np.median(np.mean(sample < 0, axis=1)))
    if negative > (_NEGATIVE_FRACTION_IF_SMALL if middle < _RAW_MEDIAN else _NEGATIVE_FRACTION):
        return f"the median is {middle:.3g} and {negative:.0%} of the values are below zero, unlike raw fluorescence"
    return ""


@dataclass
class Scaled:
    """Traces in arbitrary units, scaled for use in place of dF/F.

    Attributes
    ----------
    values : array, shape (n_rois, n_frames), float32
        Scaled; NaN where missing, and for traces that cannot be scaled.
    by_peak : array of bool, shape (n_rois,)
        Traces without noise, which were scaled by their peak.
    notes : list of str
        Per trace: why it cannot be scaled, or an empty string.
    """

    values: np.ndarray
    by_peak: np.ndarray
    notes: list[str]


def scale_arbitrary(detrended: np.ndarray, frame_rate: float, segments: Sequence[int] | None = None) -> Scaled:
    """Scale traces in arbitrary units, for use in place of dF/F.

    Their size relative to the noise is all that such traces tell, so they are scaled to one noise level. Where the
    noise is gone (denoised traces, or sparse ones that are zero between events), they are scaled by their peak.

    Parameters
    ----------
    detrended : array, shape (n_rois, n_frames)
        Traces less their baseline, as of `cascade_engine.signal.dff.less_baseline`; NaN where missing.
    frame_rate : float
        Frame rate in Hz.
    segments : sequence of int, optional
        Frames of each segment.

    Returns
    -------
    Scaled
        With the noise level `ARBITRARY_NOISE_LEVEL`, or the peak `ARBITRARY_PEAK`.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(0, 17.0, 3000)
    >>> sparse = np.zeros(3000)
    >>> sparse[1000:1030] = np.linspace(500.0, 0.0, 30)
    >>> scaled = scale_arbitrary(np.array([noisy, sparse, 0 * sparse]), frame_rate=30.0)
    >>> noise_levels(scaled.values[:1], 30.0).round(2), scaled.by_peak, scaled.notes[2]
    (array([2.]), array([False,  True, False]), 'constant: there is nothing to scale')
    """
    detrended = unmasked(detrended).astype(np.float32, copy=False)
    with np.errstate(invalid="ignore"):  # infinite values
        levels = noise_levels(detrended, frame_rate, segments)
    scales, by_peak, notes = np.full(len(detrended), np.nan), np.zeros(len(detrended), dtype=bool), []
    for i, (trace, level) in enumerate(zip(detrended, levels, strict=True)):
        present = trace[np.isfinite(trace)]
        note = _CONSTANT if present.size and present.min() == present.max() else ""
        if present.size and not note:
            peak = _peak(present)
            by_peak[i] = not level * _HIGHEST_SCALED_PEAK > peak * ARBITRARY_NOISE_LEVEL
            scales[i] = ARBITRARY_PEAK / peak if by_peak[i] else ARBITRARY_NOISE_LEVEL / level
        notes.append(note)
    with np.errstate(over="ignore", invalid="ignore"):
        values = (detrended * scales[:, np.newaxis]).astype(np.float32)
    return Scaled(values, by_peak, notes)


def _peak(present: np.ndarray) -> float:
    """How far a trace reaches from zero, a few frames left out."""
    n_frames = min(max(_PEAK_FRAMES, int(_PEAK_PART * len(present))), len(present))
    sizes = np.abs(present)
    peak = float(np.partition(sizes, len(sizes) - n_frames)[len(sizes) - n_frames])
    return peak or float(sizes.max())


def _sample(values: Any) -> np.ndarray | None:
    """Some of the traces, NaN where values are missing or too large; None if no trace has a value."""
    rows = np.unique(np.linspace(0, len(values) - 1, _SAMPLED_ROIS).astype(int))
    with np.errstate(invalid="ignore"):  # damaged numbers
        sample = unmasked(values[rows, :_SAMPLED_FRAMES]).astype(np.float64)
    sample[~(np.abs(sample) < _BOUND)] = np.nan
    sample = sample[np.isfinite(sample).any(axis=1)]
    return sample if sample.size else None
