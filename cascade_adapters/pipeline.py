"""The main job on one recording: read, dF/F, predict, write back."""

from __future__ import annotations

import numpy as np

from cascade_adapters.base import Container, Results, Traces
from cascade_adapters.dff import DeltaF, delta_f_over_f
from cascade_adapters.options import Options
from cascade_adapters.provenance import describe_run
from cascade_adapters.report import Report
from cascade_engine.checks import doubts
from cascade_engine.errors import InputError
from cascade_engine.inference import Inference, infer
from cascade_engine.models.store import load_model
from cascade_engine.noise import noise_levels


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
    traces = container.read(options.frame_rate, options.neuropil_coefficient)
    fingerprint = container.fingerprint()
    chosen = _chosen_rois(container, traces, options)
    delta = _delta_f(traces, chosen, options)
    report.n_rois, report.n_frames = traces.fluorescence.shape
    report.frame_rate = traces.frame_rate
    report.warnings += traces.remarks
    report.guarded = int(np.count_nonzero(delta.guarded_frames))
    if dry_run:
        levels = noise_levels(delta.dff, traces.frame_rate, traces.segments)
        report.status, report.noise_level = "planned", _median(levels)
        report.warnings += doubts(model.config, traces.frame_rate, levels, np.isfinite(levels), model.noise_levels)
        return report

    inference = infer(
        delta.dff,
        traces.frame_rate,
        model,
        noise_level=options.noise_level,
        segments=traces.segments,
        threshold=options.threshold,
        check_units=False,  # it is dF/F for sure: computed here
        n_threads=options.n_threads,
        progress=options.progress,
    )
    notes = _notes(delta, inference)
    report.noise_level = _median(inference.noise_levels)
    report.warnings += inference.warnings
    report.without_prediction = {str(roi): note for roi, note in enumerate(notes) if note and chosen[roi]}
    results = Results(
        spike_prob=inference.spike_prob,
        dff=delta.dff,
        noise_levels=inference.noise_levels.astype(np.float32),
        provenance=describe_run(traces, options, delta, inference, notes, report.warnings, fingerprint),
    )
    report.written = container.write(results, options.replace_spikes)
    return report


def _chosen_rois(container: Container, traces: Traces, options: Options) -> np.ndarray:
    if not options.only_cells:
        return np.ones(len(traces.fluorescence), dtype=bool)
    if traces.is_cell is None:
        raise InputError(f"{container.path} does not say which ROIs are cells: leave out --only-cells")
    return traces.is_cell


def _delta_f(traces: Traces, chosen: np.ndarray, options: Options) -> DeltaF:
    """dF/F of all ROIs; those that were not chosen stay NaN."""
    n_rois, n_frames = traces.fluorescence.shape
    part = delta_f_over_f(
        traces.fluorescence[chosen],
        traces.frame_rate,
        None if traces.neuropil is None else traces.neuropil[chosen],
        traces.neuropil_coefficient,
        options.baseline,
        traces.segments,
    )
    if chosen.all():
        return part
    whole = DeltaF(
        dff=np.full((n_rois, n_frames), np.nan, dtype=np.float32),
        f0=np.full((n_rois, n_frames), np.nan, dtype=np.float32),
        guarded_frames=np.zeros(n_rois, dtype=int),
        notes=["not a cell"] * n_rois,
    )
    whole.dff[chosen], whole.f0[chosen], whole.guarded_frames[chosen] = part.dff, part.f0, part.guarded_frames
    for roi, note in zip(np.flatnonzero(chosen), part.notes, strict=True):
        whole.notes[roi] = note
    return whole


def _notes(delta: DeltaF, inference: Inference) -> list[str]:
    """Why each ROI has no prediction; the earliest reason is the true one."""
    return [first or second for first, second in zip(delta.notes, inference.notes, strict=True)]


def _median(levels: np.ndarray) -> float | None:
    return float(np.nanmedian(levels)) if np.isfinite(levels).any() else None
