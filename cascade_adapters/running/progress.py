"""How far a run is, for people: a bar on a terminal, plain lines elsewhere; one display for all recordings at once."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cascade_adapters.containers.base import Container

#: What dF/F costs per frame, as a part of what a prediction costs.
DFF_SHARE = 0.05

#: Nothing is said of the time that is left before this part is done, or this time (s) has passed: it would be a guess.
_FIRST_PART, _FIRST_S = 0.01, 60.0


class Progress(Protocol):
    """Is told how far the work on one job is."""

    def begin(self, container: Container, total: float) -> None:
        """The work on a recording begins; `total` is the sum of what `advance` will be told."""

    def advance(self, amount: float) -> None:
        """So much more is done."""


class _NoProgress:
    """Tells nobody."""

    def begin(self, container: Container, total: float) -> None:
        """See `Progress.begin`."""

    def advance(self, amount: float) -> None:
        """See `Progress.advance`."""


NO_PROGRESS: Progress = _NoProgress()


@dataclass
class _UnderWay:
    """A recording that is being worked on: its number, counted from 1, and its name."""

    number: int
    name: str
    total: float
    done: float = 0.0

    @property
    def part(self) -> float:
        """Part of it that is done."""
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0


class Display(ABC):
    """How far a run of many recordings is; used by one thread.

    Parameters
    ----------
    n_recordings : int
        How many there are.
    clock : callable
        Gives the time in s.
    """

    def __init__(self, n_recordings: int, clock: Callable[[], float] = time.monotonic):
        self._n_recordings, self._clock = n_recordings, clock
        self._start = clock()
        self._under_way: dict[int, _UnderWay] = {}
        self._n_begun = self._n_ended = 0
        self._n_worked_on = 0

    def begin(self, job: int, name: str, total: float) -> None:
        """A job begins to work on a recording."""
        self._end(job)
        self._n_begun = min(self._n_begun + 1, self._n_recordings)  # a job may be done twice
        self._under_way[job] = _UnderWay(self._n_begun, name, float(total))
        self._show(is_new=True)

    def advance(self, job: int, amount: float) -> None:
        """A job has done so much more."""
        if job in self._under_way:
            self._under_way[job].done += float(amount)
            self._show()

    def end(self, job: int, n_recordings: int) -> None:
        """A job has ended; it had so many recordings, some of which may not have begun."""
        self._end(job)
        self._n_ended += n_recordings
        self._n_begun = max(self._n_begun, self._n_ended)
        self._show()

    def again(self, job: int) -> None:
        """A job begins from the start once more."""
        if self._under_way.pop(job, None) is not None:
            self._n_begun -= 1

    def of(self, job: int) -> Progress:
        """What the work on a job in this process tells its progress to."""
        return _Told(self, job)

    def close(self) -> None:
        """Take the display away."""
        self._under_way.clear()

    def aside(self) -> AbstractContextManager[object]:
        """Within the block something else may be printed."""
        return nullcontext()

    @property
    def part(self) -> float:
        """Part of all that is done: every recording counts alike."""
        done = self._n_ended + sum(each.part for each in self._under_way.values())
        return min(1.0, done / max(1, self._n_recordings))

    @property
    def left_s(self) -> float | None:
        """Time that is left, in s; None while it cannot be known. Recordings that were skipped tell nothing."""
        passed = self._clock() - self._start
        parts = [each.part for each in self._under_way.values()]
        worked = self._n_worked_on + sum(parts)
        if worked <= 0 or (self.part < _FIRST_PART and passed < _FIRST_S):
            return None
        left = self._n_recordings - self._n_ended - sum(parts)
        return max(0.0, passed * left / worked)

    def text(self) -> str:
        """Where the run is: ``3 of 40, mouse7/plane0, 40 %, 2 min left``."""
        now = sorted(self._under_way.values(), key=lambda each: each.number)
        if not now:
            return f"{self._n_ended} of {self._n_recordings} done"
        first, last = now[0].number, now[-1].number
        which = f"{first}" if len(now) == 1 else f"{first}-{last}" if last - first == len(now) - 1 else ""
        which = which or ",".join(str(each.number) for each in now)
        parts = [f"{each.name}{',' if len(now) == 1 else ''} {100 * each.part:.0f} %" for each in now]
        return ", ".join([f"{which} of {self._n_recordings}", *parts, *self._left()])

    def _left(self) -> list[str]:
        left = self.left_s
        return [] if left is None else [f"{duration(left)} left"]

    def _end(self, job: int) -> None:
        if self._under_way.pop(job, None) is not None:
            self._n_worked_on += 1

    @abstractmethod
    def _show(self, is_new: bool = False) -> None:
        """Show what has changed; `is_new`: a recording has begun."""


class _Told:
    """The progress of one job, for a display in the same process."""

    def __init__(self, display: Display, job: int):
        self._display, self._job = display, job

    def begin(self, container: Container, total: float) -> None:
        self._display.begin(self._job, name_of(container), total)

    def advance(self, amount: float) -> None:
        self._display.advance(self._job, amount)


class Hidden(Display):
    """Shows nothing."""

    def _show(self, is_new: bool = False) -> None:
        pass


class Bar(Display):
    """A bar on a terminal."""

    def __init__(self, n_recordings: int, **how: Any):
        super().__init__(n_recordings, **how)
        self._bar: Any = None

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """See `Display.aside`."""
        if self._bar is not None:
            self._bar.clear()
        yield
        if self._bar is not None:
            self._bar.refresh()

    def _show(self, is_new: bool = False) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(total=1.0, leave=False, miniters=0, bar_format="{percentage:3.0f} % |{bar:20}| {desc}")
        self._bar.set_description_str(self.text(), refresh=False)
        self._bar.update(self.part - self._bar.n)
        if is_new:
            self._bar.refresh()


class Lines(Display):
    """Plain lines for a file or a batch system: at most one in 10 s, and fewer the longer it lasts."""

    def __init__(self, n_recordings: int, write: Callable[[str], object] | None = None, **how: Any):
        super().__init__(n_recordings, **how)
        self._write = write or (lambda line: print(line, file=sys.stderr, flush=True))
        self._next = self._start + 10.0

    def _show(self, is_new: bool = False) -> None:
        now = self._clock()
        if now < self._next or not self._under_way:
            return
        self._write(self.text())
        self._next = now + min(max(10.0, 0.1 * (now - self._start)), 300.0)


class Passed(Display):
    """Calls a function with the part that is done, from 0 to 1: for a display elsewhere."""

    def __init__(self, n_recordings: int, tell: Callable[[float], object], **how: Any):
        super().__init__(n_recordings, **how)
        self._tell = tell

    def _show(self, is_new: bool = False) -> None:
        self._tell(self.part)


def open_display(n_recordings: int, shown: bool | Callable[[float], object]) -> Display:
    """A display that suits where standard error goes to; or what is to be called with the part that is done."""
    if callable(shown):
        return Passed(n_recordings, shown)
    if not shown:
        return Hidden(n_recordings)
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    return Bar(n_recordings) if is_terminal else Lines(n_recordings)


def name_of(container: Container) -> str:
    """A short name that people know a recording by: ``mouse7/plane0``."""
    return short_name(container.path)


def short_name(path: Path) -> str:
    """The last two parts of a path, without the folder ``suite2p`` that all planes lie in."""
    parts: Sequence[str] = [part for part in path.parts if part not in ("suite2p", path.anchor)]
    return "/".join(parts[-2:])


def duration(seconds: float) -> str:
    """A duration in a word or two: ``40 s``, ``2 min``, ``3.5 h``."""
    if seconds < 55:
        return f"{max(1, 5 * round(seconds / 5))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
