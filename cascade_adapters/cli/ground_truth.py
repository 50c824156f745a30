"""``cascade ground-truth``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

_positive = click.FloatRange(0, min_open=True)
_root_option = click.option("--ground-truth", type=click.Path(path_type=Path), help="Folder with the datasets.")


@click.group("ground-truth")
def command() -> None:
    """List, show, download, check and simulate ground truth."""


@command.command("list")
@_root_option
def list_command(ground_truth: Path | None) -> None:
    """List the public datasets, and which of them are here."""
    from cascade_engine.errors import InputError
    from cascade_engine.ground_truth import find_datasets, ground_truth_root, load_catalogue

    try:
        root = ground_truth_root(ground_truth)
        present = find_datasets(root)
    except InputError as error:
        if ground_truth:
            raise
        root, present = None, {}
        click.echo(f"{error}\n")
    for key, entry in load_catalogue().items():
        neurons = "?" if entry.n_neurons is None else entry.n_neurons
        here = "here" if entry.folder in present else ""
        place = f"{entry.species} {entry.area}, {entry.cell_type}"
        click.echo(f"{key}  {entry.indicator:<12} {place:<45.45} {neurons:>3} neurons  {here}")
    own = [name for name in present if name not in {entry.folder for entry in load_catalogue().values()}]
    for name in own:
        click.echo(f"own   {name}")
    if root:
        click.echo(f"\n{len(present)} datasets in {root}")


@command.command("show")
@click.argument("dataset")
@_root_option
def show_command(dataset: str, ground_truth: Path | None) -> None:
    """Show DATASET (DS09, or a folder's name): neurons, minutes, spikes, frame rates, noise levels."""
    import numpy as np

    from cascade_engine.errors import InputError
    from cascade_engine.ground_truth import find_datasets, ground_truth_root, load_catalogue, load_dataset
    from cascade_engine.noise import noise_levels

    catalogue = load_catalogue()
    entry = next((item for item in catalogue.values() if dataset in (item.key, item.folder)), None)
    if entry:
        click.echo(f"{entry.key}  {entry.folder}")
        click.echo(f"  {entry.indicator} in {entry.species} {entry.area}, {entry.cell_type}")
        how = ", ".join(text for text in (entry.delivery, entry.construct) if text)
        if how:
            click.echo(f"  {how}")
        if entry.citation:
            click.echo(f"  cite {entry.citation['text']}, doi:{entry.citation['doi']}")
        if entry.note:
            click.echo(f"  {entry.note}")
    present = find_datasets(ground_truth_root(ground_truth))
    name = entry.folder if entry else dataset
    if name not in present:
        raise InputError(f"there is no dataset {name} here: 'cascade ground-truth list' shows what there is")
    click.echo("  neuron: recordings, minutes, spikes, frame rate (Hz), noise level (% per sqrt(Hz))")
    for neuron in load_dataset(present[name]).neurons:
        if not neuron.recordings:
            click.echo(f"  {neuron.cell}: none")
            continue
        rate = np.median([recording.frame_rate for recording in neuron.recordings])
        level = np.median([noise_levels(item.dff[np.newaxis], item.frame_rate)[0] for item in neuron.recordings])
        click.echo(
            f"  {neuron.cell}: {len(neuron.recordings)}, {neuron.duration_s / 60:.1f}, {neuron.n_spikes}, {rate:.1f}, "
            f"{level:.1f}"
        )


@command.command("fetch")
@click.argument("datasets", nargs=-1)
@_root_option
def fetch_command(datasets: tuple[str, ...], ground_truth: Path | None) -> None:
    """Download public DATASETS (DS09 ...; default: all). What is here already is kept; interrupt it at any time."""
    from cascade_engine.ground_truth.fetching import fetch

    folder = fetch(datasets, ground_truth)
    click.echo(f"the datasets are in {folder}")


@command.command("check")
@click.argument("folder", type=click.Path(path_type=Path))
def check_command(folder: Path) -> None:
    """Check a dataset of your own, or a folder of several: what can be used, and what is wrong."""
    from cascade_engine.ground_truth import find_datasets, load_dataset

    inside = find_datasets(folder) if folder.is_dir() else {}
    n_unusable = 0
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
        n_unusable += len(dataset.neurons) - len(usable)
    if n_unusable:
        click.echo(f"cascade: {n_unusable} neurons cannot be used", err=True)
        sys.exit(1)


@command.command("simulate")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--neurons", type=click.IntRange(1), default=8, show_default=True, help="Neurons.")
@click.option("--minutes", type=_positive, default=5.0, show_default=True, help="Length of each recording.")
@click.option("--frame-rate", type=_positive, default=30.0, show_default=True, metavar="HZ", help="Frame rate.")
@click.option("--noise-level", type=_positive, default=1.0, show_default=True, metavar="NU", help="% per sqrt(Hz).")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed.")
def simulate_command(
    folder: Path, neurons: int, minutes: float, frame_rate: float, noise_level: float, seed: int
) -> None:
    """Write simulated (not recorded) ground truth to FOLDER, one .npz file per neuron."""
    import numpy as np

    from cascade_engine.errors import InputError
    from cascade_engine.files import replacing
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
