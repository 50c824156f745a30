"""No file takes the process down, or far more memory than it has content: each is read in a process of its own."""

import io
import struct
import subprocess
import sys
import zipfile
import zlib

import h5py
import numpy as np
import pytest

from cascade_engine.errors import InputError
from cascade_engine.file_formats import unpacking
from cascade_engine.file_formats.json_text import parse_json
from cascade_engine.file_formats.matlab import list_variables, load_variable
from cascade_engine.file_formats.variables import load_numbers
from cascade_engine.file_formats.yaml_text import parse_yaml

_MANY = 300_000

#: What follows the key in a dictionary, and what is said of it.
PICKLES = {
    "a deep tuple as a key": (b"})" + b"\x85" * _MANY + b"K\x01s.", "nested tuple as a key"),
    "a deep frozen set as a key": (b"}" + b"(" * _MANY + b"K\x01" + b"\x91" * _MANY + b"K\x01s.", "frozenset as a key"),
    "a deep tuple in a set": (b"\x8f()" + b"\x85" * _MANY + b"\x90.", "nested tuple as a key"),
    "a deep list": (b"}\x8c\x02fs" + b"]" * _MANY + b"a" * (_MANY - 1) + b"s.", "nested deeper than 32 times"),
    "a list in itself": (b"}\x8c\x02fs]\x94h\x00as.", "nested deeper than 32 times"),
    "deep slices": (
        b"}\x8c\x02fs" + b"(cbuiltins\nslice\n" * _MANY + b"N" + b"o" * _MANY + b"s.",
        "a slice of no numbers",
    ),
    "lists of the same lists": (
        b"}\x8c\x02fs]\x94" + b"".join(b"](h%ch%ch%ce\x94" % (i, i, i) for i in range(40)) + b"\x8c\x01ah\x28s.",
        "as a key|again and again|damaged",
    ),
    **{
        f"a {name} of a range": (
            b"}\x8c\x02fscbuiltins\n%s\ncbuiltins\nrange\nJ\x00\xe1\xf5\x05\x85R\x85Rs." % name.encode(),
            "a range of 100000000 numbers",
        )
        for name in ("set", "frozenset", "tuple", "list", "dict")
    },
    **{
        f"{name} of a number": (
            b"}\x8c\x02fscbuiltins\n%s\nJ\xff\xff\xff\x7f\x85Rs." % name.encode(),
            "content is not bytes",
        )
        for name in ("bytes", "bytearray")
    },
    "copies of a list": (
        b"}\x8c\x02fs](" + b"K\x01" * 100_000 + b"e\x940cbuiltins\nlist\n\x94](" + b"h\x01h\x00\x85R" * 30_000 + b"es.",
        "far more memory than",
    ),
    "empty sets": (b"}\x8c\x02fs](" + b"\x8f" * 3_000_000 + b"es.", "far more memory than"),
    "an integer of 32 million bits": (
        b"}\x8c\x02fs\x8b" + struct.pack("<I", 4_000_000) + b"\x01" * 4_000_000 + b"s.",
        "an integer of",
    ),
    "an array of items without bytes": (
        b"}\x8c\x02fscnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01J\xff\xff\xff\x7f\x85cnumpy\ndtype\nU\x02S0\x85R\x89U\x00tbs.",
        "content is not of its size",
    ),
}

