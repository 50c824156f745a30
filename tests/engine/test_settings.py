"""Settings: what can be chosen, how it is resolved against model, published name and container, how it is stored."""

from __future__ import annotations

import inspect
import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest

from cascade_engine import InputError, Settings, infer, load_model, predict
from cascade_engine.declared import declared_fields
from cascade_engine.networks.families import open_predictor, resolve

CAUSAL = "Global_EXC_30Hz_smoothing200ms_causalkernel"
FAST = "GC8m_EXC_30Hz_smoothing50ms"


def test_every_setting_says_what_it_is():
    declared = declared_fields(Settings)
    assert [each.name for each in declared] == [each.name for each in fields(Settings)]
    assert all(each.help.endswith(".") for each in declared)
    types = {each.name: each.type for each in declared}
    assert types["smoothing"] is types["noise_level"] is types["padding"] is float
    assert types["threshold"] is int and types["indicator"] is str
    for function in (infer, predict):
        parameters = inspect.signature(function).parameters
        assert {each.name: parameters[each.name].default for each in declared} == {
            each.name: each.default for each in declared
        }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"smoothing": -0.1}, r"smoothing must be a number from 0 to 20 s \(0.05 is 50 ms\), but it is -0.1"),
        ({"smoothing": math.nan}, "smoothing must be a number from 0 to 20 s"),
        ({"smoothing": 50}, r"0.05 is 50 ms\), but it is 50"),
        ({"smoothing": True}, "smoothing must be a number"),
        ({"smoothing": "wide"}, "smoothing must be a number"),
        ({"kernel": "square"}, "kernel must be one of gaussian, causal"),
        ({"population": "glia"}, "population must be one of principal, interneurons"),
        ({"indicator": 6}, "indicator must be a name"),
        ({"noise_level": 0}, r"noise_level must be a number from 0.05 to 100 % per sqrt\(Hz\)"),
        ({"noise_level": 0.015}, r"\(1.5 is a usual one\), but it is 0.015"),
        ({"noise_level": [0.01, 0.02, 0.015]}, r"from 0.05 .* but it is 0.015"),
        ({"noise_level": [2.0, -1.0, 3.0]}, "but it is -1"),
        ({"noise_level": math.nan}, "noise_level must be a number from 0.05"),
        ({"noise_level": "low"}, "noise_level must be a number"),
        ({"noise_level": [[1, 2]]}, r"one per neuron, but its shape is \(1, 2\)"),
        ({"threshold": 2}, "threshold must be 0, 1 or False"),
        ({"padding": None}, "padding must be a number"),
        ({"padding": -1}, "padding must be nan or 0, but it is -1"),
        ({"padding": math.inf}, "padding must be nan or 0, but it is inf"),
    ],
)
def test_what_cannot_be_chosen(wrong, message):
    with pytest.raises(InputError, match=message):
        Settings(**wrong)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(smoothing=0.1, kernel="causal", population="interneurons", indicator="GCaMP6s", noise_level=2),
        Settings(noise_level=np.array([1.0, np.nan]), threshold=False, padding=0.0),
        Settings(threshold=True, padding=np.float64("nan")),
    ],
)
def test_settings_survive_json(settings):
    again = Settings.from_dict(json.loads(json.dumps(settings.to_dict(), allow_nan=False)))
    assert again == settings and hash(again) == hash(settings)
    assert (again.threshold is False) == (settings.threshold is False)
    assert Settings.from_dict({**settings.to_dict(), "of_a_later_version": 1}) == settings


