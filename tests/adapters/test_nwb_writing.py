"""NWB files: what is written, where it goes, and that everything is taken back."""

import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pynwb
import pytest

from cascade_adapters.cli import main
from cascade_adapters.cli.text import describe_report
from cascade_adapters.containers.base import Reading, Selection
from cascade_adapters.containers.nwb import NwbRecording, layout
from cascade_adapters.containers.nwb.loading import load_series
from cascade_adapters.containers.nwb.opening import open_nwb
from cascade_adapters.results import Record, Results, schema
from cascade_adapters.results.schema import ResultArray
from cascade_adapters.running.batch import process_all
from cascade_adapters.running.options import parse_options
from cascade_adapters.safe_writing.spool import Spool
from cascade_engine._version import __version__
from cascade_engine.errors import InputError
from cascade_engine.file_formats.atomic import sha256
from tests.adapters.test_nwb_reading import OPHYS, SERIES, TABLE
from tests.builders.killing import changing_points, forked, killed, needs_fork
from tests.builders.locking import locked_elsewhere
from tests.builders.nwb_files import N_FRAMES, N_ROIS, RATE, Session, raw_traces, simple, suite2p_layout
from tests.builders.running import made_up_record, made_up_results

IN_PLACE = Selection(in_place=True)
SPIKES, DFF = f"{OPHYS}/CascadeSpikes/RoiResponseSeries", f"{OPHYS}/CascadeDfOverF/RoiResponseSeries"
NOISE = f"{OPHYS}/CascadeNoiseLevels_RoiResponseSeries"


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    """Files to be copied: one series in HDF5 and in Zarr, and two planes."""
    folder = tmp_path_factory.mktemp("nwb")
    simple(folder / "a.nwb")
    simple(folder / "a.nwb.zarr", zarr=True)
    suite2p_layout(folder / "planes.nwb")
    return folder


@pytest.fixture
def path(templates, tmp_path):
    """A file with one series, in a folder of its own."""
    return copy(templates / "a.nwb", tmp_path / "lab")


@pytest.fixture
def store(templates, tmp_path):
    """The same as a Zarr store."""
    return copy(templates / "a.nwb.zarr", tmp_path / "lab")


@pytest.fixture
def planes(templates, tmp_path):
    """A file with two planes."""
    return copy(templates / "planes.nwb", tmp_path / "lab")


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


# --------------------------------------------------------------------------------------------------- what is written


def test_a_new_file_beside_the_old_one(path, random_model):
    before = state(path.parent)
    (report,) = process_all(NwbRecording.find(path), parse_options(dict(model=str(random_model.folder))))
    assert report.status == "done"
    assert report.written == ["a_cascade.nwb", SPIKES, DFF, NOISE]
    assert set(state(path.parent)) == {"a.nwb", "a_cascade.nwb"}
    assert state(path.parent)["a.nwb"] == before["a.nwb"]

    results = NwbRecording(path).results()
    with pynwb.NWBHDF5IO(str(output(path)), "r") as io:
        nwbfile = io.read()
        module = nwbfile.processing["ophys"]
        table = module["ImageSegmentation"]["PlaneSegmentation"]
        spikes = module["CascadeSpikes"]["RoiResponseSeries"]
        dff = module["CascadeDfOverF"]["RoiResponseSeries"]
        assert isinstance(module["CascadeSpikes"], pynwb.ophys.Fluorescence)
        assert isinstance(module["CascadeDfOverF"], pynwb.ophys.DfOverF)
        for series, values in ((spikes, results.spike_prob), (dff, results.dff)):
            assert series.data.dtype == np.float32 and series.data.shape == (N_FRAMES, N_ROIS)
            assert series.data.chunks == (N_FRAMES, N_ROIS) and series.data.compression == "gzip"
            np.testing.assert_array_equal(series.data[:].T, values)
            assert series.rois.table is table and series.rois.data[:].tolist() == list(range(N_ROIS))
            assert (series.rate, series.starting_time, series.timestamps) == (RATE, 0.0, None)
            assert Record.parse(series.comments, "") == results.record
        assert (spikes.unit, spikes.conversion) == ("Hz", RATE)
        assert (dff.unit, dff.conversion) == ("n.a.", 1.0)
        levels = module["CascadeNoiseLevels_RoiResponseSeries"].to_dataframe(index=True)
        np.testing.assert_array_equal(levels["noise_level"], results.noise_levels)
        assert levels["roi"].tolist() == list(range(N_ROIS))
        assert nwbfile.identifier == "test-0001"
    assert results.record.model.name == "random"
    assert results.record.traces.source == SERIES
    assert results.record.container["nwb"]["series"] == SERIES


