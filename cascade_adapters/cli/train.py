"""``cascade train``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click


@click.command("train")
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help="Folder of the model [default: among your models].")
@click.option("--ground-truth", type=click.Path(path_type=Path), help="Folder with the datasets.")
@click.option("--transfer", metavar="MODEL", help="Start from the weights of this model (a name or a folder).")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(config: Path, output: Path | None, ground_truth: Path | None, transfer: str | None, quiet: bool) -> None:
    """Train the model that CONFIG (YAML) describes.

    Interrupt it at any time: the same command goes on where it stopped, with the same result.
    """
    from cascade_engine.errors import InputError
    from cascade_engine.ground_truth import find_datasets, folder_name, ground_truth_root, load_dataset
    from cascade_engine.networks.configuration import read_yaml
    from cascade_engine.networks.families import family_named
    from cascade_engine.networks.store import load_model, user_models

    content = read_yaml(config)
    stated = content if isinstance(content, dict) else {}
    family = family_named(stated.get("family", stated.get("kind", "windowed")))
    settings = family.config.from_dict(content, source=str(config))
    root = ground_truth_root(ground_truth)
    available = find_datasets(root)

    def folders(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(folder_name(name, available) for name in names)

    names = folders(settings.training_datasets)
    absent = [name for name in names if name not in available]
    if absent:
        raise InputError(
            f"{root} lacks the training datasets {', '.join(absent)}; it must be the folder above the datasets, and "
            f"holds {', '.join(available) or 'none'}"
        )
    start = load_model(transfer) if transfer else None
    output = output or user_models() / settings.model_name
    settings = replace(settings, model_name=output.name, training_datasets=names)
    if hasattr(settings, "interneuron_datasets"):
        settings = replace(settings, interneuron_datasets=folders(settings.interneuron_datasets))
    datasets = [load_dataset(available[name]) for name in names]
    for dataset in datasets:
        unusable = [neuron for neuron in dataset.neurons if not neuron.recordings]
        for neuron in unusable:
            click.echo(f"left out: {dataset.name}, {neuron.cell}: {'; '.join(neuron.notes)}", err=True)
    model = family.train(settings, datasets, output, start, progress=not quiet)
    click.echo(f"{model.name} is ready in {model.folder}")
