"""Every example in a docstring does what it shows."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import cascade_adapters
import cascade_engine
from tests.builders.sessions import make_session

FOLDERS = [Path(package.__file__).parent for package in (cascade_engine, cascade_adapters)]


def modules_with_examples() -> list[str]:
    """Names of the modules, found without importing them."""
    found = []
    for folder in FOLDERS:
        for path in sorted(folder.rglob("*.py")):
            if ">>> " in path.read_text("utf-8"):
                parts = path.relative_to(folder.parent).with_suffix("").parts
                found.append(".".join(part for part in parts if part != "__init__"))
    return found


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples(name, tmp_path, monkeypatch):
    make_session(tmp_path / "mouse1" / "suite2p")  # what some of them begin with
    monkeypatch.chdir(tmp_path)
    output: list[str] = []
    runner, n_examples = doctest.DocTestRunner(), 0
    for test in doctest.DocTestFinder().find(import_module(name)):
        n_examples += len(test.examples)
        runner.run(test, out=output.append)
    assert not runner.failures, "".join(output)
    assert n_examples and runner.tries == n_examples


def test_no_example_is_skipped():
    """What cannot be run is shown as a block of code."""
    for folder in FOLDERS:
        for path in folder.rglob("*.py"):
            assert "doctest: +SKIP" not in path.read_text("utf-8"), path
