"""A container of another package that cannot be used: it is named in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.suite2p_folders import make_plane


@pytest.fixture
def install(tmp_path):
    """Install a package with one module and one entry point; returns a function that runs cascade with it."""
    site = tmp_path / "site"

    def put(module: str, code: str, name: str, target: str):
        information = site / f"{module}-1.0.dist-info"
        information.mkdir(parents=True)
        (site / f"{module}.py").write_text(code)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(f"[cascade_adapters.containers]\n{name} = {target}\n")

        def cascade(*arguments) -> subprocess.CompletedProcess:
            path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
            return subprocess.run(
                [sys.executable, "-m", "cascade_adapters", *(str(argument) for argument in arguments)],
                capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, cwd=Path(__file__).parents[2],
            )  # fmt: skip

        return cascade

    return put


@pytest.mark.parametrize(
    ("code", "target", "message"),
    [
        ("import nosuch", "mine:Mine", "cannot be loaded: No module named 'nosuch'"),
        ("", "mine:Mine", "cannot be loaded: module 'mine' has no attribute 'Mine'"),
        ("class Mine: pass", "mine:Mine", "is no subclass of Container"),
    ],
)
def test_a_package_that_is_broken_is_named(install, tmp_path, code, target, message):
    plane = make_plane(tmp_path / "plane0").folder
    result = install("mine", code, "ours", target)("inspect", plane)
    assert result.returncode == 1 and result.stderr.count("\n") == 1
    assert f"the container ours ({target}) {message}" in result.stderr
