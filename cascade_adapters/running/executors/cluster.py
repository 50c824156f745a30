"""Jobs on a Dask cluster: on this computer, on others, or on those that a batch system such as Slurm gives.

A job is one task. If its worker dies, Dask gives it to another one; if the scheduler dies and comes back, it is given
to that. So a job may be done twice: what is up to date by then is skipped (``existing="update"``).
"""

from __future__ import annotations

import logging
import pickle
import queue
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cascade_adapters.running.executors.base import Executor
from cascade_adapters.running.executors.messages import Advanced, Begun, SentProgress, show
from cascade_adapters.running.failures import log_path, log_to
from cascade_adapters.running.progress import Display
from cascade_adapters.running.report import Report
from cascade_adapters.running.work import Job, Work, explained, failed
from cascade_adapters.safe_writing.interruption import end_if_asked, held_back
from cascade_adapters.safe_writing.lock import current_wait, waiting
from cascade_adapters.safe_writing.spool import remove_leftovers
from cascade_engine.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from distributed import Client

#: How long (s) an answer of the scheduler is waited for, and how long one that was lost may take to come back.
CONNECT_S, RETURN_S = 20.0, 300.0

#: How often a job is given to a cluster that has lost it.
_MOST_ATTEMPTS = 5

_POLL_S = 0.2


class Cluster(Executor):
    """Does jobs on a Dask cluster.

    Parameters
    ----------
    address : str
        Address of the scheduler, or ``"local"`` for one that is started here.
    n_threads : int
        Threads of each job.
    say : callable
        Called with lines for the user.
    n_workers : int
        Workers of a cluster that is started here.
    """

    def __init__(self, address: str, n_threads: int, say: Callable[[str], object], n_workers: int = 1):
        self._address, self._n_threads, self._say, self._n_workers = address, n_threads, say, n_workers

    def run(self, jobs: Sequence[Job], work: Work, display: Display) -> Generator[tuple[int, list[Report]], None, None]:
        """See `Executor.run`.

        Raises
        ------
        InputError
            If no scheduler answers.
        MissingExtraError
            If Dask is not installed.
        """
        if find_spec("distributed") is None:
            raise MissingExtraError("distributed", "distributed", "a Dask scheduler")
        with ExitStack() as stack:
            is_local = self._address == "local"
            if is_local:  # whoever is working on them is gone then
                stack.callback(_remove_leftovers, jobs)
            address = stack.enter_context(_local_cluster(self._n_workers)) if is_local else self._address
            run = _Run(jobs, work, self._n_threads, address)
            stack.callback(run.close)
            self._tell(run.client)
            for number in range(len(jobs)):
                run.submit(number)
            while run.pending:
                end_if_asked()
                yield from run.ended(display)

    def _tell(self, client: Client) -> None:
        """Say where the cluster can be watched, and whether there is anybody to do the work."""
        about = client.scheduler_info()
        if "dashboard" in about.get("services", {}):
            self._say(f"watch the cluster at {client.dashboard_link}")
        if not about["workers"]:
            self._say(f"the scheduler at {self._address} has no workers yet: waiting for them")


def _remove_leftovers(jobs: Sequence[Job]) -> None:
    """Remove what workers that were stopped have left waiting beside recordings."""
    for folder in {container.scratch_folder for job in jobs for container in job}:
        if folder is not None:
            remove_leftovers(folder)


