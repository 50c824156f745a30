"""What recordings hold besides spikes, put into training crops so that a network learns to look past it.

Every function takes one trace of dF/F and gives another; true spikes stay what they were. Strengths are drawn over
wide ranges, log-uniformly unless said. A disturbed crop gets one to three kinds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: Most kinds of disturbance in one crop, and the largest part of its frames that events may cover.
_MOST_KINDS, _LARGEST_PART = 3, 0.1

#: Events of one kind come this often at most (Hz), and at least once in a crop.
_MOST_EVENTS_HZ = 0.2


def disturb(
    dff: np.ndarray,
    present: np.ndarray,
    frame_rate: float,
    neighbour: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Put one to three kinds of disturbance into a trace.

    Parameters
    ----------
    dff : array, shape (n_frames,)
        dF/F as a fraction.
    present : array of bool, shape (n_frames,)
        Frames with a value.
    frame_rate : float
        In Hz.
    neighbour : array, shape (n_frames,)
        dF/F of another neuron, which may leak in.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dff : array, shape (n_frames,), float32
        The disturbed trace; 0 where there is no value.
    present : array of bool, shape (n_frames,)
        Frames that still have a value.
    """
    disturbed = dff.astype(np.float64)
    n_kinds = rng.integers(1, _MOST_KINDS + 1)
    chosen = rng.choice(len(KINDS), size=n_kinds, replace=False, p=_SHARES)
    if rng.random() < _LEAK_SHARE:
        disturbed = leak(disturbed, neighbour, rng)
    for number in sorted(chosen):  # in the order of KINDS
        disturbed = KINDS[number][0](disturbed, frame_rate, rng)
    if rng.random() < _MISSING_SHARE:
        present = present & ~missing_frames(len(dff), frame_rate, rng)
    return np.where(present, disturbed, 0.0).astype(np.float32), present


