"""``cascade spikes``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from cascade_adapters.cli.selecting import PathOrAddress, selection_options


@click.command("spikes")
@click.argument("paths", nargs=-1, required=True, type=PathOrAddress())
@selection_options
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Threads [default: all processors].")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(paths, channel, series, key, orientation, raw, threads, as_json) -> None:
    """Turn the results of 'cascade run' at or below PATHS into discrete spikes, and write these beside them.

    Single spikes can be trusted at low noise only; where the noise is too high this says so. 'cascade restore' removes
    them together with the results, a new 'cascade run' replaces both.
    """
    from cascade_adapters.containers.base import Selection
    from cascade_adapters.containers.registry import find_all
    from cascade_adapters.running.discrete import SpikeReport, add_spikes
    from cascade_engine.errors import CascadeError

    selection = Selection(channel, series, key=key, orientation=orientation, raw=raw)
    containers, failures = find_all(paths, selection)
    reports = [SpikeReport(failure.path, failure.kind, "failed", failure.message) for failure in failures]
    for container in containers:
        try:
            report = add_spikes(container, threads)
        except CascadeError as error:
            report = SpikeReport(str(container.path), container.kind, "failed", str(error))
        reports.append(report)
    if as_json:
        click.echo(json.dumps([asdict(report) for report in reports], indent=1))
    for report in reports:
        if report.status == "failed":
            click.echo(f"cascade: {report.message}", err=True)
        elif not as_json:
            click.echo(_describe(report))
    if any(report.status == "failed" for report in reports):
        sys.exit(1)


def _describe(report) -> str:
    rate = "" if report.median_rate_hz is None else f", median rate {report.median_rate_hz:.2g} Hz"
    lines = [
        f"{report.path}: {report.n_spikes} spikes in {report.n_active} of {report.n_rois} ROIs{rate}",
        *(f"  warning: {text}" for text in report.warnings),
        f"  wrote {', '.join(report.written)}",
    ]
    return "\n".join(lines)
