"""``cascade spikes``."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from cascade_adapters.cli.choices import PathOrAddress, choices_of, given


@click.command("spikes")
@click.argument("paths", nargs=-1, required=True, type=PathOrAddress())
@choices_of("selection", leave_out=("in_place",))
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Threads [default: all processors].")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(paths: tuple, threads: int | None, as_json: bool, **choices: Any) -> None:
    """Turn the results of 'cascade run' at or below PATHS into discrete spikes, and write these beside them.

    Single spikes can be trusted at low noise only; where the noise is too high this says so. 'cascade restore' removes
    them together with the results, a new 'cascade run' replaces both.
    """
    from cascade_adapters.cli.text import describe_spikes
    from cascade_adapters.containers.base import Selection
    from cascade_adapters.running.batch import add_spikes_to_all
    from cascade_adapters.running.finding import find_all

    containers, failures = find_all(paths, Selection(**given(choices)))
    reports = failures + add_spikes_to_all(containers, threads)
    if as_json:
        click.echo(json.dumps([report.to_dict() for report in reports], indent=1))
    for report in reports:
        if report.status == "failed":
            click.echo(f"cascade: {report.message}", err=True)
        elif not as_json:
            click.echo(describe_spikes(report))
    if any(report.status == "failed" for report in reports):
        sys.exit(1)
