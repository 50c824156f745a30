"""What a container is when the process that writes into it has been killed.

    python benchmarks/kills.py                        # every container, 400 kills each
    python benchmarks/kills.py --kills 1000 suite2p nwb

needs the extra ``test``. Each kill is a SIGKILL to a process that writes, restores or converts: half of them come at a
random time (as ``before``, ``during`` and ``after`` tell, of the write), half at a random step: right before a file is
opened, renamed or removed, or at a line of the code that puts things in their place, all such points being equally
likely. Then every file is opened by its own library (numpy, h5py by the rules of CaImAn, pynwb, hdmf-zarr, scipy) and
compared: with what was there before (``old``), and with what a run that is not killed makes (``new``). ``mended`` are
those that were in between, and are old or new once any command of ours has looked at them; ``unreadable`` are those
among them that their own library could not open till then. In the end the killed command is repeated, or everything is
restored: anything but exactly the new, or exactly the original files, with nothing beside them, is ``broken``, as is
whatever else goes wrong. The exit status is 1 if anything is. The table goes to ``results/reliability_kills.csv``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import pickle
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr
from hdmf_zarr import NWBZarrIO
from pynwb import NWBHDF5IO
from scipy.io import loadmat

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # their builders of files

import array_files  # noqa: E402
import caiman_files  # noqa: E402
import nwb_files  # noqa: E402
import sessions  # noqa: E402
import suite2p_folders  # noqa: E402
from killing import OPERATIONS  # noqa: E402

from cascade_adapters.arrays import ArrayFile  # noqa: E402
from cascade_adapters.base import Container, Reading, Results, Selection  # noqa: E402
from cascade_adapters.caiman import CaimanFile  # noqa: E402
from cascade_adapters.convert import convert, read_metadata  # noqa: E402
from cascade_adapters.nwb import NwbRecording  # noqa: E402
from cascade_adapters.suite2p import Suite2pPlane  # noqa: E402
from cascade_engine.errors import InputError  # noqa: E402

TABLE = ROOT / "benchmarks" / "results" / "reliability_kills.csv"

#: Code whose every line is a step at which a process is killed.
PUTS_IN_PLACE = (
    "transaction.py", "rewriting.py", "undo_journal.py", "overlay_file.py", "beside.py", "placing.py",
    "cascade_engine/files.py", "nwb/files.py", "nwb/output.py", "nwb/hdf5_file.py", "nwb/zarr_store.py",
    "caiman/undo.py",
)  # fmt: skip

#: What differs between two runs that write the same: random names of objects, and times.
VARYING = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d)?"
    r"|(stamp|mtime)_ns\\*\": \d+"
    r"|_cascade\.mat\": \"[0-9a-f]{64}"  # the header of MATLAB v5 tells the time
)

#: Names of files that a second run leaves as the first does: not chunks, nor the journals of changes in place.
MAY_NOT_DIFFER = re.compile(r"^(?!.*(\.zarr/|\.cascade-undo\d+$))").match


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


# ------------------------------------------------------------------------------------------------- containers, modes


def adapter_modes(
    work: Path,
    container: str,
    make: Callable[[Path], object],
    find: Callable[[Path], Container],
    runs: dict[str, tuple[str, str, bool]],
    restored: dict[str, tuple[str, ...]],
    prefix: str = "",
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
    """
    folders = {"original": work / "original"}
    folders["original"].mkdir(parents=True)
    make(folders["original"])
    reading = Reading(frame_rate=find(folders["original"]).read(Reading(frame_rate=30.0)).frame_rate)

    def look(folder: Path) -> None:
        find(folder).results()

    def restore(folder: Path) -> None:
        find(folder).restore()

    for seed, (name, (before, after, replace_spikes)) in enumerate(runs.items()):
        results = made_up(find(folders["original"]), reading, seed)

        def write(folder: Path, results: Results = results, replace_spikes: bool = replace_spikes) -> None:
            find(folder).write(replace(results, provenance=dict(results.provenance)), replace_spikes)

        folders[after] = apart(folders[before], work / after, write)
        states = (folders[before], folders[after], folders["original"])
        yield Mode(container, prefix + name, *states, write, look, restore)
    for name, (before, *passed) in restored.items():
        states = (folders[before], apart(folders[before], work / name, restore), folders["original"])
        on_the_way = tuple(folders[each] for each in passed)
        yield Mode(container, prefix + name, *states, restore, look, restore, on_the_way)