_READ = """
import sys
from pathlib import Path
from cascade_engine.errors import InputError
from cascade_engine.file_formats.safe_pickle import load_records, load_settings
for read in (load_settings, load_records):
    try:
        read(Path(sys.argv[1]))
    except InputError as error:
        print(error)
if sys.platform == "linux":  # the peak of this program alone, in kB
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
elif sys.platform == "win32":  # nothing tells
    print(0)
else:
    import resource
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("name", PICKLES)
def test_a_hostile_pickle_is_refused_in_one_line(name, tmp_path):
    pickled, message = PICKLES[name]
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    (tmp_path / "ops.npy").write_bytes(file.getvalue() + b"\x80\x04" + pickled)
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(tmp_path / "ops.npy")], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    settings, records, kilobytes = done.stdout.splitlines()
    for line in (settings, records):
        assert line.startswith(f"{tmp_path / 'ops.npy'} cannot be read as")
        assert any(each in line for each in message.split("|")), line
    assert int(kilobytes) / (1024 if sys.platform == "darwin" else 1) < 600_000


def test_keys_that_settings_have_are_read(tmp_path):
    from cascade_engine.file_formats.safe_pickle import load_settings

    keys = {"a": 1, 2: 3, 2.5: 4, None: 5, b"b": 6, (0, "plane"): 7, np.int64(9): 8, np.str_("c"): 9, True: 10}
    np.save(tmp_path / "ops.npy", keys, allow_pickle=True)
    assert load_settings(tmp_path / "ops.npy") == keys


def test_keys_that_fall_on_one_place_cannot_be_many(tmp_path):
    from cascade_engine.file_formats.safe_pickle import load_settings

    np.save(tmp_path / "ops.npy", {"ok": {(i, 0): i for i in range(10_001)}}, allow_pickle=True)
    with pytest.raises(InputError, match="tuples as keys"):
        load_settings(tmp_path / "ops.npy")


def test_bytes_in_text_of_python_2(tmp_path):
    """Its oldest pickles have arrays as text with escapes."""
    from cascade_engine.file_formats.safe_pickle import load_pickle

    (tmp_path / "signals.pkl").write_bytes(
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\ntcnumpy\ndtype\n(S'f4'\nI0\n"
        b"I1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\x00\\x00\\x80?\\x00\\x00\\x00\\xc0'\ntb."
    )
    np.testing.assert_array_equal(load_pickle(tmp_path / "signals.pkl"), np.array([1, -2], np.float32))


@pytest.fixture
def small_limit(monkeypatch):
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1 << 20)


def test_archives_that_unfold_to_far_more(tmp_path, small_limit):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, dff=np.zeros((1000, 4000)))
    with pytest.raises(ValueError, match=r"dff.npy: it would take 32.0 MB, but only 0.0 MB are stored of it"):
        unpacking.check_archive(path)
    np.savez_compressed(path, dff=np.random.default_rng(0).poisson(0.05, (1000, 400)).astype(float))
    unpacking.check_archive(path)
    with zipfile.ZipFile(path) as archive:
        unpacking.check_archive(archive)


def test_compressed_variables_of_matlab_that_unfold_to_far_more(tmp_path, small_limit):
    head = struct.pack("<2I2I2I2i2I", 6, 8, 6, 0, 5, 8, 1000, 4000, 1, 3) + b"dff".ljust(8, b"\0")
    body = head + struct.pack("<2I", 9, 32_000_000) + bytes(32_000_000)
    packed = zlib.compress(struct.pack("<2I", 14, len(body)) + body)
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + struct.pack("<2I", 15, len(packed)) + packed)
    (variable,) = list_variables(path)
    for read in (lambda: load_numbers(variable, path), lambda: load_variable(path, "dff")):
        with pytest.raises(InputError, match=r"it would take 32.0 MB, but only 0.0 MB are stored of it"):
            read()


def test_matrices_of_matlab_without_content(tmp_path, small_limit):
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        data = file.create_dataset("dff", shape=(1_000_000, 2000), dtype="f8", chunks=(1000, 100))
        data.attrs["MATLAB_class"] = np.bytes_("double")
    (variable,) = list_variables(path)
    for read in (lambda: load_numbers(variable, path), variable.open, lambda: load_variable(path, "dff")):
        with pytest.raises(InputError, match=r"it would take 16.0 GB, but only 0.0 MB are stored of it"):
            read()


@pytest.mark.parametrize("kind", ["x" * 100_000, "\n" * 10, 3.5, [b"double", b"single"], h5py.Empty("f8"), b"\xff\xfe"])
def test_classes_of_matlab_that_are_none(tmp_path, kind):
    """What the attribute holds is not repeated to the user."""
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512, libver="latest") as file:
        file.create_dataset("dff", data=np.zeros((3, 50))).attrs["MATLAB_class"] = kind
    (variable,) = list_variables(path)
    assert str(variable) == "dff (50 x 3, of an unknown class)"


def test_more_memory_than_there_is(monkeypatch):
    monkeypatch.setattr(unpacking, "available_memory", lambda: 1_000_000_000)
    unpacking.check_memory(900_000_000)
    with pytest.raises(ValueError, match=r"it takes 2.0 GB of memory, but 1.0 GB are free"):
        unpacking.check_memory(2_000_000_000)


def test_yaml_and_json_that_are_too_deep_or_refer_to_themselves():
    import yaml

    laughs = "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12))])
    for text in (laughs, "a: &a [*a]", "- " * 40 + "x", "[" * 100_000, "? " * 100_000):
        for as_written in (False, True):
            with pytest.raises(yaml.YAMLError):
                parse_yaml(text, as_written)
    assert parse_yaml("a: &a [1, 2]\nb: *a") == {"a": [1, 2], "b": [1, 2]}
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json("[" * 1_000_000)
