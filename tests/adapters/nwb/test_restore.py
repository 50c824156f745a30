"""NWB files: earlier results, taking back, and Zarr stores."""

import os
import shutil

import h5py
import numpy as np
import pynwb
import pytest

from cascade_adapters.containers.base import Selection
from cascade_adapters.containers.nwb import NwbRecording
from cascade_adapters.running.batch import process_all
from cascade_adapters.running.options import parse_options
from cascade_engine.errors import InputError
from tests.adapters.nwb.helpers import (
    IN_PLACE,
    NOISE,
    assert_same,
    contents,
    copy,
    made_up,
    output,
    state,
    write,
)
from tests.adapters.nwb.test_reading import OPHYS, SERIES
from tests.builders.nwb_files import RATE, raw_traces

LEFT_THE_REST = (
    "removed our results from a_cascade.nwb, and left the rest: it is not what a.nwb holds, so that one of them was "
    "changed since"
)

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
    assert done == LEFT_THE_REST
    expected = contents(path)
    expected["/acquisition"] = before["/acquisition"]
    assert contents(output(path)) == expected


def test_the_only_copy_of_what_the_file_was_is_not_removed(path):
    write(path)
    before = contents(path)
    with h5py.File(path, "r+") as file:
        del file[f"{SERIES}/data"]
    (done,) = NwbRecording(path).restore()
    assert done == LEFT_THE_REST
    assert contents(output(path)) == before


def test_when_both_files_were_changed_nothing_is_overwritten(path):
    write(path)
    for file in (path, output(path)):
        with h5py.File(file, "r+") as opened:
            opened["acquisition"].attrs["mine"] = file.name
    before = state(path.parent)
    with pytest.raises(InputError, match=r"holds other things than a.nwb besides our results: .*; move"):
        write(path)
    assert state(path.parent) == before


@pytest.mark.parametrize(
    ("fixture", "name", "then"),
    [
        ("path", None, "restore"),
        ("store", "mouse1", "restore"),
        ("store", None, "write"),
        ("planes", "mouse1", "write"),
        ("planes", None, "write one"),
    ],
)
def test_files_that_were_copied_have_other_times_and_are_the_same(request, tmp_path, fixture, name, then):
    path = request.getfixturevalue(fixture)
    first = write(path)
    (tmp_path / "elsewhere").mkdir()
    source = (
        tmp_path / "elsewhere" / (path.name if name is None else path.name.replace(path.stem.split(".")[0], name, 1))
    )
    for old, new in ((path, source), (output(path), output(source))):
        if old.is_dir():
            shutil.copytree(old, new, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(old, new)
    before, here = state(source), NwbRecording.find(source.parent)
    assert [container.path for container in here] == [source] * len(first)
    for container, results in zip(here, first, strict=True):
        assert_same(container.results(), results)
    if then != "restore":
        again = [made_up(container, 1) for container in here]
        written = list(zip(here, again, strict=True))[: 1 if then == "write one" else None]
        for container, results in written:
            container.write(results)
        for container, results in zip(here, [again[0], *first[1:]] if then == "write one" else again, strict=True):
            assert_same(container.results(), results)
    assert here[0].restore() == [f"removed {output(source).name}"]
    assert state(source) == before and sorted(source.parent.iterdir()) == [source]


@pytest.mark.parametrize(
    ("changed", "edit"), [("source", "attribute"), ("output", "value"), ("source", "addition"), ("output", "link")]
)
def test_what_was_changed_after_copying_is_not_lost(path, changed, edit):
    write(path)
    for file in (path, output(path)):
        os.utime(file)
    with h5py.File(path if changed == "source" else output(path), "r+") as file:
        if edit == "attribute":
            file["acquisition"].attrs["mine"] = "yes"
        elif edit == "value":
            file[f"{SERIES}/data"][3, 2] += 1
        elif edit == "addition":
            file["general/notes"] = "mine"
        else:
            file["acquisition/mine"] = h5py.ExternalLink("other.nwb", "/acquisition")
    before = state(path.parent)
    with pytest.raises(InputError, match=r"holds other things than a.nwb besides our results"):
        write(path, seed=1)
    assert state(path.parent) == before
    rest = contents(output(path))
    assert NwbRecording(path).restore() == [LEFT_THE_REST]
    kept = contents(output(path))
    assert kept and all(rest[place] == value for place, value in kept.items() if not place.endswith("processing/ophys"))


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


def test_in_place_nothing_is_taken_back_if_not_all_can_be(planes):
    for seed in range(2):
        write(planes, IN_PLACE, seed)
    journal = planes.with_name(".planes.nwb.cascade-undo1")
    journal.write_bytes(journal.read_bytes()[:-1])
    before = state(planes.parent)
    with pytest.raises(InputError, match=r"cascade-undo1 is damaged"):
        NwbRecording(planes).restore()
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
        np.testing.assert_allclose(spikes.data[:].T, RATE * results.spike_prob, rtol=1e-6)
        assert (spikes.unit, spikes.conversion, spikes.rate) == ("Hz", 1.0, RATE)
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
    assert NwbRecording(store).restore()[0].endswith("so that one of them was changed since")
    after = state(store.parent)
    ours = {key.split("/", 1)[1] for key in after if key.startswith("a_cascade.nwb.zarr/")}
    assert ours == {key.split("/", 1)[1] for key in after if key.startswith("a.nwb.zarr/")} | {"note.txt"}
    assert after["a_cascade.nwb.zarr/.zmetadata"][0] == after["a.nwb.zarr/.zmetadata"][0]
    np.testing.assert_array_equal(NwbRecording(output(store)).read().fluorescence, raw_traces())
