"""``.mat`` files of both versions: what they hold is read, and damage is noticed."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from scipy.io import loadmat, savemat
from scipy.sparse import csc_matrix

from cascade_engine import InputError
from cascade_engine.file_formats import matlab_elements, matlab_v5
from cascade_engine.file_formats.matlab import list_variables, load_variable, version_of
from tests.builders.array_files import save_mat73
from tests.builders.damaged_matlab import damaged


def cell(*elements) -> np.ndarray:
    """A 1 x n cell for `savemat`."""
    found = np.empty((1, len(elements)), dtype=object)
    for i, element in enumerate(elements):
        found[0, i] = element
    return found


def element(kind: int, data: bytes) -> bytes:
    """A data element with its tag and padding."""
    return struct.pack("<2I", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(kind: int, shape: tuple[int, ...], content: bytes, name: bytes = b"", length: int | None = None) -> bytes:
    """An array element of a class; `length` lies about its size."""
    body = element(6, struct.pack("<2I", kind, 0)) + element(5, struct.pack(f"<{len(shape)}i", *shape))
    body += element(1, name) + content
    return struct.pack("<2I", 14, len(body) if length is None else length) + body


def save_elements(path, *elements: bytes):
    """A file of the given elements."""
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + b"".join(elements))
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_version_5_is_listed_as_scipy_reads_it(tmp_path, compressed):
    rng = np.random.default_rng(0)
    types = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
    content = {f"v_{dtype}": rng.integers(0, 100, (3, 5)).astype(dtype) for dtype in types}
    content |= {"whole": np.arange(300.0), "movie": rng.random((2, 3, 4)), "a_variable_with_a_long_name": 1.0}
    path = tmp_path / "a.mat"
    savemat(path, content, do_compression=compressed, oned_as="row")
    expected = loadmat(path)
    found = {variable.name: variable.load() for variable in list_variables(path)}
    assert found.keys() == content.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name])
        assert array.dtype == expected[name].dtype
        np.testing.assert_array_equal(load_variable(path, name), array)


def test_version_5_of_a_computer_with_the_other_byte_order(tmp_path):
    values = np.array([[1.5, -2.0, 3.0], [4.0, 5.0, 6.0]])
    body = struct.pack(">6I2i", 6, 8, 6, 0, 5, 8, 2, 3) + struct.pack(">HH4s", 3, 1, b"dff") + struct.pack(">2I", 9, 48)
    body += values.T.astype(">f8").tobytes()
    (tmp_path / "a.mat").write_bytes(
        b"MATLAB 5.0".ljust(124) + b"\x01\x00MI" + struct.pack(">2I", 14, len(body)) + body
    )
    np.testing.assert_array_equal(loadmat(tmp_path / "a.mat")["dff"], values)
    (variable,) = list_variables(tmp_path / "a.mat")
    np.testing.assert_array_equal(variable.load(), values)
    np.testing.assert_array_equal(load_variable(tmp_path / "a.mat", "dff"), values)


@pytest.mark.parametrize("form", ["v5", "v5 compressed", "v7.3"])
def test_cells_and_structs_are_read_with_all_they_hold(tmp_path, form):
    path, numbers = tmp_path / "a.mat", np.arange(6.0).reshape(2, 3)
    inner = {"area": "V1", "numbers": numbers, "flags": np.array([[True, False]]), "deep": {"rate": np.array([[30.0]])}}
    others = {"waves": np.array([[1 + 2j, 3 - 1j]]), "nothing": np.empty((0, 0)), "text": "Zürich"}
    if form == "v7.3":
        save_mat73(path, {"session": [inner, [numbers, "two"]], **others})
    else:
        content = {"session": cell(inner, cell(numbers, "two")), **others}
        savemat(path, content, do_compression="compressed" in form)
    assert version_of(path) == form.split()[0]
    first, (second, text) = load_variable(path, "session")
    assert first.keys() == inner.keys() and first["area"] == "V1" and text == "two"
    np.testing.assert_array_equal(first["numbers"], numbers)
    np.testing.assert_array_equal(second, numbers)
    assert first["flags"].dtype == bool and first["flags"].tolist() == [[True, False]]
    assert first["deep"]["rate"].tolist() == [[30.0]]
    np.testing.assert_array_equal(load_variable(path, "waves"), others["waves"])
    assert load_variable(path, "nothing").shape == (0, 0)
    assert load_variable(path, "text") == "Zürich"


def test_arrays_of_structs_come_element_after_element(tmp_path):
    structs = np.array([[(1.0, "a"), (2.0, "b")], [(3.0, "c"), (4.0, "d")]], dtype=[("x", "O"), ("y", "O")])
    path = tmp_path / "a.mat"
    savemat(path, {"all": structs, "none": structs[:0], "rows": ["ab", "cd", "ef"], "sparse": csc_matrix(np.eye(3))})
    found = load_variable(path, "all")
    assert [(entry["x"].item(), entry["y"]) for entry in found] == [(1.0, "a"), (3.0, "c"), (2.0, "b"), (4.0, "d")]
    assert load_variable(path, "none") == []
    assert load_variable(path, "rows") == ["ab", "cd", "ef"]
    assert load_variable(path, "sparse") is None
    for name, message in (("other", "has no variable other"), ("x", "has no variable x")):
        with pytest.raises(InputError, match=f"a.mat {message}"):
            load_variable(path, name)


def test_arrays_of_structs_in_version_73(tmp_path):
    import h5py

    path = tmp_path / "a.mat"
    save_mat73(path, {"columns": {"x": [1.0, 2.0], "y": ["a", "b"]}})
    with h5py.File(path, "r+") as file:
        for field in file["columns"].values():
            del field.attrs["MATLAB_class"]
    assert [(entry["x"].item(), entry["y"]) for entry in load_variable(path, "columns")] == [(1.0, "a"), (2.0, "b")]


def test_version_73_that_refers_to_itself(tmp_path):
    import h5py

    path = tmp_path / "a.mat"
    save_mat73(path, {"all": [np.ones((2, 2)), np.ones((2, 2))]})
    with h5py.File(path, "r+") as file:
        file["all"][:] = file["all"].ref
    with pytest.raises(InputError, match="nested deeper than 16 times"):
        load_variable(path, "all")


NUMBERS = element(9, np.ones(4).tobytes())


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (matrix(1, (1, 2**31 - 1), b"", b"x"), "2147483647 arrays in 0 bytes"),
        (matrix(1, (2**31 - 1,) * 32, matrix(6, (2, 2), NUMBERS), b"x"), "arrays in .* bytes"),
        (matrix(1, (1, 1), NUMBERS, b"x"), "the type 9 in the place of an array"),
        (matrix(1, (1, 1), matrix(6, (2, 2), NUMBERS, length=2**32 - 8), b"x"), "only .* are left"),
        (matrix(6, (2**16, 2**16), NUMBERS, b"x"), r"32 bytes for an array of the shape \(65536, 65536\)"),
        (matrix(6, (2, -2), NUMBERS, b"x"), r"the shape \(2, -2\)"),
        (matrix(6, (1,) * 33, NUMBERS, b"x"), r"the shape \(1, 1"),
        (matrix(6, (4,), NUMBERS, b"x"), r"the shape \(4,\)"),
        (matrix(6, (2, 2), element(99, bytes(32)), b"x"), "numbers of the unknown type 99"),
        (matrix(2, (1, 1), element(5, struct.pack("<i", -1)) + element(1, bytes(8)), b"x"), "field names of -1"),
        (matrix(2, (1, 1), element(5, struct.pack("<i", 1)) + element(1, bytes(20_000)), b"x"), "field names of 1"),
        (matrix(2, (1, 1000), element(5, struct.pack("<i", 8)) + element(1, bytes(80)), b"x"), "10000 arrays"),
        (matrix(6, (2, 2), NUMBERS[:-8], b"x"), "only 24 are left"),
        (matrix(6, (2, 2), b"\x09", b"x"), "ends too early"),
        (matrix(6, (2, 2), NUMBERS, b"x", length=2**31), "a variable of the type 14 and 2147483648 bytes"),
        (b"\x01\x00", "ends too early"),
    ],
)
def test_lengths_and_types_that_cannot_be(tmp_path, array, message):
    path = save_elements(tmp_path / "a.mat", array)
    with pytest.raises(InputError, match="cannot be read: it is damaged, or no") as caught:
        load_variable(path, "x")
    caught.match(message)


def test_text_whose_shape_cannot_be_is_one_line(tmp_path):
    for shape, text in (((2**31 - 1, 2**31 - 1), b"abc"), ((2**31 - 1, 0), b"")):
        path = save_elements(tmp_path / "a.mat", matrix(4, shape, element(16, text), b"x"))
        assert load_variable(path, "x") == text.decode()


def test_depth_and_number_of_arrays_are_bounded(tmp_path, monkeypatch):
    array = matrix(6, (2, 2), NUMBERS)
    for _ in range(15):
        array = matrix(1, (1, 1), array)
    found = load_variable(save_elements(tmp_path / "a.mat", matrix(1, (1, 1), array, b"x")), "x")
    for _ in range(16):
        (found,) = found
    np.testing.assert_array_equal(found, np.ones((2, 2)))
    with pytest.raises(InputError, match="nested deeper than 16 times"):
        load_variable(save_elements(tmp_path / "b.mat", matrix(1, (1, 1), matrix(1, (1, 1), array), b"x")), "x")
    monkeypatch.setattr(matlab_v5, "MOST_ARRAYS", 10)
    wide = save_elements(tmp_path / "c.mat", matrix(1, (1, 11), struct.pack("<2I", 14, 0) * 11, b"x"))
    with pytest.raises(InputError, match="more than 10 of them"):
        load_variable(wide, "x")
    many = save_elements(tmp_path / "d.mat", *[matrix(6, (2, 2), NUMBERS, b"x")] * 11)
    with pytest.raises(InputError, match="more than 10 variables"):
        list_variables(many)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tag, body: struct.pack("<2I", 14, 2**31) + body, "would take 2.1 GB, but only 0.0 MB are stored"),
        (lambda tag, body: struct.pack("<2I", 9, len(body)) + body, "compressed variable of the type 9"),
        (lambda tag, body: tag + body[:-8], "incomplete, or longer"),
        (lambda tag, body: tag + body + bytes(100), "incomplete, or longer"),
        (lambda tag, body: b"", "ends too early"),
    ],
)
def test_compressed_variables_are_as_long_as_they_say(tmp_path, change, message):
    whole = matrix(6, (2, 2), NUMBERS, b"x")
    path = save_elements(tmp_path / "a.mat", element(15, zlib.compress(whole)))
    np.testing.assert_array_equal(load_variable(path, "x"), np.ones((2, 2)))
    save_elements(path, element(15, zlib.compress(change(whole[:8], whole[8:]))))
    with pytest.raises(InputError, match=message):
        load_variable(path, "x")


def test_a_compressed_variable_is_never_unpacked_beyond_its_length(tmp_path, monkeypatch):
    """A few KB that would unpack to 1 GB."""
    packed = zlib.compress(matrix(6, (2, 2), NUMBERS, b"x") + bytes(10**7))
    path = save_elements(tmp_path / "a.mat", element(15, packed))
    unpacked = []

    class Watched:
        def __init__(self):
            self._stream = make()

        def __getattr__(self, name):
            return getattr(self._stream, name)

        def decompress(self, data, limit=0):
            unpacked.append(len(found := self._stream.decompress(data, limit)))
            return found

    make = zlib.decompressobj
    monkeypatch.setattr(matlab_elements.zlib, "decompressobj", Watched)
    with pytest.raises(InputError, match="longer than it says"):
        load_variable(path, "x")
    assert sum(unpacked) < 1000


@pytest.mark.parametrize("content", [b"", b"MATLAB", bytes(500), b"\x89HDF\r\n\x1a\n", b"MATLAB 7.3".ljust(512)])
def test_files_of_something_else(tmp_path, content):
    (tmp_path / "a.mat").write_bytes(content)
    for read in (list_variables, lambda path: load_variable(path, "x")):
        with pytest.raises(InputError, match="cannot be read: it is damaged, or no"):
            read(tmp_path / "a.mat")
        with pytest.raises(InputError, match="cannot be read: No such file"):
            read(tmp_path / "b.mat")


@pytest.mark.parametrize("form", ["v5", "v5 compressed", "v7.3"])
def test_damaged_files_are_read_or_refused(tmp_path, form):
    path, rng, refused = tmp_path / "a.mat", np.random.default_rng(0), 0
    structs = [{"numbers": np.arange(40.0), "text": f"neuron {i}", "more": {"x": np.ones((3, 4))}} for i in range(5)]
    if form == "v7.3":
        save_mat73(path, {"x": structs})
    else:
        savemat(path, {"x": cell(*structs)}, do_compression="compressed" in form)
    content = path.read_bytes()
    for _ in range(200):
        path.write_bytes(damaged(content, rng))
        try:
            load_variable(path, "x")
        except InputError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)
            refused += 1
    assert 50 < refused < 200
