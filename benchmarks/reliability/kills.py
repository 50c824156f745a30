"""What a container is when the process that writes into it has been killed.

    python -m benchmarks.reliability.kills                        # every container, 400 kills each
    python -m benchmarks.reliability.kills --kills 1000 suite2p nwb

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
import re
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.reliability.folder_contents import contents, stored_bytes
from benchmarks.reliability.killed_processes import killed_at_step, killed_by_clock, steps_of, told
from benchmarks.reliability.writing_modes import CONTAINERS, Mode

TABLE = Path(__file__).resolve().parents[1] / "results" / "reliability_kills.csv"

#: Names of files that a second run leaves as the first does: not chunks, nor the journals of changes in place.
MAY_NOT_DIFFER = re.compile(r"^(?!.*(\.zarr/|\.cascade-undo\d+$))").match


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
