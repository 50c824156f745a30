"""Running and inspecting single recordings, and made-up results."""

from __future__ import annotations

from typing import Any

import numpy as np

from cascade_adapters.containers.base import Container, Traces
from cascade_adapters.results import Record, Results, Spikes
from cascade_adapters.results.record import ModelUsed, RecordingUsed, TracesUsed
from cascade_adapters.running.batch import inspect_all, process_all
from cascade_adapters.running.blocks import DffBlock, check_units, dff_blocks
from cascade_adapters.running.options import parse_options
from cascade_adapters.running.report import Report
from cascade_engine.errors import InputError
from cascade_engine.networks.settings import Settings
from cascade_engine.signal.dff import Baseline


def run_one(container: Container, dry_run: bool = False, **options: Any) -> Report:
    """Run one recording; a failure is raised."""
    (report,) = process_all([container], parse_options(options), dry_run)
    if report.status == "failed":
        raise InputError(report.message)
    return report


def inspect_one(container: Container, **options: Any) -> Report:
    """Inspect one recording; a failure is raised."""
    (report,) = inspect_all([container], parse_options(options))
    if report.status == "failed":
        raise InputError(report.message)
    return report


def dff_of(traces: Traces, baseline: Baseline | None = None, chosen: np.ndarray | None = None) -> DffBlock:
    """dF/F of all ROIs, as a single block."""
    offsets, _ = check_units(traces, chosen)
    blocks = list(dff_blocks(traces, baseline, chosen, offsets=offsets))
    return DffBlock(
        rows=slice(0, traces.shape[0]),
        dff=np.concatenate([block.dff for block in blocks]),
        guarded_frames=np.concatenate([block.guarded_frames for block in blocks]),
        noise_factor=np.concatenate([block.noise_factor for block in blocks]),
        notes=[note for block in blocks for note in block.notes],
        by_peak=np.concatenate([block.by_peak for block in blocks]),
    )


def made_up_record(n_rois: int, n_frames: int, frame_rate: float = 30.0, **remembered: Any) -> Record:
    """A record that no run has made."""
    return Record(
        created="2026-01-01T00:00:00+00:00",
        software={"cascade-spikes": "0.2.0"},
        model=ModelUsed("made-up", "windowed", "0" * 64),
        settings=Settings(smoothing=0.05, kernel="gaussian"),
        traces=TracesUsed("made-up", "computed"),
        recording=RecordingUsed(n_rois, n_frames, frame_rate),
        container=remembered,
    )


def made_up_results(
    spike_prob: np.ndarray,
    dff: np.ndarray | None = None,
    noise_levels: np.ndarray | None = None,
    record: Record | None = None,
    spikes: Spikes | None = None,
) -> Results:
    """Results that no run has made."""
    spike_prob = np.asarray(spike_prob, dtype=np.float32)
    dff = 2 * spike_prob if dff is None else np.asarray(dff, dtype=np.float32)
    levels = np.ones(len(spike_prob)) if noise_levels is None else noise_levels
    arrays = {"spike_prob": spike_prob, "dff": dff, "noise_levels": np.asarray(levels, dtype=np.float32)}
    return Results(arrays, record or made_up_record(*spike_prob.shape), spikes)