@pytest.mark.parametrize(
    ("name", "chosen", "container", "indicator"),
    [
        ("universal", None, None, None),
        ("universal", None, "GCaMP6f", "GCaMP6f"),
        ("universal", None, "Fluo-4", None),
        ("universal", "unknown", "GCaMP6f", None),
        ("universal", "GCaMP6s", "GCaMP6f", "GCaMP6s"),
        ("universal", None, "AAV1.Syn.GCaMP6f.WPRE.SV40", "GCaMP6f"),
        ("universal", None, "GCaMP6f and GCaMP6s", None),
        ("universal", "Thy1-GCaMP6s", None, "GCaMP6s"),
        (FAST, None, "GCaMP6f", "jGCaMP8m"),
        (FAST, "GCaMP6s", "GCaMP6f", "GCaMP6s"),
        (FAST, "unknown", "GCaMP6f", None),
    ],
)
def test_the_user_then_the_model_then_the_container_name_the_indicator(name, chosen, container, indicator):
    model = load_model(name)
    found = resolve(Settings(indicator=chosen), model, 30.0, container)
    assert found.given_indicator == indicator
    assert resolve(found, model, 30.0, "OGB-1") == found  # resolved settings stay as they are


def test_what_is_left_open_comes_from_the_published_name_or_the_frame_rate():
    universal, causal = load_model("universal"), load_model(CAUSAL)
    found = resolve(Settings(), universal, 7.5)
    assert (found.smoothing, found.kernel, found.population) == (0.2, "gaussian", "principal")
    found = resolve(Settings(), causal, 7.5)
    assert (found.smoothing, found.kernel, found.population) == (0.2, "causal", "principal")
    found = resolve(Settings(smoothing=0.1, kernel="gaussian", population="interneurons"), causal, 7.5)
    assert (found.smoothing, found.kernel, found.population) == (0.1, "gaussian", "interneurons")


def test_a_model_with_one_smoothing_refuses_others(random_model):
    found = resolve(Settings(noise_level=2.0), random_model, 30.0, "GCaMP6f")
    assert (found.smoothing, found.kernel, found.population, found.given_indicator) == (0.05, "gaussian", None, None)
    assert resolve(found, random_model, 30.0) == found
    for wrong in ({"smoothing": 0.1}, {"kernel": "causal"}, {"population": "principal"}, {"indicator": "GCaMP6f"}):
        with pytest.raises(InputError, match="model random"):
            resolve(Settings(**wrong), random_model, 30.0)


def test_a_predictor_goes_through_blocks_of_neurons(random_model):
    from cascade_engine.inference import infer_block, warnings_about

    rng = np.random.default_rng(0)
    dff = 0.05 * rng.standard_normal((5, 5000)).astype(np.float32)
    dff[1, 100:200] = np.nan
    dff[3] = 0.1
    levels = np.array([1.0, 2.0, 2.5, 4.0, np.nan])
    whole = infer(dff, 30.0, random_model, noise_level=levels, segments=[4990, 10])
    predictor = open_predictor(random_model, 30.0, Settings(noise_level=levels))
    done: list[int] = []
    blocks = [
        infer_block(predictor, dff[first : first + 2], first_neuron=first, segments=[4990, 10], progress=done.append)
        for first in (0, 2, 4)
    ]
    for name in ("spike_prob", "noise_levels", "network_noise_levels"):
        joined = np.concatenate([getattr(block, name) for block in blocks])
        np.testing.assert_array_equal(joined, getattr(whole, name))
    notes = [note for block in blocks for note in block.notes]
    assert notes == whole.notes and "constant" in notes[3] and "NaN" in notes[4]
    missing = np.concatenate([block.missing_part for block in blocks])
    usable = np.array([not note for note in notes])
    correlations = np.concatenate([block.step_correlations for block in blocks])
    found = warnings_about(predictor, 5000, [4990, 10], whole.noise_levels, usable, missing, correlations)
    assert found == whole.warnings and len(found) == 2
    assert 0 < sum(done) <= dff.size
    called: list[int] = []
    infer(dff, 30.0, random_model, noise_level=levels, segments=[4990, 10], progress=called.append)
    assert sum(called) == sum(done)
    with pytest.raises(InputError, match=r"one per neuron \(5\), but there are 2"):
        infer(dff, 30.0, random_model, noise_level=levels[:2])


def test_published_names_of_models_that_are_not_installed_share_the_networks():
    model = load_model("universal")
    stand_in = replace(model, preset=load_model(CAUSAL).preset)
    assert model.session("context") is stand_in.session("context")
