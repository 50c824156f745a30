"""A solution that is nearly the best: counts are decided frame by frame, keeping the most promising histories.

A smoothed spike train is like a message received over a channel that smears its symbols, and is decoded like one: the
trace is whitened, so that each frame carries evidence of its own that later frames do not change; then the frames are
decided one after the other, and of all histories so far a fixed number of the best is kept.

References
----------
Forney (1972), IEEE Transactions on Information Theory 18:363: the whitened matched filter.
Anderson & Mohan (1984), IEEE Transactions on Communications 32:169: the M-algorithm.
"""

from __future__ import annotations

import numpy as np

from cascade_engine.discrete.islands import Islands

#: Kernels that reach further than so many frames need more histories, in proportion, but no more than so many times.
_KEPT_WIDTH, _KEPT_MOST = 12, 3

#: Counts tried in each frame, upwards from what is nearly sure, where less and where more than one spike is expected.
_TRIED_CALM, _TRIED_BUSY = 4, 7

#: Added to the kernel's spectrum, in units of its squared norm: smooth kernels have hardly any at high frequencies.
_FLOOR = 0.01

#: Frames after which histories that agree in all that still matters are merged.
_MERGED_EVERY = 3

#: Bits of a count in a history, counts that are looked up at a time, and counts in one number.
_BITS, _LOOKED_UP, _PER_NUMBER = 3, 4, 20

#: An odd number that mixes numbers into one.
_HASH = 0x9E3779B97F4A7C15 - (1 << 64)


def decode(islands: Islands, correlation: np.ndarray, wanted: np.ndarray, n_kept: int) -> np.ndarray:
    """Spike counts of islands, as if no kernel were cut off.

    Parameters
    ----------
    islands : Islands
        Where spikes can be.
    correlation : array, shape (n_places,)
        Scalar product of the whole kernel in each place with the trace.
    wanted : array of int
        Numbers of the islands.
    n_kept : int
        Histories kept, for a kernel of a usual width.

    Returns
    -------
    array, shape (n_places,), int
        Counts, zero in other islands.
    """
    nearly_sure = np.where(islands.possible, np.maximum(np.rint(islands.expected) - 2, 0), 0).astype(np.int64)
    n_kept *= int(np.clip(round(islands.width / _KEPT_WIDTH), 1, _KEPT_MOST))
    factor, floor = spectral_factor(islands.overlaps[0], _FLOOR)
    whitened = _whitened(islands, correlation, nearly_sure, factor)
    counts = np.zeros(len(correlation), dtype=np.int64)
    # islands of nearly equal length go together, the longest first: those that end first are always the last rows
    wanted = wanted[np.argsort(-islands.length[wanted], kind="stable")]
    highest = np.maximum.reduceat(islands.expected, islands.first)[wanted] if len(wanted) else np.empty(0)
    for group, n_tried in ((wanted[highest < 1], _TRIED_CALM), (wanted[highest >= 1], _TRIED_BUSY)):
        if len(group):
            histories = _Histories(islands, group, whitened, nearly_sure, factor, floor, n_tried, n_kept)
            for step in range(int(islands.length[group[0]])):
                histories.extend(step)
            histories.write_best(counts)
    return counts


