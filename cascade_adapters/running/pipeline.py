"""The main job on one recording: read, dF/F, predict, write back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cascade_adapters.containers.base import Container, Results, Traces
from cascade_adapters.running.options import Options
from cascade_adapters.running.record import describe_run
from cascade_adapters.running.report import Report
from cascade_engine.checks import doubts, unit_problem
from cascade_engine.errors import InputError
from cascade_engine.evaluation.expectation import expected_figures
from cascade_engine.inference import Inference, infer
from cascade_engine.networks.store import Model, load_model
from cascade_engine.networks.universal.architecture import UNKNOWN, indicator_family
from cascade_engine.signal.dff import Baseline, delta_f_over_f
from cascade_engine.signal.noise import noise_levels

#: Values of raw fluorescence that are turned into dF/F at a time.
_BLOCK_VALUES = 16_000_000


def process(container: Container, options: Options, dry_run: bool = False) -> Report:
    """Infer spikes in one recording and write them back.

    Parameters
    ----------
    container : Container
        The recording.
    options : Options
        What the user chose.
    dry_run : bool
        Read and check everything, compute dF/F and noise levels, but predict and write nothing.

    Returns
    -------
    Report
        With status "done", "skipped" or "planned".

    Raises
    ------
    CascadeError
        If it cannot be done; the container is then as it was.
    """
    model = load_model(options.model)
    report = Report(str(container.path), container.kind, model=model.name)
    if container.results() is not None and options.existing != "overwrite":
        stale = "; they are stale: the traces have changed since" if container.is_stale() else ""
        if options.existing == "error":
            raise InputError(f"{container.path} has results already{stale}: pass --existing overwrite or skip")
        report.status, report.message = "skipped", f"results are there already{stale}"
        return report

    if options.replace_spikes:
        container.check_replaceable()
    traces = container.read(options.reading)
    fingerprint = container.fingerprint()
    chosen = _chosen_rois(container, traces, options)
    try:
        ready = dff_of(traces, options.baseline, chosen)
    except InputError as error:
        raise InputError(f"{container.path}: {error}") from None
    report.n_rois, report.n_frames = traces.shape
    report.frame_rate, report.traces = traces.frame_rate, traces.source
    report.warnings += traces.remarks
    report.guarded = int(np.count_nonzero(ready.guarded_frames))
    if dry_run:
        levels = noise_levels(ready.dff, traces.frame_rate, traces.segments)
        report.status, report.noise_level = "planned", _median(levels)
        report.expected = _expected(model, report, options.smoothing)
        report.warnings += doubts(model.config, traces.frame_rate, levels, np.isfinite(levels), model.noise_levels)
        return report

    inference = infer(
        ready.dff,
        traces.frame_rate,
        model,
        smoothing=options.smoothing,
        kernel=options.kernel,
        population=options.population,
        indicator=_indicator(options, traces, model),
        noise_level=options.noise_level,
        segments=traces.segments,
        threshold=options.threshold,
        check_units=False,  # computed here, or checked already
        n_threads=options.n_threads,
        progress=options.progress,
    )
    notes = _notes(ready, inference)
    report.indicator = inference.indicator
    report.noise_level = _median(inference.noise_levels)
    report.expected = _expected(model, report, inference.smoothing)
    report.warnings += inference.warnings
    report.without_prediction = {str(roi): note for roi, note in enumerate(notes) if note and chosen[roi]}
    results = Results(
        spike_prob=inference.spike_prob,
        dff=ready.dff,
        noise_levels=inference.noise_levels.astype(np.float32),
        provenance=describe_run(traces, options, ready.guarded_frames, inference, notes, report.warnings, fingerprint),
    )
    report.written = container.write(results, options.replace_spikes)
    return report


@dataclass
class ReadyTraces:
    """dF/F of all ROIs, ready for inference.

    Attributes
    ----------
    dff : array, shape (n_rois, n_frames), float32
        dF/F as a fraction; NaN for ROIs that were not chosen.
    guarded_frames : array, shape (n_rois,), int
        Frames in which F0 lay below the noise.
    notes : list of str
        Per ROI: why it has no dF/F, or an empty string.
    """

    dff: np.ndarray
    guarded_frames: np.ndarray
    notes: list[str]


def dff_of(traces: Traces, baseline: Baseline | None = None, chosen: np.ndarray | None = None) -> ReadyTraces:
    """dF/F of traces: the container's, checked, or computed, a block of ROIs at a time.

    Parameters
    ----------
    traces : Traces
        Traces as read.
    baseline : Baseline, optional
        How to find F0.
    chosen : array of bool, shape (n_rois,), optional
        ROIs to use; default: all.

    Returns
    -------
    ReadyTraces
        For all ROIs.

    Raises
    ------
    InputError
        If the container's dF/F is none, or is in percent.
    """
    n_rois, n_frames = traces.shape
    chosen = np.ones(n_rois, dtype=bool) if chosen is None else chosen
    ready = ReadyTraces(
        dff=np.full((n_rois, n_frames), np.nan, dtype=np.float32),
        guarded_frames=np.zeros(n_rois, dtype=int),
        notes=["" if wanted else "not a cell" for wanted in chosen],
    )
    rows_at_once = max(1, _BLOCK_VALUES // max(n_frames, 1))
    rows = np.flatnonzero(chosen)
    for block in (rows[first : first + rows_at_once] for first in range(0, len(rows), rows_at_once)):
        if traces.dff is not None:
            with np.errstate(over="ignore", invalid="ignore"):  # what is too large is infinite, and told as such
                ready.dff[block] = traces.dff[block]
            continue
        part = delta_f_over_f(
            traces.fluorescence[block],
            traces.frame_rate,
            None if traces.neuropil is None else traces.neuropil[block],
            traces.neuropil_coefficient,
            baseline,
            traces.segments,
            None if traces.background is None else traces.background[block],
        )
        ready.dff[block], ready.guarded_frames[block] = part.dff, part.guarded_frames
        for roi, note in zip(block, part.notes, strict=True):
            ready.notes[roi] = note
    if traces.dff is not None:
        _refuse_other_units(traces, ready.dff)
    return ready


def _refuse_other_units(traces: Traces, dff: np.ndarray) -> None:
    known = np.isfinite(dff).any(axis=1)
    if not known.any():
        return
    with np.errstate(invalid="ignore"):  # infinite values
        levels = noise_levels(dff[known], traces.frame_rate, traces.segments)
    middle = float(np.median(np.nanmedian(dff[known], axis=1)))
    problem = unit_problem(middle, float(np.nanmedian(levels)) if np.isfinite(levels).any() else 0.0)
    if problem:
        raise InputError(f"{traces.source}: {problem}")


def _chosen_rois(container: Container, traces: Traces, options: Options) -> np.ndarray:
    if not options.only_cells:
        return np.ones(traces.shape[0], dtype=bool)
    if traces.is_cell is None:
        raise InputError(f"{container.path} does not say which ROIs are cells: leave out --only-cells")
    return traces.is_cell


def _indicator(options: Options, traces: Traces, model: Model) -> str | None:
    """What the model is told: the user's word, else that of the model's name, else that of the container."""
    if options.indicator is not None or not model.is_universal or (model.preset or {}).get("indicator"):
        return options.indicator
    return traces.indicator if indicator_family(traces.indicator or "") != UNKNOWN else None


def _notes(ready: ReadyTraces, inference: Inference) -> list[str]:
    """Why each ROI has no prediction; the earliest reason is the true one."""
    return [first or second for first, second in zip(ready.notes, inference.notes, strict=True)]


def _median(levels: np.ndarray) -> float | None:
    return float(np.nanmedian(levels)) if np.isfinite(levels).any() else None


def _expected(model: Model, report: Report, smoothing: float | None) -> dict[str, Any] | None:
    if report.noise_level is None:
        return None
    return expected_figures(model, report.frame_rate, report.noise_level, smoothing)
