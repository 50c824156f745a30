"""Conversion to NWB and back: what arrives is what was there, valid, and says nothing that nobody knows."""

import json
import math
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pynwb
import pytest
from hdmf_zarr import NWBZarrIO
from nwbinspector import Importance, inspect_nwbfile

from cascade_adapters.containers.base import Reading, Rois, Selection
from cascade_adapters.containers.caiman.file import CaimanFile
from cascade_adapters.containers.nwb.notes import Notes, read_notes
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.convert import convert, read_metadata, read_session
from cascade_engine.errors import InputError, MissingExtraError
from tests.builders.caiman_files import make_file
from tests.builders.killing import changing_points, killed, needs_fork
from tests.builders.running import dff_of, run_one
from tests.builders.segmentation_files import save_extract
from tests.builders.sessions import (
    Given,
    assert_same_rois,
    dff_traces,
    give,
    make_session,
    raw_traces,
    results,
    run,
    stored,
)
from tests.builders.suite2p_folders import make_plane

START = ("session_start_time=2024-05-17T12:30:00+02:00",)

FULL = (
    *START,
    "experimenter=Last, First",
    "institution=An institute",
    "experiment_description=Seeing",
    "keywords=calcium",
    "subject.subject_id=M12",
    "subject.species=Mus musculus",
    "subject.sex=F",
    "subject.age=P90D",
    "subject.description=A mouse",
    "device.description=A microscope",
    "imaging_plane.location=VISp",
    "imaging_plane.indicator=GCaMP6f",
    "imaging_plane.excitation_lambda=920",
    "imaging_plane.emission_lambda=510",
)

#: What nwbinspector says where the user has said nothing but when the session began.
UNSAID = {
    "check_subject_exists", "check_experimenter_exists", "check_experiment_description", "check_institution",
    "check_keywords", "check_description",
}  # fmt: skip

SUFFIXES = (".nwb", ".nwb.zarr")


@pytest.fixture(scope="module")
def source(tmp_path_factory, random_model) -> Path:
    """Two planes of two concatenated sessions, with results."""
    root = tmp_path_factory.mktemp("source") / "suite2p"
    return make_session(root, 2, random_model, segments=[150, 250], neuropil_coefficient=0.55)


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Path:
    """One plane without results."""
    return make_session(tmp_path_factory.mktemp("bare") / "suite2p")


@pytest.fixture(scope="module", params=SUFFIXES)
def nwb(request, source, tmp_path_factory) -> Path:
    """`source` as NWB."""
    return to_nwb(source, tmp_path_factory.mktemp("nwb") / f"mouse{request.param}")


def to_nwb(source: Path, target: Path, settings: tuple[str, ...] = START, **options) -> Path:
    convert(source, target, metadata=read_metadata(None, settings), **options)
    return target


def opened(path: Path):
    return NWBZarrIO(str(path), "r") if path.is_dir() else pynwb.NWBHDF5IO(str(path), "r")


def found_by_inspector(path: Path) -> dict[str, Importance]:
    return {message.check_function_name: message.importance for message in inspect_nwbfile(nwbfile_path=str(path))}


# -------------------------------------------------------------------------------------------------------- round trips


def test_from_suite2p_and_back(source, nwb, tmp_path):
    convert(nwb, tmp_path / "back")
    for name in ("plane0", "plane1"):
        before, after = source / name, tmp_path / "back" / name
        for key, array in stored(before).items():
            np.testing.assert_array_equal(stored(after)[key], array)
        np.testing.assert_array_equal(np.load(after / "iscell.npy"), np.load(before / "iscell.npy"))
        old, new = Suite2pPlane(before), Suite2pPlane(after)
        traces = new.read()
        assert (traces.frame_rate, traces.neuropil_coefficient, traces.segments) == (30.0, 0.55, [150, 250])
        assert not new.is_stale()
        assert traces.remarks == [  # each plane of a scan of several is seldom as fast as this
            "fs in ops.npy is 30 Hz, and there are 2 planes: if all of them together were scanned at this rate, each "
            "has 15 Hz: pass --frame-rate 15"
        ]
        assert_same_rois(new.rois(), old.rois())
        record = new.record()
        first, second = record.converted
        assert (first["kind"], first["input"], second["kind"]) == ("suite2p", old.record().input, "NWB")
        assert replace(record, converted=[], input={}) == replace(old.record(), converted=[], input={})


