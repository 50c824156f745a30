"""What `cascade convert` has written is read back whole: the same spikes, and the same of everything else."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from cascade_adapters.containers.arrays import ArrayFile
from cascade_adapters.containers.base import Reading, Rois, Selection
from cascade_adapters.containers.converted import ConvertedFile, ConvertedTables
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.convert import Metadata, convert
from cascade_adapters.results import Spikes
from cascade_adapters.results.record import SpikesFound
from cascade_engine.errors import InputError
from tests.builders.array_files import RATE, make_dff
from tests.builders.running import inspect_one, run_one
from tests.builders.sessions import (
    Given,
    assert_same_rois,
    dff_traces,
    give,
    make_session,
    raw_traces,
    results,
    run,
)  # fmt: skip
from tests.builders.suite2p_folders import change_settings, hashes, make_plane

TARGETS = ("npz", "mat", "csv")

#: What an NWB file needs.
START = Metadata(session_start_time=datetime(2024, 5, 17, tzinfo=timezone.utc))

#: Whatever holds all of a session, also raw fluorescence.
EVERY_TARGET = (*TARGETS, "suite2p", "nwb")


NAMES = {"npz": "out.npz", "mat": "out.mat", "nwb": "out.nwb"}


def converted(source: Path, folder: Path, kind: str, **how) -> list:
    """Convert, and find what can be run on."""
    if kind == "nwb":
        pytest.importorskip("pynwb", reason="needs pynwb")
        how["metadata"] = START
    target = folder / NAMES.get(kind, "out")
    convert(source, target, kind, **how)
    return find_containers(target)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Two planes of two concatenated sessions, with bad frames and missing values, without results."""
    root = make_session(tmp_path_factory.mktemp("source") / "suite2p", 2, segments=[150, 250], neuropil_coefficient=0.3)
    for number in (0, 1):
        bad = np.zeros(400, bool)
        bad[[20, 21, 300 + number]] = True
        change_settings(root / f"plane{number}", badframes=bad)
        f = np.load(root / f"plane{number}" / "F.npy").astype(np.float32)
        f[1, 50:53] = np.nan
        np.save(root / f"plane{number}" / "F.npy", f)
    return root


def spikes_of(container, model, **options) -> np.ndarray:
    run_one(container, model=str(model.folder), **options)
    return container.results().spike_prob[:]


def test_every_target_gives_the_same_spikes(tmp_path, source, random_model):
    copy = tmp_path / "suite2p"
    shutil.copytree(source, copy)
    before = find_containers(copy)
    expected = [spikes_of(container, random_model) for container in before]
    for kind in EVERY_TARGET:
        folder = tmp_path / f"to_{kind}"
        folder.mkdir()
        after = converted(source, folder, kind)
        assert len(after) == 2
        for old, new, spike_prob in zip(before, after, expected, strict=True):
            was, now = old.read(), new.read()
            assert (now.frame_rate, now.neuropil_coefficient, now.segments) == (30.0, 0.3, [150, 250])
            np.testing.assert_array_equal(now.excluded_frames, was.excluded_frames)
            assert now.excluded_frames.sum() == 3
            np.testing.assert_array_equal(now.is_cell, was.is_cell)
            np.testing.assert_array_equal(now.cell_probability, was.cell_probability)
            assert_same_rois(new.rois(), old.rois())
            assert new.plane == old.plane or kind == "nwb"
            np.testing.assert_array_equal(spikes_of(new, random_model), spike_prob)


