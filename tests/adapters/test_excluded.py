"""Frames that are left out: as if they had never been recorded, whatever says so and in every container."""

import json
import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import cascade_adapters
from cascade_adapters.cli import main
from cascade_adapters.containers.base import Reading
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.hooks.suite2p import run_on_folder
from cascade_adapters.running.batch import process_all
from cascade_adapters.running.excluded import without_bad_frames
from cascade_adapters.running.options import parse_options
from cascade_engine.errors import CascadeWarning, InputError
from cascade_engine.signal.frames import frame_text
from tests.adapters.test_fall import save_fall
from tests.builders import array_files, caiman_files, nwb_files, segmentation_files
from tests.builders.running import dff_of, inspect_one, run_one
from tests.builders.suite2p_folders import change_settings, make_plane, save_settings

N_FRAMES = 600

#: Frames that are bad, and as text.
BAD, BAD_TEXT = np.r_[100:103, 250, 400:402], "100-102,250,400-401"

MASK = np.isin(np.arange(N_FRAMES), BAD)


def put_into_plane(folder, bad, value=np.nan):
    """Change frames of F and Fneu."""
    for name in ("F", "Fneu"):
        traces = np.load(folder / f"{name}.npy")
        traces[:, bad] = traces[:, bad] * value
        np.save(folder / f"{name}.npy", traces)


def suite2p_old(path, flash, mark):
    folder = make_plane(path / "plane0", n_frames=N_FRAMES).folder
    put_into_plane(folder, BAD, flash)
    if mark:
        change_settings(folder, badframes=MASK)
    return folder


def suite2p_new(path, flash, mark):
    folder = make_plane(path / "plane0", n_frames=N_FRAMES, generation="new").folder
    put_into_plane(folder, BAD, flash)
    if mark:
        save_settings(folder / "reg_outputs.npy", {"badframes": MASK, "yoff": np.zeros(N_FRAMES)})
    return folder


def fall(path, flash, mark):
    return save_fall(suite2p_old(path, flash, mark), path / "Fall.mat")


def nwb(path, flash, mark, shift=0.0):
    session = nwb_files.Session()
    table, raw = session.table(), nwb_files.raw_traces(n_frames=N_FRAMES)
    raw[:, BAD] *= flash
    session.series(table, raw, starting_time=shift, rate=30.0)
    if mark:
        for first, last in ((100, 102), (250, 250), (400, 401)):
            session.nwbfile.add_invalid_time_interval(
                start_time=shift + first / 30.0, stop_time=shift + (last + 0.5) / 30.0
            )
    return session.save(path / "session.nwb")


def inscopix(path, flash, mark):
    pytest.importorskip("isx")
    dff = array_files.make_dff(3, N_FRAMES).copy()
    dff[:, BAD] = dff[:, BAD] + flash - 1
    marks = {"dropped": [100, 101, 102], "cropped": [(400, 401)], "blank": [250]} if mark else {}
    return segmentation_files.save_isxd(path / "cells.isxd", dff, units="dF over F", **marks)


#: What writes a recording whose bad frames are multiplied, and marked or not; what then says so.
MARKING = {
    "suite2p 0.x": (suite2p_old, "marked in ops.npy (badframes)"),
    "suite2p 1.x": (suite2p_new, "marked in reg_outputs.npy (badframes)"),
    "Fall.mat": (fall, "marked in ops.badframes"),
    "NWB": (nwb, "marked in invalid_times"),
    "NWB, later": (partial(nwb, shift=17.3), "marked in invalid_times"),
    "Inscopix": (inscopix, "marked as dropped, cropped or blank"),
}


def caiman(path, flash):
    cnm = caiman_files.make_cnmf(n_frames=N_FRAMES, dff=None)
    total = cnm.estimates.C + cnm.estimates.YrA
    cnm.estimates.YrA[:, BAD] = (total * flash - cnm.estimates.C)[:, BAD]
    return caiman_files.save(cnm, path / "cnmf.hdf5")


def arrays(path, flash):
    dff = array_files.make_dff(6, N_FRAMES).copy()
    dff[:, BAD] = dff[:, BAD] + flash - 1
    return array_files.save(path, "npz", dff, time=np.arange(N_FRAMES) / 30.0, fs=30.0)


