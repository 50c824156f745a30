"""``cascade models``."""

from __future__ import annotations

from pathlib import Path

import click


@click.group("models")
def command() -> None:
    """List, show, import and verify models."""


@command.command("list")
def list_command() -> None:
    """List the models that are here: those of the package and your own."""
    from cascade_engine.errors import CascadeError
    from cascade_engine.networks.families import family_named
    from cascade_engine.networks.store import list_models, load_model

    for name, folder in list_models().items():
        try:
            model = load_model(folder)
        except CascadeError as error:
            click.echo(f"{name}: {error}")
            continue
        click.echo(
            f"{name}: {family_named(model.family).describe(model)}, {model.card.get('origin', 'unknown origin')}"
        )


@command.command("show")
@click.argument("model")
def show_command(model: str) -> None:
    """Print the card of MODEL (a name or a folder)."""
    from cascade_engine.networks.store import CARD_NAME, load_model

    found = load_model(model)
    click.echo(f"# {found.folder}")
    click.echo((found.folder / CARD_NAME).read_text("utf-8"), nl=False)


@command.command("import")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--output", type=click.Path(path_type=Path), help="Folder to create [default: in the folder of your models]."
)
def import_command(folder: Path, output: Path | None) -> None:
    """Import a published model of the original toolbox (.h5, .keras or .pth files in FOLDER)."""
    from cascade_engine.networks.windowed.published import import_published

    model = import_published(folder, output)
    click.echo(f"imported {model.name}: {len(model.noise_levels)} noise levels, in {model.folder}")


@command.command("verify")
@click.argument("models", nargs=-1)
def verify_command(models: tuple[str, ...]) -> None:
    """Check the weights of MODELS (default: all) against their cards."""
    from cascade_engine.networks.store import list_models, load_model

    for name in models or list_models():
        load_model(name).verify()
        click.echo(f"{name}: complete and unchanged")
