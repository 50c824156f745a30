"""dF/F from raw fluorescence: neuropil, baseline, guarded division.

``corrected = F - r * (Fneu - kept * median(Fneu))``, where ``kept`` is the part of the neuropil's level that stays in
F, and so in F0: all of it, half, or none (the usual ``F - r * Fneu``). ``dF/F = (corrected - F0) / max(F0, noise)``,
where the noise is the standard deviation of the frame-to-frame noise (above 30 frames per second: of their mean over
1/30 s), so that dF/F neither explodes nor changes its sign where F0 is near or below zero. Frames in which the noise
replaces F0 are counted, and a neuron for which these are most frames has no dF/F. Where a pipeline has taken the
background out of F, as CaImAn does, F0 of F is subtracted and F0 of F plus background is the divisor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cascade_engine.declared import check_limits, checked_number, declared
from cascade_engine.errors import InputError
from cascade_engine.signal.masked import unmasked
from cascade_engine.signal.noise import MEDIAN_ABS_DIFFERENCE, as_frame_rate, as_traces
from cascade_engine.signal.segments import segment_slices

METHODS = ("percentile", "maximin", "constant")

#: Part of the neuropil's median that stays in F0, by what is subtracted of the neuropil.
NEUROPIL_KEPT = {"changes": 1.0, "half": 0.5, "full": 0.0}

#: F is averaged in bins of this length (s) before its percentile is taken, so that noise lowers F0 less.
_BIN_S = 0.25

#: The distance of a percentile of noise from its mean is computed for percentiles between these.
_CORRECTED_PERCENTILES = (1.0, 99.0)

#: Below the first and beyond the last F0 would follow the events themselves.
_SHORTEST_WINDOW_S, _LONGEST_WINDOW_S, _HIGHEST_PERCENTILE = 2.0, 3600.0, 90.0

#: Parts of the neuropil that can be subtracted, and how they are written.
NEUROPIL_LIMITS, NEUROPIL_HINT = (0.0, 2.0), "0.7 is 70 %"

#: F0 is compared with the noise of a mean over this time (s), or of a single frame if that takes longer: otherwise the
#: noise of single frames would hide F0 in every fast recording.
_GUARD_S = 1 / 30

#: Why a neuron has no dF/F where F0 is guarded in more than this part of its frames.
_MOST_FRAMES = 0.5
WITHIN_NOISE = "F0 lies within the noise in most frames, so that there is no dF/F"

#: Width (s, standard deviation) of the smoothing before the minimum and maximum filters.
_MAXIMIN_SMOOTHING_S = 0.33


@dataclass(frozen=True)
class Baseline:
    """How F0 is found, and what of the neuropil stays in it.

    Attributes
    ----------
    method : {"percentile", "maximin", "constant"}
        A rolling percentile; the maximum of a rolling minimum of the smoothed trace (the baseline that suite2p takes
        for deconvolution); or one percentile of each whole segment.
    window_s : float
        Length of the rolling window in s.
    percentile : float
        Percentile for "percentile" and "constant"; corrected for how far noise alone pulls it below the mean.
    neuropil : {"changes", "half", "full"}
        What is subtracted of the neuropil: its changes alone, so that its level stays in F0; these and half of its
        level; or all, as in the usual ``F - r * Fneu``. The more stays in F0, the smaller dF/F, above all of dim cells.
    """

    method: str = declared("percentile", help="How F0 is found.", choices=METHODS, options=("--baseline",))
    window_s: float = declared(
        60.0,
        help="Window of the baseline in seconds.",
        unit="s",
        metavar="S",
        options=("--baseline-window",),
        limits=(_SHORTEST_WINDOW_S, _LONGEST_WINDOW_S),
        hint="60 is a minute; for one F0 throughout choose the baseline 'constant'",
    )
    percentile: float = declared(
        15.0,
        help="Percentile of the baseline.",
        unit="%",
        metavar="P",
        options=("--baseline-percentile",),
        limits=(0.0, _HIGHEST_PERCENTILE),
        hint="15 is the default",
    )
    neuropil: str = declared(
        "changes",
        help="What to subtract of the neuropil: its changes, these and half of its level, or all (F - r Fneu).",
        choices=tuple(NEUROPIL_KEPT),
    )

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"the baseline method must be one of {', '.join(METHODS)}, but it is {self.method!r}")
        check_limits(self)
        if 0 < self.percentile < 1:
            raise InputError(
                f"baseline_percentile is given in percent, 0 or 1 to {_HIGHEST_PERCENTILE:g}, but it is "
                f"{self.percentile!r}: {100 * self.percentile:g}, if that was meant"
            )
        if self.neuropil not in NEUROPIL_KEPT:
            raise InputError(f"neuropil must be one of {', '.join(NEUROPIL_KEPT)}, but it is {self.neuropil!r}")


@dataclass
class DeltaF:
    """dF/F and how it came about.

    Attributes
    ----------
    dff : array, shape (n_neurons, n_frames), float32
        dF/F as a fraction; NaN where F or Fneu is missing, and for neurons without a baseline to divide by.
    f0 : array, shape (n_neurons, n_frames), float32
        Baseline to divide by, in the unit of F.
    guarded_frames : array, shape (n_neurons,), int
        Frames in which F0 lay below the noise and was replaced by it as the denominator.
    noise_factor : array, shape (n_neurons,), float64
        What the noise level is to be multiplied with to compare it with that of other dF/F: had all of the neuropil
        been subtracted (F - r Fneu), F0 would be smaller, and the noise level greater, by this factor. 1 where F0 would
        lie below the noise, so that there is nothing to compare with.
    notes : list of str
        Per neuron: why it has no dF/F, or an empty string.
    """

    dff: np.ndarray
    f0: np.ndarray
    guarded_frames: np.ndarray
    noise_factor: np.ndarray
    notes: list[str]


def delta_f_over_f(
    fluorescence: np.ndarray,
    frame_rate: float,
    neuropil: np.ndarray | None = None,
    neuropil_coefficient: float = 0.7,
    baseline: Baseline | None = None,
    segments: Sequence[int] | None = None,
    background: np.ndarray | None = None,
) -> DeltaF:
    """Compute dF/F.

    Parameters
    ----------
    fluorescence : array, shape (n_neurons, n_frames)
        Raw fluorescence F, in arbitrary units; NaN, or masked, where missing.
    frame_rate : float
        Frame rate in Hz.
    neuropil : array, shape (n_neurons, n_frames), optional
        Fluorescence Fneu of the surroundings, in the same unit.
    neuropil_coefficient : float
        Fraction r of Fneu that is subtracted.
    baseline : Baseline, optional
        How to find F0. Default: the 15th percentile in a rolling window of 60 s, the neuropil's level kept in it.
    segments : sequence of int, optional
        Frames of each segment; no baseline reaches from one segment into the next.
    background : array, shape (n_neurons, n_frames), optional
        Fluorescence at each neuron's place that F does not hold, in the same unit; it counts only in the divisor.

    Returns
    -------
    DeltaF
        dF/F, F0, and what was guarded or could not be computed.

    Raises
    ------
    InputError
        If the arrays do not fit together.
    """
    fluorescence, frame_rate, baseline = as_traces(fluorescence), as_frame_rate(frame_rate), baseline or Baseline()
    neuropil, background = (None if other is None else unmasked(other) for other in (neuropil, background))
    checked_number("neuropil_coefficient", neuropil_coefficient, NEUROPIL_LIMITS, hint=NEUROPIL_HINT)
    _refuse_other_shape(fluorescence, "neuropil", neuropil)
    _refuse_other_shape(fluorescence, "background", background)
    n_neurons, n_frames = fluorescence.shape
    slices = segment_slices(n_frames, segments)
    dff = np.full((n_neurons, n_frames), np.nan, dtype=np.float32)
    f0 = np.full((n_neurons, n_frames), np.nan, dtype=np.float32)
    guarded, noise_factor, notes = np.zeros(n_neurons, dtype=int), np.ones(n_neurons), [""] * n_neurons
    for i in range(n_neurons):
        trace, kept, notes[i] = _corrected(fluorescence, neuropil, i, neuropil_coefficient, baseline)
        if background is not None and not notes[i]:
            notes[i] = _reason_to_mistrust(background[i], "the background")
        if notes[i]:
            continue
        noise_sd = _noise_sd(trace, slices)
        noise = noise_sd * min(1.0, (_GUARD_S * frame_rate) ** -0.5)
        f0[i] = resting = _segment_baselines(trace, slices, frame_rate, baseline, noise_sd)
        if background is not None:
            f0[i] = _segment_baselines(trace + background[i], slices, frame_rate, baseline)
        denominator = np.maximum(f0[i], noise)
        if not np.nanmax(denominator) > 0:
            notes[i] = "F0 is not above zero and there is no noise to divide by"
            continue
        present = np.isfinite(trace)
        guarded[i] = np.count_nonzero((f0[i] < noise) & present)
        if guarded[i] > _MOST_FRAMES * np.count_nonzero(present):
            notes[i] = WITHIN_NOISE
            continue
        denominator[denominator <= 0] = np.nan
        dff[i] = (trace - resting) / denominator
        middle = np.nanmedian(f0[i])
        usual = middle - kept
        if usual > noise:
            is_same = np.array_equal(denominator, f0[i], equal_nan=True)
            noise_factor[i] = (middle if is_same else np.nanmedian(denominator)) / usual
    return DeltaF(dff, f0, guarded, noise_factor, notes)


def less_baseline(
    traces: np.ndarray,
    frame_rate: float,
    neuropil: np.ndarray | None = None,
    neuropil_coefficient: float = 0.7,
    baseline: Baseline | None = None,
    segments: Sequence[int] | None = None,
) -> tuple[np.ndarray, list[str]]:
    """Traces less neuropil and baseline, divided by nothing: for traces that have no F0 to divide by.

    Parameters
    ----------
    traces : array, shape (n_neurons, n_frames)
        In any unit; NaN where missing.
    frame_rate : float
        Frame rate in Hz.
    neuropil, neuropil_coefficient, baseline, segments
        As of `delta_f_over_f`.

    Returns
    -------
    detrended : array, shape (n_neurons, n_frames), float32
        In the unit of the traces; NaN for neurons that cannot be used.
    notes : list of str
        Per neuron: why it cannot be used, or an empty string.

    Raises
    ------
    InputError
        If the arrays do not fit together.
    """
    traces, frame_rate, baseline = as_traces(traces), as_frame_rate(frame_rate), baseline or Baseline()
    _refuse_other_shape(traces, "neuropil", neuropil)
    slices = segment_slices(traces.shape[1], segments)
    detrended, notes = np.full(traces.shape, np.nan, dtype=np.float32), []
    for i in range(len(traces)):
        trace, _, note = _corrected(traces, neuropil, i, neuropil_coefficient, baseline)
        if not note:
            detrended[i] = trace - _segment_baselines(trace, slices, frame_rate, baseline)
        notes.append(note)
    return detrended, notes


def _refuse_other_shape(fluorescence: np.ndarray, name: str, other: np.ndarray | None) -> None:
    if other is not None and np.shape(other) != fluorescence.shape:
        raise InputError(
            f"fluorescence has the shape {fluorescence.shape}, but the {name}'s is {np.shape(other)}: "
            "they must be the same"
        )


def _corrected(
    fluorescence: np.ndarray, neuropil: np.ndarray | None, i: int, coefficient: float, baseline: Baseline
) -> tuple[np.ndarray, np.float32, str]:
    """F of one neuron less its neuropil, what of the neuropil's level stays in it, and why it cannot be used."""
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is reported
        trace = fluorescence[i].astype(np.float32)
    kept, note = np.float32(0.0), _reason_without_baseline(trace, "F")
    if neuropil is not None and coefficient != 0 and not note:
        with np.errstate(over="ignore"):
            surround = np.asarray(neuropil[i], dtype=np.float32)
        note = _reason_to_mistrust(surround, "Fneu")
        if not note:
            kept = np.float32(coefficient * NEUROPIL_KEPT[baseline.neuropil]) * np.nanmedian(surround)
            trace = trace - np.float32(coefficient) * surround + kept
            note = _reason_without_baseline(trace, "F less neuropil")
    return trace, kept, note


