"""What version 0.1.0 stored inside a file to make it what it was, byte by byte: the old content of changed pages.

Today's journals lie beside the file; see `cascade_adapters.safe_writing.journal`.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path

_PAGE = 4096
_SEAL = hashlib.sha256().digest_size
_HEADER = struct.Struct("<QQQ")  # size of the original, number of pages, length of what follows


def restore_original(copy: Path, dataset: str) -> bool:
    """Make a copy of a file what the file was before, if its dataset tells that and nothing was changed since.

    Returns
    -------
    bool
        Whether it is; if not, the copy is unchanged.
    """
    import h5py

    with h5py.File(copy, "r") as file:
        found = file.get(dataset)
        if not isinstance(found, h5py.Dataset) or found.dtype != "u1" or found.ndim != 1:
            return False
        offset, stored = found.id.get_offset(), found[:].tobytes()
    if offset is None or stored[:_SEAL] != _digest(copy, offset):
        return False
    size, n_pages, length = _HEADER.unpack_from(stored, _SEAL)
    content = zlib.decompress(stored[_SEAL + _HEADER.size :][:length])
    with copy.open("r+b") as file:
        file.truncate(size)
        start = 8 * n_pages
        for number in struct.unpack_from(f"<{n_pages}Q", content):
            file.seek(number * _PAGE)
            length = min(_PAGE, size - number * _PAGE)
            file.write(content[start : start + length])
            start += length
    return True


def _digest(path: Path, seal: int) -> bytes:
    """SHA-256 of a file, the place of the seal itself read as zeros."""
    digest, left = hashlib.sha256(), seal
    with path.open("rb") as file:
        while left and (block := file.read(min(1 << 20, left))):
            digest.update(block)
            left -= len(block)
        digest.update(bytes(len(file.read(_SEAL))))
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()
