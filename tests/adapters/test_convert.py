"""Conversion to suite2p-like folders and arrays: what arrives is what was there, and a target is whole or absent."""

import json
import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from cascade_adapters.cli.convert import command
from cascade_adapters.containers.base import Reading, Rois, Selection
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.convert import TARGETS, TEMPLATE, convert, read_metadata, read_session
from cascade_adapters.convert.conversion import kind_of
from cascade_adapters.safe_writing.new_file import placing
from cascade_engine.errors import InputError
from cascade_engine.file_formats.safe_pickle import load_records
from tests.builders.killing import kills, needs_fork
from tests.builders.locking import locked_elsewhere
from tests.builders.sessions import (
    IMAGE_SHAPE,
    Given,
    assert_same_rois,
    dff_traces,
    give,
    make_masks,
    make_session,
    raw_traces,
    results,
    run,
    stored,
)  # fmt: skip
from tests.builders.suite2p_folders import change_settings, hashes, make_plane, save_settings


@pytest.fixture(scope="module")
def source(tmp_path_factory, random_model) -> Path:
    """Two planes of two concatenated sessions, with results."""
    root = tmp_path_factory.mktemp("source") / "suite2p"
    return make_session(root, 2, random_model, segments=[150, 250], neuropil_coefficient=0.55)


# ----------------------------------------------------------------------------------------------------------- targets


