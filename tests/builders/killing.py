"""Ending a process at any point of what it does, to see what it leaves behind."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process, which this platform lacks")

#: Audit events of operations that change the file system.
_CHANGES = {
    "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.chown", "os.utime",
    "os.truncate",
}  # fmt: skip

#: Flags of files that are opened for writing.
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

#: A file that was changed within this time may be changed again without its time telling.
_CLOCK_NS = 20_000_000


def heed_signals() -> None:
    """A program that was started in the background is told to ignore some of them, and so are all that it starts."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def changes_files(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether an audit event announces a change of the file system; between these, a kill changes nothing."""
    return event in _CHANGES or (event == "open" and bool(arguments[2] & _WRITING))


def fresh(template: Path, folder: Path) -> None:
    """Make a folder a copy of another, whatever it was."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)


def forked(action: Callable[[], object]) -> int:
    """Run an action in a forked process; returns its exit status, 0 if the action ended without an error."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def sigkilled(action: Callable[[], object], after_s: float) -> None:
    """Run an action that does not end in a forked process, and send it SIGKILL after so many seconds."""
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(1)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def killed(action: Callable[[], object], at: int | None, own_code: tuple[str, ...] = ()) -> bool:
    """Run an action in a process that ends, as by a kill, right before change number `at`; False if it ran out.

    Every line of the files named in `own_code` counts as a change too: a library may have written by then.
    """

    def until_killed() -> None:
        numbers = count()
        _at_points(lambda: os._exit(99) if next(numbers) == at else None, own_code)
        action()

    status = forked(until_killed)
    assert status in (0, 99)
    return status == 99


def kills(
    prepare: Callable[[], object], action: Callable[[], object], folder: Path, own_code: tuple[str, ...] = ()
) -> Iterator[int | None]:
    """Prepare a folder, kill an action in it, and yield the point, for all of `changing_points`; at the end let it run.

    The last value is None: the action was not killed.
    """
    prepare()
    for at in (*changing_points(action, folder, own_code), None):
        prepare()
        assert killed(action, at, own_code) == (at is not None)
        yield at


def changing_points(action: Callable[[], object], folder: Path | None, own_code: tuple[str, ...] = ()) -> list[int]:
    """Points at which `killed` can end an action, those at which it leaves something new in a folder.

    They are found by running the action once, in a process of its own. At all other points a kill leaves what it leaves
    at the point before. Without a folder, all points.
    """
    reading, writing = os.pipe()

    def listing() -> None:
        numbers, seen, found = count(), None, []
        known: dict[tuple, str] = {}

        def look() -> None:
            nonlocal seen
            number, now = next(numbers), None if folder is None else _content(folder, known)
            if now is None or now != seen:
                found.append(number)
                seen = now

        _at_points(look, own_code)
        action()
        sys.settrace(None)
        os.write(writing, json.dumps(found).encode())

    status = forked(listing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert status == 0
        return json.load(pipe)


def _content(folder: Path, known: dict[tuple, str]) -> dict[str, tuple]:
    """Folders, and files with content, mode and time of modification; `known` spares reading again what is old."""
    found: dict[str, tuple] = {}
    for place, _, names in os.walk(folder):
        found[place] = ()
        for path in (os.path.join(place, name) for name in names):
            status = os.lstat(path)
            key = (path, status.st_ino, status.st_size, status.st_mtime_ns)
            if key not in known or time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < _CLOCK_NS:
                known[key] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            found[path] = (known[key], status.st_mode, status.st_mtime_ns)
    return found


def _at_points(call: Callable[[], object], own_code: tuple[str, ...]) -> None:
    """From now on call this before each change, and before each line of own code."""

    def trace(frame, event, argument):
        if not frame.f_code.co_filename.endswith(own_code):
            return None
        if event == "line":
            call()
        return trace

    sys.addaudithook(lambda event, arguments: call() if changes_files(event, arguments) else None)
    if own_code:
        sys.settrace(trace)
