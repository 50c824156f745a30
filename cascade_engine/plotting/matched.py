"""A recording beside ground truth of the same noise level: what do spikes look like at this noise?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.ground_truth.records import Dataset
from cascade_engine.ground_truth.resampling import add_noise, resample
from cascade_engine.ground_truth.simulation import simulate_dataset
from cascade_engine.plotting.canvas import as_row, check_same_shape, given_axes, largest, new_axes
from cascade_engine.plotting.traces import plot_neuron
from cascade_engine.signal.noise import NOISE_UNIT, as_frame_rate, noise_levels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Simulated neurons to choose from.
_N_SIMULATED = 5


def plot_noise_matched(
    dff: np.ndarray,
    frame_rate: float,
    ground_truth: Dataset | None = None,
    *,
    spike_prob: np.ndarray | None = None,
    duration_s: float = 60.0,
    seed: int = 0,
    axes: Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw a neuron, and below it ground truth of the same noise level and frame rate with its true spikes.

    Both are drawn at the same scale, each where it is most active. Of the ground truth the recording with the median
    firing rate is taken, among those that are quiet enough; noise is added to it until the noise levels agree.

    Parameters
    ----------
    dff : array, shape (n_frames,)
        dF/F of one neuron as a fraction; NaN where missing.
    frame_rate : float
        Frame rate in Hz.
    ground_truth : Dataset, optional
        Recorded ground truth, as of `cascade_engine.ground_truth.load_dataset`; best of the same indicator. Default:
        simulated neurons.
    spike_prob : array, shape (n_frames,), optional
        Expected spikes per frame of the neuron.
    duration_s : float
        How much to show of each, in s.
    seed : int
        Seed of the added noise.
    axes : sequence of two matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    array of matplotlib.axes.Axes, shape (2,)
        What was drawn into: the neuron, then the ground truth. It stays empty where the neuron has no noise level, and
        says so.

    Raises
    ------
    InputError
        If the arrays do not fit together, or no ground truth is as quiet as the neuron.
    MissingExtraError
        Without matplotlib.

    Examples
    --------
    >>> dff = 0.1 * np.random.default_rng(0).standard_normal(1000)
    >>> above, below = plot_noise_matched(dff, frame_rate=30.0)
    >>> above.get_ylabel().splitlines()[:2], below.get_ylabel().splitlines()[:2]
    (['this neuron', 'noise level 1.7'], ['simulated', 'noise level 1.7'])
    """
    dff, frame_rate = as_row("dff", dff), as_frame_rate(frame_rate)
    if not duration_s > 0:
        raise InputError(f"duration_s must be above 0 s, but it is {duration_s!r}")
    if spike_prob is not None:
        spike_prob = as_row("spike_prob", spike_prob)
        check_same_shape("spike_prob", spike_prob, "dff", dff)
    level = float(noise_levels(dff[np.newaxis], frame_rate)[0])
    true = None if np.isnan(level) else _matched(ground_truth, level, frame_rate, duration_s, seed)
    drawn = new_axes(2, height=4.6) if axes is None else given_axes(axes, 2)
    n_frames = max(2, round(duration_s * frame_rate))
    shown = _most_active(dff, n_frames)
    height = largest(dff[shown]) if true is None else max(largest(dff[shown]), largest(true.dff))
    name = "this neuron\n" + (f"noise level {level:.1f}" if np.isfinite(level) else "no noise level")
    predicted = None if spike_prob is None else spike_prob[shown]
    plot_neuron(dff[shown], predicted, frame_rate, label=name, largest_dff=height, ax=drawn[0])
    if true is None:
        drawn[1].set_axis_off()
        text = "no ground truth: the neuron has no noise level to be matched"
        drawn[1].text(0.5, 0.5, text, ha="center", transform=drawn[1].transAxes)
        return drawn
    label = f"{true.dataset}\nnoise level {level:.1f}"
    plot_neuron(true.dff, None, true.frame_rate, true.spike_times_s, label=label, largest_dff=height, ax=drawn[1])
    drawn[0].set_title(f"The same noise level ({level:.1f} {NOISE_UNIT}), the same scale", loc="left")
    return drawn


@dataclass(frozen=True)
class _Matched:
    """Ground truth that was brought to a noise level, where it is most active; units as in `Recording`."""

    dataset: str
    dff: np.ndarray
    frame_rate: float
    spike_times_s: np.ndarray


def _matched(ground_truth: Dataset | None, level: float, frame_rate: float, duration_s: float, seed: int) -> _Matched:
    """Ground truth at a noise level (percent per sqrt(Hz)) and frame rate (Hz)."""
    if ground_truth is None:
        ground_truth = simulate_dataset(_N_SIMULATED, 3 * duration_s, frame_rate, min(level, 0.2), seed)
    candidates, quietest = [], np.inf
    for recording in ground_truth.recordings:
        resampled = resample(recording, frame_rate)
        quietest = min(quietest, resampled.noise_level)
        if resampled.noise_level <= level and recording.spike_times_s.size:
            candidates.append((len(recording.spike_times_s) / recording.duration_s, recording, resampled))
    if not candidates:
        found = f"the quietest has {quietest:.2g}" if np.isfinite(quietest) else "it holds no recording"
        raise InputError(
            f"no recording with spikes in {ground_truth.name} is as quiet as {level:.2g} {NOISE_UNIT} at "
            f"{frame_rate:g} Hz: {found}"
        )
    candidates.sort(key=lambda candidate: candidate[0])
    _, recording, resampled = candidates[len(candidates) // 2]
    dff = add_noise(resampled, level, np.random.default_rng(seed))
    assert dff is not None
    n_frames = min(max(2, round(duration_s * resampled.frame_rate)), len(dff))
    first = int(np.argmax(np.convolve(resampled.counts, np.ones(n_frames), "valid")))
    rate = resampled.frame_rate
    times_s = recording.spike_times_s - recording.time_s[0] - first / rate
    inside = times_s[(times_s >= 0) & (times_s < n_frames / rate)]
    return _Matched(ground_truth.name, dff[first : first + n_frames], rate, inside)


def _most_active(dff: np.ndarray, n_frames: int) -> slice:
    """The frames of a trace, so many in a row, between which it varies most."""
    starts = np.arange(0, max(1, len(dff) - n_frames + 1), max(1, n_frames // 4))
    spread = [np.ptp(part) if (part := _known(dff[start : start + n_frames])).size else -1.0 for start in starts]
    start = int(starts[int(np.argmax(spread))])
    return slice(start, start + n_frames)


def _known(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]
