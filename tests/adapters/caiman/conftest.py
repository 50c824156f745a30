"""Fixtures of the tests of CaImAn's files and objects."""

import warnings
from pathlib import Path

import pytest

from cascade_adapters.hooks.caiman import run_on_file
from cascade_engine.errors import CascadeWarning
from tests.builders.caiman_files import (
    make_cnmf,
    make_file,
)


@pytest.fixture
def cnmf():
    return make_cnmf()


@pytest.fixture
def path(tmp_path):
    return make_file(tmp_path / "results.hdf5")


@pytest.fixture
def run(random_model):
    """`run_on_file` with the random model, which is one for 30 Hz; doubts are in the reports."""

    def run(path: Path, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CascadeWarning)
            return run_on_file(path, **{"model": str(random_model.folder), "existing": "error", **options})

    return run
