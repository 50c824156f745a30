"""``cascade ground-truth``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cascade_adapters.cli.help import Group
from cascade_adapters.cli.json_output import failures_as_json, json_option, print_json
from cascade_adapters.cli.names import DatasetName
from cascade_adapters.cli.numbers import FRAME_RATE, MINUTES, NOISE_LEVEL

if TYPE_CHECKING:
    from cascade_adapters.cli.summaries import DatasetSummary
    from cascade_engine.ground_truth.catalogue import CatalogueEntry

_root_option = click.option("--ground-truth", type=click.Path(path_type=Path), help="Folder with the datasets.")


@click.group("ground-truth", cls=Group)
def command() -> None:
    """List, show, explore, download, check and simulate ground truth."""


@command.command("list")
@_root_option
@json_option
def list_command(ground_truth: Path | None, as_json: bool) -> None:
    """List the public datasets, with what is known of those that are here: neurons, minutes, spikes, noise levels."""
    from cascade_adapters.cli.summaries import columns, summarize_dataset
    from cascade_engine.errors import InputError
    from cascade_engine.ground_truth import find_datasets, ground_truth_root, load_catalogue, load_dataset

    with failures_as_json(as_json):
        try:
            root = ground_truth_root(ground_truth)
            present = find_datasets(root)
        except InputError as error:
            if ground_truth:
                raise
            root, present = None, {}
            if not as_json:
                click.echo(f"{error}\n")
        catalogue = {entry.folder: entry for entry in load_catalogue().values()}
        if not as_json:
            click.echo(f"{'':4}  {'indicator':12} {'recorded in':44} {'neurons':>7} {_SUMMARY_HEADER}")
        found = []
        for name in [*catalogue, *(name for name in present if name not in catalogue)]:
            neurons = load_dataset(present[name]).neurons if name in present else None
            each = summarize_dataset(name, catalogue.get(name), present.get(name), neurons)
            found.append(each)
            if as_json:
                continue
            what = f"{each.species} {each.area}, {each.cell_type}" if each.key else name
            held = "not here" if neurons is None else f"{len(neurons):7} {columns(vars(each))}"
            click.echo(f"{each.key or 'own':4}  {each.indicator or '':12} {what:44.44} {held}")
        if as_json:
            print_json(found)
        elif root:
            click.echo(f"\n{len(present)} datasets in {root}; noise levels in % per sqrt(Hz) at the native frame rate")


@command.command("show")
@click.argument("dataset", type=DatasetName())
@_root_option
@json_option
def show_command(dataset: str, ground_truth: Path | None, as_json: bool) -> None:
    """Show DATASET (DS09, or the name of a folder): neurons, minutes, spikes, frame rates, noise levels."""
    from cascade_adapters.cli.summaries import summarize_dataset
    from cascade_engine.errors import InputError
    from cascade_engine.ground_truth import find_datasets, folder_name, ground_truth_root, load_catalogue, load_dataset

    with failures_as_json(as_json):
        try:
            present = find_datasets(ground_truth_root(ground_truth))
        except InputError:
            if ground_truth:
                raise
            present = {}
        name = folder_name(dataset, present)
        entry = next((item for item in load_catalogue().values() if item.folder == name), None)
        neurons = load_dataset(present[name]).neurons if name in present else None
        found = summarize_dataset(name, entry, present.get(name), neurons, each=True)
        if as_json:
            print_json([found])
            return
        for line in _dataset_lines(found, entry):
            click.echo(line)


def _dataset_lines(found: DatasetSummary, entry: CatalogueEntry | None) -> list[str]:
    """A dataset in words, with a line for each neuron."""
    from cascade_adapters.cli.summaries import columns

    lines = []
    if entry:
        lines += [
            f"{entry.key}  {entry.folder}",
            f"  {entry.indicator} in {entry.species} {entry.area}, {entry.cell_type}",
        ]
        how = ", ".join(text for text in (entry.delivery, entry.construct) if text)
        lines += [f"  {how}"] if how else []
        lines += [f"  cite {found.citation}, doi:{found.doi}"] if found.citation else []
        lines += [f"  {entry.note}"] if entry.note else []
    if entry and found.neurons is None:
        return [*lines, f"  the recordings are not here: 'cascade ground-truth fetch {entry.key}' downloads them"]
    lines.append(f"  {'neuron':50} {'recordings':>10} {_SUMMARY_HEADER}")
    for neuron in found.neurons or []:
        lines.append(f"  {neuron.cell:50.50} {neuron.n_recordings:10} {columns(vars(neuron))}")
        lines += [f"    {note}" for note in neuron.notes]
    return lines


_SUMMARY_HEADER = " minutes   spikes    rate (Hz)  noise level"


@command.command("explore")
@click.argument("datasets", nargs=-1, type=DatasetName())
@_root_option
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    default=Path("cascade_ground_truth.html"),
    show_default=True,
    help="Write the page to FILE.",
)
def explore_command(datasets: tuple[str, ...], ground_truth: Path | None, output: Path) -> None:
    """Write a page that shows DATASETS (DS09 ...; default: all that are here), each cell with its true spikes.

    Without any dataset on this computer it shows simulated neurons, and says so.
    """
    from cascade_adapters.pages.ground_truth_page import ground_truth_page
    from cascade_adapters.safe_writing.page import write_page
    from cascade_engine.errors import InputError
    from cascade_engine.ground_truth import (
        find_datasets,
        folder_name,
        ground_truth_root,
        load_dataset,
        simulate_dataset,
    )

    try:
        root = ground_truth_root(ground_truth)
        present = find_datasets(root)
    except InputError:
        if ground_truth or datasets:
            raise
        present = {}
    if present:
        names = [folder_name(name, present) for name in datasets] or sorted(present)
        missing = [name for name in names if name not in present]
        if missing:
            raise InputError(f"{missing[0]} is not in {root}: 'cascade ground-truth fetch' downloads it")
        page = ground_truth_page((load_dataset(present[name]) for name in names), str(root), is_simulated=False)
    else:
        page = ground_truth_page([simulate_dataset()], "simulated neurons", is_simulated=True)
    write_page(output, page)
    click.echo(f"{output}")


@command.command("fetch")
@click.argument("datasets", nargs=-1, type=DatasetName())
@_root_option
def fetch_command(datasets: tuple[str, ...], ground_truth: Path | None) -> None:
    """Download public DATASETS (DS09 ...; default: all).

    Files that are here already are kept. Interrupt it at any time: the same command goes on where it stopped.
    """
    from cascade_engine.ground_truth.fetching import fetch

    folder = fetch(datasets, ground_truth)
    click.echo(f"the datasets are in {folder}")


@command.command("check")
@click.argument("folder", type=click.Path(path_type=Path))
def check_command(folder: Path) -> None:
    """Check a dataset of your own, or a folder with several: what can be used, and what is wrong with the rest."""
    from cascade_engine.ground_truth import find_datasets, load_dataset

    inside = find_datasets(folder) if folder.is_dir() else {}
    n_neurons = n_unusable = 0
    for place in inside.values() or [folder]:
        dataset = load_dataset(place)
        usable = [neuron for neuron in dataset.neurons if neuron.recordings]
        spikes = sum(neuron.n_spikes for neuron in usable)
        minutes = sum(neuron.duration_s for neuron in usable) / 60
        click.echo(
            f"{dataset.name}: {len(usable)} of {len(dataset.neurons)} neurons, {minutes:.1f} min, {spikes} spikes"
        )
        for neuron in dataset.neurons:
            for note in neuron.notes:
                click.echo(f"  {neuron.cell}: {note}")
        n_neurons += len(dataset.neurons)
        n_unusable += len(dataset.neurons) - len(usable)
    if n_unusable:
        click.echo(f"cascade: {n_unusable} of {n_neurons} neurons cannot be used", err=True)
        sys.exit(1)


@command.command("simulate")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--neurons", type=click.IntRange(1, 10_000), default=8, show_default=True, help="Number of neurons.")
@click.option(
    "--minutes",
    type=MINUTES,
    default=5.0,
    show_default=True,
    help="Length of each recording in minutes.",
)
@click.option(
    "--frame-rate",
    type=FRAME_RATE,
    default=30.0,
    show_default=True,
    metavar="HZ",
    help="Frame rate.",
)
@click.option(
    "--noise-level",
    type=NOISE_LEVEL,
    default=1.0,
    show_default=True,
    metavar="NU",
    help="Noise level in % per sqrt(Hz).",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random numbers.")
def simulate_command(
    folder: Path, neurons: int, minutes: float, frame_rate: float, noise_level: float, seed: int
) -> None:
    """Write simulated (not recorded) ground truth to FOLDER, one .npz file per neuron."""
    import numpy as np

    from cascade_engine.errors import InputError
    from cascade_engine.file_formats.atomic import replacing
    from cascade_engine.ground_truth import simulate_dataset

    if folder.exists():
        raise InputError(f"{folder} exists already: choose another place")
    dataset = simulate_dataset(neurons, 60.0 * minutes, frame_rate, noise_level, seed)
    folder.mkdir(parents=True)
    for neuron in dataset.neurons:
        recording = neuron.recordings[0]
        with replacing(folder / f"{neuron.cell}.npz") as file:
            np.savez(file, dff=recording.dff, time_s=recording.time_s, spike_times_s=recording.spike_times_s)
    click.echo(f"{len(dataset.neurons)} simulated neurons in {folder}")