@pytest.mark.parametrize("name", ["a.nwb", "a.nwb.zarr"])
def test_further_arrays_are_written_and_read_like_the_others(templates, tmp_path, monkeypatch, name):
    traces = ResultArray("foo_bar", ("roi", "frame"), "furlongs", "A further array.", since=__version__)
    values = ResultArray("how_far", ("roi",), "furlongs", "A further column.", since=__version__, dtype="float64")
    monkeypatch.setattr(schema, "ARRAYS", (*schema.ARRAYS, traces, values))
    container = NwbRecording(copy(templates / name, tmp_path / "lab"))
    results = made_up(container)
    results.arrays["foo_bar"] = np.random.default_rng(0).standard_normal(results.shape).astype(np.float32)
    results.arrays["how_far"] = np.random.default_rng(1).random(N_ROIS)
    path = output(container.path)
    assert container.write(results) == [path.name, SPIKES, DFF, f"{OPHYS}/CascadeFooBar/RoiResponseSeries", NOISE]

    found = container.results()
    for array in schema.ARRAYS:
        np.testing.assert_array_equal(found.arrays[array.name], results.arrays[array.name])
        assert found.arrays[array.name].dtype == array.dtype
    assert container.record().container["nwb"]["arrays"] == {
        "spike_prob": SPIKES,
        "dff": DFF,
        "foo_bar": f"{OPHYS}/CascadeFooBar/RoiResponseSeries",
        "noise_levels": f"{NOISE}/noise_level",
        "how_far": f"{NOISE}/how_far",
    }
    with opened_by_pynwb(path) as io:
        module = io.read().processing["ophys"]
        series = module["CascadeFooBar"]["RoiResponseSeries"]
        assert isinstance(module["CascadeFooBar"], pynwb.ophys.Fluorescence)
        assert (series.unit, series.conversion) == ("furlongs", 1.0)
        assert module["CascadeNoiseLevels_RoiResponseSeries"].colnames == ("roi", "noise_level", "how_far")
        assert not pynwb.validate(io=io)

    # results of a version that had less of them are read, and make room for these
    older = made_up(container, seed=3)
    older = replace(older, record=replace(older.record, software={"cascade-spikes": "0.1.0"}))
    monkeypatch.undo()
    container.write(older)
    monkeypatch.setattr(schema, "ARRAYS", (*schema.ARRAYS, traces, values))
    assert set(container.results().arrays) == {"spike_prob", "dff", "noise_levels"}
    container.write(container.results())
    container.write(results)
    container.write(container.results())
    np.testing.assert_array_equal(container.results().arrays["how_far"], results.arrays["how_far"])
    assert container.restore() == [f"removed {path.name}"]


def test_large_arrays_are_written_some_rois_at_a_time(templates, tmp_path, monkeypatch):
    """Several blocks of ROIs and several chunks of frames, read from the disk."""
    monkeypatch.setattr(layout, "_WRITTEN_BYTES", 1)
    for zarr in (False, True):
        name = "a.nwb.zarr" if zarr else "a.nwb"
        path = simple(tmp_path / name, zarr, values=raw_traces(40, 10_000), rows=[0] * 40)
        container = NwbRecording(path)
        results = made_up(container)
        in_memory = dict(results.arrays)
        with Spool.beside(tmp_path) as spool:
            for array in schema.ARRAYS:
                waiting = spool.array(array.name, array.shape(40, 10_000), array.dtype)
                waiting.append(in_memory[array.name])
                results.arrays[array.name] = waiting.finish()
            container.write(results)
        found = container.results()
        for array, values in in_memory.items():
            np.testing.assert_array_equal(found.arrays[array], values)


def test_the_model_is_told_the_indicator_of_the_imaging_plane(path):
    told = {}
    for indicator in (None, "unknown", "GCaMP6s"):
        (report,) = process_all(NwbRecording.find(path), parse_options(dict(indicator=indicator, existing="overwrite")))
        said = "not told to the network: " if indicator == "unknown" else ", told to the network"
        assert said in describe_report(report)
        results = NwbRecording(path).results()
        told[indicator] = results.record.settings.indicator
    assert told == {None: "GCaMP6f", "unknown": "unknown", "GCaMP6s": "GCaMP6s"}


def test_an_indicator_that_the_model_does_not_know_is_not_told(tmp_path):
    session = Session()
    session.imaging_plane().fields["indicator"] = "Fluo-4"
    session.series(session.table(), raw_traces())
    recording = NwbRecording(session.save(tmp_path / "a.nwb"))
    assert recording.read().indicator == "Fluo-4"
    process_all([recording], parse_options(dict()))
    assert recording.results().record.settings.given_indicator is None


