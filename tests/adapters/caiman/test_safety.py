"""A file of CaImAn's is whole whatever happens: kills, full disks, damage, other programs."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from cascade_adapters.containers.base import Reading
from cascade_adapters.containers.caiman.file import CaimanFile
from cascade_adapters.results import Results
from cascade_adapters.safe_writing import names
from cascade_adapters.safe_writing.copy import rewriting
from cascade_adapters.safe_writing.journal import Journal
from cascade_adapters.safe_writing.lock import lock, waiting
from cascade_adapters.safe_writing.overlay import OverlayFile
from cascade_engine.errors import InputError
from cascade_engine.file_formats.atomic import sha256
from tests.builders.caiman_files import content, make_file
from tests.builders.killing import forked, kills, needs_fork, sigkilled
from tests.builders.locking import in_another_thread, locked_elsewhere
from tests.builders.running import made_up_record, made_up_results

#: Code within which every line counts as a step.
OWN_CODE = ("copy.py", "lock.py", "fsync.py", "journal.py", "overlay.py")

SHAPE = (2, 80)


def results(value: float) -> Results:
    """Results that differ from those of another value."""
    spike_prob = np.full(SHAPE, value, np.float32)
    spike_prob[:, :3] = np.nan
    record = made_up_record(*SHAPE, 20.0, value=value)
    return made_up_results(spike_prob, noise_levels=np.full(SHAPE[0], value), record=record)


def write(path: Path, value: float, replace_spikes: bool = True) -> None:
    CaimanFile(path).write(results(value), replace_spikes)


def restore(path: Path) -> None:
    CaimanFile(path).restore()


def open_again(path: Path) -> None:
    """What every command does first; nothing but an undo journal that fits may be left beside the file then."""
    has_results = CaimanFile(path).record() is not None
    journal = names.journal(path, 1)
    assert {each.name for each in path.parent.iterdir()} == {path.name, *([journal.name] if has_results else [])}
    assert not has_results or Journal.read(journal).fits(path)


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    """A file before any run, after a first one, and after a second; the spikes replaced in both."""
    root = tmp_path_factory.mktemp("states")
    make_file(root / "untouched", n_components=SHAPE[0], n_frames=SHAPE[1], dff=None)
    for name, source, value in (("first", "untouched", 1.0), ("second", "first", 2.0)):
        copy(root / source, root / name)
        write(root / name, value)
    return root


@pytest.fixture
def path(states, tmp_path):
    return fresh(states / "first", tmp_path / "ordner mit ü" / "results 1.hdf5")


def fresh(template: Path, path: Path) -> Path:
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir()
    return copy(template, path)


def copy(source: Path, path: Path) -> Path:
    """Copy a file with its undo journal."""
    if names.journal(source, 1).exists():
        shutil.copy(names.journal(source, 1), names.journal(path, 1))
    return Path(shutil.copy(source, path))


SCENARIOS = {
    "first run": ("untouched", lambda path: write(path, 1.0), "first"),
    "second run": ("first", lambda path: write(path, 2.0), "second"),
    "restore": ("second", restore, "untouched"),
}


# ---------------------------------------------------------------------------------------------------------------- kills


@needs_fork
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_at_every_step(states, tmp_path, scenario):
    """The file is as before the run or as after it; what is left beside it goes with the next run."""
    before, action, after = SCENARIOS[scenario]
    old, new = sha256(states / before), sha256(states / after)
    seen, left = [], 0
    path = tmp_path / "f" / "r.hdf5"
    for at in kills(lambda: fresh(states / before, path), lambda: action(path), path.parent, OWN_CODE):
        found = sha256(path)
        assert found in (old, new), f"step {at}"
        seen.append(found == new)
        left += len(list(path.parent.iterdir())) > 1
        open_again(path)
        assert sha256(path) == found
    assert sorted(seen) == seen  # once it is new it stays new
    assert seen.count(False) >= 5 and seen.count(True) >= 2 and left >= 2


@needs_fork
def test_killed_by_the_system_at_any_time(states, tmp_path):
    """A process that writes two results in turn, over and over, and is sent SIGKILL."""
    path = fresh(states / "second", tmp_path / "f" / "r.hdf5")
    allowed = [sha256(states / "first"), sha256(states / "second")]
    rng, seen = np.random.default_rng(0), set()

    def write_forever():
        while True:
            write(path, 1.0)
            write(path, 2.0)

    for n_kills in range(200):
        if n_kills >= 15 and seen == {0, 1}:
            break
        # later and later, where the computer is busy
        sigkilled(write_forever, after_s=rng.uniform(0.005, 0.08 * 1.03**n_kills))
        assert sha256(path) in allowed
        seen.add(allowed.index(sha256(path)))
        open_again(path)
    assert seen == {0, 1}
    restore(path)
    assert sha256(path) == sha256(states / "untouched")


# ------------------------------------------------------------------------------------------------------- failing writes


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("step", ["record", "write", "put_back"])
def test_an_error_leaves_the_file_as_it_was(path, monkeypatch, error, step):
    def fail(*arguments):
        raise error

    before = sha256(path)
    monkeypatch.setattr(f"cascade_adapters.safe_writing.journal.Journal.{step}", fail)
    with pytest.raises(InputError if isinstance(error, OSError) else type(error)):
        write(path, 2.0)
    assert sha256(path) == before
    open_again(path)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("function", ["os.fsync", "os.replace", "shutil.copystat", "tempfile.mkstemp"])
def test_a_failing_system_call_leaves_the_file_as_it_was(states, tmp_path, monkeypatch, scenario, function):
    before, action, _ = SCENARIOS[scenario]
    path = fresh(states / before, tmp_path / "f" / "r.hdf5")

    def refuse(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(function, refuse)
        with pytest.raises(InputError, match=r"r.hdf5 cannot be changed: No space left on device$"):
            action(path)
    assert sha256(path) == sha256(states / before)
    open_again(path)


@needs_fork
def test_a_disk_that_fills_up_under_hdf5(path, tmp_path):
    """The system refuses whatever makes the file larger than it may be; HDF5 meets this deep inside."""
    resource = pytest.importorskip("resource")
    before, size = sha256(path), path.stat().st_size
    large = made_up_results(np.ones(SHAPE), record=made_up_record(*SHAPE, 20.0, long="x" * 3_000_000))

    def until_full():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100_000,) * 2)
        with pytest.raises(InputError, match="cannot be changed"):
            CaimanFile(path).write(large)

    assert forked(until_full) == 0
    assert sha256(path) == before
    open_again(path)


def test_too_little_room_is_found_out_at_once(path, monkeypatch):
    before = sha256(path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(InputError, match=r"results 1.hdf5 cannot be changed: 1 MB are needed beside it, 0 MB are free"):
        write(path, 2.0)
    assert sha256(path) == before


def test_what_cannot_be_read_back_is_not_put_in_place(path, monkeypatch):
    before = sha256(path)

    apply = OverlayFile.apply

    def damage(overlay):
        apply(overlay)
        (changed,) = names.copies(path)
        with h5py.File(changed, "r+") as file:
            file["estimates/cascade/dff"][0, 5] += 1

    monkeypatch.setattr(OverlayFile, "apply", damage)
    with pytest.raises(InputError, match=r"was not changed: what was written as .* cannot be read back"):
        write(path, 2.0)
    assert sha256(path) == before


# ------------------------------------------------------------------------------------------------------- undo journals


def test_a_journal_that_is_damaged_is_of_no_use_and_harms_nothing(states, path):
    journal = names.journal(path, 1)
    journal.write_bytes(journal.read_bytes()[:-1])
    done = CaimanFile(path).restore()
    assert done[-1].startswith("the rest is as it was, if not to the last byte")
    assert content(path) == content(states / "untouched") and not journal.exists()
    write(path, 1.0)
    restore(path)
    assert content(path) == content(states / "untouched") and not journal.exists()


@pytest.mark.parametrize("is_damaged", [False, True])
def test_the_journal_of_a_copy_that_never_took_its_place_is_removed(states, path, is_damaged):
    following = names.next_journal(path)
    shutil.copy(names.journal(states / "second", 1), following)
    if is_damaged:
        following.write_bytes(b"")
    open_again(path)
    restore(path)
    assert sha256(path) == sha256(states / "untouched")


def test_the_journal_of_a_copy_that_took_its_place_is_kept(states, path):
    names.journal(path, 1).rename(names.next_journal(path))
    shutil.copy(states / "second", path)
    shutil.copy(names.journal(states / "second", 1), names.next_journal(path))
    open_again(path)
    restore(path)
    assert sha256(path) == sha256(states / "untouched")


def test_a_restored_file_has_its_time_of_modification_again(states, tmp_path):
    path = fresh(states / "untouched", tmp_path / "f" / "r.hdf5")
    os.utime(path, ns=(10**18, 10**18))
    write(path, 1.0)
    assert path.stat().st_mtime_ns > 10**18
    write(path, 2.0)
    restore(path)
    assert path.stat().st_mtime_ns == 10**18


# ---------------------------------------------------------------------------------------------- the file and its folder


def test_a_read_only_file_is_refused(path):
    before = sha256(path)
    path.chmod(0o444)
    for action in (lambda: write(path, 2.0), lambda: restore(path)):
        with pytest.raises(InputError, match=r"results 1.hdf5 is read-only: make it writable"):
            action()
    assert sha256(path) == before
    assert CaimanFile(path).read(Reading(frame_rate=20.0)).shape == SHAPE
    open_again(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_clear_error(path):
    path.parent.chmod(0o555)
    try:
        with pytest.raises(InputError, match=r"cannot be changed: Permission denied"):
            write(path, 2.0)
    finally:
        path.parent.chmod(0o755)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_permissions_stay(path):
    path.chmod(0o640)
    write(path, 2.0)
    assert path.stat().st_mode & 0o777 == 0o640
    restore(path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(states, path, tmp_path):
    link = tmp_path / "link.hdf5"
    link.symlink_to(path)
    write(link, 2.0)
    assert link.is_symlink() and sha256(path) == sha256(states / "second")
    assert [each.path for each in CaimanFile.find(tmp_path)] == [link, path]
    assert CaimanFile(link).identity == CaimanFile(path).identity
    restore(link)
    assert link.is_symlink() and sha256(path) == sha256(states / "untouched")
    open_again(path)


def test_a_name_as_long_as_may_be(states, path):
    long = path.with_name("ü" * 120 + ".hdf5")
    for source, target in ((path, long), (names.journal(path, 1), names.journal(long, 1))):
        source.rename(target)
    write(long, 2.0)
    assert sha256(long) == sha256(states / "second")


def test_files_that_only_look_like_leftovers_stay(path):
    others = [path.with_name(name) for name in (f".{path.name}.part", ".cascade-0123.part", f"{path.name}.part")]
    for other in others:
        other.write_text("somebody else's")
    write(path, 2.0)
    restore(path)
    assert all(other.read_text() == "somebody else's" for other in others)


# ------------------------------------------------------------------------------------------------ other runs, programs


def test_a_second_run_at_once_is_refused_and_harms_nothing(states, path):
    with locked_elsewhere(path):
        for action in (lambda: write(path, 2.0), lambda: restore(path)):
            with pytest.raises(InputError, match=r"results 1.hdf5 is being changed by another run"):
                action()
    assert sha256(path) == sha256(states / "first")
    with rewriting(path) as copy:
        CaimanFile(path).record()
        assert copy.path.exists()
        with pytest.raises(InputError, match="another run"):
            in_another_thread(CaimanFile(path).record)
        assert copy.path.exists()
    write(path, 2.0)
    assert sha256(path) == sha256(states / "second")


@needs_fork
def test_a_second_process_at_once_is_refused(path):
    def refused():
        with waiting(0), pytest.raises(InputError, match="another run"):
            write(path, 2.0)

    with lock(path):
        assert forked(refused) == 0
    assert forked(lambda: write(path, 2.0)) == 0


def test_a_file_that_another_program_is_writing_to_is_left_alone(path):
    code = "import h5py, sys; file = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()"
    before = sha256(path)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        assert program.stdout.readline() == b"open\n"
        for action in (lambda: write(path, 2.0), lambda: restore(path), CaimanFile(path).read):
            with pytest.raises(InputError, match=r"results 1\.hdf5 is open in another program: close it there"):
                action()
        program.stdin.close()
    assert sha256(path) == before


def test_traces_that_changed_since_they_were_read_get_no_results(path):
    container = CaimanFile(path)
    of_old_traces = results(3.0)
    of_old_traces.record = replace(of_old_traces.record, input=container.fingerprint())
    container.write(of_old_traces)
    with h5py.File(path, "r+") as file:
        file["estimates/C"][0, 0] = 77.0
    before = sha256(path)
    with pytest.raises(InputError, match="was changed since its traces were read: run again"):
        container.write(of_old_traces)
    assert sha256(path) == before


def test_a_file_that_is_replaced_meanwhile_is_left_alone(states, path):
    with pytest.raises(InputError, match="was changed by another program meanwhile"), rewriting(path):
        time.sleep(0.01)
        shutil.copy(states / "untouched", path)
    assert sha256(path) == sha256(states / "untouched")
    write(path, 1.0)
    assert sha256(path) == sha256(states / "first")
    open_again(path)


# --------------------------------------------------------------------------------------------------------------- damage


def test_any_damage_is_one_clear_error_or_does_not_matter(states, tmp_path):
    whole = (states / "second").read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "r.hdf5"
    n_refused = 0
    for case in range(150):
        damaged = bytearray(whole)
        if case % 3 == 0:
            del damaged[rng.integers(len(whole)) :]
        else:
            for place in rng.integers(0, len(whole) if case % 3 == 1 else 4096, rng.integers(1, 20)):
                damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        for action in (
            lambda: CaimanFile.find(tmp_path),
            lambda: CaimanFile(path).read(Reading(frame_rate=20.0)),
            lambda: CaimanFile(path).record(),
            lambda: CaimanFile(path).rois(),
            lambda: write(path, 3.0),
            lambda: restore(path),
        ):
            before = path.read_bytes()
            try:
                action()
            except InputError as error:
                assert str(path) in str(error) and "\n" not in str(error)
                assert path.read_bytes() == before
                n_refused += 1
    assert n_refused > 100


def test_content_comparison_sees_every_change(states, tmp_path):
    """What the tests of content-identity stand on."""
    path = Path(shutil.copy(states / "untouched", tmp_path / "r.hdf5"))
    expected = content(path)
    for change in (
        lambda file: file["estimates"].attrs.create("x", 1.0),
        lambda file: file["estimates/C"].write_direct(np.full(SHAPE, 1e-9)),
        lambda file: file["params/data"].move("fr", "frame"),
    ):
        shutil.copy(states / "untouched", path)
        with h5py.File(path, "r+") as file:
            change(file)
        assert content(path) != expected
