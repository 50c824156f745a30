"""How much may come out of a file: refused before it is read, since a small file can unfold to any size."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from pathlib import Path

#: Any content may be of this size (bytes); a larger one at most so many times as large as what is stored of it. What
#: is repeated more often than that, such as zeros alone, are no recordings.
FREE_BYTES, MOST_REPEATED = 1 << 28, 200


def check_unpacked(n_bytes: int, stored_bytes: int) -> None:
    """Refuse what would take far more memory than what is stored can tell.

    Parameters
    ----------
    n_bytes : int
        Size of the content as it will be in memory.
    stored_bytes : int
        Size as it is in the file.

    Raises
    ------
    ValueError
        Saying both sizes.
    """
    if n_bytes > max(FREE_BYTES, MOST_REPEATED * stored_bytes):
        raise ValueError(f"it would take {_told(n_bytes)}, but only {_told(stored_bytes)} are stored of it")


def check_memory(n_bytes: int) -> None:
    """Refuse to take more memory (bytes) at once than there is: the system would end this process, or another.

    Raises
    ------
    ValueError
        Saying how much is needed, and how much is free.
    """
    if n_bytes > FREE_BYTES and (free := available_memory()) is not None and n_bytes > free:
        raise ValueError(f"it takes {_told(n_bytes)} of memory, but {_told(free)} are free")


def check_archive(file: Path | zipfile.ZipFile) -> None:
    """Refuse a ZIP archive, as ``.npz`` files are, with members that `check_unpacked` would refuse.

    Raises
    ------
    ValueError, OSError, zipfile.BadZipFile
        If there are some, or it cannot be read.
    """
    if isinstance(file, Path):
        with zipfile.ZipFile(file) as archive:
            check_archive(archive)
        return
    for member in file.infolist():
        try:
            check_unpacked(member.file_size, member.compress_size)
        except ValueError as error:
            raise ValueError(f"{member.filename[:80]}: {error}") from None


def available_memory() -> int | None:
    """Memory (bytes) that this process may still take; None where the system does not say."""
    found = []
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        found += [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    with suppress(OSError, ValueError, IndexError):
        group = Path("/proc/self/cgroup").read_text("utf-8").splitlines()[0].split(":", 2)[2]
        place = Path("/sys/fs/cgroup") / group.lstrip("/")
        most, used = (int((place / name).read_text("ascii")) for name in ("memory.max", "memory.current"))
        # files that the system keeps at hand count as used, and make room when it is needed
        statistics = dict(line.split() for line in (place / "memory.stat").read_text("ascii").splitlines())
        found.append(max(0, most - used + int(statistics["inactive_file"])))
    return min(found, default=None)


def _told(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"
