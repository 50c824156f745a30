"""``estimates.S`` of CaImAn: its own, or rates of ours with CaImAn's own kept in ``estimates.cascade``."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from cascade_adapters.containers.caiman.hashes import digest
from cascade_adapters.containers.deconvolved import (
    Deconvolved,
    describe,
    row_marks,
    rows_of_ours,
    with_own,
    words_for_own,
)
from cascade_adapters.results import Record
from cascade_adapters.results.rows import Rows

#: What the record keeps of the rates that were put into S: their digest. Their rows are those of the results beside.
_DIGEST = "S"


def remembered(spikes: Rows | None, earlier: SpikesInPlace | None = None) -> dict[str, str | None]:
    """What the record has to keep of rates that are put into S, or of `earlier` ones that stay there."""
    if spikes is None:
        return {_DIGEST: earlier.kept.get(_DIGEST) if earlier is not None and earlier.stays_ours else None}
    return {_DIGEST: digest(spikes)}


class SpikesInPlace:
    """What S holds.

    Parameters
    ----------
    spikes : array-like or None
        S as it is now, (n_components, n_frames).
    backup : array-like or None
        CaImAn's own, which was there before.
    spike_prob : array-like or None
        The results that are there; missing values are minus infinity.
    record : Record or None
        Their record.
    """

    def __init__(self, spikes: Any, backup: Any, spike_prob: Any, record: Record | None):
        self._spike_prob = spike_prob if getattr(spike_prob, "ndim", 0) == 2 else None
        is_array = getattr(spikes, "ndim", 0) == 2 and spikes.dtype.kind == "f"
        self.spikes, self.backup = spikes if is_array else None, backup
        self._has_record = record is not None
        self.kept = {} if record is None else record.container

    @property
    def was_replaced(self) -> bool:
        """Whether rates of ours were put there, whatever is there now."""
        return self.kept.get(_DIGEST) is not None

    @cached_property
    def is_ours(self) -> bool:
        """Whether it holds our rates, unchanged."""
        return self.was_replaced and self.spikes is not None and digest(self.spikes) == self.kept[_DIGEST]

    @cached_property
    def rows(self) -> np.ndarray | None:
        """For each row, which of the rows of ours it is, or -1; None if that cannot be known."""
        if not self.was_replaced or self._spike_prob is None or self.spikes is None:
            return None
        return rows_of_ours(self.spikes, row_marks(self._spike_prob))

    def own(self) -> Rows | None:
        """CaImAn's own in the form that S has now, if rows of ours are in it and it is not as we have written it."""
        shape = getattr(self.backup, "shape", (0, 0))
        if self.is_ours or self.rows is None or not (self.rows >= 0).any() or len(shape) != 2:
            return None
        assert self.spikes is not None
        if shape[0] <= self.rows.max() or shape[1] != self.spikes.shape[1]:
            return None
        return with_own(self.spikes, self.backup, self.rows)

    @property
    def stays_ours(self) -> bool:
        """Whether rates of ours are in it, as far as can be known, and CaImAn's own cannot be put back."""
        if not self.was_replaced or self.spikes is None:
            return False
        if self.is_ours:
            return self.backup is None
        return self.own() is None and (self.rows is None or bool((self.rows >= 0).any()))

    def put_back_words(self, name: str) -> str:
        """What putting `own` in its place is, in words."""
        assert self.rows is not None
        return words_for_own(name, self.rows)

    def describe(self, name: str, backup: str, can_be_undone: bool) -> Deconvolved | None:
        """Whose rates it holds; None where there is nothing to be said.

        Parameters
        ----------
        name, backup : str
            What S and its backup are called.
        can_be_undone : bool
            Whether `own` is put back where rows of ours are among others.
        """
        if not self._has_record or self.spikes is None:
            return None
        if not self.was_replaced:
            return Deconvolved(name, "pipeline", f"{name} is CaImAn's own; the results of cascade are beside it")
        backup = "" if self.backup is None else backup
        is_marked, option = self._spike_prob is not None, "--replace-s" if can_be_undone else ""
        can_be_undone = can_be_undone and self.own() is not None
        return describe(name, "CaImAn", backup, self.is_ours, is_marked, self.rows, can_be_undone, option)
