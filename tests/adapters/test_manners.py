"""What a user of Python sees: signatures and help that say everything, short reprs, NaN for what is missing."""

import inspect
import json

import numpy as np
import pytest

import cascade_adapters
import cascade_engine
from cascade_adapters.hooks.caiman import results_of, run_on_estimates
from cascade_engine.declared import declared_fields
from cascade_engine.errors import InputError
from cascade_engine.networks.settings import Settings
from tests.builders import caiman_files
from tests.builders.suite2p_folders import make_plane

pytestmark = pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")


@pytest.mark.parametrize("function", [cascade_engine.predict, cascade_engine.infer])
def test_every_argument_is_spelled_out(function):
    parameters = inspect.signature(function).parameters
    settings = {each.name: each for each in declared_fields(Settings)}
    others = ["dff", "frame_rate", "model", "segments", "check_units", "n_threads", "progress"]
    assert set(parameters) == {*others, *settings}
    text = inspect.getdoc(function)
    for name, parameter in parameters.items():
        assert parameter.annotation is not parameter.empty
        assert f"\n{name} : " in text
    for name, each in settings.items():
        entry = text.partition(f"\n{name} : ")[2].partition("\n\n")[0]
        assert parameters[name].default is each.default or parameters[name].default == each.default
        assert each.unit is None or f"in {each.unit}" in entry.splitlines()[0]
        assert each.help in entry


def test_predict_takes_every_argument(random_model):
    rng = np.random.default_rng(0)
    dff = rng.normal(0, 0.1, (2, 400)).astype(np.float32)
    told = []
    how = {"segments": [200, 200], "check_units": False, "n_threads": 1, "progress": told.append, "threshold": False}
    found = cascade_engine.predict(dff, 30.0, random_model, **how)
    np.testing.assert_array_equal(found, cascade_engine.infer(dff, 30.0, random_model, **how).spike_prob)
    by_predict, by_infer = told[: len(told) // 2], told[len(told) // 2 :]
    assert sum(by_predict) > 0 and by_predict == by_infer
    with pytest.raises(TypeError, match="predict\\(\\) has no argument smothing"):
        cascade_engine.predict(dff, 30.0, random_model, smothing=0.1)


def test_reprs_are_short(tmp_path, random_model):
    folder = make_plane(tmp_path / "plane0").folder
    (done,) = cascade_adapters.run(folder, model=str(random_model.folder))
    dff = np.random.default_rng(0).normal(0, 0.1, (2, 400))
    inference = cascade_engine.infer(dff, 30.0, random_model)
    shown = {
        "Done": done,
        "Report": done.report,
        "Record": done.record,
        "Results": done.results,
        "Suite2pPlane": done.container,
        "Traces": done.container.traces(),
        "Model": random_model,
        "Inference": inference,
    }
    for name, each in shown.items():
        assert repr(each).startswith(f"<{name}") and len(repr(each)) < 400 and "\n" not in repr(each)
    assert repr(inference).startswith("<Inference of 2 neurons x 400 frames at 30 Hz by random: 0 without prediction")
    assert repr(done.results).startswith("<Results of 6 ROIs x 900 frames: spike_prob, dff, noise_levels; <Record of")
    assert repr(done.report).startswith(f"<Report done: {folder}, 6 ROIs x 900 frames")
    asked = repr(cascade_engine.load_model("Global_EXC_30Hz_smoothing50ms"))
    assert asked.startswith("<Model universal for Global_EXC_30Hz_smoothing50ms (universal family) in ")


def test_missing_values_of_caiman_are_nan(random_model):
    cnm = caiman_files.make_cnmf(4, 320)
    cnm.estimates.idx_components = np.array([0, 2])
    assert results_of(cnm) is None
    run_on_estimates(cnm, model=str(random_model.folder), only_cells=True)
    stored = np.asarray(cnm.estimates.cascade["spike_prob"])
    found = results_of(cnm)
    assert np.nansum(stored) == -np.inf and np.isneginf(stored[1]).all()
    assert np.isnan(found.spike_prob[1]).all() and np.isfinite(np.nansum(found.spike_prob))
    np.testing.assert_array_equal(
        np.asarray(found.spike_prob[0])[np.isfinite(stored[0])], stored[0][np.isfinite(stored[0])]
    )
    assert np.nansum(found.spike_prob) == np.nansum(np.where(np.isneginf(stored), np.nan, stored))


# ------------------------------------------------------------------------------------- noise levels, one for each ROI

LEVELS = [1.0, 2.0, 1.5, 3.0, np.nan, 2.5]


@pytest.mark.parametrize("form", ["commas", "npy", "txt", "txt, commas"])
def test_noise_levels_of_rois_on_the_command_line(form, tmp_path, random_model):
    from cascade_adapters.cli import main

    folder = make_plane(tmp_path / "plane0").folder
    text = [str(level) for level in LEVELS]
    given = {"commas": ",".join(text)}.get(form, str(tmp_path / f"levels.{form[:3]}"))
    if form == "npy":
        np.save(given, LEVELS)
    elif form != "commas":
        (tmp_path / "levels.txt").write_text((", " if "commas" in form else "\n").join(text))
    model = str(random_model.folder)
    main(["run", str(folder), "--model", model, "--noise-level", given, "--quiet"])
    found = np.load(folder / "cascade_spike_prob.npy")
    record = json.loads((folder / "cascade.json").read_text())
    assert record["settings"]["noise_level"] == [None if np.isnan(level) else level for level in LEVELS]
    (expected,) = cascade_adapters.run(folder, model=model, noise_level=LEVELS, existing="overwrite")
    np.testing.assert_array_equal(found, expected.results.spike_prob)
    (by_file,) = cascade_adapters.run(folder, model=model, noise_level=given, existing="update")
    assert by_file.report.message == "results are up to date"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("abc", "noise_level must be a number, numbers with commas, or a .npy or .txt file"),
        ("1,,2", "noise_level must be a number"),
        ("missing.npy", "No such file"),
        ("missing.txt", "No such file"),
        ("1,2", "has 6 ROIs, but 2 noise levels are given"),
        ("2d.npy", r"one number for each ROI is needed, not float64 of shape \(2, 3\)"),
        ("text.npy", "one number for each ROI is needed, not <U1"),
        ("objects.npy", "Object arrays cannot be loaded"),
        ("words.txt", "could not convert string to float"),
        ("1,2,3,4,5,500", "noise_level must be a number from 0 to"),
    ],
)
def test_noise_levels_that_cannot_be(given, said, tmp_path, random_model, monkeypatch):
    folder = make_plane(tmp_path / "plane0").folder
    monkeypatch.chdir(tmp_path)
    np.save("2d.npy", np.ones((2, 3)))
    np.save("text.npy", np.array(["a", "b"]))
    np.save("objects.npy", np.array([None, 1]), allow_pickle=True)
    (tmp_path / "words.txt").write_text("one two")
    with pytest.raises(InputError, match=said):
        cascade_adapters.run(folder, model=str(random_model.folder), noise_level=given)
