"""NWB files: what is written, and where it goes."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pynwb
import pytest

from cascade_adapters.cli.text import describe_report
from cascade_adapters.containers.base import Selection
from cascade_adapters.containers.nwb import NwbRecording, layout
from cascade_adapters.results import Record, Spikes, schema
from cascade_adapters.results.schema import ResultArray
from cascade_adapters.running.batch import process_all
from cascade_adapters.running.options import parse_options
from cascade_adapters.safe_writing.spool import Spool
from cascade_engine._version import __version__
from tests.adapters.nwb.helpers import (
    DFF,
    IN_PLACE,
    NOISE,
    SPIKES,
    assert_same,
    contents,
    copy,
    made_up,
    opened_by_pynwb,
    output,
    state,
    write,
)
from tests.adapters.nwb.test_reading import OPHYS, SERIES, TABLE, without_rois
from tests.builders.nwb_files import N_FRAMES, N_ROIS, RATE, Session, raw_traces, simple


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
            assert series.data.shape == (N_FRAMES, N_ROIS)
            assert series.data.chunks == (N_FRAMES, N_ROIS) and series.data.compression == "gzip"
            in_unit = values if series is dff else values * RATE
            np.testing.assert_allclose(series.data[:].T, in_unit, rtol=1e-6)
            assert series.rois.table is table and series.rois.data[:].tolist() == list(range(N_ROIS))
            assert (series.rate, series.starting_time, series.timestamps) == (RATE, 0.0, None)
            assert Record.parse(series.comments, "") == results.record
        assert (spikes.unit, spikes.conversion) == ("Hz", 1.0)
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
        assert file[f"{SPIKES}/data"].attrs["conversion"] == 1.0


def test_even_timestamps_become_a_rate(tmp_path):
    path = simple(tmp_path / "a.nwb", timestamps=7.0 + np.arange(N_FRAMES) / RATE)
    write(path)
    with h5py.File(output(path)) as file:
        assert file[f"{SPIKES}/starting_time"][()] == 7.0
        assert file[f"{SPIKES}/starting_time"].attrs["rate"] == pytest.approx(RATE)


def test_a_rate_that_was_given_is_written(path):
    container = NwbRecording(path)
    results = made_up(container, frame_rate=12.0)
    container.write(results)
    with h5py.File(output(path)) as file:
        assert file[f"{SPIKES}/starting_time"].attrs["rate"] == 12.0
        assert file[f"{SPIKES}/data"].attrs["conversion"] == 1.0
        np.testing.assert_allclose(file[f"{SPIKES}/data"][:].T, 12.0 * results.spike_prob, rtol=1e-6)


@pytest.mark.parametrize("rate", [30.0, 15.457, 7.3, 200 / 3])
def test_rates_are_stored_and_expected_spikes_come_back_exactly(rate):
    array = next(array for array in schema.ARRAYS if array.name == "spike_prob")
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.exponential(0.1, 5000), 10.0 ** rng.uniform(-30, 3, 5000), [0, np.nan]])
    values = values.astype(np.float32).reshape(2, -1)
    stored = layout.stored_values(array, values, rate)
    np.testing.assert_allclose(stored, values.astype(float) * rate, rtol=1e-8)
    np.testing.assert_array_equal(layout.values_of(array, stored, 1.0, rate), values)
    np.testing.assert_array_equal(layout.values_of(array, values, rate, rate), values)  # as up to version 0.2.0


@pytest.mark.parametrize("name", ["a.nwb", "a.nwb.zarr"])
def test_units_say_when_each_roi_was_observed(tmp_path, name):
    from nwbinspector import Importance, inspect_nwbfile

    times = 100.0 + np.arange(N_FRAMES) / RATE
    times[150:] += 5.0
    path = simple(tmp_path / name, zarr=name.endswith("zarr"), timestamps=times)
    container = NwbRecording(path)
    results = made_up(container)
    spike_prob = np.ones((N_ROIS, N_FRAMES), np.float32)
    spike_prob[0] = np.nan
    spike_prob[1, 30:40] = np.nan
    spikes = Spikes(*(np.array(column) for column in ([1, 1, 3], [50, 50, 200], times[[50, 50, 200]], [0.9, 0.4, 1.0])))
    container.write(replace(results, arrays={**results.arrays, "spike_prob": spike_prob}, spikes=spikes))
    frame = 1 / RATE
    whole = [[100.0, times[149] + frame], [times[150], times[-1] + frame]]
    with opened_by_pynwb(output(path)) as io:
        units = io.read().processing["ophys"]["CascadeUnits_RoiResponseSeries"]
        intervals = [units.get_unit_obs_intervals(roi) for roi in range(3)]
        np.testing.assert_allclose(np.diff(intervals[0]), 0)  # no prediction: not a silent ROI
        np.testing.assert_allclose(intervals[1], [[100.0, times[29] + frame], [times[40], whole[0][1]], whole[1]])
        np.testing.assert_allclose(intervals[2], whole)
        np.testing.assert_allclose(units.get_unit_spike_times(1), times[[50, 50]])
    faults = [
        message
        for message in inspect_nwbfile(nwbfile_path=output(path))
        if "Cascade" in f"{message.location}{message.object_name}"
    ]
    assert not [fault for fault in faults if fault.importance != Importance.BEST_PRACTICE_SUGGESTION]


@pytest.mark.parametrize("name", ["a.nwb", "a.nwb.zarr"])
def test_units_refer_to_their_rois(tmp_path, name):
    table_rows = [5, 0, 2]
    session = Session()
    session.series(session.table(), raw_traces(3), rows=table_rows)
    path = session.save(tmp_path / name, zarr=name.endswith("zarr"))
    container = NwbRecording(path)
    spikes = Spikes(*(np.array(column) for column in ([1], [50], [50 / RATE], [0.9])))
    container.write(replace(made_up(container), spikes=spikes))
    with opened_by_pynwb(output(path)) as io:
        units = io.read().processing["ophys"]["CascadeUnits_RoiResponseSeries"]
        assert [units["roi"][unit].index.tolist() for unit in range(3)] == [[row] for row in table_rows]
        assert not pynwb.validate(io=io)


def test_pynapple_gives_rates_in_hz_and_units_as_a_group(tmp_path):
    """Of a unit with a single spike, pynapple itself makes an empty one."""
    nap = pytest.importorskip("pynapple")
    path = simple(tmp_path / "a.nwb", starting_time=100.0, rate=RATE)
    container = NwbRecording(path)
    results = made_up(container)
    frames = np.array([50, 51, 200, 290])
    spikes = Spikes(np.array([1, 1, 3, 3]), frames, frames / RATE, np.array([0.9, 0.4, 1.0, 0.8]))
    container.write(replace(results, spikes=spikes))
    data = nap.load_file(str(output(path)))
    rates = next(data[name] for name in data.keys() if "CascadeSpikes" in name)  # noqa: SIM118
    np.testing.assert_allclose(rates.values, RATE * results.spike_prob.T, rtol=1e-6)
    np.testing.assert_allclose(rates.t, 100.0 + np.arange(N_FRAMES) / RATE, atol=1e-6)
    units = data["CascadeUnits_RoiResponseSeries"]
    assert isinstance(units, nap.TsGroup) and list(units.keys()) == list(range(N_ROIS))
    np.testing.assert_allclose(units[1].t, 100.0 + frames[:2] / RATE, atol=1e-6)
    assert len(units[0]) == 0
    np.testing.assert_allclose(units[3].t, 100.0 + frames[2:] / RATE, atol=1e-6)
    assert "image_mask" not in units.metadata_columns
    assert str(units) and str(data)


@pytest.mark.parametrize("name", ["a.nwb", "a.nwb.zarr"])
def test_a_series_without_rois_gets_plain_series(tmp_path, name):
    path = without_rois(tmp_path / name, zarr=name.endswith("zarr"))
    (container,) = NwbRecording.find(path, Selection(series="raw"))
    results = made_up(container)
    spikes = Spikes(*(np.array(column) for column in ([1, 3], [50, 200], 2.0 + np.array([50, 200]) / RATE, [0.9, 1.0])))
    container.write(replace(results, spikes=spikes))
    with opened_by_pynwb(output(path)) as io:
        module = io.read().processing["ophys"]
        series, units = module["CascadeSpikes_raw"], module["CascadeUnits_raw"]
        assert (series.neurodata_type, series.unit, series.starting_time) == ("TimeSeries", "Hz", 2.0)
        np.testing.assert_allclose(series.data[:].T, RATE * results.spike_prob, rtol=1e-6)
        np.testing.assert_allclose(units.get_unit_spike_times(3), [2.0 + 200 / RATE])
        assert not pynwb.validate(io=io)
    (again,) = NwbRecording.find(path)  # without naming it again
    np.testing.assert_array_equal(again.results().spike_prob, results.spike_prob)
    assert not again.is_stale()
    (other,) = NwbRecording.find(path, Selection(series="dff"))
    other.write(made_up(other))
    assert len(NwbRecording.find(path)) == 2
    assert again.restore() == [f"removed {output(path).name}"]


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
