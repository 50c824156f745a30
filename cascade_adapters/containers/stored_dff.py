"""Is the dF/F that a container has the dF/F of its raw trace?

CaImAn's ``detrend_df_f`` writes several things under this name: ``(F - F0) / (F0 + background)`` of the raw trace
``F = C + YrA``; the same of the denoised fit C alone; ``F - F0``, not divided by anything; and, by way of its fast
approximation, nothing of the kind. The file does not say which. The numbers do: over a few seconds the baselines hardly
move, so that a dF/F of the raw trace repeats its frame-to-frame changes, noise and all, divided by the baseline.
"""

from __future__ import annotations

import numpy as np

from cascade_adapters.results.rows import Rows, row_blocks
from cascade_engine.signal.noise import MEDIAN_ABS_DIFFERENCE

#: ROIs, spread over all, that are looked at where there are series of both without a background.
_SAMPLED_ROIS = 32

#: Frames over which the baselines count as constant.
_PIECE = 300

#: Pieces, spread over the recording, that are looked at.
_MOST_PIECES = 20

#: Correlation between frame-to-frame changes that dF/F of the raw trace exceeds and that of a denoised fit does not.
_LEAST_CORRELATION = 0.995

#: Limits of F_dff over (raw trace divided by its baseline): baselines are a matter of percentiles and windows.
_GAINS = (0.5, 2.0)

#: Percentile of raw trace plus background that stands for the baseline.
_PERCENTILE = 15.0


def why_no_dff(stored: Rows, fluorescence: Rows, background: Rows) -> str:
    """Why F_dff is not the dF/F of the raw traces; an empty string if it is.

    Parameters
    ----------
    stored : array-like, shape (n_components, n_frames)
        F_dff.
    fluorescence : array-like, shape (n_components, n_frames)
        Raw traces, C + YrA.
    background : array-like, shape (n_components, n_frames)
        Background under each component, in the same unit.

    Returns
    -------
    str
        What speaks against it.
    """
    if stored.shape != fluorescence.shape:
        return f"its shape is {stored.shape}, that of C + YrA {fluorescence.shape}"
    n_judged, n_other, n_scaled, n_low = 0, 0, 0, 0
    for rows in row_blocks(*fluorescence.shape):
        for theirs, trace, below in zip(stored[rows], fluorescence[rows], background[rows], strict=True):
            if not np.diff(trace).any():
                continue  # a silent component has no prediction anyway
            correlation, gain, contrast = _compare(np.asarray(theirs, dtype=float), trace, trace + below)
            n_judged += 1
            n_low += not contrast > 1
            n_other += not correlation > _LEAST_CORRELATION
            n_scaled += not _GAINS[0] < gain < _GAINS[1]
    if n_other:
        return f"{n_other} of {n_judged} components do not follow C + YrA (C alone is denoised)"
    if n_low:
        return f"the baseline of {n_low} of {n_judged} components is not above their noise"
    if n_scaled:
        return f"{n_scaled} of {n_judged} components are not divided by their baseline, only detrended"
    return ""


def lacks_background(fluorescence: Rows, dff: Rows) -> bool | None:
    """Whether a background was taken out of raw traces, as CaImAn does, that their dF/F is divided by.

    Parameters
    ----------
    fluorescence : array-like, shape (n_rois, n_frames)
        Raw traces.
    dff : array-like, shape (n_rois, n_frames)
        dF/F beside them, as a fraction.

    Returns
    -------
    bool or None
        None if it is not the dF/F of these traces: it was made of others, or denoised.
    """
    found = []
    for roi in np.unique(np.linspace(0, fluorescence.shape[0] - 1, _SAMPLED_ROIS).astype(int)):
        trace, theirs = (np.array(values[int(roi)], dtype=float) for values in (fluorescence, dff))
        trace[~np.isfinite(theirs)] = np.nan
        if np.nan_to_num(np.diff(trace)).any():
            found.append(_compare(theirs, trace, trace)[:2])
    if not found:
        return None
    correlation, gain = np.median(found, axis=0)
    return bool(gain < _GAINS[0]) if correlation > _LEAST_CORRELATION else None


def _compare(stored: np.ndarray, trace: np.ndarray, total: np.ndarray) -> tuple[float, float, float]:
    """Correlation and ratio of the changes, and how far the baseline lies above the noise; medians over pieces."""
    found = []
    n_pieces = max(1, len(trace) // _PIECE)
    looked_at = np.unique(np.linspace(0, n_pieces - 1, min(n_pieces, _MOST_PIECES)).astype(int))
    for start in looked_at * _PIECE:
        part = slice(start, start + (_PIECE if n_pieces > 1 else len(trace)))
        with np.errstate(invalid="ignore"):  # infinite values
            theirs, ours = np.diff(stored[part]), np.diff(trace[part].astype(float))
        known = np.isfinite(ours)
        theirs, ours = theirs[known], ours[known]
        if not ours.any():
            continue
        noise = np.median(np.abs(ours)) / MEDIAN_ABS_DIFFERENCE
        with np.errstate(invalid="ignore"):  # infinite values
            baseline = np.nanpercentile(total[part], _PERCENTILE)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            product, own = np.sum(theirs * ours), np.sum(ours**2)
            correlation = product / np.sqrt(np.sum(theirs**2) * own)
            found.append((correlation, product / own * baseline, baseline / noise))
    correlation, gain, contrast = np.median(found, axis=0)
    return float(correlation), float(gain), float(contrast)
