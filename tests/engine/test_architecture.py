"""What the packages may know of each other, and what they may import."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import cascade_engine

ROOT = Path(cascade_engine.__file__).parents[1]


def test_engine_knows_no_adapter():
    for path in (ROOT / "cascade_engine").rglob("*.py"):
        imports = re.findall(r"^\s*(?:from|import)\s+(\w+)", path.read_text("utf-8"), flags=re.MULTILINE)
        assert "cascade_adapters" not in imports, path


def test_prediction_imports_nothing_heavy():
    code = """
import sys, numpy as np, cascade_engine, cascade_adapters.hooks.suite2p
dff = 0.1 * np.random.default_rng(0).standard_normal((2, 200))
cascade_engine.predict(dff, 30.0, noise_level=2.0)
heavy = {"tensorflow", "keras", "torch", "onnx", "matplotlib", "pynwb", "suite2p", "pandas"}
print(sorted(heavy & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_help_imports_nothing_slow():
    code = """
import sys
from cascade_adapters.cli.command import cascade
try:
    cascade.main(["--help"], prog_name="cascade")
except SystemExit:
    pass
slow = {"scipy", "h5py", "onnxruntime", "pooch", "tensorflow"}
print(sorted(slow & set(sys.modules)), file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "run" in result.stdout
    assert result.stderr.strip() == "[]"


def test_every_public_function_has_a_docstring():
    import ast

    for package in ("cascade_engine", "cascade_adapters"):
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text("utf-8"))
            nodes = [tree, *(node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))]
            for node in nodes:
                if not getattr(node, "name", "").startswith("_"):
                    assert ast.get_docstring(node), f"{path}: {getattr(node, 'name', 'module')}"


def test_every_package_is_installed():
    """The list in setup.cfg is written by hand."""
    import configparser

    setup = ROOT / "setup.cfg"
    if not setup.is_file():
        pytest.skip("needs the sources: setup.cfg is not beside the packages")
    parser = configparser.ConfigParser()
    parser.read(setup)
    listed = set(parser["options"]["packages"].split())
    folders = [
        path.parent for name in ("cascade_engine", "cascade_adapters") for path in ROOT.glob(f"{name}/**/__init__.py")
    ]
    assert {".".join(folder.relative_to(ROOT).parts) for folder in folders} <= listed
