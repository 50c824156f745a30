"""Reading the traces of a recording: which of its series, in which unit, and what is known of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, TypedDict

import numpy as np

from cascade_adapters.containers.background import without_background
from cascade_adapters.containers.base import Reading, Traces
from cascade_adapters.containers.caiman.estimates import DEFAULT_RATE as CAIMANS_RATE
from cascade_adapters.containers.nwb.invalid_times import invalid_frames
from cascade_adapters.containers.nwb.loading import Times, hash_of, load_series
from cascade_adapters.containers.nwb.notes import Notes, read_notes
from cascade_adapters.containers.nwb.opening import OpenNwb
from cascade_adapters.containers.nwb.rois import cell_columns, mask_products
from cascade_adapters.containers.nwb.rows_first import Loaded
from cascade_adapters.containers.nwb.series import (
    Recording,
    imaging_plane_of,
    planes_scanned_with,
    roi_rows,
    series_at,
    table_of,
)
from cascade_adapters.containers.nwb.timing import find_timing
from cascade_adapters.containers.stored_dff import lacks_background
from cascade_adapters.results.rows import Rows, computed
from cascade_engine.errors import InputError
from cascade_engine.signal.frames import frame_mask
from cascade_engine.signal.noise import noise_levels
from cascade_engine.signal.units import why_not_dff, why_not_raw

#: Rates (Hz) that programs write which know none.
_DEFAULT_RATES = {10.0: "suite2p's default", 1.0: "what programs write that know no rate"}

#: Part of the neuropil's changes that is subtracted where nobody says otherwise.
_NEUROPIL_COEFFICIENT = 0.7

#: Noise level (percent per sqrt(Hz)) below which there is no recording, and ROIs in which it is looked for.
_LOWEST_NOISE_LEVEL, _SAMPLED_ROIS = 0.05, 50

#: How files call a unit of percent, without capitals, blanks and signs.
_PERCENT = {"%", "percent", "percentage", "pct", "percentdff", "dffpercent", "%dff", "dff%", "%dfof"}


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
        Float32; large ones wait on the disk.

    Raises
    ------
    InputError
        If something needed is missing, damaged, or not certain.
    """
    path = _choose_series(opened, recording, reading)
    series = series_at(opened, path)
    remarks = list(recording.remarks)
    reader = _Reader(opened, recording)
    notes = read_notes(series.comments, len(series.data), series.description)
    if notes.is_dff_used and reading.dff == "auto" and recording.dff is not None:
        path = recording.dff
        series = series_at(opened, path)
    loaded = reader.load(path)
    values, n_frames = loaded.values, loaded.values.shape[1]
    defaults = {**_DEFAULT_RATES, **CAIMANS_RATE} if recording.residuals else _DEFAULT_RATES
    timing = find_timing(series, path, n_frames, reading.frame_rate, defaults, planes_scanned_with(opened, series))
    if loaded.is_transposed:
        sure = "" if table_of(series) is not None else ", since it has more columns than rows"
        remarks.append(f"{path} holds (roi, time) instead of (time, roi): it was turned round{sure}")
    remarks += timing.remarks
    invalid = invalid_frames(opened, series, timing, n_frames, remarks)
    is_cell, cell_probability = cell_columns(table_of(series), roi_rows(series), remarks)
    indicator = getattr(imaging_plane_of(series), "indicator", None)
    excluded = {"marked in invalid_times": invalid}
    if notes.bad_frames is not None:
        excluded[f"marked in the comments of {path}"] = frame_mask(notes.bad_frames, n_frames)
    if timing.untimed is not None:
        excluded["without a time (timestamps are NaN)"] = timing.untimed
    common = _Common(
        frame_rate=timing.frame_rate,
        frame_rate_source=timing.source,
        segments=timing.segments or notes.segments,
        excluded=excluded,
        dropped=timing.dropped,
        is_cell=is_cell,
        cell_probability=cell_probability,
        indicator=indicator if isinstance(indicator, str) else None,
        remarks=remarks,
        hashes=reader.hashes,
        arbitrary_units=notes.arbitrary_units,
        denoised=notes.denoised or (recording.is_denoised and not recording.residuals),
    )
    if path == recording.dff or reading.dff == "container":
        traces = Traces(dff=_as_fraction(series, path, values, timing.frame_rate, remarks), source=path, **common)
    else:
        traces = _raw_traces(opened, recording, reading, reader, loaded, path, notes, common)
    for other in recording.series:
        reader.skip(other)
    return traces


