"""``cascade models``."""

from __future__ import annotations

from pathlib import Path

import click

from cascade_adapters.cli.help import Group
from cascade_adapters.cli.json_output import failures_as_json, json_option, print_json
from cascade_adapters.cli.names import ModelName


@click.group("models", cls=Group)
def command() -> None:
    """List, show, import and verify models."""


@command.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the models that are here: those of the package and your own."""
    from cascade_adapters.cli.summaries import ModelSummary, summarize_model
    from cascade_engine.errors import CascadeError
    from cascade_engine.networks.store import list_models, load_model

    with failures_as_json(as_json):
        found = []
        for name, folder in list_models().items():
            try:
                found.append(summarize_model(load_model(folder)))
            except CascadeError as error:
                found.append(ModelSummary(name=name, folder=str(folder), status="failed", message=str(error)))
        if as_json:
            print_json(found)
            return
        for each in found:
            click.echo(f"{each.name}: {each.message or each.conditions}{(each.origin and f', {each.origin}') or ''}")


@command.command("show")
@click.argument("model", type=ModelName())
@click.option("--yaml", "as_yaml", is_flag=True, help="Print the whole card instead.")
@json_option
def show_command(model: str, as_yaml: bool, as_json: bool) -> None:
    """Say of MODEL (a name or a folder) what it is for, what it was trained on, how accurate it is, whom to cite.

    The name of a published model that is not here shows the model that answers for it.
    """
    from cascade_adapters.cli.summaries import describe_model, summarize_model
    from cascade_engine.networks.store import CARD_NAME, load_model

    with failures_as_json(as_json):
        found = load_model(model)
        if as_yaml:
            click.echo(f"# {found.folder}")
            click.echo((found.folder / CARD_NAME).read_text("utf-8"), nl=False)
        elif as_json:
            print_json([summarize_model(found)])
        else:
            click.echo("\n".join(describe_model(summarize_model(found))))


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
@click.argument("models", nargs=-1, type=ModelName())
def verify_command(models: tuple[str, ...]) -> None:
    """Check the weights of MODELS (default: all) against their cards."""
    from cascade_engine.networks.store import list_models, load_model

    for name in models or list_models():
        load_model(name).verify()
        click.echo(f"{name}: complete and unchanged")
