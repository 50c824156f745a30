"""Leaving datasets out: several at a time, never one without its kin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def make_folds(datasets: Sequence[str], n_folds: int, kin: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Deal datasets out to folds.

    Parameters
    ----------
    datasets : sequence of str
        Names, in order; neighbours, which are often similar, end up in different folds.
    n_folds : int
        Folds.
    kin : mapping of str to iterable of str
        Datasets that share recordings with one: they are left out together.

    Returns
    -------
    list of list of str
        Datasets that are left out together; each dataset is in one of them.
    """
    families: list[list[str]] = []
    for name in datasets:
        related = {name, *kin.get(name, ())}
        joined = [family for family in families if related & {*family, *(k for n in family for k in kin.get(n, ()))}]
        merged = [name] if not joined else [*(member for family in joined for member in family), name]
        families = [family for family in families if family not in joined] + [merged]
    families.sort(key=lambda family: datasets.index(family[0]))
    return [[name for family in families[first::n_folds] for name in family] for first in range(n_folds)]
