"""A folder like suite2p's, with what its users and their scripts read, and what its GUI wants to open it.

The GUI wants more than is known of a recording from elsewhere: deconvolved activity, neuropil, the decay time, a mean
image. What stands in for it is listed in the settings (`PLACEHOLDERS`), and said.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from cascade_adapters.containers.background import NEUROPIL_IS_BACKGROUND
from cascade_adapters.containers.base import Traces
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.containers.suite2p.settings import (
    ARBITRARY_UNITS,
    BAD_FRAMES,
    DENOISED,
    DROPPED_FRAMES,
    INDICATOR,
    PLACEHOLDERS,
)
from cascade_adapters.convert.carrying import carried_results
from cascade_adapters.convert.session import Plane, Session
from cascade_adapters.results.rows import write_npy
from cascade_engine.errors import InputError

#: What the GUI takes by default: decay time (s), from which it makes bins, and diameter of cells (pixels).
_TAU_S, _DIAMETER = 1.0, 12.0

#: What stands in and would be taken for data; settings of the GUI are only listed.
_SEEN = {
    "spks.npy": "spks.npy (zeros)",
    "Fneu.npy": "Fneu.npy (zeros)",
    "meanImg": "meanImg (drawn from the masks)",
    "Ly": "Ly and Lx (as large as the masks need)",
}


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
    made_up: dict[str, None] = {}
    for plane in session.planes:
        if plane.source_dff is not None:
            session.remarks.append(f"{plane.name}: dF/F of the source is left out: suite2p has no place for it")
        folder = path / plane.name
        folder.mkdir(parents=True)
        made_up |= dict.fromkeys(_write_plane(session, plane, folder))
        container = Suite2pPlane(folder)
        results = carried_results(session, plane, container)
        if results is not None:
            container.write(results)
    bare = [plane.name for plane in session.planes if not (path / plane.name / "stat.npy").exists()]
    if bare:
        what = "it" if len(bare) == 1 else "them"
        session.remarks.append(f"{', '.join(bare)}: without masks, suite2p's GUI cannot open {what}")
    if made_up:
        listed = ", ".join(words for name, words in _SEEN.items() if name in made_up)
        session.remarks.append(f"{listed} are not known: what suite2p's GUI wants stands in")


def _write_plane(session: Session, plane: Plane, folder: Path) -> list[str]:
    """Write everything but results; returns what stands in for what is not known."""
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
    is_denoised = raw.denoised or (plane.is_denoised and not plane.is_dff_used)
    for name, is_so in ((ARBITRARY_UNITS, raw.arbitrary_units), (DENOISED, is_denoised)):
        if is_so:
            settings[name] = True
    if plane.bad_frames.any():
        settings[BAD_FRAMES] = plane.bad_frames
    if raw.dropped:
        settings[DROPPED_FRAMES] = np.array(list(raw.dropped.items()))
    if plane.rois is not None and plane.rois.image_shape is not None:
        settings["Ly"], settings["Lx"] = plane.rois.image_shape[:2]
    is_flat = plane.rois is not None and all(pixels.shape[1] == 2 for pixels in plane.rois.pixels)
    if is_flat:
        records = np.empty(n_rois, dtype=object)
        records[:] = _masks(plane)
        _save(folder, "stat", records)
        _stand_in(folder, settings, records, raw)
    elif plane.rois is not None:
        session.remarks.append(f"{plane.name}: masks are left out: those of suite2p are flat, these are not")
    _save(folder, "ops", settings)
    return settings.get(PLACEHOLDERS, [])


def _stand_in(folder: Path, settings: dict[str, Any], records: np.ndarray, raw: Traces) -> None:
    """Add what suite2p's GUI cannot do without, and list what of it is not known."""
    places = np.concatenate([np.zeros((1, 2), int), *(np.stack([each["ypix"], each["xpix"]], 1) for each in records)])
    height, width = (int(length) for length in places.max(axis=0) + 1)
    made_up = ["tau", "meanImg", "meanImgE", "spks.npy", *(["Fneu.npy"] if raw.neuropil is None else [])]
    settings[PLACEHOLDERS] = [*made_up, *(key for key in ("Ly", "Lx") if key not in settings)]
    shape = settings.setdefault("Ly", height), settings.setdefault("Lx", width)
    settings["yrange"], settings["xrange"] = [0, shape[0]], [0, shape[1]]
    settings["diameter"] = 2 * float(np.median([each["radius"] for each in records])) if len(records) else _DIAMETER
    settings["aspect"], settings["tau"] = 1.0, _TAU_S
    image = np.zeros(shape, np.float32)  # of the masks
    for each in records:
        np.add.at(image, (each["ypix"], each["xpix"]), each["lam"])
    settings["meanImg"] = settings["meanImgE"] = image / max(1e-9, float(image.max()))
    for name in made_up:
        if name.endswith(".npy"):
            _save_zeros(folder / name, raw.shape)


def _save_zeros(path: Path, shape: tuple[int, ...]) -> None:
    """Zeros, which take no room on the disk where the file system knows holes."""
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 4 * math.prod(shape))


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
            "radius": math.sqrt(max(1, len(pixels)) / math.pi),
            "med": [int(middle) for middle in np.median(pixels, axis=0)] if len(pixels) else [0, 0],
            "overlap": np.array([tuple(pixel) in shared for pixel in pixels.tolist()], dtype=bool),
        }
        for pixels, weights in zip(plane.rois.pixels, plane.rois.weights, strict=True)
    ]


def _save(folder: Path, name: str, content: Any) -> None:
    np.save(folder / f"{name}.npy", content, allow_pickle=True)
