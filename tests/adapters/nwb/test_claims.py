"""Datasets that claim far more than is stored of them are refused before they are read, in a process of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
import zarr

from tests.builders.nwb_files import N_FRAMES, N_ROIS, RATE, Session, raw_traces

SERIES = "processing/ophys/Fluorescence/RoiResponseSeries"
TABLE = "processing/ophys/ImageSegmentation/PlaneSegmentation"
HUGE = 10**9

#: What claims to be huge, its shape, and what is said of it.
CLAIMS = {
    "rois": (
        f"{SERIES}/rois",
        (HUGE,),
        "i8",
        "rois is damaged: it would take 8.0 GB, but only 0.0 MB are stored of it",
    ),
    "data": (f"{SERIES}/data", (HUGE, N_ROIS), "f4", "is damaged: it would take 24.0 GB"),
    "timestamps": (
        f"{SERIES}/timestamps",
        (HUGE,),
        "f8",
        "timestamps of series RoiResponseSeries is damaged: it would",
    ),
    "masks": (f"{TABLE}/image_mask", (N_ROIS, 10**5, 10**5), "f4", "image_mask of ROI table PlaneSegmentation is dam"),
    "invalid times": ("intervals/invalid_times/start_time", (HUGE,), "f8", "Columns must be the same length"),
}

_READ = """
import resource, sys
from pathlib import Path
from cascade_adapters.containers.registry import find_containers
from cascade_engine.errors import InputError
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
for path in sys.argv[1:]:
    try:
        (container,) = find_containers(Path(path))
        container.rois() if "masks" in path else container.read()
        print("was read")
    except InputError as error:
        print(error)
"""


def claim(path: Path, place: str, shape: tuple[int, ...], dtype: str, is_zarr: bool) -> None:
    """Put something of this shape without any values in the place of a dataset."""
    chunks = tuple(min(length, 1000) for length in shape)
    root = zarr.open_group(str(path), "r+") if is_zarr else h5py.File(path, "r+")
    attributes = dict(root[place].attrs)
    del root[place]
    root.create_dataset(place, shape=shape, dtype=dtype, chunks=chunks).attrs.update(attributes)
    if is_zarr:
        zarr.consolidate_metadata(root.store)
    else:
        root.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
@pytest.mark.parametrize("is_zarr", [False, True])
def test_claims_of_far_more_than_is_stored(tmp_path, is_zarr):
    ending = ".nwb.zarr" if is_zarr else ".nwb"
    session = Session()
    times = [frame / RATE for frame in range(N_FRAMES)]
    session.series(session.table(), raw_traces(), timestamps=times)
    session.nwbfile.add_invalid_time_interval(start_time=0.0, stop_time=0.5)
    whole = session.save(tmp_path / f"whole{ending}", zarr=is_zarr)
    paths = []
    for name, (place, shape, dtype, _) in CLAIMS.items():
        path = tmp_path / f"{name.replace(' ', '_')}{ending}"
        shutil.copytree(whole, path) if is_zarr else shutil.copy(whole, path)
        claim(path, place, shape, dtype, is_zarr)
        paths.append(str(path))
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _READ, str(whole), *paths],
        capture_output=True, text=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    first, *lines = found.stdout.splitlines()
    assert first == "was read"
    for line, (_, _, _, words) in zip(lines, CLAIMS.values(), strict=True):
        assert words in line