def made_up(container: Container, reading: Reading, seed: int) -> Results:
    """Results that need no model."""
    traces, rng = container.read(reading), np.random.default_rng(seed)
    spike_prob = rng.exponential(0.1, traces.shape).astype(np.float32)
    spike_prob[:, :31] = np.nan
    record = {
        "model": {"name": "made up"},
        "recording": {"frame_rate_hz": traces.frame_rate, "n_frames": traces.shape[1]},
        "input": container.fingerprint(),
        "seed": seed,
    }
    levels = rng.uniform(1, 3, traces.shape[0])
    return Results(spike_prob, rng.standard_normal(traces.shape, np.float32), levels.astype(np.float32), record)


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
        yield from adapter_modes(work / prefix[:-2], "NWB, HDF5", make, find, runs, restored, prefix)


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
    record = {"format": 1, "software": {"cascade-spikes": "0"}, "model": {"name": "made up"}}
    results = made_up(plane, Reading(), 0)
    plane.write(replace(results, provenance=record | results.provenance))
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


# ------------------------------------------------------------------------------------------------- contents of a folder


def contents(folder: Path) -> dict[str, Any]:
    """What the libraries of all files in a folder find in them; hidden files and folders are no one's."""
    found: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.name.endswith(".zarr"):
            found |= {f"{path.name}/{name}": content for name, content in contents(path).items()}
        elif path.is_dir():
            found[path.name] = zarr_content(path)
        else:
            found[path.name] = file_content(path.suffix, path.read_bytes(), path)
    return found


class _Known:
    """A path that does not count when two calls are compared."""

    def __init__(self, path: Path):
        self.path = path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known)

    def __hash__(self) -> int:
        return 0


def file_content(suffix: str, stored: bytes, path: Path) -> Any:
    """What a file holds; one that was opened before is not opened again."""
    return _file_content(suffix, stored, _Known(path))


@lru_cache(maxsize=256)
def _file_content(suffix: str, stored: bytes, known: _Known) -> Any:
    path = known.path
    if suffix == ".npy":
        np.load(path, allow_pickle=True)
        return stored
    if suffix == ".npz":
        with np.load(path) as archive:
            return {name: plain(archive[name]) for name in archive}
    if suffix == ".mat":
        try:
            variables = loadmat(path)
        except NotImplementedError:
            return hdf5_content(path)
        return {name: plain(value) for name, value in variables.items() if not name.startswith("__")}
    if suffix == ".nwb":
        with NWBHDF5IO(str(path), "r", load_namespaces=True) as reader:
            reader.read()
        return hdf5_content(path)
    if suffix == ".hdf5":
        caiman_files.load(path)
        return stored
    text = stored.decode()
    if suffix == ".json":
        json.loads(text)
    return VARYING.sub("", text)


def hdf5_content(path: Path) -> dict[str, Any]:
    """Everything in an HDF5 file but the random names of its objects."""
    found: dict[str, Any] = {}
    with h5py.File(path, "r") as file:

        def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
            value = plain(item[()], file) if isinstance(item, h5py.Dataset) else None
            found[name] = (value, sorted((key, plain(value, file)) for key, value in item.attrs.items()))

        add("", file)
        file.visititems(add)
    return found


def zarr_content(path: Path) -> dict[str, Any]:
    """Everything in a Zarr store but the random names of its objects."""
    with NWBZarrIO(str(path), "r", load_namespaces=True) as reader:
        reader.read()
    found: dict[str, Any] = {}

    def add(name: str, item: zarr.Group | zarr.Array) -> None:
        value = plain(item[...]) if isinstance(item, zarr.Array) else None
        found[name] = (value, VARYING.sub("", json.dumps(dict(item.attrs), sort_keys=True)))

    root = zarr.open_group(str(path), mode="r")
    add("", root)
    root.visititems(add)
    return found


