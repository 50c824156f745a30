"""Kinds of disturbance that are put into test traces; made apart from those of the training, at fixed strengths.

Each kind is a function of dF/F, the frame rate (Hz), the strength, the dF/F of another neuron, and a source of
randomness. It gives the disturbed dF/F and the frames in which the disturbance is, by which nothing is judged; none if
it lasts all the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Kind:
    """A kind of disturbance, what its strength is, and the three strengths that are tested."""

    put: Callable[..., tuple[np.ndarray, np.ndarray]]
    strength_is: str
    strengths: tuple[float, float, float]


def movement(dff, frame_rate, strength, other, rng):
    """Light is lost for 1 s, once in 50 s."""
    length = max(1, round(frame_rate))
    disturbed, starts = dff.copy(), _starts(len(dff), 50.0 * frame_rate, length, rng)
    lost = strength * (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(length) + 0.5) / length))
    for start in starts:
        disturbed[start : start + length] = (1 + disturbed[start : start + length]) * (1 - lost) - 1
    return disturbed, _marked(len(dff), starts, length)


def black_frames(dff, frame_rate, strength, other, rng):
    """0.1 s at -1."""
    length = max(1, round(0.1 * frame_rate))
    here = _marked(len(dff), _starts(len(dff), strength * frame_rate, length, rng), length)
    return np.where(here, -1.0, dff), here


def flashes(dff, frame_rate, strength, other, rng):
    """0.1 s of more light, every 10 s."""
    length = max(1, round(0.1 * frame_rate))
    here = _marked(len(dff), _starts(len(dff), 10.0 * frame_rate, length, rng), length)
    return np.where(here, dff + strength, dff), here


def inhibition(dff, frame_rate, strength, other, rng):
    """A transient downwards, every 100 s; it rises in 0.1 s, decays in 0.5 s."""
    length = max(2, round(2.0 * frame_rate))
    disturbed, starts = dff.copy(), _starts(len(dff), 100.0 * frame_rate, length, rng)
    time_s = np.arange(length) / frame_rate
    dip = (1 - np.exp(-time_s / 0.1)) * np.exp(-time_s / 0.5)
    for start in starts:
        disturbed[start : start + length] -= strength * dip / dip.max()
    return disturbed, _marked(len(dff), starts, length)


def step(dff, frame_rate, strength, other, rng):
    """The middle third of the recording lies higher or lower; a second on either side of each step is not judged."""
    n_frames, margin = len(dff), max(1, round(frame_rate))
    steps = np.array([rng.uniform(0.25, 0.4), rng.uniform(0.6, 0.75)]) * n_frames
    first, last = steps.astype(int)
    disturbed = dff.copy()
    disturbed[first:last] += strength * rng.choice([-1, 1])
    return disturbed, _marked(n_frames, np.array([first, last]) - margin, 2 * margin)


def slow_sine(dff, frame_rate, strength, other, rng):
    """A sine with a period of 20 s."""
    phase = 2 * np.pi * np.arange(len(dff)) / (20.0 * frame_rate) + rng.uniform(0, 2 * np.pi)
    return dff + strength * np.sin(phase), np.zeros(len(dff), dtype=bool)


def line_noise(dff, frame_rate, strength, other, rng):
    """A sine of 0.28 times the frame rate."""
    noise_sd = np.median(np.abs(np.diff(dff))) / 0.954
    phase = 2 * np.pi * 0.28 * np.arange(len(dff)) + rng.uniform(0, 2 * np.pi)
    return dff + strength * noise_sd * np.sin(phase), np.zeros(len(dff), dtype=bool)


def missing_frames(dff, frame_rate, strength, other, rng):
    """Single frames, at random."""
    here = rng.random(len(dff)) < strength
    return np.where(here, np.nan, dff), here


def repeated_frames(dff, frame_rate, strength, other, rng):
    """Single frames are copies of the one before, at random."""
    here = rng.random(len(dff)) < strength
    here[0] = False
    return dff[np.maximum.accumulate(np.where(here, 0, np.arange(len(dff))))], here


def leak(dff, frame_rate, strength, other, rng):
    """A part of another neuron."""
    return dff + strength * np.resize(other, len(dff)), np.zeros(len(dff), dtype=bool)


def smoothing(dff, frame_rate, strength, other, rng):
    """A Gaussian filter."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(dff, strength), np.zeros(len(dff), dtype=bool)


def saturation(dff, frame_rate, strength, other, rng):
    """Values are cut at a part of the largest."""
    limit = strength * dff.max()
    return np.minimum(dff, limit), dff > limit


KINDS = {
    "movement": Kind(movement, "part of the light that is lost", (0.1, 0.2, 0.4)),
    "black frames": Kind(black_frames, "every so many s", (60.0, 20.0, 5.0)),
    "flashes": Kind(flashes, "dF/F", (1.0, 5.0, 50.0)),
    "inhibition": Kind(inhibition, "dF/F", (0.1, 0.2, 0.4)),
    "step": Kind(step, "dF/F", (0.05, 0.1, 0.2)),
    "slow sine": Kind(slow_sine, "dF/F", (0.03, 0.1, 0.2)),
    "line noise": Kind(line_noise, "amplitude over noise", (0.5, 1.0, 2.0)),
    "missing frames": Kind(missing_frames, "part of the frames", (0.005, 0.02, 0.1)),
    "repeated frames": Kind(repeated_frames, "part of the frames", (0.005, 0.02, 0.1)),
    "leak": Kind(leak, "part of the other neuron", (0.05, 0.1, 0.3)),
    "smoothing": Kind(smoothing, "s.d. in frames", (0.5, 1.0, 2.0)),
    "saturation": Kind(saturation, "limit over the largest value", (0.9, 0.7, 0.5)),
}


def _starts(n_frames: int, every: float, length: int, rng: np.random.Generator) -> np.ndarray:
    """First frames of events, about `every` so many frames; at least one."""
    n_events = max(1, int(n_frames / every))
    spacing = n_frames / n_events
    starts = (spacing * (np.arange(n_events) + rng.uniform(0.2, 0.8, n_events))).astype(int)
    return starts[starts + length <= n_frames]


def _marked(n_frames: int, starts: np.ndarray, length: int) -> np.ndarray:
    here = np.zeros(n_frames, dtype=bool)
    for start in starts:
        here[max(start, 0) : start + length] = True
    return here