@pytest.mark.parametrize("kind", TARGETS)
def test_results_come_with_the_traces(tmp_path, kind, random_model):
    root = make_session(tmp_path / "suite2p", 1, random_model)
    (old,) = find_containers(root)
    found = old.results()
    spikes = Spikes(np.array([0, 2]), np.array([7, 9]), np.array([0.25, 0.3]), np.array([1.0, 0.5]))
    old.add_spikes(found, spikes, SpikesFound("now", "0", 0.05, "gaussian", 2))
    (new,) = converted(root, tmp_path, kind)
    before = hashes(tmp_path)
    assert not new.is_stale() and "up to date" in inspect_one(new, model=str(random_model.folder)).earlier_results
    ours, theirs = new.results(), old.results()
    for name, values in theirs.arrays.items():
        np.testing.assert_array_equal(ours.arrays[name], values)
    np.testing.assert_array_equal(ours.spikes.table, spikes.table)
    assert replace(ours.record, converted=[], input={}) == replace(theirs.record, converted=[], input={}, container={})
    with pytest.raises(InputError, match="has results already: pass --existing update, overwrite or skip"):
        run_one(new, model=str(random_model.folder))
    # new ones lie beside, count from then on, and go again
    run_one(new, model=str(random_model.folder), existing="overwrite", threshold=False)
    assert new.record().settings.threshold is False and not new.is_stale()
    assert {name: digest for name, digest in hashes(tmp_path).items() if name in before} == before
    new.restore()
    assert hashes(tmp_path) == before and new.record() == ours.record
    # and a second conversion carries them on
    (again,) = converted(
        new.path if kind != "csv" else new.path.parent, tmp_path, "suite2p" if kind != "csv" else "npz"
    )
    assert isinstance(again, Suite2pPlane if kind != "csv" else ConvertedFile)
    np.testing.assert_array_equal(again.results().spike_prob[:], theirs.spike_prob[:])
    assert len(again.record().converted) == 2 and not again.is_stale()


@pytest.mark.parametrize("kind", TARGETS)
def test_results_of_other_traces_are_stale(tmp_path, kind, random_model):
    root = make_session(tmp_path / "suite2p", 1, random_model)
    (new,) = converted(root, tmp_path, kind)
    if kind == "csv":
        lines = new.path.read_text().splitlines()
        new.path.write_text("\n".join([*lines[:-1], lines[-1].replace(".", "1.", 2)]) + "\n")
    else:
        arrays = {name: values for name, values in np.load(tmp_path / "out.npz").items()} if kind == "npz" else None
        arrays = arrays or {name: values for name, values in loadmat(new.path).items() if name[0] != "_"}
        arrays["F"] = arrays["F"] + 1
        np.savez(new.path, **arrays) if kind == "npz" else savemat(new.path, arrays)
    assert new.is_stale()


@pytest.mark.parametrize("kind", EVERY_TARGET)
def test_a_background_stays_one(tmp_path, monkeypatch, random_model, kind):
    """F of CaImAn holds no background: what F0 is divided by must be the same after a conversion."""
    rng = np.random.default_rng(0)
    background = (200 + 30 * np.sin(np.arange(300) / 20) + rng.random((4, 300))).astype(np.float32)
    given = Given(traces={"compute": raw_traces(background=background, indicator="GCaMP6s")})
    with monkeypatch.context() as patch:
        give(patch, given)
        convert(tmp_path, target := tmp_path / NAMES.get(kind, "out"), kind, metadata=START if kind == "nwb" else None)
    (container,) = find_containers(target)
    traces = container.read()
    assert traces.neuropil is None and traces.indicator == "GCaMP6s"
    np.testing.assert_allclose(traces.fluorescence[:], raw_traces().fluorescence, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(traces.background[:]), background)


@pytest.mark.parametrize("kind", (*TARGETS, "nwb"))
@pytest.mark.parametrize("prefers_dff", [False, True])
def test_what_is_inferred_from_stays_the_same(tmp_path, monkeypatch, kind, prefers_dff):
    traces = {"compute": raw_traces(), "container": dff_traces()}
    given = Given(traces=dict(reversed(traces.items())) if prefers_dff else traces)
    target = tmp_path / NAMES.get(kind, "out")
    with monkeypatch.context() as patch:
        give(patch, given)
        convert(tmp_path, target, kind, metadata=START if kind == "nwb" else None)
    (container,) = find_containers(target)
    assert (container.read().dff is not None) == prefers_dff
    np.testing.assert_array_equal(container.read(Reading(dff="container")).dff[:], dff_traces().dff)
    np.testing.assert_array_equal(container.read(Reading(dff="compute")).fluorescence[:], raw_traces().fluorescence)


