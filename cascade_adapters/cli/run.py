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


@click.command("run", cls=Command)
@click.argument("paths", nargs=-1, required=True, type=PathOrAddress())
@choices_of()
@click.option("--dry-run", is_flag=True, help="Read and check everything, write nothing.")
@defaults_option
@json_option
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(paths: tuple, no_defaults: bool, dry_run: bool, as_json: bool, quiet: bool, **choices: Any) -> None:
    """Infer spikes in every recording at or below PATHS and write them back.

    A failure of one recording does not stop the others; the exit status is 1 if any failed.
    """
    from cascade_adapters.cli.text import SaidOnce, describe_report
    from cascade_adapters.running.batch import process_all
    from cascade_adapters.running.finding import find_all
    from cascade_adapters.running.lab_defaults import refuse_nearer
    from cascade_adapters.running.options import parse_options

    with failures_as_json(as_json):
        chosen, defaults = with_defaults(paths, choices, no_defaults)
        progress = not quiet and not as_json and sys.stderr.isatty()
        options = defaults.noted_in(parse_options(chosen, progress=progress))
        containers, reports = find_all(paths, options.selection)
        if not no_defaults:
            refuse_nearer(containers, defaults)

    said = SaidOnce()

    def announce(report) -> None:
        if not as_json:
            click.echo(describe_report(said.without_told(report)), err=report.status == "failed")

    for failure in reports:
        announce(failure)
    with failures_as_json(as_json):
        reports += process_all(containers, options, dry_run, announce)
    if as_json:
        print_json(reports)
    elif len(reports) > 1:
        counts = Counter(report.status for report in reports)
        counts["with warnings"] = sum(bool(report.warnings) for report in reports)
        for line in said.closing():
            click.echo(line)
        click.echo(", ".join(f"{count} {status}" for status, count in counts.items() if count))
    if any(report.status == "failed" for report in reports):
        sys.exit(1)
