"""Every way in which a process writes into a container: what `kills.py` kills."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np

from benchmarks.reliability.killed_processes import told
from benchmarks.reliability.random_model import make_model
from cascade_adapters.containers.arrays import ArrayFile
from cascade_adapters.containers.base import Container, Reading, Selection
from cascade_adapters.containers.caiman.file import CaimanFile
from cascade_adapters.containers.nwb import NwbRecording
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.convert import convert, read_metadata
from cascade_adapters.results import Results, Spikes
from cascade_adapters.results.record import SpikesFound
from cascade_adapters.running.batch import process_all, restore_all
from cascade_adapters.running.options import parse_options
from cascade_adapters.running.report import Report
from cascade_engine.errors import InputError
from tests.builders import array_files, caiman_files, nwb_files, sessions, suite2p_folders
from tests.builders.running import made_up_record, made_up_results


@dataclass(frozen=True)
class Mode:
    """One way of writing into a container.

    Attributes
    ----------
    container, name : str
        What is written to, and how.
    before, after, original : Path
        Folders as they are before and after the write, and as they were before any.
    write : callable
        Does it, in a folder like `before`.
    look : callable
        What every command does first.
    restore : callable or None
        Takes everything back; None where there is nothing to take back.
    on_the_way : tuple of Path
        States, whole too, that are passed; they count as old.
    """

    container: str
    name: str
    before: Path
    after: Path
    original: Path
    write: Callable[[Path], object]
    look: Callable[[Path], object]
    restore: Callable[[Path], object] | None
    on_the_way: tuple[Path, ...] = ()


def adapter_modes(
    work: Path,
    container: str,
    make: Callable[[Path], object],
    find: Callable[[Path], Container],
    runs: dict[str, tuple[str, str, bool]],
    restored: dict[str, tuple[str, ...]],
    prefix: str = "",
    with_run: bool = False,
) -> Iterator[Mode]:
    """Modes of a container that takes results.

    Parameters
    ----------
    work : Path
        Where the folders of all states go.
    container : str
        What it is called in the table.
    make : callable
        Puts the original into an empty folder.
    find : callable
        Gives the container in such a folder.
    runs : dict
        For each mode the states before and after ("original", or of another mode), and whether spikes are replaced.
    restored : dict
        Modes of restoring, the state that each begins with, and those that it passes.
    prefix : str
        What the name of each mode begins with.
    with_run : bool
        Kill the whole of ``cascade run``, too.
    """
    folders = {"original": work / "original"}
    folders["original"].mkdir(parents=True)
    make(folders["original"])
    reading = Reading(frame_rate=find(folders["original"]).read(Reading(frame_rate=30.0)).frame_rate)

    def look(folder: Path) -> None:
        find(folder).record()

    def restore(folder: Path) -> None:
        done(restore_all([find(folder)]))

    for seed, (name, (before, after, replace_spikes)) in enumerate(runs.items()):
        results = made_up(find(folders["original"]), reading, seed)

        def write(folder: Path, results: Results = results, replace_spikes: bool = replace_spikes) -> None:
            find(folder).write(results, replace_spikes)

        folders[after] = apart(folders[before], work / after, write)
        states = (folders[before], folders[after], folders["original"])
        yield Mode(container, prefix + name, *states, write, look, restore)
    if with_run:
        run = partial(run_all, find=find, model=make_model(work / "model"))
        folders["run"] = apart(folders["original"], work / "run", run)
        states = (folders["original"], folders["run"], folders["original"])
        yield Mode(container, f"{prefix}cascade run", *states, run, look, restore)
    spikes, found = made_up_spikes(find(folders["original"]), reading)

    def add_spikes(folder: Path) -> None:
        container = find(folder)
        results = container.results()
        assert results is not None
        container.add_spikes(results, spikes, found)

    folders["spikes"] = apart(folders["first"], work / "spikes", add_spikes)
    states = (folders["first"], folders["spikes"], folders["original"])
    yield Mode(container, f"{prefix}cascade spikes", *states, add_spikes, look, restore)
    for name, (before, *passed) in restored.items():
        states = (folders[before], apart(folders[before], work / name, restore), folders["original"])
        on_the_way = tuple(folders[each] for each in passed)
        yield Mode(container, prefix + name, *states, restore, look, restore, on_the_way)


def apart(before: Path, folder: Path, action: Callable[[Path], object]) -> Path:
    """Do something to a copy of a folder, in a process of its own; returns the copy."""
    shutil.copytree(before, folder, symlinks=True)
    told(lambda: action(folder) and None)
    return folder


def run_all(folder: Path, find: Callable[[Path], Container], model: Path) -> None:
    """``cascade run``, with the time standing still so that the same is written each time."""
    with patch("cascade_adapters.running.pipeline.now", lambda: "2026-01-01T00:00:00+00:00"):
        done(process_all([find(folder)], parse_options({"model": str(model), "existing": "overwrite", "n_threads": 1})))


def done(reports: list[Report]) -> None:
    """Raise an error if a command has failed."""
    for report in reports:
        if report.status == "failed":
            raise RuntimeError(report.message)


def made_up(container: Container, reading: Reading, seed: int) -> Results:
    """Results that need no model."""
    traces, rng = container.read(reading), np.random.default_rng(seed)
    spike_prob = rng.exponential(0.1, traces.shape).astype(np.float32)
    spike_prob[:, :31] = np.nan
    record = replace(made_up_record(*traces.shape, traces.frame_rate, seed=seed), input=container.fingerprint())
    levels = rng.uniform(1, 3, traces.shape[0])
    return made_up_results(spike_prob, rng.standard_normal(traces.shape), levels, record)


def made_up_spikes(container: Container, reading: Reading) -> tuple[Spikes, SpikesFound]:
    """Discrete spikes, ten of each ROI, and how they came about."""
    traces, rng = container.read(reading), np.random.default_rng(0)
    n_rois, n_frames = traces.shape
    frames = np.sort(rng.integers(n_frames, size=(n_rois, 10))).ravel()
    roi, confidence = np.repeat(np.arange(n_rois), 10), rng.uniform(0, 1, 10 * n_rois)
    found = SpikesFound("2026-01-01T00:00:00+00:00", "0.2.0", 0.05, "gaussian", len(frames))
    return Spikes(roi, frames, frames / traces.frame_rate, confidence), found


def suite2p_modes(work: Path) -> Iterator[Mode]:
    """A plane of 60 ROIs x 4,000 frames."""
    runs = {
        "first run": ("original", "first", False),
        "overwrite": ("first", "second", False),
        "--replace-spks": ("first", "replaced", True),
        "overwrite --replace-spks": ("replaced", "replaced again", True),
        "overwrite, spks put back": ("replaced", "put back", False),
    }
    yield from adapter_modes(
        work,
        "suite2p",
        lambda folder: suite2p_folders.make_plane(folder / "plane0", 60, 4000),
        lambda folder: Suite2pPlane(folder / "plane0"),
        runs,
        {"restore": ("replaced",)},
        with_run=True,
    )


def caiman_modes(work: Path) -> Iterator[Mode]:
    """A file of 40 components x 3,000 frames."""
    runs = {
        "first run": ("original", "first", False),
        "overwrite": ("first", "second", False),
        "--replace-s": ("first", "replaced", True),
        "overwrite --replace-s": ("replaced", "replaced again", True),
    }
    yield from adapter_modes(
        work,
        "CaImAn",
        lambda folder: caiman_files.make_file(folder / "results.hdf5", n_components=40, n_frames=3000),
        lambda folder: CaimanFile(folder / "results.hdf5"),
        runs,
        {"restore": ("replaced",)},
        with_run=True,
    )


def nwb_modes(work: Path) -> Iterator[Mode]:
    """A file of 60 ROIs x 4,000 frames in HDF5."""

    def make(folder: Path) -> None:
        session = nwb_files.Session()
        session.series(session.table(60, mask="pixel_mask"), nwb_files.raw_traces(60, 4000))
        session.save(folder / "session.nwb")

    runs = {"first run": ("original", "first", False), "overwrite": ("first", "second", False)}
    restored = {"restore": ("first",)}
    for in_place, prefix in ((False, "new file: "), (True, "in place: ")):
        find = partial(_nwb, name="session.nwb", selection=Selection(in_place=in_place))
        restored |= {"restore of two runs": ("second", "first")} if in_place else {}
        yield from adapter_modes(work / prefix[:-2], "NWB, HDF5", make, find, runs, restored, prefix, True)


def zarr_modes(work: Path) -> Iterator[Mode]:
    """A Zarr store of 60 ROIs x 4,000 frames."""

    def make(folder: Path) -> None:
        session = nwb_files.Session()
        session.series(session.table(60, mask="pixel_mask"), nwb_files.raw_traces(60, 4000))
        session.save(folder / "session.nwb.zarr", zarr=True)

    runs = {"first run": ("original", "first", False), "overwrite": ("first", "second", False)}
    find = partial(_nwb, name="session.nwb.zarr", selection=Selection())
    yield from adapter_modes(work, "NWB, Zarr", make, find, runs, {"restore": ("first",)})


def _nwb(folder: Path, name: str, selection: Selection) -> NwbRecording:
    return NwbRecording(folder / name, selection=selection)


def array_modes(work: Path) -> Iterator[Mode]:
    """Matrices of 20 ROIs x 2,000 frames in every format."""
    selection = Selection(orientation="rois-first")
    runs = {"first run": ("original", "first", False), "overwrite": ("first", "second", False)}
    matrix = array_files.make_dff(20, 2000)
    for form in ("npy", "npz", "mat5", "mat73", "csv"):
        yield from adapter_modes(
            work / form,
            "arrays",
            partial(array_files.save, form=form, matrix=matrix),
            lambda folder, form=form: ArrayFile(array_files.path_of(folder, form), selection),
            runs,
            {"restore": ("first",)},
            f"{form}: ",
        )


def convert_modes(work: Path) -> Iterator[Mode]:
    """From a suite2p folder with results to everything."""
    source = sessions.make_session(work / "source", n_frames=3000)
    plane = Suite2pPlane(source / "plane0")
    plane.write(made_up(plane, Reading(), 0))
    metadata = read_metadata(None, ("session_start_time=2024-05-17T12:30:00Z",))
    (work / "nothing").mkdir()
    for name in ("out.nwb", "out.nwb.zarr", "out", "out.npz", "out.mat", "tables"):
        kind = "csv" if name == "tables" else None

        def write(folder: Path, name: str = name, kind: str | None = kind) -> None:
            with suppress(InputError) if (folder / name).exists() else nullcontext():  # it says that it is there
                convert(source, folder / name, kind, metadata=metadata)

        after = apart(work / "nothing", work / f"with {name}", write)
        label = {"out": "to suite2p", "tables": "to CSV"}.get(name, f"to {name[3:]}")
        yield Mode("convert", label, work / "nothing", after, work / "nothing", write, lambda folder: None, None)


CONTAINERS: dict[str, Callable[[Path], Iterator[Mode]]] = {
    "suite2p": suite2p_modes,
    "caiman": caiman_modes,
    "nwb": nwb_modes,
    "zarr": zarr_modes,
    "arrays": array_modes,
    "convert": convert_modes,
}
