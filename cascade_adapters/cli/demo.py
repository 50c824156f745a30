"""``cascade demo``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cascade_adapters.cli.help import Command


@click.command("demo", cls=Command)
@click.argument("folder", default="cascade-demo", type=click.Path(path_type=Path))
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(folder: Path, quiet: bool) -> None:
    """Try it: make an example recording in FOLDER, infer its spikes, and compare them with the true ones.

    FOLDER is 'cascade-demo' unless you name another one; it must not exist yet. The recording is simulated, so its true
    spikes are known. Nothing is downloaded. Remove the folder when you have seen enough.
    """
    from cascade_adapters.demo import run_example

    example = run_example(folder, click.echo, progress=not quiet and sys.stderr.isatty())
    click.echo("compared with its true spikes, which are known (medians over the neurons of a plane):")
    for each in example.agreements:
        click.echo(
            f"  {each.plane}, noise level {each.noise_level:.1f}: correlation {each.correlation:.2f} (1 is perfect), "
            f"{each.inferred_per_true:.2f} spikes inferred for each true one"
        )
    click.echo(f"open this page in your browser: {example.page}")
    if example.picture:
        click.echo(f"picture: {example.picture}")
    click.echo(f"results: {example.planes[0] / 'cascade_spike_prob.npy'} and the other cascade files beside it")
    click.echo("your own data: cascade inspect PATH, then cascade run PATH")
