"""The page that shows ground truth: datasets with statistics, and each cell with its true spikes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cascade_adapters.pages.charts import average_chart
from cascade_adapters.pages.citing import METHOD
from cascade_adapters.pages.packing import as_base64, pack, range_of
from cascade_adapters.pages.rendering import render
from cascade_engine.errors import InputError
from cascade_engine.ground_truth import CatalogueEntry, Dataset, Neuron, Recording, load_catalogue
from cascade_engine.signal.noise import noise_levels

#: What is averaged around a spike, in s, and at how many points.
_BEFORE_S, _AFTER_S, _N_POINTS = 0.5, 2.5, 121

#: Spikes of a neuron that are averaged at most.
_MOST_SPIKES = 2000

#: Most frames of all neurons together on a page.
_MOST_FRAMES = 1_300_000

#: Fewest frames of a neuron that are shown, however many neurons there are.
_LEAST_FRAMES = 300


@dataclass(frozen=True)
class _Cell:
    """One neuron: what is known of it, and the recording that is shown, the longest."""

    name: str
    dataset: str
    noise_level: float
    n_spikes: int
    duration_s: float
    n_recordings: int
    shown: Recording


@dataclass(frozen=True)
class _Summary:
    """One dataset, as the table shows it."""

    title: str
    about: str
    n_neurons: int
    minutes: float
    n_spikes: int
    spike_rate_hz: float
    frame_rate: str
    noise_level: float
    average_svg: str


def ground_truth_page(datasets: Iterable[Dataset], place: str, is_simulated: bool) -> str:
    """The page as HTML.

    Parameters
    ----------
    datasets : iterable of Dataset
        Each is looked at once; of its neurons without recordings nothing is shown.
    place : str
        Where they lie.
    is_simulated : bool
        Whether they are simulated, which the page then says.

    Raises
    ------
    InputError
        If they hold no recording that can be used.
    """
    catalogue = {entry.folder: entry for entry in load_catalogue().values()}
    summaries, cells, cited = [], [], [] if is_simulated else [METHOD]
    for dataset in datasets:
        neurons = [neuron for neuron in dataset.neurons if neuron.recordings]
        if not neurons:
            continue
        entry = catalogue.get(dataset.name)
        found = [_cell(neuron, _title(dataset.name, entry)) for neuron in neurons]
        summaries.append(_summary(dataset.name, entry, neurons, found))
        cells += found
        if entry and entry.citation:
            cited.append(f"{entry.key}: {entry.citation['text']}, doi:{entry.citation['doi']}")
    if not cells:
        raise InputError(f"{place} holds no recording that can be shown: 'cascade ground-truth check' says why")
    data, blocks = _data(cells)
    total_min = sum(each.minutes for each in summaries)
    content = {
        "title": "Ground truth",
        "heading": f"{len(cells)} neurons of {len(summaries)} datasets, {total_min:.0f} minutes"
        if len(summaries) > 1
        else f"{summaries[0].title}: {len(cells)} neurons, {total_min:.0f} minutes",
        "place": place,
        "is_simulated": is_simulated,
        "datasets": summaries,
        "citations": list(dict.fromkeys(cited)) or ["Simulated neurons are not to be cited as ground truth."],
        "data": data,
        "blocks": blocks,
    }
    return render("ground_truth.html", content)


def spike_triggered_average(recordings: Sequence[Recording]) -> tuple[np.ndarray, np.ndarray]:
    """Mean dF/F around the spikes of a neuron; what it is just before the spike is taken for 0.

    Parameters
    ----------
    recordings : sequence of Recording
        Of one neuron.

    Returns
    -------
    time_s : array, shape (n_points,)
        From the spike.
    dff : array, shape (n_points,)
        As a fraction; NaN if no spike has enough frames around it.
    """
    time_s = np.linspace(-_BEFORE_S, _AFTER_S, _N_POINTS)
    total, n = np.zeros(_N_POINTS), 0
    for recording in recordings:
        first, last = recording.time_s[0], recording.time_s[-1]
        spikes = recording.spike_times_s
        spikes = spikes[(spikes >= first + _BEFORE_S) & (spikes <= last - _AFTER_S)]
        spikes = spikes[:: max(1, len(spikes) // _MOST_SPIKES)]
        if len(spikes):
            around = np.interp(spikes[:, np.newaxis] + time_s, recording.time_s, recording.dff)
            total += around.sum(axis=0)
            n += len(spikes)
    if not n:
        return time_s, np.full(_N_POINTS, np.nan)
    mean = total / n
    return time_s, mean - mean[(time_s >= -0.2) & (time_s <= -0.05)].mean()


def _cell(neuron: Neuron, title: str) -> _Cell:
    levels = [noise_levels(each.dff[np.newaxis], each.frame_rate)[0] for each in neuron.recordings]
    return _Cell(
        neuron.cell,
        title,
        float(np.median(levels)),
        neuron.n_spikes,
        neuron.duration_s,
        len(neuron.recordings),
        max(neuron.recordings, key=lambda recording: recording.duration_s),
    )


def _title(name: str, entry: CatalogueEntry | None) -> str:
    return f"{entry.key} {entry.indicator}" if entry else name


def _summary(name: str, entry: CatalogueEntry | None, neurons: Sequence[Neuron], cells: Sequence[_Cell]) -> _Summary:
    rates = sorted(recording.frame_rate for neuron in neurons for recording in neuron.recordings)
    low, high = f"{rates[0]:.3g}", f"{rates[-1]:.3g}"
    averages = [spike_triggered_average(neuron.recordings) for neuron in neurons]
    known = [dff for _, dff in averages if np.isfinite(dff).all()]
    seconds = sum(cell.duration_s for cell in cells)
    n_spikes = sum(cell.n_spikes for cell in cells)
    return _Summary(
        title=_title(name, entry),
        about=f"{entry.species} {entry.area}, {entry.cell_type} ({name})" if entry else "",
        n_neurons=len(neurons),
        minutes=seconds / 60,
        n_spikes=n_spikes,
        spike_rate_hz=n_spikes / seconds,
        frame_rate=low if low == high else f"{low} to {high}",
        noise_level=float(np.median([cell.noise_level for cell in cells])),
        average_svg=average_chart(averages[0][0], np.mean(known, axis=0)) if known else "",
    )


def _data(cells: Sequence[_Cell]) -> tuple[dict[str, Any], dict[str, str]]:
    """Data of the viewer; of long recordings the beginning, so that all fit into one page."""
    lengths = np.array([len(cell.shown.dff) for cell in cells])
    most = _most_frames(lengths, _MOST_FRAMES)
    details, parts, at, spikes, notes = {}, [], 0, {}, {}
    for number, cell in enumerate(cells):
        shown, rate = cell.shown, cell.shown.frame_rate
        n = min(len(shown.dff), most)
        low, high = range_of(shown.dff[:n])
        packed = pack(shown.dff[:n], low, high)
        details[number] = {"at": at, "n": n, "start": 0, "dff": [packed.low, packed.high]}
        parts.append(packed.numbers.tobytes())
        at += 2 * n
        times = shown.spike_times_s - shown.time_s[0]
        spikes[str(number)] = times[times < n / rate].round(3).tolist()
        about = f"{cell.n_spikes} spikes in {cell.duration_s / 60:.1f} min"
        if cell.n_recordings > 1:
            about += f", longest of {cell.n_recordings} recordings"
        notes[str(number)] = about
    data = {
        "kind": "ground truth",
        "rates_hz": [round(cell.shown.frame_rate, 6) for cell in cells],
        "n_frames_of": lengths.tolist(),
        "unit": "dF/F",
        "cells": [cell.name for cell in cells],
        "groups": [cell.dataset for cell in cells],
        "noise": [round(cell.noise_level, 2) for cell in cells],
        "notes": notes,
        "details": details,
        "true_spikes": spikes,
    }
    return data, {"details": as_base64(parts)}


def _most_frames(lengths: np.ndarray, total: int) -> int:
    """Most frames of a neuron, so that those of all together are no more than `total`."""
    shortest, left = np.sort(lengths), total
    for place, length in enumerate(shortest):
        share = left // (len(shortest) - place)
        if length > share:
            return max(int(share), _LEAST_FRAMES)
        left -= int(length)
    return int(shortest[-1])
