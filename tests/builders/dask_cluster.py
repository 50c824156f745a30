"""A Dask cluster of real processes: a scheduler and workers, each of which can be killed and started again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


class DaskCluster:
    """A scheduler and workers with a thread each.

    Parameters
    ----------
    folder : Path
        For what they write.
    n_workers : int
        How many.
    """

    def __init__(self, folder: Path, n_workers: int = 3):
        self._folder, self._n_workers = folder, n_workers
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self._port}"
        self.scheduler: subprocess.Popen | None = None
        self.workers: subprocess.Popen | None = None
        self._log = (folder / "cluster.log").open("w")

    def start(self) -> None:
        """Start all processes and wait until the workers are known."""
        at = ["--host", "127.0.0.1", "--port", str(self._port)]
        self.scheduler = self._process("dask_scheduler", *at, "--no-dashboard")
        self.workers = self._process(
            "dask_worker", self.address, "--nworkers", str(self._n_workers), "--nthreads", "1", "--no-dashboard",
            "--local-directory", str(self._folder), "--host", "127.0.0.1",
        )  # fmt: skip
        from distributed import Client

        until = time.monotonic() + 300  # on a busy computer
        while True:
            try:
                with Client(self.address, timeout=10, set_as_default=False) as client:
                    client.wait_for_workers(self._n_workers, timeout=max(1, until - time.monotonic()))
                return
            except OSError:
                assert time.monotonic() < until, (self._folder / "cluster.log").read_text("utf-8")

    def kill(self) -> None:
        """Kill the scheduler, and end the workers, which are of no use without it."""
        if self.scheduler is not None:
            self.scheduler.kill()
            self.scheduler.wait()
        if self.workers is not None:
            self.workers.terminate()
            try:
                self.workers.wait(30)
            except subprocess.TimeoutExpired:
                self.workers.kill()
                self.workers.wait()

    def _process(self, module: str, *arguments: str) -> subprocess.Popen:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
        }
        call = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
        return subprocess.Popen(call, env=environment, stdout=self._log, stderr=self._log)
