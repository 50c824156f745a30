"""The main job on one recording: read, dF/F, predict, write back."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any

import numpy as np

import cascade_engine
from cascade_adapters.base import Container, Results, Traces
from cascade_adapters.dff import Baseline, DeltaF, delta_f_over_f
from cascade_engine.errors import InputError
from cascade_engine.inference import Inference, infer
from cascade_engine.models.store import DEFAULT_MODEL, load_model
from cascade_engine.noise import as_frame_rate, noise_levels

EXISTING = ("error", "skip", "overwrite")


@dataclass(frozen=True)
class Options:
    """What the user can choose.

    Attributes
    ----------
    model : str
        Name or folder of the model.
    frame_rate : float or None
        Frame rate per plane in Hz, instead of the container's.
    neuropil_coefficient : float or None
        Instead of the container's.
    baseline : Baseline
        How F0 is found.
    noise_level : float or None
        Noise level (percent per sqrt(Hz)) by which to choose networks, instead of each ROI's own.
    threshold : {0, 1, False}
        As in `cascade_engine.infer`.
    only_cells : bool
        Predict only ROIs that the container takes for cells; the others get NaN.
    replace_spikes : bool
        Put the rates in the place of the container's own deconvolved traces.
    existing : {"error", "skip", "overwrite"}
        What to do where results are.
    n_threads : int or None
        Threads; default: all processors.
    progress : bool
        Show a progress bar.
    """

    model: str = DEFAULT_MODEL
    frame_rate: float | None = None
    neuropil_coefficient: float | None = None
    baseline: Baseline = field(default_factory=Baseline)
    noise_level: float | None = None
    threshold: float | bool = 0
    only_cells: bool = False
    replace_spikes: bool = False
    existing: str = "error"
    n_threads: int | None = None
    progress: bool = False

    def __post_init__(self):
        if self.existing not in EXISTING:
            raise InputError(f"existing must be one of {', '.join(EXISTING)}, but it is {self.existing!r}")
        if not (self.threshold is False or self.threshold in (0, 1)):
            raise InputError(f"threshold must be 0, 1 or False, but it is {self.threshold!r}")
        if self.frame_rate is not None:
            as_frame_rate(self.frame_rate)
        if self.neuropil_coefficient is not None and not 0 <= self.neuropil_coefficient < np.inf:
            raise InputError(f"the neuropil coefficient must be 0 or above, but it is {self.neuropil_coefficient}")
        if self.noise_level is not None and not 0 < self.noise_level < np.inf:
            raise InputError(f"the noise level must be above 0, but it is {self.noise_level}")


@dataclass
class Report:
    """What happened to one recording.

    Attributes
    ----------
    path : str
        Where it lies.
    kind : str
        Kind of container.
    status : {"done", "skipped", "planned", "failed"}
        How it ended.
    message : str
        Why it failed or was skipped.
    n_rois, n_frames : int
        Its size.
    frame_rate : float
        In Hz.
    noise_level : float or None
        Median noise level over ROIs, in percent per sqrt(Hz).
    without_prediction : dict of str to str
        Reason for each ROI (by its number) that has no prediction.
    guarded : int
        ROIs in which F0 lay below the noise somewhere.
    warnings : list of str
        What is doubtful.
    written : list of str
        Files or datasets.
    """

    path: str
    kind: str
    status: str = "done"
    message: str = ""
    n_rois: int = 0
    n_frames: int = 0
    frame_rate: float = 0.0
    noise_level: float | None = None
    without_prediction: dict[str, str] = field(default_factory=dict)
    guarded: int = 0
    warnings: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


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
    report = Report(str(container.path), container.kind)
    model = load_model(options.model)
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
        return report

    inference = infer(
        delta.dff,
        traces.frame_rate,
        model,
        noise_level=options.noise_level,
        segments=traces.segments,
        threshold=options.threshold,
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
        provenance=_provenance(traces, options, delta, inference, notes, report.warnings, fingerprint),
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


def _provenance(traces, options: Options, delta: DeltaF, inference: Inference, notes, warnings, fingerprint) -> dict:
    config = inference.model.config
    return {
        "format": 1,
        "what": "expected spikes per frame; multiply by frame_rate_hz for Hz",
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "software": {
            "cascade-spikes": cascade_engine.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "model": {
            "name": inference.model.name,
            "fingerprint": inference.model.fingerprint,
            "frame_rate_hz": config.sampling_rate,
            "smoothing_s": config.smoothing,
            "kernel": config.kernel,
        },
        "parameters": {
            "neuropil_coefficient": traces.neuropil_coefficient,
            "neuropil_subtracted": traces.neuropil is not None,
            "baseline": asdict(options.baseline),
            "noise_level": options.noise_level,
            "threshold": options.threshold,
            "only_cells": options.only_cells,
        },
        "recording": {
            "n_rois": int(traces.fluorescence.shape[0]),
            "n_frames": int(traces.fluorescence.shape[1]),
            "frame_rate_hz": traces.frame_rate,
            "frame_rate_source": traces.frame_rate_source,
            "frames_per_session": traces.segments,
        },
        "input": fingerprint,
        "rois": {
            "without_prediction": {str(roi): note for roi, note in enumerate(notes) if note},
            "guarded_frames": {
                str(roi): int(delta.guarded_frames[roi]) for roi in np.flatnonzero(delta.guarded_frames)
            },
            "network_noise_level": [
                None if np.isnan(level) else float(level) for level in inference.network_noise_levels
            ],
        },
        "warnings": warnings,
    }
