"""CaImAn's files: results in them, S replaced, and everything taken back."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from cascade_adapters.containers.base import Reading
from cascade_adapters.containers.caiman.file import CaimanFile
from cascade_adapters.containers.caiman.memory import CaimanObject
from cascade_adapters.hooks.caiman import run_on_estimates
from cascade_adapters.results import Record
from cascade_engine import infer
from cascade_engine.errors import InputError
from cascade_engine.file_formats.atomic import sha256
from cascade_engine.signal.dff import delta_f_over_f
from tests.adapters.caiman.helpers import ARRAYS, GIVEN, change, stored
from tests.builders.caiman_files import (
    VERSIONS,
    content,
    load,
    make_file,
    save,
    select_components,
)
from tests.builders.running import dff_of, inspect_one, made_up_record, made_up_results

# ---------------------------------------------------------------------------------------------------------- results


@pytest.mark.parametrize("version", ["1.8.5", "1.12.1"])
@pytest.mark.parametrize("dff", ["container", "compute"])
def test_names_shapes_types_and_order_of_the_results(tmp_path, run, random_model, version, dff):
    path = make_file(tmp_path / "r.hdf5", version)
    before = content(path)
    report = run(path, dff=dff)
    assert report.written == [f"estimates/cascade/{name}" for name in (*ARRAYS, "provenance")]
    after = content(path)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"estimates/cascade"} | {
        f"estimates/cascade/{name}" for name in (*ARRAYS, "provenance")
    }
    found = stored(path)
    assert all(found[name].dtype == np.float32 for name in ARRAYS)
    assert not any(np.isnan(found[name]).any() for name in ARRAYS)
    assert np.isneginf(found["spike_prob"][:, :31]).all() and np.isfinite(found["spike_prob"][:, 32:-32]).all()

    traces = CaimanFile(path).read(Reading(dff=dff))
    expected = dff_of(traces).dff
    if dff == "compute":
        by_hand = delta_f_over_f(traces.fluorescence, 20.0, background=traces.background).dff
        np.testing.assert_array_equal(expected, by_hand)
    inference = infer(expected, 20.0, random_model)
    results = CaimanFile(path).results()
    np.testing.assert_array_equal(results.dff, expected)
    np.testing.assert_allclose(results.spike_prob, inference.spike_prob, atol=1e-6)
    np.testing.assert_allclose(results.noise_levels, inference.noise_levels, rtol=1e-6)


def test_the_record(path, run, random_model):
    report = run(path)
    record = CaimanFile(path).record()
    assert record == Record.parse(stored(path)["provenance"].tobytes(), "")
    assert record.model.fingerprint == random_model.fingerprint
    assert (record.traces.source, record.traces.dff) == ("F_dff", "container")
    assert record.recording.n_rois == 6 and record.recording.frame_rate_source == "params/data/fr"
    assert set(record.input) == {"C", "YrA", "A", "b", "f", "F_dff"}
    assert record.warnings == report.warnings
    with h5py.File(path, "r") as file:
        texts = dict(file["estimates/cascade"].attrs)
    assert texts["model"] == "random" and texts["created"] == record.created and "-inf" in texts["description"]
    assert all(isinstance(text, str) for text in texts.values())


def test_a_record_larger_than_an_attribute_may_be(path):
    results = made_up_results(np.zeros((6, 700)), record=made_up_record(6, 700, long="ü" * 100_000))
    CaimanFile(path).write(results)
    assert CaimanFile(path).record() == results.record


def test_components_are_all_predicted_unless_only_cells_are_wanted(path, run):
    assert run(path).without_prediction == {}
    run(path, only_cells=True, existing="overwrite")
    missing = np.isnan(CaimanFile(path).results().spike_prob).all(axis=1)
    assert missing.tolist() == [False, True] * 3
    assert np.isneginf(stored(path)["noise_levels"]).tolist() == [False, True] * 3


def test_existing_results_are_heeded(path, run):
    run(path)
    before = sha256(path)
    with pytest.raises(InputError, match=r"has results already: pass existing=\"update\""):
        run(path)
    assert run(path, existing="skip").status == "skipped"
    assert sha256(path) == before


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("replace_spikes", [False, True])
def test_results_survive_loading_and_saving_by_caiman(tmp_path, cnmf, run, version, replace_spikes):
    path = save(cnmf, tmp_path / "r.hdf5", version)
    original = content(path)
    run(path, replace_spikes=replace_spikes, only_cells=True)  # some values are missing
    expected = CaimanFile(path).results()
    again = save(load(path, version), tmp_path / "again.hdf5", version)
    container = CaimanFile(again)
    found = container.results()
    np.testing.assert_array_equal(found.spike_prob, expected.spike_prob)
    np.testing.assert_array_equal(found.dff, expected.dff)
    np.testing.assert_array_equal(found.noise_levels, expected.noise_levels)
    assert found.record == expected.record and not container.is_stale()
    *done, rest = container.restore()
    assert done == ["put back estimates/S"] * replace_spikes + ["removed estimates/cascade"]
    assert rest.endswith("there is no .again.hdf5.cascade-undo1 beside it")
    assert content(again) == content(save(load(save(cnmf, path, version), version), tmp_path / "c.hdf5", version))
    assert content(path) == original


def test_missing_values_as_nan_would_not_survive(tmp_path, cnmf):
    """Which is why they are not."""
    cnmf.estimates.cascade = {"spike_prob": np.full((6, 700), np.nan)}
    with pytest.raises(ValueError, match="Error while saving spike_prob"):
        save(cnmf, tmp_path / "r.hdf5", "1.11")


def test_selecting_components_does_not_go_unnoticed(tmp_path, path, run):
    run(path)
    cnmf = load(path)
    select_components(cnmf, [0, 2, 5])
    container = CaimanFile(save(cnmf, tmp_path / "selected.hdf5"))
    assert container.is_stale() and len(stored(container.path)["spike_prob"]) == 6
    (remark,) = container.read(GIVEN).remarks
    assert "results of 6 x 700" in remark and "there are now 3 x 700" in remark and "--existing overwrite" in remark
    with pytest.raises(InputError, match="there are now 3 x 700"):
        container.results()
    assert "stale" in inspect_one(container).earlier_results
    with pytest.raises(InputError, match="stale"):
        run(container.path)
    run(container.path, existing="overwrite")
    assert not container.is_stale() and container.results().spike_prob.shape == (3, 700)
    assert container.read(GIVEN).remarks == []


def test_components_in_another_order_do_not_go_unnoticed(tmp_path, path, run):
    run(path)
    cnmf = load(path)
    select_components(cnmf, [5, 4, 3, 2, 1, 0])
    container = CaimanFile(save(cnmf, tmp_path / "selected.hdf5"))
    assert container.is_stale()


def test_results_are_stale_once_the_dff_that_they_were_made_from_is_another(path, run, cnmf):
    run(path)
    container = CaimanFile(path)
    assert container.record().traces.source == "F_dff" and not container.is_stale()
    change(path, F_dff=cnmf.estimates.F_dff + np.float32(0.01))
    assert container.changes() == ["the traces have changed since"]
    assert container.remembered() is None
    with pytest.raises(InputError, match="stale"):
        run(path)


@pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")
def test_an_object_is_stale_too_once_its_dff_is_another(cnmf, random_model):
    run_on_estimates(cnmf, model=str(random_model.folder))
    assert not CaimanObject(cnmf).is_stale()
    cnmf.estimates.F_dff = cnmf.estimates.F_dff + np.float32(0.01)
    assert CaimanObject(cnmf).is_stale()


def test_detrending_again_makes_no_results_stale(path, run, cnmf):
    change(path, F_dff=None)
    run(path)
    change(path, F_dff=cnmf.estimates.F_dff)
    assert not CaimanFile(path).is_stale()


@pytest.mark.parametrize(
    "theirs", [np.ones(3), {"spike_prob": np.ones((6, 700))}, {"data": np.ones(3), "S_caiman": 1.0}]
)
def test_a_field_of_the_same_name_is_left_alone(tmp_path, cnmf, run, theirs):
    cnmf.estimates.cascade = theirs
    path = save(cnmf, tmp_path / "r.hdf5")
    before = sha256(path)
    with pytest.raises(InputError, match=r"r.hdf5: estimates/cascade is there already, but not from cascade"):
        run(path)
    assert CaimanFile(path).record() is None and CaimanFile(path).restore() == []
    assert sha256(path) == before
    with pytest.raises(InputError, match=r"estimates.cascade is there already, but not from cascade"):
        run_on_estimates(cnmf)
    assert cnmf.estimates.cascade is theirs


@pytest.mark.parametrize("damage", [b"{", b"[1]", b"\xff", b""])
def test_a_damaged_record_is_an_error_that_says_what_to_do(path, run, damage):
    run(path)
    with h5py.File(path, "r+") as file:
        del file["estimates/cascade/provenance"]
        file["estimates/cascade/provenance"] = np.frombuffer(damage, np.uint8)
    container = CaimanFile(path)
    for action in (container.record, container.results, container.restore):
        with pytest.raises(InputError, match=r"estimates/cascade: the record .* is damaged .*: remove"):
            action()


def test_incomplete_results_are_an_error_that_says_what_to_do(path, run):
    run(path)
    with h5py.File(path, "r+") as file:
        del file["estimates/cascade/dff"]
    with pytest.raises(InputError, match="is not complete: dff is missing; run again"):
        CaimanFile(path).results()


def test_results_of_another_shape_are_refused(path):
    before = sha256(path)
    with pytest.raises(InputError, match=r"has 6 x 700 components x frames, but the results are 5 x 700"):
        CaimanFile(path).write(made_up_results(np.zeros((5, 700))))
    assert sha256(path) == before


# ---------------------------------------------------------------------------------------------------------- S replaced


def test_replacing_s_keeps_caimans_own_as_it_is(path, cnmf, run):
    with h5py.File(path, "r+") as file:
        del file["estimates/S"]
        theirs = file["estimates"].create_dataset(
            "S", data=cnmf.estimates.S.astype("f4"), chunks=(2, 100), compression="gzip", shuffle=True
        )
        theirs.attrs["note"] = "by hand"
    untouched, before = content(path), sha256(path)
    report = run(path, replace_spikes=True, only_cells=True)
    assert report.written[-2:] == ["estimates/S", "estimates/cascade/S_caiman"]
    results = CaimanFile(path).results()
    with h5py.File(path, "r") as file:
        np.testing.assert_allclose(file["estimates/S"][()], 20.0 * np.nan_to_num(results.spike_prob), rtol=1e-6)
    assert content(path)["estimates/cascade/S_caiman"] == untouched["estimates/S"]

    run(path, replace_spikes=True, existing="overwrite")
    assert content(path)["estimates/cascade/S_caiman"] == untouched["estimates/S"]
    run(path, existing="overwrite")
    assert content(path)["estimates/S"] == untouched["estimates/S"]
    assert "S_caiman" not in stored(path)
    run(path, replace_spikes=True, existing="overwrite")
    assert CaimanFile(path).restore() == ["put back estimates/S", "removed estimates/cascade"]
    assert sha256(path) == before


@pytest.mark.parametrize("value", [None, ..., np.zeros((6, 699)), np.zeros(4)])
def test_there_must_be_an_s_to_replace(path, run, value):
    change(path, S=value)
    before = sha256(path)
    with pytest.raises(InputError, match="has no estimates/S to replace"):
        run(path, replace_spikes=True)
    assert sha256(path) == before
    run(path)


def test_an_s_that_was_changed_since_is_left_alone(path, cnmf, run):
    run(path, replace_spikes=True)
    change(path, S=np.full((6, 700), 7.0))
    with pytest.raises(InputError, match="a new backup would destroy the old one"):
        run(path, replace_spikes=True, existing="overwrite")
    left, removed, rest = CaimanFile(path).restore()
    assert left.startswith("left estimates/S, which was changed since")
    assert removed == "removed all else from estimates/cascade" and rest.endswith("it was changed since")
    assert set(stored(path)) == {"S_caiman"}
    np.testing.assert_array_equal(stored(path)["S_caiman"], cnmf.estimates.S)
    with h5py.File(path, "r") as file:
        assert (file["estimates/S"][()] == 7.0).all()
    assert CaimanFile(path).restore() == []
    with pytest.raises(InputError, match="a new backup would destroy the old one"):
        run(path, replace_spikes=True)
    run(path)
    CaimanFile(path).restore()
    assert set(stored(path)) == {"S_caiman"}


# ---------------------------------------------------------------------------------------------------------- restore


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("replace_spikes", [False, True])
def test_restore_gives_the_same_bytes(tmp_path, run, version, replace_spikes):
    path = make_file(tmp_path / "r.hdf5", version)
    before = path.read_bytes()
    sizes = []
    for _ in range(3):
        run(path, replace_spikes=replace_spikes, existing="overwrite")
        sizes.append(path.stat().st_size)
    assert max(sizes) - min(sizes) < 100  # overwriting does not make it grow
    done = CaimanFile(path).restore()
    assert done == ["put back estimates/S"] * replace_spikes + ["removed estimates/cascade"]
    assert path.read_bytes() == before
    assert CaimanFile(path).restore() == []
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("userblock", [0, 512])
def test_restore_gives_the_same_bytes_whatever_the_layout(tmp_path, cnmf, run, libver, userblock):
    path = save(cnmf, tmp_path / "r.hdf5")
    with (
        h5py.File(path, "r") as source,
        h5py.File(
            tmp_path / "other.hdf5", "w", libver=libver, userblock_size=userblock, track_order=libver == "latest"
        ) as target,
    ):
        for name in source:
            source.copy(name, target)
    path = tmp_path / "other.hdf5"
    before = path.read_bytes()
    run(path, replace_spikes=True)
    CaimanFile(path).restore()
    assert path.read_bytes() == before


@pytest.mark.parametrize("replace_spikes", [False, True])
def test_restore_after_another_program_has_written_keeps_what_it_wrote(path, run, replace_spikes):
    before = content(path)
    run(path, replace_spikes=replace_spikes)
    with h5py.File(path, "r+") as file:
        file["estimates/notes"] = np.arange(5)
        file["estimates/C"].attrs["seen"] = 1.0
        file["estimates/b"][0, 0] = 7.0
    expected = dict(before) | {name: content(path)[name] for name in ("estimates/notes", "estimates/C", "estimates/b")}
    *done, rest = CaimanFile(path).restore()
    assert done == ["put back estimates/S"] * replace_spikes + ["removed estimates/cascade"]
    assert rest == "the rest is as it was, if not to the last byte: it was changed since"
    assert content(path) == expected
    run(path, existing="overwrite")
    CaimanFile(path).restore()
    assert content(path) == expected


@pytest.mark.parametrize("replace_spikes", [False, True])
def test_a_file_that_was_moved_without_its_journal(tmp_path, path, run, replace_spikes):
    before = content(path)
    run(path, replace_spikes=replace_spikes)
    moved = path.rename(tmp_path / "moved.hdf5")
    run(moved, replace_spikes=replace_spikes, existing="overwrite")
    *done, rest = CaimanFile(moved).restore()
    assert done == ["put back estimates/S"] * replace_spikes + ["removed estimates/cascade"]
    assert rest == ("the rest is as it was, if not to the last byte: there is no .moved.hdf5.cascade-undo1 beside it")
    assert content(moved) == before


def test_a_file_that_was_moved_with_its_journal(tmp_path, path, run):
    before = path.read_bytes()
    run(path)
    (tmp_path / "moved").mkdir()
    for name in (path.name, f".{path.name}.cascade-undo1"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    assert CaimanFile(tmp_path / "moved" / path.name).restore() == ["removed estimates/cascade"]
    assert (tmp_path / "moved" / path.name).read_bytes() == before


def test_values_that_another_program_has_changed_stay_changed(path, run):
    """Where it wrote no further bytes, all others are what they were."""

    def change(file: Path) -> None:
        with h5py.File(file, "r+") as root:
            root["estimates/b"][0, 0] = 7.0

    changed = Path(shutil.copy(path, path.with_name("changed")))
    change(changed)
    run(path)
    change(path)
    assert CaimanFile(path).restore() == ["removed estimates/cascade"]
    assert path.read_bytes() == changed.read_bytes()
