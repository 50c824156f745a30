"""Discrete spikes from the results that a container holds, written back to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import numpy as np

from cascade_adapters.containers.base import Container, Results, Spikes
from cascade_engine._version import __version__
from cascade_engine.discrete import TRUSTED_NOISE_LEVEL, DiscreteSpikes, infer_discrete_spikes
from cascade_engine.errors import InputError


@dataclass
class SpikeReport:
    """What came out for one recording.

    Attributes
    ----------
    path, kind : str
        Where it lies, and what it is.
    status : {"done", "failed"}
        How it ended.
    message : str
        Why it failed.
    n_spikes, n_rois, n_active : int
        Spikes, ROIs, and ROIs with at least one spike.
    median_rate_hz : float or None
        Median firing rate of the ROIs that have a prediction.
    smoothing_s : float
        Width of the kernel that the spikes were found with.
    warnings : list of str
        What is doubtful.
    written : list of str
        Files or datasets.
    """

    path: str
    kind: str
    status: str = "done"
    message: str = ""
    n_spikes: int = 0
    n_rois: int = 0
    n_active: int = 0
    median_rate_hz: float | None = None
    smoothing_s: float = 0.0
    warnings: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)


def add_spikes(container: Container, n_threads: int | None = None) -> SpikeReport:
    """Find the most likely spikes behind the results of 'cascade run', and write them beside these.

    Parameters
    ----------
    container : Container
        A recording with results.
    n_threads : int, optional
        Threads.

    Returns
    -------
    SpikeReport
        With a warning if single spikes are not to be trusted.

    Raises
    ------
    CascadeError
        If there are no results, or only stale ones; the container is then as it was.
    """
    results = container.load_results()
    if results is None:
        raise InputError(f"{container.path} has no results to find spikes in: use 'cascade run' first")
    if container.is_stale():
        raise InputError(
            f"the results of {container.path} are stale, the traces have changed since: use 'cascade run --existing "
            "overwrite' first"
        )
    frame_rate, smoothing, kernel, segments = _how_they_were_made(container, results)
    found = infer_discrete_spikes(
        results.spike_prob,
        frame_rate,
        smoothing,
        kernel,
        segments=segments,
        n_threads=n_threads,
    )
    warning = trust_warning(results.noise_levels, results.spike_prob)
    rates = found.n_spikes / found.n_frames * frame_rate
    predicted = np.array([not note for note in found.notes], dtype=bool)
    report = SpikeReport(
        path=str(container.path),
        kind=container.kind,
        n_spikes=int(found.n_spikes.sum()),
        n_rois=len(found.frames),
        n_active=int(np.count_nonzero(found.n_spikes)),
        median_rate_hz=float(np.median(rates[predicted])) if predicted.any() else None,
        smoothing_s=found.smoothing,
        warnings=[warning] if warning else [],
    )
    report.written = container.add_spikes(results, _as_spikes(found), _record(found, report))
    return report


def trust_warning(noise_levels: np.ndarray, spike_prob: np.ndarray) -> str:
    """Why single spikes are not to be trusted; empty if nothing speaks against it.

    Parameters
    ----------
    noise_levels : array, shape (n_rois,)
        In percent per sqrt(Hz); NaN where there is none.
    spike_prob : array, shape (n_rois, n_frames)
        Expected spikes per frame: ROIs without any do not count.

    Returns
    -------
    str
        How many ROIs are too noisy, and what to use instead.
    """
    levels = np.asarray(noise_levels)[~np.isnan(spike_prob).all(axis=1)]
    levels = levels[np.isfinite(levels)]
    noisy = np.count_nonzero(levels > TRUSTED_NOISE_LEVEL)
    if not noisy:
        return ""
    return (
        f"{noisy} of {len(levels)} ROIs have a noise level above {TRUSTED_NOISE_LEVEL:g} % per sqrt(Hz) (median of all "
        f"{np.median(levels):.1f}): do not trust their single spikes, use the spike probability instead"
    )


def _how_they_were_made(container: Container, results: Results) -> tuple[float, float, str, list[int] | None]:
    """Frame rate (Hz), smoothing (s), kernel and sessions, as the record of the results says."""
    try:
        recording, model = results.provenance["recording"], results.provenance["model"]
        segments = recording.get("frames_per_session")
        return float(recording["frame_rate_hz"]), float(model["smoothing_s"]), str(model["kernel"]), segments
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(
            f"the record of the results of {container.path} does not say how they were smoothed: use 'cascade run "
            "--existing overwrite' first"
        ) from None


def _as_spikes(found: DiscreteSpikes) -> Spikes:
    n_rois = len(found.frames)
    return Spikes(
        roi=np.repeat(np.arange(n_rois), found.n_spikes),
        frame=np.concatenate([*found.frames, np.empty(0, dtype=np.int64)]),
        time_s=np.concatenate([*found.times_s, np.empty(0)]),
        confidence=np.concatenate([*found.confidence, np.empty(0)]),
    )


def _record(found: DiscreteSpikes, report: SpikeReport) -> dict[str, Any]:
    return {
        "what": "the spikes whose kernels add up to what is nearest to spike_prob",
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cascade-spikes": __version__,
        "smoothing_s": found.smoothing,
        "kernel": found.kernel,
        "n_spikes": report.n_spikes,
        "without_spikes": {str(roi): note for roi, note in enumerate(found.notes) if note},
        "warnings": report.warnings,
    }
