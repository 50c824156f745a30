"""``cascade run``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

import click

from cascade_adapters.cli.choices import CommandWithChoices, PathOrAddress, choices_of, given
from cascade_engine.parallel import THREAD_LIMITS


@click.command("run", cls=CommandWithChoices)
@click.argument("paths", nargs=-1, required=True, type=PathOrAddress())
@choices_of()
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
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="Do not show how far it is.")
def command(
    paths: tuple, dry_run: bool, jobs: int, scheduler: str | None, as_json: bool, quiet: bool, **choices: Any
) -> None:
    """Infer spikes in every recording at or below PATHS and write them back.

    A failure of one recording does not stop the others; the exit status is 1 if any failed.
    """
    from cascade_adapters.cli.text import SaidOnce, describe_report
    from cascade_adapters.running.batch import process_all
    from cascade_adapters.running.executors import Parallel
    from cascade_adapters.running.finding import find_all
    from cascade_adapters.running.options import parse_options

    parallel = Parallel(jobs, scheduler)
    options = parse_options(parallel.choices(given(choices)), progress=not quiet and not as_json)
    containers, reports = find_all([parallel.place(path) for path in paths], options.selection)

    said = SaidOnce()

    def announce(report) -> None:
        if not as_json:
            click.echo(describe_report(said.without_told(report)), err=report.status == "failed")

    for failure in reports:
        announce(failure)
    reports += process_all(
        containers, options, dry_run, announce, parallel, lambda line: click.echo(f"cascade: {line}", err=True)
    )
    if as_json:
        click.echo(json.dumps([report.to_dict() for report in reports], indent=1))
    elif len(reports) > 1:
        counts = Counter(report.status for report in reports)
        counts["with warnings"] = sum(bool(report.warnings) for report in reports)
        for line in said.closing():
            click.echo(line)
        click.echo(", ".join(f"{count} {status}" for status, count in counts.items() if count))
    if any(report.status == "failed" for report in reports):
        sys.exit(1)
