"""Results as CaImAn makes them, with everything about them known; saved and loaded by the rules of its versions."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
from scipy.ndimage import gaussian_filter1d, percentile_filter
from scipy.sparse import csc_matrix, issparse

from cascade_engine.ground_truth import simulate_dataset

#: Up to 1.9.8 text is a dataset; up to 1.11 arrays with NaN cannot be saved.
VERSIONS = ("1.8.5", "1.11", "1.12.1")

IMAGE_SHAPE = (18, 14)


class Estimates(SimpleNamespace):
    """What CaImAn's class of this name holds; fields can be set at will."""


class CNMF(SimpleNamespace):
    """What CaImAn's class of this name holds."""


@lru_cache
def true_dff(n_components: int = 6, n_frames: int = 700, seed: int = 0) -> np.ndarray:
    """dF/F (fraction) at 20 Hz behind what `make_cnmf` gives."""
    simulated = simulate_dataset(n_components, n_frames / 20.0, 20.0, 2.0, seed)
    dff = np.stack([recording.dff for recording in simulated.recordings])
    dff.setflags(write=False)
    return dff


def make_cnmf(
    n_components: int = 6,
    n_frames: int = 700,
    frame_rate: Any = 20.0,
    dff: str | None = "constant",
    footprint_norm: float = 1.0,
    seed: int = 0,
) -> CNMF:
    """A fitted result. Its background makes most of the baseline; every second component is accepted.

    `dff` says what F_dff holds: see `detrend_df_f`. CaImAn makes the norm of A's columns 1 in the end.
    """
    rng = np.random.default_rng(seed)
    n_pixels = int(np.prod(IMAGE_SHAPE))
    footprints = np.zeros((n_pixels, n_components))
    for component in range(n_components):
        pixels = (np.arange(9) + 40 * component) % n_pixels
        footprints[pixels, component] = rng.uniform(0.3, 1.0, len(pixels))
    footprints *= footprint_norm / np.linalg.norm(footprints, axis=0)
    b = rng.uniform(20.0, 60.0, (n_pixels, 2))
    f = 1.0 + 0.01 * gaussian_filter1d(rng.standard_normal((2, n_frames)), 20.0)
    background = footprints.T @ b @ f / footprint_norm**2
    total = rng.uniform(1.1, 1.5, (n_components, 1)) * background.mean(axis=1, keepdims=True)
    traces = total * (1.0 + true_dff(n_components, n_frames, seed)) - background
    c = gaussian_filter1d(traces, 3.0, axis=1)
    texts = [str(value) for value in rng.random(n_components)]
    estimates = Estimates(
        A=csc_matrix(footprints), b=b, C=c, f=f, R=traces - c, YrA=traces - c, W=None, b0=None, F_dff=None,
        S=rng.exponential(5.0, c.shape), sn=rng.random(n_pixels), g=rng.random((n_components, 1)), bl=texts, c1=texts,
        neurons_sn=rng.random(n_components), lam=texts, center=rng.random((n_components, 2)),
        idx_components=np.arange(0, n_components, 2), idx_components_bad=np.arange(1, n_components, 2),
        SNR_comp=rng.random(n_components), r_values=rng.random(n_components), cnn_preds=[], ecc=None, noisyC=None,
        Ab=None, OASISinstances=None, nr=n_components, dims=IMAGE_SHAPE, shifts=[], discarded_components=None,
    )  # fmt: skip
    if dff is not None:
        estimates.F_dff = detrend_df_f(estimates, dff)
    params = {
        "data": {"fnames": ["/data/movie.tif"], "dims": IMAGE_SHAPE, "fr": frame_rate, "decay_time": 0.4,
                 "dxy": (1, 1), "var_name_hdf5": "mov"},
        "init": {"K": 4, "nr": 99, "method_init": "greedy_roi", "center_psf": False, "gSig": [5, 5], "kernel": None},
        "online": {"max_comp_update_shape": np.inf, "movie_name_online": "/data/m", "epochs": 1},
    }  # fmt: skip
    return CNMF(
        dview=None, skip_refinement=False, dims=IMAGE_SHAPE, mmap_file="/data/movie.mmap", estimates=estimates,
        params=CNMF(**params),
    )  # fmt: skip


