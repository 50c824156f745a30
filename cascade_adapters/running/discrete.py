"""Discrete spikes from the results that a container holds, written back to them."""

from __future__ import annotations

import numpy as np

from cascade_adapters.containers.base import Container
from cascade_adapters.results import Spikes
from cascade_adapters.results.record import NOT_A_CELL, SpikesFound, now
from cascade_adapters.results.rows import row_blocks
from cascade_adapters.running.report import Report
from cascade_engine._version import __version__
from cascade_engine.discrete import TRUSTED_NOISE_LEVEL, DiscreteSpikes, infer_discrete_spikes
from cascade_engine.errors import InputError
from cascade_engine.signal.grid import FrameGrid
from cascade_engine.signal.units import ARBITRARY_UNITS, DENOISED


def add_spikes(container: Container, n_threads: int | None = None) -> Report:
    """Find the most likely spikes behind the results of 'cascade run', and write them beside these.

    Parameters
    ----------
    container : Container
        A recording with results.
    n_threads : int, optional
        Threads.

    Returns
    -------
    Report
        With a warning if single spikes are not to be trusted.

    Raises
    ------
    CascadeError
        If there are no results, or only stale ones; the container is then as it was.
    """
    results = container.results()
    if results is None:
        raise InputError(f"{container.path} has no results to find spikes in: use 'cascade run' first")
    if changes := "; ".join(container.changes()):
        raise InputError(
            f"the results of {container.path} are stale: {changes}; use 'cascade run --existing overwrite' first"
        )
    recording, settings = results.record.recording, results.record.settings
    n_rois, n_frames = results.shape
    grid = recording.grid
    found, predicted = [], []
    for rows in row_blocks(n_rois, grid.n_frames):
        spike_prob = np.asarray(results.spike_prob[rows])
        predicted.append(~np.isnan(spike_prob).all(axis=1))
        found.append(
            infer_discrete_spikes(
                grid.expand(spike_prob),
                recording.frame_rate_hz,
                settings.smoothing,
                settings.kernel or "gaussian",
                segments=grid.segments,
                n_threads=n_threads,
            )
        )
    has_prediction = np.concatenate(predicted) if predicted else np.empty(0, dtype=bool)
    spikes, n_spikes = (
        _as_spikes(found, grid),
        np.concatenate([np.empty(0, dtype=int), *(each.n_spikes for each in found)]),
    )
    comparable = results.record.rois.comparable_noise_levels
    levels = np.array(comparable, dtype=float) if comparable else np.asarray(results.noise_levels[:])
    traces = results.record.traces
    warnings = [
        *([ARBITRARY_UNITS] if traces.arbitrary_units else []),
        *([DENOISED] if traces.denoised else []),
        *filter(None, [trust_warning(levels, has_prediction)]),
    ]
    rates = n_spikes / n_frames * recording.frame_rate_hz  # no spikes are looked for in frames that were dropped
    notes = [note for each in found for note in each.notes]
    facts = SpikesFound(
        created=now(),
        version=__version__,
        smoothing_s=float(settings.smoothing or 0.0),
        kernel=settings.kernel or "gaussian",
        n_spikes=int(n_spikes.sum()),
        without_spikes={roi: note for roi, note in enumerate(notes) if note},
        warnings=warnings,
    )
    return Report(
        path=str(container.path),
        kind=container.kind,
        traces=traces.source,
        dff=traces.dff,
        n_rois=n_rois,
        n_frames=n_frames,
        frame_rate_hz=recording.frame_rate_hz,
        frame_rate_source=recording.frame_rate_source,
        duration_s=grid.n_frames / recording.frame_rate_hz,
        neuropil_coefficient=traces.neuropil_coefficient,
        neuropil=None if traces.neuropil_coefficient is None else (traces.baseline or {}).get("neuropil"),
        offset=traces.offset,
        segments=recording.segments,
        excluded_frames=recording.excluded_frames,
        n_dropped=sum(max(count, 0) for count in recording.dropped_frames.values()),
        container_indicator=recording.indicator,
        without_prediction={
            roi: note for roi, note in results.record.rois.without_prediction.items() if note != NOT_A_CELL
        },
        n_left_out=sum(note == NOT_A_CELL for note in results.record.rois.without_prediction.values()),
        guarded_frames=results.record.rois.guarded_frames,
        rest_offsets=results.record.rois.rest_offsets,
        arbitrary_units=traces.arbitrary_units,
        denoised=traces.denoised,
        model=results.record.model.name,
        asked_for=results.record.model.asked_for,
        settings=settings.to_dict(),
        defaults=results.record.defaults,
        n_spikes=facts.n_spikes,
        n_active=int(np.count_nonzero(n_spikes)),
        median_rate_hz=float(np.median(rates[has_prediction])) if has_prediction.any() else None,
        warnings=list(facts.warnings),
        written=container.add_spikes(results, spikes, facts),
    )


def trust_warning(noise_levels: np.ndarray, has_prediction: np.ndarray) -> str:
    """Why single spikes are not to be trusted; empty if nothing speaks against it.

    Parameters
    ----------
    noise_levels : array, shape (n_rois,)
        In percent per sqrt(Hz); NaN where there is none.
    has_prediction : array of bool, shape (n_rois,)
        ROIs that count.

    Returns
    -------
    str
        How many ROIs are too noisy, and what to use instead.
    """
    levels = np.asarray(noise_levels)[has_prediction]
    levels = levels[np.isfinite(levels)]
    noisy = np.count_nonzero(levels > TRUSTED_NOISE_LEVEL)
    if not noisy:
        return ""
    return (
        f"{noisy} of {len(levels)} ROIs have a noise level above {TRUSTED_NOISE_LEVEL:g} % per sqrt(Hz) (median of all "
        f"{np.median(levels):.1f}): do not trust their single spikes, use the spike probability instead"
    )


def _as_spikes(found: list[DiscreteSpikes], grid: FrameGrid) -> Spikes:
    n_spikes = np.concatenate([np.empty(0, dtype=np.int64), *(block.n_spikes for block in found)])
    return Spikes(
        roi=np.repeat(np.arange(len(n_spikes)), n_spikes),
        frame=grid.stored(
            np.concatenate([np.empty(0, np.int64), *(frames for block in found for frames in block.frames)])
        ),
        time_s=np.concatenate([np.empty(0), *(times for block in found for times in block.times_s)]),
        confidence=np.concatenate([np.empty(0), *(values for block in found for values in block.confidence)]),
    )
