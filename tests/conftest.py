"""Shared fixtures: small models, simulated suite2p folders, and recordings that are not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cascade_engine.networks.store import Model, write_windowed_model
from cascade_engine.networks.windowed.config import ModelConfig
from cascade_engine.networks.windowed.weights import NetworkWeights
from tests.builders.models import random_network

#: Recordings and published models used by some tests; CASCADE_TEST_DATA names another folder.
SHARED = Path(os.environ.get("CASCADE_TEST_DATA", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture
def shared():
    """Return a function that gives a folder of shared data, or skips the test, saying what is missing."""

    def folder(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"needs {name} in the shared data, which is not part of the repository (CASCADE_TEST_DATA)")
        return path

    return folder


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory, monkeypatch):
    """Keep the user's own models and ground truth out of the tests."""
    monkeypatch.setenv("CASCADE_MODELS", str(tmp_path_factory.mktemp("models")))
    monkeypatch.delenv("CASCADE_GROUND_TRUTH", raising=False)


@pytest.fixture(scope="session")
def random_config() -> ModelConfig:
    """Configuration of `random_model`."""
    return ModelConfig("random", 30.0, ("none",), noise_levels=(1, 2, 4), ensemble_size=2)


@pytest.fixture(scope="session")
def random_networks(random_config) -> dict[float, list[NetworkWeights]]:
    """Weights of `random_model`."""
    levels = random_config.noise_levels
    return {level: [random_network(10 * level + k, random_config) for k in range(2)] for level in levels}


@pytest.fixture(scope="session")
def random_model(tmp_path_factory, random_config, random_networks) -> Model:
    """A model with random weights: enough wherever the values of a prediction do not matter."""
    folder = tmp_path_factory.mktemp("random") / "random"
    return write_windowed_model(folder, random_config, random_networks, {"summary": "random weights", "origin": "test"})
