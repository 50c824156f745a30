"""``cascade convert``."""

from __future__ import annotations

import traceback
from pathlib import Path

import click

from cascade_adapters.cli.selecting import reading_options, selection_options


def _print_template(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from cascade_adapters.convert.metadata import TEMPLATE

        click.echo(TEMPLATE, nl=False)
        ctx.exit()


@click.command("convert")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "kind",
    type=click.Choice(["nwb", "zarr", "suite2p", "npz", "mat", "csv"]),
    help="Kind of OUT [default: what its name says].",
)
@click.option("--session-start-time", metavar="TIME", help="NWB: when the session began: 2024-05-17T12:30:00+02:00.")
@click.option(
    "--metadata",
    "metadata_file",
    type=click.Path(path_type=Path),
    metavar="YAML",
    help="NWB: a file on the experiment; see --template.",
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="NWB: one line of such a file.")
@click.option(
    "--template",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_template,
    help="Print a file for --metadata.",
)
@reading_options
@selection_options
@click.option("--log", type=click.Path(dir_okay=False, path_type=Path), help="File for details of unforeseen failures.")
def command(source, target, kind, session_start_time, metadata_file, settings, frame_rate, neuropil_coefficient, dff,
            arbitrary_units, channel, series, key, orientation, raw, log):  # fmt: skip
    """Write what the recording IN holds to the new file or folder OUT. Nothing is computed, IN stays as it is.

    \b
    OUT.nwb, OUT.nwb.zarr   NWB: traces, masks, dF/F, spike probability, one set per plane
    OUT.npz, OUT.mat        the same as arrays
    OUT                     a folder like suite2p's; with --to csv, a folder of tables
    """
    from cascade_adapters.containers.base import Reading, Selection
    from cascade_adapters.convert import convert, read_metadata
    from cascade_engine.errors import CascadeError

    if session_start_time is not None:
        settings = (*settings, f"session_start_time={session_start_time}")
    metadata = read_metadata(metadata_file, settings)
    selection = Selection(channel=channel, series=series, key=key, orientation=orientation, raw=raw)
    reading = Reading(frame_rate, neuropil_coefficient, dff, arbitrary_units)
    try:
        done = convert(source, target, kind, selection, reading, metadata)
    except (CascadeError, OSError):
        raise
    except Exception as error:
        if log is not None:
            with log.open("a", encoding="utf-8") as file:
                file.write(f"{source} to {target}\n{traceback.format_exc()}\n")
        text = " ".join(str(error).split())
        raise CascadeError(f"unforeseen failure, please report it: {type(error).__name__}: {text}") from error
    click.echo(f"{done.target}: {done.kind}, from {done.session.path} ({done.session.kind})")
    for plane in done.session.planes:
        n_rois, n_frames = plane.traces.shape
        click.echo(f"  {plane.name}: {n_rois} ROIs x {n_frames} frames of {plane.traces.source}")
        click.echo(f"    {', '.join(plane.content)}")
    for text in done.session.remarks:
        click.echo(f"  warning: {text}")
