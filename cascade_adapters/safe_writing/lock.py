"""One run at a time changes a file or folder; others wait for it."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cascade_adapters.safe_writing import names
from cascade_adapters.safe_writing.lock_file import LockFile
from cascade_engine.errors import InputError

#: How long (s) a run waits for another by default.
DEFAULT_WAIT_S = 60.0

_POLL_S = 0.05


@dataclass
class _Waiting:
    wait_s: float = DEFAULT_WAIT_S
    say: Callable[[str], object] = lambda message: None


_waiting = _Waiting()


class _Held(threading.local):
    """What this thread of this process has locked, and what it is changing."""

    def __init__(self) -> None:
        self._begin()

    def here(self) -> _Held:
        if self._process != os.getpid():  # forked: what the parent holds is not ours
            self._begin()
        return self

    def _begin(self) -> None:
        self._process = os.getpid()
        self.locks: Counter[Path] = Counter()
        self.changes: Counter[Path] = Counter()


_held = _Held()


@contextmanager
def waiting(wait_s: float, say: Callable[[str], object] = lambda message: None) -> Iterator[None]:
    """Set how long `lock` waits within the block, in all threads of this process.

    Parameters
    ----------
    wait_s : float
        Seconds; 0: fail at once.
    say : callable
        Called with a line of text when the waiting begins.
    """
    global _waiting
    before, _waiting = _waiting, _Waiting(wait_s, say)
    try:
        yield
    finally:
        _waiting = before


def current_wait() -> tuple[float, Callable[[str], object]]:
    """How long (s) `lock` waits now, and what is called when the waiting begins; see `waiting`."""
    return _waiting.wait_s, _waiting.say


@contextmanager
def lock(path: Path, wait_s: float | None = None) -> Iterator[None]:
    """Keep other runs of ours on this computer from changing a file or folder; waits for one that does.

    A thread may lock what it has locked already.

    Parameters
    ----------
    path : Path
        The file or folder.
    wait_s : float, optional
        How long to wait, in seconds; 0: not at all. Default: as set by `waiting`, else 60.

    Raises
    ------
    InputError
        If another run is still changing it after that time.
    """
    held, key = _held.here(), path.resolve()
    file = None if held.locks[key] else LockFile(names.lock_file(path))
    try:
        if file is not None:
            _acquire(file, path, _waiting.wait_s if wait_s is None else wait_s)
        held.locks[key] += 1
        try:
            yield
        finally:
            held.locks[key] -= 1
    finally:
        if file is not None:
            file.release()


@contextmanager
def under_way(path: Path) -> Iterator[None]:
    """Within the block this thread is changing a file or folder: what lies beside it is no leftover of a killed run."""
    changes, key = _held.here().changes, path.resolve()
    changes[key] += 1
    try:
        yield
    finally:
        changes[key] -= 1


def is_under_way(path: Path) -> bool:
    """Whether this thread is changing a file or folder just now."""
    return _held.here().changes[path.resolve()] > 0


def _acquire(file: LockFile, path: Path, wait_s: float) -> None:
    until = time.monotonic() + wait_s
    is_said = False
    try:
        while not file.acquire():
            left = until - time.monotonic()
            if left <= 0:
                raise InputError(f"{path} is being changed by another run{_advice(wait_s)}")
            if not is_said:
                _waiting.say(f"{path} is being changed by another run: waiting up to {wait_s:g} s for it to end")
                is_said = True
            time.sleep(min(_POLL_S, left))
    except OSError as error:
        raise InputError(f"{path} cannot be locked: {file.path}: {error.strerror or error}") from error


def _advice(wait_s: float) -> str:
    if wait_s <= 0:
        return ": wait for it to end, or pass --wait"
    return f", and still is after {wait_s:g} s: run again when that has ended, or pass a longer --wait"
