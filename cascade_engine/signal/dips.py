"""Frames in which a trace lies below its rest: the cell is out of focus, too much is subtracted, or the like.

Calcium takes dF/F up, and back to its rest. What lies below it tells nothing of how large a spike is.
"""

from __future__ import annotations

import numpy as np

#: Widths (s) of the running means that are looked at; 0: single frames.
_WIDTHS_S = (0.0, 0.1, 0.3, 1.0)

#: The rest is this percentile of a running mean, and a dip lies lower by so many standard deviations of its noise.
_REST_PERCENTILE, _DEPTH = 20.0, 4.5

#: A dip reaches this far (s) beyond the frames that are seen to be low.
_FLANK_S = 0.2

#: Frames from which the rest is taken.
_MOST_FRAMES = 5000


def find_dips(dff: np.ndarray, frame_rate: float, noise_sd: float) -> np.ndarray:
    """Find frames in which a trace lies below its rest by more than its noise explains.

    Parameters
    ----------
    dff : array, shape (n_frames,)
        dF/F as a fraction; NaN where missing.
    frame_rate : float
        In Hz.
    noise_sd : float
        Standard deviation of the noise in dF/F per frame.

    Returns
    -------
    array of bool, shape (n_frames,)
        The frames of dips, with their flanks.

    Examples
    --------
    >>> dff = 0.05 * np.random.default_rng(0).standard_normal(3000)
    >>> dff[1000:1030] -= 0.2
    >>> dips = find_dips(dff, frame_rate=30.0, noise_sd=0.05)
    >>> print(dips[1000:1030].all(), dips[:900].any(), dips[1200:].any())
    True False False
    """
    from scipy.ndimage import binary_dilation, uniform_filter1d

    present, frames = np.isfinite(dff), np.arange(len(dff))
    found = np.zeros(len(dff), dtype=bool)
    if not present.any():
        return found
    filled = np.interp(frames, frames[present], dff[present])
    every = max(1, len(dff) // _MOST_FRAMES)
    for width_s in _WIDTHS_S:
        width = max(1, round(width_s * frame_rate))
        mean = uniform_filter1d(filled, width)
        rest = np.percentile(mean[::every], _REST_PERCENTILE)
        low = mean < rest - _DEPTH * noise_sd / np.sqrt(width)
        if low.any():
            found |= binary_dilation(low, iterations=width // 2 + max(1, round(_FLANK_S * frame_rate)))
    return found
