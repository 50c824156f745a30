"""Something that another run has locked."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from cascade_adapters.safe_writing.lock import lock, waiting

_LOCKS = """
import sys
from pathlib import Path
from cascade_adapters.safe_writing.lock import lock

with lock(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


@contextmanager
def locked_elsewhere(path: Path) -> Iterator[None]:
    """Another thread has locked a path, and nobody waits for it within the block."""
    is_locked, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with lock(path):
            is_locked.set()
            is_over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_locked.wait(60)
    try:
        with waiting(0):
            yield
    finally:
        is_over.set()
        thread.join()


@contextmanager
def locked_by_process(path: Path) -> Iterator[subprocess.Popen]:
    """Another process has locked a path; it unlocks it when its standard input is closed, or when it is killed."""
    command = [sys.executable, "-c", _LOCKS, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"locked\n"
            yield process
        finally:
            process.kill()


def in_another_thread(action: Callable[[], object]) -> None:
    """Do something in a thread that waits for nobody; fails as that fails."""
    with waiting(0), ThreadPoolExecutor(1) as pool:
        pool.submit(action).result()
