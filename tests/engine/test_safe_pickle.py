"""Settings are read, whatever real files hold; a pickle that asks for more is refused before anything happens."""

import builtins
import collections
import datetime
import functools
import io
import os
import pathlib
import pickle
import subprocess
import sys
import types
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cascade_engine.errors import InputError
from cascade_engine.file_formats.safe_pickle import load_settings

SETTINGS = {
    "fs": 30.0,
    "neucoeff": np.float32(0.7),
    "nplanes": np.int64(1),
    "do_registration": np.True_,
    "classifier": None,
    "name": np.str_("mouse µ"),
    "empty": np.str_(""),
    "frames_per_folder": np.array([400, 500], dtype=np.int32),
    "meanImg": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "big_endian": np.arange(3, dtype=">f8"),
    "names": np.array(["a", "bcd"]),
    "ragged": np.array([[1, 2], "x", None], dtype=object),
    "zero_size": np.zeros((0, 4)),
    "date_proc": datetime.datetime(2024, 5, 17, 12, 30, tzinfo=datetime.timezone.utc),
    "timing": collections.OrderedDict(registration=1.5, total=datetime.timedelta(seconds=9)),
    "data_path": ["/data/raw"],
    "extraction": {"neuropil_coefficient": 0.7, "range": range(3), "set": {1, 2}, "complex": 1j, "bytes": b"\x00\xff"},
}


class Reduced:
    """An object whose pickle calls `function`."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced


def npy(pickled: bytes) -> bytes:
    """A .npy file of one object, with this pickle as its content."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    return file.getvalue() + pickled


def write_pickle(path: Path, content, protocol: int = 4) -> Path:
    path.write_bytes(npy(pickle.dumps(content, protocol)))
    return path


def assert_same(found, expected):
    if isinstance(expected, dict):
        assert set(found) == set(expected)
        for key, value in expected.items():
            assert_same(found[key], value)
    elif isinstance(expected, np.ndarray):
        # numpy may turn arrays of the other byte order around
        assert (found.dtype.newbyteorder("="), found.shape) == (expected.dtype.newbyteorder("="), expected.shape)
        assert found.tolist() == expected.tolist()
    else:
        assert found == expected and type(found) is type(expected)


def test_settings_saved_by_numpy(tmp_path):
    np.save(tmp_path / "ops.npy", SETTINGS)
    assert_same(load_settings(tmp_path / "ops.npy"), SETTINGS)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_every_pickle_protocol(tmp_path, protocol):
    array = np.empty((), dtype=object)
    array[()] = SETTINGS
    assert_same(load_settings(write_pickle(tmp_path / "ops.npy", array, protocol)), SETTINGS)


def test_files_of_numpy_1_name_other_modules(tmp_path):
    """numpy 2 has moved what pickles of numpy 1 refer to."""
    content = {"fs": np.float64(30.0), "meanImg": np.ones((2, 2)), "flag": np.True_}
    pickled = pickle.dumps(content, 2)  # an old protocol, without the lengths of names
    assert b"core.multiarray" in pickled
    for module in (b"numpy._core.multiarray", b"numpy.core.multiarray"):
        other = pickled.replace(b"numpy._core.multiarray", module).replace(b"numpy.core.multiarray", module)
        (tmp_path / "ops.npy").write_bytes(npy(other))
        assert_same(load_settings(tmp_path / "ops.npy"), content)


@pytest.mark.parametrize("module", ["pathlib", "pathlib._local"])
def test_paths_of_another_operating_system_become_pure_paths(tmp_path, module):
    """Written by hand, since neither kind can be made on the other's system."""

    def path(kind: str, *parts: str) -> bytes:
        return f"c{module}\n{kind}\n(".encode() + b"".join(f"V{part}\n".encode() for part in parts) + b"tR"

    windows = path("WindowsPath", "D:/", "raw", "day 1")
    posix = path("PosixPath", "/", "data", "day 1")
    (tmp_path / "db.npy").write_bytes(npy(b"(dVwin\n" + windows + b"sVposix\n" + posix + b"s."))
    found = load_settings(tmp_path / "db.npy")
    assert found == {"win": PureWindowsPath("D:/raw/day 1"), "posix": PurePosixPath("/data/day 1")}


def test_own_paths(tmp_path):
    np.save(tmp_path / "db.npy", {"save_path0": tmp_path})
    assert load_settings(tmp_path / "db.npy")["save_path0"] == pathlib.PurePath(tmp_path)


def touch(path):
    return Reduced(os.system, f"touch {path}")


@pytest.mark.parametrize(
    "make",
    [
        lambda mark: touch(mark),
        lambda mark: {"fs": 30.0, "deep": [{"in": (touch(mark),)}]},
        lambda mark: Reduced(builtins.eval, f"open({str(mark)!r}, 'w')"),
        lambda mark: Reduced(builtins.exec, f"open({str(mark)!r}, 'w')"),
        lambda mark: Reduced(builtins.open, str(mark), "w"),
        lambda mark: Reduced(subprocess.check_output, ["touch", str(mark)]),
        lambda mark: Reduced(np.save, str(mark), 1),
        lambda mark: Reduced(np.fromfile, str(mark)),
        lambda mark: Reduced(np.memmap, str(mark), "u1", "w+", 0, (4,)),
        lambda mark: Reduced(functools.partial, os.system),
        lambda mark: Reduced(Path.touch, mark),
        lambda mark: Reduced(types.SimpleNamespace),
        lambda mark: Reduced(sys.exit, 3),
        lambda mark: Reduced(collections.deque),
    ],
)
def test_what_is_not_plain_data_is_refused_and_not_run(tmp_path, make):
    mark = tmp_path / "mark"
    path = write_pickle(tmp_path / "ops.npy", make(mark))
    with pytest.raises(InputError, match="it refers to"):
        load_settings(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "name",
    [
        b"os\nsystem",
        b"posix\nsystem",
        b"numpy\nload",
        b"numpy\nndarray.tofile",
        b"numpy.core.multiarray\nos.system",
        b"builtins\ndict.fromkeys",
    ],
)
def test_names_that_try_to_slip_through(tmp_path, name):
    for pickled in (
        b"c" + name + b"\n.",
        b"\x80\x04" + b"".join(_short_text(part) for part in name.split(b"\n")) + b"\x93.",
    ):
        (tmp_path / "ops.npy").write_bytes(npy(pickled))
        with pytest.raises(InputError, match="it refers to"):
            load_settings(tmp_path / "ops.npy")