def _reason_to_mistrust(trace: np.ndarray, name: str) -> str:
    finite = np.isfinite(trace)
    if not finite.any():
        return f"{name} has no finite value"
    if np.isinf(trace).any():
        return f"{name} holds infinite values"
    return ""


def _reason_without_baseline(trace: np.ndarray, name: str) -> str:
    reason = _reason_to_mistrust(trace, name)
    if not reason and not np.nan_to_num(trace).any():
        reason = f"{name} is zero throughout"
    return reason


def _noise_sd(trace: np.ndarray, slices: Sequence[slice]) -> float:
    """Standard deviation of white noise with the same frame-to-frame differences."""
    steps = np.concatenate([np.abs(np.diff(trace[segment])) for segment in slices])
    steps = steps[np.isfinite(steps)]
    return float(np.median(steps)) / MEDIAN_ABS_DIFFERENCE if steps.size else 0.0


def _segment_baselines(
    trace: np.ndarray, slices: Sequence[slice], frame_rate: float, baseline: Baseline, noise_sd: float | None = None
) -> np.ndarray:
    """F0 of all segments; `noise_sd` is that of the whole trace, if it is known."""
    f0 = np.full(trace.shape, np.nan, dtype=np.float32)
    for segment in slices:
        own = noise_sd if noise_sd is not None and len(slices) == 1 else _noise_sd(trace, [segment])
        f0[segment] = _baseline(trace[segment], frame_rate, baseline, own)
    return f0


