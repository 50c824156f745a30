"""Noise levels: how good the neurons of a recording are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.plotting.canvas import INFERRED_COLOUR, as_values, bare, new_axes, whole_numbers
from cascade_engine.signal.noise import NOISE_UNIT, NOISE_ZONES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colour of each zone: of different brightness, so that they differ without colour, too.
_ZONE_COLOURS = ("#D6EAF8", "#F2F2F2", "#FBE3CF")

#: Noise levels that are shown in any case (percent per sqrt(Hz)), and bins for a factor of 10.
_SHOWN, _BINS_PER_DECADE = (0.5, 10.0), 16


def plot_noise_levels(noise_levels: np.ndarray, *, label: str = "neurons", ax: Axes | None = None) -> Axes:
    """Draw how many neurons have which noise level, over the zones very good, decent and poor.

    Parameters
    ----------
    noise_levels : array, shape (n_neurons,)
        In percent per sqrt(Hz), as of `cascade_engine.noise_levels`; neurons without one are NaN, and counted in the
        text below.
    label : str
        What is counted, for the axis.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn into.

    Raises
    ------
    InputError
        If it is not one number per neuron.
    MissingExtraError
        Without matplotlib.

    Examples
    --------
    >>> ax = plot_noise_levels([0.9, 1.2, 3.1, 3.3, 6.0, np.nan])
    >>> [text.get_text().splitlines() for text in ax.texts][:2]
    [['very good', '2 of 5'], ['decent', '2 of 5']]
    >>> ax.get_xlabel()
    'noise level (% per sqrt(Hz)); 1 of 6 without one'
    """
    levels = as_values("noise_levels", noise_levels)
    known = levels[np.isfinite(levels)]
    if (known < 0).any():
        raise InputError(f"noise_levels must not be negative, but one is {known.min():g}")
    if ax is None:
        (ax,) = new_axes()
    shown = np.array([*_SHOWN, *known[known > 0]])
    low, high = float(shown.min()), float(shown.max())
    n_bins = int(np.ceil(_BINS_PER_DECADE * np.log10(high / low)))
    edges = np.geomspace(low, high, n_bins + 1)
    ax.set_xscale("log")
    # a noise level of exactly 0 is counted in the lowest bin
    counts = np.histogram(np.clip(known, low, high), edges)[0]
    widths = np.diff(edges)
    ax.bar(edges[:-1] + 0.05 * widths, counts, 0.9 * widths, align="edge", color=INFERRED_COLOUR, zorder=2)
    top = 1.3 * max(1, int(counts.max()))
    ax.set_ylim(0, top)
    ax.set_xlim(edges[0], edges[-1])
    for (name, start, end), colour in zip(NOISE_ZONES, _ZONE_COLOURS, strict=True):
        left, right = max(start, edges[0]), min(end, edges[-1])
        ax.axvspan(left, right, color=colour, zorder=0, linewidth=0)
        n_inside = np.count_nonzero((known >= start) & (known < end))
        text = f"{name}\n{n_inside} of {len(known)}"
        ax.text(np.sqrt(left * right), 0.97 * top, text, ha="center", va="top", zorder=3)
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if edges[0] <= tick <= edges[-1]]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    whole_numbers(ax)
    without = len(levels) - len(known)
    ax.set_xlabel(f"noise level ({NOISE_UNIT})" + (f"; {without} of {len(levels)} without one" if without else ""))
    ax.set_ylabel(f"number of {label}")
    bare(ax)
    return ax
