"""``--wait``: a command that writes waits for another run that changes the same files."""

import time
from types import SimpleNamespace

import pytest

from cascade_adapters.cli import main
from cascade_adapters.safe_writing.lock import DEFAULT_WAIT_S
from tests.builders.locking import locked_by_process
from tests.builders.suite2p_folders import hashes, make_plane


@pytest.fixture
def plane(tmp_path, random_model):
    """A plane with results."""
    folder = make_plane(tmp_path / "plane0").folder
    main(["run", str(folder), "--model", str(random_model.folder), "--quiet"])
    return folder


@pytest.fixture
def commands(plane, random_model, tmp_path):
    """Every command that changes files, and what it changes."""
    again = ["--model", str(random_model.folder), "--existing", "overwrite", "--quiet"]
    return {
        "run": (["run", str(plane), *again], plane),
        "spikes": (["spikes", str(plane)], plane),
        "restore": (["restore", str(plane)], plane),
        "convert": (["convert", str(plane), str(tmp_path / "new.npz")], tmp_path / "new.npz"),
    }


@pytest.mark.parametrize("name", ["run", "spikes", "restore", "convert"])
def test_no_waiting(name, commands, tmp_path, capsys):
    arguments, changed = commands[name]
    before = hashes(tmp_path)
    with locked_by_process(changed):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([*arguments, "--wait", "0"])
    assert end.value.code == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"{changed} is being changed by another run: wait for it to end, or pass --wait" in err
    assert hashes(tmp_path) == before
    main(arguments)


@pytest.mark.parametrize("name", ["run", "spikes", "restore", "convert"])
def test_waiting_until_the_other_run_has_ended(name, commands, capsys, monkeypatch):
    arguments, changed = commands[name]
    with locked_by_process(changed) as process:

        def sleep(seconds):
            process.kill()
            time.sleep(seconds)

        clock = SimpleNamespace(monotonic=time.monotonic, sleep=sleep)
        monkeypatch.setattr("cascade_adapters.safe_writing.lock.time", clock)
        capsys.readouterr()
        main([*arguments, "--wait", "30"])
    err = capsys.readouterr().err
    assert err == f"cascade: {changed} is being changed by another run: waiting up to 30 s for it to end\n"


def test_waiting_in_vain(commands, capsys):
    arguments, changed = commands["restore"]
    with locked_by_process(changed), pytest.raises(SystemExit) as end:
        main([*arguments, "--wait", "0.1"])
    assert end.value.code == 1
    assert "and still is after 0.1 s: run again when that has ended, or pass a longer --wait" in capsys.readouterr().err


def test_the_default(commands, monkeypatch):
    waited = []

    def acquire(file, path, wait_s):
        waited.append(wait_s)
        raise KeyboardInterrupt

    monkeypatch.setattr("cascade_adapters.safe_writing.lock._acquire", acquire)
    for arguments, _ in commands.values():
        with pytest.raises(SystemExit):
            main(arguments)
    assert waited == [DEFAULT_WAIT_S] * len(commands) == [60.0] * len(commands)


@pytest.mark.parametrize("value", ["-1", "soon"])
def test_values_that_make_no_sense(value, plane):
    with pytest.raises(SystemExit) as end:
        main(["restore", str(plane), "--wait", value])
    assert end.value.code == 2
