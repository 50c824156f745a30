"""What is said of a model, and of a dataset: the same facts as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cascade_engine.ground_truth import Neuron
    from cascade_engine.ground_truth.catalogue import CatalogueEntry
    from cascade_engine.networks.store import Model

#: Figures of an evaluation that are told of a model.
_FIGURES = ("frame_rate_hz", "smoothing_s", "kernel", "noise_level", "neurons", "correlation", "error", "bias")

#: Whom to cite in any case.
_METHOD = "Rupprecht et al. 2021, doi:10.1038/s41593-021-00895-5, and cascade-spikes (CITATION.cff)"

_LICENCE = "BSD-3-Clause, as cascade-spikes"


@dataclass(kw_only=True)
class ModelSummary:
    """What a user must know of a model.

    Attributes
    ----------
    status : str
        "found"; or "failed" with a message, for a model that cannot be read.
    message : str
        Why it cannot be read.
    name : str
        Its name.
    asked_for : str or None
        The published name for which it answers.
    folder : str or None
        Where it lies.
    family, origin : str or None
        The family of networks, and where the weights come from: trained or imported.
    conditions : str or None
        Frame rates, smoothing and noise levels that it is for, in words.
    preset : dict or None
        Settings that the published name stands for: smoothing (s), kernel, population, indicator, frame_rate (Hz).
    highest_noise_level : float or None
        In percent per sqrt(Hz).
    indicators : list of str
        Calcium indicators that it can be told.
    trained_on : list of str
        Names of the datasets.
    n_neurons : int or None
        Neurons of the training.
    expected : list of dict
        What it reached on datasets that were left out of its training: frame_rate_hz, smoothing_s, kernel,
        noise_level, neurons, correlation, error, bias.
    not_for : list of str
        When not to use it.
    licence, citation : str or None
        Licence of the weights, and whom to cite.
    """

    status: str = "found"
    message: str = ""
    name: str
    asked_for: str | None = None
    folder: str | None = None
    family: str | None = None
    origin: str | None = None
    conditions: str | None = None
    preset: dict[str, Any] | None = None
    highest_noise_level: float | None = None
    indicators: list[str] = field(default_factory=list)
    trained_on: list[str] = field(default_factory=list)
    n_neurons: int | None = None
    expected: list[dict[str, Any]] = field(default_factory=list)
    not_for: list[str] = field(default_factory=list)
    licence: str | None = None
    citation: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not known is None."""
        return {name: None if value == "" else value for name, value in asdict(self).items()}


def summarize_model(model: Model) -> ModelSummary:
    """What a user must know of a model."""
    from cascade_engine.networks.families import family_named
    from cascade_engine.networks.store import packaged_models

    family, card = family_named(model.family), model.card
    preset = {key: value for key, value in (model.preset or {}).items() if key != "asked_for"}
    counts = [entry.get("neurons") for entry in card.get("training", {}).get("ground_truth", [])]
    is_packaged = packaged_models().get(model.name) == model.folder
    measured = [entry for entry in card.get("evaluation", []) if "frame_rate_hz" in entry]
    names = list(model.config.training_datasets)
    return ModelSummary(
        name=model.name,
        asked_for=(model.preset or {}).get("asked_for"),
        folder=str(model.folder),
        family=model.family,
        origin=card.get("origin"),
        conditions=family.describe(model),
        preset=preset or None,
        highest_noise_level=float(max(model.noise_levels)),
        indicators=family.indicators(model),
        trained_on=names,
        n_neurons=sum(counts) if counts and None not in counts else None,
        expected=[{key: entry.get(key) for key in _FIGURES} for entry in measured],
        not_for=family.not_for(model),
        licence=card.get("licence") or (_LICENCE if is_packaged else None),
        citation=f"{_METHOD}; the ground truth, by 'cascade ground-truth show {_first_key(names)}'",
    )


def describe_model(summary: ModelSummary) -> list[str]:
    """About 15 lines on a model."""
    first = f"{summary.name}, {summary.family} family, {summary.origin or 'of unknown origin'}"
    if summary.asked_for is not None:
        settings = ", ".join(f"{key} {value}" for key, value in (summary.preset or {}).items())
        first = f"{summary.asked_for} is not here: {summary.name} answers for it, set to {settings}"
    neurons = "" if summary.n_neurons is None else f"{summary.n_neurons} neurons of "
    lines = [
        first,
        f"  folder      {summary.folder}",
        f"  works at    {summary.conditions}",
        f"  trained on  {neurons}{len(summary.trained_on)} datasets: {_short(summary.trained_on)}",
    ]
    lines += [f"  indicators  {', '.join(summary.indicators)}"] if summary.indicators else []
    lines += _expected_lines(summary.expected)
    lines += [f"  {'not for' if not place else '':11} {text}" for place, text in enumerate(summary.not_for)]
    return [
        *lines,
        f"  licence     {summary.licence or 'not stated in its card: ask whoever made it'}",
        f"  cite        {summary.citation}",
        f"  more        'cascade models show {summary.name} --yaml', 'cascade benchmark {summary.name}'",
    ]


