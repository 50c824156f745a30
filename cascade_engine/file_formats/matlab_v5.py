"""Reading ``.mat`` files of version 5 (MATLAB's default), after MathWorks' description of the format.

scipy reads them too, but a damaged file can make it crash, and the fields of a struct cannot be listed without it.
Every length is checked here before it is believed. Cells, objects and sparse matrices are named and passed over.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from cascade_engine.file_formats.variables import Variable

_HEADER_BYTES = 128

#: Types of data elements that hold numbers (or the codes of text), and the two that hold whole arrays.
_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8", 16: "u1", 17: "u2",
    18: "u4",
}  # fmt: skip
_MATRIX, _COMPRESSED = 14, 15

#: Classes of arrays: those of numbers with their type, and what the others are called.
_NUMERIC = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_OTHERS = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 16: "function", 17: "object"}
_STRUCT, _CHAR, _OPAQUE = 2, 4, 17
_LOGICAL, _COMPLEX = 0x02, 0x08

#: Structs are looked into this deep.
_DEEPEST = 3

#: Enough of a variable for its class, shape and name.
_START_BYTES = 4096


@dataclass(frozen=True)
class _Array:
    """One array inside the bytes of a variable.

    Attributes
    ----------
    name : str
        As stored; fields of structs have none.
    kind, flags : int
        Its class, and whether it is logical or complex.
    shape : tuple of int
        As the user knows it.
    content : memoryview
        What follows the name.
    order : str
        Order of bytes.
    """

    name: str
    kind: int
    flags: int
    shape: tuple[int, ...]
    content: memoryview
    order: str

    @property
    def problem(self) -> str:
        """As in `Variable`."""
        if self.kind not in _NUMERIC:
            return _OTHERS.get(self.kind, "unknown")
        if self.flags & (_LOGICAL | _COMPLEX):
            return "logical" if self.flags & _LOGICAL else "complex"
        return "" if prod(self.shape) else "empty"

    def values(self) -> np.ndarray:
        """Numbers, or the codes of text; the real part of complex ones."""
        stored, data, _ = _element(self.content, 0, self.order)
        values = np.frombuffer(data, np.dtype(_NUMBERS[stored]).newbyteorder(self.order))
        return values.astype(_NUMERIC.get(self.kind, values.dtype)).reshape(self.shape, order="F")


def read_variables(path: Path) -> Iterator[Variable]:
    """Yield the variables of a file, structs by the names of their fields.

    Raises
    ------
    Exception
        Of any kind, if the file is damaged or something else.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
        order = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}[header[124:128]]
        position = _HEADER_BYTES
        while position < size:
            kind, length = np.frombuffer(file.read(8), f"{order}u4").tolist()
            position += 8
            if kind not in (_MATRIX, _COMPRESSED) or length > size - position:
                raise ValueError(f"an element of type {kind} and {length} bytes")
            place = (position, length, kind == _COMPRESSED)
            array = _array(_content(path, place, _START_BYTES), order)
            if array.kind == _STRUCT:
                array = _array(_content(path, place), order)
                yield from _fields(array.name, array, _DEEPEST)
            elif array.name:  # MATLAB keeps the content of objects in a variable without a name
                yield Variable(array.name, array.shape, partial(_load, path, place, order), array.problem)
            position += length
            file.seek(position)


def _load(path: Path, place: tuple[int, int, bool], order: str) -> np.ndarray:
    return _array(_content(path, place), order).values()


def _content(path: Path, place: tuple[int, int, bool], limit: int = 0) -> memoryview:
    """The bytes of a variable, or as many of them as suffice for its shape and name."""
    position, length, is_compressed = place
    with path.open("rb") as file:
        file.seek(position)
        content = file.read(min(length, limit) if limit else length)
    if not is_compressed:
        return memoryview(content)
    stream = zlib.decompressobj()
    content = stream.decompress(content, limit)
    if not limit and not stream.eof:
        raise ValueError("the compressed variable is incomplete")
    return memoryview(content)[8:]  # less the tag of the array inside


def _fields(name: str, array: _Array, depth: int) -> Iterator[Variable]:
    """The fields of a single struct, by their names, or the array itself."""
    if array.kind != _STRUCT or prod(array.shape) != 1 or not depth:
        yield Variable(name, array.shape, array.values, array.problem)
        return
    _, lengths, position = _element(array.content, 0, array.order)
    length = int(np.frombuffer(lengths, f"{array.order}i4")[0])
    _, names, position = _element(array.content, position, array.order)
    if length <= 0 or len(names) % length:
        raise ValueError(f"names of {length} bytes")
    for start in range(0, len(names), length):
        field = bytes(names[start : start + length]).split(b"\0")[0].decode("latin-1")
        kind, content, position = _element(array.content, position, array.order)
        if kind != _MATRIX:
            raise ValueError(f"a field of type {kind}")
        if content:  # otherwise it is empty
            yield from _fields(f"{name}.{field}", _array(content, array.order), depth - 1)


def _array(content: memoryview, order: str) -> _Array:
    _, data, position = _element(content, 0, order)
    flags, _ = np.frombuffer(data, f"{order}u4", count=2).tolist()
    kind, shape = flags & 0xFF, ()
    if kind != _OPAQUE:
        _, data, position = _element(content, position, order)
        shape = tuple(np.frombuffer(data, f"{order}i4").tolist())
        if len(shape) < 2 or min(shape) < 0:
            raise ValueError(f"an array of the shape {shape}")
    _, data, position = _element(content, position, order)
    return _Array(bytes(data).decode("latin-1"), kind, flags >> 8 & 0xFF, shape, content[position:], order)


def _element(content: memoryview, position: int, order: str) -> tuple[int, memoryview, int]:
    """Type and data of the element at a position, and the position of the next."""
    kind, length = np.frombuffer(content[position : position + 8], f"{order}u4", count=2).tolist()
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
