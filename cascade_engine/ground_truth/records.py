"""Typed records of ground truth, and the one place where defects of a time base are handled."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cascade_engine.signal.noise import noise_levels
from cascade_engine.signal.units import unit_problem

#: Recordings shorter than this are of no use: a window of the network alone spans 64 frames.
MIN_FRAMES = 100

#: Frame rates (Hz) that a recording can have.
_PLAUSIBLE_RATES = (0.5, 2000.0)

#: A step between frames outside these multiples of the median step interrupts the recording.
_REGULAR_STEP = (0.5, 1.5)


@dataclass(frozen=True)
class Recording:
    """One segment of dF/F on a regular time base, with the spikes recorded during it.

    Attributes
    ----------
    name : str
        Where it comes from, e.g. ``"recording 2"`` or ``"recording 2, segment 1"``.
    time_s : array, shape (n_frames,), float64
        Time of each frame in s.
    dff : array, shape (n_frames,), float32
        dF/F as a fraction.
    spike_times_s : array, shape (n_spikes,), float64
        Sorted spike times in s, each within half a frame of the recording.
    number : int
        Which recording of the neuron's file it is from, counted from 1.
    first_frame : int
        Frame of that recording with which it begins, counted from 0.
    """

    name: str
    time_s: np.ndarray
    dff: np.ndarray
    spike_times_s: np.ndarray
    number: int = 1
    first_frame: int = 0

    @property
    def frame_rate(self) -> float:
        """Mean frame rate in Hz."""
        return (len(self.time_s) - 1) / (self.time_s[-1] - self.time_s[0])

    @property
    def duration_s(self) -> float:
        """Length in s, counting every frame."""
        return len(self.time_s) / self.frame_rate


@dataclass
class Neuron:
    """All recordings of one neuron, and what was found wrong with its file."""

    dataset: str
    cell: str
    recordings: list[Recording] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def n_spikes(self) -> int:
        """Spikes during its recordings."""
        return sum(len(recording.spike_times_s) for recording in self.recordings)

    @property
    def duration_s(self) -> float:
        """Length of all its recordings in s."""
        return sum(recording.duration_s for recording in self.recordings)


@dataclass
class Dataset:
    """The neurons of one folder of ground truth."""

    name: str
    neurons: list[Neuron]

    @property
    def recordings(self) -> list[Recording]:
        """The recordings of all neurons, in order."""
        return [recording for neuron in self.neurons for recording in neuron.recordings]


def clean_recordings(
    number: int, time_s: np.ndarray, dff: np.ndarray, spike_times_s: np.ndarray
) -> tuple[list[Recording], list[str]]:
    """Cut a raw recording into segments, saying what had to be left out.

    Missing samples, repeated or backward time stamps and gaps interrupt a recording; nothing is interpolated.

    Parameters
    ----------
    number : int
        Which recording of the neuron's file it is, counted from 1.
    time_s, dff : array, shape (n_frames,)
        Frame times in s and dF/F. A longer `dff` is cut to the time base.
    spike_times_s : array, shape (n_spikes,)
        Spike times in s, in any order; NaN is ignored.

    Returns
    -------
    recordings : list of Recording
        Segments of at least `MIN_FRAMES` frames.
    notes : list of str
        One line per defect.
    """
    name = f"recording {number}"
    notes: list[str] = []
    with np.errstate(invalid="ignore"):  # damaged numbers
        time_s, dff, spike_times_s = (np.asarray(x, dtype=np.float64).ravel() for x in (time_s, dff, spike_times_s))
    if len(dff) != len(time_s):
        notes.append(f"{name}: {len(dff)} samples of dF/F on {len(time_s)} frame times; the common start was used")
        n_frames = min(len(dff), len(time_s))
        time_s, dff = time_s[:n_frames], dff[:n_frames]

    present = np.isfinite(time_s) & np.isfinite(dff)
    if not present.all():
        notes.append(f"{name}: {np.count_nonzero(~present)} of {len(present)} frames without a value or time; left out")
    slices = _segment_slices(time_s, present)
    if len(slices) > 1 and present.all():
        notes.append(f"{name}: gaps or repeated time stamps; cut into {len(slices)} segments")

    n_unreadable = np.count_nonzero(~np.isfinite(spike_times_s))
    if n_unreadable:
        notes.append(f"{name}: {n_unreadable} spike times are not numbers; left out")
    spikes = np.sort(spike_times_s[np.isfinite(spike_times_s)])

    recordings, n_used = [], 0
    for which, segment in enumerate(slices, start=1):
        segment_name = f"{name}, segment {which}" if len(slices) > 1 else name
        n_frames = segment.stop - segment.start
        if n_frames < MIN_FRAMES:
            notes.append(f"{segment_name}: {n_frames} frames, fewer than {MIN_FRAMES}; left out")
            continue
        frames = time_s[segment]
        frame_rate = (n_frames - 1) / (frames[-1] - frames[0])
        half_step = 0.5 / frame_rate
        if _PLAUSIBLE_RATES[0] <= frame_rate <= _PLAUSIBLE_RATES[1]:
            problem = unit_problem(np.median(dff[segment]), noise_levels(dff[np.newaxis, segment], frame_rate)[0])
        else:
            problem = f"a frame rate of {frame_rate:.3g} Hz: time must be in s"
        if problem:
            notes.append(f"{segment_name}: {problem}; left out")
            continue
        inside = spikes[(spikes >= frames[0] - half_step) & (spikes < frames[-1] + half_step)]
        n_used += len(inside)
        trace = dff[segment].astype(np.float32)
        recordings.append(Recording(segment_name, frames, trace, inside, number, segment.start))
    if recordings and n_used < len(spikes):
        notes.append(f"{name}: {len(spikes) - n_used} of {len(spikes)} spikes outside the imaged time; left out")
    return recordings, notes


def _segment_slices(time_s: np.ndarray, present: np.ndarray) -> list[slice]:
    """Slices of consecutive present frames with regular steps between them."""
    if not present.any():
        return []
    steps = np.diff(time_s)
    usable = present[1:] & present[:-1]
    median_step = np.median(steps[usable & (steps > 0)]) if np.any(usable & (steps > 0)) else np.nan
    with np.errstate(invalid="ignore"):
        joined = usable & (steps > _REGULAR_STEP[0] * median_step) & (steps < _REGULAR_STEP[1] * median_step)
    starts = np.flatnonzero(present & ~np.concatenate([[False], joined]))
    stops = np.flatnonzero(present & ~np.concatenate([joined, [False]])) + 1
    return [slice(int(start), int(stop)) for start, stop in zip(starts, stops, strict=True)]
