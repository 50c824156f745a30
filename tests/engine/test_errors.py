"""What a missing library's message tells to install: a line that works, wherever the package came from."""

import shlex
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from cascade_engine.errors import MissingExtraError

REQUIRES = [
    "numpy>=1.24",
    'matplotlib>=3.7; extra == "plot"',
    'tensorflow>=2.16; extra == "train"',
    'keras<4,>=3.3; extra == "train"',
    'suite2p[gui]>=1.0; extra == "suite2p"',
    'isx>=2.0; python_version < "3.0" and extra == "roiextractors"',
    'roiextractors>=0.8; extra == "roiextractors"',
]


@pytest.mark.parametrize(
    ("extra", "needed"),
    [
        ("plot", ["matplotlib>=3.7"]),
        ("train", ["tensorflow>=2.16", "keras<4,>=3.3"]),
        ("suite2p", ["suite2p[gui]>=1.0"]),
        ("roiextractors", ["roiextractors>=0.8"]),  # isx is not for this Python
    ],
)
def test_it_names_what_the_extra_brings(extra, needed, monkeypatch):
    monkeypatch.setattr(metadata, "requires", lambda name: REQUIRES)
    start, _, line = str(MissingExtraError("a library", extra, "drawing")).partition(": ")
    assert start == "drawing needs a library, which is not installed"
    command, verb, *told = shlex.split(line)
    assert (command, verb) == ("pip", "install")
    assert [Requirement(each) for each in told] == [Requirement(each) for each in needed]
    assert "'" not in line  # which is no quote in a terminal of Windows


def test_without_an_installation_it_names_the_extra(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    assert str(MissingExtraError("pynwb", "nwb", "an NWB file")).endswith('pip install "cascade-spikes[nwb]"')


@pytest.mark.parametrize("extra", ["import", "train", "nwb", "plot", "suite2p", "roiextractors", "mesmerize"])
def test_every_extra_brings_something(extra):
    line = str(MissingExtraError("a library", extra, "this")).partition(": ")[2]
    assert all(Requirement(each).name != "cascade-spikes" for each in shlex.split(line)[2:])
