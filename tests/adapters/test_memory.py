"""Recordings go through in blocks: the memory that a run takes depends on the blocks, not on the recording."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cascade_adapters.containers.base import Selection
from cascade_adapters.containers.registry import find_containers
from tests.builders.array_files import save_mat73
from tests.builders.suite2p_folders import make_plane, save_settings

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures memory in units of Linux")

N_ROIS, N_FRAMES = 1000, 50_000

#: Runs a small recording, then a large one with small blocks, and prints by how much (kB) the second raised the peak.
_RUNS = """
import json, resource, sys
import cascade_adapters
from cascade_adapters.containers import transposed
from cascade_adapters.results import rows

rows.BLOCK_VALUES, transposed.BLOCK_BYTES = 500_000, 1 << 21

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

small, large, options = *sys.argv[1:3], json.loads(sys.argv[3])
cascade_adapters.run(small, existing="overwrite", n_threads=1, **options)
before = peak()
(done,) = cascade_adapters.run(large, n_threads=1, **options)
print(peak() - before, done.results.shape)
"""

#: The same of the discrete spikes in recordings that have been run.
_SPIKES = """
import resource, sys
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.results import rows
from cascade_adapters.running.batch import add_spikes_to_all

rows.BLOCK_VALUES = 500_000

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

small, large = map(find_containers, sys.argv[1:3])
add_spikes_to_all(small, n_threads=1)
before = peak()
(report,) = add_spikes_to_all(large, n_threads=1)
print(peak() - before, (report.n_rois, report.n_frames))
"""


def sparse_npy(path: Path, shape: tuple[int, int], by_columns: bool = False) -> None:
    """Zeros without room on the disk, but for noise in the first and last values."""
    n_values = shape[0] * shape[1]
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": by_columns, "shape": shape})
        start = file.tell()
        file.truncate(start + 4 * n_values)
        noise = (1000 + 20 * np.random.default_rng(0).standard_normal(2 * N_FRAMES)).astype("<f4")
        file.seek(start)
        file.write(noise.tobytes())
        file.seek(start + 4 * (n_values - len(noise)))
        file.write(noise.tobytes())


def growth(small: Path, large: Path, model: Path, **options: Any) -> int:
    """Memory (bytes) that a run of the large recording takes more than one of the small."""
    options["model"] = str(model)
    return measured(_RUNS, small, large, json.dumps(options))


def measured(code: str, small: Path, large: Path, *arguments: str) -> int:
    """Memory (bytes) as a script prints it."""
    command = [sys.executable, "-W", "ignore", "-c", code, str(small), str(large), *arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    kilobytes, shape = found.stdout.split(maxsplit=1)
    assert shape.strip() == f"({N_ROIS}, {N_FRAMES})"
    return 1024 * int(kilobytes)


@pytest.mark.parametrize(("form", "orientation"), [("npy", "frames-first"), ("mat73", "rois-first")])
def test_files_of_arrays(tmp_path, random_model, form, orientation):
    noise = (1000 + 20 * np.random.default_rng(0).standard_normal(N_FRAMES)).astype("f4")
    suffix = "npy" if form == "npy" else "mat"
    small, large = (tmp_path / f"{name}.{suffix}" for name in ("small", "large"))
    shape = (N_ROIS, N_FRAMES) if orientation == "rois-first" else (N_FRAMES, N_ROIS)
    place = (0, slice(None)) if orientation == "rois-first" else (slice(None), 0)
    if form == "npy":
        np.save(small, noise[:2000])
        np.lib.format.open_memmap(large, "w+", "f4", shape)[place] = noise
    else:
        save_mat73(small, {"F": noise[:2000]})
        with h5py.File(large, "w", userblock_size=512) as file:
            stored = file.create_dataset("F", shape[::-1], "f4", fillvalue=0)
            stored.attrs["MATLAB_class"] = np.bytes_("single")
            stored[place[::-1]] = noise
    selection = Selection(orientation=orientation, raw=True)
    options = {"orientation": orientation, "raw": True, "frame_rate": 30.0}
    assert growth(small, large, random_model.folder, **options) < N_ROIS * N_FRAMES * 4 / 2
    (container,) = find_containers(large, selection)
    results = container.results()
    assert not container.is_stale()
    assert np.isfinite(results.spike_prob[0, 100:-100]).all() and np.isnan(results.spike_prob[1:3]).all()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize("by_columns", [False, True])
def test_a_suite2p_folder(tmp_path, random_model, by_columns):
    small = make_plane(tmp_path / "small" / "plane0", n_frames=2000).folder
    large = tmp_path / "large" / "plane0"
    large.mkdir(parents=True)
    sparse_npy(large / "F.npy", (N_ROIS, N_FRAMES), by_columns)
    save_settings(large / "ops.npy", {"fs": 30.0})
    is_cell = np.zeros((N_ROIS, 2))
    is_cell[[0, 1, -1]] = 1
    np.save(large / "iscell.npy", is_cell)
    size = (large / "F.npy").stat().st_size
    assert growth(small, large, random_model.folder, only_cells=True) < size / 4
    (container,) = find_containers(large)
    results = container.results()
    assert not container.is_stale()  # the hash that was taken while reading is that of the file
    assert np.isnan(results.spike_prob[2]).all()
    if by_columns:
        expected = np.load(large / "F.npy", mmap_mode="r")[-3:]
        np.testing.assert_array_equal(container.read().fluorescence[-3:], expected)
    else:
        assert np.isfinite(results.spike_prob[0, 100:-100]).all()
        assert measured(_SPIKES, small, large) < size / 2
        assert container.record().discrete_spikes is not None and not container.is_stale()
