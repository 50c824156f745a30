"""Whose rates are in the place of a pipeline's deconvolved traces: said by `inspect`, and what `restore` does then."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

from cascade_adapters.cli import main
from cascade_adapters.containers.caiman.file import CaimanFile
from cascade_adapters.containers.caiman.memory import CaimanObject
from cascade_adapters.containers.deconvolved import row_marks, rows_of_ours, with_own
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.hooks.caiman import run_on_estimates, run_on_file
from cascade_adapters.hooks.suite2p import run_on_folder
from cascade_engine.errors import CascadeWarning
from tests.builders.caiman_files import make_cnmf, make_file
from tests.builders.suite2p_folders import hashes, make_plane

AGAIN = "'cascade run --existing overwrite --replace-spks' puts rates into all rows"
BACK = "'cascade restore' puts suite2p's own back"


# ------------------------------------------------------------------------------------------------------ rows and marks


def some_rates() -> np.ndarray:
    rates = np.random.default_rng(0).gamma(0.3, 5.0, (6, 400)).astype(np.float32)
    rates[2] = rates[4] = 0  # without a prediction
    return rates


def test_rows_are_known_again_when_scaled():
    """As suite2p's GUI does it when it draws: each row to the height of F; rows of zeros become NaN."""
    rates = some_rates()
    marks = row_marks(rates)
    scaled = rates.copy()
    with np.errstate(invalid="ignore"):
        for row in scaled:
            row /= row.max()
            row *= np.float32(282.6)
    assert np.isnan(scaled[2]).all()
    assert rows_of_ours(scaled, marks).tolist() == [0, 1, 2, 3, 4, 5]
    assert len(marks) == 6 * 8


@pytest.mark.parametrize(
    "change, expected",
    [
        (lambda rates, other: np.concatenate([rates, other]), [0, 1, 2, 3, 4, 5, -1, -1]),  # merged
        (lambda rates, other: np.concatenate([other, rates]), [-1, -1, 0, 1, 2, 3, 4, 5]),  # drawn
        (lambda rates, other: rates[[0, 3, 5]], [0, 3, 5]),  # selected
        (lambda rates, other: np.concatenate([rates[:3], other, rates[4:]]), [0, 1, 2, -1, -1, 4, 5]),
        (lambda rates, other: other, [-1, -1]),  # another run of the pipeline
        (lambda rates, other: np.zeros((6, 400), np.float32), [-1] * 6),
    ],
)
def test_rows_among_others(change, expected):
    other = np.random.default_rng(1).exponential(9.0, (2, 400)).astype(np.float32)
    assert rows_of_ours(change(some_rates(), other), row_marks(some_rates())).tolist() == expected


def test_the_pipelines_own_again():
    rates, own = some_rates(), np.arange(6 * 400, dtype=np.float32).reshape(6, 400)
    later = np.concatenate([rates, np.full((1, 400), 9, np.float32)])
    found = with_own(later, own, rows_of_ours(later, row_marks(rates)))
    assert found.dtype == np.float32
    assert np.array_equal(found[:], np.concatenate([own, np.full((1, 400), 9, np.float32)]))


# -------------------------------------------------------------------------------------------------------------- suite2p


@pytest.fixture
def plane(tmp_path):
    return make_plane(tmp_path / "plane0").folder


@pytest.fixture
def run(random_model):
    """Return a function that runs the hook with the random model."""

    def run(hook, where, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CascadeWarning)
            return hook(where, **{"model": str(random_model.folder), **options})

    return run


@pytest.fixture
def inspected(capsys, random_model):
    """Return a function that gives what ``inspect`` says: the entry of the JSON, which the text ends with, too."""

    def inspect(path: Path) -> dict | None:
        arguments = ["inspect", str(path), "--model", str(random_model.folder)]
        capsys.readouterr()  # what the hook has said
        main([*arguments, "--json"])
        (report,) = json.loads(capsys.readouterr().out)
        main(arguments)
        lines = capsys.readouterr().out.splitlines()
        found = report["deconvolved"]
        names = ("  spks.npy", "  estimates/S")
        assert [line for line in lines if line.startswith(names)] == ([f"  {found['text']}"] if found else [])
        return found

    return inspect


