"""What damaged and hostile files do to the command ``cascade``, and it to them.

    python -m benchmarks.reliability.fuzz --work FOLDER                           # 2,400 cases
    python -m benchmarks.reliability.fuzz --work FOLDER --first 1200 --cases 600  # cases 1200 to 1799
    python -m benchmarks.reliability.fuzz --work FOLDER --kinds zarr caiman       # those of these kinds

needs the extra ``test``. Each case is a small recording of some kind, with or without earlier results, one file of
which is damaged (see `damage`): cut off, emptied, zeroed, bits turned, bytes overwritten, parts of wrong type or shape,
or, in the kind ``pickles``, replaced by a pickle that makes a file if it is unpickled. Then ``inspect``, ``convert``,
``run`` and ``restore`` are called, each in a process of its own. Counted by ``run``: ``refused`` (exit status 1) and
``succeeded`` (0); and by all commands:

tracebacks  a traceback, an "unforeseen failure", another exit status, a crash, or failing without a word
noise       lines in the error output that are not ours, such as warnings of libraries
hangs       no end within 60 s
damaged     ``inspect``, ``convert`` or a command that failed has changed or left a file; or, after ``run`` and
            ``restore``, files are not the same as after ``restore`` alone, which does nothing where there were no
            earlier results (those of ours, where there were, are not compared)
executed    the pickle has made its file

The exit status is 1 if any of these is there. A case depends on --seed and its number alone (but for random names in
NWB files). FOLDER keeps ``outcomes.jsonl`` with a line per case: the same command goes on where it was interrupted,
several at once can share the work, and --again repeats cases. The table goes to ``results/reliability_fuzz.csv``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from benchmarks.reliability.damage import damage, hostile, save_hostile
from benchmarks.reliability.folder_contents import hdf5_content
from benchmarks.reliability.killed_processes import told
from cascade_adapters.cli import main as cascade
from cascade_engine.file_formats.atomic import sha256
from cascade_engine.networks.windowed.config import ModelConfig
from cascade_engine.networks.windowed.writing import write_windowed_model
from tests.builders import array_files, caiman_files, nwb_files, segmentation_files, sessions, suite2p_folders
from tests.builders.models import random_network

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "benchmarks" / "results" / "reliability_fuzz.csv"

LIMIT_S = 60

#: Address space of a process: what a damaged header asks for must not take the machine down.
MEMORY_BYTES = 12 << 30

N_CASES = 2400


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

TARGETS = ("out.npz", "out.npz", "out_suite2p", "out.mat", "out.nwb", "out.nwb.zarr", "out_tables")


# ---------------------------------------------------------------------------------------------------------------- cases


def prepare(work: Path) -> None:
    """Make model and seeds, once."""
    model = work / "model"
    if not model.exists():
        config = ModelConfig("random", 30.0, ("none",), noise_levels=(1, 2, 4), ensemble_size=1)
        networks = {level: [random_network(10 * level, config)] for level in config.noise_levels}
        write_windowed_model(work / "model.part", config, networks, {"summary": "random weights"})
        os.replace(work / "model.part", model)
    for seed in SEEDS.values():
        place, part = work / "seeds" / seed.name, work / "seeds" / f"{seed.name}.part"
        if place.exists():
            continue
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        told(lambda seed=seed, part=part: quietly(lambda: seed.make(part)) and None)
        if seed.has_results:
            status, output = call(["run", str(part / seed.path), *run_options(seed, work)])
            if status:
                raise RuntimeError(f"{seed.name}: {output}")
        os.replace(part, place)


def quietly(action: Callable[[], Any]) -> Any:
    """Call a function without the warnings of the libraries that it calls."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return action()


def run_options(seed: Seed, work: Path) -> list[str]:
    """Options of ``cascade run``."""
    common = ["--model", str(work / "model"), "--existing", "overwrite", "--threads", "1", "--quiet"]
    return [*common, *seed.reading, *seed.writing]