def test_long_recordings_are_in_chunks_for_both_ways_of_reading(tmp_path):
    path = simple(tmp_path / "a.nwb", values=raw_traces(40, 10_000), **{"rows": [0] * 40})
    container = NwbRecording(path)
    results = made_up(container)
    container.write(results)
    with h5py.File(output(path)) as file:
        assert file[f"{SPIKES}/data"].chunks == (4096, 32)
    assert_same(container.results(), results)


@pytest.mark.parametrize("selection", [Selection(), IN_PLACE])
def test_schema_and_inspector_find_no_new_fault(path, selection):
    from nwbinspector import inspect_nwbfile

    def faults(file: Path) -> tuple:
        messages = inspect_nwbfile(nwbfile_path=file)
        return len(pynwb.validate(path=str(file))), sorted(str((m.check_function_name, m.location)) for m in messages)

    before = faults(path)
    write(path, selection)
    assert faults(path if selection.in_place else output(path)) == before


def test_what_is_written_is_what_pynwb_writes(path):
    """The same objects, added by pynwb to the same file, have the same attributes."""
    write(path)
    with pynwb.NWBHDF5IO(str(path), "a") as io:
        nwbfile = io.read()
        table = nwbfile.processing["ophys"]["ImageSegmentation"]["PlaneSegmentation"]
        region = table.create_roi_table_region(region=list(range(N_ROIS)), description="ROIs")
        series = pynwb.ophys.RoiResponseSeries(
            name="RoiResponseSeries", data=np.zeros((N_FRAMES, N_ROIS), np.float32), rois=region, unit="Hz", rate=RATE
        )
        nwbfile.processing["ophys"].add(pynwb.ophys.Fluorescence(name="ByPynwb", roi_response_series=series))
        io.write(nwbfile)
    with h5py.File(path) as theirs, h5py.File(output(path)) as ours:
        for name in ("", "RoiResponseSeries", *(f"RoiResponseSeries/{part}" for part in ("data", "rois"))):
            expected, found = theirs[f"{OPHYS}/ByPynwb/{name}"], ours[f"{OPHYS}/CascadeSpikes/{name}"]
            # an offset of zero came with NWB 2.5; without it any version can be read
            assert set(found.attrs) == set(expected.attrs) - {"offset"}
            for key in ("namespace", "neurodata_type", "table", "unit", "resolution"):
                if key in expected.attrs and key != "table":
                    assert found.attrs[key] == expected.attrs[key]
        assert ours[ours[f"{SPIKES}/rois"].attrs["table"]].name == TABLE


def test_timestamps_are_kept_where_they_are_uneven(tmp_path):
    times = np.arange(N_FRAMES) / RATE
    times[100:] += 5.0
    path = simple(tmp_path / "a.nwb", timestamps=times, imaging_rate=None)
    write(path)
    with h5py.File(output(path)) as file:
        np.testing.assert_array_equal(file[f"{SPIKES}/timestamps"][:], times)
        assert file[f"{SPIKES}/timestamps"].attrs["interval"] == 1 and "starting_time" not in file[SPIKES]
        assert file[f"{SPIKES}/data"].attrs["conversion"] == pytest.approx(RATE)


def test_even_timestamps_become_a_rate(tmp_path):
    path = simple(tmp_path / "a.nwb", timestamps=7.0 + np.arange(N_FRAMES) / RATE)
    write(path)
    with h5py.File(output(path)) as file:
        assert file[f"{SPIKES}/starting_time"][()] == 7.0
        assert file[f"{SPIKES}/starting_time"].attrs["rate"] == pytest.approx(RATE)


def test_a_rate_that_was_given_is_written(path):
    container = NwbRecording(path)
    container.write(made_up(container, frame_rate=12.0))
    with h5py.File(output(path)) as file:
        assert file[f"{SPIKES}/starting_time"].attrs["rate"] == 12.0
        assert file[f"{SPIKES}/data"].attrs["conversion"] == 12.0


def test_rows_of_the_table_are_those_of_the_series(tmp_path):
    session = Session()
    session.series(session.table(), raw_traces(3), rows=[5, 1, 3])
    path = session.save(tmp_path / "a.nwb")
    write(path)
    with h5py.File(output(path)) as file:
        for place in (f"{SPIKES}/rois", f"{DFF}/rois", f"{NOISE}/roi"):
            assert file[place][:].tolist() == [5, 1, 3]


