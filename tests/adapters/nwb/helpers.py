"""What the tests of what is written into NWB files share."""

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from cascade_adapters.containers.base import Reading, Selection
from cascade_adapters.containers.nwb import NwbRecording
from cascade_adapters.results import Results
from cascade_engine.file_formats.atomic import sha256
from tests.adapters.nwb.test_reading import OPHYS
from tests.builders.nwb_files import RATE
from tests.builders.running import made_up_record, made_up_results

IN_PLACE = Selection(in_place=True)

SPIKES, DFF = f"{OPHYS}/CascadeSpikes/RoiResponseSeries", f"{OPHYS}/CascadeDfOverF/RoiResponseSeries"

NOISE = f"{OPHYS}/CascadeNoiseLevels_RoiResponseSeries"


def copy(template: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    if template.is_dir():
        return Path(shutil.copytree(template, folder / template.name))
    shutil.copyfile(template, folder / template.name)
    os.utime(folder / template.name, ns=(10**18, 10**18))
    return folder / template.name


def made_up(container: NwbRecording, seed: int = 0, frame_rate: float = RATE) -> Results:
    """Results that need no model."""
    traces, rng = container.read(Reading(frame_rate=frame_rate)), np.random.default_rng(seed)
    spike_prob = rng.exponential(0.1, traces.shape).astype(np.float32)
    spike_prob[:, :31] = np.nan
    record = replace(made_up_record(*traces.shape, traces.frame_rate), input=container.fingerprint())
    dff, levels = rng.standard_normal(traces.shape), rng.uniform(1, 3, traces.shape[0])
    return made_up_results(spike_prob, dff, levels, record)


def write(path: Path, selection: Selection = Selection(), seed: int = 0) -> list[Results]:
    """Write results for every recording in a file."""
    written = []
    for container in NwbRecording.find(path, selection):
        written.append(made_up(container, seed))
        container.write(written[-1])
    return written


def state(folder: Path) -> dict:
    """Every file of a folder with its hash and time of modification."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {str(file.relative_to(folder)): (sha256(file), file.stat().st_mtime_ns) for file in files}


def contents(path: Path) -> dict:
    """Everything in an HDF5 file, with attributes; references by the path that they lead to."""
    found = {}

    def plain(file, value):
        return file[value].name if isinstance(value, h5py.Reference) and value else np.asarray(value).tolist()

    with h5py.File(path, "r") as file:

        def visit(group):
            for name in group:
                link = group.get(name, getlink=True)
                place = f"{group.name.rstrip('/')}/{name}"
                if isinstance(link, h5py.SoftLink | h5py.ExternalLink):
                    found[place] = (link.path, getattr(link, "filename", None))
                    continue
                thing = group[name]
                attributes = {key: plain(file, value) for key, value in thing.attrs.items()}
                is_group = isinstance(thing, h5py.Group)
                data = None if is_group else (str(thing.dtype), thing.shape, thing.chunks, plain(file, thing[()]))
                found[place] = (json.dumps(attributes, sort_keys=True, default=str), str(data))
                if is_group:
                    visit(thing)

        found["/"] = {key: plain(file, value) for key, value in file.attrs.items()}
        visit(file)
    return found


def assert_same(results: Results, expected: Results) -> None:
    for name in ("spike_prob", "dff", "noise_levels"):
        np.testing.assert_array_equal(getattr(results, name), getattr(expected, name))
        assert getattr(results, name).dtype == np.float32
    assert replace(results.record, container={}) == replace(expected.record, container={})


@contextmanager
def opened_by_pynwb(path: Path):
    """An NWB file, or a Zarr store of one."""
    if path.is_dir():
        from hdmf_zarr import NWBZarrIO as Reader
    else:
        from pynwb import NWBHDF5IO as Reader
    with Reader(str(path), "r") as io:
        yield io


def output(path: Path) -> Path:
    return path.with_name("_cascade.".join(path.name.split(".", 1)))
