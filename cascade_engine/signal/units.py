"""Checks whether numbers of unknown origin can be dF/F or raw fluorescence, and scaling for traces that are neither.

The checks look at a sample of the traces, so that a mistake is found before any work is done.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cascade_engine.signal.dff import delta_f_over_f
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

#: Noise level (percent per sqrt(Hz)) to which traces in arbitrary units are scaled: that of a good recording.
ARBITRARY_NOISE_LEVEL = 2.0

#: The warning that goes with such traces.
ARBITRARY_UNITS = (
    f"ARBITRARY UNITS: each trace was detrended and scaled so that its noise level is {ARBITRARY_NOISE_LEVEL:g}, which "
    "is therefore no measurement, and numbers of spikes cannot be trusted, nor compared between ROIs"
)

#: Values beyond this are left out of the sample, since their squares could overflow.
_BOUND = 1e30

#: How far mean and standard deviation of z-scores may be from 0 and 1.
_Z_TOLERANCE = 0.01


def unit_problem(median_dff: float, noise_level: float) -> str:
    """Why numbers meant to be dF/F as a fraction look like something else; empty if they do not.

    Parameters
    ----------
    median_dff : float
        Median of dF/F (fraction).
    noise_level : float
        Noise level in percent per sqrt(Hz).

    Returns
    -------
    str
        What was found and what to do.
    """
    if median_dff > _RAW_MEDIAN:
        return f"the median of dF/F is {median_dff:.3g}, as of raw fluorescence: pass dF/F as a fraction (0.5 is 50 %)"
    if noise_level > _PERCENT_NOISE_LEVEL:
        return (
            f"the median noise level is {noise_level:.3g} % per sqrt(Hz), as if dF/F were in percent: divide it by 100"
        )
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
    return unit_problem(middle, float(np.nanmedian(levels)) if np.isfinite(levels).any() else 0.0)


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
        return f"the median is {middle:.3g} and {negative:.0%} of the values are below zero, as of dF/F"
    return ""


def in_units_of_noise(values: np.ndarray, frame_rate: float) -> np.ndarray:
    """Scale traces in arbitrary units so that all have the same noise level, for use in place of dF/F.

    Their size relative to the noise is all that such traces tell.

    Parameters
    ----------
    values : array, shape (n_rois, n_frames)
        Traces in any unit.
    frame_rate : float
        Frame rate in Hz.

    Returns
    -------
    array, shape (n_rois, n_frames), float32
        Traces less their baseline, with the noise level `ARBITRARY_NOISE_LEVEL`; NaN for a trace without noise.
    """
    values = np.asarray(values, dtype=np.float32)
    detrended = values - delta_f_over_f(values, frame_rate).f0
    levels = noise_levels(detrended, frame_rate)
    with np.errstate(divide="ignore", invalid="ignore"):
        scales = np.where(levels > 0, ARBITRARY_NOISE_LEVEL / levels, np.nan)
    return (detrended * scales[:, np.newaxis]).astype(np.float32)


def _sample(values: Any) -> np.ndarray | None:
    """Some of the traces, NaN where values are missing or too large; None if no trace has a value."""
    rows = np.unique(np.linspace(0, len(values) - 1, _SAMPLED_ROIS).astype(int))
    with np.errstate(invalid="ignore"):  # damaged numbers
        sample = np.array(values[rows, :_SAMPLED_FRAMES], dtype=np.float64)
    sample[~(np.abs(sample) < _BOUND)] = np.nan
    sample = sample[np.isfinite(sample).any(axis=1)]
    return sample if sample.size else None