def merge_last(folder: Path, scale: bool = False) -> None:
    """What merging in suite2p's GUI does: one more ROI, with spikes of suite2p's; rows that were drawn are scaled."""
    for name in ("F", "Fneu", "spks", "iscell"):
        values = np.load(folder / f"{name}.npy")
        if name == "spks" and scale:
            values[:2] *= np.float32(9.745)
        further = values[-1:] + values[:1] if name != "spks" else np.full((1, values.shape[1]), 3.0, np.float32)
        np.save(folder / f"{name}.npy", np.concatenate([values, further]))


def test_suite2ps_own(plane, run, inspected):
    assert inspected(plane) is None
    run(run_on_folder, plane)
    text = "spks.npy is suite2p's own; the results of cascade are beside it"
    assert inspected(plane) == {"name": "spks.npy", "holds": "pipeline", "text": text, "others": []}


def test_rates_of_ours(plane, run, inspected):
    run(run_on_folder, plane, replace_spikes=True)
    text = "spks.npy holds the rates of cascade; suite2p's own are in spks_suite2p.npy"
    assert inspected(plane) == {"name": "spks.npy", "holds": "cascade", "text": text, "others": []}
    (plane / "spks_suite2p.npy").unlink()
    assert inspected(plane)["text"] == "spks.npy holds the rates of cascade; suite2p's own are not kept any more"


@pytest.mark.parametrize("scale", [False, True])
def test_merged_since(plane, run, inspected, scale):
    own = np.load(plane / "spks.npy")
    run(run_on_folder, plane, replace_spikes=True)
    merge_last(plane, scale)
    merged = np.load(plane / "spks.npy")
    assert inspected(plane) == {
        "name": "spks.npy",
        "holds": "both",
        "text": "spks.npy holds the rates of cascade in 6 of 7 rows, but not in those of ROI 6 (merged or drawn "
        f"since?); suite2p's own are in spks_suite2p.npy: {AGAIN}, {BACK}",
        "others": [6],
    }
    expected = np.concatenate([own, merged[6:]])

    done = Suite2pPlane(plane).restore()
    assert done[0] == "put back spks.npy in 6 of 7 rows; the others stay as they are"
    assert np.array_equal(np.load(plane / "spks.npy"), expected) and not (plane / "spks_suite2p.npy").exists()
    assert not list(plane.glob("cascade*"))


def test_merged_since_and_run_again(plane, run, inspected):
    """With --replace-spks all rows are ours, without it suite2p's own are back; its own are never lost."""
    own = np.load(plane / "spks.npy")
    run(run_on_folder, plane, replace_spikes=True)
    merge_last(plane, scale=True)
    expected = np.concatenate([own, np.load(plane / "spks.npy")[6:]])
    (report,) = run(run_on_folder, plane, replace_spikes=True)
    assert {"spks.npy", "spks_suite2p.npy"} <= set(report.written)
    assert np.array_equal(np.load(plane / "spks_suite2p.npy"), expected)
    rates = 30 * np.nan_to_num(np.load(plane / "cascade_spike_prob.npy"))
    assert np.allclose(np.load(plane / "spks.npy"), rates, rtol=1e-6)
    assert inspected(plane)["holds"] == "cascade"

    (report,) = run(run_on_folder, plane)
    assert "spks.npy" in report.written and not (plane / "spks_suite2p.npy").exists()
    assert np.array_equal(np.load(plane / "spks.npy"), expected)
    assert inspected(plane)["holds"] == "pipeline"


def test_scaled_since(plane, run, inspected):
    before = hashes(plane)["spks.npy"]
    run(run_on_folder, plane, replace_spikes=True)
    np.save(plane / "spks.npy", np.load(plane / "spks.npy") * np.float32(3.7))
    found = inspected(plane)
    assert found["holds"] == "cascade"
    assert found["text"] == (
        "spks.npy holds the rates of cascade in all rows, but not as they were written (a viewer scales them, or ROIs "
        f"were taken out); suite2p's own are in spks_suite2p.npy: {AGAIN}, {BACK}"
    )
    assert Suite2pPlane(plane).restore()[0] == "put back spks.npy"
    assert hashes(plane)["spks.npy"] == before


