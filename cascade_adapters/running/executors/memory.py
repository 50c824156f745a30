"""How many jobs fit into memory at the same time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cascade_adapters.running.work import Job

#: What a job takes at most (bytes), however large its recording is; measured by ``benchmarks/speed/memory.py``.
JOB_BYTES = 600_000_000

#: Endings of files that are read whole, and how many times over they must fit into memory.
_WHOLE = (".npz", ".mat", ".csv", ".tsv", ".txt")
_TIMES = 4


def bytes_needed(jobs: Iterable[Job]) -> int:
    """What any of these jobs may take at most, in bytes."""
    paths = [container.path for job in jobs for container in job]
    whole = [path.stat().st_size for path in paths if path.suffix.lower() in _WHOLE and path.is_file()]
    return JOB_BYTES + _TIMES * max(whole, default=0)


def bytes_available() -> int | None:
    """Memory that can still be used, in bytes; None where the system does not say."""
    known = [each for each in (_of_computer(), _of_group()) if each is not None]
    return min(known) if known else None


def _of_computer() -> int | None:
    if sys.platform == "linux":
        with suppress(OSError, ValueError, IndexError):
            for line in Path("/proc/meminfo").read_text("ascii").splitlines():
                if line.startswith("MemAvailable:"):
                    return 1024 * int(line.split()[1])
    with suppress(ImportError):
        import psutil

        return int(psutil.virtual_memory().available)
    with suppress(AttributeError, ValueError, OSError):  # half of what it has
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return None


def _of_group() -> int | None:
    """What a batch system or a software container leaves this process (control groups of Linux, version 2)."""
    with suppress(OSError, ValueError, IndexError):
        place = Path("/proc/self/cgroup").read_text("ascii").strip().split("::")[1].lstrip("/")
        known = []
        folder = Path("/sys/fs/cgroup") / place
        while folder.is_relative_to("/sys/fs/cgroup"):
            with suppress(OSError, ValueError, KeyError):
                limit, used = (int((folder / f"memory.{name}").read_text("ascii")) for name in ("max", "current"))
                statistics = dict(line.split() for line in (folder / "memory.stat").read_text("ascii").splitlines())
                known.append(limit - used + int(statistics["inactive_file"]))  # files in memory give way
            folder = folder.parent
        return min(known, default=None)
    return None
