"""A file that one process at a time keeps locked; the system unlocks it when the process ends, however it ends."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from cascade_adapters.safe_writing.interruption import held_back


class LockFile:
    """A file to be locked.

    Parameters
    ----------
    path : Path
        The file; made when it is locked, removed when it is unlocked.
    """

    def __init__(self, path: Path):
        self.path = path
        self._handle: int | None = None

    def acquire(self) -> bool:
        """Lock it, unless it is locked by another process, or by another object of this one.

        Returns
        -------
        bool
            Whether it is locked now.

        Raises
        ------
        OSError
            If the file cannot be made, or its file system knows no locks.
        """
        assert self._handle is None
        with held_back():
            return self._acquire()

    def _acquire(self) -> bool:
        while True:
            try:
                handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            except PermissionError:
                if sys.platform == "win32":  # whoever had locked it is just removing it
                    return False
                raise
            try:
                if not _lock(handle):
                    os.close(handle)
                    return False
                if self._is_there(handle):
                    self._handle = handle
                    return True
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)  # it was removed between the opening and the locking

    def release(self) -> None:
        """Unlock and remove it, if it is locked."""
        if self._handle is not None:
            with held_back():
                self._release(self._handle)

    def _release(self, handle: int) -> None:
        self._handle = None
        if sys.platform == "win32":  # an open file cannot be removed there
            os.close(handle)
            with suppress(OSError):  # somebody else has locked it already
                self.path.unlink()
            return
        with suppress(OSError):
            self.path.unlink()
        _unlock(handle)  # a forked process may have the file open too
        os.close(handle)

    def _is_there(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), os.stat(self.path))
        except FileNotFoundError:
            return False


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _unlock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)