class _Run:
    """Jobs that are given to a scheduler, and what is heard of them."""

    def __init__(self, jobs: Sequence[Job], work: Work, n_threads: int, address: str):
        self._jobs, self._address = jobs, address
        self._token = uuid4().hex
        self._content = pickle.dumps(_Task(work, n_threads, current_wait()[0], log_path()))
        self._arrived: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._attempts = [0] * len(jobs)
        self._lost: set[int] = set()
        self._lost_since = 0.0
        self.pending: dict[int, Any] = {}  # the tasks, as futures
        self.client = self._connected()

    def submit(self, number: int) -> None:
        """Give a job to the cluster."""
        self._attempts[number] += 1
        self.pending[number] = None
        try:
            content = pickle.dumps(list(self._jobs[number]))
        except Exception as error:
            self._arrived.put((number, error))
            return
        future = self.client.submit(
            _do, self._token, self._content, content, number, pure=False, key=f"cascade-{uuid4().hex}"
        )
        self.pending[number] = future
        future.add_done_callback(lambda future: self._arrived.put((number, future)))

    def ended(self, display: Display) -> list[tuple[int, list[Report]]]:
        """Jobs that have ended meanwhile; what has been lost is given to the cluster again."""
        from distributed import KilledWorker

        if self._lost:
            return self._give_again(display)
        try:
            number, found = self._arrived.get(timeout=_POLL_S)
        except queue.Empty:
            return []
        if number not in self.pending:
            return []
        if isinstance(found, Begun | Advanced):
            show(display, number, found)
            return []
        if isinstance(found, Exception):
            what = f"{self._path(number)} cannot be sent to a cluster"
            return [self._conclude(number, failed(self._jobs[number], explained(found, what)))]
        if found is not self.pending[number]:  # of an earlier attempt
            return []
        if found.status == "finished":
            with suppress(Exception):  # it was lost on the way
                return [self._conclude(number, found.result(CONNECT_S))]
        error = found.exception(CONNECT_S) if found.status == "error" else None
        if isinstance(error, KilledWorker) and self._attempts[number] == 1:  # perhaps by a job that waited beside it
            display.again(number)
            self.submit(number)
            return []
        if error is not None:
            return [self._conclude(number, failed(self._jobs[number], self._why(number, error)))]
        self._lost.add(number)
        self._lost_since = time.monotonic()
        return []

    def close(self) -> None:
        """Have the cluster forget what is not done yet."""
        with held_back(), suppress(Exception):
            self.client.cancel([future for future in self.pending.values() if future is not None], force=True)
            self.client.close(timeout=CONNECT_S)

    def _conclude(self, number: int, reports: list[Report]) -> tuple[int, list[Report]]:
        del self.pending[number]
        return number, reports

    def _give_again(self, display: Display) -> list[tuple[int, list[Report]]]:
        """Give jobs that were lost with their scheduler to the one that has come back."""
        if self.client.status == "closed" and not self._reconnected():
            if time.monotonic() - self._lost_since < RETURN_S:
                return []
            problem = f"the scheduler at {self._address} was lost and did not come back: run the same command again"
            lost, self._lost = list(self.pending), set()
            return [self._conclude(number, failed(self._jobs[number], self._said(number, problem))) for number in lost]
        if self.client.status != "running":
            time.sleep(_POLL_S)
            return []
        ended = []
        for number in sorted(self._lost):
            display.again(number)
            if self._attempts[number] >= _MOST_ATTEMPTS:
                problem = f"the cluster has lost it {_MOST_ATTEMPTS} times: run the same command again"
                ended.append(self._conclude(number, failed(self._jobs[number], self._said(number, problem))))
            else:
                self.submit(number)
        self._lost.clear()
        self._listen(self.client)
        return ended

    def _reconnected(self) -> bool:
        try:
            self.client = self._connected()
        except InputError:
            return False
        self._lost = set(self.pending)
        return True

    def _connected(self) -> Client:
        from distributed import Client

        try:
            client = Client(self._address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            text = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"no Dask scheduler answers at {self._address}: {text}") from error
        self._listen(client)
        return client

    def _listen(self, client: Client) -> None:
        client.subscribe_topic(self._token, lambda event: self._arrived.put(_message(event[1])))

    def _why(self, number: int, error: BaseException) -> str:
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            return self._said(
                number,
                "its worker was killed again and again, as it happens when memory is full: give the workers more; the "
                "recording is complete or as it was",
            )
        if isinstance(error, ImportError):
            return self._said(number, f"the workers need cascade-spikes and what comes with it: {error}")
        return explained(error if isinstance(error, Exception) else RuntimeError(str(error)), str(self._path(number)))

    def _said(self, number: int, problem: str) -> str:
        return f"{self._path(number)}: {problem}"

    def _path(self, number: int) -> Path:
        return self._jobs[number][0].path


class _Task:
    """What a worker is to do with all jobs of a run."""

    def __init__(self, work: Work, n_threads: int, wait_s: float, log: Path | None):
        self.work, self.n_threads, self.wait_s, self.log = work, n_threads, wait_s, log


#: The task of the last run that a worker has done a job of; its networks stay open.
_tasks: dict[str, _Task] = {}


def _do(token: str, content: bytes, job: bytes, number: int) -> list[Report]:
    """Do a job in a worker."""
    from distributed import get_worker

    if token not in _tasks:
        _tasks.clear()
        _tasks[token] = pickle.loads(content)
    task, worker = _tasks[token], get_worker()

    def send(message: Begun | Advanced) -> None:
        worker.log_event(token, [number, type(message).__name__, *vars(message).values()])

    log_to(task.log)
    with waiting(task.wait_s):
        return task.work(pickle.loads(job), SentProgress(send), task.n_threads)


def _message(content: Sequence[Any]) -> tuple[int, Begun | Advanced]:
    """What a worker has told of the progress of a job."""
    number, kind, *values = content
    return int(number), Begun(*values) if kind == "Begun" else Advanced(*values)


@contextmanager
def _local_cluster(n_workers: int) -> Iterator[str]:
    """A cluster of this computer, as long as the block lasts; gives its address."""
    from distributed import LocalCluster

    with held_back(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the usual port of the dashboard is taken
        cluster = LocalCluster(
            n_workers=n_workers, threads_per_worker=1, processes=True, silence_logs=logging.CRITICAL, host="127.0.0.1"
        )
    try:
        yield cluster.scheduler_address
    finally:
        with held_back():
            cluster.close(timeout=CONNECT_S)