def test_a_series_elsewhere_gets_a_module_for_its_results(tmp_path):
    session = Session()
    session.series(session.table(), raw_traces(), "cells", module="imaging")
    path = session.save(tmp_path / "a.nwb")
    with h5py.File(path, "r+") as file:  # the table too
        file.move(f"{OPHYS}/ImageSegmentation", "/processing/imaging/ImageSegmentation")
        del file[OPHYS]
        table = file["/processing/imaging/ImageSegmentation/PlaneSegmentation"]
        file["/processing/imaging/Fluorescence/cells/rois"].attrs["table"] = table.ref
    before = contents(path)
    (results,) = write(path, IN_PLACE)
    assert_same(NwbRecording(path).results(), results)
    assert not pynwb.validate(path=str(path))
    next(path.parent.glob(".*undo1")).unlink()
    NwbRecording(path).restore()
    assert contents(path) == before


def test_names_that_are_taken_are_left_alone(tmp_path):
    session = Session()
    table = session.table()
    session.series(table, raw_traces())
    session.series(table, raw_traces(seed=1), "mine", "CascadeSpikes")
    path = session.save(tmp_path / "a.nwb")
    before = contents(path)
    (results,) = write(path, IN_PLACE)
    container = NwbRecording(path, selection=IN_PLACE)
    assert container.record().container["nwb"]["arrays"]["dff"] == DFF
    assert_same(container.results(), results)
    after = contents(path)
    assert {key: after[key] for key in before} == before
    assert f"{OPHYS}/CascadeSpikes2/RoiResponseSeries" in after


def test_links_to_other_files_and_the_schema_in_the_file_survive(tmp_path):
    session = Session()
    session.series(session.table(), raw_traces())
    path = session.save(tmp_path / "a.nwb", cache_spec=True)
    with h5py.File(tmp_path / "movie.h5", "w") as file:
        file["data"] = np.ones((10, 4, 4), np.int8)
    with pynwb.NWBHDF5IO(str(path), "a") as io:
        nwbfile = io.read()
        movie = pynwb.image.ImageSeries(
            name="movie", data=h5py.File(tmp_path / "movie.h5")["data"], unit="n.a.", rate=1.0
        )
        nwbfile.add_acquisition(movie)
        io.write(nwbfile)
    assert contents(path)["/acquisition/movie/data"] == ("/data", "movie.h5")
    before = contents(path)
    write(path)
    write(path, IN_PLACE)
    for file in (path, output(path)):
        after = contents(file)
        assert {key: after[key] for key in before} == before
        assert {key for key in set(after) - set(before) if "Cascade" not in key} == set()
        with pynwb.NWBHDF5IO(str(file), "r", load_namespaces=True) as io:
            assert io.read().acquisition["movie"].data[:].sum() == 160


def test_planes_share_one_new_file(planes):
    before = state(planes.parent)
    expected = write(planes)
    assert set(state(planes.parent)) == {"planes.nwb", "planes_cascade.nwb"}
    assert state(planes.parent)["planes.nwb"] == before["planes.nwb"]
    found = NwbRecording.find(planes)
    for container, results in zip(found, expected, strict=True):
        assert_same(container.results(), results)
    with pynwb.NWBHDF5IO(str(output(planes)), "r") as io:
        module = io.read().processing["ophys"]
        assert set(module["CascadeSpikes"].roi_response_series) == {"plane0", "plane1"}
        assert module["CascadeSpikes"]["plane1"].rois.data[:].tolist() == list(range(N_ROIS, 2 * N_ROIS))

    # one of them again: the other stays
    again = made_up(found[0], seed=7)
    found[0].write(again)
    assert_same(found[0].results(), again)
    assert_same(found[1].results(), expected[1])
    assert set(state(planes.parent)) == {"planes.nwb", "planes_cascade.nwb"}
    assert found[1].restore() == ["removed planes_cascade.nwb"] and found[0].restore() == []
    assert state(planes.parent) == before


# ----------------------------------------------------------------------------------- earlier results, and taking back


def test_earlier_results(path, random_model):
    def run(**options):
        (report,) = process_all(NwbRecording.find(path), parse_options(dict(model=str(random_model.folder), **options)))
        return report

    assert run().status == "done"
    before = state(path.parent)
    assert "has results already" in run().message
    assert run(existing="skip").message == "results are there already"
    assert state(path.parent) == before
    assert run(existing="overwrite", threshold=False).status == "done"
    assert not NwbRecording(path).is_stale()
    with h5py.File(path, "r+") as file:
        file[f"{SERIES}/data"][0, 0] += 1
    assert NwbRecording(path).is_stale()
    assert "stale: the traces have changed since" in run().message
    # a new copy of the changed file takes the place of the old one, which nobody else had changed
    assert run(existing="overwrite").status == "done"
    assert not NwbRecording(path).is_stale()
    with h5py.File(path) as old, h5py.File(output(path)) as new:
        assert old[f"{SERIES}/data"][0, 0] == new[f"{SERIES}/data"][0, 0]


