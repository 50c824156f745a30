"""Shared fixtures: small models, simulated suite2p folders, and recordings that are not part of the repository."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest

from cascade_adapters.cli import main
from cascade_engine.networks import training_loop
from cascade_engine.networks.store import Model
from cascade_engine.networks.windowed.config import ModelConfig
from cascade_engine.networks.windowed.weights import NetworkWeights
from cascade_engine.networks.windowed.writing import write_windowed_model
from tests.builders.models import random_network

#: Recordings and published models used by some tests; CASCADE_TEST_DATA names another folder.
# small networks take longer to compile than to train; `test_training_learns` does without this
training_loop.COMPILED_WITH = ()

SHARED = Path(os.environ.get("CASCADE_TEST_DATA", Path(__file__).resolve().parents[2] / "shared"))


#: Libraries that only some users install, as far as they are not installed here.
ABSENT = {
    name
    for name in (
        "caiman", "hdmf", "hdmf_zarr", "isx", "jsonschema", "keras", "matplotlib", "mesmerize_core", "nbformat",
        "nbmake", "neuroconv", "nwbinspector", "onnx", "pandas", "pymatreader", "pynapple", "pynwb", "remfile",
        "roiextractors", "suite2p", "tensorflow", "torch", "zarr",
    )
    if find_spec(name) is None
}  # fmt: skip


def skip_without_library(error: BaseException) -> None:
    """Skip the test if it ended because a library is not installed, and say which."""
    cause: BaseException | None = error
    while cause is not None:
        name = (getattr(cause, "name", None) or "").split(".")[0]
        if isinstance(cause, ModuleNotFoundError) and name in ABSENT:
            pytest.skip(f"{name} is not installed")
        cause = cause.__cause__ or cause.__context__


class ModuleOfTests(pytest.Module):
    """A module that is skipped if it imports a library that is not installed."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        try:
            return super().collect()
        except self.CollectError as error:
            skip_without_library(error)
            raise


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    return ModuleOfTests.from_parent(parent, path=module_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, None, None]:
    try:
        return (yield)
    except Exception as error:
        skip_without_library(error)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    try:
        return (yield)
    except Exception as error:
        skip_without_library(error)
        raise


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


@pytest.fixture
def cascade(capsys):
    """Run the command in this process; returns exit status, standard output and standard error."""

    def call(*arguments) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            main([str(argument) for argument in arguments])
            status = 0
        except SystemExit as end:
            status = end.code or 0
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


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
