"""``cascade restore``."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("restore")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
def command(paths: tuple[Path, ...]) -> None:
    """Remove everything that 'cascade run' has written at or below PATHS; what it replaced is put back exactly."""
    from cascade_adapters.containers.base import Selection
    from cascade_adapters.running.batch import restore_all
    from cascade_adapters.running.finding import find_all

    containers, reports = find_all(paths, Selection(channel=None))
    reports += restore_all(containers)
    failed = [report for report in reports if report.status == "failed"]
    for report in reports:
        if report.written:
            click.echo(f"{report.path}: {'; '.join(report.written)}")
    if not failed and not any(report.written for report in reports):
        click.echo("nothing to restore")
    for report in failed:
        click.echo(f"cascade: {report.message}", err=True)
    if failed:
        sys.exit(1)
