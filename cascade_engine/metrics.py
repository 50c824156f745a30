"""How good a prediction is, per neuron; never pooled over a dataset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cascade_engine.signal.masked import unmasked

#: A gain below this is raised to it: none at all has no logarithm.
LEAST_GAIN = 0.01


@dataclass(frozen=True)
class Score:
    """Agreement of one neuron's prediction with its true spikes.

    Attributes
    ----------
    correlation : float
        Pearson correlation between prediction and smoothed true spikes.
    error : float
        Sum of absolute differences, in units of the true number of spikes.
    bias : float
        Sum of signed differences, in the same unit: +1 means twice as many spikes as there were.
    """

    correlation: float
    error: float
    bias: float


def score(spike_prob: np.ndarray, truth: np.ndarray) -> Score:
    """Score one neuron over the frames that have a prediction.

    Parameters
    ----------
    spike_prob : array, shape (n_frames,)
        Predicted spikes per frame; NaN where there is no prediction.
    truth : array, shape (n_frames,)
        True spikes per frame, smoothed with the kernel of the model.

    Returns
    -------
    Score
        Values are NaN where they are undefined: without a true spike, or for a constant prediction.

    References
    ----------
    Rupprecht et al. (2021), Nature Neuroscience 24:1324: correlation, error and bias as defined there.
    """
    spike_prob, truth = unmasked(spike_prob).astype(np.float64), np.asarray(truth, dtype=np.float64)
    known = np.isfinite(spike_prob)
    predicted, true = spike_prob[known], truth[known]
    if predicted.size < 2 or true.sum() <= 0:
        return Score(np.nan, np.nan, np.nan)
    difference = predicted - true
    spread = predicted.std() * true.std()
    covariance = np.mean((predicted - predicted.mean()) * (true - true.mean()))
    return Score(
        correlation=float(covariance / spread) if spread > 0 else np.nan,
        error=float(np.abs(difference).sum() / true.sum()),
        bias=float(difference.sum() / true.sum()),
    )


def log_gain(bias: float | np.ndarray) -> float | np.ndarray:
    """Natural logarithm of the gain, the predicted over the true number of spikes, from the bias (`Score.bias`).

    Half and twice as many spikes are equally far from 0.

    Examples
    --------
    >>> print(f"{log_gain(1.0):.3f} {log_gain(-0.5):.3f}")
    0.693 -0.693
    """
    return np.log(np.maximum(1.0 + np.asarray(bias), LEAST_GAIN))