def detrend_df_f(estimates: Estimates, how: str = "constant") -> np.ndarray:
    """What CaImAn writes as F_dff.

    "rolling" and "constant" are dF/F, over baselines in windows or of the whole trace; "denoised" is that of C alone;
    "detrended" is not divided by anything.
    """
    norms = np.sqrt(np.asarray(estimates.A.power(2).sum(axis=0))).ravel()[:, np.newaxis]
    traces = norms * (estimates.C + (0.0 if how == "denoised" else estimates.YrA))
    background = (estimates.A / norms.T).T @ estimates.b @ estimates.f
    if how == "rolling":
        resting, below = (percentile_filter(each, 30, size=(1, 500)) for each in (traces, background))
    else:
        resting, below = (np.percentile(each, 30, axis=1, keepdims=True) for each in (traces, background))
    return traces - resting if how == "detrended" else (traces - resting) / (resting + below)


def select_components(cnmf: CNMF, kept: list[int]) -> None:
    """Keep some components in memory, as CaImAn does: in a fixed list of fields."""
    estimates = cnmf.estimates
    for name in ("C", "S", "YrA", "R", "F_dff"):
        if getattr(estimates, name) is not None:
            setattr(estimates, name, getattr(estimates, name)[kept])
    estimates.A = estimates.A[:, kept]
    estimates.nr, estimates.idx_components, estimates.idx_components_bad = len(kept), None, None


def save(cnmf: CNMF, path: Path, version: str = "1.12.1") -> Path:
    """Write a result as a version of CaImAn does; raise where it would, with the old file gone by then."""
    with h5py.File(path, "w") as file:
        _save(file, vars(cnmf), version)
    return path


def load(path: Path, version: str = "1.12.1") -> CNMF:
    """Load a result as a version of CaImAn does."""
    with h5py.File(path, "r") as file:
        found = _load(file, version)
    found["estimates"], found["params"] = Estimates(**found["estimates"]), CNMF(**found["params"])
    return CNMF(**found)


def make_file(path: Path, version: str = "1.12.1", **options: Any) -> Path:
    """Write what `make_cnmf` gives."""
    return save(make_cnmf(**options), path, version)


def content(path: Path) -> dict[str, Any]:
    """Everything in an HDF5 file in its order: groups, datasets with type, layout and values, attributes."""
    found: dict[str, Any] = {}

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        found[name] = [
            (key, value.tobytes() if hasattr(value, "tobytes") else value) for key, value in item.attrs.items()
        ]
        if isinstance(item, h5py.Dataset):
            value = np.asarray(item[()])
            stored = value.tolist() if value.dtype == object else value.tobytes()
            found[name] += [item.dtype, item.shape, item.chunks, item.compression, stored]

    with h5py.File(path, "r") as file:
        add("/", file)
        file.visititems(add)
    return found


def _save(group: h5py.Group, fields: dict[str, Any], version: str) -> None:
    for name, value in fields.items():
        if isinstance(value, list | tuple):
            texts = len(value) > 0 and all(isinstance(each, str) for each in value)
            value = np.array(value).astype("S32") if texts else np.array(value)
        if value is None:
            group[name] = "NoneType"
        elif isinstance(value, str) and version != "1.8.5":
            group.attrs[name] = value
        elif isinstance(value, str | int | float | np.int64 | np.int32 | np.float32):
            group[name] = value
        elif isinstance(value, np.ndarray):
            group[name] = value
            if version in ("1.8.5", "1.11") and not np.array_equal(group[name][()], value):
                raise ValueError(f"Error while saving {name}")
        elif issparse(value):
            matrix = value.tocsc()
            for part in ("data", "indptr", "indices", "shape"):
                group[f"{name}/{part}"] = getattr(matrix, part)
        elif isinstance(value, dict | Estimates | CNMF):
            _save(group.create_group(name), value if isinstance(value, dict) else vars(value), version)
        else:
            raise ValueError(f"Cannot save {type(value)} type for key '{name}'.")


def _load(group: h5py.Group, version: str) -> dict[str, Any]:
    found: dict[str, Any] = {} if version == "1.8.5" else dict(group.attrs)
    for name, item in group.items():
        if isinstance(item, h5py.Dataset):
            value = item[()]
            if isinstance(value, bytes):
                value = None if value == b"NoneType" else value.decode() if version == "1.8.5" else value
            found[name] = bool(value) if isinstance(value, np.bool_) else value
        elif name == "A":
            found[name] = csc_matrix((item["data"][()], item["indices"][()], item["indptr"][()]), item["shape"][()])
        else:
            found[name] = _load(item, version)
    return found
