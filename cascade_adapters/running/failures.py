"""Failures that nobody foresaw: one line for the user, all details for the log."""

from __future__ import annotations

import traceback
from contextlib import suppress
from pathlib import Path

from cascade_adapters.safe_writing.interruption import end_if_asked

#: File to which details are appended, if the user wants one (``--log``).
_log: Path | None = None


def log_to(path: Path | None) -> None:
    """From now on append the details of unforeseen failures to a file."""
    global _log
    _log = path


def log_path() -> Path | None:
    """The file to which details are appended, as an absolute path; None if there is none."""
    return None if _log is None else _log.absolute()


def unforeseen(error: BaseException, what: str) -> str:
    """One line about a failure that nobody foresaw, or memory that is full; its traceback goes to the log.

    Parameters
    ----------
    error : BaseException
        The failure, while it is being handled.
    what : str
        What was being worked on.

    Returns
    -------
    str
        For the user.
    """
    end_if_asked()  # it is the reason
    if _log is not None:
        with suppress(OSError), _log.open("a", encoding="utf-8") as file:
            file.write(f"{what}\n{traceback.format_exc()}\n")
    if isinstance(error, MemoryError):
        return f"{what}: there is not enough memory: {' '.join(str(error).split()) or 'it is full'}"
    text = " ".join(f"{type(error).__name__}: {error}".split())
    hint = "" if _log is not None else " (details with --log FILE)"
    return f"{what}: unforeseen failure, please report it: {text}{hint}"