@pytest.mark.parametrize("kind", TARGETS)
def test_one_roi(tmp_path, monkeypatch, random_model, kind):
    found = results(1)
    spikes = Spikes(np.arange(3) * 0, np.arange(3), np.arange(3) / 20, np.ones(3))
    found = replace(
        found, record=replace(found.record, discrete_spikes=SpikesFound("now", "0", 0.05, "gaussian", 3)), spikes=spikes
    )
    rois = Rois((10, 12), [np.array([[1, 2]])], [np.ones(1, np.float32)])
    for name, given in (
        (
            "raw",
            Given(traces={"compute": raw_traces(1, neuropil=raw_traces(1).fluorescence / 2)}, results=found, rois=rois),
        ),
        ("dff", Given(traces={"container": dff_traces(1)}, results=found)),
        ("alone", Given(traces={"container": dff_traces(1)})),
    ):
        (tmp_path / name).mkdir()
        with monkeypatch.context() as patch:
            give(patch, given)
            convert(tmp_path, target := tmp_path / name / NAMES.get(kind, "out"), kind)
        (container,) = find_containers(target)
        traces = container.read()
        assert traces.shape == (1, 300) and (traces.neuropil is None) == (name != "raw")
        assert container.rois() is None or container.rois().pixels[0].tolist() == [[1, 2]]
        if name != "alone":
            np.testing.assert_array_equal(container.results().spikes.table, spikes.table)
        report = run_one(container, model=str(random_model.folder), existing="overwrite")
        assert (report.n_rois, report.n_frames) == (1, 300)
        assert container.results().spike_prob[:].shape == (1, 300)


@pytest.mark.parametrize("kind", TARGETS)
def test_dropped_frames_and_arbitrary_units(tmp_path, monkeypatch, kind):
    traces = dff_traces(arbitrary_units=True, dropped={5: 2, 9: -1, 20: 1}, segments=[100, 200], indicator="jRGECO1a")
    with monkeypatch.context() as patch:
        give(patch, Given(traces={"container": traces}))
        convert(tmp_path, target := tmp_path / NAMES.get(kind, "out"), kind)
    (container,) = find_containers(target)
    found = container.traces()
    assert found.arbitrary_units and "ARBITRARY UNITS" in found.remarks[0]
    assert (found.dropped, found.segments, found.indicator) == (traces.dropped, traces.segments, "jRGECO1a")
    np.testing.assert_array_equal(found.dff, traces.dff)


def test_what_the_user_says_counts_more(tmp_path, source):
    (first, _) = converted(source, tmp_path, "npz")
    reading = Reading(frame_rate=15.0, neuropil_coefficient=0.9, sessions=(400,))
    traces = first.traces(reading)
    assert (traces.frame_rate, traces.neuropil_coefficient, traces.segments) == (15.0, 0.9, None)
    with pytest.raises(InputError, match="holds raw fluorescence, no dF/F: leave out --dff container"):
        first.read(Reading(dff="container"))
    path = first.path
    for key, plane in (("plane1_F", "plane1"), ("F", None)):
        found = find_containers(path, Selection(key=key, raw=True, orientation="rois-first"))
        assert [container.plane for container in found] == ([plane] if plane else ["plane0", "plane1"])
    with pytest.raises(InputError, match="rois-first: leave out --orientation frames-first"):
        find_containers(path, Selection(orientation="frames-first"))[0].read()
    # any other array can be had by its name, as that of any file
    (other,) = find_containers(path, Selection(key="plane0_Fneu", orientation="rois-first", raw=True))
    assert type(other) is ArrayFile and other.read(Reading(frame_rate=30.0)).neuropil is None


def test_a_table_stands_for_its_folder(tmp_path, source):
    (container, _) = converted(source, tmp_path, "csv")
    (one,) = find_containers(container.path)
    assert type(one) is ConvertedTables and one.read().neuropil is not None
    assert [each.path for each in find_containers(tmp_path / "out" / "plane0")] == [container.path]
    for name in ("Fneu.csv", "rois.csv", "about.json"):
        with pytest.raises(InputError, match=r"is one of the tables .*: pass their folder, .*plane0"):
            find_containers(container.path.with_name(name))


def test_names_of_results(tmp_path, source, random_model):
    for kind, names in (
        ("npz", {"out_plane0_cascade.npz", "out_plane0_cascade.npz.json"}),
        ("mat", {"out_plane0_cascade.mat", "out_plane0_cascade.mat.json"}),
        ("csv", {"F_cascade_spike_prob.csv", "F_cascade_dff.csv", "F_cascade_noise_levels.csv", "F_cascade.csv.json"}),
    ):
        folder = tmp_path / kind
        folder.mkdir()
        (container, _) = converted(source, folder, kind)
        before = set(hashes(folder))
        run_one(container, model=str(random_model.folder))
        assert {Path(name).name for name in set(hashes(folder)) - before} == names
        (again, *_) = find_containers(container.path.with_name(sorted(names)[-1].removesuffix(".json")))
        assert again.path == container.path
        container.restore()
        assert set(hashes(folder)) == before