def _short_text(text: bytes) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text


@pytest.mark.parametrize(
    "cls", [b"pathlib\nPurePosixPath", b"pathlib\nWindowsPath", b"numpy\ndtype", b"numpy\nndarray"]
)
def test_a_pickle_cannot_change_classes(tmp_path, cls):
    """The opcode BUILD sets attributes of whatever a pickle gets hold of; nothing of this process must change."""
    (tmp_path / "ops.npy").write_bytes(npy(b"c" + cls + b"\n(N(dS'changed'\nI1\nstb."))
    with pytest.raises(InputError):
        load_settings(tmp_path / "ops.npy")
    (tmp_path / "ops.npy").write_bytes(npy(b"c" + cls + b"\n(dS'changed'\nI1\nsb."))
    with pytest.raises(InputError):
        load_settings(tmp_path / "ops.npy")
    for kind in (PurePosixPath, PureWindowsPath, np.dtype, np.ndarray):
        assert not hasattr(kind, "changed")


def forged_pointers(claimed_type, content) -> Reduced:
    """An array of objects whose data type claims to hold none, so that numpy would take bytes for pointers."""
    reconstruct = np.array(0).__reduce__()[0]
    forged = Reduced(np.dtype, claimed_type, False, True, state=(3, "|", None, None, None, -1, -1, 0))
    return Reduced(reconstruct, np.ndarray, (0,), b"b", state=(1, (1,), forged, False, content))


def test_forged_data_types_do_not_turn_bytes_into_pointers(tmp_path):
    scalar = np.float64(0).__reduce__()[0]
    forged = Reduced(np.dtype, "O8", False, True, state=(3, "|", None, None, None, -1, -1, 0))
    for content in (
        forged_pointers("O8", b"A" * 8),
        forged_pointers("O8", ["one", "too many"]),
        forged_pointers("O8", []),
        forged_pointers("f8", [1.0]),
        forged_pointers("f8", b"A" * 7),
        forged_pointers("O,O", b"A" * 16),
        Reduced(scalar, forged, b"A" * 8),
        Reduced(scalar, forged),
    ):
        path = write_pickle(tmp_path / "ops.npy", content)
        with pytest.raises(InputError):
            load_settings(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as settings"),
        (b"no array at all", "cannot be read as settings"),
        (npy(b""), "cannot be read as settings"),
        (npy(pickle.dumps([1, 2])), "holds list"),
        (npy(pickle.dumps(np.arange(3))), "holds"),
        (npy(pickle.dumps({"fs": 30.0})[:-3]), "cannot be read as settings"),
    ],
)
def test_files_that_hold_no_settings(tmp_path, content, message):
    (tmp_path / "ops.npy").write_bytes(content)
    with pytest.raises(InputError, match=f"ops.npy.*{message}"):
        load_settings(tmp_path / "ops.npy")


def test_an_array_of_numbers_is_no_settings_file(tmp_path):
    np.save(tmp_path / "ops.npy", np.ones((2, 3)))
    with pytest.raises(InputError, match="array of float64, not settings"):
        load_settings(tmp_path / "ops.npy")


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path / "none.npy", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            load_settings(path)


@pytest.fixture(scope="module")
def valid(tmp_path_factory) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("damaged") / "ops.npy"
    np.save(path, SETTINGS)
    return path, path.read_bytes()


def load_or_refuse(path: Path, content: bytes) -> None:
    """Either a dictionary or an explained failure: nothing else is allowed to come out."""
    path.write_bytes(content)
    try:
        assert isinstance(load_settings(path), dict)
    except InputError as error:
        assert str(path) in str(error)


def test_files_cut_at_any_place(valid):
    path, content = valid
    for length in range(0, len(content) - 1, 3):
        path.write_bytes(content[:length])
        with pytest.raises(InputError):
            load_settings(path)


def test_any_single_flipped_bit(valid):
    path, content = valid
    rng = np.random.default_rng(0)
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        load_or_refuse(path, bytes(damaged))


def test_a_huge_memo_number_does_not_fill_the_memory(tmp_path):
    """One flipped bit makes the opcode REDUCE one that takes the next four bytes for the size of a table."""
    (tmp_path / "ops.npy").write_bytes(npy(b"\x80\x04}r\xff\xff\xff\x7f."))
    with pytest.raises(InputError, match="damaged"):
        load_settings(tmp_path / "ops.npy")


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(changes=st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=6)), min_size=1, max_size=8))
def test_several_damaged_places(valid, changes):
    path, content = valid
    damaged = bytearray(content)
    for place, replacement in changes:
        place %= len(damaged)
        damaged[place : place + len(replacement)] = replacement
    load_or_refuse(path, bytes(damaged))


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=200))
def test_garbage_behind_a_valid_header(valid, content):
    load_or_refuse(valid[0], npy(content))
