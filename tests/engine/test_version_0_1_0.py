"""Models that version 0.1.0 wrote are refused when they are loaded, with the version in one line."""

from __future__ import annotations

import pytest

from cascade_engine.errors import ModelError
from cascade_engine.networks.store import load_model
from tests.builders import previous_version


@pytest.fixture
def models(tmp_path):
    previous_version.unpack("models", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["universal", "windowed"])
def test_refused_by_folder(models, name):
    with pytest.raises(ModelError) as refusal:
        load_model(models / name)
    (line,) = str(refusal.value).splitlines()
    assert "0.1.0" in line
    assert str(models / name) in line


@pytest.mark.parametrize("name", ["universal", "windowed"])
def test_refused_by_name(models, name, monkeypatch):
    monkeypatch.setenv("CASCADE_MODELS", str(models))
    with pytest.raises(ModelError, match=r"0\.1\.0"):
        load_model(name)
