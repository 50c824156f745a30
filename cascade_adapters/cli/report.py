"""``cascade report``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from cascade_adapters.cli.choices import PathOrAddress, choices_of, given
from cascade_adapters.cli.help import Command
from cascade_adapters.cli.json_output import failures_as_json, json_option, print_json


def _numbers(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...]:
    """Numbers of ROIs, from text."""
    if text is None:
        return ()
    try:
        return tuple(int(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise click.BadParameter(f"they are numbers with commas, such as 3,17,250, not {text!r}") from None


@click.command("report", cls=Command)
@click.argument("paths", nargs=-1, required=True, type=PathOrAddress())
@choices_of("selection", leave_out=("in_place", "raw"))
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the page to FILE; of several recordings the overview, with the pages in a folder beside it.",
)
@click.option(
    "--rois", callback=_numbers, metavar="NUMBERS", help="Show all frames of these ROIs, too: 3,17,250, counted from 0."
)
@json_option
def command(paths: tuple, output: Path | None, rois: tuple[int, ...], as_json: bool, **choices: Any) -> None:
    """Write a page to look at for the results of 'cascade run' at or below PATHS.

    The page is one HTML file that needs no network. It lies beside the container, and several recordings have an
    overview in the folder that holds them. It is made from the stored results, so earlier runs have one, too. 'cascade
    restore' removes it.
    """
    from cascade_adapters.cli.text import describe_page
    from cascade_adapters.containers.base import Selection
    from cascade_adapters.pages.writing import write_pages
    from cascade_adapters.running.finding import find_all

    def announce(report) -> None:
        if not as_json:
            click.echo(describe_page(report), err=report.status == "failed")

    with failures_as_json(as_json):
        containers, reports = find_all(paths, Selection(**given(choices)))
        for failure in reports:
            announce(failure)
        reports += write_pages(containers, paths, output, rois, announce)
    if as_json:
        print_json(reports)
    if any(report.status == "failed" for report in reports):
        sys.exit(1)