def _expected_lines(expected: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was reached at the first frame rate, smoothing and kernel that were measured."""
    if not expected:
        return ["  accuracy    not measured"]
    how = ("frame_rate_hz", "smoothing_s", "kernel")
    first = [entry for entry in expected if all(entry[key] == expected[0][key] for key in how)]
    smoothing = f"{first[0]['kernel']} kernel of {1000 * first[0]['smoothing_s']:g} ms"
    lines = [f"  accuracy    on datasets left out of its training, at {first[0]['frame_rate_hz']:g} Hz, {smoothing}:"]
    for entry in first:
        figures = f"correlation {entry['correlation']:.2f}, error {entry['error']:.2f}, bias {entry['bias']:+.2f}"
        lines.append(f"  {'':11} noise level {entry['noise_level']:g}: {figures}")
    return lines


def _first_key(names: Sequence[str]) -> str:
    return names[0].partition("-")[0] if names else "DS09"


def _short(names: Sequence[str]) -> str:
    """Keys of datasets; those that follow each other as a range."""
    keys = [name.partition("-")[0] for name in names]
    numbers = [int(key[2:]) if key.startswith("DS") and key[2:].isdigit() else None for key in keys]
    if None in numbers:
        return ", ".join(keys)
    ranges: list[list[int]] = []
    for number in sorted(number for number in numbers if number is not None):
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1].append(number)
        else:
            ranges.append([number])
    return ", ".join(f"DS{each[0]:02}" + (f"-{each[-1]:02}" if len(each) > 1 else "") for each in ranges)


@dataclass(kw_only=True)
class NeuronSummary:
    """What is known of one neuron of a dataset.

    Attributes
    ----------
    cell : str
        Its name.
    n_recordings, n_spikes : int
        Recordings that can be used, and true spikes in them.
    minutes : float
        Their length.
    frame_rates_hz : list of float or None
        Lowest and highest frame rate.
    noise_level : float or None
        Median, in percent per sqrt(Hz), at the native frame rate.
    notes : list of str
        What cannot be used, and why.
    """

    cell: str
    n_recordings: int
    n_spikes: int
    minutes: float
    frame_rates_hz: list[float] | None = None
    noise_level: float | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class DatasetSummary:
    """What is known of a dataset of ground truth.

    Attributes
    ----------
    status : str
        "found".
    key : str or None
        Its number, such as DS09; None for a dataset of your own.
    name : str
        Name of its folder.
    path : str or None
        Where it lies; None if it is not here.
    indicator, species, area, cell_type : str or None
        What was recorded.
    citation, doi, note : str or None
        Whom to cite, and what a user must know.
    n_neurons, n_spikes : int or None
        Neurons, and their spikes; None if it is not here.
    minutes : float or None
        Length of all recordings.
    frame_rates_hz : list of float or None
        Lowest and highest frame rate.
    noise_level : float or None
        Median, in percent per sqrt(Hz), at the native frame rate.
    neurons : list of NeuronSummary or None
        Each neuron, by 'cascade ground-truth show'.
    """

    status: str = "found"
    key: str | None = None
    name: str
    path: str | None = None
    indicator: str | None = None
    species: str | None = None
    area: str | None = None
    cell_type: str | None = None
    citation: str | None = None
    doi: str | None = None
    note: str | None = None
    n_neurons: int | None = None
    n_spikes: int | None = None
    minutes: float | None = None
    frame_rates_hz: list[float] | None = None
    noise_level: float | None = None
    neurons: list[NeuronSummary] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def summarize_dataset(
    name: str, entry: CatalogueEntry | None, path: Path | None, neurons: Sequence[Neuron] | None, each: bool = False
) -> DatasetSummary:
    """What is known of a dataset.

    Parameters
    ----------
    name : str
        Name of its folder.
    entry : CatalogueEntry or None
        What the catalogue says of it.
    path : Path or None
        Where it lies.
    neurons : sequence of Neuron or None
        Its neurons, if it is here.
    each : bool
        Tell of each neuron, too.
    """
    found = DatasetSummary(name=name, path=None if path is None else str(path))
    if entry is not None:
        cited = entry.citation or {}
        found.key, found.citation, found.doi, found.note = entry.key, cited.get("text"), cited.get("doi"), entry.note
        found.indicator, found.species, found.area = entry.indicator, entry.species, entry.area
        found.cell_type = entry.cell_type
    if neurons is None:
        return found
    facts = facts_of(neurons)
    found.n_neurons, found.n_spikes, found.minutes = len(neurons), facts["n_spikes"], facts["minutes"]
    found.frame_rates_hz, found.noise_level = facts["frame_rates_hz"], facts["noise_level"]
    if each:
        found.neurons = [
            NeuronSummary(
                cell=neuron.cell, n_recordings=len(neuron.recordings), notes=list(neuron.notes), **facts_of([neuron])
            )
            for neuron in neurons
        ]
    return found


def facts_of(neurons: Sequence[Neuron]) -> dict[str, Any]:
    """Spikes, minutes, frame rates (Hz) and median noise level of neurons together."""
    import numpy as np

    from cascade_engine.signal.noise import noise_levels

    recordings = [recording for neuron in neurons for recording in neuron.recordings]
    rates = [float(recording.frame_rate) for recording in recordings]
    levels = [noise_levels(item.dff[np.newaxis], item.frame_rate)[0] for item in recordings]
    return {
        "n_spikes": int(sum(neuron.n_spikes for neuron in neurons)),
        "minutes": float(sum(neuron.duration_s for neuron in neurons) / 60),
        "frame_rates_hz": [min(rates), max(rates)] if rates else None,
        "noise_level": float(np.median(levels)) if levels else None,
    }


def columns(facts: Mapping[str, Any]) -> str:
    """Minutes, spikes, frame rates and noise level, as columns."""
    if facts["frame_rates_hz"] is None:
        return "nothing that can be used"
    low, high = (f"{rate:.1f}" for rate in facts["frame_rates_hz"])
    rate = low if low == high else f"{low}-{high}"
    return f"{facts['minutes']:8.1f} {facts['n_spikes']:8d} {rate:>12} {facts['noise_level']:12.1f}"
