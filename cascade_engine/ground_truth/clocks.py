"""Whether the clocks of spikes and fluorescence agree: when fluorescence starts to rise after a true spike.

The rule, from true spikes and fluorescence alone: dF/F of a neuron, at its own frame times, is explained as a slow
course and one kernel per spike, in bins of 20 ms and with a prior that makes it smooth. The **onset** is where the
kernel last crosses 15 % of its peak before the peak. The **offset** of a dataset is the median onset of its neurons.

The prior and the kinetics of the indicator move an onset by up to some 20 ms. So what tells of a clock is how far an
offset is from the median over all datasets: by this much true spikes are shifted to align the clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from cascade_engine.ground_truth.catalogue import load_catalogue
from cascade_engine.ground_truth.records import Dataset, Recording

#: Bins (s) of the kernel; it reaches from before the spike to after it (s).
BIN_S, START_S, END_S = 0.02, -0.5, 2.0

#: Part of the peak at which the kernel has its onset.
ONSET_PART = 0.15

#: The kernel starts from its mean until the first of these times (s from the spike); its peak comes before the second.
REST_END_S, LATEST_PEAK_S = -0.25, 1.0

#: The slow course of dF/F is its mean over this time (s).
SLOW_S = 10.0

#: Weight of the prior (squared second differences) beside one bin's share of the data.
SMOOTHNESS = 1.0

#: A neuron needs this many spikes, and a peak this many times the standard deviation of the kernel before the spike.
MIN_SPIKES, MIN_PEAK = 5, 3.0

#: A dataset needs this many neurons with an onset, and their quartiles no further apart than this (s).
MIN_NEURONS, MAX_QUARTILE_DISTANCE_S = 3, 0.06

_N_BINS = round((END_S - START_S) / BIN_S)

#: Times (s from the spike) of the middles of the bins.
KERNEL_TIMES_S = START_S + BIN_S * (np.arange(_N_BINS) + 0.5)


@cache
def clock_shifts() -> dict[str, float]:
    """Shift (s) of the true spikes of each public dataset that aligns its clocks, by the name of its folder.

    Those whose offset is not known are not in it.
    """
    offsets = {
        entry.folder: entry.clock_offset_s for entry in load_catalogue().values() if entry.clock_offset_s is not None
    }
    middle = float(np.median(list(offsets.values())))
    return {folder: offset - middle for folder, offset in offsets.items()}


def clock_offset(onsets_s: np.ndarray) -> float | None:
    """Offset (s) of a dataset by the onsets of its neurons; None if they are too few or disagree.

    Parameters
    ----------
    onsets_s : array, shape (n_neurons,)
        As of `kernel_onset`; NaN is ignored.

    Examples
    --------
    >>> clock_offset(np.array([0.01, 0.02, 0.04, np.nan]))
    0.02
    >>> clock_offset(np.array([0.01, 0.02, 0.4]))
    """
    known = onsets_s[np.isfinite(onsets_s)]
    if len(known) < MIN_NEURONS or np.subtract(*np.percentile(known, [75, 25])) > MAX_QUARTILE_DISTANCE_S:
        return None
    return float(np.median(known))


def kernel_onsets(dataset: Dataset) -> np.ndarray:
    """Onset (s from the spike) of the kernel of each neuron, shape (n_neurons,); NaN where the data do not say."""
    return np.array([kernel_onset(neuron.recordings) for neuron in dataset.neurons])


def kernel_onset(recordings: Sequence[Recording]) -> float:
    """Onset (s from the spike) of the kernel of one neuron; NaN where the data do not say.

    Parameters
    ----------
    recordings : sequence of Recording
        All recordings of the neuron.
    """
    if sum(len(recording.spike_times_s) for recording in recordings) < MIN_SPIKES:
        return np.nan
    kernel = spike_kernel(recordings)
    at_rest = kernel[KERNEL_TIMES_S < REST_END_S]
    kernel = kernel - at_rest.mean()
    peak = int(np.argmax(kernel[KERNEL_TIMES_S < LATEST_PEAK_S]))
    level = ONSET_PART * kernel[peak]
    below = np.flatnonzero(kernel[:peak] < level)
    if kernel[peak] < MIN_PEAK * at_rest.std() or not len(below):
        return np.nan
    last = below[-1]
    return float(KERNEL_TIMES_S[last] + BIN_S * (level - kernel[last]) / (kernel[last + 1] - kernel[last]))


def spike_kernel(recordings: Sequence[Recording]) -> np.ndarray:
    """What one spike adds to dF/F (fraction) of a neuron, shape (n_bins,), at `KERNEL_TIMES_S`."""
    from scipy.ndimage import uniform_filter1d

    curvature = np.diff(np.eye(_N_BINS), 2, axis=0)
    products, sums = np.zeros((_N_BINS, _N_BINS)), np.zeros(_N_BINS)
    for recording in recordings:
        window = round(SLOW_S * recording.frame_rate)
        spikes, dff = _spikes_in_bins(recording), recording.dff.astype(np.float64)
        spikes, dff = (values - uniform_filter1d(values, window, axis=0, mode="nearest") for values in (spikes, dff))
        products += spikes.T @ spikes
        sums += spikes.T @ dff
    products += SMOOTHNESS * np.trace(products) / _N_BINS * curvature.T @ curvature
    return np.linalg.lstsq(products, sums, rcond=None)[0]


def _spikes_in_bins(recording: Recording) -> np.ndarray:
    """Spikes that each frame lies after by the time of each bin, shape (n_frames, n_bins)."""
    time_s, spikes_s = recording.time_s, recording.spike_times_s
    first, stop = np.searchsorted(time_s, [spikes_s + START_S, spikes_s + END_S])
    n_frames = stop - first
    frames = np.repeat(stop - np.cumsum(n_frames), n_frames) + np.arange(n_frames.sum())
    bins = ((time_s[frames] - np.repeat(spikes_s, n_frames) - START_S) / BIN_S).astype(int)
    counts = np.zeros((len(time_s), _N_BINS))
    np.add.at(counts, (frames, np.minimum(bins, _N_BINS - 1)), 1.0)
    return counts
