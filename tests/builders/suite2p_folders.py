"""suite2p folders made from simulated ground truth, with everything about them known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from cascade_engine.file_formats.atomic import sha256
from cascade_engine.ground_truth import simulate_dataset

#: Which files hold the settings.
GENERATIONS = ("old", "new", "none")


@dataclass
class Plane:
    """A simulated plane: its folder, and what was put into it.

    Attributes
    ----------
    folder : Path
        The folder ``planeN``.
    dff : array, shape (n_rois, n_frames)
        True dF/F (fraction) behind F.
    baseline : array, shape (n_rois, 1)
        True F0.
    fluorescence, neuropil : array, shape (n_rois, n_frames)
        Content of F.npy and Fneu.npy.
    """

    folder: Path
    dff: np.ndarray
    baseline: np.ndarray
    fluorescence: np.ndarray
    neuropil: np.ndarray


def make_plane(
    folder: Path,
    n_rois: int = 6,
    n_frames: int = 900,
    frame_rate: float | None = 30.0,
    generation: str = "old",
    neuropil_coefficient: float = 0.7,
    segments: list[int] | None = None,
    second_channel: bool = False,
    noise_level: float = 2.0,
    seed: int = 0,
) -> Plane:
    """Write one plane as suite2p would: ``F = baseline * (1 + dff) + 0.7 * (Fneu - its median)``, rows are all ROIs.

    Every third ROI is not a cell. A `frame_rate` of None leaves it out of the settings.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed + 1000)
    rate = frame_rate or 30.0
    dff = _simulated_dff(n_rois, n_frames, rate, noise_level, seed)
    baseline = rng.uniform(200.0, 2000.0, (n_rois, 1))
    neuropil = neuropil_traces(rng, n_rois, n_frames, rate)
    moving = neuropil - np.median(neuropil, axis=1, keepdims=True)
    fluorescence = (baseline * (1.0 + dff) + 0.7 * moving).astype(np.float32)
    _save(folder, F=fluorescence, Fneu=neuropil, spks=rng.exponential(20.0, fluorescence.shape).astype(np.float32))
    is_cell = np.arange(n_rois) % 3 != 2
    _save(folder, iscell=np.stack([is_cell, np.where(is_cell, 0.9, 0.1)], axis=1))
    save_settings(folder / "stat.npy", [{"med": (roi, roi), "npix": 40, "lam": np.ones(40)} for roi in range(n_rois)])
    if second_channel:
        _save(folder, F_chan2=0.5 * fluorescence + 100.0, Fneu_chan2=0.5 * neuropil, redcell=np.zeros((n_rois, 2)))

    counts = segments or [n_frames]
    if generation == "old":
        settings: dict[str, Any] = {
            "neucoeff": neuropil_coefficient,
            "tau": 1.0,
            "nplanes": 1,
            "data_path": ["/data/raw"],
            "frames_per_folder": np.array(counts, dtype=np.int32),
            "date_proc": datetime(2024, 5, 17, 12, 30, tzinfo=timezone.utc),
            "meanImg": np.zeros((16, 16), np.float32),
        }
        save_settings(folder / "ops.npy", settings | ({} if frame_rate is None else {"fs": frame_rate}))
    elif generation == "new":
        settings = {
            "tau": 1.0,
            "extraction": {"neuropil_coefficient": neuropil_coefficient, "neuropil_extract": True},
            "dcnv_preprocess": {"baseline": "maximin", "win_baseline": 60.0},
        }
        settings |= {} if frame_rate is None else {"fs": frame_rate}
        db = {"data_path": ["/data/raw"], "nplanes": 1, "frames_per_folder": np.array(counts), "nframes": n_frames}
        for place in (folder, folder.parent):
            save_settings(place / "settings.npy", settings)
            save_settings(place / "db.npy", db)
    return Plane(folder, dff, baseline, fluorescence, neuropil)


def make_recording(root: Path, n_planes: int = 2, **options: Any) -> list[Plane]:
    """Write ``root/suite2p`` with several planes, which differ, and the ``combined`` folder that suite2p adds."""
    planes = [make_plane(root / "suite2p" / f"plane{i}", seed=i, **options) for i in range(n_planes)]
    if n_planes > 1:
        combined = root / "suite2p" / "combined"
        combined.mkdir()
        _save(
            combined,
            F=np.concatenate([plane.fluorescence for plane in planes]),
            Fneu=np.concatenate([plane.neuropil for plane in planes]),
        )
    return planes


@lru_cache(maxsize=64)
def _simulated_dff(n_rois: int, n_frames: int, frame_rate: float, noise_level: float, seed: int) -> np.ndarray:
    simulated = simulate_dataset(n_rois, n_frames / frame_rate, frame_rate, noise_level, seed)
    dff = np.stack([recording.dff for recording in simulated.recordings])
    dff.setflags(write=False)
    return dff


def neuropil_traces(rng: np.random.Generator, n_rois: int, n_frames: int, frame_rate: float) -> np.ndarray:
    """Slow fluctuations around a few hundred counts, shared in part by all ROIs; float32."""
    time_s = np.arange(n_frames) / frame_rate
    shared = 40.0 * np.sin(2 * np.pi * time_s / 7.0)
    own = 10.0 * np.sin(2 * np.pi * (time_s / rng.uniform(3.0, 11.0, (n_rois, 1)) + rng.random((n_rois, 1))))
    return (rng.uniform(100.0, 400.0, (n_rois, 1)) + shared + own).astype(np.float32)


def save_settings(path: Path, settings: Any) -> None:
    """Save a pickled object as suite2p does."""
    np.save(path, settings, allow_pickle=True)


def change_settings(folder: Path, **changes: Any) -> None:
    """Change entries of ops.npy; None removes one."""
    path = folder / "ops.npy"
    settings = np.load(path, allow_pickle=True).item() | changes
    save_settings(path, {key: value for key, value in settings.items() if value is not None})


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, and the names of all folders in it."""
    return {
        str(path.relative_to(folder)): sha256(path) if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


def _save(folder: Path, **arrays: np.ndarray) -> None:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
