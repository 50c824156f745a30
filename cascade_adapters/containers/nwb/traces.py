"""Reading the traces of a recording into memory, ROIs first, a block at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from cascade_adapters.containers.base import Reading, Traces
from cascade_adapters.containers.nwb.notes import read_notes
from cascade_adapters.containers.nwb.opening import OpenNwb, one_line
from cascade_adapters.containers.nwb.rois import cell_columns, mask_products
from cascade_adapters.containers.nwb.series import Recording, roi_rows, series_at
from cascade_adapters.containers.nwb.timing import find_timing
from cascade_engine.errors import InputError
from cascade_engine.signal.units import ARBITRARY_UNITS, in_units_of_noise, why_not_raw

#: Part of the neuropil's changes that is subtracted where nobody says otherwise.
_NEUROPIL_COEFFICIENT = 0.7

#: Bytes that are read at a time, if chunks allow.
_BLOCK_BYTES = 32_000_000

#: No data compresses further than this.
_HIGHEST_COMPRESSION = 1100


def read_traces(opened: OpenNwb, recording: Recording, reading: Reading) -> Traces:
    """Read what is to be inferred on.

    Parameters
    ----------
    opened : OpenNwb
        The file.
    recording : Recording
        Its series.
    reading : Reading
        What the user says about the traces.

    Returns
    -------
    Traces
        Arrays in memory, float32.

    Raises
    ------
    InputError
        If something needed is missing, damaged, or not certain.
    """
    path = _choose_series(opened, recording, reading)
    series = series_at(opened, path)
    remarks = list(recording.remarks)
    values, transposed = load_series(opened, path)
    timing = find_timing(series, path, values.shape[1], reading.frame_rate)
    if transposed:
        remarks.append(f"{path} holds (roi, time) instead of (time, roi): it was turned round")
    remarks += timing.remarks
    notes = read_notes(series.comments, values.shape[1])
    is_cell, cell_probability = cell_columns(series.rois.table, roi_rows(series), remarks)
    indicator = getattr(series.rois.table.imaging_plane, "indicator", None)
    common = {
        "frame_rate": timing.frame_rate,
        "frame_rate_source": timing.source,
        "segments": timing.segments or notes.frames_per_session,
        "is_cell": is_cell,
        "cell_probability": cell_probability,
        "indicator": indicator if isinstance(indicator, str) else None,
        "remarks": remarks,
    }
    if path == recording.dff or reading.dff == "container":
        _as_fraction(series, path, values, remarks)
        return Traces(dff=values, source=path, **common)

    source, background = path, None
    if recording.residuals:
        values += load_series(opened, recording.residuals, path)[0]
        source = f"{path} plus {recording.residuals}"
        background = _background(opened, recording)
        problem = "" if background is not None else "it is CaImAn's fit without the background that dF/F divides by"
    else:
        _drop_padding(values, path, remarks)
        problem = why_not_raw(values)
    if problem:
        if not reading.arbitrary_units:
            raise InputError(
                f"{path} in {opened.name} cannot be turned into dF/F: {problem}; name it by --series with --dff "
                "container if it is dF/F, or pass --arbitrary-units if it is neither"
            )
        remarks.append(ARBITRARY_UNITS)
        dff = in_units_of_noise(values, timing.frame_rate)
        return Traces(dff=dff, source=f"{source}, in arbitrary units", arbitrary_units=True, **common)
    if recording.neuropil:
        source = f"{path}, neuropil {recording.neuropil}"
    if recording.dff:
        source += f"; not used: {recording.dff}"
    coefficient = notes.neuropil_coefficient if reading.neuropil_coefficient is None else reading.neuropil_coefficient
    return Traces(
        fluorescence=values,
        neuropil=load_series(opened, recording.neuropil, path)[0] if recording.neuropil else None,
        neuropil_coefficient=_NEUROPIL_COEFFICIENT if coefficient is None else coefficient,
        background=background,
        source=source,
        **common,
    )


def fingerprint_of(opened: OpenNwb, recording: Recording) -> dict[str, str]:
    """Hash of values and times of each series of a recording, by its path; float32 values, whatever their layout."""
    found = {}
    for path in recording.series:
        digest = hashlib.sha256(load_series(opened, path, recording.name)[0].tobytes())
        series = series_at(opened, path)
        times = [series.rate, series.starting_time] if series.timestamps is None else series.timestamps[:].tolist()
        digest.update(repr([None if time is None else float(time) for time in times]).encode())
        found[path] = digest.hexdigest()
    return found


def load_series(opened: OpenNwb, path: str, like: str | None = None) -> tuple[np.ndarray, bool]:
    """Values of a series in its unit.

    Parameters
    ----------
    opened : OpenNwb
        The file.
    path : str
        Path of the series.
    like : str, optional
        Path of a series with the same ROIs, for one that does not say which it has.

    Returns
    -------
    values : array, shape (n_rois, n_frames), float32
        Stored values times `conversion` plus `offset`.
    transposed : bool
        Whether they are stored as (roi, time).

    Raises
    ------
    InputError
        If the data is damaged, or it is not certain which of its axes is time.
    """
    series = series_at(opened, path)
    with_rois = series if hasattr(series, "rois") else series_at(opened, like or path)
    data = series.data
    _check_data(opened, path, data)
    transposed = _is_transposed(path, data.shape, len(roi_rows(with_rois)), len(with_rois.rois.table.id))
    conversion, offset = float(series.conversion or 1.0), float(series.offset or 0.0)
    if not np.isfinite([conversion, offset]).all():
        raise InputError(f"{path} has a conversion of {conversion} and an offset of {offset}: values have no unit")
    shape = data.shape if data.ndim == 2 else (data.shape[0], 1)
    values = np.empty(shape if transposed else shape[::-1], dtype=np.float32)
    try:
        for block in _blocks(data):
            part = np.asarray(data[block], dtype=np.float32)
            if (conversion, offset) != (1.0, 0.0):
                part = part * np.float32(conversion) + np.float32(offset)
            part = part.reshape(len(part), -1)
            columns = block[1] if len(block) == 2 else slice(0, 1)
            if transposed:
                values[block[0], columns] = part
            else:
                values[columns, block[0]] = part.T
    except Exception as error:  # a damaged block can fail in any way
        raise InputError(f"{path} in {opened.name} cannot be read: {one_line(error)}") from error
    return values, transposed


def _choose_series(opened: OpenNwb, recording: Recording, reading: Reading) -> str:
    if reading.dff == "container":
        if recording.dff is None and not recording.is_named:
            raise InputError(f"{opened.name} has no dF/F for {recording.name}: leave out --dff container")
        return recording.dff or recording.fluorescence
    if reading.dff == "compute" and recording.fluorescence is None:
        raise InputError(f"{opened.name} has only dF/F ({recording.dff}): leave out --dff compute")
    return recording.fluorescence or recording.dff


def _check_data(opened: OpenNwb, path: str, data: Any) -> None:
    shape = getattr(data, "shape", ())
    dtype = getattr(data, "dtype", np.dtype(object))
    if not np.prod(shape, dtype=object):
        raise InputError(f"{path} in {opened.name} holds no data; if it is linked from another file, is that there?")
    if dtype.kind not in "fiu" or len(shape) not in (1, 2):
        raise InputError(f"{path} in {opened.name} must hold numbers of (time, roi), but is {dtype} of shape {shape}")
    n_bytes = np.prod(shape, dtype=object) * dtype.itemsize
    if opened.size is not None and n_bytes > _HIGHEST_COMPRESSION * opened.size and data.file.filename == opened.name:
        raise InputError(f"{path} in {opened.name} is damaged: it claims to hold {n_bytes:.3g} bytes")


def _is_transposed(path: str, shape: tuple[int, ...], n_rois: int, n_table: int) -> bool:
    """Which axis is time; (time, roi) is the rule, and the ROI table tells."""
    if len(shape) == 1:
        if n_rois != 1:
            raise InputError(f"{path} has one dimension ({shape[0]} values) but {n_rois} ROIs: it cannot be read")
        return False
    if shape[1] == n_rois:
        return False
    if shape[0] == n_rois:
        return True
    raise InputError(
        f"{path} has the shape {shape}, but {n_rois} ROIs (of {n_table} in its table): it is not certain which value "
        "belongs to which ROI"
    )


def _blocks(data: Any) -> Iterator[tuple[slice, ...]]:
    """Slices that cover the data, in whole chunks, so that none is decompressed twice."""
    chunks = data.chunks or (1, *data.shape[1:])
    sizes = list(chunks)
    for axis in reversed(range(len(sizes))):  # rows of chunks first, as they lie in the file
        room = _BLOCK_BYTES // max(1, int(np.prod(sizes)) * data.dtype.itemsize)
        sizes[axis] = min(data.shape[axis], sizes[axis] * max(1, room))
    starts = [range(0, length, size) for length, size in zip(data.shape, sizes, strict=True)]
    for first in starts[0]:
        rows = slice(first, min(first + sizes[0], data.shape[0]))
        if len(starts) == 1:
            yield (rows,)
        else:
            yield from ((rows, slice(start, min(start + sizes[1], data.shape[1]))) for start in starts[1])


def _as_fraction(series: Any, path: str, values: np.ndarray, remarks: list[str]) -> None:
    if str(series.unit).strip().lower() in ("%", "percent", "percentage"):
        values /= 100.0
        remarks.append(f"{path} is in percent: it was divided by 100")


def _drop_padding(values: np.ndarray, path: str, remarks: list[str]) -> None:
    """suite2p fills up planes that have fewer frames than others with zeros."""
    n_frames = values.shape[1]
    filled = next((i for i in range(n_frames, 0, -1) if values[:, i - 1].any()), 0)
    if 0 < filled < n_frames:
        values[:, filled:] = np.nan
        remarks.append(f"the last {n_frames - filled} frames of {path} are zero in every ROI and were left out")


def _background(opened: OpenNwb, recording: Recording) -> np.ndarray | None:
    """Fluorescence of CaImAn's background components at the place of each ROI."""
    if recording.background is None:
        return None
    cells, others = (series_at(opened, path) for path in (recording.fluorescence, recording.background))
    products = mask_products(cells.rois.table, roi_rows(cells), roi_rows(others))
    return None if products is None else products @ load_series(opened, recording.background)[0]