def test_what_is_converted_is_as_if_it_had_been_run(source, nwb):
    containers = find_containers(nwb)
    assert len(containers) == 2
    for name, container in zip(("plane0", "plane1"), containers, strict=True):
        loaded = container.results()
        for key in ("dff", "spike_prob", "noise_levels"):
            np.testing.assert_array_equal(getattr(loaded, key), stored(source / name)[key])
        assert not container.is_stale()


def test_run_and_restore_on_what_was_converted(source, nwb, tmp_path, random_model):
    own = tmp_path / nwb.name
    shutil.copytree(nwb, own) if nwb.is_dir() else shutil.copyfile(nwb, own)
    containers = find_containers(own)
    containers[0].restore()
    assert [container.record() for container in containers] == [None, None]
    run_one(containers[1], model=str(random_model.folder))
    again = containers[1].results()
    for key in ("dff", "spike_prob", "noise_levels"):
        np.testing.assert_array_equal(getattr(again, key), stored(source / "plane1")[key])


def test_from_caiman(tmp_path):
    source = make_file(tmp_path / "results.hdf5")
    to_nwb(source, tmp_path / "out.nwb")
    convert(tmp_path / "out.nwb", tmp_path / "out.npz")
    found = np.load(tmp_path / "out.npz")
    caiman = CaimanFile(source)
    raw, stored_dff = caiman.read(Reading(dff="compute")), caiman.read(Reading(dff="container"))
    fluorescence, background = np.asarray(raw.fluorescence), np.asarray(raw.background)
    np.testing.assert_allclose(found["F"], fluorescence + background, rtol=1e-6)
    np.testing.assert_allclose(found["Fneu"], background, rtol=1e-6)
    np.testing.assert_allclose(found["dff"], stored_dff.dff, rtol=1e-6)
    assert (found["neuropil_coefficient"], found["frame_rate"]) == (1.0, 20.0)
    np.testing.assert_array_equal(found["is_cell"], raw.is_cell)
    (container,) = find_containers(tmp_path / "out.nwb")
    assert_same_rois(container.rois(), caiman.rois())


def test_results_of_caiman(tmp_path, random_model):
    source = make_file(tmp_path / "results.hdf5")
    run_one(CaimanFile(source), model=str(random_model.folder))
    to_nwb(source, tmp_path / "out.nwb")
    expected = CaimanFile(source).results()
    (container,) = find_containers(tmp_path / "out.nwb")
    loaded = container.results()
    for key in ("dff", "spike_prob", "noise_levels"):
        np.testing.assert_array_equal(getattr(loaded, key), getattr(expected, key))
    assert not container.is_stale()
    container.restore()  # CaImAn's own dF/F is there without our results
    np.testing.assert_array_equal(container.read().dff, np.asarray(CaimanFile(source).read().dff))


@pytest.mark.parametrize("dff", ["constant", "denoised", None])
@pytest.mark.parametrize("target", ["out.nwb", "out"])
def test_caiman_gives_the_same_dff_after_conversion(tmp_path, dff, target):
    """F_dff where CaImAn's is good and the target has a place for it, else computed from raw traces and background."""
    source = make_file(tmp_path / "results.hdf5", dff=dff)
    convert(source, tmp_path / target, metadata=read_metadata(None, START) if target.endswith(".nwb") else None)
    (container,) = find_containers(tmp_path / target)
    keeps_dff = target == "out.nwb" and dff == "constant"
    expected, found = CaimanFile(source).read(Reading(dff="auto" if keeps_dff else "compute")), container.read()
    assert (found.dff is not None) == keeps_dff
    np.testing.assert_allclose(dff_of(found).dff, dff_of(expected).dff, atol=1e-5)
    # a coefficient that the user gives is one for the neuropil that a target holds
    given = container.read(Reading(neuropil_coefficient=0.5, dff="compute"))
    assert (given.background, given.neuropil_coefficient) == (None, 0.5)


