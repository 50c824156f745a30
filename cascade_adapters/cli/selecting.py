"""Options that several commands share: which traces are meant, and what is known about them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

_SELECTION = (
    click.option("--channel", type=click.IntRange(1, 2), default=1, show_default=True, help="suite2p: channel."),
    click.option("--series", metavar="NAME", help="NWB: path of the series inside the file, or its last part."),
    click.option("--key", metavar="NAME", help="Arrays: the variable that holds the traces; SIMA: the extraction."),
    click.option(
        "--orientation", type=click.Choice(["rois-first", "frames-first"]), help="Arrays: which axis comes first."
    ),
    click.option("--raw", is_flag=True, help="Arrays: raw fluorescence, not dF/F."),
)

_READING = (
    click.option("--frame-rate", type=float, metavar="HZ", help="Frame rate of each ROI, instead of the container's."),
    click.option("--neuropil-coefficient", type=float, metavar="R", help="Instead of the container's [else 0.7]."),
    click.option(
        "--dff",
        type=click.Choice(["auto", "container", "compute"]),
        default="auto",
        show_default=True,
        help="Take the container's dF/F, or compute it from raw fluorescence.",
    ),
    click.option("--arbitrary-units", is_flag=True, help="Accept traces of which no dF/F can be had (one-photon)."),
)


class PathOrAddress(click.Path):
    """A path, as `pathlib.Path`; an address such as ``https://...`` stays text."""

    def __init__(self):
        super().__init__(path_type=Path)

    def convert(self, value, param, ctx):
        """Convert an argument."""
        return value if isinstance(value, str) and "://" in value else super().convert(value, param, ctx)


def selection_options(command: Callable) -> Callable:
    """Add the options that say which traces are meant."""
    return _add(command, _SELECTION)


def reading_options(command: Callable) -> Callable:
    """Add the options that take precedence over what a container says about its traces."""
    return _add(command, _READING)


def _add(command: Callable, options: tuple[Callable, ...]) -> Callable:
    for option in reversed(options):
        command = option(command)
    return command
