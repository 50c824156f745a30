"""What ``.mat`` files of version 5 are made of: data elements, and the arrays in them.

After MathWorks' description of the format. Every length is checked against the bytes that are there before it is used,
so that a damaged file ends in a `ValueError`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from cascade_engine.file_formats.unpacking import check_unpacked

_HEADER_BYTES = 128

#: Types of data elements: those that hold numbers, one that holds an array, and one that holds a compressed variable.
_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8", 16: "u1", 17: "u2",
    18: "u4",
}  # fmt: skip
MATRIX, _COMPRESSED = 14, 15

#: Encodings of text by type of data element; the other types hold codes of characters.
_ENCODINGS = {16: "utf-8", 17: "utf-16", 18: "utf-32"}

#: Classes of arrays: those of numbers with their type, and what the others are called.
NUMERIC = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_OTHERS = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 16: "function", 17: "object"}
CELL, STRUCT, CHAR, _OPAQUE = 1, 2, 4, 17
_LOGICAL, _COMPLEX = 0x02, 0x08

#: Arrays with more dimensions and structs with more fields are taken to be damaged.
_MOST_DIMENSIONS, _MOST_FIELDS = 32, 10_000


@dataclass(frozen=True)
class Array:
    """One array inside the bytes of a variable.

    Attributes
    ----------
    name : str
        As stored; elements of cells and fields of structs have none.
    kind, flags : int
        Its class, and whether it is logical or complex.
    shape : tuple of int
        As the user knows it.
    content : memoryview
        What follows the name.
    order : str
        Byte order, ``"<"`` or ``">"``.
    """

    name: str
    kind: int
    flags: int
    shape: tuple[int, ...]
    content: memoryview
    order: str

    @property
    def is_logical(self) -> bool:
        """Whether its numbers stand for true and false."""
        return bool(self.flags & _LOGICAL)

    @property
    def is_complex(self) -> bool:
        """Whether it has an imaginary part."""
        return bool(self.flags & _COMPLEX)

    @property
    def problem(self) -> str:
        """What it is if it cannot be real numbers, or an empty string."""
        if self.kind not in NUMERIC:
            return _OTHERS.get(self.kind, "unknown")
        if self.is_logical or self.is_complex:
            return "logical" if self.is_logical else "complex"
        return "" if prod(self.shape) else "empty"

    def numbers(self) -> np.ndarray:
        """Its numbers, or the codes of its text; the real part of complex ones."""
        return self._numbers(0)[0]

    def complex_numbers(self) -> np.ndarray:
        """Real and imaginary part."""
        real, following = self._numbers(0)
        values = np.empty(self.shape, dtype=np.complex128)
        values.real, values.imag = real, self._numbers(following)[0]
        return values

    def text(self) -> str | list[str]:
        """Its text; several rows as a list, if there are as many characters as its shape says."""
        stored, data, _ = read_element(self.content, 0, self.order)
        if stored in _ENCODINGS:
            endings = {"<": "-le", ">": "-be"} if stored != 16 else {}
            text = bytes(data).decode(_ENCODINGS[stored] + endings.get(self.order, ""), errors="replace")
        else:
            text = self.numbers().astype("u2").tobytes("F").decode("utf-16", errors="replace")
        n_rows = self.shape[0] if len(text) == prod(self.shape) > 0 else 1
        return [text[row::n_rows] for row in range(n_rows)] if n_rows > 1 else text

    def elements(self) -> Iterator[memoryview]:
        """The bytes of the arrays in a cell, down its columns."""
        return self._arrays(0, prod(self.shape))

    def fields(self) -> tuple[list[str], Iterator[memoryview]]:
        """Names of the fields of a struct, and the bytes of their arrays, element after element."""
        _, lengths, position = read_element(self.content, 0, self.order)
        length = int(_integers(lengths, f"{self.order}i4", 1)[0])
        _, names, position = read_element(self.content, position, self.order)
        if length <= 0 or len(names) % length or len(names) // length > _MOST_FIELDS:
            raise ValueError(f"field names of {length} in {len(names)} bytes")
        starts = range(0, len(names), length)
        found = [bytes(names[start : start + length]).split(b"\0")[0].decode("latin-1") for start in starts]
        return found, self._arrays(position, len(found) * prod(self.shape))

    def _numbers(self, position: int) -> tuple[np.ndarray, int]:
        stored, data, following = read_element(self.content, position, self.order)
        if stored not in _NUMBERS:
            raise ValueError(f"numbers of the unknown type {stored}")
        dtype = np.dtype(self.order + _NUMBERS[stored])
        if len(data) != dtype.itemsize * prod(self.shape):
            raise ValueError(f"{len(data)} bytes for an array of the shape {self.shape}")
        values = np.frombuffer(data, dtype)
        with np.errstate(invalid="ignore"):  # damaged numbers
            values = values.astype(NUMERIC.get(self.kind, values.dtype))
        return values.reshape(self.shape, order="F"), following

    def _arrays(self, position: int, n_arrays: int) -> Iterator[memoryview]:
        if n_arrays > len(self.content) // 8:  # each has at least its type and length
            raise ValueError(f"{n_arrays} arrays in {len(self.content)} bytes")
        for _ in range(n_arrays):
            kind, content, position = read_element(self.content, position, self.order)
            if kind != MATRIX:
                raise ValueError(f"an element of the type {kind} in the place of an array")
            yield content


def read_array(content: memoryview, order: str) -> Array:
    """What an array says about itself.

    Parameters
    ----------
    content : memoryview
        The array, or as many bytes of it as hold its class, shape and name.
    order : str
        Byte order.

    Returns
    -------
    Array
        Without its values.

    Raises
    ------
    ValueError
        If the bytes are damaged.
    """
    _, data, position = read_element(content, 0, order)
    flags = int(_integers(data, f"{order}u4", 2)[0])
    kind: int = flags & 0xFF
    shape: tuple[int, ...] = ()
    if kind != _OPAQUE:
        _, data, position = read_element(content, position, order)
        shape = tuple(_integers(data, f"{order}i4", len(data) // 4).tolist())
        if not 2 <= len(shape) <= _MOST_DIMENSIONS or min(shape) < 0:
            raise ValueError(f"an array of the shape {shape[:_MOST_DIMENSIONS]}")
    _, data, position = read_element(content, position, order)
    return Array(bytes(data).decode("latin-1"), kind, flags >> 8 & 0xFF, shape, content[position:], order)


def read_element(content: memoryview, position: int, order: str) -> tuple[int, memoryview, int]:
    """Type and data of the element at a position, and the position of the next."""
    kind, length = _integers(content[position : position + 8], f"{order}u4", 2).tolist()
    start, end = position + 8, position + 8 + length
    following = end + -end % 8
    if kind >> 16:  # up to four bytes lie where the length would be
        kind, length = kind & 0xFFFF, kind >> 16
        start, end, following = position + 4, position + 4 + length, position + 8
        if length > 4:
            raise ValueError(f"a small element of {length} bytes")
    if end > len(content):
        raise ValueError(f"an element of {length} bytes, but only {len(content) - start} are left")
    return kind, content[start:end], following


def _integers(data: memoryview, dtype: str, count: int) -> np.ndarray:
    if len(data) < 4 * count:
        raise ValueError("it ends too early")
    return np.frombuffer(data, dtype, count)


@dataclass(frozen=True)
class Place:
    """Where a variable lies in a file.

    Attributes
    ----------
    path : Path
        The file.
    order : str
        Byte order.
    position, length : int
        First byte of the variable and number of bytes, as they are stored.
    is_compressed : bool
        Whether zlib has compressed it.
    """

    path: Path
    order: str
    position: int
    length: int
    is_compressed: bool

    def read(self, limit: int | None = None) -> Array:
        """The array stored here; with a limit only so many bytes of it are read, enough for what it says of itself.

        Raises
        ------
        ValueError
            If it is damaged.
        """
        with self.path.open("rb") as file:
            file.seek(self.position)
            stored = file.read(self.length if limit is None else min(self.length, limit))
        content = _decompressed(stored, self.length, self.order, limit) if self.is_compressed else stored
        return read_array(memoryview(content), self.order)


def find_places(path: Path) -> Iterator[Place]:
    """Yield the places of the variables in a file.

    Raises
    ------
    ValueError
        If the file is damaged, or no ``.mat`` file of version 5.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        order = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}.get(file.read(_HEADER_BYTES)[124:])
        if order is None:
            raise ValueError("no .mat file of version 5")
        position = _HEADER_BYTES
        while position < size:
            file.seek(position)
            kind, length = _integers(memoryview(file.read(8)), f"{order}u4", 2).tolist()
            position += 8
            if kind not in (MATRIX, _COMPRESSED) or length > size - position:
                raise ValueError(f"a variable of the type {kind} and {length} bytes")
            yield Place(path, order, position, length, kind == _COMPRESSED)
            position += length


def _decompressed(stored: bytes, full_length: int, order: str, limit: int | None) -> bytes:
    """The array inside a compressed variable, without its tag."""
    stream = zlib.decompressobj()
    try:
        tag = stream.decompress(stored, 8)
        kind, length = _integers(memoryview(tag), f"{order}u4", 2).tolist()
        if kind != MATRIX or not length:
            raise ValueError(f"a compressed variable of the type {kind} and {length} bytes")
        if limit is not None:
            return stream.decompress(stream.unconsumed_tail, min(limit, length))
        check_unpacked(length, full_length)
        content = stream.decompress(stream.unconsumed_tail, length)
        surplus = b"" if stream.eof else stream.decompress(stream.unconsumed_tail, 1)
    except zlib.error:
        raise ValueError("a compressed variable is damaged") from None
    if len(content) < length or surplus or not stream.eof:
        raise ValueError("a compressed variable is incomplete, or longer than it says")
    return content
