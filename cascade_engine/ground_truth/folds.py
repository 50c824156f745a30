"""Leaving datasets out: several at a time, never one without its kin."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from cascade_engine.ground_truth.catalogue import load_catalogue


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


def deal_out(datasets: Sequence[str], n_folds: int, interneurons: Collection[str] = ()) -> list[list[str]]:
    """Deal the datasets of a training out to folds, principal cells and interneurons apart.

    Parameters
    ----------
    datasets : sequence of str
        Folder names. What the catalogue knows of their kin is heeded.
    n_folds : int
        Folds.
    interneurons : collection of str
        Those of them whose neurons are interneurons.

    Returns
    -------
    list of list of str
        As of `make_folds`.
    """
    kin = catalogued_kin()
    principal = make_folds([name for name in datasets if name not in interneurons], n_folds, kin)
    others = make_folds([name for name in datasets if name in interneurons], n_folds, kin)
    return [[*first, *second] for first, second in zip(principal, others, strict=True)]


def catalogued_kin() -> dict[str, list[str]]:
    """Folders of the datasets that share recordings with each public dataset, by its folder."""
    catalogue = load_catalogue()
    return {entry.folder: [catalogue[key].folder for key in entry.kin] for entry in catalogue.values()}
