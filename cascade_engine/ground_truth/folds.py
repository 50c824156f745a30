"""Leaving datasets out of the training: several at a time, and always those that share recordings together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from cascade_engine.ground_truth.catalogue import load_catalogue


def training_folds(datasets: Sequence[str], n_folds: int, interneurons: Collection[str] = ()) -> list[list[str]]:
    """Split the datasets of a training into folds, principal cells and interneurons apart.

    Parameters
    ----------
    datasets : sequence of str
        Folder names. Public datasets that share recordings stay together.
    n_folds : int
        Folds.
    interneurons : collection of str
        Those of them whose neurons are interneurons.

    Returns
    -------
    list of list of str
        As of `split_into_folds`.
    """
    shared = shared_recordings()
    principal = split_into_folds([name for name in datasets if name not in interneurons], n_folds, shared)
    others = split_into_folds([name for name in datasets if name in interneurons], n_folds, shared)
    return [[*first, *second] for first, second in zip(principal, others, strict=True)]


def split_into_folds(datasets: Sequence[str], n_folds: int, shared: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Split datasets into folds.

    Parameters
    ----------
    datasets : sequence of str
        Names, in order; neighbours, which are often similar, end up in different folds.
    n_folds : int
        Folds.
    shared : mapping of str to iterable of str
        Datasets that share recordings with one: they are left out together.

    Returns
    -------
    list of list of str
        Datasets that are left out together; each dataset is in one of them.

    Examples
    --------
    >>> split_into_folds(["a", "b", "c", "d"], 2, {})
    [['a', 'c'], ['b', 'd']]
    >>> split_into_folds(["a", "b", "c", "d"], 2, {"a": ["d"]})
    [['a', 'd', 'c'], ['b']]
    """
    groups: list[list[str]] = []
    for name in datasets:
        related = {name, *shared.get(name, ())}
        joined = [group for group in groups if related & {*group, *(k for n in group for k in shared.get(n, ()))}]
        merged = [name] if not joined else [*(member for group in joined for member in group), name]
        groups = [group for group in groups if group not in joined] + [merged]
    groups.sort(key=lambda group: datasets.index(group[0]))
    return [[name for group in groups[first::n_folds] for name in group] for first in range(n_folds)]


def shared_recordings() -> dict[str, list[str]]:
    """Folders of the datasets that share recordings with each public dataset, by its folder."""
    catalogue = load_catalogue()
    return {entry.folder: [catalogue[key].folder for key in entry.shared_recordings] for entry in catalogue.values()}
