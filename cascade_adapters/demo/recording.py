"""The example recording: a suite2p folder with two planes, from simulated neurons with known spikes.

Everything in it is simulated, by code alone, so that nothing needs to be shipped or downloaded. The folder looks as
suite2p 0.14 leaves it. ``planeN_true_spikes.npz`` beside each plane's folder holds what is to be inferred.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cascade_engine.ground_truth import simulate_dataset

#: Per plane, in Hz.
FRAME_RATE = 15.0
DURATION_S = 300.0
N_NEURONS = 10

#: Of each plane, in percent per sqrt(Hz).
NOISE_LEVELS = (1.0, 3.0)

_NEUROPIL_COEFFICIENT = 0.7


def write_recording(folder: Path) -> list[Path]:
    """Write the example recording into a folder that does not exist yet, or is empty.

    Parameters
    ----------
    folder : Path
        Such as ``.../suite2p``.

    Returns
    -------
    list of Path
        The folders of its planes.
    """
    planes = [folder / f"plane{plane}" for plane in range(len(NOISE_LEVELS))]
    for plane, (path, noise_level) in enumerate(zip(planes, NOISE_LEVELS, strict=True)):
        _write_plane(path, noise_level, seed=plane)
    return planes


def true_spikes_of(plane: Path) -> list[np.ndarray]:
    """Spike times (s, counted from the first frame) of each simulated neuron of a plane."""
    with np.load(_truth_of(plane), allow_pickle=False) as content:
        return [content[f"roi{i}"] for i in range(len(content))]


def _truth_of(plane: Path) -> Path:
    return plane.with_name(f"{plane.name}_true_spikes.npz")


def _write_plane(folder: Path, noise_level: float, seed: int) -> None:
    """Write one plane with simulated neurons and 2 ROIs that are none."""
    rng = np.random.default_rng(seed)
    dataset = simulate_dataset(N_NEURONS, DURATION_S, FRAME_RATE, noise_level, seed)
    dff = np.array([recording.dff for recording in dataset.recordings])
    n_cells, n_frames = dff.shape
    dff = np.concatenate([dff, 0.06 * rng.standard_normal((2, n_frames))])
    n_rois = len(dff)

    time_s = np.arange(n_frames) / FRAME_RATE
    resting = rng.uniform(200, 800, (n_rois, 1))
    bleaching = 1.0 - 0.1 * time_s / DURATION_S
    surround = 150 + 15 * np.cumsum(rng.standard_normal(n_frames)) / np.sqrt(n_frames) + 4 * np.sin(time_s / 7)
    neuropil = surround + rng.standard_normal((n_rois, n_frames))
    fluorescence = resting * bleaching * (1 + dff) + _NEUROPIL_COEFFICIENT * (neuropil - neuropil.mean())

    folder.mkdir(parents=True)
    np.save(folder / "F.npy", fluorescence.astype(np.float32))
    np.save(folder / "Fneu.npy", neuropil.astype(np.float32))
    # a stand-in for suite2p's own deconvolution: wherever fluorescence rises
    np.save(folder / "spks.npy", np.diff(fluorescence, axis=1, prepend=fluorescence[:, :1]).clip(0).astype(np.float32))
    is_cell = np.arange(n_rois) < n_cells
    np.save(folder / "iscell.npy", np.c_[is_cell, np.where(is_cell, 0.9, 0.2)])
    stat = [{"ypix": np.arange(5) + 10 * i, "xpix": np.arange(5), "lam": np.ones(5)} for i in range(n_rois)]
    np.save(folder / "stat.npy", np.array(stat, dtype=object))
    ops = {"fs": FRAME_RATE, "neucoeff": _NEUROPIL_COEFFICIENT, "tau": 0.6, "nplanes": 2, "nframes": n_frames}
    np.save(folder / "ops.npy", np.array(ops, dtype=object))
    spikes: dict[str, Any] = {f"roi{i}": recording.spike_times_s for i, recording in enumerate(dataset.recordings)}
    np.savez(_truth_of(folder), **spikes)
