"""The one Python door: the same for every container, given by its path or as an object in memory."""

import json
import warnings

import numpy as np
import pytest

import cascade_adapters
from cascade_adapters.results import Record, schema
from cascade_adapters.running.in_python import in_python
from cascade_adapters.running.report import Report
from cascade_engine.errors import CascadeWarning, InputError, ModelError
from tests.builders import array_files, caiman_files
from tests.builders.suite2p_folders import hashes, make_plane, make_recording


@pytest.fixture
def run(random_model):
    """`cascade_adapters.run` with the random model."""
    return lambda where, **options: cascade_adapters.run(where, model=random_model.folder, **options)


def nwb_file(path):
    from tests.builders import nwb_files

    return nwb_files.simple(path / "session.nwb")


def array_file(path):
    return array_files.save(path, "npy", array_files.make_dff(3, 160))


#: Kind of container: what makes one below a folder, and the numbers of ROIs and frames.
EVERY_KIND = {
    "suite2p": (lambda path: make_plane(path / "plane0").folder, (6, 900)),
    "CaImAn": (lambda path: caiman_files.make_file(path / "cnmf.hdf5", frame_rate=30.0), (6, 700)),
    "CaImAn object": (lambda path: caiman_files.make_cnmf(frame_rate=30.0), (6, 700)),
    "NWB": (nwb_file, (6, 300)),
    "arrays": (array_file, (3, 160)),
}

#: What some of them do not say themselves.
FURTHER_OPTIONS = {"arrays": {"frame_rate": 30.0, "orientation": "rois-first"}}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_of_container(kind, tmp_path, run):
    make, shape = EVERY_KIND[kind]
    where = make(tmp_path)
    before = hashes(tmp_path)
    assert cascade_adapters.read_results(where) == [None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CascadeWarning)
        (done,) = run(where, **FURTHER_OPTIONS.get(kind, {}))

    results, record = done.results, done.record
    assert results.shape == shape == (record.recording.n_rois, record.recording.n_frames)
    assert set(results.arrays) == {array.name for array in schema.ARRAYS}
    assert np.isfinite(np.asarray(results.spike_prob[:])).any(axis=1).all()
    assert isinstance(record, Record) and record.model.name == "random"
    assert isinstance(done.report, Report) and done.report.status == "done" and done.report.written
    assert done.report.warnings == record.warnings

    (found,) = cascade_adapters.find(where)
    assert found.identity == done.container.identity
    (again,) = cascade_adapters.read_results(where)
    assert again is not None and again.record.created == record.created
    np.testing.assert_array_equal(again.spike_prob[:], results.spike_prob[:])

    assert cascade_adapters.restore(where)
    assert cascade_adapters.read_results(where) == [None]
    assert hashes(tmp_path) == before
    assert cascade_adapters.restore(where) == []


def test_a_folder_of_several_recordings(tmp_path, run):
    make_recording(tmp_path, 2)
    done = run(str(tmp_path), only_cells=True)
    assert [each.container.path.name for each in done] == ["plane0", "plane1"]
    assert all(list(each.record.rois.without_prediction) == [2, 5] for each in done)
    assert [each.record.created for each in done] == [
        results.record.created for results in cascade_adapters.read_results(tmp_path)
    ]
    assert len(cascade_adapters.restore(tmp_path)) == 2 * len(done[0].report.written)


def test_doubts_become_warnings_and_point_at_the_call(tmp_path, run):
    plane = make_plane(tmp_path / "plane0", frame_rate=10.0)
    with pytest.warns(CascadeWarning) as caught:
        (done,) = run(plane.folder)
    told = [str(warning.message) for warning in caught]
    assert told == [in_python(f"{plane.folder}: {text}") for text in done.record.warnings]
    assert any("the frame rate is 10 Hz but model random" in text for text in told)
    assert {warning.filename for warning in caught} == {__file__}


def test_failures_are_one_error_after_all_had_their_turn(tmp_path, run):
    planes = make_recording(tmp_path, 4)
    (planes[0].folder / "F.npy").write_bytes(b"garbage")
    np.save(planes[2].folder / "Fneu.npy", np.ones((2, 2)))
    with pytest.raises(InputError) as error:
        run(tmp_path)
    first, second = str(error.value).split("; ", 1)
    assert "plane0/F.npy cannot be read as an array" in first and "plane2" in second
    assert "must come from the same run" in second
    assert [(plane.folder / "cascade.json").exists() for plane in planes] == [False, True, False, True]


def test_a_failure_that_nobody_foresaw_is_an_error_too(tmp_path, run, monkeypatch):
    def fail(*args, **options):
        raise RuntimeError("a bug")

    monkeypatch.setattr("cascade_adapters.running.pipeline.infer_block", fail)
    plane = make_plane(tmp_path / "plane0")
    with pytest.raises(InputError, match="plane0: unforeseen failure, please report it: RuntimeError: a bug"):
        run(plane.folder)


def test_results_that_are_there(tmp_path, run):
    plane = make_plane(tmp_path / "plane0")
    (first,) = run(plane.folder)
    with pytest.raises(InputError, match="has results already"):
        run(plane.folder)
    (skipped,) = run(plane.folder, existing="skip")
    assert skipped.report.status == "skipped"
    assert skipped.record == first.record and skipped.results.record == first.record
    (again,) = run(plane.folder, existing="overwrite", threshold=False)
    assert again.record.settings.threshold is False


def test_selection(tmp_path, run):
    plane = make_plane(tmp_path / "plane0", second_channel=True)
    (done,) = run(tmp_path, channel=2)
    assert done.container.channel == 2 and (plane.folder / "cascade_chan2.json").is_file()
    assert [container.channel for container in cascade_adapters.find(tmp_path, channel=None)] == [1, 2]
    assert cascade_adapters.read_results(tmp_path) == [None]
    assert cascade_adapters.read_results(tmp_path, channel=2)[0].record == done.record
    assert cascade_adapters.find(done.container) == [done.container]
    assert "removed cascade_chan2.json" in cascade_adapters.restore(tmp_path)


def test_what_cannot_be_found(tmp_path, run, random_model):
    for ask in (run, cascade_adapters.find, cascade_adapters.read_results, cascade_adapters.restore):
        with pytest.raises(InputError, match="nowhere does not exist"):
            ask(tmp_path / "nowhere")
        with pytest.raises(InputError, match="holds nothing to run on; looked for suite2p"):
            ask(tmp_path)
    with pytest.raises(InputError, match=r"no option chanel \(did you mean channel\?\); there are channel, series"):
        cascade_adapters.find(tmp_path, chanel=2)
    make_plane(tmp_path / "plane0")
    with pytest.raises(ModelError, match="there is no model nosuch"):
        cascade_adapters.run(tmp_path, model="nosuch")
    with pytest.raises(InputError):
        run(3)


def test_the_record_is_what_lies_in_the_container(tmp_path, run):
    plane = make_plane(tmp_path / "plane0")
    (done,) = run(plane.folder)
    stored = json.loads((plane.folder / "cascade.json").read_text())
    for section, value in json.loads(done.record.to_json()).items():
        if section != "container":  # what the container itself has to remember
            assert stored[section] == value


def test_importing_the_door_is_left_until_it_is_used():
    import subprocess
    import sys

    code = "import sys, cascade_adapters; print('numpy' in sys.modules, dir(cascade_adapters)); cascade_adapters.run"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("False ") and "read_results" in result.stdout
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        cascade_adapters.nonsense  # noqa: B018
