"""The form in which results are kept with CaImAn's estimates, in a file or in memory: arrays and short texts.

CaImAn loads unknown groups as dictionaries and saves them again, but not everything survives. Arrays do, in every
version, unless they hold NaN: up to 1.11 saving then fails, after the old file is gone. Hence missing values are minus
infinity, and the record is an array of bytes. Texts are there for people: they survive from 1.9.9 on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from cascade_adapters.containers.caiman.fields import Fields
from cascade_adapters.results import Record, Results, Spikes, schema
from cascade_adapters.results.rows import ComputedRows, Rows
from cascade_adapters.results.schema import complete
from cascade_engine.errors import InputError

#: Name of the group, or attribute, in the estimates.
GROUP = "cascade"

#: CaImAn's own S, kept here while ours is in its place.
SPIKES_BACKUP = "S_caiman"

#: Where discrete spikes are, if there are any.
_SPIKES = "spikes"

_RECORD = "provenance"

_MISSING = -np.inf

_DESCRIPTION = (
    "; one row per component as of the run, missing values are -inf; spikes: one row per discrete spike: component, "
    "frame, time in s, confidence; provenance: the record, JSON as bytes"
)

#: Arrays of up to so many bytes are read at once; of larger ones rows are read when they are asked for.
_IN_MEMORY_BYTES = 1 << 28


def to_fields(results: Results) -> tuple[dict[str, Rows], dict[str, str]]:
    """Arrays and texts to be kept.

    Parameters
    ----------
    results : Results
        Results, with NaN where a value is missing.

    Returns
    -------
    arrays : dict of str to array-like
        Results and record; large ones are read by rows.
    texts : dict of str to str
        What they are and where they come from, for people.
    """
    arrays: dict[str, Rows] = {name: _without_nan(values) for name, values in results.arrays.items()}
    if results.spikes is not None:
        arrays[_SPIKES] = results.spikes.table
    record = results.record
    arrays[_RECORD] = np.frombuffer(record.to_json().encode(), dtype=np.uint8).copy()
    known = (array.in_units(record.traces.arbitrary_units) for array in schema.ARRAYS)
    described = "; ".join(f"{array.name}: {array.description} ({array.unit})" for array in known)
    return arrays, {"description": described + _DESCRIPTION, "model": record.model.name, "created": record.created}


def refuse_others(found: Any, where: str) -> None:
    """Raise `InputError` if what lies in the group's place is not ours, or what is left of it, and could be lost."""
    if found is not None and not (isinstance(found, Mapping) and (_RECORD in found or set(found) <= {SPIKES_BACKUP})):
        raise InputError(f"{where} is there already, but not from cascade: rename or remove it")


def read_record(kept: Mapping[str, Any], where: str) -> Record | None:
    """The record of the results in a group, or None if there are none of ours.

    Parameters
    ----------
    kept : mapping
        The group's arrays.
    where : str
        Its name, for messages.

    Raises
    ------
    InputError
        If the record is damaged.
    """
    if _RECORD not in kept:
        return None
    backup = f", after moving {SPIKES_BACKUP} back to S" if SPIKES_BACKUP in kept else ""
    try:
        content = np.asarray(kept[_RECORD][:]).astype(np.uint8).tobytes()
    except (ValueError, TypeError, IndexError):
        content = b""
    return Record.parse(content, where, f"remove {where}{backup}")


def from_fields(fields: Fields, kept: Mapping[str, Any], where: str) -> Results | None:
    """The results in a group, with NaN where a value is missing, or None if there are none of ours; see `read_record`.

    Parameters
    ----------
    fields : Fields
        What the group is part of.
    kept : mapping
        The group's arrays.
    where : str
        Its name, for messages.
    """
    record = read_record(kept, where)
    if record is None:
        return None
    found: dict[str, Rows] = {}
    for array in schema.ARRAYS:
        stored = kept.get(array.name)
        if getattr(getattr(stored, "dtype", None), "kind", "") == "f":
            values = _with_nan(fields.rows(stored), array.dtype)
            is_small = math.prod(values.shape) * values.dtype.itemsize <= _IN_MEMORY_BYTES
            found[array.name] = np.asarray(values) if is_small else values
    arrays, problem = complete(found, record.recording.n_rois, record.recording.n_frames, record.written_by)
    if problem:
        raise InputError(f"{where} is not complete: {problem}; run again with --existing overwrite")
    return Results(arrays, record, _spikes(kept, where))


def _spikes(kept: Mapping[str, Any], where: str) -> Spikes | None:
    if _SPIKES not in kept:
        return None
    try:
        return Spikes.from_table(kept[_SPIKES][:])
    except (TypeError, ValueError):
        raise InputError(f"the {_SPIKES} in {where} cannot be read: run 'cascade spikes' again") from None


def refuse_other_shape(results: Results, shape: tuple[int, int], where: str) -> None:
    """Raise `InputError` if results are not of these components and frames."""
    if results.shape != tuple(shape):
        found = " x ".join(map(str, results.shape))
        raise InputError(f"{where} has {shape[0]} x {shape[1]} components x frames, but the results are {found}")


def misalignment(kept: Mapping[str, Any], shape: tuple[int, int]) -> str:
    """How the results in a group do not fit the components and frames that there are now; empty if they do."""
    found = tuple(getattr(kept.get("spike_prob"), "shape", ()))
    if _RECORD not in kept or found == tuple(shape):
        return ""
    return (
        f"holds results of {' x '.join(map(str, found)) or 'no'} components x frames, but there are now "
        f"{shape[0]} x {shape[1]} (select_components?): they no longer belong together, run again with "
        "--existing overwrite"
    )


def rates(results: Results) -> Rows:
    """Rates in Hz in the place of S: zero where there is no prediction, since CaImAn expects numbers."""
    spike_prob, frame_rate = results.spike_prob, results.record.recording.frame_rate_hz

    def compute(rows: slice) -> np.ndarray:
        return np.nan_to_num(np.asarray(spike_prob[rows], dtype=np.float64), nan=0.0) * frame_rate

    return ComputedRows(spike_prob.shape, compute, np.float64)


def _without_nan(values: Rows) -> Rows:
    def compute(rows: slice) -> np.ndarray:
        found = np.array(values[rows], dtype=np.float32)
        found[np.isnan(found)] = _MISSING
        return found

    return ComputedRows(values.shape, compute)


def _with_nan(values: Rows, dtype: str) -> Rows:
    def compute(rows: slice) -> np.ndarray:
        found = np.array(values[rows], dtype=dtype)
        found[np.isneginf(found)] = np.nan
        return found

    return ComputedRows(values.shape, compute, dtype)
