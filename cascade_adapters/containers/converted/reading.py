"""From stored arrays to traces, ROIs and results, as the container that they come from would give them."""

from __future__ import annotations

from typing import Any

import numpy as np

from cascade_adapters.containers.background import without_background
from cascade_adapters.containers.base import Reading, Rois, Traces
from cascade_adapters.containers.converted.content import ARBITRARY_DFF, ARBITRARY_SOURCE, DENOISED, TRACES, hash_of
from cascade_adapters.containers.converted.stored import Stored
from cascade_adapters.results import Record, Results, Spikes, schema
from cascade_adapters.results.schema import complete
from cascade_engine.errors import InputError
from cascade_engine.signal.grid import FrameGrid
from cascade_engine.signal.noise import as_frame_rate

#: Part of the neuropil's changes that is subtracted where nobody says otherwise.
_NEUROPIL_COEFFICIENT = 0.7


def default_array(stored: Stored, dff: str = "auto") -> str:
    """The array that spikes are inferred from: ``F``, or the source's own dF/F.

    Parameters
    ----------
    stored : Stored
        What there is.
    dff : {"auto", "container", "compute"}
        As of `Reading`.

    Raises
    ------
    InputError
        If what is asked for is not there.
    """
    own, has_raw = _own_dff(stored), "F" in stored.names
    if dff == "compute" and not has_raw:
        raise InputError(f"{stored.path} holds dF/F, no raw fluorescence: leave out --dff compute and --raw")
    if dff == "container" and own is None:
        raise InputError(f"{stored.path} holds raw fluorescence, no dF/F: leave out --dff container")
    if not has_raw and own is None:
        raise InputError(f"{stored.path} holds no traces: {' or '.join(TRACES)} is missing")
    if dff == "auto":
        dff = "container" if not has_raw or (own is not None and stored.text("infer_from") == "dff") else "compute"
    return "F" if dff == "compute" else str(own)


def read_traces(stored: Stored, name: str, reading: Reading) -> Traces:
    """Traces, with all that is known of them.

    Parameters
    ----------
    stored : Stored
        What there is.
    name : str
        The array that spikes are inferred from, as of `default_array`.
    reading : Reading
        What the user says.

    Returns
    -------
    Traces
        As the converted container would give them.

    Raises
    ------
    InputError
        If something needed is missing or damaged.
    """
    traces = _matrix(stored, name)
    rate = stored.number("frame_rate") if reading.frame_rate is None else reading.frame_rate
    if rate is None:
        raise InputError(f"{stored.path} has no frame_rate: pass --frame-rate (Hz)")
    n_rois, n_frames = traces.shape
    probability = stored.numbers("cell_probability", 1)
    is_cell = stored.numbers("is_cell", 1)
    for each, values in (("is_cell", is_cell), ("cell_probability", probability)):
        if values is not None and len(values) != n_rois:
            raise stored.damaged(each, f"it has {len(values)} values for {n_rois} ROIs")
    facts: dict[str, Any] = {
        "frame_rate": as_frame_rate(rate),
        "frame_rate_source": "given" if reading.frame_rate is not None else f"frame_rate in {stored.path.name}",
        "segments": _segments(stored, n_frames),
        "dropped": _dropped(stored, n_frames),
        "excluded": _excluded(stored, n_frames),
        "is_cell": None if is_cell is None else is_cell > 0.5,
        "cell_probability": None if probability is None or np.isnan(probability).all() else probability,
        "indicator": stored.text("indicator"),
        "arbitrary_units": stored.flag(ARBITRARY_DFF if name == "dff" else ARBITRARY_SOURCE),
        "denoised": stored.flag(DENOISED),
    }
    if name != "F":
        return Traces(dff=traces, source=name, **facts)
    if "Fneu" not in stored.names:
        return Traces(fluorescence=traces, source="F", **facts)
    around = _matrix(stored, "Fneu")
    if around.shape != traces.shape:
        raise stored.damaged("Fneu", f"it has the shape {around.shape}, but F has {traces.shape}")
    coefficient = reading.neuropil_coefficient
    is_background = coefficient is None and stored.flag("neuropil_is_background")
    if coefficient is None:
        coefficient = stored.number("neuropil_coefficient")
    found = Traces(
        fluorescence=traces,
        neuropil=around,
        neuropil_coefficient=_NEUROPIL_COEFFICIENT if coefficient is None else coefficient,
        source="F and Fneu",
        **facts,
    )
    return without_background(found) if is_background else found


