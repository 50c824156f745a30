"""A file of CaImAn's: reading it, writing results into it, and making it what it was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade_adapters.containers.base import Container, Reading, Rois, Selection, Traces
from cascade_adapters.containers.caiman import stored_results
from cascade_adapters.containers.caiman.estimates import read_rois, read_traces
from cascade_adapters.containers.caiman.fields import FileFields, explained, opened
from cascade_adapters.containers.caiman.hashes import digest
from cascade_adapters.containers.caiman.raw_traces import fingerprint, is_made_from, shape_of
from cascade_adapters.containers.caiman.spikes_in_place import SpikesInPlace, remembered
from cascade_adapters.containers.caiman.stored_results import SPIKES_BACKUP
from cascade_adapters.containers.caiman.undo_0_1_0 import restore_original
from cascade_adapters.containers.deconvolved import Deconvolved
from cascade_adapters.containers.searching import files_below
from cascade_adapters.results import Record, Results, Spikes, schema
from cascade_adapters.results.record import SpikesFound
from cascade_adapters.results.rows import Rows, blocks_of
from cascade_adapters.safe_writing import names
from cascade_adapters.safe_writing.copy import Copy, finish_interrupted, rewriting
from cascade_adapters.safe_writing.overlay import OverlayFile
from cascade_engine.errors import InputError

if TYPE_CHECKING:
    import h5py

_GROUP = f"estimates/{stored_results.GROUP}"
_SPIKES = "estimates/S"
_BACKUP = f"{_GROUP}/{SPIKES_BACKUP}"
_UNDO_0_1_0 = f"{_GROUP}/undo"
_SUFFIXES = (".hdf5", ".h5")

#: More than HDF5 needs for its own tables.
_OVERHEAD_BYTES = 1_000_000

#: Links of a CaImAn file lie this near to its beginning.
_HEAD_BYTES = 1 << 16


class CaimanFile(Container):
    """A file written by ``CNMF.save`` or ``OnACID.save``.

    Results lie in the group ``estimates/cascade``, one row per component in CaImAn's order; see
    `cascade_adapters.containers.caiman.stored_results`.

    Parameters
    ----------
    path : Path
        The file.
    """

    kind = "CaImAn"
    looks_for = "HDF5 files with estimates/C"

    @classmethod
    def find(cls, path: Path, selection: Selection = Selection()) -> list[CaimanFile]:
        """Files of CaImAn's at or below `path`.

        A file that cannot be opened counts where it was named by the user, or by its beginning looks like CaImAn's.
        """
        if path.is_file():
            unreadable = path.suffix.lower() in _SUFFIXES
            known = path.suffix.lower() != ".nwb" and _is_caimans(path)
            return [cls(path)] if known or (known is None and unreadable) else []
        found = []
        for file in sorted(each for each in files_below(path) if each.suffix.lower() in _SUFFIXES and each.is_file()):
            known = _is_caimans(file)
            if known or (known is None and _begins_as_caimans(file)):
                found.append(cls(file))
        return found

    def read(self, reading: Reading = Reading()) -> Traces:
        """Read C + YrA, background, F_dff and parameters; see `Container.read`."""
        with opened(self.path) as fields:
            traces = read_traces(fields, reading)
            remark = stored_results.misalignment(self._kept(fields), traces.shape)
            traces.remarks += [f"{_GROUP} {remark}"] if remark else []
            return traces

    def fingerprint(self) -> dict[str, str]:
        """SHA-256 of what the traces are made from."""
        with opened(self.path) as fields:
            return fingerprint(fields)

    def has_input(self, hashes: Mapping[str, str]) -> bool:
        """See `Container.has_input`; F_dff matters to results that were made from it."""
        with opened(self.path) as fields:
            return is_made_from(fields, hashes)

    def record(self) -> Record | None:
        """The record in ``estimates/cascade``, or None."""
        finish_interrupted(self.path)
        with opened(self.path) as fields:
            return stored_results.read_record(self._kept(fields), self._where)

    def results(self) -> Results | None:
        """What `write` has written; `InputError` if the components are others now; see `Container.results`."""
        with opened(self.path) as fields:
            kept = self._kept(fields)
            remark = stored_results.misalignment(kept, shape_of(fields))
            if remark:
                raise InputError(f"{self._where} {remark}")
            return stored_results.from_fields(fields, kept, self._where)

    def rois(self) -> Rois | None:
        """Where the components lie, from ``estimates/A``."""
        with opened(self.path) as fields:
            return read_rois(fields)

    def check_replaceable(self) -> None:
        """Refuse to replace ``estimates/S`` where that makes no sense or could lose CaImAn's own."""
        with opened(self.path) as fields:
            if getattr(fields.get("estimates", "S"), "shape", None) != shape_of(fields):
                raise InputError(f"{self.path} has no estimates/S to replace")
            kept = self._kept(fields)
            record = stored_results.read_record(kept, self._where)
            if SPIKES_BACKUP in kept and not _is_ours(fields.get("estimates", "S"), record):
                raise InputError(
                    f"{self.path} has {_BACKUP}, but {_SPIKES} is not what cascade had put in its place: a new backup "
                    f"would destroy the old one; remove {_BACKUP}, or move it to {_SPIKES}, whichever is right"
                )

    def write(self, results: Results, replace_spikes: bool = False) -> list[str]:
        """Write results into ``estimates/cascade``; see `Container.write`."""
        if replace_spikes:
            self.check_replaceable()
        with opened(self.path) as fields:
            stored_results.refuse_others(fields.get("estimates", stored_results.GROUP), self._where)
            stored_results.refuse_other_shape(results, shape_of(fields), str(self.path))
        spikes = stored_results.rates(results) if replace_spikes else None
        record = results.record.remembering(**remembered(spikes))
        arrays, texts = stored_results.to_fields(replace(results, record=record))
        n_bytes = sum(math.prod(array.shape) * array.dtype.itemsize for array in [*arrays.values(), *_given(spikes)])
        with rewriting(self.path, n_bytes + _OVERHEAD_BYTES) as copy:
            is_original, _ = self._take_back(copy)
            with copy.recording() if is_original else nullcontext(copy.path) as file:
                self._add(file, arrays, texts, spikes)
            self._check(copy.path, arrays, spikes, record.input or None)
        written = [f"{_GROUP}/{name}" for name in arrays]
        return written if spikes is None else [*written, _SPIKES, _BACKUP]

    def add_spikes(self, results: Results, spikes: Spikes, found: SpikesFound) -> list[str]:
        """Write discrete spikes into ``estimates/cascade``; see `Container.add_spikes`."""
        same = {_SPIKES, _BACKUP, *(f"{_GROUP}/{array.name}" for array in schema.ARRAYS)}
        return [name for name in super().add_spikes(results, spikes, found) if name not in same]

    def has_replaced_spikes(self) -> bool:
        """Whether ``estimates/S`` holds our rates; see `Container.has_replaced_spikes`."""
        with opened(self.path) as fields:
            record = stored_results.read_record(self._kept(fields), self._where)
            return _is_ours(fields.get("estimates", "S"), record)

    def deconvolved(self) -> Deconvolved | None:
        """Whose rates ``estimates/S`` holds; see `Container.deconvolved`."""
        with opened(self.path) as fields:
            kept = self._kept(fields)
            record = stored_results.read_record(kept, self._where)
            spikes = SpikesInPlace(
                fields.get("estimates", "S"), kept.get(SPIKES_BACKUP), kept.get("spike_prob"), record
            )
            return spikes.describe(_SPIKES, _BACKUP, can_be_undone=False)

    def restore(self) -> list[str]:
        """Remove ``estimates/cascade`` and put ``estimates/S`` back; see `Container.restore`.

        The file is then what it was to the last byte, unless its undo journal is not there any more, or another program
        has written to it since the results were written: then the rest of its content stays as it is.
        """
        if self.record() is None:
            return []
        journal = names.journal(self.path.resolve(), 1)
        reason = "it was changed since" if journal.exists() else f"there is no {journal.name} beside it"
        with rewriting(self.path) as copy:
            is_original, done = self._take_back(copy)
        return done if is_original else [*done, f"the rest is as it was, if not to the last byte: {reason}"]

    @property
    def _where(self) -> str:
        return f"{self.path}: {_GROUP}"

    def _kept(self, fields: FileFields) -> dict[str, Any]:
        found = fields.get("estimates", stored_results.GROUP)
        return found if isinstance(found, dict) else {}

    def _take_back(self, copy: Copy) -> tuple[bool, list[str]]:
        """Remove from a copy of the file all that we have written.

        Returns
        -------
        is_original : bool
            Whether the copy is now what the file was before it had any results, to the last byte.
        done : list of str
            What was done.
        """
        import h5py

        with explained(self.path, "changed"), h5py.File(copy.path, "r") as file:
            group = file.get(_GROUP)
            if group is None or stored_results.read_record(group, self._where) is None:
                return True, []
            done = [f"put back {_SPIKES}"] if _BACKUP in file else []
        if copy.roll_back():
            return True, [*done, f"removed {_GROUP}"]
        with explained(self.path, "changed"):
            if restore_original(copy.path, _UNDO_0_1_0):
                return True, [*done, f"removed {_GROUP}"]
            with h5py.File(copy.path, "r+") as file:
                return False, _remove(file, self._where)

    def _add(
        self,
        file: OverlayFile | Path,
        arrays: dict[str, Rows],
        texts: dict[str, str],
        spikes: Rows | None,
    ) -> None:
        import h5py

        with explained(self.path, "changed"), h5py.File(file, "r+") as root:
            group = root.require_group(_GROUP)
            for name, array in arrays.items():
                _write(group, name, array)
            for name, text in texts.items():
                group.attrs[name] = text
            if spikes is not None:
                root.move(_SPIKES, _BACKUP)  # as it is: type, chunks, compression, attributes
                _write(root, _SPIKES, spikes)

    def _check(self, copy: Path, arrays: dict[str, Rows], spikes: Rows | None, source: dict | None) -> None:
        """Refuse a copy that does not hold what was written, or other traces than those it was made from."""
        with opened(copy) as fields:
            kept = self._kept(fields)
            stored = {f"{_GROUP}/{name}": (kept.get(name), array) for name, array in arrays.items()}
            if spikes is not None:
                stored[_SPIKES] = (fields.get("estimates", "S"), spikes)
            for name, (found, array) in stored.items():
                if found is None or found.shape != array.shape or not _are_equal(found, array):
                    raise InputError(f"{self.path} was not changed: what was written as {name} cannot be read back")
            if source is not None and not is_made_from(fields, source):
                raise InputError(f"{self.path} was changed since its traces were read: run again")