def _baseline(trace: np.ndarray, frame_rate: float, baseline: Baseline, noise_sd: float) -> np.ndarray:
    """F0 of one segment."""
    from scipy.ndimage import gaussian_filter1d, maximum_filter1d, minimum_filter1d, percentile_filter
    from scipy.special import ndtri

    present = np.isfinite(trace)
    if not present.any():
        return np.full(trace.shape, np.nan, dtype=np.float32)
    if not present.all():
        frames = np.arange(len(trace))
        trace = np.interp(frames, frames[present], trace[present]).astype(np.float32)
    if baseline.method == "maximin":
        window = _odd(min(baseline.window_s * frame_rate, 2 * len(trace)))
        smooth = gaussian_filter1d(trace, _MAXIMIN_SMOOTHING_S * frame_rate)
        return maximum_filter1d(minimum_filter1d(smooth, window), window)

    per_bin = max(1, min(round(_BIN_S * frame_rate), len(trace)))
    edges = np.arange(0, len(trace) - per_bin + 1, per_bin)
    binned = trace[: len(edges) * per_bin].reshape(-1, per_bin).mean(axis=1)
    window = _odd(min(baseline.window_s * frame_rate / per_bin, len(binned)))
    # a low percentile of noise lies below its mean; without this, noise alone would look like activity
    sag = ndtri(np.clip(baseline.percentile, *_CORRECTED_PERCENTILES) / 100) * noise_sd / np.sqrt(per_bin)
    if baseline.method == "constant" or window >= len(binned):
        return np.full(trace.shape, np.percentile(binned, baseline.percentile) - sag, dtype=np.float32)
    rolling = percentile_filter(binned, baseline.percentile, size=window, mode="reflect")
    centres = edges + 0.5 * (per_bin - 1)
    return np.interp(np.arange(len(trace)), centres, rolling - sag).astype(np.float32)


def _odd(length: float) -> int:
    """The odd whole number next to a length, at least 1."""
    return max(1, 2 * int(length // 2) + 1)