def read_rois(stored: Stored, n_rois: int) -> Rois | None:
    """Where the ROIs lie, or None; `InputError` if that is damaged."""
    table, weights = stored.numbers("pixels", 2), stored.numbers("pixel_weights", 1)
    if table is None or weights is None:
        return None
    owners, places = table[:, 0], table[:, 1:].astype(np.int64)
    if len(weights) != len(table) or places.shape[1] not in (2, 3) or not np.isin(owners, range(n_rois)).all():
        raise stored.damaged("pixels", f"they do not fit to {n_rois} ROIs, or to their weights")
    shape = stored.numbers("image_shape", 1)
    by_roi = [np.flatnonzero(owners == roi) for roi in range(n_rois)]
    return Rois(
        None if shape is None else tuple(int(length) for length in shape),
        [places[rows] for rows in by_roi],
        [weights[rows].astype(np.float32) for rows in by_roi],
    )


def read_record(stored: Stored) -> Record | None:
    """The record of the results that came with the traces, or None."""
    text = stored.text("record") if "spike_prob" in stored.names else None
    return None if text is None else Record.parse(text, str(stored.path), "convert the source again")


def read_results(stored: Stored) -> Results | None:
    """The results that came with the traces, or None; `InputError` if they are damaged."""
    record = read_record(stored)
    if record is None:
        return None
    found: dict[str, Any] = {}
    for array in schema.ARRAYS:
        values = stored.numbers(array.name, len(array.axes))
        if values is not None:
            found[array.name] = values.astype(array.dtype)
    n_rois, n_frames = record.recording.n_rois, record.recording.n_frames
    arrays, problem = complete(found, n_rois, n_frames, record.written_by)
    if problem:
        raise stored.damaged("the results", problem)
    table = stored.get("spikes") if record.discrete_spikes is not None else None
    try:
        return Results(arrays, record, None if table is None else Spikes.from_table(table))
    except (TypeError, ValueError):
        raise stored.damaged("spikes", "it is no table of discrete spikes") from None


def hashes_of(stored: Stored) -> dict[str, str]:
    """Hashes of all traces, by their names."""
    return {name: hash_of(_matrix(stored, name)) for name in ("F", "Fneu", "dff", "source_dff") if name in stored.names}


def _own_dff(stored: Stored) -> str | None:
    """The name of the source's own dF/F; None if there is only one that was computed from F."""
    if "source_dff" in stored.names:
        return "source_dff"
    if "dff" not in stored.names:
        return None
    record = read_record(stored) if "F" in stored.names else None
    return None if record is not None and record.traces.dff == "computed" else "dff"


def _matrix(stored: Stored, name: str) -> np.ndarray:
    values = stored.numbers(name, 2)
    if values is None or not values.size:
        raise stored.damaged(name, "it is missing or empty")
    return values


def _segments(stored: Stored, n_frames: int) -> list[int] | None:
    counts = stored.numbers("frames_per_session", 1)
    if counts is None:
        return None
    if counts.sum() != n_frames or (counts < 0).any():
        raise stored.damaged("frames_per_session", f"it adds up to {counts.sum():g}, not {n_frames} frames")
    return [int(count) for count in counts] if len(counts) > 1 else None


def _dropped(stored: Stored, n_frames: int) -> dict[int, int]:
    rows = stored.numbers("dropped_frames", 2)
    try:
        dropped = {} if rows is None else {int(frame): int(count) for frame, count in rows}
        FrameGrid(n_frames, dropped=dropped)
    except (InputError, TypeError, ValueError) as error:
        raise stored.damaged("dropped_frames", " ".join(str(error).split())) from None
    return dropped


def _excluded(stored: Stored, n_frames: int) -> dict[str, np.ndarray]:
    frames = stored.numbers("bad_frames", 1)
    if frames is None:
        return {}
    if not np.isin(frames, range(n_frames)).all():
        raise stored.damaged("bad_frames", f"it names frames beyond the {n_frames} that there are")
    return {f"marked in bad_frames of {stored.path.name}": np.isin(np.arange(n_frames), frames)}
