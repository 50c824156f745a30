"""Ending a command by a signal, and the moments at which it must not end.

Ctrl-C, and the signals with which a batch system or a closed terminal ends a program, become an exception in the main
thread, so that everything that a command has begun is taken back as after any failure. Only the command does this, and
only while it runs: whoever uses the package from Python keeps what the signals did before.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: Signals that ask a program to end, where the system knows them.
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

#: What programs do with them by themselves; anything else was chosen by somebody, as by ``nohup``, and stays.
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)


class Interrupted(BaseException):
    """The program was asked to end."""


class Interruption:
    """What has arrived of these signals while a command runs.

    Attributes
    ----------
    received : signal.Signals or None
        The first signal; further ones change nothing.
    is_starting : bool
        Whether nothing has been done so far: then the process ends at once, since libraries that are being imported
        make other errors of an exception.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self.is_starting = True
        self._is_raised = False

    @property
    def status(self) -> int:
        """Exit status of a process that the signal ends."""
        return 0 if self.received is None else 128 + self.received

    def __str__(self) -> str:
        name = "" if self.received in (None, signal.SIGINT) else f" by {self.received.name}"
        return f"cascade: interrupted{name}"

    def handle(self, number: int, frame: FrameType | None = None) -> None:
        """Take a signal."""
        if self.received is not None:
            return
        self.received = signal.Signals(number)
        if self.is_starting:
            os.write(2, f"{self}\n".encode())
            os._exit(self.status)
        self.end()

    def end(self, again: bool = False) -> None:
        """Raise `Interrupted` for a signal that has arrived, unless it is held back, or was raised and not `again`."""
        if self.received is not None and not _held.count and (again or not self._is_raised):
            self._is_raised = True
            raise Interrupted(self.received)


class _Held(threading.local):
    """How many blocks of this thread hold signals back."""

    count = 0


_held = _Held()
_current: Interruption | None = None


@contextmanager
def taking_signals() -> Iterator[Interruption]:
    """Within the block, signals that ask the program to end raise `Interrupted` in the main thread."""
    global _current
    interruption, before = Interruption(), {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in _SIGNALS if signal.getsignal(number) in _DEFAULTS}
        _current = interruption
    try:
        for number in before:
            signal.signal(number, interruption.handle)
        yield interruption
    finally:
        if interruption.received is None:  # otherwise the process is ending, and further signals must not kill it
            for number, handler in before.items():
                signal.signal(number, handler)
        _current = None


@contextmanager
def held_back() -> Iterator[None]:
    """Within the block the command does not end; a signal that arrives ends it afterwards."""
    _held.count += 1
    try:
        yield
    finally:
        _held.count -= 1
    _end()


def command_begins() -> None:
    """From now on there may be something to take back."""
    if _current is not None:
        _current.is_starting = False


def end_if_asked() -> None:
    """Raise `Interrupted` if a signal has arrived, even if a library has swallowed it or made another error of it."""
    _end(again=True)


def _end(again: bool = False) -> None:
    if _current is not None and threading.current_thread() is threading.main_thread():
        _current.end(again)