def test_another_run_of_suite2p_since(plane, run, inspected):
    run(run_on_folder, plane, replace_spikes=True)
    later = np.full((6, 900), 5.0, np.float32)
    np.save(plane / "spks.npy", later)
    found = inspected(plane)
    assert found["holds"] == "unknown"
    assert found["text"] == (
        "spks.npy does not hold the rates of cascade any more: something else was written there since; suite2p's own "
        "from before are in spks_suite2p.npy"
    )
    assert "left spks.npy, which was changed since, and the backup spks_suite2p.npy" in Suite2pPlane(plane).restore()
    assert np.array_equal(np.load(plane / "spks.npy"), later)
    text = "spks.npy may hold rates of cascade: there is spks_suite2p.npy, but no record of the run that made it"
    assert inspected(plane) == {"name": "spks.npy", "holds": "unknown", "text": text, "others": []}


def test_no_rows_known_from_earlier_versions(plane, run, inspected):
    run(run_on_folder, plane, replace_spikes=True)
    record = json.loads((plane / "cascade.json").read_text())
    assert len(record["container"].pop("spks_rows")) == 6 * 8
    (plane / "cascade.json").write_text(json.dumps(record))
    assert inspected(plane)["holds"] == "cascade"
    merge_last(plane)
    found = inspected(plane)
    assert (found["holds"], found["others"]) == ("unknown", [])
    assert found["text"].startswith("spks.npy is not as an earlier version of cascade has written it; which rows are")
    merged = hashes(plane)["spks.npy"]
    assert "left spks.npy, which was changed since, and the backup spks_suite2p.npy" in Suite2pPlane(plane).restore()
    assert hashes(plane)["spks.npy"] == merged


@pytest.mark.parametrize("lost", ["marks", "backup"])
def test_rows_of_ours_that_cannot_be_taken_out_are_not_forgotten(plane, run, inspected, lost):
    """A later run that does not replace spks.npy still knows that rates of an earlier one may be in it."""
    run(run_on_folder, plane, replace_spikes=True)
    if lost == "marks":
        record = json.loads((plane / "cascade.json").read_text())
        del record["container"]["spks_rows"]
        (plane / "cascade.json").write_text(json.dumps(record))
    else:
        (plane / "spks_suite2p.npy").unlink()
    merge_last(plane)
    merged = hashes(plane)["spks.npy"]
    run(run_on_folder, plane)
    assert hashes(plane)["spks.npy"] == merged
    found = inspected(plane)
    assert (found["holds"], found["others"]) == (("unknown", []) if lost == "marks" else ("both", [6]))
    assert "'cascade restore'" not in found["text"]


def test_the_second_channel_has_no_such_place(tmp_path, run):
    folder = make_plane(tmp_path / "plane0", second_channel=True).folder
    run(run_on_folder, folder, channel=2)
    assert Suite2pPlane(folder, channel=2).deconvolved() is None
    assert Suite2pPlane(folder).deconvolved() is None  # no results of this channel


# --------------------------------------------------------------------------------------------------------------- CaImAn


def select(path: Path, rows: list[int], further: int = 0) -> None:
    """Keep some components of a file, and add others, as CaImAn's functions do before saving again."""
    with h5py.File(path, "r+") as file:
        n_old = len(file["estimates/C"])
        for name in ("C", "YrA", "S", "F_dff"):
            if not isinstance(file["estimates"].get(name), h5py.Dataset) or file["estimates"][name].ndim != 2:
                continue
            values = file["estimates"][name][()]
            del file["estimates"][name]
            added = np.full((further, values.shape[1]), 3.0) + np.arange(values.shape[1]) % 7
            file["estimates"][name] = np.concatenate([values[rows], added])
        columns = file["estimates/A"]
        from scipy.sparse import csc_matrix

        matrix = csc_matrix(
            (columns["data"][()], columns["indices"][()], columns["indptr"][()]), shape=tuple(columns["shape"][()])
        )
        assert matrix.shape[1] == n_old
        matrix = csc_matrix(matrix.toarray()[:, [*rows, *[0] * further]])
        for name in ("data", "indices", "indptr"):
            del columns[name]
            columns[name] = getattr(matrix, name)
        del columns["shape"]
        columns["shape"] = matrix.shape


