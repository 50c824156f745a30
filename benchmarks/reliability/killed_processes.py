"""Doing something in a process of its own, and killing it at a moment or at a step."""

from __future__ import annotations

import os
import pickle
import re
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.builders.killing import changes_files

#: Code whose every line is a step at which a process is killed.
PUTS_IN_PLACE = re.compile(
    r"/safe_writing/|file_formats/atomic\.py|nwb/(files|output|hdf5_file|zarr_store)\.py|caiman/file\.py|suite2p/plane\.py"
)


def told(action: Callable[[], Any]) -> Any:
    """What a function returns that is called in a forked process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        answer: tuple[bool, Any] = (False, "ended")
        try:
            answer = (True, action())
        except BaseException:
            answer = (False, traceback.format_exc())
        finally:
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(answer, pipe)
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answered = pipe.read()
    status = os.waitpid(child, 0)[1]
    good, result = pickle.loads(answered) if answered else (False, f"the process ended with status {status}")
    if not good:
        raise RuntimeError(result)
    return result


def killed_by_clock(action: Callable[[], object], delay_s: float | None) -> tuple[str, float]:
    """Kill a process a while after it was made; returns when that was, of the action, and how long that took.

    A delay of None waits for the end of the action.
    """
    reading, writing = os.pipe()
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, b"(")
            action()
            os.write(writing, b")")
            signal.pause()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        if delay_s is None:
            heard = pipe.read(1) + pipe.read(1)
        else:
            time.sleep(max(0.0, delay_s - (time.perf_counter() - start)))
            heard = b""
        taken_s = time.perf_counter() - start
        os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        heard += pipe.read()
    if status != -signal.SIGKILL:
        raise RuntimeError("the action failed by itself")
    return {b"": "before", b"(": "during", b"()": "after"}[heard], taken_s


def steps_of(action: Callable[[], object]) -> Counter:
    """How often an action passes each point at which `killed_at_step` could end it."""
    counter: Counter = Counter()
    _at_steps(lambda step: counter.update([step]))
    action()
    sys.settrace(None)
    return counter


def killed_at_step(action: Callable[[], object], step: tuple, n_earlier: int) -> str:
    """Kill a process when it passes a point for the time after `n_earlier`; returns when that was, of the action."""
    child = os.fork()
    if child == 0:
        left = n_earlier

        def stop(passed: tuple) -> None:
            nonlocal left
            if passed == step:
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1

        try:
            _at_steps(stop)
            action()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, -signal.SIGKILL):
        raise RuntimeError("the action failed by itself")
    return "during" if status else "after"


def _at_steps(call: Callable[[tuple], None]) -> None:
    def trace(frame, event, argument):
        if not PUTS_IN_PLACE.search(frame.f_code.co_filename):
            return None
        if event == "line":
            call((Path(frame.f_code.co_filename).name, frame.f_lineno))
        return trace

    sys.addaudithook(lambda event, arguments: call((event,)) if changes_files(event, arguments) else None)
    sys.settrace(trace)
