"""Reading .npy files by rows: the values that are there, little memory, and one clear line for whatever is damaged."""

import os
import subprocess
import sys

import numpy as np
import pytest

from cascade_engine.errors import InputError
from cascade_engine.file_formats.atomic import sha256
from cascade_engine.file_formats.npy import ArrayOnDisk


def saved(path, array):
    np.save(path, array)
    return ArrayOnDisk(path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "F.npy"


ARRAYS = {
    "single precision": np.arange(60, dtype=np.float32).reshape(12, 5),
    "big endian": np.arange(60, dtype=">f8").reshape(12, 5),
    "integers": np.arange(60, dtype=np.int16).reshape(12, 5),
    "first axis fastest": np.asfortranarray(np.arange(60.0).reshape(12, 5)),
    "vector": np.arange(12, dtype=np.float32),
    "one row": np.arange(5.0).reshape(1, 5),
    "no rows": np.empty((0, 5)),
    "no columns": np.empty((12, 0)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_rows_are_those_of_the_array(path, name):
    array = ARRAYS[name]
    found = saved(path, array)
    assert (found.shape, found.dtype, found.ndim) == (array.shape, array.dtype, array.ndim)
    assert (found.size, found.nbytes, len(found)) == (array.size, array.nbytes, len(array))
    indices = [slice(None), slice(0, 3), slice(2, 100), slice(5, 5), slice(None, None, -1), slice(1, None, 3), []]
    if len(array) == 12:
        indices += [0, -1, np.int64(7), [3, 4, 5, 9, 0], np.arange(12) % 3 == 1]
    if array.ndim == 2:
        indices += [(slice(0, 1), slice(1, 4)), (slice(None), -1)] if array.shape[1] else []
        indices += [(0, 2)] if array.size else []
    for index in indices:
        expected = array[index if isinstance(index, tuple) or not isinstance(index, list) else np.array(index, int)]
        np.testing.assert_array_equal(found[index], expected, strict=True)
    np.testing.assert_array_equal(np.asarray(found), array, strict=True)
    np.testing.assert_array_equal(np.asarray(found, dtype=np.float64), array.astype(np.float64), strict=True)
    blocks = list(found.blocks(3 * array[:1].nbytes or 1))
    np.testing.assert_array_equal(np.concatenate([array[:0], *blocks]), array)
    assert max((len(block) for block in blocks), default=0) <= max(3, len(array) * (array.size == 0))


def test_few_and_many_rows_of_a_file_whose_first_axis_is_fastest(path):
    array = np.asfortranarray(np.random.default_rng(0).standard_normal((1000, 700)))
    found = saved(path, array)
    for rows in (slice(3, 4), slice(10, 130), slice(0, 125), slice(500, 1000), slice(None)):
        np.testing.assert_array_equal(found[rows], array[rows])
        assert found[rows].flags.c_contiguous


def test_an_index_beyond_the_end_is_refused(path):
    with pytest.raises(IndexError):
        saved(path, np.zeros((3, 5)))[3]


@pytest.mark.parametrize("name", ARRAYS)
def test_the_hash_is_that_of_the_file(path, name):
    np.save(path, ARRAYS[name])
    with path.open("ab") as file:
        file.write(b"behind the end")
    found = ArrayOnDisk(path, hashed=True)
    assert found.sha256() == sha256(path)
    for _ in found.blocks(40):
        assert found.sha256() == sha256(path)
    assert ArrayOnDisk(path).sha256() == sha256(path)


@pytest.mark.parametrize("order", [[(0, 4), (2, 6), (6, 12)], [(4, 8), (0, 4)], [(3, 3), (0, 12), (0, 12)]])
def test_the_hash_does_not_depend_on_the_order_of_reading(path, order):
    np.save(path, np.arange(60.0).reshape(12, 5))
    found = ArrayOnDisk(path, hashed=True)
    for first, end in order:
        found[first:end]
    assert found.sha256() == sha256(path)


def test_rows_that_were_read_in_order_are_not_read_again_for_the_hash(path, monkeypatch):
    np.save(path, np.arange(60.0).reshape(12, 5))
    found = ArrayOnDisk(path, hashed=True)
    expected = sha256(path)
    for _ in found.blocks(100):
        pass
    read = []
    opened = type(path).open

    def watched(self, *arguments, **options):
        file = opened(self, *arguments, **options)

        class Watched:
            def read(self, n):
                read.append(file.read(n))
                return read[-1]

            def __enter__(self):
                return self

            def __exit__(self, *error):
                file.close()

            def __getattr__(self, name):
                return getattr(file, name)

        return Watched()

    monkeypatch.setattr(type(path), "open", watched)
    assert found.sha256() == expected
    assert b"".join(read) == b""


# -------------------------------------------------------------------------------------------------------------- damage


def test_damage_is_one_clear_line(path):
    np.save(path, np.arange(60.0).reshape(12, 5))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(
        InputError, match=rf"F.npy is cut off: it should have {len(whole)} bytes, but has {len(whole) - 1}$"
    ):
        ArrayOnDisk(path)
    rng = np.random.default_rng(0)
    n_refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(0, 128, rng.integers(1, 6)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            assert ArrayOnDisk(path)[:].nbytes <= len(whole)
        except InputError as error:
            assert str(error).startswith(f"{path} ") and "\n" not in str(error)
            n_refused += 1
    assert n_refused > 200


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (np.array(["a"], object), "must hold rows of numbers, but is object of shape"),
        (np.array(["abc"]), "must hold rows of numbers, but is <U3 of shape"),
        (np.zeros((2, 3, 4)), r"must hold rows of numbers, but is float64 of shape \(2, 3, 4\)"),
        (np.float64(1), r"must hold rows of numbers, but is float64 of shape \(\)"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_refused(path, content, reason):
    np.save(path, content, allow_pickle=True)
    with pytest.raises(InputError, match=reason):
        ArrayOnDisk(path)


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY", b"\x80\x04.", b"text\n" * 100, b"\x93NUMPY\x09\x00" + b" " * 99]
)
def test_what_is_no_npy_file_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"F.npy cannot be read as an array: it is damaged, or no .npy file"):
        ArrayOnDisk(path)


def test_archives_and_missing_files_are_refused(path):
    np.savez(path.with_suffix(".npz"), np.zeros(3))
    with pytest.raises(InputError, match=r"F.npz is an archive of arrays, not an array$"):
        ArrayOnDisk(path.with_suffix(".npz"))
    with pytest.raises(InputError, match=r"F.npy cannot be read: No such file or directory$"):
        ArrayOnDisk(path)


def test_a_file_that_changes_while_it_is_read_is_noticed(path):
    found = saved(path, np.zeros((12, 5)))
    found[:3]
    np.save(path, np.ones((12, 5)))
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputError, match=r"F.npy was changed by another program while it was read: run again"):
        found[3:]


_READS = """
import resource, sys
from cascade_engine.file_formats.npy import ArrayOnDisk

array = ArrayOnDisk(sys.argv[1], hashed=True)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for block in array.blocks(8 << 20):
    block.sum()
array.sha256()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures memory in units of Linux, on a sparse file")
@pytest.mark.parametrize("is_by_columns", [False, True])
def test_reading_by_blocks_takes_the_memory_of_blocks(path, is_by_columns):
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": is_by_columns, "shape": (4000, 25_000)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 4 * 4000 * 25_000)
    found = subprocess.run([sys.executable, "-c", _READS, str(path)], capture_output=True, text=True, check=True)
    assert int(found.stdout) < 64_000  # kB, of a file of 400 MB
