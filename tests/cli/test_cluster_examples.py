"""The recipes for clusters in ``examples/cluster``, as far as they can be run without a cluster."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.suite2p_folders import make_plane

RECIPES = Path(__file__).parents[2] / "examples" / "cluster"

#: Programs of the environment in which the tests run.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

pytestmark = pytest.mark.skipif(
    os.name != "posix" or shutil.which("cascade", path=PATH) is None, reason="needs a shell and the installed command"
)


@pytest.fixture
def planes(tmp_path, random_model, monkeypatch):
    """Folders of two planes, the second with a space and a quote in its name; the default model is a small one."""
    monkeypatch.setenv("CASCADE_MODELS", str(tmp_path / "models"))
    shutil.copytree(random_model.folder, tmp_path / "models" / "universal")
    return [make_plane(tmp_path / name / "suite2p" / "plane0").folder for name in ("mouse1", "mouse 2's")]


def submitted(number: int, folder: Path) -> subprocess.CompletedProcess:
    """What Slurm does with one job of the array."""
    environment = {**os.environ, "PATH": PATH, "SLURM_ARRAY_TASK_ID": str(number), "SLURM_CPUS_PER_TASK": "1"}
    call = ["bash", str(RECIPES / "slurm_array.sh"), "recordings.txt"]
    return subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_array_of_slurm(planes, tmp_path):
    (tmp_path / "recordings.txt").write_text("".join(f"{plane}\n" for plane in planes))
    done = submitted(2, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (planes[1] / "cascade.json").is_file() and not (planes[0] / "cascade.json").exists()
    assert json.loads((planes[1] / "cascade.json").read_text("utf-8"))["asked"]["n_threads"] == 1
    again = submitted(2, tmp_path)
    assert again.returncode == 0 and "up to date" in again.stdout
    beyond = submitted(3, tmp_path)
    assert (beyond.returncode, beyond.stderr) == (1, "recordings.txt has no line 3\n")


def test_rule_of_snakemake(planes, tmp_path):
    snakemake = shutil.which("snakemake", path=PATH)
    if snakemake is None:
        pytest.skip("snakemake is not installed")
    call = [snakemake, "--snakefile", str(RECIPES / "Snakefile"), "--cores", "2", "--config", f"data={tmp_path}"]
    for plane in planes:
        shutil.copytree(plane, plane.parent / "combined")  # of no interest
    done = subprocess.run(
        call, cwd=tmp_path, env={**os.environ, "PATH": PATH}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for mouse in ("mouse1", "mouse 2's"):
        (report,) = json.loads((tmp_path / "cascade_reports" / mouse / "plane0.json").read_text("utf-8"))
        assert report["status"] == "done" and report["path"].endswith(f"{mouse}/suite2p/plane0")
        assert (tmp_path / mouse / "suite2p" / "plane0" / "cascade.json").is_file()
    again = subprocess.run(
        call, cwd=tmp_path, env={**os.environ, "PATH": PATH}, capture_output=True, text=True, check=True
    )
    assert "Nothing to be done" in again.stderr
