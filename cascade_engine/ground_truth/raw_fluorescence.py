"""The dF/F that users get, instead of the published one: computed from raw fluorescence and neuropil.

The raw traces lie in a folder of their own, with the names of the ground truth: ``DATASET/NEURON.npz`` beside
``DATASET/NEURON.mat`` there, with the arrays ``fluo_raw_K`` and ``neuropil_K`` for the recording K (counted from 0) of
the neuron, on the frames of its ``fluo_mean``. Few datasets have any.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.ground_truth.records import Dataset, Neuron, Recording
from cascade_engine.ground_truth.resampling import resample
from cascade_engine.signal.dff import Baseline, delta_f_over_f

ENVIRONMENT_VARIABLE = "CASCADE_RAW_FLUORESCENCE"


def raw_fluorescence_root(path: str | os.PathLike | None = None) -> Path:
    """Folder that holds the raw fluorescence of the ground truth.

    Parameters
    ----------
    path : path, optional
        Folder given by the user. Default: the environment variable ``CASCADE_RAW_FLUORESCENCE``.

    Returns
    -------
    Path
        An existing folder.

    Raises
    ------
    InputError
        If none is named, or it does not exist.
    """
    named = path or os.environ.get(ENVIRONMENT_VARIABLE)
    if named and Path(named).is_dir():
        return Path(named)
    found = f"no folder {named}" if named else "no folder is named"
    raise InputError(
        f"raw fluorescence of the ground truth: {found}; pass --raw-fluorescence or set {ENVIRONMENT_VARIABLE}"
    )


def with_computed_dff(
    dataset: Dataset,
    root: Path,
    frame_rate: float,
    neuropil_coefficient: float = 0.7,
    baseline: Baseline | None = None,
) -> Dataset:
    """A dataset with dF/F computed from its raw fluorescence, as if it had been recorded at a frame rate.

    Parameters
    ----------
    dataset : Dataset
        As published.
    root : Path
        Folder of the raw fluorescence.
    frame_rate : float
        In Hz; fluorescence and neuropil are resampled to it before dF/F is computed.
    neuropil_coefficient, baseline
        As in `cascade_engine.signal.dff.delta_f_over_f`.

    Returns
    -------
    Dataset
        With the same neurons and spikes. A recording whose raw fluorescence is missing or of no use is left out, and
        the neuron has a note that says why.
    """

    def computed(neuron: Neuron) -> Neuron:
        found = replace(neuron, recordings=[], notes=list(neuron.notes))
        for recording in neuron.recordings:
            try:
                raw, neuropil = _raw_traces(root / dataset.name / f"{neuron.cell}.npz", recording)
            except InputError as error:
                found.notes.append(f"{recording.name}: {error}; left out")
                continue
            fluorescence, surround = (resample(replace(recording, dff=trace), frame_rate) for trace in (raw, neuropil))
            rate = fluorescence.frame_rate
            result = delta_f_over_f(
                fluorescence.dff[np.newaxis],
                rate,
                surround.dff[np.newaxis],
                neuropil_coefficient,
                baseline,
            )
            if result.notes[0]:
                found.notes.append(f"{recording.name}: {result.notes[0]}; left out")
                continue
            time_s = recording.time_s[0] + np.arange(len(fluorescence.dff)) / rate
            found.recordings.append(replace(recording, time_s=time_s, dff=result.dff[0]))
        return found

    return Dataset(dataset.name, [computed(neuron) for neuron in dataset.neurons])


def _raw_traces(path: Path, recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Raw fluorescence and neuropil on the frames of a recording."""
    if not path.is_file():
        raise InputError(f"there is no {path}")
    frames = slice(recording.first_frame, recording.first_frame + len(recording.dff))
    with np.load(path, allow_pickle=False) as content:
        names = [f"{kind}_{recording.number - 1}" for kind in ("fluo_raw", "neuropil")]
        if missing := [name for name in names if name not in content]:
            raise InputError(f"{path} does not hold {', '.join(missing)}")
        raw, neuropil = (content[name][frames].astype(np.float32) for name in names)
    if not len(raw) == len(neuropil) == len(recording.dff) or not np.isfinite([raw, neuropil]).all():
        raise InputError(f"{path}: {', '.join(names)} do not have a value for every frame of the recording")
    return raw, neuropil