class _Histories:
    """The most promising counts of each island, up to a frame that moves on."""

    def __init__(
        self,
        islands: Islands,
        group: np.ndarray,
        whitened: np.ndarray,
        nearly_sure: np.ndarray,
        factor: np.ndarray,
        floor: float,
        n_tried: int,
        n_kept: int,
    ):
        self._first, self._length = islands.first[group], islands.length[group]
        # half the precision is enough to choose, and twice as fast
        self._possible, self._whitened, self._nearly_sure = islands.possible, np.float32(whitened), nearly_sure
        factor = factor.astype(np.float32)
        width = len(factor) - 1
        self._width, self._n_tried, self._n_kept = width, n_tried, n_kept
        n, tried = len(group), np.arange(n_tried)
        self._steps = np.float32(-factor[0] * tried[:, np.newaxis])
        self._constants = np.float32(0.5 * (factor[0] ** 2 - floor) * tried**2)
        self._per_sure = np.float32(-floor * tried)
        self._tables = _tables(factor)
        self._past = [np.zeros((n, self._n_kept), dtype=np.int64) for _ in range(-(-width // _PER_NUMBER) or 1)]
        self._costs = np.full((n, self._n_kept), np.inf, dtype=np.float32)
        self._costs[:, 0] = 0.0
        self._row = np.arange(n)[:, np.newaxis]
        self._choices: list[np.ndarray] = []

    def extend(self, step: int) -> None:
        """Decide the next frame of every island that has one."""
        n = int(np.searchsorted(-self._length, -step, side="left"))
        places = self._first[:n] + step
        left = self._whitened[places][:, np.newaxis] - self._smeared(self._past, n)
        constants = self._constants + self._per_sure * self._nearly_sure[places][:, np.newaxis].astype(np.float32)
        costs = left[:, np.newaxis] * self._steps
        costs += constants[:, :, np.newaxis]
        costs += (self._costs[:n] + 0.5 * left**2)[:, np.newaxis]
        costs[~self._possible[places], 1:] = np.inf
        costs = costs.reshape(n, -1)
        chosen = np.argpartition(costs, self._n_kept - 1, axis=1)[:, : self._n_kept]
        self._costs[:n] = costs.ravel()[chosen + self._row[:n] * costs.shape[1]]
        added, parents = np.divmod(chosen, self._n_kept)
        parents += self._row[:n] * self._n_kept
        past = [numbers.ravel()[parents] for numbers in self._past]
        for numbers, shifted in zip(self._past, _shifted(past, added), strict=True):
            numbers[:n] = shifted
        if step % _MERGED_EVERY == 0:
            self._merge(n)
        self._choices.append(chosen.astype(np.uint16))

    def write_best(self, counts: np.ndarray) -> None:
        """Write the counts of the cheapest history of each island."""
        kept = self._final_costs().argmin(axis=1)
        for step in reversed(range(len(self._choices))):
            n = len(self._choices[step])
            added, kept[:n] = np.divmod(self._choices[step][np.arange(n), kept[:n]], self._n_kept)
            places = self._first[:n] + step
            counts[places] = added + self._nearly_sure[places]

    def _smeared(self, past: list[np.ndarray], n: int) -> np.ndarray:
        """What the spikes so far leave in the next frame."""
        total = np.zeros((n, self._n_kept), dtype=np.float32)
        for number, shift, table in self._tables:
            total += table[(past[number][:n] >> shift) & (len(table) - 1)]
        return total

    def _final_costs(self) -> np.ndarray:
        """Costs once nothing of any history is left."""
        costs, past = self._costs.copy(), self._past
        for step in range(self._width):
            left = self._whitened[self._first + self._length + step][:, np.newaxis]
            costs += 0.5 * (left - self._smeared(past, len(costs))) ** 2
            past = _shifted(past, np.zeros(costs.shape, dtype=np.int64))
        return costs

    def _merge(self, n: int) -> None:
        """Of histories whose difference no longer matters, keep the cheapest."""
        key = np.zeros((n, self._n_kept), dtype=np.int64)
        for numbers in self._past:
            key = key * _HASH + numbers[:n]  # overflows alike for all
        costs = self._costs[:n]
        order = np.argsort(costs, axis=1) + self._row[:n] * self._n_kept
        ranked = key.ravel()[order]
        same = ranked[:, :, np.newaxis] == ranked[:, np.newaxis, :]
        again = (same & np.tri(self._n_kept, k=-1, dtype=bool)).any(axis=2)
        costs[np.divmod(order[again], self._n_kept)] = np.inf


def _tables(factor: np.ndarray) -> list[tuple[int, int, np.ndarray]]:
    """For each few counts of the past: the number they are in, its first bit, what they leave in the next frame."""
    width = len(factor) - 1
    all_counts = np.arange(1 << (_BITS * _LOOKED_UP))[:, np.newaxis]
    counts = (all_counts >> (_BITS * np.arange(_LOOKED_UP))) & ((1 << _BITS) - 1)
    weights = np.pad(factor[1:], (0, -width % _LOOKED_UP)).reshape(-1, _LOOKED_UP)
    places = [divmod(i * _LOOKED_UP, _PER_NUMBER) for i in range(len(weights))]
    return [(number, _BITS * at, np.float32(counts @ row)) for (number, at), row in zip(places, weights, strict=True)]


def _shifted(past: list[np.ndarray], added: np.ndarray) -> list[np.ndarray]:
    """Histories with one more count in front; the oldest one is lost."""
    shifted = []
    for numbers in past:
        shifted.append(((numbers << _BITS) | added) & ((1 << (_BITS * _PER_NUMBER)) - 1))
        added = numbers >> (_BITS * (_PER_NUMBER - 1))
    return shifted


def spectral_factor(overlaps: np.ndarray, floor: float) -> tuple[np.ndarray, float]:
    """The causal filter, its weight as early as can be, with a given autocorrelation plus a floor at lag zero.

    Parameters
    ----------
    overlaps : array, shape (2 * width + 1,)
        Autocorrelation.
    floor : float
        In units of the autocorrelation at lag zero.

    Returns
    -------
    factor : array, shape (width + 1,)
        Found by way of the cepstrum.
    floor : float
        In the unit of `overlaps`.
    """
    width = len(overlaps) // 2
    floor *= overlaps[width]
    n = 1 << int(np.ceil(np.log2(64 * (width + 1))))
    spectrum = np.fft.fft(np.roll(np.pad(overlaps, (0, n - len(overlaps))), -width)).real
    cepstrum = np.fft.ifft(np.log(np.maximum(spectrum, 0.0) + floor)).real
    causal = np.concatenate([[0.5], np.ones(n // 2 - 1), [0.5], np.zeros(n // 2 - 1)])
    return np.fft.ifft(np.exp(np.fft.fft(cepstrum * causal))).real[: width + 1], floor


def _whitened(islands: Islands, correlation: np.ndarray, nearly_sure: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Traces, less the spikes that are nearly sure, seen so that each frame has evidence of its own."""
    from scipy.signal import lfilter

    left = correlation.copy()
    if nearly_sure.any():
        for distance, overlap in enumerate(islands.overlaps[0], -islands.width):
            left -= overlap * np.roll(nearly_sure, distance)
    return lfilter([1.0], factor, left[::-1])[::-1]
