"""``cascade run``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import click

from cascade_adapters.cli.selecting import PathOrAddress, reading_options, selection_options


@click.command("run")
@click.argument("paths", nargs=-1, required=True, type=PathOrAddress())
@click.option("--model", metavar="MODEL", help="Name or folder of a model [default: auto].")
@reading_options
@click.option(
    "--baseline",
    type=click.Choice(["percentile", "maximin", "constant"]),
    default="percentile",
    show_default=True,
    help="How F0 is found.",
)
@click.option("--baseline-window", type=float, default=60.0, show_default=True, metavar="S", help="Window in seconds.")
@click.option("--baseline-percentile", type=float, default=15.0, show_default=True, metavar="P", help="Percentile.")
@click.option("--smoothing", type=float, metavar="S", help="Width of the kernel [default: the model's; 1.5 frames].")
@click.option("--kernel", type=click.Choice(["gaussian", "causal"]), help="Form of the kernel [default: the model's].")
@click.option(
    "--population", type=click.Choice(["principal", "interneurons"]), help="What the neurons are [default: principal]."
)
@click.option(
    "--indicator", metavar="NAME", help="Calcium indicator, e.g. GCaMP6s, or 'unknown' [default: the container's]."
)
@click.option("--noise-level", type=float, metavar="NU", help="Choose networks by this, not by each ROI's own noise.")
@click.option(
    "--threshold",
    type=click.Choice(["0", "1", "none"]),
    default="0",
    show_default=True,
    help="0: no negative values; 1: also nothing below a third of a spike; none: as the networks give it.",
)
@click.option("--only-cells", is_flag=True, help="Predict only ROIs that the container takes for cells.")
@selection_options
@click.option(
    "--replace-spks",
    "--replace-s",
    is_flag=True,
    help="Put rates (Hz) into suite2p's spks.npy or CaImAn's S, after a backup.",
)
@click.option("--in-place", is_flag=True, help="NWB: change the file itself instead of writing a new one beside it.")
@click.option(
    "--existing",
    type=click.Choice(["error", "skip", "overwrite"]),
    default="error",
    show_default=True,
    help="What to do where results are.",
)
@click.option("--dry-run", is_flag=True, help="Read and check everything, write nothing.")
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Threads [default: all processors].")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.option("--log", type=click.Path(dir_okay=False, path_type=Path), help="File for details of unforeseen failures.")
def command(paths, model, frame_rate, neuropil_coefficient, dff, arbitrary_units, baseline, baseline_window,
            baseline_percentile, smoothing, kernel, population, indicator, noise_level, threshold, only_cells,
            channel, series, key, orientation, raw, replace_spks, in_place, existing, dry_run, threads, as_json, quiet,
            log):  # fmt: skip
    """Infer spikes in every recording at or below PATHS and write them back.

    A failure of one recording does not stop the others; the exit status is 1 if any failed.
    """
    from cascade_adapters.cli.text import describe_report
    from cascade_adapters.containers.base import Selection
    from cascade_adapters.containers.registry import find_all
    from cascade_adapters.running.batch import process_all
    from cascade_adapters.running.options import Options
    from cascade_engine.networks.store import AUTOMATIC, load_model
    from cascade_engine.signal.dff import Baseline
    from cascade_engine.signal.noise import as_frame_rate

    options = Options(
        model=model or AUTOMATIC,
        frame_rate=None if frame_rate is None else as_frame_rate(frame_rate),
        neuropil_coefficient=neuropil_coefficient,
        dff=dff,
        arbitrary_units=arbitrary_units,
        baseline=Baseline(baseline, baseline_window, baseline_percentile),
        smoothing=smoothing,
        kernel=kernel,
        population=population,
        indicator=indicator,
        noise_level=noise_level,
        threshold={"0": 0, "1": 1, "none": False}[threshold],
        only_cells=only_cells,
        replace_spikes=replace_spks,
        existing=existing,
        n_threads=threads,
        progress=not quiet and not as_json and sys.stderr.isatty(),
    )
    load_model(options.model)
    containers, reports = find_all(paths, Selection(channel, series, in_place, key, orientation, raw))

    def announce(report) -> None:
        if not as_json:
            click.echo(describe_report(report), err=report.status == "failed")

    for failure in reports:
        announce(failure)
    reports += process_all(containers, options, dry_run, announce, log)
    failed = [report for report in reports if report.status == "failed"]
    if as_json:
        click.echo(json.dumps([report.to_dict() for report in reports], indent=1))
    elif len(reports) > 1:
        counts = Counter(report.status for report in reports)
        counts["with warnings"] = sum(bool(report.warnings) for report in reports)
        click.echo(", ".join(f"{count} {status}" for status, count in counts.items() if count))
        for report in failed:
            click.echo(describe_report(report), err=True)
    if failed:
        sys.exit(1)
