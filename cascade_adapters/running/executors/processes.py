"""Several jobs at a time, each in a process of this computer; the failure of one does not touch the others.

The processes are new ones, not copies of this one: it works alike on Linux, macOS and Windows, from scripts and
notebooks, and whatever threads there are. A process does one job after another; when it is killed by the system, the
job that it was doing has failed, and another process goes on with the next.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import Any

from cascade_adapters.running.executors.base import Executor
from cascade_adapters.running.executors.messages import Advanced, Begun, Ended, Message, Refused, Said, show
from cascade_adapters.running.executors.worker import Task
from cascade_adapters.running.failures import log_path
from cascade_adapters.running.progress import Display
from cascade_adapters.running.report import Report
from cascade_adapters.running.work import Job, Work, explained, failed
from cascade_adapters.safe_writing.interruption import end_if_asked, held_back
from cascade_adapters.safe_writing.lock import current_wait

#: What a new process runs; it finds the same modules as this one.
_CODE = "import sys; sys.path[:] = sys.argv[1:]; from cascade_adapters.running.executors.worker import main; main()"

#: How often (s) it is looked whether this process is asked to end.
_POLL_S = 0.2

#: How long (s) a process may take to take back what it has begun; then it is killed.
_PATIENCE_S = 60.0


class Processes(Executor):
    """Does jobs in processes of this computer.

    Parameters
    ----------
    n_processes : int
        How many jobs at a time.
    n_threads : int
        Threads of each.
    """

    def __init__(self, n_processes: int, n_threads: int):
        self._n_processes, self._n_threads = n_processes, n_threads

    def run(self, jobs: Sequence[Job], work: Work, display: Display) -> Generator[tuple[int, list[Report]], None, None]:
        """See `Executor.run`."""
        wait_s, say = current_wait()
        task = Task(work, self._n_threads, wait_s, log_path())
        arrived: queue.SimpleQueue[tuple[_Process, Message | None]] = queue.SimpleQueue()
        waiting = deque(enumerate(jobs))
        processes: list[_Process] = []
        try:
            while waiting or any(each.number is not None for each in processes):
                while waiting and len(processes) < self._n_processes:
                    processes.append(_Process(task, self._n_threads, arrived))
                for process in processes:
                    while waiting and process.number is None:
                        number, job = waiting.popleft()
                        problem = process.give(number, job)
                        if problem:
                            yield number, failed(job, problem)
                end_if_asked()
                with suppress(queue.Empty):
                    process, message = arrived.get(timeout=_POLL_S)
                    if isinstance(message, Said):
                        with display.aside():
                            say(message.line)
                    elif isinstance(message, Begun | Advanced):
                        assert process.number is not None
                        show(display, process.number, message)
                    else:
                        done, process.number = process.number, None
                        if message is None:
                            processes.remove(process)
                        if done is not None:
                            yield done, process.outcome(jobs[done], message)
        finally:
            with held_back():
                for process in processes:
                    process.ask_to_end()
                for process in processes:
                    process.wait()


class _Process:
    """A process that does jobs.

    Parameters
    ----------
    task : Task
        What it does with all of them.
    n_threads : int
        Threads of its libraries.
    arrived : queue
        Here it puts itself together with each message, and with None when it has ended.
    """

    def __init__(self, task: Task, n_threads: int, arrived: queue.SimpleQueue):
        threads = {name: str(n_threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        self.number: int | None = None
        self._arrived = arrived
        with held_back():
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CODE, *map(os.path.abspath, sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**threads, **os.environ},
            )
        threading.Thread(target=self._listen, daemon=True).start()
        self._send(pickle.dumps(task))

    def give(self, number: int, job: Job) -> str:
        """Give it a job; says why it cannot be given to any process, else nothing."""
        try:
            content = pickle.dumps(list(job))
        except Exception as error:
            return _not_sent(job, explained(error, str(job[0].path)))
        self.number = number
        self._send(pickle.dumps(content))  # it takes it out of its wrapping when it can say what went wrong
        return ""

    def outcome(self, job: Job, message: Message | None) -> list[Report]:
        """Reports on a job, by the last message on it; None: it has ended without a word."""
        if isinstance(message, Ended):
            return message.reports
        if isinstance(message, Refused):
            return failed(job, _not_sent(job, message.reason))
        status = self._process.wait()
        number = -status if status < 0 else status - 128
        if number == getattr(signal, "SIGKILL", None):
            reason = "was killed by the system, as it happens when memory is full: run fewer jobs at a time"
        elif number in list(signal.Signals):
            reason = f"was ended by {signal.Signals(number).name}"
        else:
            reason = f"ended with exit status {status}"
        return failed(job, f"{job[0].path}: its process {reason}; the recording is complete or as it was")

    def ask_to_end(self) -> None:
        """It ends, and takes back what it has begun."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def wait(self) -> None:
        """Wait until it has ended."""
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, content: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended, and says so in another way
            self._process.stdin.write(content)
            self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        message: Any = True
        while message is not None:
            try:
                message = pickle.load(self._process.stdout)
            except Exception:  # it has ended
                message = None
            self._arrived.put((self, message))


def _not_sent(job: Job, reason: str) -> str:
    return f"{job[0].path} cannot be sent to another process, so run one job at a time: {reason}"