class _Common(TypedDict):
    """What is known of traces whatever they are."""

    frame_rate: float
    frame_rate_source: str
    segments: list[int] | None
    excluded: dict[str, np.ndarray]
    dropped: dict[int, int]
    is_cell: np.ndarray | None
    cell_probability: np.ndarray | None
    indicator: str | None
    remarks: list[str]
    hashes: Callable[[], dict[str, str]]
    arbitrary_units: bool
    denoised: bool


def _raw_traces(
    opened: OpenNwb,
    recording: Recording,
    reading: Reading,
    reader: _Reader,
    loaded: Loaded,
    path: str,
    notes: Notes,
    common: _Common,
) -> Traces:
    """Traces of which dF/F is to be computed, or that are none in any unit."""
    source, background, remarks = path, None, common["remarks"]
    is_arbitrary = reading.arbitrary_units or common["arbitrary_units"]
    if recording.residuals:
        residuals = reader.load(recording.residuals).values
        values = computed(loaded.values, lambda rows, block: block + np.asarray(residuals[rows]))
        source = f"{path} plus {recording.residuals}"
        background = _background(opened, recording, reader, values)
        problem = "" if background is not None else "it is CaImAn's fit without the background that dF/F divides by"
    else:
        values = _without_padding(loaded, path, remarks)
        problem = why_not_raw(values)
        if recording.dff and reading.dff == "auto" and not is_arbitrary:
            doubts: list[str] = []
            stored = reader.load(recording.dff).values
            of_dff = series_at(opened, recording.dff)
            dff = _as_fraction(of_dff, recording.dff, stored, common["frame_rate"], doubts)
            lacks = lacks_background(values, dff)
            if lacks and not problem:
                problem = "its dF/F is divided by much more than its baseline: a background was taken out of it"
            if problem and lacks is not None and not why_not_dff(dff, common["frame_rate"]):
                remarks += doubts
                return Traces(dff=dff, source=f"{recording.dff}; not used: {path} ({problem})", **common)
            if problem:
                problem += f", and {recording.dff} is not its dF/F"
    if problem and not is_arbitrary:
        advice = "name it by --series with --dff container if it is dF/F, or pass --arbitrary-units if it is neither"
        if recording.dff:
            advice = f"pass --dff container to use {recording.dff} all the same, or --arbitrary-units"
        raise InputError(f"{path} in {opened.name} cannot be turned into dF/F: {problem}; {advice}")
    if recording.neuropil:
        source = f"{path}, neuropil {recording.neuropil}"
    if recording.dff:
        source += f"; not used: {recording.dff}"
    coefficient = notes.neuropil_coefficient if reading.neuropil_coefficient is None else reading.neuropil_coefficient
    traces = Traces(
        fluorescence=values,
        neuropil=reader.load(recording.neuropil).values if recording.neuropil else None,
        neuropil_coefficient=_NEUROPIL_COEFFICIENT if coefficient is None else coefficient,
        background=background,
        source=source,
        **common,
    )
    is_background = notes.neuropil_is_background and recording.neuropil and reading.neuropil_coefficient is None
    return without_background(traces) if is_background else traces


def fingerprint_of(opened: OpenNwb, recording: Recording) -> dict[str, str]:
    """Hash of values and times of each series of a recording, by its path; float32 values, whatever their layout."""
    reader = _Reader(opened, recording)
    for path in recording.series:
        reader.skip(path)
    return reader.hashes()


