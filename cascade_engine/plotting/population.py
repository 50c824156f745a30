"""The raster of a population: rates as shades of grey, discrete spikes as ticks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.plotting.canvas import (
    INFERRED_COLOUR,
    MISSING_COLOUR,
    SpikeTimes,
    as_rows,
    as_spike_times,
    new_axes,
    times_of,
    whole_numbers,
)
from cascade_engine.signal.noise import as_frame_rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cascade_engine.discrete import DiscreteSpikes

#: Bins of time that a picture can show.
_MOST_BINS = 800

#: Rates above this percentile are as dark as it: a few large ones are not to make all others invisible.
_DARKEST_PERCENTILE = 99.5


def plot_raster(
    spike_prob: np.ndarray | None,
    frame_rate: float,
    spikes: SpikeTimes | DiscreteSpikes | None = None,
    *,
    bin_s: float | None = None,
    order: Sequence[int] | np.ndarray | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the activity of many neurons over time, a row for each.

    Rates are shades of grey, each the mean over a bin of time; discrete spikes are ticks. Where there is no prediction
    the row is blue, and the text below says how many neurons have none.

    Parameters
    ----------
    spike_prob : array, shape (n_neurons, n_frames), or None
        Expected spikes per frame, NaN where missing; None to draw discrete spikes alone.
    frame_rate : float
        Frame rate in Hz.
    spikes : DiscreteSpikes or sequence of array, optional
        Discrete spikes: what `infer_discrete_spikes` gives, or times of each neuron in s.
    bin_s : float, optional
        Length of a bin in s. Default: a frame, or longer where the picture cannot show each.
    order : sequence of int, optional
        Neurons from top to bottom. Default: all, as they are.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn into.

    Raises
    ------
    InputError
        If the arrays do not fit together, or there is nothing to draw.
    MissingExtraError
        Without matplotlib.

    Examples
    --------
    >>> spike_prob = np.zeros((3, 300))
    >>> spike_prob[2] = np.nan
    >>> ax = plot_raster(spike_prob, 30.0, spikes=[[1.0, 2.5], [4.0], []])
    >>> ax.get_xlabel()
    'time (s); blue: no prediction (none at all in 1 of 3 neurons)'
    """
    frame_rate = as_frame_rate(frame_rate)
    if spike_prob is None and spikes is None:
        raise InputError("there is nothing to draw: pass spike_prob, spikes, or both")
    if spike_prob is not None:
        spike_prob = as_rows("spike_prob", spike_prob)
        if not spike_prob.size:
            raise InputError(f"spike_prob holds nothing: its shape is {spike_prob.shape}")
        n_neurons = len(spike_prob)
    else:
        n_neurons = len(times_of(spikes))
    rows = _checked_order(order, n_neurons)
    times = None if spikes is None else as_spike_times("spikes", spikes, n_neurons)
    if ax is None:
        (ax,) = new_axes(height=4.5)
    about = ""
    if spike_prob is not None:
        about = _draw_rates(ax, spike_prob[rows], frame_rate, bin_s, lighter=times is not None)
        end_s = spike_prob.shape[1] / frame_rate
    else:
        assert times is not None
        known_s = getattr(spikes, "n_frames", 0) / frame_rate
        end_s = known_s or max((float(each.max()) for each in times if each.size), default=1.0)
    if times is not None:
        ax.eventplot(
            [times[row] for row in rows],
            lineoffsets=[*map(float, range(len(rows)))], linelengths=0.8, linewidths=1.0, colors=INFERRED_COLOUR,
        )  # fmt: skip
    ax.set_xlim(0, end_s)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    whole_numbers(ax)
    ax.set_xlabel(f"time (s){about}")
    ax.set_ylabel("neuron" if order is None else "neuron, in the given order")
    return ax


def _draw_rates(ax: Axes, spike_prob: np.ndarray, frame_rate: float, bin_s: float | None, lighter: bool) -> str:
    """Draw the shades and their scale; returns what is to be said of missing values."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    n_neurons, n_frames = spike_prob.shape
    if bin_s is not None and not bin_s > 0:
        raise InputError(f"bin_s must be above 0 s, but it is {bin_s!r}")
    wanted = -(-n_frames // _MOST_BINS) if bin_s is None else round(bin_s * frame_rate)
    per_bin = min(max(1, wanted), n_frames)
    rate = frame_rate * _means(spike_prob, per_bin)
    known = rate[np.isfinite(rate)]
    darkest = max(float(np.percentile(known, _DARKEST_PERCENTILE)) if known.size else 0.0, 1.0)
    shades = colormaps["Greys"](np.linspace(0, 0.55 if lighter else 1.0, 256))
    greys = ListedColormap(shades).with_extremes(bad=MISSING_COLOUR)
    image = ax.imshow(
        np.ma.masked_invalid(rate),
        cmap=greys, vmin=0, vmax=darkest, aspect="auto", interpolation="nearest",
        extent=(0, rate.shape[1] * per_bin / frame_rate, n_neurons - 0.5, -0.5),
    )  # fmt: skip
    mean = f", mean over {per_bin / frame_rate:.2g} s" if per_bin > 1 else ""
    ax.figure.colorbar(image, ax=ax, label=f"rate (Hz){mean}", extend="max", pad=0.02)
    without = np.count_nonzero(np.isnan(spike_prob).all(axis=1))
    if without:
        return f"; blue: no prediction (none at all in {without} of {n_neurons} neurons)"
    return "; blue: no prediction" if np.isnan(rate).any() else ""


def _means(values: np.ndarray, per_bin: int) -> np.ndarray:
    """Means over bins of frames, of the frames that have a value; the last bin may have fewer."""
    starts = np.arange(0, values.shape[1], per_bin)
    known = np.isfinite(values)
    sums = np.add.reduceat(np.where(known, values, 0.0), starts, axis=1)
    counts = np.add.reduceat(known, starts, axis=1, dtype=int)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _checked_order(order: Sequence[int] | np.ndarray | None, n_neurons: int) -> np.ndarray:
    rows = np.arange(n_neurons) if order is None else np.asarray(order)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or (rows.size and not 0 <= rows.min() <= rows.max() < n_neurons):
        raise InputError(f"order must hold numbers of neurons, from 0 to {n_neurons - 1}")
    return rows