def leak(dff: np.ndarray, neighbour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another neuron leaks in by 3 to 40 %; one time in three it is subtracted, as by a neuropil that holds cells."""
    part = _between(rng, 0.03, 0.4) * (-1.0 if rng.random() < 1 / 3 else 1.0)
    return dff + part * neighbour


def negative_transients(dff: np.ndarray, frame_rate: float, rng: np.random.Generator) -> np.ndarray:
    """Inhibition: dips of 0.02 to 0.6 dF/F that come in 0.02-0.5 s and go in 0.1-3 s."""
    rise, decay = _between(rng, 0.02, 0.5) * frame_rate, _between(rng, 0.1, 3.0) * frame_rate
    time = np.arange(max(2, int(6 * decay)))
    shape = (1.0 - np.exp(-time / max(rise, 0.3))) * np.exp(-time / max(decay, 0.3))
    shape /= shape.max()
    depth, dips = _between(rng, 0.02, 0.6), np.zeros(len(dff))
    for start in _starts(len(dff), 2 * decay, frame_rate, rng):
        here = shape[: len(dff) - start]
        dips[start : start + len(here)] = np.maximum(dips[start : start + len(here)], rng.uniform(0.5, 1.5) * here)
    return dff - depth * dips


def movement(dff: np.ndarray, frame_rate: float, rng: np.random.Generator) -> np.ndarray:
    """The cell leaves the focus: 3 to 60 % of its light are lost for 0.1 to 4 s; one time in six light is gained."""
    depth = _between(rng, 0.03, 0.6) * (-0.5 if rng.random() < 1 / 6 else 1.0)
    length_s, light = _between(rng, 0.1, 4.0), np.ones(len(dff))
    abrupt = rng.random() < 0.3
    for start in _starts(len(dff), length_s * frame_rate, frame_rate, rng):
        length = max(1, round(rng.uniform(0.5, 1.5) * length_s * frame_rate))
        shape = np.ones(length) if abrupt else 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(length) + 0.5) / length)
        shape = shape[: len(dff) - start]
        light[start : start + len(shape)] = 1.0 - min(0.9, depth * rng.uniform(0.5, 1.5)) * shape
    return (1.0 + dff) * light - 1.0


def baseline_steps(dff: np.ndarray, frame_rate: float, rng: np.random.Generator) -> np.ndarray:
    """One to three steps of 0.02 to 0.5 dF/F up or down; in half of the cases the baseline returns within 5 to 60 s."""
    time, disturbed = np.arange(len(dff)), dff.copy()
    size, return_s = _between(rng, 0.02, 0.5), _between(rng, 5.0, 60.0) if rng.random() < 0.5 else np.inf
    for _ in range(rng.integers(1, 4)):
        after = time - rng.integers(len(dff))
        step = np.where(after >= 0, np.exp(-np.maximum(after, 0) / (return_s * frame_rate)), 0.0)
        disturbed += size * rng.uniform(-1.0, 1.0) * step
    return disturbed - np.median(disturbed - dff)


def slow_sine(dff: np.ndarray, frame_rate: float, rng: np.random.Generator) -> np.ndarray:
    """A sine of 0.01 to 0.2 dF/F with a period of 2 to 100 s, of breathing, blood or the baseline."""
    phase = 2 * np.pi * np.arange(len(dff)) / (_between(rng, 2.0, 100.0) * frame_rate) + rng.uniform(0, 2 * np.pi)
    return dff + _between(rng, 0.01, 0.2) * np.sin(phase)


def line_noise(dff: np.ndarray, frame_rate: float, rng: np.random.Generator) -> np.ndarray:
    """A sine of 0.2 to 2 times the noise, at any frequency from 0.5 Hz on."""
    step = np.median(np.abs(np.diff(dff)))
    frequency = rng.uniform(min(0.5, 0.4 * frame_rate), 0.5 * frame_rate) / frame_rate
    phase = 2 * np.pi * frequency * np.arange(len(dff)) + rng.uniform(0, 2 * np.pi)
    return dff + _between(rng, 0.2, 2.0) * step * np.sin(phase)


def saturation(dff: np.ndarray, frame_rate: float, rng: np.random.Generator) -> np.ndarray:
    """The detector's limit cuts the largest values."""
    return np.minimum(dff, rng.uniform(0.4, 0.95) * max(dff.max(), 1e-3))


def black_frames(dff: np.ndarray, frame_rate: float, rng: np.random.Generator) -> np.ndarray:
    """Shutter or lost frames, stored as 0: 1 to 5 frames at -1; where a mean of the neuropil was kept, above that."""
    level = -1.0 if rng.random() < 0.5 else rng.uniform(-1.2, -0.3)
    return _replaced(dff, level, 0.05 * np.std(dff) if rng.random() < 0.5 else 0.0, frame_rate, rng)


def flashes(dff: np.ndarray, frame_rate: float, rng: np.random.Generator) -> np.ndarray:
    """Stimulation light or glitches: 1 to 5 frames brighter by 0.3 to 50 dF/F."""
    level = _between(rng, 0.3, 50.0)
    return _replaced(dff, level, 0.1 * level, frame_rate, rng)


def repeated_frames(dff: np.ndarray, frame_rate: float, rng: np.random.Generator) -> np.ndarray:
    """0.2 to 15 % of the frames are copies of the one before."""
    disturbed = dff.copy()
    repeated = np.flatnonzero(rng.random(len(dff) - 1) < _between(rng, 0.002, 0.15)) + 1
    for frame in repeated:
        disturbed[frame] = disturbed[frame - 1]
    return disturbed


def smoothed(dff: np.ndarray, frame_rate: float, rng: np.random.Generator) -> np.ndarray:
    """Filtered or interpolated before it came to us: a Gaussian of 0.4 to 2 frames, or every second or third frame
    alone is measured."""
    if rng.random() < 0.7:
        width = _between(rng, 0.4, 2.0)
        kernel = np.exp(-0.5 * (np.arange(-6, 7) / width) ** 2)
        return np.convolve(np.pad(dff, 6, mode="reflect"), kernel / kernel.sum(), mode="valid")
    frames, every = np.arange(len(dff)), rng.integers(2, 4)
    return np.interp(frames, frames[::every], dff[::every])


def missing_frames(n_frames: int, frame_rate: float, rng: np.random.Generator) -> np.ndarray:
    """Frames without a value: single ones (0.2 to 15 %), every 5th to 30th, or stretches of up to 2 s."""
    how, missing = rng.integers(3), np.zeros(n_frames, dtype=bool)
    if how == 0:
        missing = rng.random(n_frames) < _between(rng, 0.002, 0.15)
    elif how == 1:
        every = rng.integers(5, 31)
        missing[rng.integers(every) :: every] = True
    else:
        length = max(1, round(_between(rng, 0.05, 2.0) * frame_rate))
        for start in _starts(n_frames, length, frame_rate, rng):
            missing[start : start + length] = True
    return missing


#: Kinds of disturbance, from the cell to what is done with a trace, and how often each is drawn in proportion.
KINDS: tuple[tuple[Callable, float], ...] = (
    (negative_transients, 1.5),
    (movement, 3.0),
    (baseline_steps, 1.0),
    (slow_sine, 1.0),
    (line_noise, 1.0),
    (saturation, 0.3),
    (black_frames, 2.0),
    (flashes, 2.0),
    (repeated_frames, 0.7),
    (smoothed, 0.5),
)
_SHARES = np.array([share for _, share in KINDS]) / sum(share for _, share in KINDS)

#: How often another neuron leaks into a disturbed crop as well, and how often it has missing frames.
_LEAK_SHARE, _MISSING_SHARE = 0.15, 0.15


def _replaced(dff: np.ndarray, level: float, sd: float, frame_rate: float, rng: np.random.Generator) -> np.ndarray:
    """Runs of 1 to 5 frames at a level (dF/F) with noise of `sd`; in half of the cases they come periodically."""
    length, disturbed = int(rng.integers(1, 6)), dff.copy()
    for start in _starts(len(dff), length, frame_rate, rng, periodic=rng.random() < 0.5):
        stop = min(start + length, len(dff))
        disturbed[start:stop] = level + sd * rng.standard_normal(stop - start)
    return disturbed


def _starts(
    n_frames: int, length: float, frame_rate: float, rng: np.random.Generator, periodic: bool = False
) -> np.ndarray:
    """First frames of events of some `length` (frames): from one in all to one in 5 s, over a tenth of the frames.

    Their number is drawn log-uniformly in half of the cases, which often gives few, and uniformly in the others.
    """
    most = min(_MOST_EVENTS_HZ * n_frames / frame_rate, _LARGEST_PART * n_frames / max(length, 1.0))
    draw = _between if rng.random() < 0.5 else np.random.Generator.uniform
    n_events = max(1, round(draw(rng, 1.0, max(most, 1.0))))
    if periodic:
        every = n_frames / n_events
        return (rng.uniform(0, every) + every * np.arange(n_events)).astype(int).clip(0, n_frames - 1)
    return rng.integers(n_frames, size=n_events)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
