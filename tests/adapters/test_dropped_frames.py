"""Frames that were dropped: nothing is cut there, results keep the container's frames, and every step knows."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from cascade_adapters.containers.base import Selection
from cascade_adapters.containers.nwb import NwbRecording
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.convert import convert, read_metadata
from cascade_adapters.running.discrete import add_spikes
from cascade_engine import FrameGrid, infer, infer_discrete_spikes
from cascade_engine.signal.dff import delta_f_over_f
from tests.builders import nwb_files
from tests.builders.running import dff_of, inspect_one, run_one
from tests.builders.sessions import run
from tests.builders.suite2p_folders import _simulated_dff

RATE, N_ALL = 30.0, 1500
LOST = np.r_[100, 250:253, 700, 702, 1100:1130]
KEPT = np.setdiff1d(np.arange(N_ALL), LOST)
DROPPED = {100: 1, 249: 3, 696: 1, 697: 1, 1094: 30}
TIMES = 100.0 + KEPT / RATE


def complete() -> np.ndarray:
    """Raw fluorescence in which no frame is missing."""
    return (500.0 * (1.0 + _simulated_dff(nwb_files.N_ROIS, N_ALL, RATE, 1.5, 0))).astype(np.float32)


@pytest.fixture(params=[False, True], ids=["HDF5", "Zarr"])
def path(tmp_path, request):
    name = "session.nwb.zarr" if request.param else "session.nwb"
    return nwb_files.simple(tmp_path / name, request.param, values=complete()[:, KEPT], timestamps=TIMES)


def test_f0_and_prediction_run_across(path):
    (container,) = find_containers(path)
    traces = container.read()
    assert traces.dropped == DROPPED and traces.segments is None
    np.testing.assert_array_equal(traces.grid.positions, KEPT)
    report = run_one(container)
    assert (report.n_frames, report.n_dropped, report.segments) == (len(KEPT), len(LOST), None)
    assert report.duration_s == pytest.approx(N_ALL / RATE) and report.frame_rate_hz == pytest.approx(RATE)
    (warning,) = (text for text in report.warnings if "dropped" in text)
    assert warning.endswith("show 36 dropped frames, up to 1 s at a time: F0 and prediction run across")

    with_gaps = complete()
    with_gaps[:, LOST] = np.nan
    dff = delta_f_over_f(with_gaps, report.frame_rate_hz).dff
    expected = infer(dff, report.frame_rate_hz, indicator=report.settings["indicator"]).spike_prob
    results = container.results()
    np.testing.assert_allclose(np.asarray(results.dff[:]), dff[:, KEPT], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.asarray(results.spike_prob[:]), expected[:, KEPT], rtol=1e-3, atol=1e-4)
    assert results.record.recording.dropped_frames == DROPPED
    assert results.record.recording.grid.n_frames == N_ALL


def test_inspect_says_so(path, capsys):
    status, output, _ = run(capsys, "inspect", path)
    assert status == 0 and "36 frames were dropped between those that are stored" in output
    (container,) = find_containers(path)
    assert inspect_one(container).n_dropped == 36


def test_discrete_spikes_have_their_frame_and_time(path):
    (container,) = find_containers(path)
    run_one(container)
    add_spikes(container)
    results = container.results()
    spikes, record = results.spikes, results.record
    on_grid = FrameGrid(len(KEPT), dropped=DROPPED).expand(np.asarray(results.spike_prob[:]))
    found = infer_discrete_spikes(on_grid, record.recording.frame_rate_hz, record.settings.smoothing)
    assert len(spikes.frame) > 30
    np.testing.assert_array_equal(KEPT[spikes.frame], np.concatenate(found.frames))
    np.testing.assert_allclose(spikes.time_s, TIMES[spikes.frame])


def test_a_long_gap_ends_a_segment(tmp_path):
    times = TIMES.copy()
    times[600:] += 60.0
    path = nwb_files.simple(tmp_path / "session.nwb", values=complete()[:, KEPT], timestamps=times)
    container = NwbRecording(path)
    report = run_one(container)
    assert report.segments == [600, len(KEPT) - 600] and report.n_dropped == len(LOST)
    expanded = FrameGrid(len(KEPT), report.segments, DROPPED)
    assert expanded.segments == [604, N_ALL - 604] and sum(expanded.segments) == N_ALL
    raw = expanded.expand(complete()[:, KEPT])
    dff = delta_f_over_f(raw, report.frame_rate_hz, segments=expanded.segments).dff
    np.testing.assert_allclose(dff_of(container.read()).dff, expanded.collect(dff), rtol=1e-4, atol=1e-5)


def test_a_repeated_frame_has_no_value_of_its_own(tmp_path):
    frames = np.insert(np.arange(N_ALL), 401, 400)
    path = nwb_files.simple(tmp_path / "a.nwb", values=complete()[:, frames], timestamps=frames / RATE)
    container = NwbRecording(path)
    report = run_one(container)
    spike_prob = np.asarray(container.results().spike_prob[:])
    assert report.duration_s == pytest.approx(N_ALL / RATE)
    assert np.isnan(spike_prob[:, 401]).all() and np.isfinite(np.delete(spike_prob, 401, axis=1)).all()
    whole = infer(delta_f_over_f(complete(), RATE).dff, RATE, indicator=report.settings["indicator"]).spike_prob
    np.testing.assert_allclose(np.delete(spike_prob, 401, axis=1), whole, rtol=1e-3, atol=1e-4)


def test_the_record_holds_many(tmp_path):
    frames = np.flatnonzero(np.arange(40_000) % 5)
    values = np.random.default_rng(0).normal(500, 10, (1, len(frames))).astype(np.float32)
    session = nwb_files.Session()
    session.series(session.table(1), values, timestamps=frames / RATE)
    path = session.save(tmp_path / "long.nwb")
    container = NwbRecording(path)
    run_one(container)
    again = NwbRecording(path)
    assert len(again.record().recording.dropped_frames) == 7999 and not again.is_stale()
    with h5py.File(tmp_path / "long_cascade.nwb") as file:
        assert len(file["processing/ophys/CascadeSpikes/RoiResponseSeries"].attrs["comments"]) > 64_000


# --------------------------------------------------------------------------------------------------------- converted


@pytest.fixture
def session(tmp_path):
    path = nwb_files.simple(tmp_path / "session.nwb", values=complete()[:, KEPT], timestamps=TIMES)
    (container,) = find_containers(path)
    run_one(container)
    add_spikes(container)
    return path


def test_to_suite2p_and_on_to_nwb(tmp_path, session):
    convert(session, tmp_path / "out")
    plane = Suite2pPlane(tmp_path / "out" / "plane0")
    traces = plane.read()
    assert traces.dropped == DROPPED and traces.remarks[1:] == []
    np.testing.assert_array_equal(dff_of(traces).dff, np.asarray(plane.results().dff[:]))
    before = plane.results()
    add_spikes(plane)
    np.testing.assert_array_equal(plane.results().spikes.frame, before.spikes.frame)
    np.testing.assert_allclose(plane.results().spikes.time_s, KEPT[before.spikes.frame] / RATE, rtol=1e-5)

    metadata = read_metadata(None, ("session_start_time=2024-05-17T12:30:00+02:00",))
    convert(tmp_path / "out", tmp_path / "again.nwb", metadata=metadata)
    (again,) = find_containers(tmp_path / "again.nwb", Selection(in_place=True))
    assert again.read().dropped == DROPPED and not again.is_stale()
    assert again.record().recording.dropped_frames == DROPPED
    np.testing.assert_allclose(again.results().spikes.time_s, KEPT[before.spikes.frame] / RATE, rtol=1e-5)


def test_to_arrays_and_tables(tmp_path, session):
    convert(session, tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz") as archive:
        assert dict(archive["dropped_frames"].tolist()) == DROPPED
    convert(session, tmp_path / "tables", kind="csv")
    about = json.loads((tmp_path / "tables" / "about.json").read_text())
    assert dict(about["dropped_frames"]) == DROPPED
    table = np.loadtxt(tmp_path / "tables" / "F.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(table[:, 0], KEPT / RATE, rtol=1e-5)
