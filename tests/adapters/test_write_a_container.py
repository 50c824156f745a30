"""The page "Write a container" is followed to the letter: its package is made, found, and used by every command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "write_a_container.md").read_text("utf-8")

ROOT = Path(__file__).parents[2]


def file_of_the_page(name: str) -> str:
    """The block that follows the mention of a file."""
    (content,) = re.findall(rf"`{re.escape(name)}`:\n\n```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return content


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A folder with the example, and an environment in which the package of the page is installed."""
    folder = tmp_path_factory.mktemp("lab")
    site = folder / "site"
    site.mkdir()
    project = file_of_the_page("pyproject.toml")
    (site / "lab_container.py").write_text(file_of_the_page("lab_container.py"), "utf-8")
    # what pip would make of the project
    (name,), (version,) = (re.findall(rf'^{key} = "(.*)"', project, re.MULTILINE) for key in ("name", "version"))
    ((group, entry),) = re.findall(r'^\[project\.entry-points\."(.*)"\]\n(.*)', project, re.MULTILINE)
    about = site / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(f"[{group}]\n{entry.replace(chr(34), '')}\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    subprocess.run([sys.executable, "-c", file_of_the_page("make_example.py")], cwd=folder, env=environment, check=True)
    return folder, environment


def run(lab: tuple[Path, dict[str, str]], *arguments: str) -> subprocess.CompletedProcess:
    folder, environment = lab
    command = [sys.executable, "-m", "cascade_adapters", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8")


def test_the_commands_of_the_page(lab):
    folder, _ = lab
    before = (folder / "mouse1.lab.h5").read_bytes()
    (commands,) = (block for block in re.findall(r"```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    outputs = {}
    for line in commands.splitlines():
        done = run(lab, *line.split()[1:])
        assert (done.returncode, done.stderr) == (0, ""), line
        outputs[line.split()[1]] = done.stdout
    assert "lab file, 3 ROIs x 900 frames" in outputs["inspect"]
    assert "frame rate 30 Hz (rate_hz in the file)" in outputs["inspect"]
    assert "mouse1.lab_cascade.npz" in outputs["run"]
    assert re.search(r"\d+ spikes in \d of 3 ROIs", outputs["spikes"])
    with np.load(folder / "mouse1.npz") as converted:
        assert converted["spike_prob"].shape == (3, 900)
        assert converted["spike_prob"].sum() > 0
    assert (folder / "mouse1.lab.h5").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["mouse1.lab.h5", "mouse1.npz", "site"]


def test_its_damaged_files_are_one_line(lab):
    folder, _ = lab
    (folder / "damaged.lab.h5").write_bytes(b"no HDF5")
    done = run(lab, "run", "damaged.lab.h5")
    (folder / "damaged.lab.h5").unlink()
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "damaged.lab.h5 is no lab file" in line