def test_from_arrays(tmp_path, random_model):
    dff = dff_traces(n_rois=5, n_frames=400).dff
    np.save(tmp_path / "dff.npy", dff)
    selection, reading = Selection(orientation="rois-first"), Reading(frame_rate=30.0)
    (container,) = find_containers(tmp_path / "dff.npy", selection)
    run_one(container, model=str(random_model.folder), frame_rate=30.0)
    to_nwb(tmp_path / "dff.npy", tmp_path / "out.nwb", selection=selection, reading=reading)
    convert(tmp_path / "out.nwb", tmp_path / "out.npz")
    found, expected = np.load(tmp_path / "out.npz"), container.results()
    np.testing.assert_array_equal(found["dff"], dff)
    np.testing.assert_array_equal(found["spike_prob"], expected.spike_prob)
    np.testing.assert_array_equal(found["noise_levels"], expected.noise_levels)
    assert not {"F", "source_dff", "pixels", "is_cell"} & set(found)
    # and on: what was written is a file of arrays itself
    (again,) = find_containers(tmp_path / "out.npz", Selection(key="dff", orientation="rois-first"))
    np.testing.assert_array_equal(again.read().dff, dff)
    assert again.read().frame_rate == 30.0


def test_from_extract(tmp_path):
    source, reading = save_extract(tmp_path / "extract.mat"), Reading(frame_rate=20.0, dff="container")
    to_nwb(source, tmp_path / "out.nwb", reading=reading)
    (plane,), (expected,) = read_session(tmp_path / "out.nwb").planes, read_session(source, reading=reading).planes
    assert plane.raw is None
    np.testing.assert_array_equal(plane.dff.dff, expected.dff.dff.astype(np.float32))
    assert_same_rois(plane.rois, expected.rois)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_large_traces_of_any_type(monkeypatch, tmp_path, suffix):
    """Several chunks along both axes, double precision, values missing."""
    values = 100.0 + np.random.default_rng(0).standard_normal((70, 5000))
    values[3, 7] = np.nan
    give(monkeypatch, Given(traces={"compute": raw_traces(fluorescence=values)}))
    with opened(to_nwb(tmp_path, tmp_path / f"out{suffix}")) as io:
        data = io.read().processing["ophys"]["Fluorescence"]["plane0"].data
        assert data.dtype == np.float64 and data.chunks == (4096, 64)
        np.testing.assert_array_equal(data[:].T, values)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_masks_of_volumes(monkeypatch, tmp_path, suffix):
    pixels = [np.array([[1, 2, 3], [9, 11, 4]]), np.array([[0, 0, 0]])]
    rois = Rois((10, 12, 5), pixels, [np.array([0.5, 2.0], np.float32), np.ones(1, np.float32)])
    give(monkeypatch, Given(traces={"compute": raw_traces(n_rois=2)}, rois=rois))
    (container,) = find_containers(to_nwb(tmp_path, tmp_path / f"out{suffix}"))
    assert_same_rois(container.rois(), rois)


def test_own_dff_beside_the_one_of_cascade(monkeypatch, tmp_path):
    give(monkeypatch, Given(traces={"container": dff_traces(), "compute": raw_traces()}, results=results()))
    to_nwb(tmp_path, tmp_path / "out.nwb")
    with opened(tmp_path / "out.nwb") as io:
        module = io.read().processing["ophys"]
        np.testing.assert_array_equal(module["DfOverF"]["plane0"].data[:].T, dff_traces().dff)
        np.testing.assert_array_equal(module["Fluorescence"]["plane0"].data[:].T, raw_traces().fluorescence)
    (container,) = find_containers(tmp_path / "out.nwb")
    np.testing.assert_array_equal(container.results().dff, results().dff)
    np.testing.assert_array_equal(container.read(Reading(dff="container")).dff, dff_traces().dff)


