"""``cascade inspect``."""

from __future__ import annotations

import sys
from typing import Any

import click

from cascade_adapters.cli.choices import PathOrAddress, choices_of
from cascade_adapters.cli.defaults import defaults_option, with_defaults
from cascade_adapters.cli.help import Command
from cascade_adapters.cli.json_output import failures_as_json, json_option, print_json


@click.command("inspect", cls=Command)
@click.argument("paths", nargs=-1, required=True, type=PathOrAddress())
@choices_of(leave_out=("in_place", "only_cells", "replace_spikes", "existing", "n_threads"))
@defaults_option
@json_option
def command(paths: tuple, no_defaults: bool, as_json: bool, **choices: Any) -> None:
    """Show what lies at or below PATHS: size, frame rate and its source, noise, earlier results. Writes nothing."""
    from cascade_adapters.cli.text import SaidOnce, describe_inspection
    from cascade_adapters.running.batch import inspect_all
    from cascade_adapters.running.finding import find_all
    from cascade_adapters.running.lab_defaults import refuse_nearer
    from cascade_adapters.running.options import parse_options

    with failures_as_json(as_json):
        chosen, defaults = with_defaults(paths, choices, no_defaults)
        options = defaults.noted_in(parse_options(chosen))
        containers, failures = find_all(paths, options.selection)
        if not no_defaults:
            refuse_nearer(containers, defaults)
        reports = failures + inspect_all(containers, options)
    if as_json:
        print_json(reports)
    else:
        said = SaidOnce()
        for report in reports:
            click.echo(describe_inspection(said.without_told(report)), err=report.status == "failed")
        for line in said.closing():
            click.echo(line)
    if any(report.status == "failed" for report in reports):
        sys.exit(1)
