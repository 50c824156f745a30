"""What a process that does jobs tells the one that has started it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cascade_adapters.containers.base import Container
from cascade_adapters.running.progress import Display, name_of
from cascade_adapters.running.report import Report

#: At most so often (s) is it told how far a job is.
_INTERVAL_S = 0.25


@dataclass
class Begun:
    """The work on a recording begins; see `cascade_adapters.running.progress.Progress`."""

    name: str
    total: float


@dataclass
class Advanced:
    """So much more is done."""

    amount: float


@dataclass
class Said:
    """A line for the user."""

    line: str


@dataclass
class Ended:
    """A job has ended."""

    reports: list[Report]


@dataclass
class Refused:
    """A job was not understood, and why."""

    reason: str


Message = Begun | Advanced | Said | Ended | Refused


class SentProgress:
    """Tells the progress of a job to another process, a few times in a second.

    Parameters
    ----------
    send : callable
        Sends a message.
    """

    def __init__(self, send: Callable[[Begun | Advanced], object]):
        self._send = send
        self._amount, self._next = 0.0, 0.0

    def begin(self, container: Container, total: float) -> None:
        """See `Progress.begin`."""
        self._amount = 0.0
        self._send(Begun(name_of(container), float(total)))

    def advance(self, amount: float) -> None:
        """See `Progress.advance`."""
        self._amount += float(amount)
        now = time.monotonic()
        if now >= self._next:
            self._send(Advanced(self._amount))
            self._amount, self._next = 0.0, now + _INTERVAL_S


def show(display: Display, number: int, message: Begun | Advanced) -> None:
    """Show what a message says about the progress of a job."""
    if isinstance(message, Begun):
        display.begin(number, message.name, message.total)
    else:
        display.advance(number, message.amount)
