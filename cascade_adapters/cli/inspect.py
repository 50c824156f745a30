"""``cascade inspect``."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from cascade_adapters.cli.choices import CommandWithChoices, PathOrAddress, choices_of, given


@click.command("inspect", cls=CommandWithChoices)
@click.argument("paths", nargs=-1, required=True, type=PathOrAddress())
@choices_of(leave_out=("in_place", "only_cells", "replace_spikes", "existing", "n_threads"))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(paths: tuple, as_json: bool, **choices: Any) -> None:
    """Show what lies at or below PATHS: size, frame rate and its source, noise, earlier results. Writes nothing."""
    from cascade_adapters.cli.text import SaidOnce, describe_inspection
    from cascade_adapters.running.batch import inspect_all
    from cascade_adapters.running.finding import find_all
    from cascade_adapters.running.options import parse_options

    options = parse_options(given(choices))
    containers, failures = find_all(paths, options.selection)
    reports = failures + inspect_all(containers, options)
    if as_json:
        click.echo(json.dumps([report.to_dict() for report in reports], indent=1))
    else:
        said = SaidOnce()
        for report in reports:
            click.echo(describe_inspection(said.without_told(report)), err=report.status == "failed")
        for line in said.closing():
            click.echo(line)
    if any(report.status == "failed" for report in reports):
        sys.exit(1)