def read_one(path, bad_frames="all", frames=None, **reading):
    (container,) = find_containers(path)
    return without_bad_frames(container.read(Reading(**reading)), bad_frames, frames)


@pytest.mark.parametrize("kind", MARKING)
def test_what_the_pipeline_has_marked(kind, tmp_path, random_model):
    make, source = MARKING[kind]
    for folder in ("marked", "missing", "clean"):
        (tmp_path / folder).mkdir()
    path = make(tmp_path / "marked", 4.0, True)
    missing = make(tmp_path / "missing", np.nan, False)
    traces = read_one(path)
    assert list(traces.excluded) == [source]
    np.testing.assert_array_equal(traces.excluded[source], MASK)
    np.testing.assert_array_equal(dff_of(traces).dff, dff_of(read_one(missing)).dff)
    assert read_one(path, "none").excluded == {}

    (container,) = find_containers(path)
    report = run_one(container, model=str(random_model.folder))
    assert report.excluded_frames == {source: BAD_TEXT}
    assert report.exclusion == f"6 of 600 frames are left out: 6 {source}"
    assert not [text for text in report.warnings if "missing frames" in text]
    results = container.results()
    assert results.record.recording.excluded_frames == {source: BAD_TEXT}
    assert (
        np.isnan(np.asarray(results.dff[:])[:, MASK]).all()
        and np.isnan(np.asarray(results.spike_prob[:])[:, MASK]).all()
    )
    assert np.isfinite(np.asarray(results.dff[:])[:, ~MASK]).all()
    clean = inspect_one(find_containers(make(tmp_path / "clean", 1.0, False))[0], model=str(random_model.folder))
    assert report.noise_level == pytest.approx(clean.noise_level, rel=0.02)


@pytest.mark.parametrize("make", [lambda *how: nwb(*how, False), lambda *how: suite2p_old(*how, False), caiman, arrays])
def test_what_the_user_names_and_what_is_found(make, tmp_path):
    for folder in ("flash", "missing"):
        (tmp_path / folder).mkdir()
    path = make(tmp_path / "flash", 6.0)
    expected = dff_of(read_one(make(tmp_path / "missing", np.nan))).dff
    named = read_one(path, frames=BAD_TEXT)
    assert list(named.excluded) == ["named by --exclude-frames"]
    np.testing.assert_array_equal(dff_of(named).dff, expected)
    found = read_one(path)
    assert list(found.excluded) == ["with a jump of most ROIs and back"]
    np.testing.assert_array_equal(found.excluded_frames, MASK)
    np.testing.assert_array_equal(dff_of(found).dff, expected)
    partly = read_one(path, frames="101,102,30")
    assert {source: np.flatnonzero(mask).tolist() for source, mask in partly.excluded.items()} == {
        "named by --exclude-frames": [30, 101, 102],
        "with a jump of most ROIs and back": [100, 250, 400, 401],
    }
    for bad_frames in ("marked", "none"):
        assert read_one(path, bad_frames).excluded == {}


def test_black_frames_of_f_and_fneu(tmp_path):
    black = suite2p_old(tmp_path / "black", 0.0, False)
    missing = suite2p_old(tmp_path / "missing", np.nan, False)
    traces = read_one(black)
    assert list(traces.excluded) == ["with one value in all ROIs"]
    np.testing.assert_array_equal(dff_of(traces).dff, dff_of(read_one(missing)).dff)


def test_hashes_of_what_was_read_are_right(tmp_path, random_model):
    for path in (
        suite2p_old(tmp_path, 6.0, False),
        arrays(tmp_path, 6.0),
        nwb(tmp_path, 6.0, False),
        caiman(tmp_path, 6.0),
    ):
        (container,) = find_containers(path)
        report = run_one(container, model=str(random_model.folder))
        assert report.record.input == container.fingerprint() and not container.is_stale()


def save_npy(path, values):
    np.save(path, values)
    return str(path)


