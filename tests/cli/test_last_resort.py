"""Whatever happens, a user sees one line: every command, every bug, and an interruption at any time."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cascade_adapters.cli import main
from tests.builders.suite2p_folders import hashes, make_plane

#: Every command, and a function that it calls.
CALLED = {
    "demo": (["demo", "{new}"], "cascade_adapters.demo.example.write_recording"),
    "inspect": (["inspect", "{plane}"], "cascade_adapters.running.inspection.report_on"),
    "run": (["run", "{plane}", "--quiet"], "cascade_adapters.running.pipeline.infer_block"),
    "run: finding": (["run", "{plane}"], "cascade_adapters.running.finding.list_containers"),
    "spikes": (["spikes", "{plane}"], "cascade_adapters.running.batch.add_spikes"),
    "report": (["report", "{plane}"], "cascade_adapters.pages.writing.recording_page"),
    "restore": (["restore", "{plane}"], "cascade_adapters.containers.suite2p.plane.Suite2pPlane.restore"),
    "convert": (["convert", "{plane}", "{new}.npz"], "cascade_adapters.convert.session.find_containers"),
    "models list": (["models", "list"], "cascade_engine.networks.store.list_models"),
    "models show": (["models", "show", "universal"], "cascade_engine.networks.store.load_model"),
    "models import": (["models", "import", "{plane}"], "cascade_engine.networks.windowed.published.import_published"),
    "models verify": (["models", "verify"], "cascade_engine.networks.store.Model.verify"),
    "train": (["train", "{config}"], "cascade_engine.networks.families.read_configuration"),
    "benchmark": (["benchmark"], "cascade_engine.networks.store.load_model"),
    "ground-truth list": (["ground-truth", "list"], "cascade_engine.ground_truth.ground_truth_root"),
    "ground-truth show": (["ground-truth", "show", "DS09"], "cascade_engine.ground_truth.folder_name"),
    "ground-truth explore": (["ground-truth", "explore"], "cascade_engine.ground_truth.ground_truth_root"),
    "ground-truth fetch": (["ground-truth", "fetch", "DS09"], "cascade_engine.ground_truth.fetching.fetch"),
    "ground-truth check": (["ground-truth", "check", "{plane}"], "cascade_engine.ground_truth.find_datasets"),
    "ground-truth simulate": (["ground-truth", "simulate", "{new}"], "cascade_engine.ground_truth.simulate_dataset"),
}


def test_numbers_of_any_size_give_no_warning_of_numpy(tmp_path):
    """In a process of its own: pytest shows warnings itself."""
    plane = make_plane(tmp_path / "plane0").folder
    for name in ("F.npy", "Fneu.npy"):
        values = np.load(plane / name).astype(np.float64)
        values[0, ::7], values[1, 5], values[2] = 1e300, np.inf, -np.inf
        np.save(plane / name, values)
    for command in (["inspect"], ["run", "--quiet"], ["spikes"]):
        done = subprocess.run(
            [sys.executable, "-m", "cascade_adapters", *command, str(plane)], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", CALLED)
def test_a_bug_is_one_line_and_its_traceback_is_in_the_log_alone(name, tmp_path, capsys, monkeypatch):
    arguments, function = CALLED[name]
    plane = make_plane(tmp_path / "plane0").folder
    config = tmp_path / "config.yaml"
    config.write_text("model_name: m")
    before = hashes(tmp_path)

    def fail(*args, **options):
        raise ZeroDivisionError("a bug\nin two lines")

    monkeypatch.setattr(function, fail)
    arguments = [text.format(plane=plane, config=config, new=tmp_path / "new") for text in arguments]
    for log in ([], ["--log", str(tmp_path / "log.txt")]):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([*arguments, *log])
        out, err = capsys.readouterr()
        assert (end.value.code, out) == (1, "")
        assert err.count("\n") == 1 and "Traceback" not in err
        assert "unforeseen failure, please report it: ZeroDivisionError: a bug in two lines" in err
        assert ("(details with --log FILE)" in err) == (not log)
    told = (tmp_path / "log.txt").read_text()
    assert told.count("Traceback (most recent call last)") == 1 and "ZeroDivisionError: a bug\nin two lines" in told
    (tmp_path / "log.txt").unlink()
    assert hashes(tmp_path) == before


def every_command() -> list[list[str]]:
    """Names of all commands, those of groups after the group's."""
    import click

    from cascade_adapters.cli.command import cascade

    found = []
    for name in cascade.list_commands(click.Context(cascade)):
        command = cascade.get_command(click.Context(cascade), name)
        names = [[name, each] for each in command.commands] if isinstance(command, click.Group) else [[name]]
        found += names
    return found


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_every_command_has_a_log_and_is_tested_above(command, capsys):
    main([*command, "--help"])
    assert "--log FILE" in capsys.readouterr().out
    assert " ".join(command) in CALLED


@pytest.mark.parametrize("module", ["click", "numpy", "cascade_engine", "cascade_adapters.cli.inspect"])
@pytest.mark.parametrize(("raised", "status"), [("KeyboardInterrupt", 130), ("RuntimeError('broken')", 1)])
def test_an_import_that_is_interrupted_or_fails(module, raised, status, tmp_path):
    """From the very first import on."""
    hook = f"""
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise {raised}

sys.meta_path.insert(0, Finder())
"""
    (tmp_path / "sitecustomize.py").write_text(hook)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "cascade_adapters", "inspect", "."]
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONPATH": path}
    )
    assert (result.returncode, result.stdout) == (status, "")
    (line,) = result.stderr.strip().splitlines()
    told = "interrupted" if status == 130 else "cascade: unforeseen failure, please report it: RuntimeError: broken"
    assert line.startswith("cascade: ") and told in line


def test_python_m(tmp_path):
    command = [sys.executable, "-m", "cascade_adapters"]
    result = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("cascade, version ")
    result = subprocess.run([*command, "inspect", str(tmp_path)], capture_output=True, text=True)
    assert result.returncode == 1 and result.stderr.startswith(f"failed: {tmp_path} holds nothing")
