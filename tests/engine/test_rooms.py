"""The rooms of the house: none import each other in a circle; all public names are listed, and no others."""

from __future__ import annotations

import ast
import importlib
import types
from pathlib import Path

import pytest

import cascade_adapters
import cascade_engine
from tests.builders.imports import imports_of, rings


def all_rings(package: types.ModuleType) -> dict[str, list[list[str]]]:
    """Rings among the rooms of a package, and of every package in it."""
    imports = imports_of(Path(str(package.__file__)).parent)
    packages = {name for name in imports if any(other.startswith(f"{name}.") for other in imports)}
    found = {name: rings(imports, name) for name in sorted(packages)}
    return {name: groups for name, groups in found.items() if groups}


@pytest.mark.parametrize("package", [cascade_engine, cascade_adapters], ids=lambda package: package.__name__)
def test_no_rooms_import_each_other_in_a_circle(package):
    assert all_rings(package) == {}


def test_the_engine_knows_no_container():
    folder = Path(cascade_engine.__file__).parent
    assert [path for path in folder.rglob("*.py") if "cascade_adapters" in _imported(path)] == []


def _imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


def test_rings_are_found(tmp_path):
    """Of any length, through inner imports and packages; imports for type checkers close none."""
    (tmp_path / "house" / "wing").mkdir(parents=True)
    files = {
        "__init__.py": "from house.a import x",
        "a.py": "from house import b",
        "b.py": "def f():\n    from house.wing.c import x",
        "wing/__init__.py": "",
        "wing/c.py": "from house.a import x\nfrom house.wing import d",
        "wing/d.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import house.wing.c",
        "e.py": "import house.wing.d",
    }
    for name, text in files.items():
        (tmp_path / "house" / name).write_text(text)
    imports = imports_of(tmp_path / "house")
    assert rings(imports, "house") == [["a", "b", "wing"]]
    assert rings(imports, "house.wing") == []


def test_public_names_of_the_engine_are_listed():
    for name in cascade_engine.__all__:
        assert hasattr(cascade_engine, name), name
    for_type_checkers = {
        alias.name: node.module
        for node in ast.walk(ast.parse(Path(cascade_engine.__file__).read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("cascade_engine")
        for alias in node.names
    }
    modules = {name: f"cascade_engine.{module}" for module, names in cascade_engine._MODULES.items() for name in names}
    assert modules | {"__version__": "cascade_engine._version"} == for_type_checkers
    assert cascade_engine.__all__ == sorted(for_type_checkers)
    assert set(cascade_engine.__all__) <= set(dir(cascade_engine))
    with pytest.raises(AttributeError, match="has no attribute 'infr'"):
        cascade_engine.infr  # noqa: B018


def test_importing_the_engine_loads_nothing_heavy():
    import subprocess
    import sys

    heavy = ("onnxruntime", "onnx", "keras", "tensorflow", "scipy", "matplotlib", "h5py", "pandas")

    def loaded(statement: str, names: tuple[str, ...]) -> str:
        code = f"import sys; {statement}; print([name for name in {names} if name in sys.modules])"
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout

    assert loaded("from cascade_engine import *", heavy) == "[]\n"
    assert loaded("import cascade_engine, cascade_adapters.cli.command", (*heavy, "numpy", "yaml")) == "[]\n"
    unused = ("scipy", "cascade_engine.ground_truth", "cascade_engine.networks.windowed.family")
    assert loaded("from cascade_engine import load_model; load_model()", unused) == "[]\n"
    assert importlib.import_module("cascade_engine.training").train
