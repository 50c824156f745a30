"""``.mat`` files of version 5 with damage of every kind, also inside their compressed variables."""

from __future__ import annotations

import struct
import zlib

import numpy as np

_HEADER_BYTES, _MATRIX, _COMPRESSED = 128, 14, 15

#: Lengths and types that make readers go wrong.
_NUMBERS = (0, 1, 3, 5, 8, 14, 15, 255, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 8, (1 << 32) - 1)


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage the bytes of a file.

    Parameters
    ----------
    content : bytes
        A whole ``.mat`` file of version 5, of this computer's byte order.
    rng : numpy.random.Generator
        Source of randomness: the same seed gives the same damage.

    Returns
    -------
    bytes
        The file cut off, with bits turned over, with wrong lengths, types or shapes, or with a part missing or doubled;
        half of the time inside a compressed variable, which is then compressed again.
    """
    variables = _compressed_variables(content)
    if variables and rng.random() < 0.5:
        start, end = variables[rng.integers(len(variables))]
        inside = damage_bytes(zlib.decompress(content[start + 8 : end]), 8, rng)
        packed = zlib.compress(inside)
        return content[:start] + struct.pack("<2I", _COMPRESSED, len(packed)) + packed + content[end:]
    return damage_bytes(content, _HEADER_BYTES, rng)


def damage_bytes(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    """Damage bytes, half of the time near the end of a header of so many bytes."""
    changed = bytearray(content)
    # the first bytes of what follows the header say the most
    reach = len(changed) if rng.random() < 0.5 else min(len(changed), header + 600)
    kind = rng.integers(5)
    if kind == 0:
        return bytes(changed[: rng.integers(len(changed))])
    if kind == 1:
        for place in rng.integers(reach, size=rng.integers(1, 6)):
            changed[place] ^= 1 << rng.integers(8)
    elif kind == 2:
        for place in rng.integers(reach // 4, size=rng.integers(1, 4)):
            number = int(rng.choice(_NUMBERS) if rng.random() < 0.8 else rng.integers(1 << 32))
            changed[4 * place : 4 * place + 4] = struct.pack("<I", number)
    elif kind == 3:
        start = int(rng.integers(reach))
        del changed[start : start + 8 * int(rng.integers(1, 20))]
    else:
        start = 8 * int(rng.integers(reach // 8))
        part = changed[start : start + 8 * int(rng.integers(1, 200))]
        changed[start:start] = part
    return bytes(changed)


def _compressed_variables(content: bytes) -> list[tuple[int, int]]:
    """First and last byte of each compressed variable, with its tag."""
    found, position = [], _HEADER_BYTES
    while position < len(content):
        kind, length = struct.unpack("<2I", content[position : position + 8])
        if kind == _COMPRESSED:
            found.append((position, position + 8 + length))
        position += 8 + length
    return found
