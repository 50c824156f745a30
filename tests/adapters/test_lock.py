"""One run at a time changes a file; others wait for it, as long as they were asked to."""

import os
import subprocess
import sys
import threading

import pytest

from cascade_adapters.containers.searching import files_below
from cascade_adapters.safe_writing import names
from cascade_adapters.safe_writing.lock import is_under_way, lock, under_way, waiting
from cascade_adapters.safe_writing.lock_file import LockFile
from cascade_engine.errors import InputError
from tests.builders.killing import forked, needs_fork
from tests.builders.locking import locked_by_process, locked_elsewhere


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.hdf5"


def test_without_waiting_another_run_is_one_clear_line_at_once(path):
    with locked_by_process(path), pytest.raises(InputError) as caught, lock(path, wait_s=0):
        pass
    assert str(caught.value) == f"{path} is being changed by another run: wait for it to end, or pass --wait"


def test_the_line_says_how_long_it_was_waited(path):
    said = []
    with (
        locked_by_process(path),
        waiting(0.2, said.append),
        pytest.raises(InputError, match=r"results.hdf5 is being changed by another run, and still is after 0.2 s: "),
        lock(path),
    ):
        pass
    assert said == [f"{path} is being changed by another run: waiting up to 0.2 s for it to end"]


@pytest.mark.parametrize("end", ["closed", "killed"])
def test_a_run_goes_on_when_the_other_has_ended(path, end):
    said = []
    with locked_by_process(path) as other:

        def say(message):
            said.append(message)
            if end == "killed":
                other.kill()
            else:
                other.stdin.close()

        with waiting(60, say), lock(path):
            assert len(said) == 1
    assert not names.lock_file(path).exists()


def test_nothing_is_said_where_nobody_is_in_the_way(path):
    said = []
    with waiting(60, said.append), lock(path), lock(path.with_name("other")):
        pass
    assert said == []


def test_a_thread_may_lock_again_what_it_has_locked(path):
    with lock(path):
        with lock(path, wait_s=0), lock(path.parent / "." / path.name, wait_s=0):
            pass
        with pytest.raises(InputError), locked_in_thread(path):
            pass
    with locked_in_thread(path):
        pass


def locked_in_thread(path):
    """Lock within another thread; fails as that fails."""
    failures = []

    def attempt():
        try:
            with lock(path, wait_s=0):
                pass
        except InputError as error:
            failures.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return lock(path, wait_s=0)


def test_threads_exclude_each_other(path):
    with locked_elsewhere(path), pytest.raises(InputError, match="another run"), lock(path):
        pass


@needs_fork
def test_a_forked_process_does_not_hold_what_its_parent_holds(path):
    def refused():
        assert not is_under_way(path)
        with pytest.raises(InputError, match="another run"), lock(path, wait_s=0):
            pass

    with lock(path), under_way(path):
        assert forked(refused) == 0
        assert is_under_way(path)
    assert forked(lambda: lock(path, wait_s=0).__enter__()) == 0
    with lock(path, wait_s=0):  # the process that held it has ended without releasing it
        pass


@needs_fork
def test_a_forked_process_that_lives_on_keeps_nothing_locked(path):
    reading, writing = os.pipe()
    with lock(path):
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
    try:
        with lock(path, wait_s=0):
            pass
    finally:
        os.close(writing)
        os.close(reading)
        os.waitpid(child, 0)


def test_an_error_unlocks(path):
    with pytest.raises(ZeroDivisionError), lock(path):
        raise ZeroDivisionError
    with locked_in_thread(path):
        pass


def test_a_temporary_folder_that_cannot_be_written_to_is_one_clear_line(path, monkeypatch):
    monkeypatch.setattr(names, "lock_file", lambda path: path.parent / "no folder" / "lock")
    with pytest.raises(InputError, match=r"results.hdf5 cannot be locked: .*No such file or directory"), lock(path):
        pass


def test_only_this_thread_is_changing_what_it_changes(path):
    seen = []
    with under_way(path):
        thread = threading.Thread(target=lambda: seen.append(is_under_way(path)))
        thread.start()
        thread.join()
        assert is_under_way(path) and seen == [False]
    assert not is_under_way(path)


_COUNTS = """
import sys
from pathlib import Path
from cascade_adapters.safe_writing.lock import lock

counter = Path(sys.argv[1])
for _ in range(100):
    with lock(counter):
        counter.write_text(str(int(counter.read_text()) + 1))
"""


def test_processes_that_wait_for_each_other_lose_nothing(tmp_path):
    """A lock file that is removed while another process has just opened it would let two in."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    running = [subprocess.Popen([sys.executable, "-c", _COUNTS, str(counter)]) for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    assert counter.read_text() == "400"


def test_a_lock_file_that_was_removed_while_it_was_opened_is_not_taken(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    opened = os.open

    def removed_meanwhile(*arguments):
        handle = opened(*arguments)
        monkeypatch.undo()
        path.unlink()
        return handle

    monkeypatch.setattr(os, "open", removed_meanwhile)
    first, second = LockFile(path), LockFile(path)
    assert first.acquire() and path.exists()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()
    assert not path.exists()


# ---------------------------------------------------------------------------------------------------------------- names


def test_every_name_is_recognised(tmp_path):
    for name in ("results.hdf5", "F.npy", "session_cascade.nwb.zarr", ".hidden", "ü 1", "x" * 250, "ü" * 120):
        path = tmp_path / name
        journals = [names.pending_journal(path), names.next_journal(path), names.journal(path, 1)]
        journals += [names.journal(path, 12), *(names.journal_part(journal) for journal in journals)]
        made = [*journals, names.staging(tmp_path, name), names.part(path), names.old(path)]
        made.append(path.with_name(names.copy_prefix(path) + "a1b2_c3d"))
        for each in made:
            assert names.is_ours(each.name) and each.parent == tmp_path and len(os.fsencode(each.name)) <= 255
            assert not names.is_ours(path.name)
        assert len(set(made)) == len(made)
    spool = tmp_path / (names.spool_prefix() + "a1b2_c3d")
    for each in (names.staging(tmp_path), spool, names.spool_lock(spool)):
        assert names.is_ours(each.name)


@pytest.mark.parametrize(
    "name",
    [
        "cascade.json",
        "cascade_dff.npy",
        ".cascade",
        "x.cascade-undo1",
        ".x.part",
        ".x.cascade-undo1.bak",
        "cascade-old",
    ],
)
def test_other_names_are_not_ours(name):
    assert not names.is_ours(name)


def test_long_names_that_begin_alike_do_not_meet(tmp_path):
    paths = [tmp_path / ("x" * 240 + end) for end in ("1", "2")]
    assert names.part(paths[0]) != names.part(paths[1])


def test_folders_of_ours_are_not_searched(tmp_path):
    for place in (names.part(tmp_path / "out") / "plane0", tmp_path / "plane0"):
        place.mkdir(parents=True)
        (place / "F.npy").touch()
    assert list(files_below(tmp_path)) == [tmp_path / "plane0" / "F.npy"]
    assert len(list(files_below(names.part(tmp_path / "out")))) == 1
