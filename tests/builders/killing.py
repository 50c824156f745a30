"""Ending a process at any point of what it does, to see what it leaves behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process, which this platform lacks")

#: Audit events of operations that change, or prepare to change, the file system.
OPERATIONS = {
    "open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "os.utime", "os.truncate",
    "os.scandir", "shutil.copystat", "shutil.copyfile",
}  # fmt: skip


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


def killed(action: Callable[[], object], at: int, own_code: tuple[str, ...] = ()) -> bool:
    """Run an action in a process that ends, as by a kill, right before operation number `at`; False if it ran out.

    Every line of the files named in `own_code` counts as an operation too: a library may have written by then.
    """

    def until_killed() -> None:
        n_done = 0

        def count() -> None:
            nonlocal n_done
            if n_done == at:
                os._exit(99)
            n_done += 1

        def trace(frame, event, argument):
            if not frame.f_code.co_filename.endswith(own_code):
                return None
            if event == "line":
                count()
            return trace

        sys.addaudithook(lambda event, arguments: count() if event in OPERATIONS else None)
        if own_code:
            sys.settrace(trace)
        action()

    status = forked(until_killed)
    assert status in (0, 99)
    return status == 99
