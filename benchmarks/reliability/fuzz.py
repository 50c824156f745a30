"""What damaged and hostile files do to the command ``cascade``, and it to them.

    python -m benchmarks.reliability.fuzz --work FOLDER                           # 2,400 cases
    python -m benchmarks.reliability.fuzz --work FOLDER --first 1200 --cases 600  # cases 1200 to 1799
    python -m benchmarks.reliability.fuzz --work FOLDER --kinds zarr caiman       # those of these kinds
    python -m benchmarks.reliability.fuzz --work FOLDER --attributes              # attributes of HDF5 and Zarr alone

needs the extra ``test``. Each case is a small recording of some kind, with or without earlier results, one file of
which is damaged (see `damage`): cut off, emptied, zeroed, bits turned, bytes overwritten, parts of wrong type or shape,
or, in the kind ``pickles``, replaced by a pickle that makes a file if it is unpickled. Then ``inspect``, ``convert``,
``run`` and ``restore`` are called, each in a process of its own whose memory is limited. Counted by ``run``:
``refused`` (exit status 1) and ``succeeded`` (0); and by all commands:

tracebacks  a traceback, an "unforeseen failure", another exit status, or failing without a word
signals     a command that was ended by a signal, as by a crash of a library
memory      more than 2 GB
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
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.reliability.attributes import KINDS_WITH_ATTRIBUTES
from benchmarks.reliability.cases import Case, prepare
from benchmarks.reliability.killed_processes import told
from benchmarks.reliability.recordings import ALL_KINDS, kind_of
from benchmarks.tables import RESULTS

TABLE = RESULTS / "reliability_fuzz.csv"

N_CASES = 2400

COLUMNS = ("cases", "refused", "succeeded", "tracebacks", "signals", "memory", "noise", "hangs", "damaged", "executed")


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


def go(work: Path, seed: int, number: int, of_attributes: bool = False) -> dict[str, Any]:
    """Go through a case in a process of its own; what goes wrong with the case itself is an outcome, too."""
    try:
        return told(lambda: Case(work, seed, number, of_attributes).go())
    except RuntimeError as error:
        problems = [["tracebacks", "the comparison", str(error)[-2000:]]]
        outcome = {"case": number, "kind": kind_of(number), "seed": "", "damage": "", "status": 1}
        return {**outcome, "seconds": 0.0, "problems": problems}


def main() -> None:
    """Go through the cases that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for seeds and outcomes")
    parser.add_argument("--seed", type=int, default=0, help="another number gives other cases [default: 0]")
    parser.add_argument("--first", type=int, default=0, help="number of the first case [default: 0]")
    parser.add_argument("--cases", type=int, default=N_CASES, help=f"how many [default: {N_CASES}]")
    parser.add_argument("--kinds", nargs="+", choices=ALL_KINDS, default=ALL_KINDS, help="only these [default: all]")
    parser.add_argument("--again", action="store_true", help="repeat cases that were done before")
    parser.add_argument("--attributes", action="store_true", help="damage attributes alone; writes no table")
    arguments = parser.parse_args()
    kinds = [kind for kind in arguments.kinds if not arguments.attributes or kind in KINDS_WITH_ATTRIBUTES]
    work = arguments.work.resolve() / f"{'attributes' if arguments.attributes else 'seed'}{arguments.seed}"
    work.mkdir(parents=True, exist_ok=True)
    prepare(work)
    outcomes = work / "outcomes.jsonl"
    done = {} if arguments.again else read_outcomes(outcomes)
    for number in range(arguments.first, arguments.first + arguments.cases):
        if number in done or kind_of(number) not in kinds:
            continue
        outcome = go(work, arguments.seed, number, arguments.attributes)
        with outcomes.open("a", encoding="utf-8") as file:
            file.write(json.dumps(outcome) + "\n")
        for column, command, text in outcome["problems"]:
            print(f"case {number}, {outcome['seed']}, {outcome['damage']}: {column}, {command}: {text}", flush=True)
    table = summarise(read_outcomes(outcomes).values())
    total = sum(table.values(), Counter())
    if not arguments.attributes:
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