def call(arguments: list[str]) -> tuple[int, str]:
    """Call ``cascade`` in a process of its own; returns its exit status (negative: a signal) and its error output."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 2
        try:
            os.dup2(writing, 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.stdout, sys.stderr = (os.fdopen(handle, "w", closefd=False) for handle in (1, 2))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(LIMIT_S)
            cascade(arguments)
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        output = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), output.decode(errors="replace")


def state(folder: Path) -> dict[str, str]:
    """Everything in a folder: SHA-256 of files, and where links lead."""
    found = {}
    for path in sorted(folder.rglob("*")):
        kind = "folder" if path.is_dir() else "other"
        content = os.readlink(path) if path.is_symlink() else sha256(path) if path.is_file() else kind
        found[str(path.relative_to(folder))] = content
    return found


class Case:
    """One damaged recording.

    Parameters
    ----------
    work : Path
        Holds model and seeds.
    first_seed, number : int
        Together they say what is damaged, and how.
    """

    def __init__(self, work: Path, first_seed: int, number: int):
        self._work, self._rng = work, np.random.default_rng([first_seed, number])
        self.number, self.kind = number, kind_of(number)
        seeds = list(HOSTILE) if self.kind == "pickles" else [seed.name for seed in KINDS[self.kind]]
        self.seed = SEEDS[seeds[self._rng.integers(len(seeds))]]
        self._place = work / f"case-{number}"
        self._marker = self._place / "executed"
        self._folder = self._place / "data"
        self._path = self._folder / self.seed.path
        self.problems: list[list[str]] = []
        self.what, self.status = "", 0

    def go(self) -> dict[str, Any]:
        """Damage the recording, call the commands, and say what happened."""
        shutil.rmtree(self._place, ignore_errors=True)
        shutil.copytree(self._work / "seeds" / self.seed.name, self._folder, symlinks=True)
        start = time.perf_counter()
        self.what = told(lambda: quietly(self._damage))
        if not self._path.exists() and not self._path.is_symlink():
            self._path.mkdir()  # the command wants a path that exists
        model = ["--model", str(self._work / "model")]
        self._call(["inspect", str(self._path), *model, *self.seed.reading], may_change=False)
        self._convert()
        alone = self._place / "alone"
        shutil.copytree(self._folder, alone / "data", symlinks=True)
        self.status = self._call(["run", str(self._path), *run_options(self.seed, self._work)])
        restored = self._call(["restore", str(self._path)])
        alone_restored = self._call(["restore", str(alone / "data" / self.seed.path)], alone)
        self._compare(alone / "data", restored, alone_restored)
        outcome = {
            "case": self.number,
            "kind": self.kind,
            "seed": self.seed.name,
            "damage": self.what,
            "status": self.status,
            "seconds": round(time.perf_counter() - start, 1),
            "problems": self.problems,
        }
        shutil.rmtree(self._place, ignore_errors=True)
        return outcome

    def _damage(self) -> str:
        files = [path for path in sorted(self._folder.rglob("*")) if path.is_file()]
        if self.kind != "pickles":
            return damage(_choose(files, self._rng), self._rng)
        names = HOSTILE[self.seed.name]
        name = names[self._rng.integers(len(names))]
        files = [path for path in files if path.name == name and "specifications" not in path.parts]
        file = files[self._rng.integers(len(files))] if files else self._path / name
        how, content = hostile(self._marker, self._rng)
        return f"{file.name}: {save_hostile(file, content, self._rng)}, {how}"

    def _call(self, arguments: list[str], folder: Path | None = None, may_change: bool = True) -> int:
        """Call a command and note what is wrong with how it ends; returns its exit status."""
        folder, name = folder or self._folder, arguments[0]
        before = state(folder)
        status, output = call(arguments)
        if status == -signal.SIGALRM:
            self._note("hangs", name, f"no end within {LIMIT_S} s")
        elif status not in (0, 1):
            self._note("tracebacks", name, f"exit status {status}: {output[-2000:]}")
        elif "Traceback" in output or "unforeseen failure" in output:
            self._note("tracebacks", name, output[-2000:])
        elif status and not output.strip():
            self._note("tracebacks", name, "not a word")
        elif (output and not status) or not all(is_clear(line) for line in output.splitlines()):
            self._note("noise", name, f"status {status}: {output[-2000:]!r}")
        if (status or not may_change) and state(folder) != before:
            self._note("damaged", name, f"status {status}, {_differences(before, state(folder))}")
        if self._marker.exists() or self._marker.is_symlink():
            self._note("executed", name, "")
            is_folder = self._marker.is_dir() and not self._marker.is_symlink()
            shutil.rmtree(self._marker) if is_folder else self._marker.unlink()
        return status

    def _convert(self) -> None:
        target = self._place / "out" / TARGETS[self._rng.integers(len(TARGETS))]
        target.parent.mkdir()
        options = ["--session-start-time", "2024-05-17T12:30:00Z", *self.seed.reading]
        options += ["--to", "csv"] if target.name == "out_tables" else []
        status = self._call(["convert", str(self._path), str(target), *options], may_change=False)
        left = sorted(path.name for path in target.parent.iterdir())
        if left != ([] if status else [target.name]):
            self._note("damaged", "convert", f"status {status}, there are {left}")

    def _compare(self, alone: Path, restored: int, alone_restored: int) -> None:
        """Compare what ``run`` and ``restore`` have led to with what ``restore`` alone has."""
        if self.status or restored or alone_restored:
            return  # a command that fails changes nothing, which was looked at already
        found, expected = state(self._folder), state(alone)
        for name in {*found, *expected}:
            is_ours = self.seed.has_results and "cascade" in name  # what was there before is not kept by a new run
            if is_ours or found.get(name) == expected.get(name):
                continue
            if not (self.seed.has_results and _hold_the_same(self._folder / name, alone / name)):
                self._note("damaged", "run and restore", f"{_differences(expected, found)}")
                return

    def _note(self, column: str, command: str, text: str) -> None:
        self.problems.append([column, command, text.replace(str(self._place), "")])


def kind_of(number: int) -> str:
    """Which kind of recording a case is about."""
    return ALL_KINDS[number % len(ALL_KINDS)]


def is_clear(line: str) -> bool:
    """Whether a line of the error output is one of ours, of a length that can be read."""
    return len(line) < 1500 and not line.startswith((" ", "\t")) and "Warning:" not in line


def _choose(files: list[Path], rng: np.random.Generator) -> Path:
    """One of the files; of those of a Zarr store, one in four is of the traces or of the root."""
    important = [file for file in files if {"RoiResponseSeries", ".zmetadata"} & set(file.parts)]
    few = important if important and rng.random() < 0.5 else files
    return few[rng.integers(len(few))]


def _differences(before: dict[str, str], after: dict[str, str]) -> str:
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    told_names = [
        f"{name} {'new' if name not in before else 'gone' if name not in after else 'other'}" for name in names
    ]
    return ", ".join(told_names[:8])


def _hold_the_same(first: Path, second: Path) -> bool:
    """Whether two HDF5 files have the same content: it is all that is promised if a file was changed after a run."""
    try:
        return first.suffix in (".nwb", ".hdf5") and told(lambda: hdf5_content(first) == hdf5_content(second))
    except RuntimeError:
        return False


# ---------------------------------------------------------------------------------------------------------------- table

COLUMNS = ("cases", "refused", "succeeded", "tracebacks", "noise", "hangs", "damaged", "executed")


def summarise(outcomes: Iterable[dict[str, Any]]) -> dict[str, Counter]:
    """Counts per kind; a case with several problems of one sort counts once."""
    table = {kind: Counter() for kind in ALL_KINDS}
    for outcome in outcomes:
        counted = ["cases", "succeeded" if outcome["status"] == 0 else "refused"]
        table[outcome["kind"]].update([*counted, *{column for column, *_ in outcome["problems"]}])
    return table


def read_outcomes(file: Path) -> dict[int, dict[str, Any]]:
    """The latest outcome of each case."""
    lines = file.read_text("utf-8").splitlines() if file.is_file() else []
    outcomes = (json.loads(line) for line in lines)
    return {outcome["case"]: outcome for outcome in outcomes}


def main() -> None:
    """Go through the cases that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for seeds and outcomes")
    parser.add_argument("--seed", type=int, default=0, help="another number gives other cases [default: 0]")
    parser.add_argument("--first", type=int, default=0, help="number of the first case [default: 0]")
    parser.add_argument("--cases", type=int, default=N_CASES, help=f"how many [default: {N_CASES}]")
    parser.add_argument("--kinds", nargs="+", choices=ALL_KINDS, default=ALL_KINDS, help="only these [default: all]")
    parser.add_argument("--again", action="store_true", help="repeat cases that were done before")
    arguments = parser.parse_args()
    work = arguments.work.resolve() / f"seed{arguments.seed}"
    work.mkdir(parents=True, exist_ok=True)
    prepare(work)
    outcomes = work / "outcomes.jsonl"
    done = {} if arguments.again else read_outcomes(outcomes)
    for number in range(arguments.first, arguments.first + arguments.cases):
        if number in done or kind_of(number) not in arguments.kinds:
            continue
        outcome = Case(work, arguments.seed, number).go()
        with outcomes.open("a", encoding="utf-8") as file:
            file.write(json.dumps(outcome) + "\n")
        for column, command, text in outcome["problems"]:
            print(f"case {number}, {outcome['seed']}, {outcome['damage']}: {column}, {command}: {text}", flush=True)
    table = summarise(read_outcomes(outcomes).values())
    total = sum(table.values(), Counter())
    TABLE.parent.mkdir(exist_ok=True)
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["kind", *COLUMNS])
        writer.writerows([kind, *(count[column] for column in COLUMNS)] for kind, count in table.items())
    for kind, count in (*table.items(), ("in all", total)):
        print(f"{kind}: {', '.join(f'{count[column]} {column}' for column in COLUMNS)}")
    if any(total[column] for column in COLUMNS[3:]):
        sys.exit(1)


if __name__ == "__main__":
    main()
