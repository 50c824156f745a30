"""--offset: subtracted from raw fluorescence and neuropil before anything else, in every container that has them."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest

import cascade_adapters
from cascade_adapters.containers.base import Reading
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.running.options import parse_options
from cascade_engine.errors import CascadeWarning, InputError
from tests.builders import array_files, caiman_files, nwb_files
from tests.builders.running import dff_of
from tests.builders.suite2p_folders import make_plane

OFFSET = 4000.0


def dff(path, offset: float = 0.0, selection=None, **reading) -> np.ndarray:
    (container,) = find_containers(path, *([] if selection is None else [selection]))
    return dff_of(container.traces(Reading(offset=offset, **reading))).dff


def test_suite2p(tmp_path):
    folder = make_plane(tmp_path / "plane0").folder
    usual = dff(folder)
    for name in ("F", "Fneu"):
        np.save(folder / f"{name}.npy", np.load(folder / f"{name}.npy") + np.float32(OFFSET))
    assert np.nanmax(np.abs(dff(folder) - usual)) > 0.1
    np.testing.assert_allclose(dff(folder, OFFSET), usual, atol=2e-3)


def test_a_silent_roi_stays_silent(tmp_path):
    folder = make_plane(tmp_path / "plane0").folder
    fluorescence = np.load(folder / "F.npy")
    fluorescence[2] = 0.0
    np.save(folder / "F.npy", fluorescence)
    (container,) = find_containers(folder)
    assert dff_of(container.traces(Reading(offset=-50.0))).notes[2] == "F is zero throughout"


def test_nwb(tmp_path):
    values = nwb_files.raw_traces()
    usual = dff(nwb_files.simple(tmp_path / "usual.nwb", values=values))
    shifted = nwb_files.simple(tmp_path / "shifted.nwb", values=values + np.float32(OFFSET))
    np.testing.assert_allclose(dff(shifted, OFFSET), usual, atol=2e-3)


@pytest.mark.parametrize("form", ["npy", "npz", "mat5", "csv"])
def test_arrays(tmp_path, form):
    selection = parse_options({"raw": True, "orientation": "rois-first"}).selection
    raw = 500.0 * (1.0 + array_files.make_dff())
    usual = dff(array_files.save(tmp_path, form, raw, "usual"), 0.0, selection, frame_rate=30.0)
    shifted = array_files.save(tmp_path, form, raw + OFFSET, "shifted")
    np.testing.assert_allclose(dff(shifted, OFFSET, selection, frame_rate=30.0), usual, atol=2e-3)


@pytest.mark.parametrize("norm", [1.0, 3.0])
def test_the_background_of_caiman_holds_it(tmp_path, norm):
    """An offset of every pixel is background, and adds to a component as its footprint weighs it."""
    cnmf = caiman_files.make_cnmf(footprint_norm=norm)
    usual = dff(caiman_files.save(cnmf, tmp_path / "usual.hdf5"), dff="compute")
    estimates = cnmf.estimates
    estimates.b = np.concatenate([estimates.b, np.full((len(estimates.b), 1), OFFSET)], axis=1)
    estimates.f = np.concatenate([estimates.f, np.ones((1, estimates.f.shape[1]))])
    shifted = caiman_files.save(cnmf, tmp_path / "shifted.hdf5")
    assert np.nanmax(np.abs(dff(shifted, dff="compute") - usual)) > 0.1
    np.testing.assert_allclose(dff(shifted, OFFSET, dff="compute"), usual, atol=2e-3)


def test_dff_of_the_container_has_none_to_subtract(tmp_path):
    path = array_files.save(tmp_path, "npy", array_files.make_dff())
    (container,) = find_containers(path, parse_options({"orientation": "rois-first"}).selection)
    with pytest.raises(InputError, match=r"traces.npy: --offset is subtracted from raw fluorescence, but .* is dF/F"):
        container.traces(Reading(offset=100.0, frame_rate=30.0))
    with pytest.raises(InputError, match="F_dff is dF/F: leave it out, or pass --dff compute"):
        dff(caiman_files.make_file(tmp_path / "c.hdf5"), 100.0)
    dff(tmp_path / "c.hdf5", 100.0, dff="compute")


def test_the_record_and_inspect_say_so(tmp_path, random_model, capsys):
    from cascade_adapters.cli import main

    folder = make_plane(tmp_path / "plane0").folder
    (done,) = cascade_adapters.run(folder, model=random_model.folder, offset=40)
    assert done.record.traces.offset == 40.0 and done.record.asked["offset"] == 40
    stored = json.loads((folder / "cascade.json").read_text())
    assert stored["traces"]["offset"] == 40.0
    del stored["traces"]["offset"]  # records of earlier versions
    assert replace(done.record, traces=replace(done.record.traces, offset=0.0)) == type(done.record).parse(stored, "")
    main(["inspect", str(folder), "--offset", "40", "--model", str(random_model.folder)])
    assert "40 counts of the detector subtracted first (--offset)" in capsys.readouterr().out


def test_an_offset_that_was_left_in_is_told(tmp_path, random_model):
    rng = np.random.default_rng(0)
    folder = make_plane(tmp_path / "plane0", n_rois=12, n_frames=12_000, noise_level=0.05).folder
    for name in ("F", "Fneu"):
        photons = rng.poisson(np.maximum(np.load(folder / f"{name}.npy"), 0) / 10)
        np.save(folder / f"{name}.npy", (10.0 * photons + 40_000).astype(np.float32))
    options = {"model": random_model.folder, "existing": "overwrite"}
    with pytest.warns(CascadeWarning, match="offset of the detector"):
        (done,) = cascade_adapters.run(folder, **options)
    (told,) = [text for text in done.record.warnings if "offset of the detector, of up to" in text]
    assert "of up to 40000 counts" in told and "--offset" in told
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CascadeWarning)
        (done,) = cascade_adapters.run(folder, offset=40_000, **options)
    assert not any("offset of the detector" in text for text in done.record.warnings)
