"""Results that wait on the disk: right, bounded in memory, and removed with the run that left them."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.running.batch import restore_all
from cascade_adapters.safe_writing import names
from cascade_adapters.safe_writing.folder import change_folder
from cascade_adapters.safe_writing.spool import Spool, remove_leftovers
from cascade_engine.errors import InputError
from cascade_engine.file_formats.npy import ArrayOnDisk
from tests.builders.killing import forked, needs_fork
from tests.builders.suite2p_folders import make_plane

_SPOOLS = """
import sys
from pathlib import Path
import numpy as np
from cascade_adapters.safe_writing.spool import Spool

with Spool.beside(Path(sys.argv[1])) as spool:
    spool.array("dff", (4, 3), "f4").append(np.ones((2, 3)))
    print("spooling", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def live(tmp_path):
    """Another process with a spool in a folder."""
    command = [sys.executable, "-c", _SPOOLS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"spooling\n"
        yield process
        process.kill()


@pytest.mark.parametrize("folder", [True, None])
def test_what_is_appended_is_there(tmp_path, folder):
    values = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)
    with Spool.beside(tmp_path if folder else None) as spool:
        matrix, vector = spool.array("dff", (7, 5), "float32"), spool.array("noise_levels", (7,), np.float32)
        for rows in (slice(0, 3), slice(3, 3), slice(3, 7)):
            matrix.append(values[rows].astype(np.float64))
            vector.append(np.asfortranarray(values)[rows, 1])
        matrix, vector = matrix.finish(), vector.finish()
        np.testing.assert_array_equal(matrix[2:4], values[2:4], strict=True)
        np.testing.assert_array_equal(np.asarray(matrix), values, strict=True)
        np.testing.assert_array_equal(vector[:], values[:, 1], strict=True)
        if folder:
            np.save(tmp_path / "reference.npy", values)
            assert isinstance(matrix, ArrayOnDisk)
            assert matrix.path.read_bytes() == (tmp_path / "reference.npy").read_bytes()
            (tmp_path / "reference.npy").unlink()
            (lock, _) = sorted(tmp_path.iterdir(), key=lambda path: path.is_dir())
            assert names.is_ours(lock.name) and names.is_ours(matrix.path.parent.name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", [True, None])
def test_blocks_are_written_in_any_order(tmp_path, folder):
    values = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)
    with Spool.beside(tmp_path if folder else None) as spool:
        matrix = spool.array("traces", (7, 5), "float32")
        for rows, columns in (((3, 7), (2, 5)), ((0, 3), (0, 5)), ((3, 7), (0, 2))):
            rows, columns = slice(*rows), slice(*columns)
            matrix.write(rows, columns, np.asfortranarray(values[rows, columns]).astype(np.float64))
        np.testing.assert_array_equal(matrix.finish()[:], values, strict=True)


def test_an_array_that_is_not_complete_cannot_be_used(tmp_path):
    with Spool.beside(tmp_path) as spool:
        array = spool.array("dff", (3, 5), "f4")
        array.append(np.zeros((2, 5)))
        with pytest.raises(AssertionError, match=r"dff.npy lacks 5 values"):
            array.finish()
        for wrong in (np.zeros((2, 5)), np.zeros((1, 4))):
            with pytest.raises(AssertionError):
                array.append(wrong)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_nothing(tmp_path, error):
    with pytest.raises(error), Spool.beside(tmp_path) as spool:
        spool.array("dff", (3, 5), "f4").append(np.zeros((2, 5)))
        raise error
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------------ leftovers


def test_a_live_spool_stays_and_a_killed_one_goes(tmp_path, live):
    there = {path.name for path in tmp_path.iterdir()}
    with Spool.beside(tmp_path) as spool:
        spool.array("dff", (3, 5), "f4")
        assert there < {path.name for path in tmp_path.iterdir()}
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == there and len(there) == 2
    live.kill()
    live.wait()
    assert {path.name for path in tmp_path.iterdir()} == there
    (tmp_path / ".cascade-spool-of-another-computer").mkdir()
    with Spool.beside(tmp_path):
        left = {path.name for path in tmp_path.iterdir()}
        assert not there & left and len(left) == 3
    assert [path.name for path in tmp_path.iterdir()] == [".cascade-spool-of-another-computer"]


def test_a_spool_whose_process_ends_by_itself_goes(tmp_path, live):
    live.stdin.close()
    assert live.wait() == 0
    assert list(tmp_path.iterdir()) == []


@needs_fork
def test_killed_at_any_step_the_next_run_finds_nothing_left(tmp_path):
    """Killed before each system call that opens, makes or removes something."""
    calls = ("open", "mkdir", "unlink", "rmdir", "close", "scandir")
    for step in range(1000):

        def dying(step=step):
            left = [step]

            def wrap(function):
                def call(*arguments, **options):
                    if left[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    left[0] -= 1
                    return function(*arguments, **options)

                return call

            for name in calls:
                setattr(os, name, wrap(getattr(os, name)))
            with Spool.beside(tmp_path) as spool:
                spool.array("dff", (3, 5), "f4").append(np.zeros((2, 5)))

        status = forked(dying)
        remove_leftovers(tmp_path)
        assert list(tmp_path.iterdir()) == [], f"step {step}"
        if status == 0:
            break
    assert step > 5


# ------------------------------------------------------------------------------------------------------ folder and disk


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    """Results wait among the temporary files then; root may write anywhere, so the refusal is simulated."""
    lab, temporary, mkdir = tmp_path / "lab", tmp_path / "temporary", Path.mkdir
    lab.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    refused = [lab]

    def refuse(self, *arguments, **options):
        if self.parent in refused:
            raise PermissionError(errno.EACCES, "Permission denied")
        mkdir(self, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", refuse)
    with Spool.beside(lab) as spool:
        array = spool.array("dff", (1, 5), "f4")
        array.append(np.ones((1, 5)))
        assert array.finish().path.parent.parent == temporary
        assert list(lab.iterdir()) == []
    assert list(temporary.iterdir()) == []
    refused.append(temporary)
    with pytest.raises(InputError, match=r"results cannot wait in .*temporary: Permission denied$"), Spool.beside(lab):
        pass
    assert [*lab.iterdir(), *temporary.iterdir()] == []
    with Spool.beside(None) as spool:
        spool.array("dff", (1, 5), "f4")


def test_too_little_room_is_found_out_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**12, 10**12, 3_000_000_000))
    with Spool.beside(tmp_path) as spool:
        first = spool.array("dff", (1000, 500_000), "f4")
        expected = rf"{tmp_path} has 3.0 GB free, but results of 4.0 GB have to wait there until they are written: make"
        with pytest.raises(InputError, match=expected):
            spool.array("spike_prob", (1000, 500_000), "f4")
        first.append(np.zeros((1, 500_000)))


@needs_fork
def test_a_disk_that_fills_up_is_one_clear_line(tmp_path):
    resource = pytest.importorskip("resource")

    def until_full():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        expected = rf"results cannot wait in {tmp_path}: File too large"
        with pytest.raises(InputError, match=expected), Spool.beside(tmp_path) as spool:
            array = spool.array("dff", (10, 1000), "f4")
            for _ in range(10):
                array.append(np.zeros((1, 1000)))
            array.finish()

    assert forked(until_full) == 0
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------------------------- adopt


@pytest.mark.parametrize("is_on_another_file_system", [False, True])
def test_a_finished_array_becomes_a_file_of_the_folder(tmp_path, monkeypatch, is_on_another_file_system):
    rename, values = os.rename, np.arange(15, dtype=np.float32).reshape(3, 5)

    def across(source, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    with Spool.beside(tmp_path) as spool:
        array = spool.array("dff", (3, 5), "f4")
        array.append(values)
        found = array.finish()
        with change_folder(tmp_path) as transaction:
            monkeypatch.setattr(os, "rename", across if is_on_another_file_system else rename)
            transaction.adopt("cascade_dff.npy", found.path)
            assert not (tmp_path / "cascade_dff.npy").exists() and transaction.staged("cascade_dff.npy").exists()
        assert found.path.exists() == is_on_another_file_system
    assert [path.name for path in tmp_path.iterdir()] == ["cascade_dff.npy"]
    np.testing.assert_array_equal(np.load(tmp_path / "cascade_dff.npy"), values)
    (tmp_path / "reference").touch()
    assert (tmp_path / "cascade_dff.npy").stat().st_mode == (tmp_path / "reference").stat().st_mode


def test_what_cannot_be_adopted_leaves_the_folder_as_it_was(tmp_path):
    with pytest.raises(InputError, match=r"cannot be changed: No such file"), change_folder(tmp_path) as transaction:
        transaction.adopt("cascade_dff.npy", tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


def test_restore_removes_what_killed_runs_have_left_waiting(tmp_path, live):
    plane = make_plane(tmp_path / "plane0").folder
    for left in list(tmp_path.glob(".cascade-spool-*")):
        left.rename(plane / left.name)
    n_files = len(list(plane.iterdir()))
    live.kill()
    live.wait()
    (report,) = restore_all([Suite2pPlane(plane)])
    assert report.status != "failed" and len(list(plane.iterdir())) == n_files - 2
