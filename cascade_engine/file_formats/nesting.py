"""Values inside values: how many there are, and how deep, where a file may refer to one of its values many times."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

#: Values nested deeper than this are refused.
DEEPEST = 32

#: Values that any file may hold, each counted as often as it is referred to; larger files may hold one per byte.
_FREE_VALUES = 1_000_000


def check_nesting(value: Any, n_bytes: int, inside: Callable[[Any], Iterable[Any]] = lambda value: ()) -> None:
    """Refuse what is nested too deeply, or in itself, or refers to so much that nobody could go through it.

    Parameters
    ----------
    value : object
        What was read: dictionaries, lists and tuples, and other values.
    n_bytes : int
        Size of the file.
    inside : callable, optional
        Gives the values inside one that is no dictionary, list or tuple.

    Raises
    ------
    ValueError
        Saying which.
    """
    n_left, layer = max(_FREE_VALUES, n_bytes), [value]
    for _ in range(DEEPEST):
        following: list[Any] = []
        for item in layer:
            if isinstance(item, str | bytes | int | float):
                continue
            following += (
                item.values() if isinstance(item, dict) else item if isinstance(item, list | tuple) else inside(item)
            )
            if len(following) > n_left:
                raise ValueError("it refers to the same values again and again")
        if not following:
            return
        n_left, layer = n_left - len(following), following
    raise ValueError(f"it has values that are nested deeper than {DEEPEST} times")
