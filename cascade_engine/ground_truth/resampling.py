"""Resampling ground truth to a frame rate, and adding noise up to a noise level."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from cascade_engine.ground_truth.records import Recording
from cascade_engine.signal.noise import noise_level_to_sd, noise_levels

#: Recordings whose frame rate differs from the wanted one by no more than this fraction are used as they are.
RATE_TOLERANCE = 0.05


@dataclass(frozen=True)
class Resampled:
    """A recording at (nearly) the wanted frame rate.

    Attributes
    ----------
    dff : array, shape (n_frames,), float32
        dF/F as a fraction.
    counts : array, shape (n_frames,), float32
        Spikes per frame, counted in bins of one frame centred on the frame times.
    frame_rate : float
        Its exact frame rate in Hz.
    noise_level : float
        Its noise level in percent per sqrt(Hz).
    """

    dff: np.ndarray
    counts: np.ndarray
    frame_rate: float
    noise_level: float


def resample(recording: Recording, frame_rate: float) -> Resampled:
    """Resample a recording to a frame rate, counting its spikes on the new frames.

    A recording within 5 % of the rate is left as it is. Otherwise dF/F goes through a polyphase low-pass filter
    (`scipy.signal.resample_poly`), mirrored at the ends so that neither end leaks into the other. The ratio of rates is
    a fraction; frame times follow it exactly, so that spikes and frames never drift apart.

    Parameters
    ----------
    recording : Recording
        Ground truth at its native rate.
    frame_rate : float
        Wanted rate in Hz.

    Returns
    -------
    Resampled
        At a rate within 0.3 % of the wanted one, or the native one if that is within 5 %.
    """
    native_rate = recording.frame_rate
    dff, rate = recording.dff, native_rate
    if abs(native_rate / frame_rate - 1.0) > RATE_TOLERANCE:
        ratio = Fraction(frame_rate / native_rate).limit_denominator(500)
        dff = _resample_mirrored(recording.dff.astype(np.float64), ratio)
        rate = native_rate * float(ratio)
    counts = count_spikes(recording.spike_times_s, recording.time_s[0], rate, len(dff))
    level = float(noise_levels(dff[np.newaxis], rate)[0])
    return Resampled(dff.astype(np.float32), counts, rate, level)


def _resample_mirrored(dff: np.ndarray, ratio: Fraction) -> np.ndarray:
    """Resample between mirrored copies of the ends, then cut these off again."""
    from scipy.signal import resample_poly

    up, down = ratio.numerator, ratio.denominator
    # whole periods of the fraction, so that the first frame stays where it was; as long as the filter reaches
    n_pad = down * int(np.ceil(10 * max(up, down) / up / down))
    n_pad = min(n_pad, (len(dff) - 1) // down * down)
    padded = np.pad(dff, n_pad, mode="reflect")
    n_frames = int((len(dff) - 1) * up // down) + 1
    start = n_pad * up // down
    return resample_poly(padded, up, down, padtype="line")[start : start + n_frames]


def count_spikes(spike_times_s: np.ndarray, start_s: float, frame_rate: float, n_frames: int) -> np.ndarray:
    """Spikes per frame, in bins of one frame centred on the frame times.

    Parameters
    ----------
    spike_times_s : array, shape (n_spikes,)
        Spike times in s.
    start_s : float
        Time of the first frame in s.
    frame_rate : float
        Frame rate in Hz.
    n_frames : int
        Frames.

    Returns
    -------
    array, shape (n_frames,), float32
        Counts; spikes outside the frames are left out.
    """
    frames = np.floor((np.asarray(spike_times_s) - start_s) * frame_rate + 0.5).astype(int)
    inside = frames[(frames >= 0) & (frames < n_frames)]
    return np.bincount(inside, minlength=n_frames).astype(np.float32)


def noise_to_add(resampled: Resampled, noise_level: float) -> float | None:
    """Standard deviation (dF/F per frame) of the noise that raises a recording to a noise level.

    None if the recording is noisier already.
    """
    if not np.isfinite(resampled.noise_level) or resampled.noise_level > noise_level:
        return None
    missing = np.sqrt(noise_level**2 - resampled.noise_level**2)
    return float(noise_level_to_sd(missing, resampled.frame_rate))


def shot_noise_profile(dff: np.ndarray) -> np.ndarray:
    """How noise varies within a trace: the square root of brightness, 1 at the median frame."""
    profile = np.sqrt(np.abs(1.0 + dff))
    return (profile / np.median(profile)).astype(np.float32)


def add_noise(resampled: Resampled, noise_level: float, rng: np.random.Generator) -> np.ndarray | None:
    """dF/F of a recording brought to a noise level with shot noise.

    Parameters
    ----------
    resampled : Resampled
        Recording at the wanted frame rate.
    noise_level : float
        Wanted noise level in percent per sqrt(Hz).
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    array, shape (n_frames,), float32, or None
        None if the recording is noisier already.
    """
    sd = noise_to_add(resampled, noise_level)
    if sd is None:
        return None
    noise = rng.standard_normal(len(resampled.dff), dtype=np.float32)
    return resampled.dff + np.float32(sd) * shot_noise_profile(resampled.dff) * noise
