"""``spks.npy`` of a plane: suite2p's own spikes, or rates of ours with suite2p's own kept beside them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from cascade_adapters.containers import deconvolved
from cascade_adapters.containers.deconvolved import Deconvolved, row_marks, rows_of_ours
from cascade_adapters.containers.suite2p.files import read_array
from cascade_adapters.results import Record, Results
from cascade_adapters.results.rows import write_npy
from cascade_adapters.safe_writing.folder import Transaction
from cascade_engine.errors import InputError
from cascade_engine.file_formats.atomic import sha256
from cascade_engine.file_formats.npy import ArrayOnDisk

NAME = "spks.npy"
BACKUP = "spks_suite2p.npy"

#: What the record keeps of the rates that were put there: SHA-256 of the file, and marks of its rows.
_DIGEST, _MARKS = "spks", "spks_rows"


class SpikesFile:
    """What ``spks.npy`` holds.

    Parameters
    ----------
    folder : Path
        The plane's folder.
    record : Record or None
        The record of the results that are there.
    """

    def __init__(self, folder: Path, record: Record | None):
        self.path, self.backup = folder / NAME, folder / BACKUP
        self._kept = {} if record is None else record.container
        self._has_record = record is not None

    @property
    def was_replaced(self) -> bool:
        """Whether rates of ours were put there, whatever is there now."""
        return self._kept.get(_DIGEST) is not None

    @cached_property
    def is_ours(self) -> bool:
        """Whether it holds our rates, unchanged."""
        return self.was_replaced and self.path.is_file() and sha256(self.path) == self._kept[_DIGEST]

    @cached_property
    def rows(self) -> np.ndarray | None:
        """For each row, which of the rows of ours it is, or -1; None if they were not marked, or it is no such array.

        It may be ours with further rows, or scaled.
        """
        marks = self._kept.get(_MARKS)
        if not self.was_replaced or not isinstance(marks, str) or not self.path.is_file():
            return None
        try:
            return rows_of_ours(read_array(self.path), marks)
        except InputError:
            return None

    @cached_property
    def is_mixed(self) -> bool:
        """Whether it holds rows of ours, but is not what we have written, and suite2p's own can be made from it."""
        if self.is_ours or self.rows is None or not (self.rows >= 0).any() or not self.backup.is_file():
            return False
        try:
            spikes, backup = read_array(self.path), read_array(self.backup)
        except InputError:
            return False
        return bool(backup.shape[0] > self.rows.max() and backup.shape[1] == spikes.shape[1])

    @property
    def may_be_ours(self) -> bool:
        """Whether rates of ours are in it, as far as can be known."""
        return self.was_replaced and (self.is_ours or self.rows is None or bool((self.rows >= 0).any()))

    def describe(self) -> Deconvolved | None:
        """Whose spikes it holds; None where there is nothing to be said."""
        if not self.path.is_file():
            return None
        if not self._has_record:
            if not self.backup.is_file():
                return None
            text = f"{NAME} may hold rates of cascade: there is {BACKUP}, but no record of the run that made it"
            return Deconvolved(NAME, "unknown", text)
        if not self.was_replaced:
            return Deconvolved(NAME, "pipeline", f"{NAME} is suite2p's own; the results of cascade are beside it")
        backup = BACKUP if self.backup.is_file() else ""
        is_marked = _MARKS in self._kept
        return deconvolved.describe(
            NAME, "suite2p", backup, self.is_ours, is_marked, self.rows, self.is_mixed, "--replace-spks"
        )

    def replace(self, transaction: Transaction, results: Results) -> list[str]:
        """Put rates in its place, and what is suite2p's own into the backup; returns the names written."""
        written = []
        if self.is_mixed:
            self._write_own(transaction, BACKUP)
            written.append(BACKUP)
        elif not self.is_ours:
            transaction.copy(NAME, BACKUP)  # a link stays one
            written.append(BACKUP)
        # the GUI shows spks.npy, cannot show NaN, and normalises each row: rates in Hz read best there
        with transaction.writing(NAME) as file:
            write_npy(file, results.spike_prob, factor=results.record.recording.frame_rate_hz)
        return [*written, NAME]

    def put_back(self, transaction: Transaction) -> str:
        """Put suite2p's own back; what was done, in words, empty if there was nothing to do."""
        if not self.backup.is_file():
            return ""
        if self.is_ours or (self.was_replaced and not self.path.is_file()):
            transaction.move(BACKUP, NAME)
            return f"put back {NAME}"
        if self.is_mixed:
            assert self.rows is not None
            self._write_own(transaction, NAME)
            transaction.remove(BACKUP)
            return deconvolved.words_for_own(NAME, self.rows)
        return ""

    def _write_own(self, transaction: Transaction, name: str) -> None:
        assert self.rows is not None
        own = deconvolved.with_own(read_array(self.path), read_array(self.backup), self.rows)
        with transaction.writing(name) as file:
            write_npy(file, own)


def remembered(path: Path | None, earlier: Record | None = None) -> dict[str, str | None]:
    """What the record has to keep of rates in a file, or of those that the `earlier` one knows; None: forget it."""
    if path is not None:
        return {_DIGEST: sha256(path), _MARKS: row_marks(ArrayOnDisk(path))}
    kept = {} if earlier is None else earlier.container
    return {key: kept.get(key) for key in (_DIGEST, _MARKS)}
