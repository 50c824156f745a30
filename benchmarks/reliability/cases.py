"""One case of `fuzz`: a recording is damaged, commands are called, and what they did is compared."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reliability.attributes import damage_attribute, has_attributes
from benchmarks.reliability.damage import damage, hostile, save_hostile
from benchmarks.reliability.folder_contents import hdf5_content
from benchmarks.reliability.killed_processes import told
from benchmarks.reliability.random_model import make_model
from benchmarks.reliability.recordings import HOSTILE, KINDS, SEEDS, Seed, kind_of
from cascade_adapters.cli import main as cascade
from cascade_engine.file_formats.atomic import sha256

LIMIT_S = 60

#: Address space that a command may have, and memory that it may use: a damaged header can ask for any amount.
ADDRESS_BYTES, MEMORY_BYTES = 8 << 30, 2 << 30

TARGETS = ("out.npz", "out.npz", "out_suite2p", "out.mat", "out.nwb", "out.nwb.zarr", "out_tables")


def prepare(work: Path) -> None:
    """Make model and seeds, once."""
    make_model(work / "model")
    for seed in SEEDS.values():
        place, part = work / "seeds" / seed.name, work / "seeds" / f"{seed.name}.part"
        if place.exists():
            continue
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        told(lambda seed=seed, part=part: quietly(lambda: seed.make(part)) and None)
        if seed.has_results:
            status, output, _ = call(["run", str(part / seed.path), *run_options(seed, work)])
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


def call(arguments: list[str]) -> tuple[int, str, int]:
    """Call ``cascade`` in a process of its own.

    Returns
    -------
    status : int
        Its exit status; negative: the signal that ended it.
    output : str
        Its error output.
    peak_bytes : int
        The memory that it took at most.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 2
        try:
            os.dup2(writing, 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.stdout, sys.stderr = (os.fdopen(handle, "w", closefd=False) for handle in (1, 2))
            resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
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
    _, status, used = os.wait4(child, 0)
    peak_bytes = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return os.waitstatus_to_exitcode(status), output.decode(errors="replace"), peak_bytes


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
    of_attributes : bool
        Damage an attribute, whatever else could be damaged.
    """

    def __init__(self, work: Path, first_seed: int, number: int, of_attributes: bool = False):
        self._of_attributes = of_attributes
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
        if self._of_attributes:
            files = [path for path in files if has_attributes(path)]
            return damage_attribute(_choose(files, self._rng), self._rng) if files else "nothing"
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
        status, output, peak_bytes = call(arguments)
        if peak_bytes > MEMORY_BYTES:
            self._note("memory", name, f"{peak_bytes / 1e9:.1f} GB")
        if status == -signal.SIGALRM:
            self._note("hangs", name, f"no end within {LIMIT_S} s")
        elif status < 0:
            self._note("signals", name, f"{signal.Signals(-status).name}: {output[-2000:]}")
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
