"""A result of CaImAn's in memory: results become an attribute of its estimates, which CaImAn saves with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cascade_adapters.containers.base import Container, Reading, Rois, Selection, Traces
from cascade_adapters.containers.caiman import stored_results
from cascade_adapters.containers.caiman.estimates import read_rois, read_traces
from cascade_adapters.containers.caiman.fields import ObjectFields
from cascade_adapters.containers.caiman.raw_traces import fingerprint, is_made_from, shape_of
from cascade_adapters.containers.caiman.spikes_in_place import SpikesInPlace, remembered
from cascade_adapters.containers.caiman.stored_results import GROUP, SPIKES_BACKUP
from cascade_adapters.containers.deconvolved import Deconvolved
from cascade_adapters.results import Record, Results
from cascade_engine.errors import InputError

_WHERE = f"estimates.{GROUP}"


class CaimanObject(Container):
    """A CNMF or OnACID object, or its estimates, used by its attributes alone: CaImAn itself is not needed.

    Results are the dictionary ``estimates.cascade``; see `cascade_adapters.containers.caiman.stored_results`.

    Parameters
    ----------
    cnm : object
        With ``estimates`` and ``params``; or the estimates, whose frame rate has then to be given.
    """

    kind = "CaImAn object"
    looks_for = "objects in memory"

    def __init__(self, cnm: Any):
        super().__init__(Path("estimates"))
        self._fields = ObjectFields(cnm)
        self._estimates = self._fields.estimates

    def __reduce__(self) -> tuple:
        raise InputError("a CaImAn object is in the memory of this process alone: save it, and pass the file")

    @property
    def identity(self) -> tuple:
        """Kind and object."""
        return (self.kind, id(self._estimates))

    @property
    def scratch_folder(self) -> None:
        """Results stay in memory, where the object is."""
        return None

    @classmethod
    def find(cls, path: Path, selection: Selection = Selection()) -> list[CaimanObject]:
        """None: an object lies in no folder."""
        return []

    def read(self, reading: Reading = Reading()) -> Traces:
        """Read C + YrA, background, F_dff and parameters; see `Container.read`."""
        traces = read_traces(self._fields, reading)
        remark = stored_results.misalignment(self._kept, traces.shape)
        traces.remarks += [f"{_WHERE} {remark}"] if remark else []
        return traces

    def fingerprint(self) -> dict[str, str]:
        """SHA-256 of what the traces are made from, the same as of a saved file."""
        return fingerprint(self._fields)

    def has_input(self, hashes: Mapping[str, str]) -> bool:
        """See `Container.has_input`; F_dff matters to results that were made from it."""
        return is_made_from(self._fields, hashes)

    def record(self) -> Record | None:
        """The record in ``estimates.cascade``, or None."""
        return stored_results.read_record(self._kept, _WHERE)

    def results(self) -> Results | None:
        """What `write` has set; `InputError` if the components are others now; see `Container.results`."""
        remark = stored_results.misalignment(self._kept, shape_of(self._fields))
        if remark:
            raise InputError(f"{_WHERE} {remark}")
        return stored_results.from_fields(self._fields, self._kept, _WHERE)

    def rois(self) -> Rois | None:
        """Where the components lie, from A."""
        return read_rois(self._fields)

    def check_replaceable(self) -> None:
        """Refuse to replace S where that makes no sense or could lose CaImAn's own."""
        if getattr(self._fields.get("estimates", "S"), "shape", None) != shape_of(self._fields):
            raise InputError("the estimates have no S to replace")
        spikes = self._in_place()
        if SPIKES_BACKUP in self._kept and not spikes.is_ours and spikes.own() is None:
            raise InputError(
                f"{_WHERE} has {SPIKES_BACKUP}, but S is not what cascade had put in its place: a new backup would "
                f"destroy the old one; remove {SPIKES_BACKUP}, or make it S, whichever is right"
            )

    def write(self, results: Results, replace_spikes: bool = False) -> list[str]:
        """Set ``estimates.cascade``; see `Container.write`."""
        stored_results.refuse_others(getattr(self._estimates, GROUP, None), _WHERE)
        stored_results.refuse_other_shape(results, shape_of(self._fields), self._fields.where)
        if replace_spikes:
            self.check_replaceable()
        spikes = np.asarray(stored_results.rates(results)) if replace_spikes else None
        record = results.record.remembering(**remembered(spikes, self._in_place()))
        arrays, texts = stored_results.to_fields(replace(results, record=record))
        in_memory = {name: np.array(values) for name, values in arrays.items()}
        left, _ = self._take_back()
        if spikes is not None:
            left = {SPIKES_BACKUP: self._estimates.S}
            self._estimates.S = spikes
        setattr(self._estimates, GROUP, {**texts, **in_memory, **left})
        return [_WHERE] if spikes is None else [_WHERE, "estimates.S"]

    def has_replaced_spikes(self) -> bool:
        """Whether S holds our rates; see `Container.has_replaced_spikes`."""
        return self._in_place().is_ours

    def deconvolved(self) -> Deconvolved | None:
        """Whose rates S holds; see `Container.deconvolved`."""
        return self._in_place().describe("estimates.S", f"{_WHERE}[{SPIKES_BACKUP!r}]", can_be_undone=True)

    def restore(self) -> list[str]:
        """Remove ``estimates.cascade`` and put S back; see `Container.restore`."""
        if self.record() is None:
            return []
        left, done = self._take_back()
        if left:
            setattr(self._estimates, GROUP, left)
        else:
            delattr(self._estimates, GROUP)
        return [*done, f"removed {_WHERE}" if not left else f"removed all else from {_WHERE}"]

    @property
    def _kept(self) -> Mapping[str, Any]:
        found = getattr(self._estimates, GROUP, None)
        return found if isinstance(found, Mapping) else {}

    def _in_place(self) -> SpikesInPlace:
        spikes = self._fields.get("estimates", "S")
        return SpikesInPlace(spikes, self._kept.get(SPIKES_BACKUP), self._kept.get("spike_prob"), self.record())

    def _take_back(self) -> tuple[dict[str, Any], list[str]]:
        """Put S back, if it is ours; what has to be kept otherwise, and what was done."""
        if SPIKES_BACKUP not in self._kept:
            return {}, []
        backup = self._kept[SPIKES_BACKUP]
        spikes = self._in_place()
        if spikes.is_ours:
            self._estimates.S = backup
            return {}, ["put back estimates.S"]
        own = spikes.own()
        if own is not None:
            self._estimates.S = np.array(own[:])
            return {}, [spikes.put_back_words("estimates.S")]
        return {SPIKES_BACKUP: backup}, [f"left estimates.S, which was changed since, and {SPIKES_BACKUP}"]
