"""What was said about traces for the results that are there, and need not be said again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cascade_adapters.results import Record

if TYPE_CHECKING:
    from cascade_adapters.containers.base import Reading

#: How a frame rate that the user gives is called (`Traces.frame_rate_source`).
GIVEN = "given"


def with_record(reading: Reading, record: Record | None) -> Reading:
    """What the user says, completed by the record of results that were made from the same traces.

    Parameters
    ----------
    reading : Reading
        What the user says now, which counts more.
    record : Record or None
        None, or of the very same traces.

    Returns
    -------
    Reading
        With frame rate and unit, where they are open and the record knows them from the user.
    """
    if record is None:
        return reading
    if reading.frame_rate is None and record.recording.frame_rate_source == GIVEN:
        reading = replace(reading, frame_rate=record.recording.frame_rate_hz)
    if reading.dff != "auto" or reading.arbitrary_units:
        return reading
    if record.traces.arbitrary_units:
        return replace(reading, arbitrary_units=True)
    return replace(reading, dff="compute" if record.traces.dff == "computed" else "container")
