"""Islands: runs of frames in which spikes can be, each too far from the next for any kernel to reach both.

Everything that the search for spikes has to know of them is laid out in arrays of places, one island behind the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

#: Places on either side of each island that stay empty, besides three widths of the kernel: exchanges look that far.
ROOM = 8


@dataclass(frozen=True)
class Islands:
    """Islands of many traces, one behind the other, so far apart that no kernel reaches from one to the next.

    Attributes
    ----------
    correlation : array, shape (n_places,), float64
        Scalar product of the kernel in each place with the trace.
    possible : array of bool, shape (n_places,)
        Whether a spike can be there.
    expected : array, shape (n_places,), float64
        Expected spikes in each place.
    norm : array, shape (n_places,), float64
        Squared norm of the kernel in each place.
    row : array, shape (n_places,), int
        Row of `overlaps` for each place.
    overlaps : array, shape (n_rows, 2 * width + 1), float64
        Scalar product of the kernel in a place with that `-width` ... `width` places later. The first row is for
        kernels that lie inside a trace; one that is cut off by its end, or by missing frames, has a row of its own.
    first, length : array, shape (n_islands,), int
        First place of each island in which a spike can be, and places up to the last.
    frame : array, shape (n_places,), int
        Number of the frame, counted over all traces; -1 between islands.
    width : int
        Largest distance in frames at which two kernels touch.
    """

    correlation: np.ndarray
    possible: np.ndarray
    expected: np.ndarray
    norm: np.ndarray
    row: np.ndarray
    overlaps: np.ndarray
    first: np.ndarray
    length: np.ndarray
    frame: np.ndarray
    width: int

    def island_of(self, places: np.ndarray) -> np.ndarray:
        """Number of the island of each place."""
        return np.searchsorted(self.first, places, side="right") - 1

    def mirrored(self) -> Islands:
        """The same with time running backwards."""
        turned = ("correlation", "possible", "expected", "norm", "row", "frame", "length")
        first = (len(self.frame) - self.first - self.length)[::-1]
        return replace(
            self, first=first, overlaps=self.overlaps[:, ::-1], **{name: getattr(self, name)[::-1] for name in turned}
        )


def find_islands(spike_prob: np.ndarray, weights: np.ndarray, slices: Sequence[slice]) -> Islands:
    """Find every frame in which a spike could bring the sum of kernels nearer to the trace.

    What a spike gains can only shrink when others are added, as no kernel is negative anywhere. So where a first spike
    would gain nothing there is none in the best solution, and islands that no kernel joins can be solved apart.

    Parameters
    ----------
    spike_prob : array, shape (n_neurons, n_frames)
        Expected spikes per frame; NaN where there is no value.
    weights : array, shape (2 * half + 1,)
        Kernel, as given by `cascade_engine.smoothing_kernel`.
    slices : sequence of slice
        Frames of each segment; kernels are cut off at its ends.

    Returns
    -------
    Islands
        In the order of neurons and frames.
    """
    from scipy.ndimage import correlate1d

    n_frames = spike_prob.shape[1]
    missing = np.isnan(spike_prob)
    values = np.where(missing, 0.0, spike_prob)
    correlation, whole_norm = np.empty(spike_prob.shape), np.empty(n_frames)
    for segment in slices:
        correlate1d(values[:, segment], weights, output=correlation[:, segment], mode="constant")
        whole_norm[segment] = correlate1d(np.ones(segment.stop - segment.start), weights**2, mode="constant")
    norm = np.broadcast_to(whole_norm, spike_prob.shape)
    with_gaps = np.flatnonzero(missing.any(axis=1))
    if len(with_gaps):
        norm = norm.copy()
        for segment in slices:
            known = (~missing[with_gaps, segment]).astype(float)
            norm[with_gaps, segment] = correlate1d(known, weights**2, mode="constant")

    used = np.flatnonzero(weights)
    width = int(used[-1] - used[0])
    number = np.flatnonzero((2.0 * correlation > norm) & ~missing)
    neuron, frame = np.divmod(number, n_frames)
    starts, stops = _edges(slices)
    segment_number = np.searchsorted(stops, frame, side="right")
    is_first = (np.diff(neuron * len(slices) + segment_number, prepend=-1) != 0) | (np.diff(number, prepend=-1) > width)
    begin = np.flatnonzero(is_first)
    island = np.cumsum(is_first) - 1
    end = np.append(begin[1:], len(number))[: len(begin)]
    length = number[end - 1] - number[begin] + 1
    room = 3 * width + ROOM
    first = room + np.cumsum(np.append(0, length + room))[: len(length)]
    place = first[island] + number - number[begin][island]

    # each island with its surroundings, as far as kernels reach and its segment goes
    before = np.minimum(width, frame[begin] - starts[segment_number[begin]])
    after = np.minimum(width, stops[segment_number[begin]] - frame[begin] - length)
    around = before + length + after
    offset = np.arange(around.sum()) - np.repeat(np.cumsum(around) - around, around)
    places = np.repeat(first - before, around) + offset
    numbers = np.repeat(number[begin] - before, around) + offset

    n_places = int(first[-1] + length[-1]) + room if len(first) else 0
    full = float((weights**2).sum())
    cut = np.flatnonzero(np.abs(norm[neuron, frame] - full) > 1e-12 * full)
    found = Islands(
        correlation=np.zeros(n_places),
        possible=np.zeros(n_places, dtype=bool),
        expected=np.zeros(n_places),
        norm=np.full(n_places, full),
        row=np.zeros(n_places, dtype=np.int64),
        overlaps=_overlaps(weights, missing, slices, neuron[cut], frame[cut], width),
        first=first,
        length=length,
        frame=np.full(n_places, -1),
        width=width,
    )
    found.correlation[places], found.expected[places] = correlation.ravel()[numbers], values.ravel()[numbers]
    found.possible[place], found.norm[place], found.frame[place] = True, norm[neuron, frame], number
    found.row[place[cut]] = 1 + np.arange(len(cut))
    return found


def _overlaps(
    weights: np.ndarray,
    missing: np.ndarray,
    slices: Sequence[slice],
    neurons: np.ndarray,
    frames: np.ndarray,
    width: int,
) -> np.ndarray:
    """Overlaps of a whole kernel with its neighbours, and of those in the given frames, which are cut off."""
    half = len(weights) // 2
    shifted = np.lib.stride_tricks.sliding_window_view(np.pad(weights, width), len(weights))
    neighbours = shifted[::-1]  # from width frames earlier to width frames later
    products = neighbours.T * weights[:, np.newaxis]
    starts, stops = _edges(slices)
    segment_number = np.searchsorted(stops, frames, side="right")
    under = frames[:, np.newaxis] + np.arange(-half, half + 1)
    inside = (under >= starts[segment_number][:, np.newaxis]) & (under < stops[segment_number][:, np.newaxis])
    seen = inside & ~missing[neurons[:, np.newaxis], np.where(inside, under, 0)]
    rows = np.ones((1 + len(frames), len(weights)))
    rows[1:] = seen
    return np.einsum("rf,fw->rw", rows, products)


def _edges(slices: Sequence[slice]) -> np.ndarray:
    """First frame of each segment, and the frame after its last."""
    return np.array([(segment.start, segment.stop) for segment in slices], dtype=np.int64).reshape(-1, 2).T
