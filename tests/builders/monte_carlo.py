"""Reference for the search of spikes: Monte-Carlo guesses, systematic shifts and pruning, many times over.

Written from the description of how the published tool looks for spikes, with the objective of `cascade_engine.discrete`
and none of its code: kernels and overlaps are those of the whole island, written out as a matrix.
"""

from __future__ import annotations

import numpy as np

from cascade_engine.signal.kernels import smooth_spikes

#: Sweeps of shifts after which a restart ends even if it still improves.
_SWEEPS = 30


def best_distance(
    trace: np.ndarray, places: slice, frame_rate: float, smoothing: float, kernel: str, restarts: int, rng
) -> float:
    """Smallest squared distance between an island and a sum of kernels that any restart has found.

    Parameters
    ----------
    trace : array, shape (n_frames,)
        Expected spikes per frame; NaN where there is no value.
    places : slice
        Frames in which spikes may be.
    frame_rate, smoothing, kernel
        As in `cascade_engine.smoothing_kernel`.
    restarts : int
        Restarts.
    rng : numpy.random.Generator
        Source of the guesses.

    Returns
    -------
    float
        Sum of squares over the frames that have a value.
    """
    known = np.isfinite(trace)
    kernels = smooth_spikes(np.eye(len(trace))[places], frame_rate, smoothing, kernel)[:, known]
    overlaps, norms = kernels @ kernels.T, (kernels**2).sum(axis=1)
    goal = kernels @ trace[known]
    expected = np.where(known, np.maximum(trace, 0.0), 0.0)[places]
    everyone = np.arange(restarts)

    # guesses: as many spikes as expected, give or take one, drawn from the trace itself
    total = expected.sum()
    numbers = np.maximum(np.floor(total + rng.random(restarts) * 2 - 0.5).astype(int), 0)
    most = int(numbers.max(initial=0)) + 1
    places = rng.choice(len(expected), size=(restarts, most), p=expected / total)
    there = np.arange(most) < numbers[:, np.newaxis]
    correlation = goal - np.einsum("rk,rkn->rn", there.astype(float), overlaps[places])

    for _ in range(_SWEEPS):
        changed = False
        for k in range(most):
            # shifts and pruning: take the spike out, and put it where it is best, or nowhere
            correlation += there[:, k, np.newaxis] * overlaps[places[:, k]]
            gains = correlation - 0.5 * norms
            new = gains.argmax(axis=1)
            useful = gains[everyone, new] > 1e-12
            changed |= bool(((new != places[:, k]) & useful | (useful != there[:, k])).any())
            places[:, k], there[:, k] = np.where(useful, new, places[:, k]), useful
            correlation -= useful[:, np.newaxis] * overlaps[places[:, k]]
        if not changed:
            break
    fits = np.einsum("rk,rkm->rm", there.astype(float), kernels[places])
    return float(((trace[known] - fits) ** 2).sum(axis=1).min())
