"""One run at a time changes a file or folder."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from cascade_engine.errors import InputError


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Keep other runs of ours on this machine from changing a file or folder; raises `InputError` if one does."""
    # outside the folder, so that nothing of ours is left in it; the system frees the lock of a killed process
    owner = os.getuid() if hasattr(os, "getuid") else 0
    key = hashlib.sha256(f"{owner}:{path.resolve()}".encode()).hexdigest()[:24]
    lock = FileLock(Path(tempfile.gettempdir()) / f"cascade-{key}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{path} is being changed by another run: wait for it to end") from None
    try:
        yield
    finally:
        with suppress(OSError):  # not every system lets go of an open file
            Path(lock.lock_file).unlink()
        lock.release()