def test_our_file_stands_for_its_source(path, tmp_path):
    write(path)
    for place in (path.parent, output(path)):
        assert [found.path for found in NwbRecording.find(place)] == [path]
    # but in place it means itself
    assert [found.path for found in NwbRecording.find(output(path), IN_PLACE)] == [output(path)]
    # without its source it is a file like any other, with results in it
    moved = tmp_path / output(path).name
    os.rename(output(path), moved)
    (alone,) = NwbRecording.find(moved)
    assert alone.path == moved and alone.record().container["nwb"]["series"] == SERIES
    with pytest.raises(InputError, match="holds results itself: pass --in-place"):
        alone.write(made_up(alone))
    assert alone.restore() == ["removed our results from a_cascade.nwb: its contents are as they were"]
    assert contents(moved) == contents(path)


def test_a_file_of_somebody_else_is_in_the_way(path):
    output(path).write_bytes(path.read_bytes())
    before = state(path.parent)
    with pytest.raises(InputError, match=r"a_cascade.nwb is in the way, and was not written by cascade"):
        write(path.parent / "a.nwb")
    assert NwbRecording(path).restore() == []
    assert state(path.parent) == before


def test_what_was_added_to_our_file_is_kept(path):
    write(path)
    with h5py.File(output(path), "r+") as file:
        file["acquisition"].attrs["mine"] = "yes"
    before = contents(output(path))
    write(path, seed=1)
    assert contents(output(path))["/acquisition"] == before["/acquisition"]
    (done,) = NwbRecording(path).restore()
    assert done == "removed our results from a_cascade.nwb, and left the rest: a_cascade.nwb was changed since"
    expected = contents(path)
    expected["/acquisition"] = before["/acquisition"]
    assert contents(output(path)) == expected


def test_the_only_copy_of_what_the_file_was_is_not_removed(path):
    write(path)
    before = contents(path)
    with h5py.File(path, "r+") as file:
        del file[f"{SERIES}/data"]
    (done,) = NwbRecording(path).restore()
    assert done == "removed our results from a_cascade.nwb, and left the rest: a.nwb was changed since"
    assert contents(output(path)) == before


def test_when_both_files_were_changed_nothing_is_overwritten(path):
    write(path)
    for file in (path, output(path)):
        with h5py.File(file, "r+") as opened:
            opened["acquisition"].attrs["mine"] = file.name
    before = state(path.parent)
    with pytest.raises(InputError, match=r"was made from an earlier a.nwb, and was changed since: move it away"):
        write(path)
    assert state(path.parent) == before


@pytest.mark.parametrize("n_times", [1, 2])
def test_in_place_and_back_to_the_last_byte(planes, n_times):
    before = state(planes.parent)
    inside = contents(planes)
    for seed in range(n_times):
        expected = write(planes, IN_PLACE, seed)
    found = NwbRecording.find(planes, IN_PLACE)
    for container, results in zip(found, expected, strict=True):
        assert_same(container.results(), results)
        assert not container.is_stale()
    after = contents(planes)
    assert {key: after[key] for key in inside} == inside
    assert not output(planes).exists()
    journals = sorted(planes.parent.glob(".planes.nwb.cascade-undo*"))
    assert len(journals) == 2 * n_times
    assert NwbRecording(planes).restore() == ["took back what was written into planes.nwb, to the last byte"]
    assert state(planes.parent) == before


def test_in_place_in_a_file_that_was_changed_since(path):
    before = contents(path)
    write(path, IN_PLACE)
    with h5py.File(path, "r+") as file:
        file["acquisition"].attrs["mine"] = "yes"
        file["analysis/new"] = np.arange(1000)
    inside = contents(path)
    (done,) = NwbRecording(path).restore()
    assert done == "removed our results from a.nwb: its contents are as they were"
    assert contents(path) == {key: value for key, value in inside.items() if "Cascade" not in key}
    assert {key: contents(path)[key] for key in before if key != "/acquisition"} == {
        key: before[key] for key in before if key != "/acquisition"
    }
    assert [file.name for file in path.parent.iterdir()] == ["a.nwb"]


def test_both_places_are_restored(path):
    before = state(path.parent)
    write(path)
    write(path, IN_PLACE)
    with pytest.raises(InputError, match="holds results itself"):
        write(path)
    assert len(NwbRecording(path).restore()) == 2
    assert state(path.parent) == before