@pytest.mark.parametrize(
    "given",
    [
        lambda folder: BAD_TEXT,
        lambda folder: MASK,
        lambda folder: BAD,
        lambda folder: BAD.tolist(),
        lambda folder: save_npy(folder / "mask.npy", MASK),
        lambda folder: save_npy(folder / "numbers.npy", MASK.astype(np.uint8)),
        lambda folder: save_npy(folder / "column.npy", MASK[:, np.newaxis]),
        lambda folder: save_npy(folder / "list.npy", BAD.astype(float)),
        lambda folder: (folder / "list.txt").write_text("100-102\n250\n400-401\n") and folder / "list.txt",
    ],
)
def test_ways_to_name_frames(given, tmp_path, random_model):
    folder = suite2p_old(tmp_path, 1.0, False)
    with pytest.warns(CascadeWarning, match="6 of 600 frames are left out"):
        (done,) = cascade_adapters.run(folder, exclude_frames=given(tmp_path), model=str(random_model.folder))
    assert done.report.excluded_frames == {"named by --exclude-frames": BAD_TEXT}
    json.loads(done.record.to_json())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("10-5", "'10-5' is no frame and no range"),
        ("0-600", "there is no frame 600: the recording has 600 frames, counted from 0"),
        ("nowhere.npy", "nowhere.npy: it cannot be read: .*No such file"),
        ("nowhere.txt", "nowhere.txt: it cannot be read: .*No such file"),
        (np.zeros(599, dtype=bool), "mask of 599 frames, but the recording has 600"),
        (np.array([1.5]), "frames are whole numbers, counted from 0"),
        (np.array([-1]), "frames are whole numbers, counted from 0"),
        (np.array([600]), "there is no frame 600"),
        (np.zeros((2, 600), dtype=bool), r"a mask or a list of frames is needed, not bool of shape \(2, 600\)"),
        (np.array(["a"]), "a mask or a list of frames is needed"),
        ("0-599", "no frame is left of 600: named by --exclude-frames"),
    ],
)
def test_what_cannot_be_left_out(given, message, tmp_path, random_model, capsys):
    folder = suite2p_old(tmp_path, 1.0, False)
    given = given if isinstance(given, str) else save_npy(tmp_path / "given.npy", given)
    for command in ("run", "inspect"):
        with pytest.raises(SystemExit):
            main([command, str(folder), "--exclude-frames", given, "--model", str(random_model.folder)])
        error = capsys.readouterr().err.strip()
        assert re.search(message, error) and "\n" not in error


def test_every_command_says_it_in_one_line(tmp_path, random_model, capsys):
    folder = suite2p_old(tmp_path, 6.0, False)
    change_settings(folder, badframes=np.isin(np.arange(N_FRAMES), [100, 101, 102]))
    line = (
        "7 of 600 frames are left out: 3 marked in ops.npy (badframes), 2 named by --exclude-frames, 3 with a jump of "
        "most ROIs and back"
    )
    options = ["--exclude-frames", "7,100", "--model", str(random_model.folder)]
    for command in (["inspect"], ["run", "--dry-run"], ["run"]):
        main([*command, str(folder), *options])
        assert f"\n  {line}\n" in capsys.readouterr().out
    main(["inspect", str(folder), *options, "--json"])
    (report,) = json.loads(capsys.readouterr().out)
    assert report["excluded_frames"]["marked in ops.npy (badframes)"] == "100-102"
    with pytest.warns(CascadeWarning, match=re.escape(line.replace("--exclude-frames", "exclude_frames"))):
        run_on_folder(folder, exclude_frames="7,100", model=str(random_model.folder))
    main(["spikes", str(folder)])
    main(["convert", str(folder), str(tmp_path / "out.npz")])


def test_many_frames_are_pointed_out(tmp_path):
    folder = suite2p_old(tmp_path, 1.0, False)
    change_settings(folder, badframes=np.arange(N_FRAMES) < 90)
    put_into_plane(folder, np.arange(200, 260), 0.0)
    assert read_one(folder).remarks == [
        "15% of the frames are left out, marked in ops.npy (badframes): look at some of them, and pass --bad-frames "
        "none if they are good",
        "10% of the frames are left out, with one value in all ROIs: look at some of them, and pass --bad-frames "
        "marked if they are good",
    ]


@pytest.mark.parametrize("marks", [np.zeros(599, bool), np.arange(600), "bad", [1, 2], np.full(600, np.nan)])
def test_marks_that_do_not_fit(marks, tmp_path):
    folder = suite2p_old(tmp_path, 1.0, False)
    change_settings(folder, badframes=marks)
    traces = read_one(folder)
    assert traces.excluded == {}
    assert traces.remarks == ["bad frames marked in ops.npy (badframes) are no mask of 600 frames: they were ignored"]


