"""``cascade restore``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cascade_adapters.cli.help import Command
from cascade_adapters.cli.json_output import failures_as_json, json_option, print_json


@click.command("restore", cls=Command)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def command(paths: tuple[Path, ...], as_json: bool) -> None:
    """Remove everything that 'cascade run' has written at or below PATHS, and put back exactly what it replaced.

    Pages of 'cascade report' go, too, unless --output has put them elsewhere.
    """
    from cascade_adapters.cli.text import describe_restored
    from cascade_adapters.containers.base import Selection
    from cascade_adapters.pages.places import overviews_above
    from cascade_adapters.running.batch import restore_all
    from cascade_adapters.running.finding import find_all
    from cascade_adapters.running.report import Report
    from cascade_adapters.safe_writing.page import remove_page

    with failures_as_json(as_json):
        containers, reports = find_all(paths, Selection(channel=None))
        reports += restore_all(containers)
        for page in overviews_above(containers, paths):
            reports.append(Report(path=str(page.parent), kind="overview", restored=remove_page(page)))
    if as_json:
        print_json(reports)
    for report in reports:
        if not as_json and (report.restored or report.status == "failed"):
            click.echo(describe_restored(report), err=report.status == "failed")
    if any(report.status == "failed" for report in reports):
        sys.exit(1)
    if not as_json and not any(report.restored for report in reports):
        click.echo("nothing to restore")