def test_results_that_lack_a_part(path):
    write(path, IN_PLACE)
    with h5py.File(path, "r+") as file:
        del file[NOISE]
    container = NwbRecording(path, selection=IN_PLACE)
    with pytest.raises(InputError, match="lacks a part of its results"):
        container.results()
    container.restore()
    assert not any("Cascade" in key for key in contents(path))


def test_deconvolved_series_are_not_replaced(path):
    before = state(path.parent)
    container = NwbRecording(path)
    with pytest.raises(InputError, match="leave out --replace-spks"):
        container.check_replaceable()
    with pytest.raises(InputError, match="leave out --replace-spks"):
        container.write(made_up(container), replace_spikes=True)
    assert state(path.parent) == before


def test_real_files(shared, tmp_path, random_model):
    for file in sorted(shared("containers/nwb").glob("*.nwb")):
        copy(file, tmp_path)
    before = state(tmp_path)
    faults = {file: len(pynwb.validate(path=str(tmp_path / file))) for file in before}
    for selection in (Selection(), IN_PLACE):
        found = NwbRecording.find(tmp_path, selection)
        reports = process_all(found, parse_options(dict(model=str(random_model.folder), noise_level=1.0)))
        assert [report.status for report in reports] == ["done"] * 2
        for container in found:
            target = container.path if selection.in_place else output(container.path)
            assert len(pynwb.validate(path=str(target))) == faults[container.path.name]
            assert container.restore()
        assert state(tmp_path) == before


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_new_copy_keeps_results_of_other_planes_that_are_still_right(planes, is_changed):
    """Also where the file was changed, as long as it was not in these traces."""
    expected = write(planes)
    with h5py.File(planes, "r+") as file:
        file["acquisition"].attrs["mine"] = "yes"
        if is_changed:
            file[f"{OPHYS}/Fluorescence/plane1/data"][0, 0] += 1
    first, second = NwbRecording.find(planes)
    again = made_up(first, seed=5)
    first.write(again)
    assert_same(first.results(), again)
    if is_changed:
        assert second.results() is None
    else:
        assert_same(second.results(), expected[1])
    with h5py.File(output(planes)) as file:
        assert file["acquisition"].attrs["mine"] == "yes"
    assert first.restore() == ["removed planes_cascade.nwb"]


def test_a_file_that_changes_while_it_is_copied(path, monkeypatch):
    from cascade_adapters.containers.nwb import recording

    def touch_it(file, names):
        os.utime(path, ns=(0, 0))

    monkeypatch.setattr(recording, "check_valid", touch_it)
    with pytest.raises(InputError, match="was changed by another program meanwhile: run again"):
        write(path)
    assert [file.name for file in path.parent.iterdir()] == ["a.nwb"]


# ---------------------------------------------------------------------------------------------------------------- Zarr


def test_a_zarr_store_gets_a_new_store_beside_it(store, random_model):
    from hdmf_zarr import NWBZarrIO
    from nwbinspector import inspect_nwbfile

    before = state(store.parent)
    (report,) = process_all(NwbRecording.find(store), parse_options(dict(model=str(random_model.folder))))
    assert (report.status, report.written[0]) == ("done", "a_cascade.nwb.zarr")
    assert {key: value for key, value in state(store.parent).items() if key.startswith("a.nwb.zarr/")} == before
    results = NwbRecording(store).results()
    with NWBZarrIO(str(output(store)), "r") as io:
        module = io.read().processing["ophys"]
        spikes = module["CascadeSpikes"]["RoiResponseSeries"]
        np.testing.assert_array_equal(spikes.data[:].T, results.spike_prob)
        assert (spikes.unit, spikes.conversion, spikes.rate) == ("Hz", RATE, RATE)
        assert spikes.rois.table is module["ImageSegmentation"]["PlaneSegmentation"]
        assert (
            module["CascadeNoiseLevels_RoiResponseSeries"]["noise_level"][:].tolist() == results.noise_levels.tolist()
        )
        assert not pynwb.validate(io=io)
    messages = [
        sorted(str(m.check_function_name) for m in inspect_nwbfile(nwbfile_path=p)) for p in (store, output(store))
    ]
    assert messages[0] == messages[1]

    # once more, and back
    again = made_up(NwbRecording(store), seed=3)
    NwbRecording(store).write(again)
    assert_same(NwbRecording(store).results(), again)
    assert not list(store.parent.glob(".*"))
    assert NwbRecording.find(store.parent)[0].restore() == ["removed a_cascade.nwb.zarr"]
    assert state(store.parent) == before


def test_zarr_stores_are_not_changed_in_place(store):
    before = state(store.parent)
    with pytest.raises(InputError, match="is a Zarr store: leave out --in-place"):
        write(store, IN_PLACE)
    assert state(store.parent) == before


