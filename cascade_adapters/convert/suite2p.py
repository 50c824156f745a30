"""A folder like suite2p's, with what its users and their scripts read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cascade_adapters.containers.background import NEUROPIL_IS_BACKGROUND
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.containers.suite2p.settings import (
    ARBITRARY_UNITS,
    BAD_FRAMES,
    DENOISED,
    DROPPED_FRAMES,
    INDICATOR,
)
from cascade_adapters.convert.carrying import carried_results
from cascade_adapters.convert.session import Plane, Session
from cascade_adapters.results.rows import write_npy
from cascade_engine.errors import InputError


def write_suite2p(session: Session, path: Path) -> None:
    """Write ``planeN`` folders with F, Fneu, iscell, stat and ops, and cascade's results where there are any.

    Parameters
    ----------
    session : Session
        What is to be written.
    path : Path
        Folder to create.

    Raises
    ------
    InputError
        If a plane has no raw fluorescence.
    """
    for plane in session.planes:
        if plane.raw is None:
            raise InputError(
                f"{session.path} has dF/F alone, but a suite2p folder holds raw fluorescence: "
                "choose .nwb, .npz, .mat or --to csv"
            )
    for plane in session.planes:
        if plane.source_dff is not None:
            session.remarks.append(f"{plane.name}: dF/F of the source is left out: suite2p has no place for it")
        folder = path / plane.name
        folder.mkdir(parents=True)
        _write_plane(session, plane, folder)
        container = Suite2pPlane(folder)
        results = carried_results(session, plane, container)
        if results is not None:
            container.write(results)


def _write_plane(session: Session, plane: Plane, folder: Path) -> None:
    raw = plane.raw
    assert raw is not None and raw.fluorescence is not None
    for name, traces in (("F", raw.fluorescence), ("Fneu", raw.neuropil)):
        if traces is not None:
            with (folder / f"{name}.npy").open("wb") as file:
                write_npy(file, traces)
    if raw.is_cell is not None:
        unknown = np.full(raw.is_cell.shape, np.nan)
        probability = unknown if raw.cell_probability is None else raw.cell_probability
        _save(folder, "iscell", np.stack([raw.is_cell.astype(float), probability], axis=1))

    n_rois, n_frames = raw.shape
    settings: dict[str, Any] = {"fs": raw.frame_rate, "nframes": n_frames, "nplanes": len(session.planes)}
    if raw.neuropil is not None:
        settings["neucoeff"] = raw.neuropil_coefficient
    if plane.neuropil_is_background:
        settings[NEUROPIL_IS_BACKGROUND] = True
    if raw.indicator is not None:
        settings[INDICATOR] = raw.indicator
    if raw.segments is not None:
        settings["frames_per_folder"] = np.array(raw.segments)
    for name, is_so in ((ARBITRARY_UNITS, raw.arbitrary_units), (DENOISED, raw.denoised)):
        if is_so:
            settings[name] = True
    if plane.bad_frames.any():
        settings[BAD_FRAMES] = plane.bad_frames
    if raw.dropped:
        settings[DROPPED_FRAMES] = np.array(list(raw.dropped.items()))
    if plane.rois is not None and plane.rois.image_shape is not None:
        settings["Ly"], settings["Lx"] = plane.rois.image_shape[:2]
    _save(folder, "ops", settings)
    if plane.rois is not None:
        if any(pixels.shape[1] != 2 for pixels in plane.rois.pixels):
            session.remarks.append(f"{plane.name}: masks are left out: those of suite2p are flat, these are not")
            return
        records = np.empty(n_rois, dtype=object)
        records[:] = _masks(plane)
        _save(folder, "stat", records)


def _masks(plane: Plane) -> list[dict[str, Any]]:
    """One record per ROI, as in ``stat.npy``."""
    assert plane.rois is not None
    everything = np.concatenate([np.zeros((0, 2), int), *plane.rois.pixels])
    places, counts = np.unique(everything, axis=0, return_counts=True)
    shared = {tuple(place) for place in places[counts > 1].tolist()}
    return [
        {
            "ypix": pixels[:, 0],
            "xpix": pixels[:, 1],
            "lam": weights,
            "npix": len(pixels),
            "med": [int(middle) for middle in np.median(pixels, axis=0)] if len(pixels) else [0, 0],
            "overlap": np.array([tuple(pixel) in shared for pixel in pixels.tolist()], dtype=bool),
        }
        for pixels, weights in zip(plane.rois.pixels, plane.rois.weights, strict=True)
    ]


def _save(folder: Path, name: str, content: Any) -> None:
    np.save(folder / f"{name}.npy", content, allow_pickle=True)
