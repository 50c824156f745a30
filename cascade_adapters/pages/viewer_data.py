"""What the viewer of a page shows: JSON, and traces as blocks of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cascade_adapters.pages.examples import Example
from cascade_adapters.pages.packing import as_base64
from cascade_adapters.pages.summary import Summary, busiest, detail, most_details, pack_detail
from cascade_adapters.results import Results

#: Length in s of what is shown at first of the best, the median and the worst cell; longer at low frame rates.
_EXCERPT_S, _LONG_EXCERPT_S, _LOW_RATE_HZ = 60.0, 180.0, 10.0


def recording_data(
    results: Results,
    summary: Summary,
    noise_levels: np.ndarray,
    is_cell: np.ndarray | None,
    wanted: Sequence[int],
    left_out: list[tuple[float, float]],
) -> tuple[dict[str, Any], dict[str, str]]:
    """Data of the viewer of a recording.

    Parameters
    ----------
    results : Results
        Of the recording.
    summary : Summary
        Of these results.
    noise_levels : array, shape (n_rois,)
        In percent per sqrt(Hz).
    is_cell : array of bool, shape (n_rois,), or None
        ROIs that the container takes for cells.
    wanted : sequence of int
        ROIs of which all frames are to be shown.
    left_out : list of tuple of float
        Begin and end in s of spans without frames.

    Returns
    -------
    data : dict
        Plain values.
    blocks : dict of str to str
        Traces, by the name of the block.
    """
    record, n_rois = results.record, results.shape[0]
    grid, rate = record.recording.grid, record.recording.frame_rate_hz
    picks = _picks(noise_levels, summary.mean_prob, is_cell)
    bytes_of_bins = sum(map(len, summary.packed))
    order = [*dict.fromkeys([*(pick["cell"] for pick in picks), *wanted])]
    order += _spread_out([roi for roi in range(n_rois) if roi not in set(order)], noise_levels)
    n_details = max(len(picks) + len(wanted), most_details(n_rois, grid.n_frames, bytes_of_bins))
    details, parts, at = {}, [], 0
    excerpt_s = _EXCERPT_S if rate >= _LOW_RATE_HZ else _LONG_EXCERPT_S
    for roi in order[:n_details]:
        found = detail(results, roi)
        (dff, dff_range), (prob, prob_range) = pack_detail(found.dff), pack_detail(found.spike_prob, from_zero=True)
        details[roi] = {"at": at, "n": len(found.dff), "start": found.start, "dff": dff_range, "prob": prob_range}
        parts += [dff, prob]
        at += len(dff) + len(prob)
        for pick in picks:
            if pick["cell"] == roi:
                begin = (found.start + busiest(found.spike_prob, round(excerpt_s * rate))) / rate
                pick["from_s"], pick["to_s"] = begin, min(begin + excerpt_s, grid.n_frames / rate)
    ranges = [[float(f"{value:.7g}") for value in row] for row in summary.ranges.tolist()]
    data = {
        "kind": "recording",
        "rate_hz": rate,
        "n_frames": grid.n_frames,
        "frames_per_bin": summary.frames_per_bin,
        "n_bins": len(summary.population),
        "unit": "arbitrary units" if record.traces.arbitrary_units else "dF/F",
        "cells": [f"ROI {roi}" for roi in range(n_rois)],
        "noise": _numbers(noise_levels, 2),
        "mean_hz": _numbers(summary.mean_prob * rate, 4),
        "reasons": {str(roi): reason for roi, reason in record.rois.without_prediction.items()},
        "guarded": {str(roi): frames for roi, frames in record.rois.guarded_frames.items()},
        "not_cells": [] if is_cell is None else np.flatnonzero(~np.asarray(is_cell, dtype=bool)).tolist(),
        "ranges": ranges,
        "details": details,
        "picks": picks,
        "population_hz": _numbers(summary.population * rate, 4),
        "left_out": left_out,
        "borders_s": (np.cumsum(grid.segments or [grid.n_frames])[:-1] / rate).round(3).tolist(),
        "spikes": _spike_times(results, details),
        "n_spikes": _spike_numbers(results),
    }
    return data, {"bins": as_base64(summary.packed), "details": as_base64(parts)}


def example_data(examples: Sequence[Example]) -> tuple[dict[str, Any], str]:
    """The simulated neurons beside a recording, in the form of the viewer's data."""
    details, parts, at = {}, [], 0
    for number, example in enumerate(examples):
        (dff, dff_range), (prob, prob_range) = pack_detail(example.dff), pack_detail(example.spike_prob, True)
        details[number] = {"at": at, "n": len(example.dff), "start": 0, "dff": dff_range, "prob": prob_range}
        parts += [dff, prob]
        at += len(dff) + len(prob)
    first = examples[0]
    return {
        "kind": "example",
        "rate_hz": first.frame_rate,
        "n_frames": len(first.dff),
        "unit": "dF/F",
        "cells": [f"simulated neuron {number + 1}" for number in range(len(examples))],
        "details": details,
        "true_spikes": {str(n): example.spike_times_s.round(3).tolist() for n, example in enumerate(examples)},
    }, as_base64(parts)


def _picks(noise_levels: np.ndarray, mean_prob: np.ndarray, is_cell: np.ndarray | None) -> list[dict[str, Any]]:
    """The best, the median and the worst cell by their noise; without noise levels, by their activity."""
    usable = np.isfinite(mean_prob)
    if is_cell is not None and (usable & is_cell).any():
        usable &= np.asarray(is_cell, dtype=bool)
    by_noise = bool(np.isfinite(noise_levels[usable]).any())
    values = noise_levels if by_noise else -mean_prob
    order = [int(roi) for roi in np.argsort(values) if usable[roi] and np.isfinite(values[roi])]
    if not order:
        return []
    titles = ("Best cell", "Median cell", "Worst cell") if by_noise else ("Most active", "Median", "Least active")
    found: dict[int, dict[str, Any]] = {}
    for roi, title in zip((order[0], order[len(order) // 2], order[-1]), titles, strict=True):
        found.setdefault(roi, {"cell": roi, "title": title})
    return list(found.values())


def _spread_out(rois: list[int], noise_levels: np.ndarray) -> list[int]:
    """ROIs in an order of which every beginning spans the noise levels: ends first, then middles."""
    known = sorted((roi for roi in rois if np.isfinite(noise_levels[roi])), key=lambda roi: noise_levels[roi])
    n = len(known)
    bits = max(1, (max(n, 1) - 1).bit_length())
    places = sorted(range(n), key=lambda place: int(f"{place:0{bits}b}"[::-1], 2))
    return [*(known[place] for place in places), *(roi for roi in rois if not np.isfinite(noise_levels[roi]))]


def _spike_times(results: Results, rois: dict[int, Any]) -> dict[str, list[float]]:
    """Times (s) of discrete spikes on the axis of the viewer, for ROIs that are shown in full."""
    if results.spikes is None:
        return {}
    recording = results.record.recording
    times = recording.grid.positions[results.spikes.frame] / recording.frame_rate_hz
    return {str(roi): times[results.spikes.roi == roi].round(3).tolist() for roi in rois}


def _spike_numbers(results: Results) -> list[int]:
    if results.spikes is None:
        return []
    return np.bincount(results.spikes.roi, minlength=results.shape[0]).tolist()


def _numbers(values: np.ndarray, digits: int) -> list[float | None]:
    """Values for JSON, which knows no NaN."""
    return [round(value, digits) if np.isfinite(value) else None for value in np.asarray(values, dtype=float).tolist()]
