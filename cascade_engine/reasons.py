"""Reasons why neurons have no prediction, many of which differ in a number only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

#: A number that is no part of a word.
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?!\w)")


def group_reasons(reasons: Mapping[int, str]) -> list[tuple[str, list[int]]]:
    """Reasons that differ in nothing but numbers, as one reason with the range of each number.

    Parameters
    ----------
    reasons : mapping of int to str
        Reason of each neuron that has one, by its number.

    Returns
    -------
    list of (str, list of int)
        Reason, and the neurons that it holds for; the most frequent first.

    Examples
    --------
    >>> group_reasons({0: "infinite dF/F in 3 frames", 4: "infinite dF/F in 20 frames", 5: "all values are missing"})
    [('infinite dF/F in 3 to 20 frames', [0, 4]), ('all values are missing', [5])]
    """
    groups: dict[str, list[int]] = {}
    for neuron, reason in reasons.items():
        groups.setdefault(_NUMBER.sub("#", reason), []).append(neuron)
    found = [(_ranged([reasons[neuron] for neuron in neurons]), neurons) for neurons in groups.values()]
    return sorted(found, key=lambda group: -len(group[1]))


def _ranged(reasons: list[str]) -> str:
    """One reason for several that differ in numbers only."""
    columns = zip(*(_NUMBER.findall(reason) for reason in reasons), strict=True)
    ranges = ((min(column, key=float), max(column, key=float)) for column in columns)
    texts = iter([low if float(low) == float(high) else f"{low} to {high}" for low, high in ranges])
    return _NUMBER.sub(lambda _: next(texts), reasons[0])


def in_words(neurons: Sequence[int], most: int = 8) -> str:
    """Neurons as the subject of a sentence: "neuron 3 has", "41 neurons (0, 1, 2, ...) have"."""
    if len(neurons) == 1:
        return f"neuron {neurons[0]} has"
    return f"{len(neurons)} neurons ({listed(neurons, most)}) have"


def listed(numbers: Sequence[int], most: int = 8) -> str:
    """The first numbers of a list, and dots for the others."""
    return ", ".join(map(str, numbers[:most])) + (", ..." if len(numbers) > most else "")
