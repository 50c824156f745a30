"""Changing a file in place, with every change undone by a kill or by wish."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_adapters.safe_writing import names
from cascade_adapters.safe_writing.in_place import changing, recover, roll_back
from cascade_adapters.safe_writing.journal import forget, kept_journals
from cascade_adapters.safe_writing.lock import lock
from cascade_engine.errors import InputError
from tests.builders.killing import forked, needs_fork
from tests.builders.locking import in_another_thread

#: Sizes around the pages that are journaled.
SIZES = st.sampled_from([0, 1, 100, 4095, 4096, 4097, 9000, 20_000])

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 25_000), st.binary(min_size=1, max_size=5000)),
        st.tuples(st.just("truncate"), st.integers(0, 25_000), st.just(b"")),
    ),
    max_size=8,
)


@pytest.fixture
def path(tmp_path):
    """A file of some pages with a time of modification of its own."""
    path = tmp_path / "data.nwb"
    path.write_bytes(np.random.default_rng(0).bytes(20_000))
    os.utime(path, ns=(10**18, 10**18))
    return path


def state(path: Path) -> tuple:
    """Everything about a file and its neighbours."""
    return path.read_bytes(), path.stat().st_mtime_ns, sorted(file.name for file in path.parent.iterdir())


def test_a_journal_that_was_only_begun_is_removed(path):
    before = state(path)
    names.journal_part(names.pending_journal(path)).write_bytes(b"cascade")
    recover(path)
    assert state(path) == before


def carry_out(file, operations) -> None:
    for do, place, content in operations:
        if do == "write":
            file.seek(place)
            file.write(content)
        else:
            file.truncate(place)


@settings(max_examples=60, deadline=None)
@given(size=SIZES, first=OPERATIONS, second=OPERATIONS)
def test_what_is_written_is_that_of_an_ordinary_file_and_is_undone_exactly(tmp_path_factory, size, first, second):
    folder = tmp_path_factory.mktemp("undo")
    path, ordinary = folder / "data.nwb", folder / "ordinary"
    versions = [np.random.default_rng(size).bytes(size)]
    path.write_bytes(versions[0])
    ordinary.write_bytes(versions[0])
    for operations in (first, second):
        with changing(path, keep=True) as file, ordinary.open("r+b") as reference:
            carry_out(file, operations)
            carry_out(reference, operations)
            reference.flush()
            file.seek(0)
            assert file.read() == ordinary.read_bytes()
        versions.append(ordinary.read_bytes())
        assert path.read_bytes() == versions[-1]
    for version in versions[1::-1]:
        assert roll_back(path)
        assert path.read_bytes() == version
    assert not roll_back(path)
    assert {file.name for file in folder.iterdir()} == {"data.nwb", "ordinary"}


def test_nothing_below_the_old_end_changes_before_the_block_has_ended(path):
    before = path.read_bytes()
    with changing(path, keep=False) as file:
        file.seek(0)
        file.write(b"x" * 30_000)
        assert path.read_bytes()[:20_000] == before
    assert path.read_bytes() == b"x" * 30_000


def test_an_error_leaves_the_file_as_it_was(path):
    before = state(path)
    with pytest.raises(ZeroDivisionError), changing(path, keep=True) as file:
        file.write(b"x" * 30_000)
        file.flush()
        raise ZeroDivisionError
    assert state(path) == before


def test_a_change_that_does_not_stand_its_check_is_rolled_back(path):
    before = state(path)

    def check(changed: Path) -> None:
        assert changed.read_bytes() == b"x" * 30_000
        raise InputError("not valid")

    with pytest.raises(InputError, match="not valid"), changing(path, keep=True, check=check) as file:
        file.write(b"x" * 30_000)
    assert state(path) == before


@needs_fork
@pytest.mark.parametrize("keep", [False, True])
def test_killed_at_any_step_the_file_is_old_or_new(path, keep, monkeypatch):
    """Each call that changes something on disk is a step, and writing may be cut short in the middle."""
    before = state(path)
    operations = [("write", 5000, b"a" * 6000), ("write", 19_000, b"b" * 9000), ("write", 0, b"c" * 10)]
    with changing(path, keep=keep) as file:
        carry_out(file, operations)
    new = path.read_bytes()
    if keep:
        roll_back(path)
    else:
        path.write_bytes(before[0])
        os.utime(path, ns=(10**18, 10**18))

    outcomes = []
    for step in range(1000):
        if (child := os.fork()) == 0:
            _die_at(step, monkeypatch)
            with changing(path, keep=keep) as file:
                carry_out(file, operations)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        recover(path)
        path.with_name(".data.nwb.cascade-undo.part").unlink(missing_ok=True)
        outcomes.append(path.read_bytes() == new)
        if outcomes[-1]:
            assert len(kept_journals(path)) == keep
            if keep:
                assert roll_back(path)
        else:
            assert state(path) == before
        path.write_bytes(before[0])
        os.utime(path, ns=(10**18, 10**18))
        assert state(path) == before
        if status == 0:
            break
    # killed early, the file is old; only behind the last step is it new
    assert step > 15 and outcomes[-1] and sum(outcomes) <= 3


@needs_fork
def test_a_roll_back_that_is_killed_is_finished_by_the_next(path, monkeypatch):
    before = state(path)
    for step in range(100):
        with changing(path, keep=True) as file:
            carry_out(file, [("write", 5000, b"a" * 6000), ("write", 19_000, b"b" * 9000), ("write", 0, b"c")])
        if (child := os.fork()) == 0:
            _die_at(step, monkeypatch)
            roll_back(path)
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            break
        recover(path)
        roll_back(path)
        assert state(path) == before
    assert step > 4 and state(path) == before


def _die_at(step: int, monkeypatch) -> None:
    """Kill this process at its `step`-th call that changes something on disk, half of a write done."""
    left = [step]

    def dying(function):
        def call(*args, **kwargs):
            if left[0] == 0:
                os._exit(1)
            left[0] -= 1
            return function(*args, **kwargs)

        return call

    for name in ("replace", "fsync", "unlink", "utime"):
        monkeypatch.setattr(os, name, dying(getattr(os, name)))
    opened = Path.open

    def open_dying(self, mode="r", **kwargs):
        changes = mode in ("r+b", "wb")
        return _DyingFile(opened(self, mode, buffering=0), dying) if changes else opened(self, mode, **kwargs)

    monkeypatch.setattr(Path, "open", open_dying)


class _DyingFile:
    def __init__(self, file, dying):
        self._file = file
        self.truncate = dying(file.truncate)
        self._die = dying(lambda: None)

    def write(self, data) -> int:
        n_written = self._file.write(data[: len(data) // 2])
        self._die()
        return n_written + self._file.write(data[len(data) // 2 :])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)


def test_what_others_have_changed_since_is_left_alone(path):
    with changing(path, keep=True) as file:
        file.seek(100)
        file.write(b"ours" * 2000)
    with path.open("r+b") as file:
        file.seek(200)
        file.write(b"theirs")
    changed = path.read_bytes()
    assert not roll_back(path)
    assert path.read_bytes() == changed
    # the journal is of no use any more; the next change begins anew
    with changing(path, keep=True) as file:
        file.write(b"again")
    assert len(kept_journals(path)) == 1 and roll_back(path)
    assert path.read_bytes() == changed


def test_a_size_that_others_have_changed_is_noticed(path):
    with changing(path, keep=True) as file:
        file.write(b"ours")
    with path.open("ab") as file:
        file.write(b"theirs")
    assert not roll_back(path)


@needs_fork
@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_others_did_after_a_kill_is_not_rolled_back(path, moment):
    """HDF5 tells in the first page where a file ends: whoever appends changes it."""
    if os.fork() == 0:
        with changing(path, keep=True, check=lambda _: os._exit(1)) as file:
            file.write(b"ours" * 9000)
            if moment == "before":
                os._exit(1)
    os.wait()
    with path.open("r+b") as file:
        file.write(b"theirs")
    changed = path.read_bytes()
    if moment == "before":
        recover(path)
        assert not list(path.parent.glob(".*undo*"))
    else:
        with pytest.raises(InputError, match=r"was changed after a run that was killed.*remove .*cascade-undo$"):
            recover(path)
    assert path.read_bytes() == changed


@pytest.mark.parametrize("length", [0, 5, 30, 2000, -1])
def test_a_damaged_journal_is_one_clear_line(path, length):
    with changing(path, keep=True) as file:
        file.write(b"ours")
    (journal,) = kept_journals(path)
    content = journal.read_bytes()
    journal.write_bytes(content[:length])
    changed = path.read_bytes()
    with pytest.raises(InputError, match=r"cascade-undo1 is damaged"):
        roll_back(path)
    assert path.read_bytes() == changed
    journal.write_bytes(content)
    assert roll_back(path)


@pytest.mark.parametrize("damage", ["first page", "a folder"])
def test_a_journal_that_is_none_is_one_clear_line(path, damage):
    with changing(path, keep=True) as file:
        file.write(b"ours")
    (journal,) = kept_journals(path)
    content = journal.read_bytes()
    journal.unlink()
    if damage == "a folder":
        journal.mkdir()
    else:
        start = content.index(b'"first_page": "') + 15
        journal.write_bytes(content[:start] + b"!" + content[start + 1 :])
    with pytest.raises(InputError, match=r"cascade-undo1 is damaged"):
        roll_back(path)


def test_a_change_that_fails_leaves_the_journals_of_a_file_that_was_changed_since(path):
    with changing(path, keep=True) as file:
        file.write(b"ours")
    with path.open("ab") as file:
        file.write(b"theirs")
    before = state(path)

    def refuse(path):
        raise InputError("not valid")

    with pytest.raises(InputError, match="not valid"), changing(path, keep=True, check=refuse) as file:
        file.write(b"more of ours")
    assert state(path) == before


def test_journals_can_be_forgotten(path):
    for word in (b"one", b"two"):
        with changing(path, keep=True) as file:
            file.write(word)
    assert [journal.name for journal in kept_journals(path)] == [".data.nwb.cascade-undo1", ".data.nwb.cascade-undo2"]
    forget(path)
    assert [file.name for file in path.parent.iterdir()] == ["data.nwb"]


def test_a_journal_lies_beside_the_file_not_beside_a_link(path, tmp_path):
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "link.nwb"
    try:
        link.symlink_to(path)
    except OSError:
        pytest.skip("this platform or user cannot make links")
    before = path.read_bytes()
    with changing(link, keep=True) as file:
        file.write(b"ours")
    assert link.is_symlink() and [file.name for file in link.parent.iterdir()] == ["link.nwb"]
    assert kept_journals(path) == kept_journals(link) and roll_back(link)
    assert path.read_bytes() == before


def test_read_only_files_and_folders_are_refused(path):
    before = state(path)
    path.chmod(0o444)
    with pytest.raises(InputError, match=r"data.nwb is read-only"), changing(path, keep=True):
        pass
    assert state(path) == before


def test_a_file_that_another_program_has_open_is_refused(tmp_path):
    pytest.importorskip("fcntl")
    path = tmp_path / "data.nwb"
    h5py.File(path, "w").close()
    before = path.read_bytes()
    with (
        h5py.File(path, "r"),
        pytest.raises(InputError, match="is open in another program"),
        changing(path, keep=True),
    ):
        pass
    assert path.read_bytes() == before


def test_a_run_under_way_is_not_rolled_back(path):
    with lock(path), changing(path, keep=False) as file:
        file.write(b"ours")
        recover(path)
        with pytest.raises(InputError, match="is being changed by another run"):
            in_another_thread(lambda: recover(path))
    assert path.read_bytes()[:4] == b"ours"


@needs_fork
@pytest.mark.parametrize("place", [0, 19_000, 25_000])
@pytest.mark.parametrize("room", [100, 6000])
def test_a_full_disk_is_told_in_the_end(path, room, place):
    """Until then the file object does as if nothing had happened, since HDF5 would not survive an error."""
    import resource

    before, message = state(path), path.parent.parent / "message"

    def write_on_a_full_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000 + room, 20_000 + room))
        try:
            with changing(path, keep=True) as file:
                carry_out(file, [("write", place, b"a" * 40_000), ("write", 30_000, b"b" * 9000), ("write", 0, b"c")])
                file.seek(29_990)
                assert file.read(20) == b"a" * 10 + b"b" * 10
                file.seek(0, os.SEEK_END)
                message.write_text(f"{file.tell()}")
        except InputError as error:
            message.write_text(f"{message.read_text()} {error}")

    assert forked(write_on_a_full_disk) == 0
    assert message.read_text() == f"{place + 40_000} {path} cannot be changed: File too large"
    assert state(path) == before


def test_an_hdf5_file_is_changed_by_its_own_library(tmp_path):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as h5:
        h5["old"] = np.arange(10_000)
    before = path.read_bytes()
    for name in ("first", "second"):
        with changing(path, keep=True) as file, h5py.File(file, "r+") as h5:
            h5.create_dataset(f"new/{name}", data=np.arange(50_000), chunks=(1000,), compression="gzip")
            h5.attrs[name] = "text"
        with h5py.File(path) as h5:
            assert h5.attrs[name] == "text" and h5[f"new/{name}"][-1] == 49_999 and h5["old"][-1] == 9999
    assert sum(journal.stat().st_size for journal in kept_journals(path)) < 60_000
    assert roll_back(path) and roll_back(path)
    assert path.read_bytes() == before
