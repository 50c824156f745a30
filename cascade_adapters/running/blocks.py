"""dF/F of a recording, some ROIs at a time: computed, the container's own after a check, or what stands for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cascade_adapters.containers.base import Traces
from cascade_adapters.results.record import NOT_A_CELL
from cascade_adapters.results.rows import row_blocks
from cascade_engine.errors import InputError
from cascade_engine.signal.dff import Baseline, delta_f_over_f, less_baseline
from cascade_engine.signal.grid import FrameGrid
from cascade_engine.signal.noise import noise_levels
from cascade_engine.signal.rest import Rests, find_rests
from cascade_engine.signal.units import scale_arbitrary, unit_problem


class RawFinder(Protocol):
    """Looks for something in raw fluorescence, such as `cascade_engine.signal.steps.StepFinder`."""

    def add(self, fluorescence: np.ndarray) -> None:
        """Add ROIs, shape (n_rois, n_frames)."""


@dataclass
class DffBlock:
    """dF/F of some ROIs, ready for inference.

    Attributes
    ----------
    rows : slice
        Which ROIs of the recording.
    dff : array, shape (n_rois, n_frames), float32
        dF/F as a fraction, or scaled traces in arbitrary units; NaN for ROIs that were not chosen.
    guarded_frames : array, shape (n_rois,), int
        Frames in which F0 lay below the noise.
    noise_factor : array, shape (n_rois,), float64
        What to multiply noise levels with to compare them (`cascade_engine.signal.dff.DeltaF`).
    notes : list of str
        Per ROI: why it has no dF/F, or an empty string.
    by_peak : array of bool, shape (n_rois,)
        ROIs in arbitrary units that have no noise, and were scaled by their peak.
    """

    rows: slice
    dff: np.ndarray
    guarded_frames: np.ndarray
    noise_factor: np.ndarray
    notes: list[str]
    by_peak: np.ndarray


def dff_blocks(
    traces: Traces,
    baseline: Baseline | None = None,
    chosen: np.ndarray | None = None,
    finder: RawFinder | None = None,
    offsets: np.ndarray | None = None,
) -> Iterator[DffBlock]:
    """dF/F of all ROIs, block by block, in order.

    Every row of the traces is read once, those of ROIs that were not chosen too: the hashes of what was read
    (`Traces.hashes`) are then known.

    Parameters
    ----------
    traces : Traces
        Traces as read; frames that are left out count as missing.
    baseline : Baseline, optional
        How to find F0.
    chosen : array of bool, shape (n_rois,), optional
        ROIs to use; default: all.
    finder : RawFinder, optional
        Is given all raw fluorescence, on the grid of `Traces`.
    offsets : array, shape (n_rois,), optional
        What to subtract from the container's dF/F, as of `check_units`.

    Yields
    ------
    DffBlock
        The next ROIs.
    """
    n_rois, n_frames = traces.shape
    grid = traces.grid
    chosen = np.ones(n_rois, dtype=bool) if chosen is None else chosen
    for rows in row_blocks(n_rois, grid.n_frames):
        wanted = chosen[rows]
        block = DffBlock(
            rows=rows,
            dff=np.full((len(wanted), n_frames), np.nan, dtype=np.float32),
            guarded_frames=np.zeros(len(wanted), dtype=int),
            noise_factor=np.ones(len(wanted)),
            notes=["" if is_wanted else NOT_A_CELL for is_wanted in wanted],
            by_peak=np.zeros(len(wanted), dtype=bool),
        )
        if traces.dff is not None and not traces.arbitrary_units:
            with np.errstate(over="ignore", invalid="ignore"):  # what is too large is infinite, and reported as such
                block.dff[wanted] = np.asarray(traces.dff[rows])[wanted]
            block.dff[:, traces.excluded_frames] = np.nan
            if offsets is not None:
                block.dff -= offsets[rows, np.newaxis].astype(np.float32)
        else:
            _compute(block, traces, grid, baseline, wanted, finder)
        yield block


def _compute(
    block: DffBlock,
    traces: Traces,
    grid: FrameGrid,
    baseline: Baseline | None,
    wanted: np.ndarray,
    finder: RawFinder | None,
) -> None:
    stored = traces.dff if traces.fluorescence is None else traces.fluorescence
    fluorescence, neuropil, background = (
        None
        if values is None
        else grid.expand(_without(np.asarray(values[block.rows])[wanted], traces.excluded_frames))
        for values in (stored, traces.neuropil, traces.background)
    )
    assert fluorescence is not None
    if traces.arbitrary_units:
        detrended, notes = less_baseline(
            fluorescence, traces.frame_rate, neuropil, traces.neuropil_coefficient, baseline, grid.segments
        )
        scaled = scale_arbitrary(detrended, traces.frame_rate, grid.segments)
        block.dff[wanted], block.by_peak[wanted] = grid.collect(scaled.values), scaled.by_peak
        for roi, *reasons in zip(np.flatnonzero(wanted), notes, scaled.notes, strict=True):
            block.notes[roi] = next(filter(None, reasons), "")
        return
    fluorescence, neuropil, background = _without_offset(traces, block.rows, wanted, fluorescence, neuropil, background)
    if finder is not None:
        finder.add(fluorescence if background is None else fluorescence + background)
    part = delta_f_over_f(
        fluorescence,
        traces.frame_rate,
        neuropil,
        traces.neuropil_coefficient,
        baseline,
        grid.segments,
        background,
    )
    block.dff[wanted], block.guarded_frames[wanted] = grid.collect(part.dff), part.guarded_frames
    block.noise_factor[wanted] = part.noise_factor
    for roi, note in zip(np.flatnonzero(wanted), part.notes, strict=True):
        block.notes[roi] = note


def _without_offset(
    traces: Traces,
    rows: slice,
    wanted: np.ndarray,
    fluorescence: np.ndarray,
    neuropil: np.ndarray | None,
    background: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Raw traces less the detector's offset; a background holds it where there is one. A silent ROI stays silent."""
    if not traces.offset:
        return fluorescence, neuropil, background
    if background is not None:
        assert traces.per_count is not None
        offsets = np.float32(traces.offset) * traces.per_count[rows][wanted]
        return fluorescence, neuropil, background - offsets[:, np.newaxis]
    is_silent = ~np.nan_to_num(fluorescence).any(axis=1, keepdims=True)
    less = np.where(is_silent, np.float32(0.0), np.float32(traces.offset))
    return fluorescence - less, None if neuropil is None else neuropil - np.float32(traces.offset), None


