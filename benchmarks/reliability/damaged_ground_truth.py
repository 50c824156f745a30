"""What damaged ``.mat`` files do to ``cascade ground-truth check``.

    python -m benchmarks.reliability.damaged_ground_truth FOLDER --cases 3000

FOLDER holds datasets in the published layout; their files are damaged as in `tests.builders.damaged_matlab`, some after
they were compressed or written as version 7.3. Each is checked in a process of its own. Counted are files that were
``used`` (some recording is left) or ``refused`` (with a reason), and those that ended in a ``traceback``, a ``signal``,
a ``hang`` (30 s), ``noise`` (lines that are not ours), or took more than 1 GB of ``memory``. The exit status is 1 if
any of the last five is there. A case depends on --seed and its number alone.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.io import loadmat, savemat

from cascade_adapters.cli import main as cascade
from cascade_engine.file_formats.matlab import load_variable
from cascade_engine.ground_truth import find_datasets
from cascade_engine.ground_truth.database import load_neuron
from tests.builders.array_files import save_mat73
from tests.builders.damaged_matlab import damage_bytes, damaged

LIMIT_S, MEMORY_BYTES = 30, 1 << 30

#: Larger files than this are left out, for speed.
_LARGEST_BYTES = 2_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    files = [path for folder in find_datasets(arguments.folder).values() for path in sorted(folder.glob("*.mat"))]
    files = [path for path in files if path.stat().st_size < _LARGEST_BYTES]
    load_neuron(files[0])  # what is imported for it is imported once
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(arguments.first, arguments.first + arguments.cases):
            place = Path(temporary) / f"case{number}" / "cell_mini.mat"
            place.parent.mkdir()
            form = _write_case(files, place, np.random.default_rng([arguments.seed, number]))
            outcome, output = _check(place.parent)
            outcomes[outcome] += 1
            if outcome not in ("used", "refused"):
                print(f"case {number} ({form}): {outcome}\n{output}", flush=True)
            place.unlink()
            place.parent.rmdir()
    print(", ".join(f"{outcomes[name]} {name}" for name in sorted(outcomes)))
    sys.exit(0 if set(outcomes) <= {"used", "refused"} else 1)


def _write_case(files: list[Path], place: Path, rng: np.random.Generator) -> str:
    source = files[rng.integers(len(files))]
    form = str(rng.choice(["as published", "the other way", "v7.3"], p=[0.6, 0.25, 0.15]))
    if form == "v7.3":
        save_mat73(place, {"CAttached": load_variable(source, "CAttached")})
        place.write_bytes(damage_bytes(place.read_bytes(), 512, rng))
        return f"{source.name}, {form}"
    if form == "the other way":
        is_compressed = source.read_bytes()[128] == 15
        savemat(place, {"CAttached": loadmat(source)["CAttached"]}, do_compression=not is_compressed)
        source = place
    place.write_bytes(damaged(source.read_bytes(), rng))
    return f"{source.name}, {form}"


def _check(folder: Path) -> tuple[str, str]:
    """Outcome and output of the command in a process of its own."""
    with tempfile.TemporaryFile() as output:
        sys.stdout.flush()
        started = time.monotonic()
        child = os.fork()
        if not child:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            signal.alarm(LIMIT_S)
            status = 70
            try:
                cascade(["ground-truth", "check", str(folder)])
                status = 0
            except SystemExit as end:
                status = int(end.code or 0)
            finally:
                sys.stdout.flush()
                os._exit(status)
        _, ended, used = os.wait4(child, 0)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    if os.WIFSIGNALED(ended):
        return ("hang" if time.monotonic() - started >= LIMIT_S - 1 else "signal"), text
    if "Traceback" in text or "unforeseen" in text or os.WEXITSTATUS(ended) not in (0, 1):
        return "traceback", text
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if (used.ru_maxrss - before) * 1024 > MEMORY_BYTES:
        return "memory", f"{used.ru_maxrss} KB\n{text}"
    lines = text.splitlines()
    if not all(re.match(r"case\d+: |  cell_mini: |cascade: 1 of 1 neurons cannot be used", line) for line in lines):
        return "noise", text
    if os.WEXITSTATUS(ended):
        return ("refused" if any(line.startswith("  cell_mini: ") for line in lines) else "noise"), text
    return "used", text


if __name__ == "__main__":
    main()
