"""A process that does jobs for another one, which sends them to its standard input.

It ends when its standard input does: when there is no more to do, when the other process was asked to end, or was
killed. What it has begun is then taken back.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cascade_adapters.running.executors.messages import Ended, Message, Refused, Said, SentProgress
from cascade_adapters.running.failures import log_to
from cascade_adapters.running.work import Work
from cascade_adapters.safe_writing.interruption import Interrupted, command_begins, taking_signals
from cascade_adapters.safe_writing.lock import waiting


@dataclass
class Task:
    """What a worker is to do with all its jobs.

    Attributes
    ----------
    work : Work
        What is done with each.
    n_threads : int
        Threads.
    wait_s : float
        How long (s) to wait for others that change the same files.
    log : Path or None
        File for the details of unforeseen failures.
    """

    work: Work
    n_threads: int
    wait_s: float
    log: Path | None


class _Jobs:
    """Jobs as they arrive; the main thread is interrupted when there will be no more while it works on one."""

    def __init__(self, source: BinaryIO):
        self._source = source
        self._arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._is_working = False
        threading.Thread(target=self._read, daemon=True).start()

    def get(self) -> Any:
        """The next thing that arrives; None when there will be none."""
        self._is_working = False
        found = self._arrived.get()
        self._is_working = True
        return found

    def _read(self) -> None:
        try:
            while True:
                self._arrived.put(pickle.load(self._source))
        except Exception:  # the end; or half a job, of a process that was killed
            self._arrived.put(None)
        if self._is_working:
            _interrupt()


def _interrupt() -> None:
    """Send SIGTERM to the main thread, as if somebody had asked this process to end."""
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, signal.SIGTERM)
    else:  # Windows ends a process that is sent a signal
        import _thread

        _thread.interrupt_main(signal.SIGTERM)


def main() -> None:
    """Do the jobs that arrive at standard input, and tell of them on standard output."""
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever libraries print is no message
    for name in ("SIGINT", "SIGHUP"):  # of the terminal, to all its processes: whoever has started this one ends it
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with taking_signals() as interruption:
        command_begins()
        with suppress(Interrupted, BrokenPipeError):
            _do_jobs(_Jobs(sys.stdin.buffer), target)
    os._exit(interruption.status)  # the thread that waits at standard input cannot be ended


def _do_jobs(jobs: _Jobs, target: BinaryIO) -> None:
    def send(message: Message) -> None:
        target.write(pickle.dumps(message))
        target.flush()

    task: Task | None = jobs.get()
    if task is None:
        return
    log_to(task.log)
    warnings.simplefilter("ignore", RuntimeWarning)  # as in the command
    with waiting(task.wait_s, lambda line: send(Said(line))):
        while (content := jobs.get()) is not None:
            try:
                job = pickle.loads(content)
            except Exception as error:
                send(Refused(" ".join(str(error).split())))
            else:
                send(Ended(task.work(job, SentProgress(send), task.n_threads)))