def _without(values: np.ndarray, excluded: np.ndarray) -> np.ndarray:
    """Values in which frames that are left out are missing."""
    return np.where(excluded, np.float32(np.nan), values) if excluded.any() else values


def check_units(traces: Traces, chosen: np.ndarray | None = None, rest: str = "auto") -> tuple[np.ndarray, list[str]]:
    """Refuse dF/F of a container that is none, or is in percent, and find what it has to be corrected by.

    Computed dF/F needs no check, nor do traces in arbitrary units.

    Parameters
    ----------
    traces : Traces
        As read.
    chosen : array of bool, shape (n_rois,), optional
        ROIs to look at; default: all.
    rest : {"auto", "subtract", "keep"}
        What to do where dF/F does not rest at 0 (`Reading`).

    Returns
    -------
    offsets : array, shape (n_rois,), float64
        What to subtract from dF/F of each ROI.
    remarks : list of str
        What was found.

    Raises
    ------
    InputError
        Saying what was found and what to do.
    """
    offsets = np.zeros(traces.shape[0])
    if traces.dff is None or traces.arbitrary_units:
        return offsets, []
    grid, levels, medians, peaks, rests = traces.grid, [], [], [], []
    for block in dff_blocks(traces, chosen=chosen):
        on_grid = grid.expand(block.dff)
        rests.append(find_rests(on_grid, traces.frame_rate, grid.segments))
        known = np.isfinite(block.dff).any(axis=1)
        if not known.any():
            continue
        with np.errstate(invalid="ignore"):  # infinite values
            levels.append(noise_levels(on_grid[known], traces.frame_rate, grid.segments))
        medians.append(np.nanmedian(block.dff[known], axis=1))
        peaks.append(np.max(np.abs(block.dff[known]), axis=1, initial=0.0, where=np.isfinite(block.dff[known])))
    if not medians:
        return offsets, []
    noise = np.concatenate(levels)
    level = float(np.nanmedian(noise)) if np.isfinite(noise).any() else 0.0
    middle, peak = (float(np.median(np.concatenate(values))) for values in (medians, peaks))
    problem = unit_problem(middle, level, peak)
    if problem:
        raise InputError(f"{traces.source}: {problem}")
    return _offsets(Rests.together(rests), traces, rest)


def _offsets(rests: Rests, traces: Traces, rest: str) -> tuple[np.ndarray, list[str]]:
    """What to subtract from each ROI, and a line that says so."""
    if rests.problem and rest == "auto":
        raise InputError(f"{traces.source}: {rests.problem}, or pass --rest subtract (or keep, if it is right)")
    found = rests.describe("ROIs")
    if rest == "keep":
        return np.zeros(len(rests.levels)), [f"{found}: this was kept (--rest keep)"] if found else []
    return rests.offsets, [f"{found}: this was subtracted (--rest keep leaves it)"] if found else []