def test_results_on_their_own(tmp_path, random_model):
    """A file of results that was moved says what it holds, too; in the form of the array that it was made from."""
    np.savez(tmp_path / "traces.npz", dff=make_dff().T)
    (container,) = find_containers(tmp_path / "traces.npz", Selection(orientation="frames-first"))
    run_one(container, model=str(random_model.folder), frame_rate=RATE)
    expected = container.results()
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(tmp_path / "traces_cascade.npz", tmp_path / "elsewhere")
    (moved,) = find_containers(tmp_path / "elsewhere" / "traces_cascade.npz")
    np.testing.assert_array_equal(moved.read().dff, make_dff())
    np.testing.assert_array_equal(moved.results().spike_prob, expected.spike_prob[:])
    assert moved.read().frame_rate == RATE and not moved.is_stale()


def test_files_of_an_earlier_version(tmp_path, random_model):
    """They lack some facts, and the hashes in their record are those of the source."""
    root = make_session(tmp_path / "suite2p", 1, random_model)
    convert(root, tmp_path / "new.npz")
    arrays = dict(np.load(tmp_path / "new.npz"))
    record = json.loads(str(arrays["record"]))
    arrays["record"] = np.asarray(json.dumps(record | {"input": record["converted"][0]["input"]}))
    described = json.loads(str(arrays["content"]))
    for name in ("bad_frames", "indicator", "neuropil_is_background", "infer_from", "plane"):
        del described[name]
    np.savez(tmp_path / "old.npz", **arrays | {"content": np.asarray(json.dumps(described))})
    (container,) = find_containers(tmp_path / "old.npz")
    assert type(container) is ConvertedFile and not container.is_stale() and container.read().neuropil is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Fneu": np.ones((2, 300))}, r"Fneu cannot be used: it has the shape \(2, 300\), but F has"),
        ({"frames_per_session": [100, 100]}, "frames_per_session cannot be used: it adds up to 200, not 300"),
        ({"is_cell": np.ones(2)}, "is_cell cannot be used: it has 2 values for 6 ROIs"),
        ({"frame_rate": np.zeros(3)}, "frame_rate cannot be used: it has the shape"),
        ({"frame_rate": None}, "has no frame_rate: pass --frame-rate"),
        ({"dropped_frames": [[900, 1]]}, "dropped_frames cannot be used: 1 frames cannot have been dropped"),
        ({"bad_frames": [900]}, "bad_frames cannot be used: it names frames beyond the 300 that there are"),
        ({"F": np.array([["a"]])}, "F cannot be used: it holds <U1, no real numbers"),
    ],
)
def test_damaged_files(tmp_path, change, message):
    plane = make_plane(tmp_path / "suite2p" / "plane0", n_frames=300)
    convert(plane.folder, tmp_path / "whole.npz")
    arrays = {**np.load(tmp_path / "whole.npz"), **change}
    np.savez(tmp_path / "out.npz", **{name: values for name, values in arrays.items() if values is not None})
    (container,) = find_containers(tmp_path / "out.npz")
    with pytest.raises(InputError, match=message) as caught:
        container.read()
    assert "out.npz" in str(caught.value) and "\n" not in str(caught.value)


def test_from_the_command_line(tmp_path, source, capsys):
    for name in ("out.npz", "out.mat"):
        assert run(capsys, "convert", source / "plane0", tmp_path / name)[0] == 0
        status, out, _ = run(capsys, "inspect", tmp_path / name)
        assert status == 0 and "F and Fneu" in out and "frame_rate in" in out
    assert run(capsys, "convert", tmp_path / "out.npz", tmp_path / "back")[0] == 0
    back, there = Suite2pPlane(tmp_path / "back" / "plane0").read(), Suite2pPlane(source / "plane0").read()
    np.testing.assert_array_equal(back.fluorescence[:], there.fluorescence[:])