class _Reader:
    """The series of a recording, each of which is read once, and hashed."""

    def __init__(self, opened: OpenNwb, recording: Recording):
        self._opened, self._recording = opened, recording
        self._hashes: dict[str, Callable[[], str]] = {}

    def load(self, path: str) -> Loaded:
        """Read a series."""
        loaded, series = load_series(self._opened, path, self._recording.name), series_at(self._opened, path)
        times = Times.of(series)
        if isinstance(loaded.values, np.ndarray):  # before anything is done with them
            digest = hash_of(loaded.values, times)
            self._hashes[path] = lambda: digest
        else:
            self._hashes[path] = cache(lambda: hash_of(loaded.values, times))
        return loaded

    def skip(self, path: str) -> None:
        """Read a series that only counts for the hashes, unless it has been read."""
        if path not in self._hashes:
            memory_left = self._opened.memory_left
            self.load(path)
            digest = self._hashes[path]()
            self._hashes[path] = lambda: digest
            self._opened.memory_left = memory_left

    def hashes(self) -> dict[str, str]:
        """The hashes of all series, by their paths."""
        return {path: self._hashes[path]() for path in self._recording.series}


def _choose_series(opened: OpenNwb, recording: Recording, reading: Reading) -> str:
    if reading.dff == "container":
        if recording.dff is None and not recording.is_named:
            raise InputError(f"{opened.name} has no dF/F for {recording.name}: leave out --dff container")
        return recording.dff or recording.name
    if reading.dff == "compute" and recording.fluorescence is None:
        raise InputError(f"{opened.name} has only dF/F ({recording.dff}): leave out --dff compute")
    return recording.name


def _as_fraction(series: Any, path: str, values: Rows, frame_rate: float, remarks: list[str]) -> Rows:
    """dF/F as a fraction, from values that were multiplied by the series' conversion.

    By NWB's rules they have the series' unit then. A conversion of 0.01 is nevertheless often meant to turn percent
    into fractions, and the unit is that of the stored values: so it is where the values cannot be in percent. Neither
    can values whose noise would be next to nothing.
    """
    if re.sub(r"[^a-z%]", "", str(series.unit).lower()) not in _PERCENT:
        return values
    rows = np.unique(np.linspace(0, values.shape[0] - 1, _SAMPLED_ROIS).astype(int))
    levels = noise_levels(np.stack([np.asarray(values[int(row)]) for row in rows]) / 100, frame_rate)
    levels = levels[np.isfinite(levels) & (levels > 0)]
    if levels.size and np.median(levels) < _LOWEST_NOISE_LEVEL:
        remarks.append(
            f"the unit of {path} is percent, but divided by 100 its noise level would be {np.median(levels):.2g} % per "
            "sqrt(Hz): it was taken for a fraction"
        )
        return values
    if np.isclose(series.conversion or 1.0, 0.01) and not why_not_dff(values, frame_rate):
        remarks.append(f"{path} is stored in percent, and its conversion of 0.01 makes fractions of it")
        return values
    remarks.append(f"{path} is in percent: it was divided by 100")
    return computed(values, lambda _, block: block / np.float32(100.0))


def _without_padding(loaded: Loaded, path: str, remarks: list[str]) -> Rows:
    """suite2p fills up planes that have fewer frames than others with zeros."""
    n_frames, n_filled = loaded.values.shape[1], loaded.n_filled
    if not 0 < n_filled < n_frames:
        return loaded.values
    remarks.append(f"the last {n_frames - n_filled} frames of {path} are zero in every ROI and were left out")

    def without(_: Any, block: np.ndarray) -> np.ndarray:
        block[:, n_filled:] = np.nan
        return block

    return computed(loaded.values, without)


def _background(opened: OpenNwb, recording: Recording, reader: _Reader, like: Rows) -> Rows | None:
    """Fluorescence of CaImAn's background components at the place of each ROI."""
    if recording.background is None:
        return None
    cells, others = (series_at(opened, path) for path in (recording.name, recording.background))
    products = mask_products(cells.rois.table, roi_rows(cells), roi_rows(others))
    if products is None:
        return None
    components = np.asarray(reader.load(recording.background).values)
    return computed(like, lambda rows, _: products[rows] @ components)
