"""``cascade benchmark``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cascade_adapters.cli.help import Command
from cascade_adapters.cli.names import Choice, DatasetName, ModelName
from cascade_adapters.cli.numbers import FRAME_RATE, NOISE_LEVEL, SMOOTHING

if TYPE_CHECKING:
    from cascade_engine.evaluation.scores import NeuronScore
    from cascade_engine.networks.store import Model


@click.command("benchmark", cls=Command)
@click.argument("model", default="auto", type=ModelName())
@click.argument("datasets", nargs=-1, type=DatasetName())
@click.option(
    "--frame-rate",
    type=FRAME_RATE,
    metavar="HZ",
    help="Frame rate [default: the model's, else 30].",
)
@click.option(
    "--smoothing",
    type=SMOOTHING,
    metavar="S",
    help="Width of the kernel [default: the model's].",
)
@click.option("--kernel", type=Choice(["gaussian", "causal"]), help="Form of the kernel [default: the model's].")
@click.option(
    "--noise-level",
    "noise_levels",
    type=NOISE_LEVEL,
    multiple=True,
    default=(2.0, 4.0, 8.0),
    show_default=True,
    metavar="NU",
    help="Noise level in % per sqrt(Hz); may be given several times.",
)
@click.option("--ground-truth", type=click.Path(path_type=Path), help="Folder with the datasets.")
@click.option("--table", type=click.Path(dir_okay=False, path_type=Path), help="CSV file for the scores per neuron.")
def command(
    model: str,
    datasets: tuple[str, ...],
    frame_rate: float | None,
    smoothing: float | None,
    kernel: str | None,
    noise_levels: tuple[float, ...],
    ground_truth: Path | None,
    table: Path | None,
) -> None:
    """Measure how well MODEL predicts neurons that it has not seen.

    Without DATASETS, the figures of its card are shown. With DATASETS (DS29 ...), it is measured on their ground truth,
    with those networks of the model that were trained without the dataset; a dataset that all networks have seen is
    refused.

    Error, bias and gain (predicted over true spikes) tell of the number of spikes: |log gain| is 0.69 where half or
    twice as many are found, total is the gain of all neurons of a dataset together, and between and within are standard
    deviations of the log gain, between datasets and within them. Aligned figures are with the clocks of spikes and
    fluorescence aligned, which differ in some public datasets.
    """
    from cascade_engine.networks.store import load_model

    found = load_model(model)
    if datasets:
        _measure(found, datasets, frame_rate, smoothing, kernel, noise_levels, ground_truth, table)
    else:
        _recall(found)


#: Figures that are shown: their names, headings and formats.
_FIGURES = {
    "correlation": ("correlation", ".3f"),
    "error": ("error", ".2f"),
    "bias": ("bias", "+.2f"),
    "absolute_bias": ("|bias|", ".2f"),
    "absolute_log_gain": ("|log gain|", ".2f"),
    "total": ("total", ".2f"),
    "gain_sd_between": ("between", ".2f"),
    "gain_sd_within": ("within", ".2f"),
    "aligned_correlation": ("aligned correlation", ".3f"),
    "aligned_error": ("aligned error", ".2f"),
}

_HEADER = " ".join([f"{'':26} {'neurons':>7}", *(f"{heading:>6}" for heading, _ in _FIGURES.values())])


def _line(label: str, neurons: int, figures: Mapping[str, float]) -> str:
    """One line of the table; figures that are not known are ``-``."""
    line = f"{label:26.26} {neurons:7d}"
    for name, (heading, form) in _FIGURES.items():
        value = figures.get(name, nan)
        line += f" {'-' if isnan(value) else format(value, form):>{max(6, len(heading))}}"
    return line


def _recall(model: Model) -> None:
    from cascade_engine.errors import InputError

    entries = [entry for entry in model.card.get("evaluation", []) if "frame_rate_hz" in entry]
    if not entries:
        raise InputError(
            f"the card of {model.name} has no evaluation: name datasets that it was not trained on, to measure it"
        )
    click.echo(f"{model.name}, on datasets left out of its training; medians over neurons, means over datasets")
    click.echo(_HEADER)
    for entry in entries:
        causal = " causal" if entry["kernel"] == "causal" else ""
        how = f"{entry['frame_rate_hz']:g} Hz {1000 * entry['smoothing_s']:g} ms{causal}"
        click.echo(_line(f"{how}, noise {entry['noise_level']:g}", entry["neurons"], entry))


def _measure(
    model: Model,
    keys: Sequence[str],
    frame_rate: float | None,
    smoothing: float | None,
    kernel: str | None,
    noise_levels: Sequence[float],
    ground_truth: Path | None,
    table: Path | None,
) -> None:
    from cascade_engine.errors import InputError
    from cascade_engine.evaluation import Condition, evaluate, make_trace, summarize, write_scores
    from cascade_engine.evaluation.leave_out import predict_with
    from cascade_engine.ground_truth import find_datasets, folder_name, ground_truth_root, load_dataset
    from cascade_engine.ground_truth.folds import shared_recordings
    from cascade_engine.networks.families import resolve
    from cascade_engine.networks.settings import Settings

    available = find_datasets(ground_truth_root(ground_truth))
    names = [folder_name(key, available) for key in keys]
    shared = shared_recordings()
    models: dict[str, Model] = {}
    for name in names:
        if name not in available:
            raise InputError(f"{name} is not here: 'cascade ground-truth fetch {name}' downloads it")
        unaware = model.without([name, *shared.get(name, ())])
        if unaware is None:
            raise InputError(f"{model.name} was trained on {name}: its figures there would be too good")
        models[name] = unaware
    frame_rate = _frame_rate(model, frame_rate)
    smoothing, kernel = resolve(Settings(smoothing=smoothing, kernel=kernel), model, frame_rate).resolved_kernel
    all_scores = []
    for level in noise_levels:
        condition = Condition(frame_rate, smoothing, level, kernel)
        click.echo(f"{model.name} at {condition.label}\n{_HEADER}")
        scores: list[NeuronScore] = []
        for name in names:
            traces = filter(None, (make_trace(neuron, condition) for neuron in load_dataset(available[name]).neurons))
            evaluated = (
                evaluate(predict_with(models[name], condition, trace), trace, condition.label, model.name)
                for trace in traces
            )
            found = [entry for entry in evaluated if entry is not None]
            scores += found
            if found:
                click.echo(_line(name, len(found), asdict(summarize(found))))
            else:
                click.echo(f"{name:26} every neuron is noisier than this")
        if scores:
            click.echo(_line("mean over datasets", len(scores), asdict(summarize(scores))))
        all_scores += scores
    if table is not None:
        write_scores(table, all_scores)
        click.echo(f"scores per neuron: {table}")


def _frame_rate(model: Model, given: float | None) -> float:
    """Frame rate (Hz) to measure at: that of the model, if it has only one."""
    from cascade_engine.errors import InputError
    from cascade_engine.networks.families import family_named

    own = family_named(model.family).evaluation_rate(model)
    if own is not None and given not in (None, own):
        raise InputError(f"{model.name} works at {own:g} Hz only: leave out --frame-rate")
    return given or model.usual_frame_rate