def test_invalid_times_of_other_series(tmp_path):
    session = nwb_files.Session()
    raw = nwb_files.raw_traces()
    series = [
        session.series(session.table(name=f"table{i}", plane=f"plane{i}"), raw, name=f"plane{i}") for i in range(2)
    ]
    movie = nwb_files.TwoPhotonSeries(
        name="movie", data=np.zeros((300, 2, 2)), unit="n.a.", rate=30.0, imaging_plane=session.imaging_plane("plane1")
    )
    session.nwbfile.add_acquisition(movie)
    add = session.nwbfile.add_invalid_time_interval
    add(start_time=2.0, stop_time=2.05, timeseries=[series[0]])
    add(start_time=1.0, stop_time=1.0, timeseries=series)
    add(start_time=3.0, stop_time=3.05, timeseries=[movie])
    add(start_time=5.0, stop_time=4.0, timeseries=series)
    containers = find_containers(session.save(tmp_path / "session.nwb"))
    traces = [container.read() for container in containers]
    assert [np.flatnonzero(each.excluded_frames).tolist() for each in traces] == [[30, 60, 61], [30, 90, 91]]
    assert "1 of 4 rows of invalid_times are no intervals: they were ignored" in traces[0].remarks


def test_invalid_times_of_one_of_two_planes_in_one_table(tmp_path, random_model):
    """Some programs make one table and one imaging plane of all planes; results of each go to its own place."""
    session = nwb_files.Session()
    table, raw = session.table(6), nwb_files.raw_traces(6)
    series = [session.series(table, raw[i : i + 3], name=f"plane{i // 3}", rows=range(i, i + 3)) for i in (0, 3)]
    session.nwbfile.add_invalid_time_interval(start_time=1.0, stop_time=1.05, timeseries=series)
    session.nwbfile.add_invalid_time_interval(start_time=2.0, stop_time=2.05, timeseries=series[1:])
    session.nwbfile.add_invalid_time_interval(start_time=9.97, stop_time=1000.0, timeseries=series[:1])
    containers = find_containers(session.save(tmp_path / "session.nwb"))
    process_all(containers, parse_options({"model": str(random_model.folder), "rest": "keep"}))
    frames = ([30, 31, 299], [30, 31, 60, 61])
    for number, (container, excluded) in enumerate(zip(containers, frames, strict=True)):
        traces, results = container.read(), container.results()
        np.testing.assert_array_equal(traces.fluorescence, raw[3 * number : 3 * number + 3])
        assert np.flatnonzero(traces.excluded_frames).tolist() == excluded
        assert np.flatnonzero(np.isnan(results.dff).all(axis=0)).tolist() == excluded
        text = frame_text(np.isin(np.arange(300), excluded))
        assert results.record.recording.excluded_frames["marked in invalid_times"] == text
        assert list(results.record.input) == [f"/processing/ophys/Fluorescence/plane{number}"]
    other = [np.asarray(container.results().dff) for container in containers]
    assert not np.array_equal(*other, equal_nan=True)


def test_no_recorded_frame_is_taken_for_an_artefact(shared):
    for kind in ("suite2p", "nwb", "caiman"):
        for container in find_containers(shared(f"containers/{kind}")):
            traces = container.read(Reading(frame_rate=30.0))
            assert without_bad_frames(replace(traces, excluded={})).excluded == {}


def test_few_neurons_say_nothing(tmp_path):
    dff = array_files.make_dff(3, N_FRAMES)
    assert read_one(array_files.save(tmp_path, "npz", dff, fs=30.0, time=np.arange(N_FRAMES) / 30)).excluded == {}


def test_damaged_frames_in_a_record(tmp_path, random_model):
    folder = suite2p_old(tmp_path, 4.0, True)
    (container,) = find_containers(folder)
    run_one(container, model=str(random_model.folder))
    path = folder / "cascade.json"
    path.write_text(path.read_text().replace(BAD_TEXT, "100-1020"))
    with pytest.raises(InputError, match=r"the record of the results is damaged .*no frame 1020"):
        container.record()
