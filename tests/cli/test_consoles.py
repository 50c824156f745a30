"""Terminals and pipes of other systems: characters that they do not know, no colours, no UTF-8."""

import json
import os
import subprocess
import sys

import pytest

from cascade_adapters.cli import main
from tests.builders.suite2p_folders import make_plane

#: Names of folders that one alphabet or another does not know.
NAMES = {"cp1252": "鼠 mouse µ", "cp437": "Maus € ß", "cp866": "souris é", "utf-8": "鼠 mouse µ"}


def run(encoding: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run the command as if its output went to a pipe in this encoding, strictly."""
    path = os.pathsep.join(place for place in sys.path if place)
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": f"{encoding}:strict", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "cascade_adapters", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, env=environment)


@pytest.mark.parametrize("encoding", NAMES)
def test_names_that_cannot_be_written_are_said_all_the_same(encoding, tmp_path, random_model):
    name = NAMES[encoding]
    make_plane(tmp_path / name / "suite2p" / "plane0", n_rois=2, n_frames=200)
    shown = name.encode(encoding, "backslashreplace").decode(encoding)
    done = run(encoding, "run", tmp_path / name, "--model", random_model.folder, "--quiet")
    assert (done.returncode, done.stderr) == (0, b"")
    said = done.stdout.decode(encoding)
    assert f"{shown}{os.sep}suite2p{os.sep}plane0: done" in said and "wrote cascade_spike_prob.npy" in said
    failed = run(encoding, "run", tmp_path / name, "--model", random_model.folder, "--quiet")
    assert failed.returncode == 1
    assert f"{shown}{os.sep}suite2p{os.sep}plane0 has results already" in failed.stderr.decode(encoding)
    missing = run(encoding, "inspect", tmp_path / name / "nothing")
    assert missing.returncode != 0 and shown in missing.stderr.decode(encoding)
    assert b"Traceback" not in missing.stderr + failed.stderr and b"unforeseen" not in missing.stderr + failed.stderr


def test_json_is_the_same_everywhere(tmp_path, random_model):
    name = NAMES["cp1252"]
    make_plane(tmp_path / name / "suite2p" / "plane0", n_rois=2, n_frames=200)
    outputs = [run(encoding, "inspect", tmp_path / name, "--json").stdout for encoding in ("ascii", "utf-8")]
    assert outputs[0].replace(b"\r\n", b"\n") == outputs[1].replace(b"\r\n", b"\n")
    assert name in json.loads(outputs[0])[0]["path"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text_at_all(tmp_path, random_model):
    folder = os.fsencode(tmp_path) + b"/mouse \xff"
    make_plane(tmp_path / "plain" / "plane0", n_rois=2, n_frames=200)
    os.rename(tmp_path / "plain", folder)
    done = run("utf-8", "run", os.fsdecode(folder), "--model", random_model.folder, "--quiet")
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"mouse \udcff" in done.stdout


def test_no_colours_and_no_signs_of_a_terminal_in_a_pipe(tmp_path):
    """Progress is shown on terminals alone."""
    make_plane(tmp_path / "plane0", n_rois=2, n_frames=200)
    done = run("utf-8", "run", tmp_path)
    assert done.returncode == 0 and b"\x1b" not in done.stdout + done.stderr
    assert b"\r" not in done.stderr.replace(b"\r\n", b"\n")


def test_streams_that_are_something_else_stay_as_they_are(capsys, tmp_path):
    """As in notebooks and in tests, whose streams cannot be set."""
    main(["models", "list"])
    assert "universal" in capsys.readouterr().out
