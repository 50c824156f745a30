"""Writing files so that a kill at any moment leaves the old file or the new one."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the place of `path` once the block has ended without an error.

    Parameters
    ----------
    path : path
        File to create or replace.

    Yields
    ------
    binary file
        Open for reading and writing, in the same folder as `path`.

    Examples
    --------
    >>> import pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "note.txt"
    >>> with replacing(target) as file:
    ...     _ = file.write(b"whole or not at all")
    >>> target.read_text()
    'whole or not at all'
    """
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _default_mode())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file's content, as hexadecimal digits."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _default_mode() -> int:
    """Permissions that a newly created file would get (`mkstemp` allows the owner only)."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
