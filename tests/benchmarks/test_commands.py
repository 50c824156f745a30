"""Every benchmark starts, and says what it measures."""

import importlib
import pkgutil
import sys

import pytest

import benchmarks

COMMANDS = [
    module.name
    for module in pkgutil.walk_packages(benchmarks.__path__, "benchmarks.")
    if not module.ispkg and hasattr(importlib.import_module(module.name), "main")
]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_benchmark_has_help(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(name).main()
    assert ended.value.code == 0
    assert name in capsys.readouterr().out
