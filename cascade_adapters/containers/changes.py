"""What has changed in a container since its results were made, besides the traces themselves."""

from __future__ import annotations

from math import isclose
from typing import TYPE_CHECKING

import numpy as np

from cascade_adapters.results import Record
from cascade_adapters.results.record import NOT_A_CELL
from cascade_engine.signal.frames import frame_mask

if TYPE_CHECKING:
    from cascade_adapters.containers.base import Traces

#: What is said of results that were made from other traces.
TRACES_CHANGED = "the traces have changed since"

#: Relative difference between two frame rates that is no difference: what a conversion rounds.
_SAME_RATE = 1e-4


def changed_facts(earlier: Record, traces: Traces) -> list[str]:
    """What a run with the same options would now read otherwise, in words.

    Parameters
    ----------
    earlier : Record
        The record of the results.
    traces : Traces
        The traces that are there now, read with the options of that run.

    Returns
    -------
    list of str
        Empty if nothing has changed, if the traces have another size, and for results of versions that did not record
        their options.
    """
    recording, asked = earlier.recording, earlier.asked
    if "frame_rate" not in asked or traces.shape != (recording.n_rois, recording.n_frames):
        return []
    found = []
    if not isclose(traces.frame_rate, recording.frame_rate_hz, rel_tol=_SAME_RATE):
        found.append(f"the frame rate was {recording.frame_rate_hz:g} Hz, and is {traces.frame_rate:g} Hz now")
    whole = [recording.n_frames]
    before, now = recording.segments or whole, traces.segments or whole
    if before != now:
        found.append(f"there were {len(before)} segments, of {_listed(before)} frames, and now {_listed(now)}")
    found += _bad_frames(earlier, traces)
    if asked.get("only_cells"):
        found += filter(None, [changed_cells(earlier, traces)])
    # a conversion can say these in another form
    return found if earlier.converted else [*found, *_what_was_read(earlier, traces)]


def changed_cells(earlier: Record, traces: Traces) -> str:
    """How many ROIs have become cells or are none any more since a run of cells alone; empty if none has."""
    n_rois = earlier.recording.n_rois
    if traces.is_cell is None or traces.shape[0] != n_rois:
        return ""
    was_cell = np.ones(n_rois, dtype=bool)
    was_cell[[roi for roi, note in earlier.rois.without_prediction.items() if note == NOT_A_CELL]] = False
    n_changed = np.count_nonzero(was_cell != traces.is_cell)
    return f"{n_changed} of {n_rois} ROIs have become cells, or are none any more" if n_changed else ""


def _bad_frames(earlier: Record, traces: Traces) -> list[str]:
    recording = earlier.recording
    if earlier.asked.get("bad_frames", "none") == "none":
        return []
    known = {source: frame_mask(frames, recording.n_frames) for source, frames in recording.excluded_frames.items()}
    nothing = np.zeros(recording.n_frames, dtype=bool)
    # frames that the user has named, or that were found in the traces, are no matter of the container
    others = np.any([nothing, *(mask for source, mask in known.items() if not source.startswith("marked"))], axis=0)
    before, now = np.any([nothing, *known.values()], axis=0), traces.excluded_frames | others
    n_more, n_less = np.count_nonzero(now & ~before), np.count_nonzero(before & ~now)
    more = f"{n_more} more frames are marked as bad" if n_more else ""
    less = f"{n_less} frames are not marked as bad any more" if n_less else ""
    return [" and ".join(filter(None, [more, less]))] if more or less else []


def _what_was_read(earlier: Record, traces: Traces) -> list[str]:
    found, used, recording = [], earlier.traces, earlier.recording
    coefficient = used.neuropil_coefficient
    if (
        coefficient is not None
        and traces.neuropil is not None
        and not isclose(coefficient, traces.neuropil_coefficient)
    ):
        found.append(f"the neuropil coefficient was {coefficient:g}, and is {traces.neuropil_coefficient:g} now")
    if recording.dropped_frames != traces.dropped:
        found.append("other frames are said to have been dropped")
    if earlier.asked.get("indicator") is None and (recording.indicator or None) != (traces.indicator or None):
        found.append(f"the indicator was {recording.indicator!r}, and is {traces.indicator!r} now")
    return found


def _listed(counts: list[int]) -> str:
    return ", ".join(map(str, counts))
