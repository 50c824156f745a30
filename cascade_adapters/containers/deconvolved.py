"""Whose rates are in the place of a pipeline's own deconvolved traces: its own, ours, or some rows of each.

Rates that we put there can be mixed with others later: a GUI merges ROIs and adds a row, components are selected. So
a mark of each row is kept in the record. Viewers scale rows, so a mark says only in which frames a row exceeds half of
its maximum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from cascade_adapters.results.rows import ComputedRows, Rows, blocks_of
from cascade_engine.reasons import listed

#: Digits of a mark, and the mark of a row that is zero throughout.
_DIGITS, _ZEROS = 8, "00000000"


@dataclass(frozen=True)
class Deconvolved:
    """Whose rates are in the place of a pipeline's own deconvolved traces.

    Attributes
    ----------
    name : str
        File or dataset: ``spks.npy``, ``estimates/S``.
    holds : {"pipeline", "cascade", "both", "unknown"}
        Whose they are. "unknown": cascade has put rates there, but something else is there now.
    text : str
        The same in words, and what to do.
    others : list of int
        Where it holds both: the rows that are not cascade's.
    """

    name: str
    holds: str
    text: str
    others: list[int] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def describe(
    name: str,
    pipeline: str,
    backup: str,
    is_ours: bool,
    is_marked: bool,
    rows: np.ndarray | None,
    can_be_undone: bool,
    option: str,
) -> Deconvolved:
    """Whose rates are there, where cascade has put its own.

    Parameters
    ----------
    name : str
        File or dataset.
    pipeline : str
        Whose traces were there before.
    backup : str
        Where these are kept now; empty if they are not there any more.
    is_ours : bool
        Whether it is what cascade has written, unchanged.
    is_marked : bool
        Whether marks of the rows were kept.
    rows : array of int or None
        What `rows_of_ours` gives; None if what is there is no such array.
    can_be_undone : bool
        Whether `with_own` can be made of it and the backup.
    option : str
        Option of ``cascade run`` that puts rates there; empty if it is refused now, since it would lose the backup.
    """
    own = f"{pipeline}'s own are in {backup}" if backup else f"{pipeline}'s own are not kept any more"
    if is_ours:
        return Deconvolved(name, "cascade", f"{name} holds the rates of cascade; {own}")
    if option:
        again = f"'cascade run --existing overwrite {option}' puts rates into all rows"
    elif backup:
        again = f"see which rows you want, and move {backup} to {name} or remove it"
    else:
        again = f"{pipeline} has to make them again"
    back = f", 'cascade restore' puts {pipeline}'s own back" if can_be_undone else ""
    if rows is not None and (rows >= 0).all():
        text = f"{name} holds the rates of cascade in all rows, but not as they were written (a viewer scales them, or "
        return Deconvolved(name, "cascade", f"{text}ROIs were taken out); {own}: {again}{back}")
    if rows is not None and (rows >= 0).any():
        others = np.flatnonzero(rows < 0).tolist()
        text = (
            f"{name} holds the rates of cascade in {len(rows) - len(others)} of {len(rows)} rows, but not in those of "
            f"ROI {listed(others)} (merged or drawn since?); {own}: {again}{back}"
        )
        return Deconvolved(name, "both", text, others)
    if is_marked:
        text = f"{name} does not hold the rates of cascade any more: something else was written there since"
    else:
        text = f"{name} is not as an earlier version of cascade has written it; which rows are its rates is not known"
    kept = f"; {pipeline}'s own from before are in {backup}" if backup else ""
    return Deconvolved(name, "unknown", text + kept)


def row_marks(values: Rows) -> str:
    """A mark for each row, one after another, which says in which frames it exceeds half of its maximum."""
    return "".join(_marks(values))


def rows_of_ours(values: Rows, marks: str) -> np.ndarray:
    """Which of the rows that were marked each row is now, or -1.

    Parameters
    ----------
    values : array-like, shape (n_rows, n_frames)
        What is there now.
    marks : str
        What `row_marks` gave for the rows that were written.

    Returns
    -------
    array of int, shape (n_rows,)
        Rows keep their order. Rows that are zero throughout tell nothing by themselves.
    """
    now = _marks(values)
    then = [marks[first : first + _DIGITS] for first in range(0, len(marks), _DIGITS)]
    found = np.full(len(now), -1)
    for block in SequenceMatcher(None, then, now, autojunk=False).get_matching_blocks():
        found[block.b : block.b + block.size] = np.arange(block.a, block.a + block.size)
    if all(now[row] == _ZEROS for row in np.flatnonzero(found >= 0)):
        found[:] = -1
    return found


def with_own(values: Rows, backup: Rows, rows: Sequence[int] | np.ndarray) -> Rows:
    """The pipeline's own traces: from the backup where a row is ours, as it is where it is not.

    Parameters
    ----------
    values : array-like, shape (n_rows, n_frames)
        What is there now.
    backup : array-like, shape (n_rows_before, n_frames)
        What was there before ours.
    rows : array of int, shape (n_rows,)
        What `rows_of_ours` gives.
    """
    rows = np.asarray(rows)

    def compute(block: slice) -> np.ndarray:
        found = np.array(values[block])
        for place, row in enumerate(rows[block]):
            if row >= 0:
                found[place] = np.asarray(backup[int(row) : int(row) + 1])[0]
        return found

    return ComputedRows(tuple(values.shape), compute, values.dtype)


def words_for_own(name: str, rows: np.ndarray) -> str:
    """What putting back what `with_own` gives is, in words."""
    n_ours = int(np.count_nonzero(rows >= 0))
    others = "" if n_ours == len(rows) else f" in {n_ours} of {len(rows)} rows; the others stay as they are"
    return f"put back {name}{others}"


def _marks(values: Rows) -> list[str]:
    found = []
    for _, block in blocks_of(values):
        block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
        highest = block.max(axis=1, initial=0.0)
        for row, top in zip(block, highest, strict=True):
            frames = np.packbits(row > top / 2).tobytes()
            found.append(hashlib.blake2b(frames, digest_size=_DIGITS // 2).hexdigest() if top > 0 else _ZEROS)
    return found