def test_a_changed_zarr_store_of_ours_loses_only_our_results(store):
    write(store)
    (output(store) / "note.txt").write_text("mine")
    assert NwbRecording(store).restore()[0].endswith("a_cascade.nwb.zarr was changed since")
    after = state(store.parent)
    ours = {key.split("/", 1)[1] for key in after if key.startswith("a_cascade.nwb.zarr/")}
    assert ours == {key.split("/", 1)[1] for key in after if key.startswith("a.nwb.zarr/")} | {"note.txt"}
    assert after["a_cascade.nwb.zarr/.zmetadata"][0] == after["a.nwb.zarr/.zmetadata"][0]
    np.testing.assert_array_equal(NwbRecording(output(store)).read().fluorescence, raw_traces())


# -------------------------------------------------------------------------------------------------------------- safety


#: Every line of these counts as a point at which a run can be killed.
OWN_CODE = (
    "hdf5_file.py",
    "zarr_store.py",
    "in_place.py",
    "overlay.py",
    "journal.py",
    "copy.py",
    "/files.py",
    "/recording.py",
    "/output.py",
)


@needs_fork
@pytest.mark.parametrize(
    ("name", "is_second", "selection", "n_kills"),
    [
        ("a.nwb", False, Selection(), 3),
        ("planes.nwb", True, Selection(), 3),
        ("a.nwb", False, IN_PLACE, 3),
        ("a.nwb.zarr", False, Selection(), 1),
        ("a.nwb.zarr", True, Selection(), 1),
    ],
)
def test_killed_at_any_point_it_is_old_or_new(templates, tmp_path, name, is_second, selection, n_kills):
    kills = Kills(templates / name, tmp_path, selection, is_second)
    rng = np.random.default_rng(0)
    for point in rng.choice(kills.points, n_kills, replace=False):
        kills.kill(int(point))


class Kills:
    """Writing into copies of a file, killed at chosen points; nothing must ever be lost.

    Parameters
    ----------
    template, folder : Path
        The file, and where copies go.
    selection : Selection
        Where results go.
    is_second : bool
        There are results already, in a file of ours that is changed.
    """

    def __init__(self, template: Path, folder: Path, selection: Selection, is_second: bool):
        self._template, self._folder, self._selection, self._is_second = template, folder, selection, is_second
        container, results = self._prepare("counted")
        is_zarr = template.is_dir()  # each of its many files is something new
        self._own_code = () if is_zarr else OWN_CODE
        self.points = changing_points(
            lambda: container.write(results), None if is_zarr else container.path.parent, self._own_code
        )

    def kill(self, point: int) -> str:
        """Kill a run at one of `points`; returns which results are there then, "old" or "new"."""
        container, results = self._prepare("killed")
        path, earlier = container.path, container.results()
        before = self._before
        assert killed(lambda: container.write(results), point, self._own_code)
        again = [one for one in NwbRecording.find(path, self._selection) if one.identity == container.identity]
        found = again[0].results()
        is_new = found is not None and np.array_equal(found.spike_prob, results.spike_prob, equal_nan=True)
        expected = results if is_new else earlier
        assert (found is None) == (expected is None)
        if expected is not None:
            assert_same(found, expected)
        np.testing.assert_array_equal(again[0].read().fluorescence, container.read().fluorescence)
        again[0].restore()
        assert state(path.parent) == before
        shutil.rmtree(path.parent)
        return "new" if is_new else "old"

    def _prepare(self, name: str) -> tuple[NwbRecording, Results]:
        path = copy(self._template, self._folder / name)
        self._before = state(path.parent)
        containers = NwbRecording.find(path, self._selection)
        if self._is_second:
            containers[0].write(made_up(containers[0]))
        return containers[-1], made_up(containers[-1], seed=1)


@needs_fork
@pytest.mark.parametrize("selection", [Selection(), IN_PLACE])
def test_a_full_disk_leaves_everything_as_it_was(path, selection):
    import resource

    container, before = NwbRecording(path, selection=selection), state(path.parent)
    results, message = made_up(container), path.parent.parent / "message"

    def write_on_a_full_disk() -> None:
        size = path.stat().st_size + 5000
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        try:
            container.write(results)
        except InputError as error:
            message.write_text(str(error))

    assert forked(write_on_a_full_disk) == 0
    assert "cannot be written" in message.read_text() or "cannot be changed" in message.read_text()
    assert "\n" not in message.read_text()
    assert state(path.parent) == before


