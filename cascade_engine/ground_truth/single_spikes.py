"""What one spike does to dF/F: the average around spikes that stand alone, and its size.

A spike stands alone if there is no other within `ALONE_BEFORE_S` before and `ALONE_AFTER_S` after it. dF/F around each
is taken less its mean shortly before, and averaged. The largest value of an average of a few noisy traces is too large.
So the time of the peak is that of the average over all neurons, and the size of a neuron is its mean around this time,
after the spike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cascade_engine.ground_truth.records import Recording

#: A spike stands alone if there is no other for so long (s) before it, and after it.
ALONE_BEFORE_S, ALONE_AFTER_S = 2.0, 1.0

#: The average reaches from before the spike to after it (s); rest is until the second of these times.
START_S, REST_END_S, END_S, STEP_S = -0.5, -0.1, 1.0, 0.02

#: The size of a spike is the mean over this time (s) on either side of the peak.
PEAK_S = 0.05

#: A neuron needs this many spikes that stand alone, and a dataset this many such neurons, for its size to be told.
MIN_SPIKES, MIN_NEURONS = 5, 3

#: Times (s from the spike) at which the average is known.
TIMES_S = np.arange(round(START_S / STEP_S), round(END_S / STEP_S) + 1) * STEP_S


@dataclass(frozen=True)
class SpikeAverages:
    """Average dF/F around single spikes.

    Attributes
    ----------
    averages : array, shape (n_neurons, n_times)
        dF/F (fraction) of each neuron at `TIMES_S`, less that before the spike; NaN for neurons with too few spikes.
    n_spikes : array, shape (n_neurons,), int
        Spikes of each that stand alone and have dF/F around them.
    """

    averages: np.ndarray
    n_spikes: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Mean over neurons, shape (n_times,); NaN if none has an average."""
        known = self.averages[np.isfinite(self.averages).all(axis=1)]
        return known.mean(axis=0) if len(known) else np.full(len(TIMES_S), np.nan)

    @property
    def peak_s(self) -> float:
        """Time of the largest mean, in s from the spike; NaN if there is none."""
        mean = np.where(TIMES_S > REST_END_S, self.mean, -np.inf)
        return np.nan if np.isnan(mean).any() else float(TIMES_S[np.argmax(mean)])

    @property
    def sizes(self) -> np.ndarray:
        """Size of a spike in each neuron: dF/F (fraction), shape (n_neurons,); NaN where there is no average."""
        peak_s = self.peak_s
        near = (np.abs(TIMES_S - peak_s) <= PEAK_S + 1e-9) & (min(peak_s, STEP_S) <= TIMES_S)
        return self.averages[:, near].mean(axis=1) if near.any() else np.full(len(self.averages), np.nan)

    @property
    def size(self) -> float:
        """Median size over neurons: dF/F (fraction); NaN if none has one."""
        known = self.sizes[np.isfinite(self.sizes)]
        return float(np.median(known)) if known.size else np.nan


def spike_averages(neurons: Iterable[Sequence[Recording]]) -> SpikeAverages:
    """Average dF/F around the single spikes of each neuron.

    Parameters
    ----------
    neurons : iterable of sequence of Recording
        All recordings of each neuron.

    Examples
    --------
    >>> from cascade_engine.ground_truth import Indicator, simulate_dataset
    >>> dataset = simulate_dataset(4, 300.0, noise_level=0.5, indicator=Indicator(amplitude=0.2))
    >>> print(f"{spike_averages(neuron.recordings for neuron in dataset.neurons).size:.1f}")
    0.2
    """
    found = [_average(recordings) for recordings in neurons]
    averages = np.array([average for average, _ in found]).reshape(len(found), len(TIMES_S))
    return SpikeAverages(averages, np.array([n for _, n in found], dtype=int))


def spikes_alone(spike_times_s: np.ndarray) -> np.ndarray:
    """Times (s) of the spikes that stand alone.

    Examples
    --------
    >>> spikes_alone(np.array([1.0, 5.0, 5.1, 9.0]))
    array([1., 9.])
    """
    times = np.sort(spike_times_s)
    since = np.diff(times, prepend=-np.inf)
    until = np.diff(times, append=np.inf)
    return times[(since > ALONE_BEFORE_S) & (until > ALONE_AFTER_S)]


def _average(recordings: Sequence[Recording]) -> tuple[np.ndarray, int]:
    """Average of one neuron, and of how many spikes."""
    around = [np.empty((0, len(TIMES_S)))]
    for recording in recordings:
        times_s, dff = recording.time_s, recording.dff.astype(np.float64)
        alone = spikes_alone(recording.spike_times_s)
        # what happened before the recording began is not known
        alone = alone[(alone >= times_s[0] + ALONE_BEFORE_S) & (alone <= times_s[-1] - ALONE_AFTER_S)]
        traces = np.interp((alone[:, np.newaxis] + TIMES_S).ravel(), times_s, dff).reshape(len(alone), len(TIMES_S))
        traces = traces - traces[:, TIMES_S <= REST_END_S].mean(axis=1, keepdims=True)
        around.append(traces[np.isfinite(traces).all(axis=1)])
    traces = np.concatenate(around)
    if len(traces) < MIN_SPIKES:
        return np.full(len(TIMES_S), np.nan), len(traces)
    return traces.mean(axis=0), len(traces)
