"""``cascade train``."""

from __future__ import annotations

from pathlib import Path

import click

from cascade_adapters.cli.help import Command
from cascade_adapters.cli.names import ModelName


@click.command("train", cls=Command)
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--output", type=click.Path(path_type=Path), help="Folder of the model [default: in the folder of your models]."
)
@click.option("--ground-truth", type=click.Path(path_type=Path), help="Folder with the datasets.")
@click.option(
    "--transfer", type=ModelName(), metavar="MODEL", help="Start from the weights of this model (a name or a folder)."
)
@click.option("--quiet", is_flag=True, help="No progress bar and no messages.")
def command(config: Path, output: Path | None, ground_truth: Path | None, transfer: str | None, quiet: bool) -> None:
    """Train the model that CONFIG (YAML) describes.

    Interrupt it at any time: the same command goes on where it stopped, with the same result. Networks that are trained
    without some of the datasets (folds) are evaluated on these, and the card of the model holds the figures.
    """
    from cascade_engine.errors import InputError
    from cascade_engine.ground_truth import find_datasets, folder_name, ground_truth_root, load_dataset
    from cascade_engine.networks.families import read_configuration
    from cascade_engine.networks.store import load_model, user_models
    from cascade_engine.training import train

    chosen = read_configuration(config)
    root = ground_truth_root(ground_truth)
    available = find_datasets(root)

    chosen = chosen.with_datasets(lambda name: folder_name(name, available))
    names = chosen.training_datasets
    absent = [name for name in names if name not in available]
    if absent:
        raise InputError(
            f"{root} lacks the training datasets {', '.join(absent)}; it must be the folder above the datasets, and "
            f"holds {', '.join(available) or 'none'}"
        )
    start = load_model(transfer) if transfer else None
    output = output or user_models() / chosen.model_name
    chosen = chosen.changed(model_name=output.name)
    datasets = [load_dataset(available[name]) for name in names]
    for dataset in datasets:
        unusable = [neuron for neuron in dataset.neurons if not neuron.recordings]
        for neuron in unusable:
            click.echo(f"left out: {dataset.name}, {neuron.cell}: {'; '.join(neuron.notes)}", err=True)
    say = (lambda line: None) if quiet else click.echo
    model = train(chosen, datasets, output, start, progress=not quiet, say=say)
    click.echo(f"{model.name} is ready in {model.folder}")
    if model.card.get("evaluation"):
        click.echo(f"'cascade benchmark {model.folder}' shows how good it is on datasets not used for training")
