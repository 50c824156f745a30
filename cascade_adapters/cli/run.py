"""``cascade run``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

import click

from cascade_adapters.cli.choices import CommandWithChoices, PathOrAddress, choices_of, given


@click.command("run", cls=CommandWithChoices)
@click.argument("paths", nargs=-1, required=True, type=PathOrAddress())
@choices_of()
@click.option(
    "--report", "with_page", is_flag=True, help="Write a page to look at beside each recording ('cascade report')."
)
@click.option("--dry-run", is_flag=True, help="Read and check everything, write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(paths: tuple, with_page: bool, dry_run: bool, as_json: bool, quiet: bool, **choices: Any) -> None:
    """Infer spikes in every recording at or below PATHS and write them back.

    A failure of one recording does not stop the others; the exit status is 1 if any failed.
    """
    from cascade_adapters.cli.text import SaidOnce, describe_page, describe_report
    from cascade_adapters.running.batch import process_all
    from cascade_adapters.running.finding import find_all
    from cascade_adapters.running.options import parse_options

    options = parse_options(given(choices), progress=not quiet and not as_json and sys.stderr.isatty())
    containers, reports = find_all(paths, options.selection)

    said = SaidOnce()

    def announce(report) -> None:
        if not as_json:
            click.echo(describe_report(said.without_told(report)), err=report.status == "failed")

    for failure in reports:
        announce(failure)
    processed = process_all(containers, options, dry_run, announce)
    reports += processed
    pages = []
    if with_page and not dry_run:
        from cascade_adapters.pages.writing import add_pages

        def announce_page(page) -> None:
            if not as_json:
                click.echo(describe_page(page), err=page.status == "failed")

        pages = add_pages(containers, processed, paths, announce_page)
    if as_json:
        click.echo(json.dumps([report.to_dict() for report in [*reports, *pages]], indent=1))
    elif len(reports) > 1:
        counts = Counter(report.status for report in reports)
        counts["with warnings"] = sum(bool(report.warnings) for report in reports)
        for line in said.closing():
            click.echo(line)
        click.echo(", ".join(f"{count} {status}" for status, count in counts.items() if count))
    if any(report.status == "failed" for report in [*reports, *pages]):
        sys.exit(1)
