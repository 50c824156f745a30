"""The planes that suite2p's GUI shows, and the results that lie beside their traces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cascade_adapters.containers.suite2p import combined
from cascade_adapters.containers.suite2p.combined import natural
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.results import Results
from cascade_engine.errors import InputError
from cascade_engine.file_formats.npy import ArrayOnDisk

#: So many rows of each plane are compared with what the window shows.
_COMPARED = 20


def planes_shown(folder: Path, traces: np.ndarray) -> list[Suite2pPlane]:
    """The planes behind what the GUI shows.

    Parameters
    ----------
    folder : Path
        Where the GUI has it from: the folder of a plane, or ``combined`` if it shows all planes.
    traces : array, shape (n_rois, n_frames)
        F as the GUI has it.

    Returns
    -------
    list of Suite2pPlane
        One, or all planes in the order in which the GUI has put them together.

    Raises
    ------
    InputError
        If there are none, or they hold other traces than the window.
    """
    if folder.name == combined.NAME:
        inside = [each for each in folder.parent.glob("plane*") if (each / "F.npy").is_file()]
        planes = [Suite2pPlane(each) for each in sorted(inside, key=natural)]
    else:
        planes = [Suite2pPlane(folder)] if (folder / "F.npy").is_file() else []
    if not planes:
        raise InputError(
            f"{folder} is no folder of a suite2p plane (there is no F.npy). For an NWB file use the command "
            "'cascade run FILE'"
        )
    stored = [ArrayOnDisk(plane.path / "F.npy") for plane in planes]
    if sum(len(each) for each in stored) != len(traces) or not _are_in_order(stored, traces):
        raise InputError(
            f"{folder} holds other traces than this window: load the folder again (File > Load processed data)"
        )
    return planes


def _are_in_order(stored: Sequence[ArrayOnDisk], traces: np.ndarray) -> bool:
    """Whether the files hold what the window shows, as far as some rows tell; shorter planes are padded there."""
    first = 0
    for each in stored:
        n_rois, n_frames = each.shape
        if n_frames > traces.shape[1]:
            return False
        for roi in np.unique(np.linspace(0, n_rois - 1, _COMPARED).astype(int)):
            if not np.array_equal(each[roi : roi + 1][0], traces[first + roi, :n_frames], equal_nan=True):
                return False
        first += n_rois
    return True


def results_of(planes: Sequence[Suite2pPlane]) -> list[Results]:
    """The results of all planes; `InputError` if a plane has none, or they do not fit its traces."""
    found = []
    for plane in planes:
        record = plane.record()
        if record is None:
            raise InputError(f"{plane.path} has no results yet: press 'Run'")
        size, shape = record.recording, ArrayOnDisk(plane.path / "F.npy").shape
        if (size.n_rois, size.n_frames) != shape:
            raise InputError(
                f"{plane.path}: the results are of {size.n_rois} ROIs and {size.n_frames} frames, but there are now "
                f"{shape[0]} and {shape[1]}: press 'Run again'"
            )
        results = plane.results()
        assert results is not None
        found.append(results)
    return found


def spikes_of(planes: Sequence[Suite2pPlane], n_frames: int) -> np.ndarray:
    """What is in ``spks.npy`` of all planes, as the GUI loads it; float32, shape (n_rois, n_frames)."""
    stored = [ArrayOnDisk(plane.path / "spks.npy") for plane in planes]
    spikes = np.zeros((sum(len(each) for each in stored), n_frames), np.float32)
    first = 0
    for each in stored:
        spikes[first : first + len(each), : each.shape[1]] = each[:]
        first += len(each)
    return spikes


def rates_hz(results: Sequence[Results], n_frames: int) -> np.ndarray:
    """Rates of all ROIs in Hz, float32, shape (n_rois, n_frames): 0 where there is no prediction, and as padding."""
    rates = np.zeros((sum(each.shape[0] for each in results), n_frames), np.float32)
    first = 0
    for each in results:
        n_rois, n_own = each.shape
        spike_prob = np.nan_to_num(np.asarray(each.spike_prob[:]), nan=0.0)
        rates[first : first + n_rois, :n_own] = spike_prob * np.float32(each.record.recording.frame_rate_hz)
        first += n_rois
    return rates


def noise_levels(results: Sequence[Results]) -> np.ndarray:
    """Noise levels of all ROIs in percent per sqrt(Hz), NaN where there is none; shape (n_rois,)."""
    return np.concatenate([np.asarray(each.noise_levels[:], dtype=float) for each in results])


def mean_rates_hz(results: Sequence[Results]) -> np.ndarray:
    """Mean rates of all ROIs in Hz, NaN where there is no prediction; shape (n_rois,)."""
    found = []
    for each in results:
        spike_prob = np.asarray(each.spike_prob[:])
        n_known = np.isfinite(spike_prob).sum(axis=1)
        sums = np.nansum(spike_prob, axis=1, dtype=float) * each.record.recording.frame_rate_hz
        found.append(np.where(n_known > 0, sums / np.maximum(n_known, 1), np.nan))
    return np.concatenate(found)
