"""``cascade restore``."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("restore")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
def command(paths) -> None:
    """Remove everything that 'cascade run' has written at or below PATHS; what it replaced is put back exactly."""
    from cascade_adapters.containers.base import Selection
    from cascade_adapters.containers.registry import find_all
    from cascade_engine.errors import CascadeError

    containers, failures = find_all(paths, Selection(channel=None))
    problems, n_restored = [failure.message for failure in failures], 0
    for container in containers:
        try:
            done = container.restore()
        except CascadeError as error:
            problems.append(str(error))
            continue
        n_restored += bool(done)
        if done:
            click.echo(f"{container.path}: {'; '.join(done)}")
    if not n_restored and not problems:
        click.echo("nothing to restore")
    for problem in problems:
        click.echo(f"cascade: {problem}", err=True)
    if problems:
        sys.exit(1)
