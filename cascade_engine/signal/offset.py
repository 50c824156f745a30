"""An offset of the detector that was left in raw fluorescence, found from its noise.

Light comes in photons, so that the variance of its noise is proportional to its level. An offset adds to the level and
not to the noise: the level at which the variance would be zero is the offset. ROIs are added block by block.
"""

from __future__ import annotations

import numpy as np

#: Frames of a bin: its mean is a level, and second differences within it give the noise.
_BIN_FRAMES = 5

#: Frames of each ROI that are looked at, fewest frames of one, and most ROIs.
_SAMPLED_FRAMES, _FEWEST_FRAMES, _MOST_ROIS = 20_000, 1000, 64

#: Groups of bins with about the same level.
_GROUPS = 10

#: The variance has to rise with the level by this many standard errors, or nothing is known of an offset.
_CERTAIN = 5.0

#: At lower frame rates (Hz) transients look like noise.
_LOWEST_RATE = 10.0

#: Fewest ROIs that can be judged together.
_FEWEST_ROIS = 4

#: Part of F0 that the offset seems to be. In recordings without one it seems to be up to 0.76, since transients look
#: like noise in part.
_LEAST_PART = 0.85


class OffsetFinder:
    """Finds an offset of the detector in raw fluorescence that is added block by block.

    Parameters
    ----------
    frame_rate : float
        In Hz.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> light = 20 + 80 * np.sin(np.arange(6000) / 100) ** 8  # photons per frame
    >>> finder = OffsetFinder(frame_rate=30.0)
    >>> finder.add(10 * rng.poisson(light, (8, 6000)) + 5000)
    >>> 4900 < finder.found() < 5100
    True
    """

    def __init__(self, frame_rate: float):
        self._frame_rate = frame_rate
        self._offsets: list[tuple[float, float]] = []
        self._n_seen = 0

    def add(self, fluorescence: np.ndarray) -> None:
        """Add ROIs.

        Parameters
        ----------
        fluorescence : array, shape (n_rois, n_frames)
            Raw fluorescence in counts, NaN where missing.
        """
        if self._frame_rate < _LOWEST_RATE:
            return
        for trace in fluorescence[: max(0, _MOST_ROIS - self._n_seen)]:
            found = _offset_and_level(trace[:_SAMPLED_FRAMES])
            if found is not None:
                self._offsets.append(found)
        self._n_seen += len(fluorescence)

    def found(self) -> float | None:
        """What was found in all ROIs that were added.

        Returns
        -------
        float or None
            The offset in counts, rather too high than too low, up to a fifth; None if there is none, or a small one, or
            nothing that tells of it.
        """
        if len(self._offsets) < _FEWEST_ROIS:
            return None
        offsets, levels = np.transpose(self._offsets)
        part = float(np.median(offsets / levels))
        return float(np.median(offsets)) if _LEAST_PART < part < 1 else None


def _offset_and_level(trace: np.ndarray) -> tuple[float, float] | None:
    """Level at which the noise of a trace would vanish, and its F0; None if its noise does not rise with its level."""
    with np.errstate(over="ignore", invalid="ignore"):
        bins = np.asarray(trace[: len(trace) // _BIN_FRAMES * _BIN_FRAMES], dtype=np.float64).reshape(-1, _BIN_FRAMES)
        bins = bins[np.isfinite(bins).all(axis=1) & (np.abs(bins) < 1e12).all(axis=1)]
    if len(bins) * _BIN_FRAMES < _FEWEST_FRAMES:
        return None
    # second differences are blind to a slope within the bin
    noise = np.abs(bins[:, [1, 3]] - 0.5 * (bins[:, [0, 2]] + bins[:, [2, 4]])) / np.sqrt(1.5)
    level = bins.mean(axis=1)
    groups = np.array_split(np.argsort(level), _GROUPS)
    levels = np.array([level[group].mean() for group in groups])
    variances = np.array([(np.median(noise[group]) / 0.6745) ** 2 for group in groups])
    resting = float(np.percentile(level, 15))
    if not (variances > 0).all() or resting <= 0:
        return None
    errors = variances * np.sqrt(2.7 / (2 * len(bins) / _GROUPS))  # of a variance by the median
    design = np.stack([levels, np.ones(_GROUPS)], axis=1) / errors[:, np.newaxis]
    covariance = np.linalg.pinv(design.T @ design)
    gain, constant = covariance @ design.T @ (variances / errors)
    if not gain > _CERTAIN * np.sqrt(covariance[0, 0]):
        return None
    return float(-constant / gain), resting