def test_arbitrary_units_are_called_so(monkeypatch, tmp_path):
    give(
        monkeypatch,
        Given(traces={"container": dff_traces(source="components", arbitrary_units=True)}),
    )
    with opened(to_nwb(tmp_path, tmp_path / "out.nwb")) as io:
        ophys = io.read().processing["ophys"]
        series = ophys["Fluorescence"]["plane0"]
        assert (series.unit, series.description) == ("a.u.", "Traces: components, in arbitrary units")
        assert "DfOverF" not in ophys.data_interfaces


def test_without_neuropil_masks_and_cells(tmp_path):
    plane = make_plane(tmp_path / "in" / "plane0", n_frames=300)
    for name in ("Fneu.npy", "stat.npy", "iscell.npy"):
        (plane.folder / name).unlink()
    (found,) = read_session(to_nwb(plane.folder, tmp_path / "out.nwb")).planes
    assert found.raw.neuropil is None and found.raw.is_cell is None and found.rois is None
    np.testing.assert_array_equal(found.raw.fluorescence, plane.fluorescence)
    assert set(found_by_inspector(tmp_path / "out.nwb")) == UNSAID


def test_cells_without_probability(tmp_path):
    plane = make_plane(tmp_path / "in" / "plane0", n_frames=300)
    np.save(plane.folder / "iscell.npy", np.arange(6) % 2)
    (container,) = find_containers(to_nwb(plane.folder, tmp_path / "out.nwb"))
    traces = container.read()
    assert traces.is_cell.tolist() == [False, True] * 3 and traces.cell_probability is None


# ----------------------------------------------------------------------------------------------------------- content


def test_what_lies_where(source, nwb):
    with opened(nwb) as io:
        nwbfile = io.read()
        module = nwbfile.processing["ophys"]
        assert set(nwbfile.imaging_planes) == {"plane0", "plane1"}
        for name in ("plane0", "plane1"):
            table = module["ImageSegmentation"][name]
            assert table.imaging_plane.name == name and table.imaging_plane.imaging_rate == 30.0
            assert table.colnames == ("pixel_mask", "iscell")
            record = np.load(source / name / "stat.npy", allow_pickle=True)[1]
            mask = table["pixel_mask"][1]
            for axis, key in (("x", "xpix"), ("y", "ypix"), ("weight", "lam")):
                np.testing.assert_array_equal(mask[axis], record[key])
            for container, file in (("Fluorescence", "F"), ("Neuropil", "Fneu")):
                series = module[container][name]
                np.testing.assert_array_equal(series.data[:].T, np.load(source / name / f"{file}.npy"))
                assert (series.rate, series.starting_time, series.unit) == (30.0, 0.0, "a.u.")
                assert series.rois.table is table and series.rois.data[:].tolist() == list(range(6))
        assert not pynwb.validate(io=io)


def test_nothing_is_made_up(nwb):
    with opened(nwb) as io:
        nwbfile = io.read()
        assert nwbfile.session_start_time.isoformat() == "2024-05-17T12:30:00+02:00"
        assert nwbfile.subject is None
        said = (nwbfile.lab, nwbfile.institution, nwbfile.experimenter, nwbfile.keywords, nwbfile.session_id)
        assert said == (None,) * 5
        for plane in nwbfile.imaging_planes.values():
            assert (plane.indicator, plane.location) == ("unknown", "unknown")
            assert math.isnan(plane.excitation_lambda)
            (channel,) = plane.optical_channel
            assert math.isnan(channel.emission_lambda) and channel.description == "unknown"
        (device,) = nwbfile.devices.values()
        assert (device.description, device.manufacturer) == (None, None)
        assert nwbfile.session_description.startswith("Calcium imaging, converted by cascade-spikes")
        assert "suite2p" in nwbfile.source_script


def test_each_file_has_an_identifier_of_its_own(bare, tmp_path):
    found = set()
    for name in ("one", "two"):
        with opened(to_nwb(bare, tmp_path / f"{name}.nwb")) as io:
            found.add(io.read().identifier)
    assert len(found) == 2


