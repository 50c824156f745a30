"""Make an example recording: a suite2p folder with two planes, from simulated ground truth with known spikes.

    python examples/make_recording.py FOLDER

The folder looks as suite2p 0.14 leaves it. Everything in it is simulated; ``planeN_true_spikes.npz`` beside each
plane's folder holds what is to be inferred.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from cascade_engine.ground_truth import simulate_dataset

FRAME_RATE = 15.0  # Hz per plane
DURATION_S = 300.0
NEUROPIL_COEFFICIENT = 0.7


def write_plane(folder: Path, noise_level: float, seed: int) -> None:
    """Write one plane with 10 neurons and 2 ROIs that are none."""
    rng = np.random.default_rng(seed)
    dataset = simulate_dataset(10, DURATION_S, FRAME_RATE, noise_level, seed)
    dff = np.array([recording.dff for recording in dataset.recordings])
    n_cells, n_frames = dff.shape
    dff = np.concatenate([dff, 0.06 * rng.standard_normal((2, n_frames))])
    n_rois = len(dff)

    time_s = np.arange(n_frames) / FRAME_RATE
    resting = rng.uniform(200, 800, (n_rois, 1))
    bleaching = 1.0 - 0.1 * time_s / DURATION_S
    surround = 150 + 15 * np.cumsum(rng.standard_normal(n_frames)) / np.sqrt(n_frames) + 4 * np.sin(time_s / 7)
    neuropil = surround + rng.standard_normal((n_rois, n_frames))
    fluorescence = resting * bleaching * (1 + dff) + NEUROPIL_COEFFICIENT * (neuropil - neuropil.mean())

    folder.mkdir(parents=True)
    np.save(folder / "F.npy", fluorescence.astype(np.float32))
    np.save(folder / "Fneu.npy", neuropil.astype(np.float32))
    # a stand-in for suite2p's own deconvolution: wherever fluorescence rises
    np.save(folder / "spks.npy", np.diff(fluorescence, axis=1, prepend=fluorescence[:, :1]).clip(0).astype(np.float32))
    is_cell = np.arange(n_rois) < n_cells
    np.save(folder / "iscell.npy", np.c_[is_cell, np.where(is_cell, 0.9, 0.2)])
    stat = [{"ypix": np.arange(5) + 10 * i, "xpix": np.arange(5), "lam": np.ones(5)} for i in range(n_rois)]
    np.save(folder / "stat.npy", np.array(stat, dtype=object))
    ops = {"fs": FRAME_RATE, "neucoeff": NEUROPIL_COEFFICIENT, "tau": 0.6, "nplanes": 2, "nframes": n_frames}
    np.save(folder / "ops.npy", np.array(ops, dtype=object))
    spikes = {f"roi{i}": recording.spike_times_s for i, recording in enumerate(dataset.recordings)}
    np.savez(folder.parent / f"{folder.name}_true_spikes.npz", **spikes)


def main() -> None:
    """Write the recording into the folder named on the command line."""
    root = Path(sys.argv[1]) / "suite2p"
    if root.exists():
        sys.exit(f"{root} exists already: remove it or choose another place")
    for plane, noise_level in enumerate((1.0, 3.0)):
        write_plane(root / f"plane{plane}", noise_level, seed=plane)
    print(f"simulated recording: {root}")


if __name__ == "__main__":
    main()
