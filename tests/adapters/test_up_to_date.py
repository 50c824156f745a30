"""``--existing update``: after it the results are those of a new run, and what is up to date is not run again."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import cascade_adapters
from cascade_adapters.cli import main
from cascade_adapters.containers.base import Selection
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.convert import convert, read_metadata
from cascade_adapters.hooks.caiman import run_on_estimates
from cascade_adapters.hooks.suite2p import run_on_folder
from cascade_adapters.running.batch import process_all
from cascade_adapters.running.options import choices_by_group, parse_options
from cascade_adapters.running.report import Report
from cascade_adapters.running.up_to_date import COMPARED_BY_EFFECT, WITHOUT_EFFECT_ON_VALUES
from cascade_engine.errors import InputError
from cascade_engine.networks.store import load_model
from cascade_engine.networks.windowed.writing import write_windowed_model
from tests.adapters.test_unused_options import KINDS, VALUES
from tests.builders import caiman_files
from tests.builders.running import run_one
from tests.builders.suite2p_folders import change_settings, hashes, make_plane

pytestmark = pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")

#: Options that each kind of recording is tried with: a plane of suite2p with all, others with what is special to them.
TRIED = {
    "suite2p": tuple(flat for flat in VALUES if flat != "existing"),
    "NWB": ("in_place", "series", "only_cells", "neuropil_coefficient"),
    "NWB of dF/F": ("rest", "dff"),
    "CaImAn": ("replace_spikes", "dff", "frame_rate"),
    "CaImAn object": ("replace_spikes", "dff"),
    "array": ("rest", "frame_rate", "orientation", "arbitrary_units"),
    "raw array": ("key", "baseline", "arbitrary_units"),
}

#: Options with which results go to another place, where there are none before.
ELSEWHERE = ("channel", "in_place")

#: Settings that only the universal model has.
UNIVERSAL = ("smoothing", "kernel", "population", "indicator")


class Recording:
    """A recording of some kind, made anew, and what is run on it."""

    def __init__(self, kind, path, model):
        path.mkdir()
        self._where = KINDS[kind].make(path)
        self._usual = {**KINDS[kind].needs, "model": str(model.folder)}

    def run(self, existing="error", dry_run=False, **options):
        """Run it; returns its report and its results."""
        chosen = parse_options({**self._usual, **options, "existing": existing})
        try:
            (container,) = cascade_adapters.find(self._where, **vars(chosen.selection))
        except InputError as error:  # it concerns no recording of this kind
            return Report(path="", kind="", status="failed", message=str(error)), None, False
        (report,) = process_all([container], chosen, dry_run)
        return report, container.results(), container.has_replaced_spikes()


def assert_same(found, expected):
    assert (found is None) == (expected is None)
    for name in expected.arrays if expected is not None else ():
        np.testing.assert_array_equal(np.asarray(found.arrays[name][:]), np.asarray(expected.arrays[name][:]))


@pytest.mark.parametrize(("kind", "flat"), [(kind, flat) for kind, options in TRIED.items() for flat in options])
def test_an_update_gives_what_a_new_run_gives(kind, flat, tmp_path, random_model):
    option = {flat: VALUES[flat]}
    model = load_model() if flat in UNIVERSAL else random_model
    expected, results, replaced = Recording(kind, tmp_path / "new", model).run(**option)
    recording = Recording(kind, tmp_path / "old", model)
    before, usual, _ = recording.run()
    assert before.status == "done"
    if expected.status == "failed":
        assert recording.run("update", **option)[0].status == "failed"
        assert_same(recording.run("skip")[1], usual)
        return
    report, found, is_replaced = recording.run("update", **option)
    assert report.status in ("done", "skipped")
    assert bool(report.redone) == (report.status == "done" and flat not in ELSEWHERE)
    assert_same(found, results)
    assert is_replaced == replaced
    again, found, is_replaced = recording.run("update", **option)
    assert (again.status, again.message, again.redone) == ("skipped", "results are up to date", [])
    assert_same(found, results)
    assert is_replaced == replaced


#: What is said where an option of a plane of suite2p is another one.
SAID = {
    "only_cells": "made with only cells off, now on",
    "replace_spikes": "the container's deconvolved traces are the container's own, and should be ours",
    "bad_frames": "1 frames were left out and are not now, or the other way round",
    "exclude_frames": "11 frames were left out and are not now, or the other way round",
    "smoothing": "made with smoothing 0.05 s, now 0.2 s",
    "kernel": "made with kernel gaussian, now causal",
    "noise_level": "made with noise level not given, now 5 % per sqrt(Hz)",
    "threshold": "made with threshold 0, now 1",
    "padding": "made with padding nan, now 0",
    "frame_rate": "made with frame rate 30 Hz, now 25 Hz",
    "neuropil_coefficient": "made with neuropil coefficient 0.7, now 0.3",
    "offset": "made with offset 0 counts, now 0.1 counts",
    "arbitrary_units": "made from dF/F, now from arbitrary units",
    "sessions": "made with segments of 320 frames, now 100, 220",
    "baseline": "made with baseline percentile, now maximin",
    "baseline_window_s": "made with baseline window 60 s, now 5 s",
    "baseline_percentile": "made with baseline percentile 15 %, now 40 %",
    "neuropil": "made with neuropil changes, now full",
}


@pytest.mark.parametrize(("kind", "flat"), [(kind, flat) for kind, options in TRIED.items() for flat in options])
def test_a_dry_run_checks_what_a_run_checks(kind, flat, tmp_path, random_model):
    """It refuses the same, in the same words, and says the same of the recording."""
    option = {flat: VALUES[flat]}
    recording = Recording(kind, tmp_path / "a", load_model() if flat in UNIVERSAL else random_model)
    planned, found, _ = recording.run(dry_run=True, **option)
    assert found is None
    done, *_ = recording.run(**option)
    assert {planned.status, done.status} in ({"planned", "done"}, {"failed"})
    assert planned.message == done.message
    assert planned.warnings == done.warnings and planned.noise_level == done.noise_level


@pytest.mark.parametrize("flat", SAID)
def test_why_it_is_run_again(flat, tmp_path, random_model):
    recording = Recording("suite2p", tmp_path / "a", load_model() if flat in UNIVERSAL else random_model)
    recording.run()
    report, _, _ = recording.run("update", **{flat: VALUES[flat]})
    assert SAID[flat] in report.redone
    back, _, _ = recording.run("update")
    assert back.status == "done" and back.redone


def test_every_choice_is_compared():
    """By its effect, as it was made, or not at all because it changes no value; these lists name no other."""
    known = {flat for choices in choices_by_group().values() for flat in choices}
    assert set(VALUES) | {"model"} == known
    assert set(COMPARED_BY_EFFECT) | set(WITHOUT_EFFECT_ON_VALUES) <= known


def test_values_that_are_no_numbers(tmp_path, random_model):
    make_plane(tmp_path / "plane0")
    options = {"model": str(random_model.folder), "existing": "update"}
    (container,) = find_containers(tmp_path)
    assert run_one(container, **options).status == "done"
    levels = run_one(container, **options, noise_level=[1.0, 2.0, 1.0, 2.0, 1.0, 2.0])
    assert levels.redone == ["made with noise level not given, now one for each ROI"]
    others = run_one(container, **options, noise_level=[1.0, 2.0, 1.0, 2.0, 1.0, 3.0])
    assert others.redone == ["made with other values of noise level"]
    assert run_one(container, **options).status == "done"
    assert run_one(container, **options, threshold=False).redone == ["made with threshold 0, now off"]
    named = tmp_path / "bad.txt"
    named.write_text("10-19")
    assert run_one(container, **options, exclude_frames=str(named)).status == "done"
    assert run_one(container, **options, exclude_frames="10-19").status == "skipped"
    named.write_text("10-20")
    assert run_one(container, **options, exclude_frames=str(named)).redone == [
        "1 frames were left out and are not now, or the other way round"
    ]


def test_what_has_changed_since(tmp_path, random_model):
    plane = make_plane(tmp_path / "plane0")
    options = {"model": str(random_model.folder), "existing": "update"}
    container = Suite2pPlane(plane.folder)
    run_one(container, **options, only_cells=True)
    np.save(plane.folder / "iscell.npy", np.array([[1, 1], [0, 0], [0, 0], [0, 0], [1, 1], [1, 1]], dtype=float))
    (cells,) = run_one(container, **options, only_cells=True).redone
    assert cells.endswith("of 6 ROIs have become cells, or are none any more")
    assert run_one(container, **options, only_cells=True).status == "skipped"
    np.save(plane.folder / "F.npy", plane.fluorescence + 1.0)
    assert run_one(container, **options, only_cells=True).redone == ["the traces have changed since"]
    np.save(plane.folder / "F.npy", plane.fluorescence[:, :-1])
    np.save(plane.folder / "Fneu.npy", plane.neuropil[:, :-1])
    assert run_one(container, **options, only_cells=True).redone == ["the traces have changed since"]
    change_settings(plane.folder, fs=25.0)
    assert run_one(container, **options, only_cells=True).redone == ["made with frame rate 30 Hz, now 25 Hz"]


def test_another_model_and_another_version(tmp_path, random_model, random_config, random_networks):
    plane = make_plane(tmp_path / "plane0")
    container = Suite2pPlane(plane.folder)
    run_one(container, model=str(random_model.folder))
    copy = shutil.copytree(random_model.folder, tmp_path / "copy")
    assert run_one(container, model=str(copy), existing="update").status == "skipped"  # the same networks
    config = replace(random_config, model_name="other")
    facts = {"summary": "other weights", "origin": "test"}
    turned = {level: random_networks[level][::-1] for level in random_networks}
    other = write_windowed_model(tmp_path / "turned" / "other", config, turned, facts)
    assert run_one(container, model=str(other.folder), existing="update").redone == [
        "made with the model random, now other"
    ]
    record = json.loads((plane.folder / "cascade.json").read_text())
    record["software"]["cascade-spikes"] = "0.1.9"
    (plane.folder / "cascade.json").write_text(json.dumps(record))
    (reason,) = run_one(container, model=str(other.folder), existing="update").redone
    assert reason.startswith("made by cascade-spikes 0.1.9, now ")


@pytest.mark.parametrize("damage", ["missing", "cut short", "of another recording"])
def test_damaged_results_are_made_again(damage, tmp_path, random_model):
    plane = make_plane(tmp_path / "plane0")
    container, options = Suite2pPlane(plane.folder), {"model": str(random_model.folder)}
    run_one(container, **options)
    before, path = hashes(plane.folder), plane.folder / "cascade_dff.npy"
    if damage == "missing":
        path.unlink()
    elif damage == "cut short":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        np.save(path, np.zeros((3, 4), np.float32))
    (reason,) = run_one(container, **options, existing="update").redone
    assert reason.startswith("the results are damaged: ")
    after = hashes(plane.folder)
    assert {name: after[name] for name in before if name != "cascade.json"} == {
        name: value for name, value in before.items() if name != "cascade.json"
    }


def test_replaced_spikes(tmp_path, random_model):
    plane = make_plane(tmp_path / "plane0")
    original = (plane.folder / "spks.npy").read_bytes()
    container = Suite2pPlane(plane.folder)
    options = {"model": str(random_model.folder), "existing": "update"}
    run_one(container, **options, replace_spikes=True)
    rates = (plane.folder / "spks.npy").read_bytes()
    assert run_one(container, **options, replace_spikes=True).status == "skipped"
    assert (plane.folder / "spks.npy").read_bytes() == rates
    # suite2p has run again
    np.save(plane.folder / "spks.npy", np.ones_like(plane.fluorescence, dtype=np.float32))
    assert run_one(container, **options, replace_spikes=True).redone == [
        "the container's deconvolved traces are the container's own, and should be ours"
    ]
    assert (plane.folder / "spks.npy").read_bytes() == rates
    assert run_one(container, **options).redone == [
        "the container's deconvolved traces are ours, and should be the container's own"
    ]
    assert (np.load(plane.folder / "spks.npy") == 1).all() and rates != original


def test_discrete_spikes_are_not_lost_in_silence(tmp_path, random_model):
    plane = make_plane(tmp_path / "plane0")
    options = {"model": str(random_model.folder), "existing": "update"}
    container = Suite2pPlane(plane.folder)
    run_one(container, **options)
    main(["spikes", str(plane.folder)])
    assert run_one(container, **options).status == "skipped" and container.results().spikes is not None
    report = run_one(container, **options, noise_level=2.0)
    assert any("discrete spikes are of the earlier results" in text for text in report.warnings)
    assert container.results().spikes is None


@pytest.mark.parametrize("target", ["a.npz", "folder", "a.nwb"])
def test_results_that_came_with_a_conversion_are_up_to_date(target, tmp_path, random_model):
    plane = make_plane(tmp_path / "plane0")
    change_settings(plane.folder, badframes=np.arange(900) // 5 == 10, frames_per_folder=[400, 500])
    options = {"model": str(random_model.folder), "only_cells": True, "exclude_frames": "200-203"}
    run_one(Suite2pPlane(plane.folder), **options)
    start = ("session_start_time=2024-05-17T12:30:00+02:00",)
    convert(plane.folder, tmp_path / target, metadata=read_metadata(None, start) if target == "a.nwb" else None)
    (found,) = find_containers(tmp_path / target)
    assert run_one(found, **options, existing="update").status == "skipped"
    if target == "a.nwb":  # the results lie in the file itself
        (found,) = find_containers(tmp_path / target, Selection(in_place=True))
    again = run_one(found, **options, existing="update", threshold=1)
    assert again.redone == ["made with threshold 0, now 1"]


def test_batches(tmp_path, random_model, capsys):
    planes = [make_plane(tmp_path / f"mouse{k}" / "plane0") for k in range(3)]
    command = ["run", str(tmp_path), "--model", str(random_model.folder), "--existing", "update", "--quiet"]
    main(command)
    assert capsys.readouterr().out.endswith("3 done\n")
    main(command)
    out = capsys.readouterr().out
    assert out.count("skipped: ") == out.count("results are up to date") == 3 and out.endswith("3 skipped\n")
    change_settings(planes[1].folder, fs=20.0)
    main([*command, "--dry-run"])
    assert "mouse1/plane0: planned\n  run again: made with frame rate 30 Hz, now 20 Hz" in capsys.readouterr().out
    main([*command, "--json"])
    reports = json.loads(capsys.readouterr().out)
    assert [report["status"] for report in reports] == ["skipped", "done", "skipped"]
    assert [report["redone"] for report in reports] == [[], ["made with frame rate 30 Hz, now 20 Hz"], []]


def test_from_python_and_the_hooks(tmp_path, random_model):
    plane = make_plane(tmp_path / "plane0")
    options = {"model": str(random_model.folder), "existing": "update"}
    for expected in ("done", "skipped"):
        (done,) = cascade_adapters.run(plane.folder, **options)
        assert done.report.status == expected and done.results.shape == plane.fluorescence.shape
    (report,) = run_on_folder(plane.folder, **options)
    assert report.status == "skipped"
    (report,) = run_on_folder(plane.folder, **options, threshold=1)
    assert report.redone == ["made with threshold 0, now 1"]
    cnm = caiman_files.make_cnmf(4, 320)
    assert [run_on_estimates(cnm, **options).status for _ in range(2)] == ["done", "skipped"]
    cnm.estimates.C = cnm.estimates.C * 1.5
    assert run_on_estimates(cnm, **options).redone == ["the traces have changed since"]
