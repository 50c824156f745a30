"""``cascade restore``."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("restore")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--channel", type=click.IntRange(1, 2), default=1, show_default=True, help="Channel of suite2p.")
def command(paths, channel) -> None:
    """Remove everything that 'cascade run' has written at or below PATHS; what it replaced is put back exactly."""
    from cascade_adapters.batch import find_all
    from cascade_engine.errors import CascadeError

    containers, failures = find_all(paths, channel=channel)
    problems = [f"{failure.message}" for failure in failures]
    for container in containers:
        try:
            done = container.restore()
        except CascadeError as error:
            problems.append(str(error))
            continue
        click.echo(f"{container.path}: {'; '.join(done) or 'nothing to restore'}")
    for problem in problems:
        click.echo(f"cascade: {problem}", err=True)
    if problems:
        sys.exit(1)
