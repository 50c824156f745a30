"""What a recording is, without predicting or writing anything."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from cascade_adapters.containers.base import Container, Reading
from cascade_adapters.running.pipeline import dff_of
from cascade_engine.checks import doubts
from cascade_engine.errors import InputError
from cascade_engine.evaluation.expectation import expected_figures
from cascade_engine.networks.store import AUTOMATIC, Model, load_model
from cascade_engine.signal.noise import noise_levels


def inspect_container(
    container: Container, reading: Reading = Reading(), model: str | os.PathLike | Model = AUTOMATIC
) -> dict[str, Any]:
    """Facts about one recording, ready for JSON.

    Parameters
    ----------
    container : Container
        The recording.
    reading : Reading
        What the user says about the traces.
    model : str, path or Model
        The model that would be used.

    Returns
    -------
    dict
        Path, kind, size, frame rate and its source, indicator, neuropil coefficient, sessions, noise levels (percent
        per sqrt(Hz): 10th, 50th and 90th percentile over ROIs), model, what to expect of it at this noise level, state
        of earlier results, warnings.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    model = load_model(model)
    traces = container.read(reading)
    n_rois, n_frames = traces.shape
    remarks = list(traces.remarks)
    try:
        ready = dff_of(traces)
        levels = noise_levels(ready.dff, traces.frame_rate, traces.segments)
    except InputError as error:
        remarks.append(f"'run' would refuse this: {error}")
        levels = np.full(n_rois, np.nan)
    known = np.isfinite(levels)
    warnings = remarks + doubts(model.config, traces.frame_rate, levels, known, model.noise_levels)
    levels = levels[known]
    return {
        "path": str(container.path),
        "kind": container.kind,
        "n_rois": n_rois,
        "n_cells": None if traces.is_cell is None else int(np.count_nonzero(traces.is_cell)),
        "n_frames": n_frames,
        "minutes": n_frames / traces.frame_rate / 60.0,
        "frame_rate_hz": traces.frame_rate,
        "frame_rate_source": traces.frame_rate_source,
        "indicator": traces.indicator,
        "traces": traces.source,
        "has_dff": traces.dff is not None,
        "has_neuropil": traces.neuropil is not None,
        "neuropil_coefficient": traces.neuropil_coefficient,
        "sessions": traces.segments,
        "noise_level": np.percentile(levels, [10, 50, 90]).tolist() if levels.size else None,
        "expected": expected_figures(model, traces.frame_rate, float(np.median(levels))) if levels.size else None,
        "results": _describe_results(container),
        "model": model.name,
        "warnings": warnings,
    }


def _describe_results(container: Container) -> str:
    earlier = container.results()
    if earlier is None:
        return "none"
    model = earlier.get("model", {}).get("name", "an unknown model")
    state = "stale (the traces have changed since)" if container.is_stale() else "up to date"
    return f"by {model}, {earlier.get('created', 'at an unknown time')}, {state}"