def test_to_a_folder_like_suite2ps(tmp_path, source):
    convert(source, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["plane0", "plane1"]
    for name in ("plane0", "plane1"):
        before, after = source / name, tmp_path / "out" / name
        for key, array in stored(before).items():
            assert stored(after)[key].dtype == np.float32
            np.testing.assert_array_equal(stored(after)[key], array)
        np.testing.assert_array_equal(np.load(after / "iscell.npy"), np.load(before / "iscell.npy"))
        old, new = Suite2pPlane(before), Suite2pPlane(after)
        was, now = old.read(), new.read()
        assert (was.frame_rate, was.neuropil_coefficient, was.segments) == (30.0, 0.55, [150, 250])
        assert (now.frame_rate, now.neuropil_coefficient, now.segments) == (30.0, 0.55, [150, 250])
        (remark,) = now.remarks  # now that it says how many planes there are
        assert "is 30 Hz, and there are 2 planes" in remark and not new.is_stale()
        assert_same_rois(new.rois(), old.rois())
        record, earlier = new.record(), old.record()
        (step,) = record.converted
        assert (step["from"], step["kind"], step["input"]) == ("suite2p", "suite2p", earlier.input)
        assert replace(record, converted=[], input={}) == replace(earlier, converted=[], input={})


def test_masks_as_suite2p_has_them(tmp_path, source):
    convert(source / "plane0", tmp_path / "out")
    before, after = (
        np.load(folder / "plane0" / "stat.npy", allow_pickle=True) for folder in (source, tmp_path / "out")
    )
    assert after.shape == before.shape == (6,)
    for old, new in zip(before, after, strict=True):
        for key in ("ypix", "xpix", "lam"):
            np.testing.assert_array_equal(new[key], old[key])
        assert (new["npix"], new["med"][1]) == (old["npix"], 5 if old["npix"] > 1 else 3)
    # rows 2 and 3 of ROI 0 are rows 2 and 3 of ROI 1, too
    np.testing.assert_array_equal(after[0]["overlap"], after[0]["ypix"] >= 2)


def test_the_second_channel(tmp_path):
    plane = make_plane(tmp_path / "in" / "plane0", n_frames=300, second_channel=True)
    convert(plane.folder, tmp_path / "out", selection=Selection(channel=2))
    np.testing.assert_array_equal(
        np.load(tmp_path / "out" / "plane0" / "F.npy"), np.load(plane.folder / "F_chan2.npy").astype(np.float32)
    )


@pytest.mark.parametrize("n_planes", [1, 2])
@pytest.mark.parametrize("kind", ["npz", "mat"])
def test_to_arrays_in_one_file(tmp_path, source, n_planes, kind):
    target = tmp_path / f"out.{kind}"
    convert(source if n_planes == 2 else source / "plane0", target)
    found = dict(np.load(target)) if kind == "npz" else loadmat(target, squeeze_me=True)
    for name in ["plane0", "plane1"][:n_planes]:
        prefix = "" if n_planes == 1 else f"{name}_"
        for key, array in stored(source / name).items():
            np.testing.assert_array_equal(found[prefix + key], array)
            assert found[prefix + key].dtype == np.float32
        iscell = np.load(source / name / "iscell.npy")
        np.testing.assert_array_equal(found[prefix + "is_cell"], iscell[:, 0])
        np.testing.assert_array_equal(found[prefix + "cell_probability"], iscell[:, 1])
        assert (found[prefix + "frame_rate"], found[prefix + "neuropil_coefficient"]) == (30.0, 0.55)
        assert found[prefix + "frames_per_session"].tolist() == [150, 250]
        assert tuple(found[prefix + "image_shape"]) == IMAGE_SHAPE
        assert_same_pixels(found[prefix + "pixels"], found[prefix + "pixel_weights"], source / name)
        assert json.loads(str(found[prefix + "record"]))["model"]["name"] == "random"
    described = json.loads(str(found["content"]))
    assert "Hz" in described["frame_rate"] and "expected spikes per frame" in described["spike_prob"]


@pytest.mark.parametrize("n_planes", [1, 2])
def test_to_tables(tmp_path, source, n_planes):
    convert(source if n_planes == 2 else source / "plane0", tmp_path / "out", "csv")
    for name in ["plane0", "plane1"][:n_planes]:
        folder = tmp_path / "out" / (name if n_planes == 2 else "")
        arrays = stored(source / name)
        for key in ("F", "Fneu", "dff", "spike_prob"):
            header = (folder / f"{key}.csv").read_text().splitlines()[0].split(",")
            assert header == ["time_s", *(f"roi{i}" for i in range(6))]
            table = np.loadtxt(folder / f"{key}.csv", delimiter=",", skiprows=1)
            np.testing.assert_array_equal(table[:, 0], np.arange(400) / 30.0)
            np.testing.assert_array_equal(table[:, 1:].T.astype(np.float32), arrays[key])
        rois = np.genfromtxt(folder / "rois.csv", delimiter=",", names=True)
        assert rois["roi"].tolist() == list(range(6))
        np.testing.assert_array_equal(rois["noise_levels"].astype(np.float32), arrays["noise_levels"])
        np.testing.assert_array_equal(
            np.stack([rois["is_cell"], rois["cell_probability"]], axis=1), np.load(source / name / "iscell.npy")
        )
        pixels = np.genfromtxt(folder / "pixels.csv", delimiter=",", names=True)
        places = np.stack([pixels[key] for key in ("roi", "row", "column")], axis=1)
        assert_same_pixels(places, pixels["weight"], source / name)
        about = json.loads((folder / "about.json").read_text())
        assert (about["frame_rate"], about["frames_per_session"], about["image_shape"]) == (30.0, [150, 250], [40, 24])
        assert json.loads((folder / "record.json").read_text())["model"]["name"] == "random"


def test_the_source_stays_as_it_is(tmp_path, source):
    before = hashes(source)
    for target in ("out", "out.npz", "out.mat"):
        convert(source, tmp_path / target)
    assert hashes(source) == before


def test_without_results_masks_and_neuropil(tmp_path):
    plane = make_plane(tmp_path / "in" / "plane0", n_frames=300)
    for name in ("Fneu.npy", "stat.npy", "iscell.npy"):
        (plane.folder / name).unlink()
    convert(plane.folder, tmp_path / "out.npz")
    found = np.load(tmp_path / "out.npz")
    assert set(found) == {"F", "frame_rate", "content"}
    convert(plane.folder, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out" / "plane0").iterdir()} == {"F.npy", "ops.npy"}
    assert Suite2pPlane(tmp_path / "out" / "plane0").rois() is None


def test_values_that_take_all_digits(tmp_path, monkeypatch):
    """CSV and the others give back the very same numbers, of single and double precision, NaN and infinity too."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((3, 1500)) * 10.0 ** rng.integers(-30, 30, (3, 1500))
    values[0, :3] = np.nan, np.inf, -np.inf
    for dtype in (np.float32, np.float64):
        give(monkeypatch, Given(traces={"compute": raw_traces(fluorescence=values.astype(dtype))}))
        name = np.dtype(dtype).name
        convert(tmp_path, tmp_path / name, "csv")
        read = np.loadtxt(tmp_path / name / "F.csv", delimiter=",", skiprows=1, dtype=dtype)[:, 1:].T
        np.testing.assert_array_equal(read, values.astype(dtype))
        convert(tmp_path, tmp_path / f"{name}.npz")
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.npz")["F"], values.astype(dtype))


# ---------------------------------------------------------------------------------------------------------- sources


def test_raw_and_dff_of_one_container(monkeypatch, tmp_path):
    give(monkeypatch, Given(traces={"container": dff_traces(), "compute": raw_traces()}, results=results()))
    session = read_session(tmp_path)
    (plane,) = session.planes
    assert (plane.raw.source, plane.dff.source) == ("raw", "own dF/F")
    convert(tmp_path, tmp_path / "out.npz")
    found = np.load(tmp_path / "out.npz")
    np.testing.assert_array_equal(found["source_dff"], dff_traces().dff)
    np.testing.assert_array_equal(found["dff"], results().dff)
    assert json.loads(str(found["record"]))["container"] == {}


def test_what_a_suite2p_folder_has_no_place_for_is_told(monkeypatch, tmp_path):
    give(monkeypatch, Given(traces={"container": dff_traces(), "compute": raw_traces()}, results=results()))
    remark, gui = convert(tmp_path, tmp_path / "out").session.remarks
    assert gui == "plane0: without masks, suite2p's GUI cannot open it"
    assert remark == "plane0: dF/F of the source is left out: suite2p has no place for it"
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "plane0" / "cascade_dff.npy"), results().dff)


@pytest.mark.parametrize(
    ("reading", "has_raw", "has_dff"),
    [
        (Reading(), True, True),
        (Reading(dff="container"), False, True),
        (Reading(dff="compute"), True, False),
        (Reading(arbitrary_units=True), False, True),
    ],
)
def test_what_the_user_says_is_followed(monkeypatch, tmp_path, reading, has_raw, has_dff):
    give(monkeypatch, Given(traces={"container": dff_traces(), "compute": raw_traces()}))
    (plane,) = read_session(tmp_path, reading=reading).planes
    assert (plane.raw is not None, plane.dff is not None) == (has_raw, has_dff)


def test_the_dff_that_spikes_were_inferred_from_is_written_once(monkeypatch, tmp_path):
    give(
        monkeypatch,
        Given(traces={"container": dff_traces(dff=results().dff), "compute": raw_traces()}, results=results()),
    )
    convert(tmp_path, tmp_path / "out.npz")
    assert "source_dff" not in np.load(tmp_path / "out.npz")


class Watched:
    """An array that may only be read some rows at a time, as it might lie on the disk."""

    def __init__(self, values):
        self._values, self.shape, self.dtype, self.read = values, values.shape, values.dtype, []

    def __getitem__(self, rows):
        assert isinstance(rows, slice) and 0 < rows.stop - rows.start <= 2
        self.read.append((rows.start, rows.stop))
        return self._values[rows]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16, ">f4"])
@pytest.mark.parametrize("name", ["out.npz", "out"])
def test_large_traces_are_copied_some_rois_at_a_time(monkeypatch, tmp_path, name, dtype):
    monkeypatch.setattr("cascade_adapters.results.rows.BLOCK_VALUES", 600)
    values = (100 * np.random.default_rng(0).random((5, 300))).astype(dtype)
    parts = {key: Watched(values + number) for number, key in enumerate(("fluorescence", "neuropil", "background"))}
    traces = raw_traces(neuropil_coefficient=0.7, **parts)
    give(monkeypatch, Given(traces={"compute": traces}))
    convert(tmp_path, tmp_path / name)
    if name == "out.npz":
        found = np.load(tmp_path / name)
        assert found["F"].dtype == np.dtype(dtype).newbyteorder("=")
    else:
        found = {key: np.load(tmp_path / name / "plane0" / f"{key}.npy") for key in ("F", "Fneu")}
    np.testing.assert_allclose(found["F"], (values + (values + 2)).astype(found["F"].dtype), rtol=1e-6)
    np.testing.assert_allclose(found["Fneu"], (values + 1).astype(found["Fneu"].dtype), rtol=1e-6)
    assert all(part.read == [(0, 2), (2, 4), (4, 5)] for part in parts.values())


def test_large_dff_is_compared_some_rois_at_a_time(monkeypatch, tmp_path):
    monkeypatch.setattr("cascade_adapters.results.rows.BLOCK_VALUES", 600)
    own = Watched(results().dff.astype(np.float64) * (1 + 1e-12))  # the same in single precision
    give(monkeypatch, Given(traces={"container": dff_traces(dff=own)}, results=results()))
    convert(tmp_path, tmp_path / "out.npz")
    assert own.read == [(0, 2), (2, 4)]
    assert "source_dff" not in np.load(tmp_path / "out.npz")


@pytest.mark.parametrize("with_results", [False, True])
@pytest.mark.parametrize("is_arbitrary", [False, True])
def test_arbitrary_units_are_stated(monkeypatch, tmp_path, is_arbitrary, with_results):
    """By the flag of the traces, whatever their source is called; by that of the record, where there are results."""
    traces = dff_traces(arbitrary_units=is_arbitrary, source="scaled, in arbitrary units")
    found = results() if with_results else None
    if found is not None:
        used = replace(found.record.traces, arbitrary_units=is_arbitrary)
        found = replace(found, record=replace(found.record, traces=used))
    give(monkeypatch, Given(traces={"container": traces}, results=found))
    for name, kind in (("out.npz", None), ("out.mat", None), ("tables", "csv")):
        convert(tmp_path, tmp_path / name, kind)
    about = json.loads((tmp_path / "tables" / "about.json").read_text())
    for stated in (np.load(tmp_path / "out.npz"), loadmat(tmp_path / "out.mat"), about):
        assert ("arbitrary_units" in stated) == is_arbitrary
        assert not is_arbitrary or bool(np.squeeze(stated["arbitrary_units"])) is True


def test_an_array_is_not_taken_for_both(monkeypatch, tmp_path):
    """For arrays, raw or dF/F is what the user says: asking for the other gives the same numbers."""
    give(monkeypatch, Given(traces={"container": dff_traces(), "compute": raw_traces(source="own dF/F")}))
    (plane,) = read_session(tmp_path).planes
    assert plane.raw is None and plane.dff is not None


def test_background_becomes_part_of_f(monkeypatch, tmp_path):
    background = 1000.0 + np.arange(4 * 300, dtype=np.float32).reshape(4, 300)
    give(monkeypatch, Given(traces={"compute": raw_traces(background=background)}))
    conversion = convert(tmp_path, tmp_path / "out")
    folder = tmp_path / "out" / "plane0"
    np.testing.assert_array_equal(np.load(folder / "F.npy"), raw_traces().fluorescence + background)
    np.testing.assert_array_equal(np.load(folder / "Fneu.npy"), background)
    again = Suite2pPlane(folder).read()
    assert again.neuropil is None and again.background is not None and again.fluorescence is not None
    np.testing.assert_array_equal(again.background[:], background)
    np.testing.assert_allclose(again.fluorescence[:], raw_traces().fluorescence, atol=1e-3)
    assert any("background" in text for text in conversion.session.remarks)


def test_dff_alone_is_no_suite2p_folder(monkeypatch, tmp_path):
    give(monkeypatch, Given(traces={"container": dff_traces()}))
    with pytest.raises(InputError, match=r"dF/F alone.*choose"):
        convert(tmp_path, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_masks_of_volumes(monkeypatch, tmp_path):
    rois = Rois((10, 12, 5), [np.array([[1, 2, 3], [1, 2, 4]])] * 4, [np.ones(2, np.float32)] * 4)
    give(monkeypatch, Given(traces={"compute": raw_traces()}, rois=rois))
    convert(tmp_path, tmp_path / "out.npz")
    assert np.load(tmp_path / "out.npz")["pixels"].tolist()[:2] == [[0, 1, 2, 3], [0, 1, 2, 4]]
    convert(tmp_path, tmp_path / "tables", "csv")
    assert (tmp_path / "tables" / "pixels.csv").read_text().splitlines()[0] == "roi,row,column,plane,weight"
    conversion = convert(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out" / "plane0" / "stat.npy").exists()
    assert any("masks are left out" in text for text in conversion.session.remarks)


def test_masks_of_other_rois_are_left_out(monkeypatch, tmp_path):
    rois = Rois((10, 12), [np.array([[1, 2]])] * 3, [np.ones(1, np.float32)] * 3)
    give(monkeypatch, Given(traces={"compute": raw_traces()}, rois=rois))
    session = read_session(tmp_path)
    assert session.planes[0].rois is None
    assert session.remarks == ["plane0: masks are left out: there are 3, but 4 traces"]


def test_stale_results_are_left_out(tmp_path, random_model):
    source = make_session(tmp_path / "suite2p", 1, random_model)
    np.save(source / "plane0" / "F.npy", np.load(source / "plane0" / "F.npy") + 1)
    conversion = convert(source, tmp_path / "out.npz")
    assert "spike_prob" not in np.load(tmp_path / "out.npz")
    assert any("results are left out: the traces have changed" in text for text in conversion.session.remarks)


def test_damaged_masks_are_left_out_with_a_reason(tmp_path, source):
    root = make_session(tmp_path / "suite2p")
    (root / "plane0" / "stat.npy").write_bytes(b"no array")
    conversion = convert(root, tmp_path / "out.npz")
    assert any("plane0: masks are left out" in text and "stat.npy" in text for text in conversion.session.remarks)


def test_several_sessions_are_refused(tmp_path):
    for mouse in ("one", "two"):
        make_plane(tmp_path / "in" / mouse / "plane0", n_frames=300)
    with pytest.raises(InputError, match=r"holds 2 recordings that are not planes of one session .*one by one"):
        convert(tmp_path / "in", tmp_path / "out.npz")
    make_plane(tmp_path / "flat" / "a", n_frames=300)
    make_plane(tmp_path / "flat" / "b", n_frames=300)
    with pytest.raises(InputError, match="one by one"):
        convert(tmp_path / "flat", tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_planes_keep_their_names(tmp_path):
    make_plane(tmp_path / "in" / "plane3", n_frames=300)
    assert [plane.name for plane in read_session(tmp_path / "in").planes] == ["plane3"]
    make_plane(tmp_path / "other" / "anything", n_frames=300)
    assert [plane.name for plane in read_session(tmp_path / "other").planes] == ["plane0"]


# ------------------------------------------------------------------------------------------------------ suite2p masks


def test_masks_of_suite2p(tmp_path):
    plane = Suite2pPlane(make_session(tmp_path / "suite2p") / "plane0")
    rois = plane.rois()
    assert rois.image_shape == IMAGE_SHAPE
    for record, pixels, weights in zip(make_masks(6), rois.pixels, rois.weights, strict=True):
        np.testing.assert_array_equal(pixels, np.stack([record["ypix"], record["xpix"]], axis=1))
        np.testing.assert_array_equal(weights, record["lam"])
    change_settings(plane.path, Ly=None)
    assert plane.rois().image_shape is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ypix": None}, "ROI 2 has no ypix, xpix and lam"),
        ({"lam": np.ones(3)}, "ROI 2 do not fit"),
        ({"ypix": np.array([1.5, 2.5])}, "ROI 2 has no ypix"),
        ({"ypix": np.array(["a"])}, "ROI 2 has no ypix"),
        ({"ypix": np.array(1), "xpix": np.array(1), "lam": np.array(1.0)}, "ROI 2"),
        ({"xpix": np.full(20, 24)}, "into the image"),
        ({"xpix": np.full(20, -1)}, "into the image"),
    ],
)
def test_masks_that_make_no_sense(tmp_path, change, message):
    folder = make_session(tmp_path / "suite2p") / "plane0"
    records = make_masks(6)
    records[2] = {key: value for key, value in {**records[2], **change}.items() if value is not None}
    save_settings(folder / "stat.npy", records)
    with pytest.raises(InputError, match=rf"stat.npy.*{message}"):
        Suite2pPlane(folder).rois()


def test_masks_of_another_run(tmp_path):
    folder = make_session(tmp_path / "suite2p") / "plane0"
    save_settings(folder / "stat.npy", make_masks(7))
    with pytest.raises(InputError, match=r"has 7 ROIs, but F.npy has 6"):
        Suite2pPlane(folder).rois()


def test_records_are_read_without_running_anything(tmp_path):
    path = tmp_path / "stat.npy"
    save_settings(path, make_masks(3))
    assert [sorted(record) for record in load_records(path)] == [["lam", "med", "npix", "xpix", "ypix"]] * 3
    save_settings(path, np.array([{"path": os.getcwd}], dtype=object))
    with pytest.raises(InputError, match=r"stat.npy.*refers to"):
        load_records(path)
    for content in (np.array([1, 2], dtype=object), np.array([[{}]], dtype=object), np.array({"a": 1}, dtype=object)):
        save_settings(path, content)
        with pytest.raises(InputError, match="does not hold a list of records"):
            load_records(path)
    np.save(path, np.ones(3))
    with pytest.raises(InputError, match="array of float64, not a list of records"):
        load_records(path)


def test_which_are_cells(tmp_path):
    folder = make_session(tmp_path / "suite2p") / "plane0"
    np.testing.assert_array_equal(Suite2pPlane(folder).read().cell_probability, np.load(folder / "iscell.npy")[:, 1])
    np.save(folder / "iscell.npy", np.ones(6))
    traces = Suite2pPlane(folder).read()
    assert traces.is_cell.all() and traces.cell_probability is None
    convert(folder, tmp_path / "out")
    iscell = np.load(tmp_path / "out" / "plane0" / "iscell.npy")
    assert iscell[:, 0].all() and np.isnan(iscell[:, 1]).all()
    traces = Suite2pPlane(tmp_path / "out" / "plane0").read()
    assert traces.is_cell.all() and traces.cell_probability is None and traces.remarks == []


# ---------------------------------------------------------------------------------------------------------- placing


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_what_exists_is_never_replaced(tmp_path, source, make):
    target = tmp_path / "out.npz"
    make(target)
    before = hashes(tmp_path)
    with pytest.raises(InputError, match=r"out.npz exists already: remove it, or choose another name"):
        convert(source, target)
    assert hashes(tmp_path) == before


def test_a_failed_conversion_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), placing(tmp_path / "out") as place:
        place.mkdir()
        (place / "half").write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="out cannot be written: No such file"), placing(tmp_path / "out"):
        pass
    with pytest.raises(InputError, match="no folder: make it first"), placing(tmp_path / "none" / "out"):
        pass


def test_what_a_run_that_was_killed_at_the_end_has_left_is_removed(tmp_path, source):
    convert(source, tmp_path / "out.npz")
    left = tmp_path / ".out.npz.cascade-part"
    left.mkdir()
    with pytest.raises(InputError, match="exists already"):
        convert(source, tmp_path / "out.npz")
    assert not left.exists()


def test_what_appears_meanwhile_is_not_replaced(tmp_path):
    with pytest.raises(InputError, match="exists already"), placing(tmp_path / "out") as place:
        place.write_text("ours")
        (tmp_path / "out").write_text("theirs")
    assert (tmp_path / "out").read_text() == "theirs"
    assert len(list(tmp_path.iterdir())) == 1


def test_two_conversions_to_one_target(tmp_path, source):
    with locked_elsewhere(tmp_path / "out.npz"), pytest.raises(InputError, match="another run"):
        convert(source, tmp_path / "out.npz")


def test_a_target_of_any_name(tmp_path, source):
    target = tmp_path / ("día 1, µ2² (50%) [x]" + "x" * 200)
    convert(source / "plane0", target)
    assert not Suite2pPlane(target / "plane0").is_stale()


@needs_fork
@pytest.mark.parametrize("kind", ["suite2p", "npz"])
def test_a_killed_conversion_leaves_no_half_target(tmp_path, source, kind):
    """What it leaves is hidden, is not found as a recording, and is gone after the next conversion."""
    target, plane = tmp_path / "out", source / "plane0"
    n_kills = 0

    def without_target() -> None:
        shutil.rmtree(target, ignore_errors=True) if target.is_dir() else target.unlink(missing_ok=True)

    for at in kills(without_target, partial(convert, plane, target, kind), tmp_path):
        n_kills += at is not None
        if target.exists():
            fluorescence = np.load(target)["F"] if kind == "npz" else np.load(target / "plane0" / "F.npy")
            np.testing.assert_array_equal(fluorescence, np.load(plane / "F.npy"))
            assert kind == "npz" or not Suite2pPlane(target / "plane0").is_stale()
        else:
            assert at is not None
            with pytest.raises(InputError, match="nothing to run on"):
                find_containers(tmp_path)
    assert n_kills > 2
    assert list(tmp_path.iterdir()) == [target]


# ---------------------------------------------------------------------------------------------------------- metadata


def test_the_template_is_read_as_nothing_said(tmp_path):
    (tmp_path / "session.yaml").write_text(TEMPLATE, "utf-8")
    assert read_metadata(tmp_path / "session.yaml") == read_metadata()


def test_metadata_from_a_file_and_from_settings(tmp_path):
    (tmp_path / "session.yaml").write_text(
        """
session_start_time: 2024-05-17T12:30:00+02:00
session_id: 0012
experimenter: [Last, First]
keywords: one
subject:
  subject_id: 1e5
  age: P90D
imaging_plane:
  excitation_lambda: 920
device:
""",
        "utf-8",
    )
    settings = ("subject.age=P91D", "lab = A=B", "session_start_time=2025-01-01T00:00:00Z")
    metadata = read_metadata(tmp_path / "session.yaml", settings)
    assert metadata.session_start_time.isoformat() == "2025-01-01T00:00:00+00:00"
    assert metadata.session == {
        "session_id": "0012", "experimenter": ["Last", "First"], "keywords": ["one"], "lab": "A=B",
    }  # fmt: skip
    assert metadata.subject == {"subject_id": "1e5", "age": "P91D"}
    assert metadata.imaging_plane == {"excitation_lambda": 920.0}
    assert metadata.device == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: b: c", "is no YAML"),
        ("- one", "must hold 'key: value' lines"),
        ("sesion_id: 1", "there is no sesion_id; there are session_start_time, "),
        ("subject:\n  name: x", "there is no subject.name"),
        ("subject: mouse", "there is no subject;"),
        ("session_id: [1, 2]", "session_id: text is needed"),
        ("keywords: [[1], 2]", "keywords: a list of text"),
        ("session_start_time: 2024-05-17", "a date, time and time zone are needed"),
        ("session_start_time: 2024-05-17T12:30:00", "a date, time and time zone are needed"),
        ("session_start_time: yesterday", "a date, time and time zone are needed"),
        ("imaging_plane:\n  excitation_lambda: blue", "excitation_lambda"),
        ("imaging_plane:\n  excitation_lambda: 0.92", "a wavelength in nm is needed"),
        ("imaging_plane:\n  excitation_lambda: nan", "a wavelength in nm is needed"),
        ("\x00", "is no YAML"),
    ],
)
def test_metadata_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / "session.yaml"
    path.write_text(content, "utf-8")
    with pytest.raises(InputError, match=rf"session.yaml.*{message}") as error:
        read_metadata(path)
    assert "\n" not in str(error.value)


def test_metadata_files_and_settings_that_are_none(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_metadata(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("lab: Zürich".encode("latin1"))
    with pytest.raises(InputError, match="is no YAML"):
        read_metadata(tmp_path / "latin.yaml")
    with pytest.raises(InputError, match="KEY=VALUE is needed"):
        read_metadata(None, ("lab",))


# ------------------------------------------------------------------------------------------------------ command line


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.nwb", "nwb"), ("a.NWB", "nwb"), ("a.nwb.zarr", "zarr"), ("a.zarr", "zarr"), ("a.npz", "npz"),
        ("a.mat", "mat"), ("suite2p", "suite2p"), ("mouse.1", "suite2p"),
    ],
)  # fmt: skip
def test_the_name_says_the_kind(name, kind):
    assert kind_of(Path(name)) == kind


@pytest.mark.parametrize("name", ["a.csv", "a.hdf5", "a.npy"])
def test_names_that_are_not_meant_for_folders(name):
    with pytest.raises(InputError, match="--to csv"):
        kind_of(Path(name))


def test_the_command(tmp_path, source, capsys):
    status, output, errors = run(capsys, "convert", source, tmp_path / "out.npz")
    assert (status, errors) == (0, "")
    assert output.splitlines() == [
        f"{tmp_path / 'out.npz'}: npz, from {source} (suite2p)",
        "  plane0: 6 ROIs x 400 frames of F.npy and Fneu.npy",
        "    raw fluorescence, neuropil, dF/F, spike probability, masks, which ROIs are cells",
        "  plane1: 6 ROIs x 400 frames of F.npy and Fneu.npy",
        "    raw fluorescence, neuropil, dF/F, spike probability, masks, which ROIs are cells",
    ]
    status, output, errors = run(capsys, "convert", source, tmp_path / "out", "--to", "csv", "--frame-rate", "15")
    assert status == 0 and json.loads((tmp_path / "out" / "plane0" / "about.json").read_text())["frame_rate"] == 15.0


def test_the_command_knows_all_targets():
    (option,) = (each for each in command.params if each.name == "kind")
    assert set(option.type.choices) == set(TARGETS)


def test_the_command_prints_a_template(capsys):
    assert run(capsys, "convert", "--template") == (0, TEMPLATE, "")


def test_warnings_are_told(tmp_path, capsys):
    make_plane(tmp_path / "plane0", n_frames=300, frame_rate=10.0)
    status, output, _ = run(capsys, "convert", tmp_path, tmp_path / "out.npz")
    assert status == 0
    assert "  warning: plane0: fs in ops.npy is 10 Hz" in output
    assert "  warning: plane0: masks are left out" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none", "out.npz"], "none does not exist"),
        (["empty", "out.npz"], "holds nothing to run on"),
        (["no-rate", "out.npz"], "no frame rate in its settings: pass --frame-rate"),
        (["plane0", "out.csv"], "--to csv"),
        (["plane0", "missing/out.npz"], "missing is no folder: make it first"),
        (["plane0", "out.npz", "--set", "x=1"], "there is no x"),
        (["plane0", "out.npz", "--session-start-time", "now"], "a date, time and time zone are needed"),
        (["plane0", "out.npz", "--dff", "container"], "stores no dF/F"),
    ],
)
def test_errors_are_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    make_plane(tmp_path / "plane0", n_frames=300)
    make_plane(tmp_path / "no-rate" / "plane0", n_frames=300, frame_rate=None)
    before = hashes(tmp_path)
    status, output, errors = run(capsys, "convert", *arguments)
    assert (status, output) == (1, "")
    assert errors.startswith("cascade: ") and len(errors.splitlines()) == 1 and message in errors
    assert hashes(tmp_path) == before


def test_an_unforeseen_failure_is_one_line_too(tmp_path, monkeypatch, capsys):
    class Failing(Given):
        def rois(self):
            raise ZeroDivisionError("two\nlines")

    give(monkeypatch, Failing(traces={"compute": raw_traces()}))
    arguments = ("convert", tmp_path, tmp_path / "out.npz", "--log", tmp_path / "log.txt")
    assert run(capsys, *arguments) == (
        1, "", "cascade: unforeseen failure, please report it: ZeroDivisionError: two lines\n",
    )  # fmt: skip
    assert "Traceback" in (tmp_path / "log.txt").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["log.txt"]


@pytest.mark.parametrize("name", ["spike_prob", "dff", "noise_levels"])
@pytest.mark.parametrize("damage", ["cut", "other shape", "other type", "gone"])
def test_damaged_results_are_left_out(tmp_path, source, name, damage):
    folder = tmp_path / "plane0"
    shutil.copytree(source / "plane0", folder)
    path = folder / f"cascade_{name}.npy"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "gone":
        path.unlink()
    else:
        np.save(path, np.load(path)[:-1] if damage == "other shape" else np.load(path).astype("U4"))
    conversion = convert(folder, tmp_path / "out.npz")
    assert "spike_prob" not in np.load(tmp_path / "out.npz")
    assert any("plane0: cascade's results are left out" in text for text in conversion.session.remarks)


# ------------------------------------------------------------------------------------------------------ real folders


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("two-planes-two-channels/suite2p", [None, None]),
        ("no-ops-18000-frames", [30.0]),
        ("suite2p-1.1.0-one-plane", [None]),
        ("suite2p-0.14.6-one-plane", [None]),
    ],
)
def test_real_folders(shared, tmp_path, name, rates):
    source = shared(f"containers/suite2p/{name}")
    convert(source, tmp_path / "out", reading=Reading(frame_rate=rates[0]))
    before, after = Suite2pPlane.find(source), Suite2pPlane.find(tmp_path / "out")
    assert len(before) == len(after) == len(rates)
    for old, new in zip(before, after, strict=True):
        for file in ("F.npy", "Fneu.npy", "iscell.npy"):
            np.testing.assert_array_equal(np.load(new.path / file), np.load(old.path / file))
        assert_same_rois(new.rois(), old.rois())


def assert_same_pixels(pixels: np.ndarray, weights: np.ndarray, plane: Path) -> None:
    rois = Suite2pPlane(plane).rois()
    numbers = np.repeat(np.arange(len(rois.pixels)), [len(place) for place in rois.pixels])
    np.testing.assert_array_equal(pixels, np.column_stack([numbers, np.concatenate(rois.pixels)]))
    np.testing.assert_array_equal(weights.astype(np.float32), np.concatenate(rois.weights))


def test_other_libraries_read_the_folder_alike(shared, tmp_path):
    from roiextractors import Suite2pSegmentationExtractor

    source = shared("containers/suite2p/two-planes-two-channels/suite2p")
    convert(source, tmp_path / "out")
    for plane in ("plane0", "plane1"):
        before, after = (
            Suite2pSegmentationExtractor(folder, plane_name=plane) for folder in (source, tmp_path / "out")
        )
        assert after.get_sampling_frequency() == before.get_sampling_frequency()
        assert after.get_frame_shape() == before.get_frame_shape()
        np.testing.assert_array_equal(after.get_roi_image_masks(), before.get_roi_image_masks())
        for name in ("raw", "neuropil"):
            np.testing.assert_array_equal(after.get_traces(name=name), before.get_traces(name=name))