def _write(group: h5py.Group, name: str, values: Rows) -> None:
    dataset = group.create_dataset(name, shape=values.shape, dtype=values.dtype)
    for rows, block in blocks_of(values):
        dataset[rows] = block


def _are_equal(found: Rows, values: Rows) -> bool:
    return all(np.array_equal(found[rows], block) for rows, block in blocks_of(values))


def _given(spikes: Rows | None) -> list[Rows]:
    return [] if spikes is None else [spikes]


def _remove(file: h5py.File, where: str) -> list[str]:
    """Remove what we have written from an open file; returns what was done."""
    group = file.get(_GROUP)
    record = None if group is None else stored_results.read_record(group, where)
    if record is None:
        return []
    done, keep = [], set()
    if SPIKES_BACKUP in group:
        if "S" in record.container and (_SPIKES not in file or _is_ours(file[_SPIKES], record)):
            if _SPIKES in file:
                del file[_SPIKES]
            file.move(_BACKUP, _SPIKES)
            done.append(f"put back {_SPIKES}")
        else:
            keep = {SPIKES_BACKUP}
            done.append(f"left {_SPIKES}, which was changed since, and the backup {_BACKUP}")
    for name in set(group) - keep:
        del group[name]
    for name in list(group.attrs):
        del group.attrs[name]
    if not keep:
        del file[_GROUP]
    return [*done, f"removed {_GROUP}" if not keep else f"removed all else from {_GROUP}"]


def _is_ours(spikes: Any, record: Record | None) -> bool:
    ours = None if record is None else record.container.get("S")
    return getattr(spikes, "ndim", 0) == 2 and spikes.dtype.kind == "f" and digest(spikes) == ours


def _is_caimans(path: Path) -> bool | None:
    """Whether a file holds CaImAn's estimates; None if it cannot be opened."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            estimates = file.get("estimates")
            return isinstance(estimates, h5py.Group) and ("C" in estimates or "A" in estimates)
    except Exception:  # a damaged file can fail in any way
        return None


def _begins_as_caimans(path: Path) -> bool:
    """Whether a file that cannot be opened has the names at its beginning that CaImAn's files have there."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return b"estimates\0" in head and b"params\0" in head