def test_what_the_user_says(bare, tmp_path):
    settings = (*FULL, "session_id=S1", "identifier=own", "session_description=Own", "device.name=Scope",
                "subject.date_of_birth=2024-02-17T00:00:00+02:00", "imaging_plane.description=Layer 2")  # fmt: skip
    with opened(to_nwb(bare, tmp_path / "out.nwb", settings)) as io:
        nwbfile = io.read()
        assert (nwbfile.identifier, nwbfile.session_id, nwbfile.session_description) == ("own", "S1", "Own")
        assert (nwbfile.experimenter, nwbfile.keywords[:].tolist()) == (("Last, First",), ["calcium"])
        subject, plane = nwbfile.subject, nwbfile.imaging_planes["plane0"]
        assert (subject.subject_id, subject.age, subject.date_of_birth.year) == ("M12", "P90D", 2024)
        assert (plane.location, plane.indicator, plane.excitation_lambda) == ("VISp", "GCaMP6f", 920.0)
        assert (plane.optical_channel[0].emission_lambda, plane.description) == (510.0, "Layer 2")
        assert plane.device.name == "Scope"


def test_inspector(tmp_path, nwb, bare):
    """nwbinspector misses what the user has not said, and nothing else."""
    if nwb.is_file():
        assert set(found_by_inspector(nwb)) == UNSAID
        assert found_by_inspector(to_nwb(bare, tmp_path / "full.nwb", FULL)) == {}


# ------------------------------------------------------------------------------------------------------------- notes


@pytest.mark.parametrize(
    "comments",
    [
        None, "", "no comments", "{", "[]", "{}", '{"cascade-spikes conversion": 1}',
        '{"cascade-spikes conversion": {"neuropil_coefficient": -1}}',
        '{"cascade-spikes conversion": {"neuropil_coefficient": NaN}}',
        '{"cascade-spikes conversion": {"neuropil_coefficient": "x"}}',
        '{"cascade-spikes conversion": {"frames_per_session": [100, 100]}}',
        '{"cascade-spikes conversion": {"frames_per_session": [400, -100]}}',
        '{"cascade-spikes conversion": {"frames_per_session": 300}}',
        '{"cascade-spikes conversion": {"image_shape": [10]}}',
        '{"cascade-spikes conversion": {"image_shape": [10.5, 2]}}',
        "[" * 100_000,
    ],
)  # fmt: skip
def test_comments_that_say_nothing(comments):
    assert read_notes(comments, 300) == Notes()


def test_notes():
    notes = Notes(0.55, [100, 200], (40, 24))
    assert read_notes(notes.text, 300) == notes
    assert read_notes(Notes(image_shape=(4, 5, 6)).text, 300) == Notes(image_shape=(4, 5, 6))
    assert Notes().text == "no comments"
    flags = Notes(neuropil_coefficient=0.0, neuropil_is_background=True, is_dff_used=True)
    assert read_notes(flags.text, 300) == flags


# -------------------------------------------------------------------------------------------------------------- errors


def test_when_the_session_began_must_be_said(bare, tmp_path, capsys):
    status, output, errors = run(capsys, "convert", bare, tmp_path / "out.nwb")
    assert (status, output) == (1, "") and len(errors.splitlines()) == 1
    assert "pass --session-start-time" in errors
    assert list(tmp_path.iterdir()) == []
    arguments = ("--session-start-time", "2024-05-17T12:30:00Z", "--set", "lab=Own")
    status, output, errors = run(capsys, "convert", bare, tmp_path / "out.nwb", *arguments)
    assert (status, errors) == (0, "")
    with opened(tmp_path / "out.nwb") as io:
        assert io.read().lab == "Own"


def test_from_nwb_to_nwb(bare, tmp_path):
    to_nwb(bare, tmp_path / "one.nwb")
    with pytest.raises(InputError, match="is an NWB file already"):
        to_nwb(tmp_path / "one.nwb", tmp_path / "two.nwb")


def test_metadata_that_pynwb_refuses(bare, tmp_path):
    with pytest.raises(InputError, match="metadata: ") as error:
        to_nwb(bare, tmp_path / "out.nwb", (*START, "device.name=a/b"))
    assert "\n" not in str(error.value) and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("module", "suffix"), [("pynwb", ".nwb"), ("hdmf_zarr", ".nwb.zarr")])
