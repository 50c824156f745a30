"""The recordings that `fuzz` damages: small ones of every kind, some with earlier results."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from tests.builders import array_files, caiman_files, nwb_files, segmentation_files, sessions, suite2p_folders


@dataclass(frozen=True)
class Seed:
    """A recording that is whole.

    Attributes
    ----------
    name : str
        What it is called; the name of its folder too.
    path : str
        What is passed to the commands, in this folder.
    make : callable
        Puts it into an empty folder.
    reading : tuple of str
        Options by which it is read.
    writing : tuple of str
        Further options of ``run``.
    has_results : bool
        Whether ``run`` was called already.
    """

    name: str
    path: str
    make: Callable[[Path], object]
    reading: tuple[str, ...] = ()
    writing: tuple[str, ...] = ()
    has_results: bool = False


def _suite2p(name: str, *writing: str, has_results: bool = False, **options: Any) -> Seed:
    def make(folder: Path) -> None:
        sessions.make_session(folder / "suite2p", **{"n_rois": 4, "n_frames": 300, **options})

    return Seed(f"suite2p {name}", "suite2p", make, (), writing, has_results)


def _caiman(name: str, *writing: str, has_results: bool = False, **options: Any) -> Seed:
    def make(folder: Path) -> None:
        caiman_files.make_file(folder / "results.hdf5", **{"n_components": 4, "n_frames": 300, **options})

    return Seed(f"caiman {name}", "results.hdf5", make, (), writing, has_results)


def _nwb(name: str, layout: Callable[[Path], object], *writing: str, has_results: bool = False) -> Seed:
    path = "session.nwb.zarr" if name.startswith("zarr") else "session.nwb"
    return Seed(f"nwb {name}", path, lambda folder: layout(folder / path), (), writing, has_results)


def _array(form: str, has_results: bool = False, raw: bool = False) -> Seed:
    def make(folder: Path) -> None:
        matrix = array_files.make_dff()
        array_files.save(folder, form, 500 * (1 + matrix) if raw else matrix, **_beside_matrix(form))

    reading = ("--frame-rate", "30", "--orientation", "rois-first", *(["--raw"] if raw else []))
    name = f"{form}{' raw' if raw else ''}{' with results' if has_results else ''}"
    return Seed(f"array {name}", array_files.path_of(Path(), form).name, make, reading, (), has_results)


def _beside_matrix(form: str) -> dict[str, Any]:
    return {"name": "mouse", "trials": np.arange(5.0), "info": {"depth": 150.0}} if form.startswith("mat") else {}


def _fall(folder: Path) -> None:
    plane = suite2p_folders.make_plane(folder / "plane0", 4, 300).folder
    content: dict[str, Any] = {name: np.load(plane / f"{name}.npy") for name in ("F", "Fneu", "spks", "iscell")}
    settings = np.load(plane / "ops.npy", allow_pickle=True).item()
    content["ops"] = {name: str(value) if name == "date_proc" else value for name, value in settings.items()}
    savemat(folder / "Fall.mat", content)
    shutil.rmtree(plane)


def _segmentation(name: str, path: str, save: Callable[[Path], object], *reading: str) -> Seed:
    return Seed(f"segmentation {name}", path, lambda folder: save(folder / path), reading)


def _minian(folder: Path) -> None:
    import zarr

    for name in ("A", "C"):
        zarr.open_group(str(folder / f"{name}.zarr"), mode="w").create_dataset(name, data=array_files.make_dff())


def _sima(folder: Path) -> None:
    segmentation_files.save_sima(folder, [1 + 0.2 * array_files.make_dff()])


#: What is damaged, by the rows of the table.
KINDS: dict[str, tuple[Seed, ...]] = {
    "suite2p": (
        _suite2p("0.14"),
        _suite2p("1.1", "--replace-spks", generation="new"),
        _suite2p("with results", has_results=True),
        _suite2p("with replaced spks", "--replace-spks", has_results=True),
    ),
    "caiman": (
        _caiman("1.12"),
        _caiman("1.8", "--replace-s", version="1.8.5"),
        _caiman("1.12 with results", has_results=True),
        _caiman("1.12 with replaced S", "--replace-s", has_results=True),
    ),
    "nwb": (
        _nwb("simple", lambda path: nwb_files.simple(path)),
        _nwb("neuroconv", lambda path: nwb_files.neuroconv_layout(path)),
        _nwb("suite2p", lambda path: nwb_files.suite2p_layout(path, 1), "--in-place"),
        _nwb("allen", lambda path: nwb_files.allen_layout(path)),
        _nwb("caiman", lambda path: nwb_files.caiman_layout(path)),
        _nwb("with results", lambda path: nwb_files.simple(path), has_results=True),
        _nwb("with results in place", lambda path: nwb_files.simple(path), "--in-place", has_results=True),
    ),
    "zarr": (
        _nwb("zarr", lambda path: nwb_files.simple(path, zarr=True)),
        _nwb("zarr with results", lambda path: nwb_files.simple(path, zarr=True), has_results=True),
    ),
    "npy": (_array("npy"), _array("npy", raw=True), _array("npy", has_results=True)),
    "npz": (_array("npz"), _array("npz", has_results=True)),
    "mat v5": (_array("mat5"), _array("mat5", raw=True), _array("mat5", has_results=True)),
    "mat v7.3": (_array("mat73"), _array("mat73", has_results=True)),
    "csv": (_array("csv"), _array("txt"), _array("csv", has_results=True)),
    "Fall.mat": (Seed("fall", "Fall.mat", _fall),),
    "EXTRACT": (
        _segmentation("extract v5", "a.mat", lambda path: segmentation_files.save_extract(path, version="5")),
        _segmentation("extract v7.3", "a.mat", segmentation_files.save_extract),
        _segmentation("extract ciatah", "a.mat", segmentation_files.save_ciatah_extract),
    ),
    "CNMF-E": (_segmentation("cnmfe", "a.mat", segmentation_files.save_cnmfe, "--arbitrary-units"),),
    "Inscopix": (_segmentation("isxd", "a.isxd", lambda path: segmentation_files.save_isxd(path, units="dF over F")),),
    "SIMA": (_segmentation("sima", "a.sima", _sima, "--frame-rate", "30"),),
    "minian": (_segmentation("minian", "minian", _minian),),
}

#: Files that are replaced by hostile pickles.
HOSTILE: dict[str, tuple[str, ...]] = {
    "suite2p 0.14": ("ops.npy", "ops.npy", "stat.npy", "iscell.npy", "F.npy", "Fneu.npy", "spks.npy"),
    "suite2p 1.1": ("settings.npy", "settings.npy", "db.npy", "stat.npy", "detect_outputs.npy"),
    "suite2p with replaced spks": ("cascade_spike_prob.npy", "cascade_noise_levels.npy", "spks_suite2p.npy"),
    "array npy": ("traces.npy",),
    "array npz": ("traces.npz",),
    "array mat5": ("traces.mat",),
    "array csv": ("traces.csv",),
    "array npy with results": ("traces_cascade_dff.npy",),
    "caiman 1.12": ("results.hdf5",),
    "nwb simple": ("session.nwb",),
    "nwb zarr": (".zarray", ".zarray", ".zarray"),
    "segmentation sima": ("signals_0.pkl", "signals_0.pkl", "sequences.pkl", "dataset.pkl"),
    "segmentation isxd": ("a.isxd",),
}

ALL_KINDS = (*KINDS, "pickles")

SEEDS = {seed.name: seed for seeds in KINDS.values() for seed in seeds}


def kind_of(number: int) -> str:
    """Which kind of recording a case is about."""
    return ALL_KINDS[number % len(ALL_KINDS)]
