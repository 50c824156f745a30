"""How results came about: the record that is written with them."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

import numpy as np

from cascade_adapters.containers.base import Traces
from cascade_adapters.running.options import Options
from cascade_engine._version import __version__
from cascade_engine.inference import Inference


def describe_run(
    traces: Traces,
    options: Options,
    guarded_frames: np.ndarray,
    inference: Inference,
    notes: Sequence[str],
    warnings: Sequence[str],
    fingerprint: dict[str, str],
) -> dict[str, Any]:
    """Gather everything that is needed to judge or repeat a run, ready for JSON.

    Parameters
    ----------
    traces : Traces
        What was read.
    options : Options
        What the user chose.
    guarded_frames : array, shape (n_rois,), int
        Frames in which F0 lay below the noise.
    inference : Inference
        Predictions and the model.
    notes : sequence of str
        Per ROI: why it has no prediction, or an empty string.
    warnings : sequence of str
        What is doubtful.
    fingerprint : dict
        Hashes of the traces.

    Returns
    -------
    dict
        Software, model, parameters, recording, input, ROIs, warnings; frame rates in Hz, times in s.
    """
    return {
        "format": 1,
        "what": "expected spikes per frame; multiply by frame_rate_hz for Hz",
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "software": {
            "cascade-spikes": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "model": {
            "name": inference.model.name,
            "fingerprint": inference.model.fingerprint,
            "kind": "universal" if inference.model.is_universal else "published architecture",
            "smoothing_s": inference.smoothing,
            "kernel": inference.kernel,
        },
        "parameters": {
            "traces": traces.source,
            "dff": "the container's" if traces.dff is not None else "computed",
            "neuropil_coefficient": traces.neuropil_coefficient,
            "neuropil_subtracted": traces.neuropil is not None,
            "baseline": None if traces.dff is not None else asdict(options.baseline),
            "population": options.population,
            "indicator": inference.indicator,
            "noise_level": options.noise_level,
            "threshold": options.threshold,
            "only_cells": options.only_cells,
        },
        "recording": {
            "n_rois": traces.shape[0],
            "n_frames": traces.shape[1],
            "frame_rate_hz": traces.frame_rate,
            "frame_rate_source": traces.frame_rate_source,
            "frames_per_session": traces.segments,
        },
        "input": fingerprint,
        "rois": {
            "without_prediction": {str(roi): note for roi, note in enumerate(notes) if note},
            "guarded_frames": {str(roi): int(guarded_frames[roi]) for roi in np.flatnonzero(guarded_frames)},
            "network_noise_level": [
                None if np.isnan(level) else float(level) for level in inference.network_noise_levels
            ],
        },
        "warnings": list(warnings),
    }
