"""Results of other segmentations in the layout that they write, with everything about them known."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat
from scipy.sparse import lil_matrix

from tests.builders.array_files import make_dff, save_mat73

RATE = 30.0
IMAGE_SHAPE = (12, 20)


def footprints(n_rois: int = 3) -> np.ndarray:
    """Images of the shape (height, width, n_rois): each ROI has four pixels of its own, of different weights."""
    images = np.zeros((*IMAGE_SHAPE, n_rois))
    for roi in range(n_rois):
        images[2 * roi : 2 * roi + 2, 5 * roi : 5 * roi + 2, roi] = [[1.0, 0.5], [0.25, 0.75]]
    return images


def save_extract(path: Path, values: np.ndarray | None = None, version: str = "7.3", **config: Any) -> Path:
    """Save EXTRACT's ``output``; traces of the shape (n_rois, n_frames)."""
    values = make_dff() if values is None else values
    settings = {"preprocess": 1.0, "skip_dff": 0.0, "trace_output_option": "baseline_adjusted", "use_gpu": 0.0}
    output = {
        "spatial_weights": footprints(len(values)).astype(np.float32),
        "temporal_weights": values.T,
        "info": {"version": "1.1.0", "summary_image": np.ones(IMAGE_SHAPE), "cellcheck": np.ones((3, 3))},
        "config": {**settings, "thresholds": {"T_min_snr": 7.0}, **config},
    }
    content = {"output": {**output, "config": {k: v for k, v in output["config"].items() if v is not None}}}
    save_mat73(path, content) if version == "7.3" else savemat(path, content, do_compression=True)
    return path


def save_ciatah_extract(path: Path, values: np.ndarray | None = None, **others: Any) -> Path:
    """Save EXTRACT's results as CIAtah does."""
    values = make_dff() if values is None else values
    analysis = {
        "filters": footprints(len(values)),
        "traces": values,
        "info": {"version": "0.9.1", "summary_image": np.ones(IMAGE_SHAPE)},
        "file": "movie.h5",
        "time": {"startTime": 1.0, "totalTime": 77.0},
        **others,
    }
    save_mat73(path, {"extractAnalysisOutput": analysis})
    return path


def save_cnmfe(path: Path, values: np.ndarray | None = None, **others: Any) -> Path:
    """Save CNMF-E's results as CIAtah does; the fit is a smooth trace."""
    values = make_dff() if values is None else values
    analysis = {
        "extractedImages": footprints(len(values)),
        "extractedSignals": np.maximum(values, 0.0) * 3.0,
        "extractedSignalsEst": values,
        "Cn": np.ones(IMAGE_SHAPE),
        "movieList": "movie.h5",
        "time": {"startTime": 1.0, "totalTime": 77.0},
        **others,
    }
    save_mat73(path, {"cnmfeAnalysisOutput": {name: value for name, value in analysis.items() if value is not None}})
    return path


def save_isxd(
    path: Path, values: np.ndarray | None = None, units: str | None = None, method: str = "pca-ica", **bad_frames: Any
) -> Path:
    """Write a cell set with Inscopix' own library; the last cell is rejected, the first accepted.

    Bad frames are ``dropped`` and ``blank`` ones, by their numbers, and ``cropped`` ones, by the ends of their ranges.
    """
    import isx

    values, images = make_dff() if values is None else values, footprints().astype(np.float32)
    timing = isx.Timing(num_samples=values.shape[1], period=isx.Duration.from_usecs(round(1e6 / RATE)), **bad_frames)
    cells = isx.CellSet.write(str(path), timing, isx.Spacing(num_pixels=IMAGE_SHAPE))
    for i, trace in enumerate(values):
        cells.set_cell_data(i, np.ascontiguousarray(images[:, :, i]), trace.astype(np.float32), f"C{i}")
    cells.set_cell_status(0, "accepted")
    cells.set_cell_status(len(values) - 1, "rejected")
    cells.flush()
    del cells
    if units is not None:
        # the library cannot write this part of the description; Inscopix' software does
        change_isxd(path, extraProperties={"idps": {"cellset": {"method": method, "units": units}}})
    return path


def change_isxd(path: Path, **changes: Any) -> None:
    """Change the description at the end of an Inscopix file."""
    content = path.read_bytes()
    length = int.from_bytes(content[-8:], "little")
    described = json.loads(content[-9 - length : -9]) | changes
    text = json.dumps(described, indent=4).encode()
    path.write_bytes(content[: -9 - length] + text + b"\0" + len(text).to_bytes(8, "little"))


def save_sima(folder: Path, sequences: list[np.ndarray], channel: int = 0, protocol: int = 2, **others: Any) -> Path:
    """Save ``signals_0.pkl`` as SIMA does: fluorescence relative to its mean, and ROIs as sparse masks."""
    folder.mkdir(exist_ok=True)
    images = footprints(len(sequences[0]))
    rois = [
        {"mask": [lil_matrix(images[:, :, roi])], "polygons": None, "id": str(roi), "label": None, "tags": {"red"}}
        for roi in range(images.shape[2])
    ]
    signals = {
        "raw": sequences,
        "mean_frame": np.ones((1, *IMAGE_SHAPE)),
        "overlap": (np.array([], dtype=int), np.array([], dtype=int)),
        "signal_channel": np.int64(channel),
        "rois": rois,
        "timestamp": "2015-01-01-10h00m00s",
        **others,
    }
    labels = others.pop("labels", ["2015-01-01-10h00m00s"])
    with (folder / f"signals_{channel}.pkl").open("wb") as file:
        pickle.dump(dict.fromkeys(labels, signals), file, protocol)
    for name in ("sequences", "dataset"):
        (folder / f"{name}.pkl").write_bytes(pickle.dumps([{"name": name}], protocol))
    return folder
