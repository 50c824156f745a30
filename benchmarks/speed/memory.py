"""Peak memory of `cascade run` against the size of the recording.

    python -m benchmarks.speed.memory                    # all: prints, writes results/memory.csv and docs/memory.png
    python -m benchmarks.speed.memory suite2p 1          # one kind, or one case (GB)
    python -m benchmarks.speed.memory --folder /scratch  # needs about 35 GB of room there

Each recording lasts 2.5 hours at 30 Hz; the larger it is, the more ROIs it has. Its traces take no room on the disk but
for the eight cells that are predicted; all of it is read, and results of all ROIs are written. Every case runs in a
process of its own, which says in the end how much memory it had at most.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables import RESULTS

N_FRAMES, RATE = 270_000, 30.0

#: ROIs that are predicted.
N_CELLS = 8

#: Sizes (GB) of the recordings of each kind.
SIZES = {"suite2p": (0.1, 1.0, 10.0), "nwb": (0.1, 1.0, 4.0), "caiman": (0.1, 1.0, 4.0)}

TABLE, FIGURE = RESULTS / "memory.csv", Path(__file__).parents[2] / "docs" / "memory.png"


def cell_traces() -> np.ndarray:
    """Fluorescence of the cells: 5 % noise."""
    return (1000 + 50 * np.random.default_rng(0).standard_normal((N_CELLS, N_FRAMES))).astype(np.float32)


def make_suite2p(folder: Path, n_rois: int) -> Path:
    """A plane's folder without neuropil."""
    plane = folder / "plane0"
    plane.mkdir()
    with (plane / "F.npy").open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (n_rois, N_FRAMES)}
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()
        file.write(cell_traces().tobytes())
        file.truncate(start + 4 * n_rois * N_FRAMES)
    np.save(plane / "ops.npy", {"fs": RATE}, allow_pickle=True)  # type: ignore[arg-type]
    np.save(plane / "iscell.npy", (np.arange(n_rois) < N_CELLS).astype(float))
    return plane


def make_nwb(folder: Path, n_rois: int) -> Path:
    """A file with one series of raw fluorescence."""
    import h5py

    from tests.builders.nwb_files import Session

    session = Session()
    table = session.table(n_rois, mask="pixel_mask", iscell=(np.arange(n_rois) < N_CELLS).astype(float))
    session.series(table, np.zeros((n_rois, 2), np.float32))
    path = session.save(folder / "session.nwb")
    with h5py.File(path, "r+") as file:
        series = file["processing/ophys/Fluorescence/RoiResponseSeries"]
        data = _make_larger(series, "data", (N_FRAMES, n_rois))
        for first in range(0, N_FRAMES, 30_000):
            data[first : first + 30_000, :N_CELLS] = cell_traces()[:, first : first + 30_000].T
    return path


def make_caiman(folder: Path, n_rois: int) -> Path:
    """A file with C and YrA, half of the size each."""
    import h5py

    from tests.builders.caiman_files import make_cnmf, save

    cnmf = make_cnmf(n_rois // 2, 100, frame_rate=RATE, dff=None)
    cnmf.estimates.idx_components = np.arange(N_CELLS)
    cnmf.estimates.idx_components_bad = np.arange(N_CELLS, n_rois // 2)
    path = save(cnmf, folder / "results.hdf5")
    with h5py.File(path, "r+") as file:
        estimates = file["estimates"]
        for name in ("C", "YrA"):
            data = _make_larger(estimates, name, (n_rois // 2, N_FRAMES))
            data[:N_CELLS] = cell_traces() if name == "YrA" else 0.0
        for name in ("S", "R"):
            del estimates[name]
            estimates[name] = "NoneType"
        background = estimates["f"][()]
        del estimates["f"]
        estimates["f"] = np.ones((len(background), N_FRAMES), np.float32)
    return path


def _make_larger(group: Any, name: str, shape: tuple[int, int]) -> Any:
    """Replace a dataset by a larger one of single precision that takes no room on the disk."""
    import h5py

    attributes = dict(group[name].attrs)
    del group[name]
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple(shape)
    made = h5py.h5d.create(group.id, name.encode(), h5py.h5t.IEEE_F32LE, space, dcpl=properties)
    data = h5py.Dataset(made)
    data.attrs.update(attributes)
    return data


MAKERS: dict[str, Callable[[Path, int], Path]] = {
    "suite2p": make_suite2p,
    "nwb": make_nwb,
    "caiman": make_caiman,
}

_CASE = """
import json, resource, sys, warnings
import cascade_adapters
warnings.simplefilter("ignore")
cascade_adapters.run(sys.argv[1], only_cells=True)
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""


def measure(kind: str, size: float, folder: Path) -> dict[str, Any]:
    """Make a recording of this size (GB), run it in a process of its own, and say how much memory it took."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        n_rois = round(1000 * size)
        path = MAKERS[kind](Path(place), n_rois)
        start = time.monotonic()
        done = subprocess.run([sys.executable, "-c", _CASE, str(path)], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{kind}, {size:g} GB: {done.stderr}")
        seconds = time.monotonic() - start
    kilobytes = json.loads(done.stdout) / (1024 if sys.platform == "darwin" else 1)
    return {
        "kind": kind,
        "n_rois": n_rois,
        "n_frames": N_FRAMES,
        "traces_gb": round(4e-9 * n_rois * N_FRAMES, 3),
        "peak_memory_gb": round(1024 * kilobytes / 1e9, 3),
        "seconds": round(seconds),
    }


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw peak memory against size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(4.5, 3.0), layout="constrained")
    for kind in SIZES:
        chosen = sorted((float(row["traces_gb"]), float(row["peak_memory_gb"])) for row in rows if row["kind"] == kind)
        if chosen:
            sizes, peaks = zip(*chosen, strict=True)
            axes.plot(sizes, peaks, "o-", label={"suite2p": "suite2p", "nwb": "NWB", "caiman": "CaImAn"}[kind])
    axes.axhline(1.0, color="0.6", linestyle="--", linewidth=1)
    axes.set(xscale="log", ylim=(0, 1.2), xlabel="traces (GB)", ylabel="peak memory (GB)")
    axes.legend(frameon=False)
    figure.savefig(FIGURE, dpi=150)


def main() -> None:
    """Measure what is asked for; other rows of the table stay."""
    parser = argparse.ArgumentParser(description="Peak memory against the size of a recording.")
    parser.add_argument("kind", nargs="?", choices=list(SIZES))
    parser.add_argument("size", nargs="?", type=float)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if TABLE.is_file():
        with TABLE.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    for kind in [given.kind] if given.kind else list(SIZES):
        for size in [given.size] if given.size else SIZES[kind]:
            found = measure(kind, size, given.folder)
            print(", ".join(f"{name} {value}" for name, value in found.items()), flush=True)
            others = [row for row in rows if (row["kind"], int(row["n_rois"])) != (kind, found["n_rois"])]
            rows = sorted([*others, found], key=lambda row: (list(SIZES).index(row["kind"]), int(row["n_rois"])))
            with TABLE.open("w", encoding="utf-8", newline="") as file:
                table = csv.DictWriter(file, list(found), lineterminator="\n")
                table.writeheader()
                table.writerows(rows)
    draw(rows)


if __name__ == "__main__":
    main()