def plain(value: Any, file: h5py.File | None = None) -> Any:
    """A value in a form that can be compared."""
    if isinstance(value, h5py.Reference):
        return file[value].name
    if isinstance(value, np.ndarray) and value.dtype.kind in "OUV":
        return [plain(each, file) for each in value.ravel()]
    if isinstance(value, np.ndarray | np.number | np.bool_):
        return value.dtype.str, value.shape, value.tobytes()
    return VARYING.sub("", value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def stored_bytes(folder: Path) -> dict[str, bytes | None]:
    """Every file in a folder, hidden ones too, and the names of all folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


# ---------------------------------------------------------------------------------------------------------------- kills


def apart(before: Path, folder: Path, action: Callable[[Path], object]) -> Path:
    """Do something to a copy of a folder, in a process of its own; returns the copy."""
    shutil.copytree(before, folder, symlinks=True)
    told(lambda: action(folder) and None)
    return folder


def told(action: Callable[[], Any]) -> Any:
    """What a function returns that is called in a forked process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        answer: tuple[bool, Any] = (False, "ended")
        try:
            answer = (True, action())
        except BaseException:
            answer = (False, traceback.format_exc())
        finally:
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(answer, pipe)
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answered = pipe.read()
    status = os.waitpid(child, 0)[1]
    good, result = pickle.loads(answered) if answered else (False, f"the process ended with status {status}")
    if not good:
        raise RuntimeError(result)
    return result


def killed_by_clock(action: Callable[[], object], delay_s: float | None) -> tuple[str, float]:
    """Kill a process a while after it was made; returns when that was, of the action, and how long that took.

    A delay of None waits for the end of the action.
    """
    reading, writing = os.pipe()
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, b"(")
            action()
            os.write(writing, b")")
            signal.pause()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        if delay_s is None:
            heard = pipe.read(1) + pipe.read(1)
        else:
            time.sleep(max(0.0, delay_s - (time.perf_counter() - start)))
            heard = b""
        taken_s = time.perf_counter() - start
        os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        heard += pipe.read()
    if status != -signal.SIGKILL:
        raise RuntimeError("the action failed by itself")
    return {b"": "before", b"(": "during", b"()": "after"}[heard], taken_s


def steps_of(action: Callable[[], object]) -> Counter:
    """How often an action passes each point at which `killed_at_step` could end it."""
    counter: Counter = Counter()
    _at_steps(lambda step: counter.update([step]))
    action()
    sys.settrace(None)
    return counter


def killed_at_step(action: Callable[[], object], step: tuple, n_earlier: int) -> str:
    """Kill a process when it passes a point for the time after `n_earlier`; returns when that was, of the action."""
    child = os.fork()
    if child == 0:
        left = n_earlier

        def stop(passed: tuple) -> None:
            nonlocal left
            if passed == step:
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1

        try:
            _at_steps(stop)
            action()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, -signal.SIGKILL):
        raise RuntimeError("the action failed by itself")
    return "during" if status else "after"


def _at_steps(heed: Callable[[tuple], None]) -> None:
    def trace(frame, event, argument):
        if not frame.f_code.co_filename.endswith(PUTS_IN_PLACE):
            return None
        if event == "line":
            heed((Path(frame.f_code.co_filename).name, frame.f_lineno))
        return trace

    sys.addaudithook(lambda event, arguments: heed((event,)) if event in OPERATIONS else None)
    sys.settrace(trace)


# ------------------------------------------------------------------------------------------------------------- outcomes


def run_mode(mode: Mode, n_kills: int, folder: Path, rng: np.random.Generator) -> Counter:
    """Kill one mode many times.

    Parameters
    ----------
    mode : Mode
        What is killed.
    n_kills : int
        How often.
    folder : Path
        Where it happens.
    rng : np.random.Generator
        Says when.

    Returns
    -------
    Counter
        Kills by the columns of the table.
    """
    old, new = [contents(state) for state in (mode.before, *mode.on_the_way)], contents(mode.after)
    fresh(mode.before, folder)
    steps = told(lambda: steps_of(lambda: mode.write(folder)))
    places = sorted(steps, key=str)
    durations = []
    for _ in range(3):
        fresh(mode.before, folder)
        durations.append(killed_by_clock(lambda: mode.write(folder), None)[1])
    count: Counter = Counter()
    for number in range(n_kills):
        fresh(mode.before, folder)
        if number % 2:
            moment = rng.uniform(0.0, 1.1 * sorted(durations)[1])
            when, _ = killed_by_clock(lambda: mode.write(folder), moment)
            told_moment = f"after {moment:.4f} s"
        else:
            place = places[rng.integers(len(places))]
            n_earlier = int(rng.integers(steps[place]))
            when = killed_at_step(lambda: mode.write(folder), place, n_earlier)
            told_moment = f"at {place}, time {n_earlier + 1}"
        how = "repeat" if mode.restore is None or rng.random() < 0.5 else "restore"
        try:
            seen = told(lambda how=how: judge(mode, folder, old, new, how))
        except RuntimeError as error:
            seen = ["broken"]
            print(f"BROKEN: {mode.container}, {mode.name}, killed {told_moment}, then {how}: {error}", flush=True)
        count.update(["kills", when, *seen])
    return count