def test_too_little_room_for_a_copy_is_found_at_once(path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(InputError, match=r"GB free, but a copy of a.nwb needs .* or pass --in-place"):
        write(path)
    assert [file.name for file in path.parent.iterdir()] == ["a.nwb"]


def test_a_read_only_file_is_not_changed_in_place(path):
    path.chmod(0o444)
    before = state(path.parent)
    with pytest.raises(InputError, match=r"a.nwb is read-only"):
        write(path, IN_PLACE)
    assert state(path.parent) == before
    write(path)
    assert output(path).exists()


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="the system lets root write anywhere")
def test_a_read_only_folder(path):
    path.parent.chmod(0o555)
    try:
        for selection in (Selection(), IN_PLACE):
            with pytest.raises(InputError, match=r"cannot be (written|changed): Permission denied"):
                write(path, selection)
    finally:
        path.parent.chmod(0o755)


@pytest.mark.parametrize("selection", [Selection(), IN_PLACE])
def test_two_runs_at_once(path, selection):
    container = NwbRecording(path, selection=selection)
    results, before = made_up(container), state(path.parent)
    with (
        locked_elsewhere(path if selection.in_place else output(path)),
        pytest.raises(InputError, match="is being changed by another run"),
    ):
        container.write(results)
    assert state(path.parent) == before


def test_a_file_that_is_open_elsewhere_is_not_changed(path):
    pytest.importorskip("fcntl")
    container = NwbRecording(path, selection=IN_PLACE)
    results, before = made_up(container), state(path.parent)
    with h5py.File(path, "r"), pytest.raises(InputError, match="is open in another program"):
        container.write(results)
    assert state(path.parent) == before


@pytest.mark.parametrize("selection", [Selection(), IN_PLACE])
def test_a_link_and_a_name_of_any_kind(templates, tmp_path, selection):
    real = copy(templates / "a.nwb", tmp_path / "día 1, µ2² (50%) [x]")
    link = tmp_path / "links" / "línk ü.nwb"
    link.parent.mkdir()
    try:
        link.symlink_to(real)
    except OSError:
        pytest.skip("this platform or user cannot make links")
    before = state(real.parent)
    (results,) = write(link, selection)
    assert_same(NwbRecording(link, selection=selection).results(), results)
    assert link.is_symlink() and (link.parent / "línk ü_cascade.nwb").exists() != selection.in_place
    (found,) = NwbRecording.find(link)
    found.restore()
    assert state(real.parent) == before and [file.name for file in link.parent.iterdir()] == ["línk ü.nwb"]


def test_a_result_that_is_not_valid_is_never_put_in_place(path, monkeypatch):
    def refuse(file, names):
        raise InputError("not valid")

    before = state(path.parent)
    monkeypatch.setattr("cascade_adapters.containers.nwb.recording.check_valid", refuse)
    for selection in (Selection(), IN_PLACE):
        with pytest.raises(InputError, match="not valid"):
            write(path, selection)
        assert state(path.parent) == before


def test_results_of_other_rois_are_refused(path):
    container = NwbRecording(path)
    results = made_up(container)
    results.arrays["spike_prob"] = results.spike_prob[:-1]
    with pytest.raises(InputError, match=r"results of 5 ROIs do not fit the 6"):
        container.write(results)


def test_traces_are_read_without_a_second_copy(tmp_path):
    path = simple(tmp_path / "a.nwb", values=raw_traces(20, 100_000), rows=[0] * 20)
    with open_nwb(path) as opened:
        load_series(opened, SERIES)
        tracemalloc.start()
        values = load_series(opened, SERIES).values
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert values.nbytes == 8_000_000 and peak < 2.2 * values.nbytes


def test_the_command_line(path, random_model, capsys):
    before = state(path.parent)

    def cascade(*arguments: str) -> str:
        try:
            main([arguments[0], str(path.parent), *arguments[1:]])
        except SystemExit as end:
            assert not end.code
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    model = ("--model", str(random_model.folder))
    assert "wrote a_cascade.nwb, /processing/ophys/CascadeSpikes" in cascade("run", *model)
    assert "results: by random" in cascade("inspect", *model)
    assert "removed a_cascade.nwb" in cascade("restore")
    assert "wrote a.nwb" in cascade("run", *model, "--in-place")
    assert "done" in cascade("run", *model, "--in-place", "--existing", "overwrite")
    assert "to the last byte" in cascade("restore")
    assert "nothing to restore" in cascade("restore")
    assert state(path.parent) == before


def test_nothing_of_nwb_is_imported_before_it_is_needed():
    code = """
import sys
import cascade_adapters.containers.registry
print(sorted({"pynwb", "hdmf", "hdmf_zarr", "zarr", "h5py"} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
