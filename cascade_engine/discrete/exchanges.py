"""Better solutions from good ones: a few neighbouring spikes are taken out and put back where they fit best.

Adding, removing or moving spikes changes the squared distance by sums of correlations and overlaps alone, so that no
trace is touched. Exchanges are tried in all islands at once, the cheapest kind first; those that improve and cannot
touch each other are made together, until none improves.
"""

from __future__ import annotations

import numpy as np

from cascade_engine.discrete.islands import ROOM, Islands

#: Gains smaller than this fraction of a kernel's squared norm are rounding errors.
_LEAST_GAIN = 1e-9

#: Neighbouring spikes taken out, and the most that are put in, by each kind of exchange.
_KINDS = ((1, 1), (1, 2), (2, 2))

#: How far from the middle of what was taken out something is put in; a spike alone may go as far as kernels touch.
_REACH = 6

#: Values in the largest array at a time.
_BLOCK_VALUES = 1 << 20


class Exchanges:
    """Spike counts that are improved until no exchange helps.

    Parameters
    ----------
    islands : Islands
        Where they are.
    counts : array, shape (n_places,), int
        To begin with.

    Attributes
    ----------
    counts : array, shape (n_places,), int
        Spikes in each place.
    correlation : array, shape (n_places,), float64
        Scalar product of the kernel in each place with what the spikes leave unexplained.
    """

    def __init__(self, islands: Islands, counts: np.ndarray):
        assert _REACH <= ROOM
        self._islands = islands
        self._width = islands.width
        self._padded = np.pad(islands.overlaps, ((0, 0), (1, 1)))
        self._possible = np.flatnonzero(islands.possible)
        self._cut = np.append(0, np.cumsum(islands.row > 0))
        self.counts = np.zeros_like(counts)
        self.correlation = islands.correlation.copy()
        self._change(np.empty(0, dtype=np.int64), np.repeat(np.arange(len(counts)), counts))

    def run(self, wanted: np.ndarray | None = None) -> None:
        """Make exchanges, in the wanted islands or in all, until none improves."""
        todo = np.zeros((len(_KINDS), len(self.counts)), dtype=bool)
        island = self._islands.island_of(self._possible)
        todo[:, self._possible[slice(None) if wanted is None else np.isin(island, wanted)]] = True
        reach = np.arange(-3 * self._width - _REACH, 3 * self._width + _REACH + 1)
        while (left := todo.any(axis=1)).any():
            kind = int(np.argmax(left))
            gains, removed, added = self._improving(*_KINDS[kind], todo[kind])
            todo[kind] = False
            made = self._apart(gains, removed, added)
            removed, added = removed[made], added[made]
            removed, added = removed[removed >= 0], added[added >= 0]
            self._change(removed, added)
            # what else may improve now: whatever looks at correlations that have changed
            around = np.concatenate([removed, added])[:, np.newaxis] + reach
            todo[:, np.clip(around, 0, todo.shape[1] - 1)] = True
            todo &= self._islands.possible

    def take_better(self, other: Exchanges) -> None:
        """Take over from another solution whatever is better there; differences that cannot touch are judged apart."""
        places = np.flatnonzero(other.counts != self.counts)
        more = (other.counts - self.counts)[places]
        gains = 0.5 * more * (other.correlation[places] + self.correlation[places])
        group = np.cumsum(np.diff(places, prepend=places[:1]) > self._width)
        better = np.bincount(group, gains)[group] > _LEAST_GAIN * self._islands.norm[places]
        places, more = places[better], more[better]
        self._change(np.repeat(places, np.maximum(-more, 0)), np.repeat(places, np.maximum(more, 0)))

    def losses(self, places: np.ndarray) -> np.ndarray:
        """By how much half the squared distance grows without one of the spikes in each place."""
        return self.correlation[places] + 0.5 * self._islands.norm[places]

    def _change(self, removed: np.ndarray, added: np.ndarray) -> None:
        reach = np.arange(-self._width, self._width + 1)
        for places, sign in ((removed, 1), (added, -1)):
            np.subtract.at(self.counts, places, sign)
            around = places[:, np.newaxis] + reach
            np.add.at(self.correlation, around, sign * self._islands.overlaps[self._islands.row[places]])

    def _improving(self, n_out: int, n_in: int, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Exchanges in wanted places that improve, the best for each group of neighbouring spikes.

        Returns
        -------
        gains : array, shape (n_exchanges,)
            By how much half the squared distance shrinks.
        removed, added : array, shapes (n_exchanges, n_out), (n_exchanges, n_in), int
            Places; -1 for none.
        """
        spikes = self._possible[self.counts[self._possible] > 0]
        spikes = np.repeat(spikes, np.minimum(self.counts[spikes], n_out))
        groups = np.stack([spikes[i : len(spikes) - n_out + 1 + i] for i in range(n_out)], axis=1)
        groups = groups[wanted[groups].any(axis=1) & (groups[:, -1] - groups[:, 0] <= self._width)]
        found = [self._additions(np.flatnonzero(wanted))] if n_in == 1 else []
        reach = self._width if n_in == 1 else _REACH
        middle = (groups[:, 0] + groups[:, -1]) // 2
        is_plain = self._cut[middle + reach + 1] == self._cut[middle - reach]
        rows = max(1, _BLOCK_VALUES // (2 * reach + 1) ** n_in)
        for plain in (True, False):
            chosen = groups[is_plain == plain]
            found += [
                self._best(chosen[first : first + rows], n_in, reach, plain) for first in range(0, len(chosen), rows)
            ]
        if not found:
            return np.empty(0), np.empty((0, n_out), dtype=np.int64), np.empty((0, n_in), dtype=np.int64)
        gains, removed, added = zip(*found, strict=True)
        return np.concatenate(gains), np.concatenate(removed), np.concatenate(added)

    def _additions(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        gains = self.correlation[places] - 0.5 * self._islands.norm[places]
        good = gains > _LEAST_GAIN * self._islands.norm[places]
        places = places[good, np.newaxis]
        return gains[good], np.full_like(places, -1), places

    def _best(
        self, groups: np.ndarray, n_in: int, reach: int, plain: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The best that can be done with each group; those that are best left alone are left out."""
        n_groups, n_out = groups.shape
        rows = np.arange(n_groups)
        cost_out = self.losses(groups).sum(axis=1)
        if n_out == 2:
            cost_out += self._overlap(groups[:, 0], groups[:, 1])
        middle = (groups[:, 0] + groups[:, -1]) // 2
        places = middle[:, np.newaxis] + np.arange(-reach, reach + 1)
        cost_in = 0.5 * self._islands.norm[places] - self.correlation[places]
        for i in range(n_out):
            cost_in -= self._overlap(groups[:, i : i + 1], places)
        cost_in[~self._islands.possible[places]] = np.inf

        one = cost_in.argmin(axis=1)
        best, added = cost_out + cost_in[rows, one], np.full((n_groups, n_in), -1)
        added[:, 0] = places[rows, one]
        if n_out == 1:
            none = cost_out < best
            best[none], added[none] = cost_out[none], -1
        if n_in == 2:
            a, b = np.triu_indices(2 * reach + 1)
            if plain:
                between = self._overlap(places[:1, a], places[:1, b])
            else:
                between = self._overlap(places[:, a], places[:, b])
            pairs = cost_in[:, a] + cost_in[:, b] + between
            two = pairs.argmin(axis=1)
            cost = cost_out + pairs[rows, two]
            better = cost < best
            best[better] = cost[better]
            added[better] = np.stack([places[rows, a[two]], places[rows, b[two]]], axis=1)[better]
        good = best < -_LEAST_GAIN * self._islands.norm[groups[:, 0]]
        return -best[good], groups[good], added[good]

    def _overlap(self, places: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Scalar products of the kernels in two places each; zero where they do not touch."""
        distance = np.clip(others - places, -self._width - 1, self._width + 1) + self._width + 1
        return self._padded[self._islands.row[places], distance]

    def _apart(self, gains: np.ndarray, removed: np.ndarray, added: np.ndarray) -> np.ndarray:
        """Numbers of exchanges that can be made together, the best first."""
        both = np.concatenate([removed, added], axis=1)
        last = both.max(axis=1, initial=-1)
        first = np.where(both < 0, last[:, np.newaxis], both).min(axis=1, initial=len(self.counts))
        taken, made = np.zeros(len(self.counts), dtype=bool), []
        for number in np.lexsort((first, -gains)):
            if not taken[first[number] - self._width : last[number] + self._width + 1].any():
                taken[first[number] : last[number] + 1] = True
                made.append(number)
        return np.array(made, dtype=np.int64)
