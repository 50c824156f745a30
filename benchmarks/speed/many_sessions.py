"""Throughput of many small sessions, one at a time, several at a time, and on a Dask cluster of this computer.

    python -m benchmarks.speed.many_sessions                # 50 sessions; writes results/many_sessions.csv
    python -m benchmarks.speed.many_sessions --sessions 6   # a trial: prints, writes no table

Each session is a plane of suite2p with 20 ROIs and 5 minutes at 30 Hz. Every way runs the command ``cascade run`` in
processes of its own on a fresh copy of the same sessions, and is timed from start to end.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables import RESULTS

N_ROIS, N_FRAMES, RATE = 20, 9000, 30.0

TABLE = RESULTS / "many_sessions.csv"

#: Options of ``cascade run`` for each way.
WAYS: dict[str, list[str]] = {
    "--jobs 1": ["--jobs", "1"],
    "--jobs 2": ["--jobs", "2"],
    "--scheduler local --jobs 2": ["--scheduler", "local", "--jobs", "2"],
}


def make_sessions(folder: Path, n_sessions: int) -> None:
    """Planes of suite2p whose traces are noise: the work is the same as with spikes."""
    for number in range(n_sessions):
        rng = np.random.default_rng(number)
        plane = folder / f"mouse{number:02}" / "suite2p" / "plane0"
        plane.mkdir(parents=True)
        np.save(plane / "F.npy", (300 + 20 * rng.standard_normal((N_ROIS, N_FRAMES))).astype(np.float32))
        np.save(plane / "Fneu.npy", (100 + 5 * rng.standard_normal((N_ROIS, N_FRAMES))).astype(np.float32))
        np.save(plane / "iscell.npy", np.ones((N_ROIS, 2)))
        np.save(plane / "ops.npy", {"fs": RATE}, allow_pickle=True)  # type: ignore[arg-type]


def measure(way: str, n_sessions: int, template: Path, folder: Path) -> dict[str, Any]:
    """Run all sessions in one of the ways, and say how long it took."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
    call = [sys.executable, "-m", "cascade_adapters", "run", str(folder), "--quiet", *WAYS[way]]
    start = time.perf_counter()
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode or not done.stdout.splitlines()[-1].startswith(f"{n_sessions} done"):
        sys.exit(f"{way}: {done.stdout}{done.stderr}")
    return {
        "way": way,
        "processors": os.cpu_count(),
        "sessions": n_sessions,
        "seconds": round(seconds, 1),
        "sessions_per_min": round(60 * n_sessions / seconds, 1),
        "neuron_frames_per_s": round(n_sessions * N_ROIS * N_FRAMES / seconds),
    }


def main() -> None:
    """Measure all ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=50)
    n_sessions = parser.parse_args().sessions
    rows = []
    with tempfile.TemporaryDirectory() as place:
        make_sessions(Path(place) / "template", n_sessions)
        for way in WAYS:
            rows.append(measure(way, n_sessions, Path(place) / "template", Path(place) / "sessions"))
            print(", ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    if n_sessions == parser.get_default("sessions"):
        with TABLE.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(rows)


if __name__ == "__main__":
    main()
