"""Changes to a folder happen all or not at all, wherever a run is killed."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.results import Results
from cascade_adapters.safe_writing import folder as safe_folder
from cascade_adapters.safe_writing.folder import change_folder, finish_interrupted
from cascade_adapters.safe_writing.lock import waiting
from cascade_engine.errors import InputError
from tests.builders.killing import forked, fresh, kills, needs_fork, sigkilled
from tests.builders.locking import in_another_thread
from tests.builders.running import made_up_record, made_up_results
from tests.builders.suite2p_folders import hashes, make_plane

#: Code within which every line counts as well: what is written by then may still be in a buffer, and lost.
OWN_CODE = ("folder.py", "plane.py", "atomic.py", "lock.py", "fsync.py")

N_ROIS, N_FRAMES = 2, 40


def results(value: float) -> Results:
    """Results that differ from those of another value in every file."""
    spike_prob = np.full((N_ROIS, N_FRAMES), value, np.float32)
    spike_prob[:, :3] = np.nan
    record = made_up_record(N_ROIS, N_FRAMES, value=value)
    return made_up_results(spike_prob, noise_levels=np.full(N_ROIS, value), record=record)


def write(folder: Path, value: float, replace_spikes: bool = True) -> None:
    Suite2pPlane(folder).write(results(value), replace_spikes)


def restore(folder: Path) -> None:
    Suite2pPlane(folder).restore()


def open_again(folder: Path) -> None:
    """What every command does first."""
    Suite2pPlane(folder).record()


def kill_everywhere(template: Path, action, folder: Path):
    """Kill an action on a fresh copy of a folder wherever it leaves something new; yields the point each time."""
    return kills(lambda: fresh(template, folder), lambda: action(folder), folder, OWN_CODE)


def is_committed(folder: Path) -> bool:
    """Whether the changes are listed, so that they will be finished."""
    return (folder / ".cascade-staging" / "changes.json").exists()


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    """Folders before any run, after a first one, and after a second; the spikes replaced in both."""
    root = tmp_path_factory.mktemp("states")
    make_plane(root / "untouched", N_ROIS, N_FRAMES)
    for name, source, value in (("first", "untouched", 1.0), ("second", "first", 2.0)):
        shutil.copytree(root / source, root / name)
        write(root / name, value)
    return root


SCENARIOS = {
    "first run": ("untouched", lambda folder: write(folder, 1.0), "first"),
    "second run": ("first", lambda folder: write(folder, 2.0), "second"),
    "restore": ("second", restore, "untouched"),
}


def test_changes_are_carried_out_in_order(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(f"old {name}")
    os.utime(tmp_path / "a", (1e9, 1e9))
    with change_folder(tmp_path) as transaction:
        transaction.copy("a", "a copy")
        with transaction.writing("a") as file:
            file.write(b"new a")
        assert transaction.staged("a").exists()
        transaction.move("b", "d")
        transaction.remove("c")
        transaction.remove("never there")
        assert sorted(path.name for path in tmp_path.iterdir()) == [".cascade-staging", "a", "b", "c"]
        assert (tmp_path / "a").read_text() == "old a"
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"a": "new a", "a copy": "old a", "d": "old b"}
    assert (tmp_path / "a copy").stat().st_mtime == 1e9


def test_a_transaction_without_changes_leaves_nothing(tmp_path):
    with change_folder(tmp_path):
        pass
    finish_interrupted(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_changed", [False, True])
def test_listed_changes_are_finished_in_a_copy_of_the_folder(tmp_path, monkeypatch, is_changed):
    """Copying gives files new times; what tells whether somebody has changed one is its content."""
    old = tmp_path / "old"
    old.mkdir()
    for name in ("a", "b"):
        (old / name).write_bytes(f"old {name}".encode() * 100_000)

    def killed(folder, staging):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(safe_folder, "_carry_out", killed)
        with change_folder(old) as transaction:
            for name in ("a", "b"):
                with transaction.writing(name) as file:
                    file.write(b"new")
    new = Path(shutil.copytree(old, tmp_path / "new", copy_function=shutil.copyfile))
    if is_changed:
        (new / "b").write_bytes(b"else" + (new / "b").read_bytes()[4:])
    finish_interrupted(new)
    assert sorted(path.name for path in new.iterdir()) == ["a", "b"]
    assert (new / "a").read_bytes() == b"new"
    assert (new / "b").read_bytes()[:4] == (b"else" if is_changed else b"new")


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_leaves_the_folder_as_it_was(states, tmp_path, error):
    folder = Path(shutil.copytree(states / "first", tmp_path / "plane0"))
    with pytest.raises(type(error)), change_folder(folder) as transaction:
        transaction.copy("spks.npy", "spks copy.npy")
        with transaction.writing("spks.npy") as file:
            file.write(b"half of ")
        transaction.remove("F.npy")
        raise error
    assert hashes(folder) == hashes(states / "first")


@pytest.mark.parametrize("scenario", ["first run", "second run"])
def test_a_full_disk_leaves_the_folder_as_it_was(states, tmp_path, monkeypatch, scenario):
    """At whichever file it happens."""
    before, action, after = SCENARIOS[scenario]
    folder = Path(shutil.copytree(states / before, tmp_path / "plane0"))
    real_fsync, n_failed = os.fsync, 0
    for at in range(100):
        calls = 0

        def full(handle, at=at):
            nonlocal calls
            calls += 1
            if calls == at + 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            real_fsync(handle)

        monkeypatch.setattr(os, "fsync", full)
        try:
            action(folder)
        except InputError as error:
            assert str(error) == f"{folder} cannot be changed: No space left on device"
            n_failed += 1
        if calls <= at:
            break
        if hashes(folder) != hashes(states / before):
            # the last one is of the folder itself: all changes have been carried out by then
            monkeypatch.setattr(os, "fsync", real_fsync)
            open_again(folder)
            assert hashes(folder) == hashes(states / after)
            break
    assert n_failed >= 5


def test_a_folder_that_cannot_be_written_to_is_one_clear_error(states, tmp_path, monkeypatch):
    """Root may write anywhere, so the refusal is simulated."""
    folder = Path(shutil.copytree(states / "first", tmp_path / "plane0"))

    def refuse(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(InputError, match=r"plane0 cannot be changed: Permission denied$"):
        write(folder, 2.0)
    monkeypatch.undo()
    assert hashes(folder) == hashes(states / "first")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_clear_error(states, tmp_path):
    folder = Path(shutil.copytree(states / "first", tmp_path / "plane0"))
    folder.chmod(0o555)
    try:
        with pytest.raises(InputError, match=r"plane0 cannot be changed: Permission denied$"):
            write(folder, 2.0)
        assert hashes(folder) == hashes(states / "first")
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_failing_rename_is_made_good_by_the_next_run(states, tmp_path, monkeypatch, scenario):
    """On Windows a file that another program has open cannot be replaced."""
    before, action, after = SCENARIOS[scenario]
    folder = Path(shutil.copytree(states / before, tmp_path / "plane0"))
    real_replace = os.replace

    def replace(source, target):
        if Path(target).name == "spks.npy":
            raise PermissionError(errno.EACCES, "Permission denied")
        real_replace(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(InputError, match="cannot be changed: Permission denied"):
        action(folder)
    with pytest.raises(InputError, match=r"killed run.*plane0 cannot be finished: .*Permission denied"):
        open_again(folder)
    monkeypatch.undo()
    open_again(folder)
    assert hashes(folder) == hashes(states / after)


@needs_fork
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_at_every_moment(states, tmp_path, scenario):
    """Opened again the folder is as before the run or as after it, and nothing is left over."""
    before, action, after = SCENARIOS[scenario]
    old, new = hashes(states / before), hashes(states / after)
    seen = []
    for at in kill_everywhere(states / before, action, tmp_path / "plane0"):
        committed = is_committed(tmp_path / "plane0")
        open_again(tmp_path / "plane0")
        found = hashes(tmp_path / "plane0")
        assert found in (old, new), f"operation {at}"
        assert not committed or found == new, f"operation {at}"
        seen.append(found == new)
    assert sorted(seen) == seen  # once it is new it stays new
    assert seen.count(False) >= 4 and seen.count(True) >= 4


@needs_fork
@pytest.mark.parametrize("scenario", ["second run", "restore"])
def test_killed_again_while_a_killed_run_is_finished(states, tmp_path, scenario):
    before, action, after = SCENARIOS[scenario]
    new, folder, n_kills = hashes(states / after), tmp_path / "plane0", 0
    for at in kill_everywhere(states / before, action, folder):
        if not is_committed(folder):
            continue
        interrupted = Path(shutil.copytree(folder, tmp_path / f"interrupted{at}"))
        for again in kill_everywhere(interrupted, open_again, tmp_path / "again"):
            open_again(tmp_path / "again")
            assert hashes(tmp_path / "again") == new, f"operations {at}, {again}"
            n_kills += 1
    assert n_kills > 20


@needs_fork
def test_killed_by_the_system_at_any_time(states, tmp_path):
    """A process that writes two results in turn, over and over, and is sent SIGKILL."""
    folder = Path(shutil.copytree(states / "second", tmp_path / "plane0"))
    allowed = [hashes(states / "second")]
    write(folder, 1.0)
    allowed.append(hashes(folder))
    rng, seen = np.random.default_rng(0), set()

    def write_forever():
        while True:
            write(folder, 2.0)
            write(folder, 1.0)

    for n_kills in range(500):
        if n_kills >= 20 and seen == {0, 1}:
            break
        sigkilled(write_forever, after_s=rng.uniform(0.005, 0.06))
        open_again(folder)
        assert hashes(folder) in allowed
        seen.add(allowed.index(hashes(folder)))
    assert seen == {0, 1}
    restore(folder)
    assert hashes(folder) == hashes(states / "untouched")


@needs_fork
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_spikes_changed_after_a_kill_survive(states, tmp_path, scenario):
    """By suite2p run once more, say, before anything of ours is opened."""
    before, action, _ = SCENARIOS[scenario]
    folder, n_committed = tmp_path / "plane0", 0
    for at in kill_everywhere(states / before, action, folder):
        n_committed += is_committed(folder)
        np.save(folder / "spks.npy", np.full((N_ROIS, N_FRAMES), 77.0, np.float32))
        theirs = hashes(folder)["spks.npy"]
        open_again(folder)
        assert hashes(folder)["spks.npy"] == theirs, f"operation {at}"
        restore(folder)
        left = hashes(folder)
        left.pop("spks_suite2p.npy", None)
        assert left == hashes(states / "untouched") | {"spks.npy": theirs}, f"operation {at}"
    assert n_committed >= 5


def test_a_second_run_at_once_is_refused_and_harms_nothing(states, tmp_path):
    folder = Path(shutil.copytree(states / "first", tmp_path / "plane0"))
    with change_folder(folder) as transaction:
        with transaction.writing("note") as file:
            file.write(b"first")
        for action in (lambda: write(folder, 2.0), lambda: restore(folder), lambda: open_again(folder)):
            with pytest.raises(InputError, match=r"plane0 is being changed by another run"):
                in_another_thread(action)
        assert transaction.staged("note").read_bytes() == b"first"
    assert (folder / "note").read_bytes() == b"first"
    (folder / "note").unlink()
    assert hashes(folder) == hashes(states / "first")
    write(folder, 2.0)
    assert hashes(folder) == hashes(states / "second")


@needs_fork
def test_a_second_process_at_once_is_refused(states, tmp_path):
    folder = Path(shutil.copytree(states / "first", tmp_path / "plane0"))

    def refused():
        with waiting(0), pytest.raises(InputError, match="another run"):
            write(folder, 2.0)

    with change_folder(folder):
        assert forked(refused) == 0
    assert forked(lambda: write(folder, 2.0)) == 0
    assert hashes(folder) == hashes(states / "second")


def test_two_folders_can_be_changed_at_once(states, tmp_path):
    one, other = (Path(shutil.copytree(states / "first", tmp_path / name)) for name in ("plane0", "plane1"))
    with change_folder(one):
        write(other, 2.0)
    assert hashes(other) == hashes(states / "second")
