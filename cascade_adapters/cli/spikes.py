"""``cascade spikes``."""

from __future__ import annotations

import sys
from typing import Any

import click

from cascade_adapters.cli.choices import PathOrAddress, choices_of
from cascade_adapters.cli.defaults import defaults_option, with_defaults
from cascade_adapters.cli.help import Command
from cascade_adapters.cli.json_output import failures_as_json, json_option, print_json
from cascade_engine.parallel import THREAD_LIMITS


@click.command("spikes", cls=Command)
@click.argument("paths", nargs=-1, required=True, type=PathOrAddress())
@choices_of("selection", leave_out=("in_place", "raw"))
@click.option(
    "--threads", type=click.IntRange(*THREAD_LIMITS), metavar="N", help="Number of threads [default: all processors]."
)
@defaults_option
@json_option
def command(paths: tuple, no_defaults: bool, threads: int | None, as_json: bool, **choices: Any) -> None:
    """Find discrete spikes in the results of 'cascade run' at or below PATHS, and write them beside the results.

    Single spikes can be trusted at low noise only: a warning says where the noise is too high. 'cascade restore'
    removes them together with the results; a new 'cascade run' replaces both.
    """
    from cascade_adapters.cli.text import SaidOnce, describe_spikes
    from cascade_adapters.containers.base import Selection
    from cascade_adapters.running.batch import add_spikes_to_all
    from cascade_adapters.running.finding import find_all

    with failures_as_json(as_json):
        chosen, _ = with_defaults(paths, choices, no_defaults)
        selection = Selection(**chosen)
        containers, failures = find_all(paths, selection)
        reports = failures + add_spikes_to_all(containers, threads, selection)
    if as_json:
        print_json(reports)
    else:
        said = SaidOnce()
        for report in reports:
            click.echo(describe_spikes(said.without_told(report)), err=report.status == "failed")
        for line in said.closing():
            click.echo(line)
    if any(report.status == "failed" for report in reports):
        sys.exit(1)