@pytest.fixture
def caiman(tmp_path):
    return make_file(tmp_path / "results.hdf5")


def test_caimans_own_and_ours(caiman, run, inspected):
    assert inspected(caiman) is None
    run(run_on_file, caiman)
    text = "estimates/S is CaImAn's own; the results of cascade are beside it"
    assert inspected(caiman) == {"name": "estimates/S", "holds": "pipeline", "text": text, "others": []}
    run(run_on_file, caiman, replace_spikes=True)
    text = "estimates/S holds the rates of cascade; CaImAn's own are in estimates/cascade/S_caiman"
    assert inspected(caiman) == {"name": "estimates/S", "holds": "cascade", "text": text, "others": []}


def test_components_selected_and_added_since(caiman, run, inspected):
    with h5py.File(caiman, "r") as file:
        own = file["estimates/S"][()]
    run(run_on_file, caiman, replace_spikes=True)
    select(caiman, [0, 1, 3, 5], further=1)
    with h5py.File(caiman, "r") as file:
        mixed = file["estimates/S"][()]
    found = inspected(caiman)
    assert (found["holds"], found["others"]) == ("both", [4])
    assert found["text"] == (
        "estimates/S holds the rates of cascade in 4 of 5 rows, but not in those of ROI 4 (merged or drawn since?); "
        "CaImAn's own are in estimates/cascade/S_caiman: see which rows you want, and move estimates/cascade/S_caiman "
        "to estimates/S or remove it"
    )
    # nothing is lost: what is there stays, and the backup too
    done = CaimanFile(caiman).restore()
    assert done[0].startswith("left estimates/S, which was changed since, and the backup")
    with h5py.File(caiman, "r") as file:
        assert np.array_equal(file["estimates/S"][()], mixed)
        assert np.array_equal(file["estimates/cascade/S_caiman"][()], own)


def test_an_s_of_somebody_else(caiman, run, inspected):
    run(run_on_file, caiman, replace_spikes=True)
    with h5py.File(caiman, "r+") as file:
        file["estimates/S"][...] = 7.0 + np.arange(700)
    found = inspected(caiman)
    assert found["holds"] == "unknown"
    assert found["text"].startswith("estimates/S does not hold the rates of cascade any more")
    assert CaimanFile(caiman).restore()[0].startswith("left estimates/S, which was changed since, and the backup")
    with h5py.File(caiman, "r") as file:
        assert np.array_equal(file["estimates/S"][()], np.tile(7.0 + np.arange(700), (6, 1)))


def test_an_object_in_memory(run):
    cnmf = make_cnmf()
    own = cnmf.estimates.S.copy()
    run(run_on_estimates, cnmf, frame_rate=20.0)
    assert CaimanObject(cnmf).deconvolved().holds == "pipeline"
    run(run_on_estimates, cnmf, frame_rate=20.0, replace_spikes=True)
    found = CaimanObject(cnmf).deconvolved()
    assert found.text == "estimates.S holds the rates of cascade; CaImAn's own are in estimates.cascade['S_caiman']"
    cnmf.estimates.S = np.concatenate([np.arange(700.0)[None], cnmf.estimates.S[[0, 2]]])
    found = CaimanObject(cnmf).deconvolved()
    assert (found.holds, found.others) == ("both", [0])
    assert CaimanObject(cnmf).restore()[0] == "put back estimates.S in 2 of 3 rows; the others stay as they are"
    assert np.array_equal(cnmf.estimates.S, np.concatenate([np.arange(700.0)[None], own[[0, 2]]]))
