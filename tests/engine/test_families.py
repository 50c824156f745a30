"""A family of networks, and a setting, are each added in one place."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import cascade_engine
from cascade_engine import ModelError, infer, load_model, predict
from cascade_engine.networks import families
from cascade_engine.networks.base import Family
from cascade_engine.networks.card import write_model
from cascade_engine.networks.configuration import Configuration
from cascade_engine.networks.families import open_predictor


@dataclass(frozen=True)
class DoublingConfig(Configuration):
    """Of a family that needs no networks."""

    family: ClassVar[str] = "doubling"

    model_name: str
    training_datasets: tuple[str, ...] = ()


@dataclass
class DoublingPredictor:
    """Takes twice dF/F for spikes."""

    model: object
    frame_rate: float
    settings: object
    shortest: int = 1

    def predict(self, dff, noise_levels, segments, n_threads, progress):
        progress(dff.size)
        return (2 * dff).astype(np.float32), noise_levels.copy()

    def edge_frames(self, segments):
        return np.empty(0, dtype=int)


class DoublingFamily(Family):
    """All that a family needs at least."""

    name = "doubling"
    config = DoublingConfig

    def noise_levels(self, model):
        return np.array([0.0, 10.0])

    def resolve(self, model, settings, frame_rate, container_indicator):
        return replace(settings, smoothing=settings.smoothing or 0.1, kernel="gaussian", population=None)

    def open(self, model, frame_rate, settings):
        return DoublingPredictor(model, frame_rate, settings)


@pytest.fixture
def doubling_model(tmp_path, monkeypatch):
    """A model of another family."""
    monkeypatch.setattr(families, "_REGISTERED", dict(families._REGISTERED))
    families.register(DoublingFamily())
    folder = tmp_path / "double"
    return write_model(folder, "doubling", DoublingConfig("double"), [({"part": "none"}, "none.onnx", b"")], {})


def test_a_family_is_one_class_and_one_name(doubling_model, capsys):
    from cascade_adapters.cli import main

    model = load_model(doubling_model.folder)
    assert model.family == "doubling" and model.config == DoublingConfig("double")
    dff = 0.05 * np.random.default_rng(0).standard_normal((2, 300)).astype(np.float32)
    result = infer(dff, 30.0, model)
    np.testing.assert_array_equal(result.spike_prob, np.maximum(2 * dff, 0))
    assert result.settings.smoothing == 0.1 and result.warnings == []
    assert model.usual_frame_rate == 30.0 and model.without(["DS01"]) is model
    main(["models", "verify", str(model.folder)])
    assert "complete and unchanged" in capsys.readouterr().out


def test_a_family_that_is_not_known_is_refused(doubling_model, monkeypatch):
    monkeypatch.setattr(families, "_REGISTERED", {})
    with pytest.raises(ModelError, match="no family of networks 'doubling'"):
        load_model(doubling_model.folder)


ADDED = {
    "settings.py": (
        "    def __post_init__(self)",
        '    gain: float = declared(1.0, help="Factor for all spikes.", metavar="FACTOR")\n\n'
        "    def __post_init__(self)",
    ),
    "universal/predictor.py": (
        "        return spike_prob, levels\n",
        "        return spike_prob * np.float32(self.settings.gain), levels\n",
    ),
}

SCRIPT = """
import inspect, numpy as np
from cascade_engine import infer, predict
from cascade_engine.declared import declared_fields
from cascade_engine.networks.settings import Settings
for function in (infer, predict):
    assert inspect.signature(function).parameters["gain"].default == 1.0
assert "gain : float, optional\\n        Factor for all spikes." in infer.__doc__
(gain,) = [each for each in declared_fields(Settings) if each.name == "gain"]
assert (gain.options, gain.type, gain.metavar) == (("--gain",), float, "FACTOR")
dff = 0.05 * np.random.default_rng(0).standard_normal((1, 300)).astype(np.float32)
found = [infer(dff, 30.0, gain=gain) for gain in (1.0, 3.0)]
assert found[1].settings.to_dict()["gain"] == 3.0
np.testing.assert_array_equal(found[1].spike_prob, np.float32(3.0) * found[0].spike_prob)
np.testing.assert_array_equal(predict(dff, 30.0, gain=3.0), found[1].spike_prob)
print("as expected")
"""


def test_a_setting_is_one_field_and_the_network_that_uses_it(tmp_path):
    shutil.copytree(Path(cascade_engine.__file__).parent, tmp_path / "cascade_engine")
    for name, (old, new) in ADDED.items():
        path = tmp_path / "cascade_engine" / "networks" / name
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}){SCRIPT}"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout == "as expected\n", done.stderr


def test_models_and_their_copies_keep_their_networks_open(random_model):
    model = load_model(random_model.folder)
    dff = 0.05 * np.random.default_rng(0).standard_normal((2, 300)).astype(np.float32)
    before = infer(dff, 30.0, model)
    label = f"{before.network_noise_levels[0]:g}"
    session = model.session(label)
    assert infer(dff, 31.0, model).model.session(label) is session
    assert open_predictor(replace(model, members=None), 30.0).model.session(label) is session
    copy = pickle.loads(pickle.dumps(model))
    assert copy == model
    np.testing.assert_array_equal(predict(dff, 30.0, copy, padding=0.0), predict(dff, 30.0, model, padding=0.0))
