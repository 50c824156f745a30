"""Fixtures of the tests of what is written into NWB files."""

import pytest

from tests.adapters.nwb.helpers import copy
from tests.builders.nwb_files import simple, suite2p_layout


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    """Files to be copied: one series in HDF5 and in Zarr, and two planes."""
    folder = tmp_path_factory.mktemp("nwb")
    simple(folder / "a.nwb")
    simple(folder / "a.nwb.zarr", zarr=True)
    suite2p_layout(folder / "planes.nwb")
    return folder


@pytest.fixture
def path(templates, tmp_path):
    """A file with one series, in a folder of its own."""
    return copy(templates / "a.nwb", tmp_path / "lab")


@pytest.fixture
def store(templates, tmp_path):
    """The same as a Zarr store."""
    return copy(templates / "a.nwb.zarr", tmp_path / "lab")


@pytest.fixture
def planes(templates, tmp_path):
    """A file with two planes."""
    return copy(templates / "planes.nwb", tmp_path / "lab")
