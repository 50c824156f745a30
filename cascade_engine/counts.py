"""How far the number of spikes may be from the expected one.

A network gives the expected number of spikes. How many there really were varies around it: spikes are few and come in
bursts, noise hides some, and above all nobody knows how bright one spike is in this very neuron. The spread was
measured on neurons that the networks had not seen (``benchmarks/accuracy/uncertainty.py``) and lies in the card of the
model: the count in a bin is modelled as negative binomial, with a variance that grows faster than the count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cascade_engine.errors import InputError, ModelError
from cascade_engine.inference import Inference
from cascade_engine.signal.segments import segment_slices

#: Lower expected counts are raised to this: the distribution needs a positive mean.
_LEAST_COUNT = 1e-6


@dataclass(frozen=True)
class SpikeCounts:
    """Spikes per bin of time, and how far to trust them.

    Attributes
    ----------
    expected : array, shape (n_neurons, n_bins)
        Expected number of spikes; NaN for a bin in which a frame has no prediction.
    low, high : array, shape (n_neurons, n_bins)
        Interval that holds the true number with the wanted probability; NaN like `expected`.
    start_frames : array, shape (n_bins,)
        First frame of each bin.
    frames_per_bin : int
        Frames of each bin.
    """

    expected: np.ndarray
    low: np.ndarray
    high: np.ndarray
    start_frames: np.ndarray
    frames_per_bin: int


def count_spikes_in_bins(
    result: Inference, bin_s: float = 1.0, coverage: float = 0.8, segments: Sequence[int] | None = None
) -> SpikeCounts:
    """Number of spikes per bin of time, with an interval that holds the true one.

    Parameters
    ----------
    result : Inference
        What `infer` has given, with a model whose card says how far its counts are off.
    bin_s : float
        Length of a bin in s, rounded to whole frames; 0.5 to 2, for which the intervals were measured to hold.
    coverage : float
        Probability that the interval is to hold the true number.
    segments : sequence of int, optional
        Frames of each uninterrupted segment; no bin reaches from one into the next. An incomplete last bin is left out.

    Returns
    -------
    SpikeCounts
        Counts and intervals. In quiet bins, where the interval is 0 to 0, the true number lies inside more often than
        `coverage` says, since there is no smaller interval.

    Raises
    ------
    InputError
        If `bin_s` or `coverage` is out of range.
    ModelError
        If the model's card says nothing about its uncertainty.

    Examples
    --------
    >>> from cascade_engine import count_spikes_in_bins, infer
    >>> from cascade_engine.ground_truth import simulate_dataset
    >>> recording = simulate_dataset(n_neurons=1, duration_s=60).recordings[0]
    >>> counts = count_spikes_in_bins(infer(recording.dff[None], frame_rate=30.0))
    >>> counts.expected.shape
    (1, 60)
    """
    if not 0.5 <= bin_s <= 2:
        raise InputError(f"bin_s must be between 0.5 and 2 s, but it is {bin_s}")
    if not 0 < coverage < 1:
        raise InputError(f"coverage must be a probability between 0 and 1, but it is {coverage}")
    spread = result.model.card.get("uncertainty", {}).get(population_key(result.population))
    if not spread:
        raise ModelError(f"the card of {result.model.name} does not say how uncertain its counts are")
    n_frames = max(1, round(bin_s * result.frame_rate))
    slices = segment_slices(result.spike_prob.shape[1], segments)
    starts = np.concatenate([np.empty(0, int), *(np.arange(s.start, s.stop - n_frames + 1, n_frames) for s in slices)])
    expected = result.spike_prob[:, starts[:, np.newaxis] + np.arange(n_frames)].sum(axis=2, dtype=np.float64)
    low, high = count_interval(expected, result.noise_levels[:, np.newaxis], spread, coverage)
    return SpikeCounts(expected, low, high, starts, n_frames)


def population_key(population: str | None) -> str:
    """How a card names a population; models that cannot be given one have a single entry for all neurons."""
    return population or "all"


def count_interval(
    expected: np.ndarray, noise_level: float | np.ndarray, spread: Sequence[Mapping[str, Any]], coverage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Interval that holds the true number of spikes.

    Parameters
    ----------
    expected : array
        Expected number of spikes in a bin; NaN stays NaN.
    noise_level : float or array
        In percent per sqrt(Hz); broadcast against `expected`.
    spread : sequence of mapping
        For ascending ``noise_level``: ``excess`` and ``gain_variance``; the variance of the count around its expected
        value ``m`` is ``m * (1 + excess) + gain_variance * m ** 2``. In between they are interpolated.
    coverage : float
        Probability that the interval is to hold the true number. A number at an end counts by half, since whole ones
        seldom give just this probability: intervals are then neither too wide nor too narrow on the whole.

    Returns
    -------
    low, high : array
        Both ends belong to the interval.
    """
    from scipy.stats import nbinom

    levels = [entry["noise_level"] for entry in spread]
    noise_level = np.broadcast_to(noise_level, np.shape(expected))
    excess, gain_variance = (
        np.interp(noise_level, levels, [entry[name] for entry in spread]) for name in ("excess", "gain_variance")
    )
    mean = np.maximum(expected, _LEAST_COUNT)
    part = 1.0 / (1.0 + excess + gain_variance * mean)  # mean over variance
    size = mean * part / (1.0 - part)
    rest = 0.5 - coverage / 2
    low, middle, high = (nbinom.ppf(q, size, part) for q in (rest, 0.5, 1 - rest))
    low_mid, high_mid = (nbinom.cdf(n, size, part) - 0.5 * nbinom.pmf(n, size, part) for n in (low, high))
    return np.minimum(low + (low_mid < rest), middle), np.maximum(high - (high_mid > 1 - rest), middle)
