"""``cascade convert``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cascade_adapters.cli.choices import choices_of
from cascade_adapters.cli.defaults import defaults_option, with_defaults
from cascade_adapters.cli.help import Command
from cascade_adapters.cli.json_output import failures_as_json, json_option, print_json
from cascade_adapters.cli.names import Choice

if TYPE_CHECKING:
    from cascade_adapters.convert.conversion import Conversion
    from cascade_adapters.convert.session import Plane
    from cascade_adapters.running.report import Report


def _print_template(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from cascade_adapters.convert.metadata import TEMPLATE

        click.echo(TEMPLATE, nl=False)
        ctx.exit()


@click.command("convert", cls=Command)
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "kind",
    type=Choice(["nwb", "zarr", "suite2p", "npz", "mat", "csv"]),
    help="Kind of OUT [default: by its name].",
)
@click.option("--session-start-time", metavar="TIME", help="NWB: start of the session: 2024-05-17T12:30:00+02:00.")
@click.option(
    "--metadata",
    "metadata_file",
    type=click.Path(path_type=Path),
    metavar="YAML",
    help="NWB: a file that describes the experiment; see --template.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="NWB: one entry of such a file; may be given several times.",
)
@click.option(
    "--template",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_template,
    help="Print an empty file for --metadata.",
)
@defaults_option
@json_option
@choices_of("reading", "selection", leave_out=("in_place", "offset"))
def command(
    source: Path,
    target: Path,
    kind: str | None,
    session_start_time: str | None,
    metadata_file: Path | None,
    settings: tuple[str, ...],
    no_defaults: bool,
    as_json: bool,
    **choices: Any,
) -> None:
    """Write what the recording IN holds to a new file or folder OUT. Nothing is computed; IN stays as it is.

    \b
    OUT.nwb, OUT.nwb.zarr   NWB: traces, masks, dF/F and spike probability of each plane
    OUT.npz, OUT.mat        the same as arrays
    OUT                     a suite2p folder; with --to csv, a folder of tables
    """
    from cascade_adapters.convert import convert, read_metadata
    from cascade_adapters.running.options import parse_options

    if session_start_time is not None:
        settings = (*settings, f"session_start_time={session_start_time}")
    with failures_as_json(as_json):
        metadata = read_metadata(metadata_file, settings)
        chosen, _ = with_defaults((source,), choices, no_defaults)
        options = parse_options(chosen)
        done = convert(source, target, kind, options.selection, options.reading, metadata)
    if as_json:
        print_json([_report(done, plane) for plane in done.session.planes])
        return
    click.echo(f"{done.target}: {done.kind}, from {done.session.path} ({done.session.kind})")
    for plane in done.session.planes:
        n_rois, n_frames = plane.traces.shape
        click.echo(f"  {plane.name}: {n_rois} ROIs x {n_frames} frames of {plane.traces.source}")
        click.echo(f"    {', '.join(plane.content)}")
    for text in done.session.remarks:
        click.echo(f"  warning: {text}")


def _report(done: Conversion, plane: Plane) -> Report:
    """The report on one plane that was converted."""
    from cascade_adapters.running.report import Report

    traces = plane.traces
    return Report(
        path=str(done.target),
        kind=done.kind,
        traces=traces.source,
        dff="computed" if traces.dff is None else "container",
        arbitrary_units=traces.arbitrary_units,
        denoised=traces.denoised,
        n_rois=traces.shape[0],
        n_frames=traces.shape[1],
        frame_rate_hz=traces.frame_rate,
        frame_rate_source=traces.frame_rate_source,
        duration_s=traces.grid.n_frames / traces.frame_rate,
        offset=traces.offset,
        segments=traces.segments,
        n_dropped=sum(max(count, 0) for count in traces.dropped.values()),
        container_indicator=traces.indicator,
        warnings=list(done.session.remarks),
        written=[f"{plane.name}: {text}" for text in plane.content],
    )
