"""Recordings that share an NWB file: it is opened once for all of them, and they are written together."""

import io
import os
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack

import h5py
import numpy as np
import pynwb
import pytest

import cascade_adapters
from cascade_adapters.cli import main
from cascade_adapters.containers.base import Selection
from cascade_adapters.containers.nwb import NwbRecording, opening
from cascade_adapters.containers.nwb import results as stored_results
from cascade_adapters.containers.nwb.files import output_of
from cascade_adapters.safe_writing import names
from tests.builders.locking import locked_by_process
from tests.builders.nwb_files import N_FRAMES, N_ROIS, raw_traces, suite2p_layout

#: Reads a pickled recording.
_READS = """
import pickle, sys
traces = pickle.load(sys.stdin.buffer).read()
print(traces.source, float(traces.fluorescence.sum()))
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A file with two planes."""
    return suite2p_layout(tmp_path_factory.mktemp("nwb") / "planes.nwb")


@pytest.fixture
def path(template, tmp_path):
    """The same in a folder of its own."""
    folder = tmp_path / "lab"
    folder.mkdir()
    return shutil.copyfile(template, folder / "planes.nwb")


@pytest.fixture
def openings(monkeypatch):
    """How often files are opened by h5py and by pynwb, and are validated."""
    found: Counter[str] = Counter()

    def counted(name, function, counts=lambda *_: True):
        def call(*arguments, **options):
            found[name] += counts(*arguments)
            return function(*arguments, **options)

        return call

    def is_from_disk(_, name="", *__):
        return isinstance(name, str | os.PathLike | io.IOBase)  # h5py wraps files that are open, too

    monkeypatch.setattr(h5py.File, "__init__", counted("h5py", h5py.File.__init__, is_from_disk))
    monkeypatch.setattr(pynwb.NWBHDF5IO, "__init__", counted("pynwb", pynwb.NWBHDF5IO.__init__))
    monkeypatch.setattr(pynwb, "validate", counted("validator", pynwb.validate))
    return found


@pytest.mark.filterwarnings("ignore:.*if all of them together were scanned")
@pytest.mark.parametrize("n_planes", [1, 4])
@pytest.mark.parametrize("in_place", [False, True])
def test_a_file_is_opened_as_often_for_many_planes_as_for_one(tmp_path, random_model, openings, n_planes, in_place):
    path = suite2p_layout(tmp_path / "planes.nwb", n_planes)
    openings.clear()
    done = cascade_adapters.run(path, model=str(random_model.folder), in_place=in_place)
    assert len(done) == n_planes
    # pynwb: to find the recordings, to read them, to validate; h5py: these, the results, what is written, and once more
    assert openings["h5py"] <= 6 and openings["pynwb"] <= 3 and openings["validator"] == 1


@pytest.mark.parametrize("in_place", [False, True])
def test_a_plane_that_fails_leaves_the_others_their_results(path, random_model, capsys, in_place):
    with h5py.File(path, "r+") as file:
        file["processing/ophys/Fluorescence/plane0/data"].attrs["conversion"] = np.inf
    options = ("--model", str(random_model.folder), *(["--in-place"] if in_place else []))
    with pytest.raises(SystemExit) as end:
        main(["run", str(path), *options])
    assert end.value.code == 1
    captured = capsys.readouterr()
    assert "CascadeSpikes/plane1" in captured.out and "1 failed, 1 done" in captured.out
    assert "plane0 has a conversion of inf" in captured.err
    failed, done = (container.results() for container in NwbRecording.find(path, Selection(in_place=in_place)))
    assert failed is None and np.isfinite(done.spike_prob[:, 40:-40]).all()


def test_a_recording_can_be_pickled(path):
    for container in NwbRecording.find(path):
        container.read()  # what it remembers goes along
        code = [sys.executable, "-W", "ignore", "-c", _READS]
        found = subprocess.run(code, input=pickle.dumps(container), capture_output=True, check=True)
        assert found.stdout.decode() == f"{container.read().source} {float(container.read().fluorescence.sum())}\n"


@pytest.mark.parametrize("in_place", [False, True])
def test_two_jobs_on_one_file_wait_for_each_other(path, random_model, in_place):
    command = [sys.executable, "-W", "ignore", "-m", "cascade_adapters", "run", str(path)]
    command += ["--model", str(random_model.folder), "--quiet", *(["--in-place"] if in_place else [])]
    changed = path if in_place else output_of(path)
    waits = f"{changed} is being changed by another run: waiting up to 60 s for it to end"
    selections = [Selection(series=f"Fluorescence/plane{number}", in_place=in_place) for number in range(2)]
    with ExitStack() as stack:
        with locked_by_process(changed):
            jobs = [
                stack.enter_context(
                    subprocess.Popen([*command, "--series", selection.series], stderr=subprocess.PIPE, text=True)
                )
                for selection in selections
            ]
            for job in jobs:
                assert waits in job.stderr.readline()
        assert [job.wait(120) for job in jobs] == [0, 0]
        assert all(waits in line for job in jobs for line in job.stderr)
    for selection in selections:
        (container,) = NwbRecording.find(path, selection)
        assert np.isfinite(container.results().spike_prob[:, 40:-40]).all() and not container.is_stale()
    assert not [file.name for file in path.parent.iterdir() if file.name.startswith(".") and "undo" not in file.name]


@pytest.mark.filterwarnings("ignore:.*if all of them together were scanned")
def test_large_series_wait_on_the_disk(path, random_model, monkeypatch):
    def beside() -> set[str]:
        return {file.name for file in path.parent.iterdir()}

    model = str(random_model.folder)
    expected = [done.results for done in cascade_adapters.run(path, model=model)]
    before = beside()
    for module in (opening, stored_results):
        monkeypatch.setattr(module, "IN_MEMORY_BYTES", 4 * N_ROIS * N_FRAMES - 1)
    traces = NwbRecording.find(path)[0].read()
    assert any(names.is_ours(name) for name in beside() - before)
    np.testing.assert_array_equal(traces.fluorescence[:], raw_traces())
    del traces
    assert beside() == before
    done = cascade_adapters.run(path, model=model, existing="overwrite")
    for one, results in zip(done, expected, strict=True):
        again = one.results
        for name, values in results.arrays.items():
            np.testing.assert_array_equal(again.arrays[name][:], values)
        assert again.record.input == results.record.input and not one.container.is_stale()
        del again
    assert beside() == before