def fresh(before: Path, folder: Path) -> None:
    """Put a copy of a state in place, with all times of modification."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(before, folder, symlinks=True)


def judge(mode: Mode, folder: Path, old: list[dict], new: dict, how: str) -> list[str]:
    """Say what a killed process has left, and whether the next commands make it whole.

    Parameters
    ----------
    mode : Mode
        What was killed.
    folder : Path
        Where.
    old : list of dict
        Contents before the write, and on the way.
    new : dict
        Contents after it.
    how : {"repeat", "restore"}
        What is done in the end.

    Returns
    -------
    list of str
        Columns of the table that count this kill.

    Raises
    ------
    AssertionError
        If it is broken.
    """
    seen = []
    try:
        found = contents(folder)
        if found not in (*old, new):
            seen.append("mended")
    except Exception:
        seen += ["mended", "unreadable"]
    mode.look(folder)
    found = contents(folder)
    assert found in (*old, new), f"neither old nor new: {differences(found, old[0])}; {differences(found, new)}"
    seen.append("old" if found in old else "new")
    if how == "repeat":
        mode.write(folder)
        found = contents(folder)
        assert found == new, f"repeated, it is not new: {differences(found, new)}"
        here, there = (set(filter(MAY_NOT_DIFFER, stored_bytes(each))) for each in (folder, mode.after))
        assert here == there, f"repeated, there are other files: {sorted(here ^ there)[:10]}"
    else:
        mode.restore(folder)
        here, there = stored_bytes(folder), stored_bytes(mode.original)
        assert here == there, f"restored, it is not the original: {differences(here, there)}"
    return seen


def differences(found: dict, expected: dict) -> list[str]:
    """Names under which two dictionaries differ."""
    names = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    return [f"{name} ({'other' if name in found and name in expected else 'only in one'})" for name in names][:10]


COLUMNS = ("kills", "before", "during", "after", "old", "new", "mended", "unreadable", "broken")


def write_table(rows: dict[tuple[str, str], Counter]) -> None:
    """Write the table, keeping the rows of containers that were not killed this time."""
    kept = []
    if TABLE.is_file():
        with TABLE.open(newline="") as file:
            kept = [row for row in list(csv.reader(file))[1:] if row[0] not in {container for container, _ in rows}]
    TABLE.parent.mkdir(exist_ok=True)
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["container", "mode", *COLUMNS])
        writer.writerows(kept)
        writer.writerows([*names, *(count[column] for column in COLUMNS)] for names, count in rows.items())


def main() -> None:
    """Kill as often as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("containers", nargs="*", metavar="CONTAINER", help=f"of {', '.join(CONTAINERS)} [default: all]")
    parser.add_argument("--kills", type=int, default=400, help="per container, shared by its modes [default: 400]")
    parser.add_argument("--seed", type=int, default=0, help="says when processes are killed [default: 0]")
    arguments = parser.parse_args()
    if unknown := set(arguments.containers) - set(CONTAINERS):
        parser.error(f"there is no container {', '.join(unknown)}")
    warnings.simplefilter("ignore")
    rows: dict[tuple[str, str], Counter] = {}
    with tempfile.TemporaryDirectory() as work:
        for number, name in enumerate(CONTAINERS):
            if name not in (arguments.containers or CONTAINERS):
                continue
            modes = list(CONTAINERS[name](Path(work) / name))
            rng = np.random.default_rng([arguments.seed, number])
            for mode in modes:
                start = time.perf_counter()
                count = run_mode(mode, -(-arguments.kills // len(modes)), Path(work) / "killed", rng)
                rows[mode.container, mode.name] = count
                figures = ", ".join(f"{count[column]} {column}" for column in COLUMNS)
                print(f"{mode.container}, {mode.name}: {figures} ({time.perf_counter() - start:.0f} s)", flush=True)
            write_table(rows)
    total = sum(rows.values(), Counter())
    print(f"in all: {', '.join(f'{total[column]} {column}' for column in COLUMNS)}")
    if total["broken"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