def test_without_the_extra(bare, tmp_path, monkeypatch, module, suffix):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        MissingExtraError, match=r"needs (pynwb|hdmf-zarr), which is not installed: pip install .*pynwb>="
    ):
        to_nwb(bare, tmp_path / f"out{suffix}")


@needs_fork
def test_a_killed_conversion_leaves_no_half_file(source, tmp_path):
    target = tmp_path / "out.nwb"
    own_code = ("convert/nwb.py", "nwb/hdf5_file.py", "safe_writing/new_file.py")
    action = partial(to_nwb, source / "plane0", target)
    points = changing_points(action, tmp_path, own_code)
    target.unlink()
    for at in (points[1], points[len(points) // 2], points[-1], None):
        was_killed = killed(action, at, own_code)
        assert was_killed == (at is not None)
        if target.exists():
            (container,) = find_containers(target)
            np.testing.assert_array_equal(container.results().spike_prob, stored(source / "plane0")["spike_prob"])
            assert not container.is_stale()
            target.unlink()
        else:
            assert was_killed
            with pytest.raises(InputError, match="nothing to run on"):
                find_containers(tmp_path)
    assert list(tmp_path.iterdir()) == []


# --------------------------------------------------------------------------------------------------------- real files


@pytest.mark.parametrize(
    ("name", "rate", "suffix"),
    [
        ("two-planes-two-channels/suite2p", None, ".nwb"),
        ("two-planes-two-channels/suite2p", None, ".nwb.zarr"),
        ("no-ops-18000-frames", 30.0, ".nwb"),
        ("suite2p-1.1.0-one-plane", None, ".nwb"),
        ("suite2p-0.14.6-one-plane", None, ".nwb"),
    ],
)
def test_real_suite2p_folders(shared, tmp_path, name, rate, suffix):
    source = shared(f"containers/suite2p/{name}")
    nwb = to_nwb(source, tmp_path / f"out{suffix}", reading=Reading(frame_rate=rate))
    convert(nwb, tmp_path / "back")
    before, after = Suite2pPlane.find(source), Suite2pPlane.find(tmp_path / "back")
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        for file in ("F.npy", "Fneu.npy", "iscell.npy"):
            np.testing.assert_array_equal(np.load(new.path / file), np.load(old.path / file))
        assert_same_rois(new.rois(), old.rois())
        assert new.read().frame_rate == old.read(Reading(frame_rate=rate)).frame_rate
    if suffix == ".nwb":
        assert set(found_by_inspector(nwb)) == UNSAID


@pytest.mark.parametrize("version", ["1.8.5", "1.12.1"])
def test_real_caiman_files(shared, tmp_path, version):
    source = shared(f"containers/caiman/caiman-{version}-cnmf.hdf5")
    nwb = to_nwb(source, tmp_path / "out.nwb")
    assert set(found_by_inspector(nwb)) == UNSAID
    (before,), (after,) = read_session(source).planes, read_session(nwb).planes
    np.testing.assert_allclose(after.raw.fluorescence, before.raw.fluorescence, rtol=1e-6)
    np.testing.assert_allclose(after.raw.neuropil, before.raw.neuropil, rtol=1e-6)
    np.testing.assert_array_equal(after.dff.dff, before.dff.dff)
    assert_same_rois(after.rois, before.rois)


@pytest.mark.parametrize("name", ["suite2p-style-three-series", "fluorescence-and-dff"])
def test_real_nwb_files(shared, tmp_path, name):
    source = shared(f"containers/nwb/{name}.nwb")
    (plane,) = read_session(source).planes
    convert(source, tmp_path / "out")
    folder = tmp_path / "out" / "plane0"
    np.testing.assert_array_equal(np.load(folder / "F.npy"), plane.raw.fluorescence)
    assert_same_rois(Suite2pPlane(folder).rois(), plane.rois)
    for suffix in ("npz", "mat"):
        convert(source, tmp_path / f"out.{suffix}")
    convert(source, tmp_path / "tables", "csv")
    found = np.load(tmp_path / "out.npz")
    assert ("dff" in found) == (name == "fluorescence-and-dff")
    assert json.loads((tmp_path / "tables" / "about.json").read_text())["frame_rate"] == plane.raw.frame_rate
