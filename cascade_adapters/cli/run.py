"""``cascade run``."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import click

from cascade_adapters.cli.choices import PathOrAddress, choices_of
from cascade_adapters.cli.defaults import defaults_option, with_defaults
from cascade_adapters.cli.help import Command
from cascade_adapters.cli.json_output import failures_as_json, json_option, print_json
from cascade_engine.parallel import THREAD_LIMITS


@click.command("run", cls=Command)
@click.argument("paths", nargs=-1, required=True, type=PathOrAddress())
@choices_of()
@click.option(
    "--report", "with_page", is_flag=True, help="Write a page to look at beside each recording ('cascade report')."
)
@click.option("--dry-run", is_flag=True, help="Read and check everything, write nothing.")
@click.option(
    "--jobs",
    type=click.IntRange(*THREAD_LIMITS),
    default=1,
    metavar="N",
    help="How many recordings at a time, each in a process of its own [default: 1].",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Have it done by a Dask cluster: address of the scheduler, or 'local' to start one here.",
)
@defaults_option
@json_option
@click.option("--quiet", is_flag=True, help="Do not show how far it is.")
def command(
    paths: tuple,
    with_page: bool,
    no_defaults: bool,
    dry_run: bool,
    jobs: int,
    scheduler: str | None,
    as_json: bool,
    quiet: bool,
    **choices: Any,
) -> None:
    """Infer spikes in every recording at or below PATHS and write them back.

    A failure of one recording does not stop the others; the exit status is 1 if any failed.
    """
    from cascade_adapters.cli.text import SaidOnce, describe_page, describe_report
    from cascade_adapters.running.batch import process_all
    from cascade_adapters.running.executors import Parallel
    from cascade_adapters.running.finding import find_all
    from cascade_adapters.running.lab_defaults import refuse_nearer
    from cascade_adapters.running.options import parse_options

    with failures_as_json(as_json):
        parallel = Parallel(jobs, scheduler)
        chosen, defaults = with_defaults(paths, choices, no_defaults)
        options = parse_options(parallel.choices(chosen), progress=not quiet and not as_json)
        options = defaults.noted_in(options)
        containers, reports = find_all([parallel.place(path) for path in paths], options.selection)
        if not no_defaults:
            refuse_nearer(containers, defaults)

    said = SaidOnce()

    def announce(report) -> None:
        if not as_json:
            click.echo(describe_report(said.without_told(report)), err=report.status == "failed")

    for failure in reports:
        announce(failure)
    pages = []
    with failures_as_json(as_json):
        processed = process_all(
            containers, options, dry_run, announce, parallel, lambda line: click.echo(f"cascade: {line}", err=True)
        )
        reports += processed
        if with_page and not dry_run:
            from cascade_adapters.pages.writing import add_pages

            def announce_page(page) -> None:
                if not as_json:
                    click.echo(describe_page(page), err=page.status == "failed")

            pages = add_pages(containers, processed, paths, announce_page)
    if as_json:
        print_json([*reports, *pages])
    elif len(reports) > 1:
        counts = Counter(report.status for report in reports)
        counts["with warnings"] = sum(bool(report.warnings) for report in reports)
        for line in said.closing():
            click.echo(line)
        click.echo(", ".join(f"{count} {status}" for status, count in counts.items() if count))
    if any(report.status == "failed" for report in [*reports, *pages]):
        sys.exit(1)
