"""The size of a single spike: average dF/F around spikes that stand alone, beside that of the ground truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.ground_truth.catalogue import load_catalogue
from cascade_engine.ground_truth.records import Recording
from cascade_engine.ground_truth.single_spikes import MIN_SPIKES, PEAK_S, TIMES_S, SpikeAverages, spike_averages
from cascade_engine.networks.indicators import plain_name
from cascade_engine.plotting.canvas import (
    DFF_COLOUR,
    TRUTH_COLOUR,
    SpikeTimes,
    as_rows,
    as_spike_times,
    bare,
    new_axes,
)
from cascade_engine.signal.noise import as_frame_rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cascade_engine.discrete import DiscreteSpikes


def plot_single_spikes(
    dff: np.ndarray,
    frame_rate: float,
    spikes: SpikeTimes | DiscreteSpikes,
    *,
    indicator: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the average dF/F around single spikes: of each neuron, and the mean over neurons.

    A spike is single if there is no other within 2 s before and 1 s after it. Its size is the mean around the peak.
    With discrete spikes that were inferred, the average tells what the network took for one spike. If that is far from
    the ground truth of the same indicator, the number of spikes is doubtful: several spikes may have been taken for
    one, or neuropil may make dF/F too small.

    Parameters
    ----------
    dff : array, shape (n_neurons, n_frames)
        dF/F as a fraction; NaN where missing.
    frame_rate : float
        Frame rate in Hz.
    spikes : DiscreteSpikes or sequence of array
        What `infer_discrete_spikes` gives, or true times in s of each neuron, counted from the first frame.
    indicator : str, optional
        Calcium indicator, such as "GCaMP6s": the sizes in the ground truth of excitatory cells with this indicator are
        drawn beside it.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn into. Neurons with fewer than 5 single spikes are left out, and counted in the text.

    Raises
    ------
    InputError
        If the arrays do not fit together, or the ground truth has no size for the indicator.
    MissingExtraError
        Without matplotlib.

    Examples
    --------
    >>> from cascade_engine.ground_truth import Indicator, simulate_dataset
    >>> recordings = simulate_dataset(3, 300.0, noise_level=0.5, indicator=Indicator(amplitude=0.2)).recordings
    >>> ax = plot_single_spikes(
    ...     [each.dff for each in recordings], 30.0, [each.spike_times_s for each in recordings], indicator="GCaMP6f"
    ... )
    >>> ax.get_xlabel()
    'time from the spike (s)'
    """
    dff, frame_rate = as_rows("dff", dff), as_frame_rate(frame_rate)
    times = as_spike_times("spikes", spikes, len(dff))
    known = known_sizes(indicator) if indicator is not None else {}
    time_s = np.arange(dff.shape[1]) / frame_rate
    found = spike_averages([[Recording("", time_s, row, each)] for row, each in zip(dff, times, strict=True)])
    if ax is None:
        (ax,) = new_axes(height=4.5)
    _draw(ax, found)
    if known:
        sizes = np.array(list(known.values()))
        ax.axhspan(sizes.min(), sizes.max(), color=TRUTH_COLOUR, alpha=0.2, linewidth=0, zorder=0)
        ax.hlines(sizes, TIMES_S[0], TIMES_S[-1], color=TRUTH_COLOUR, linewidth=0.8, zorder=0, label="ground truth")
        span = f"{sizes.min():.2f}" if len(sizes) == 1 else f"{sizes.min():.2f} to {sizes.max():.2f}"
        word = "dataset" if len(sizes) == 1 else "datasets"
        ax.text(
            TIMES_S[-1], sizes.max(), f"{indicator} in the ground truth: {span} ({len(sizes)} {word})",
            color=TRUTH_COLOUR, ha="right", va="bottom",
        )  # fmt: skip
        low, high = ax.get_ylim()
        ax.set_ylim(low, max(high, 1.25 * sizes.max()))
    return ax


def known_sizes(indicator: str) -> dict[str, float]:
    """dF/F (fraction) of one spike in each public dataset of excitatory cells with an indicator, by its key.

    Parameters
    ----------
    indicator : str
        Its name, in any spelling.

    Raises
    ------
    InputError
        If there is none: the message names the indicators that have a size.
    """
    sizes: dict[str, dict[str, float]] = {}
    names: dict[str, str] = {}
    for key, entry in load_catalogue().items():
        if entry.single_spike_dff is not None and entry.cell_type == "excitatory":
            sizes.setdefault(plain_name(entry.indicator), {})[key] = entry.single_spike_dff
            names[plain_name(entry.indicator)] = entry.indicator
    if plain_name(indicator) not in sizes:
        raise InputError(
            f"the ground truth has no size of a single spike for the indicator {indicator!r}, but for "
            f"{', '.join(sorted(names.values()))}"
        )
    return sizes[plain_name(indicator)]


def _draw(ax: Axes, found: SpikeAverages) -> None:
    """Averages of the neurons, their mean, and its size in words."""
    has_average = np.isfinite(found.averages).all(axis=1)
    for average in found.averages[has_average]:
        ax.plot(TIMES_S, average, color="0.7", linewidth=0.8)
    ax.axvline(0, color="0.4", linewidth=0.8, linestyle=":")
    n_left_out = np.count_nonzero(~has_average)
    left_out = f"; {n_left_out} with fewer than {MIN_SPIKES} left out" if n_left_out else ""
    if has_average.any():
        ax.plot(TIMES_S, found.mean, color=DFF_COLOUR, linewidth=2.5)
        peak_s = found.peak_s
        ax.hlines(found.size, peak_s - PEAK_S, peak_s + PEAK_S, color=DFF_COLOUR, linewidth=6, alpha=0.4)
        n_spikes, n_neurons = found.n_spikes[has_average].sum(), np.count_nonzero(has_average)
        counted = f"{n_spikes} single spikes of {n_neurons} neurons{left_out}"
        ax.set_title(f"dF/F of one spike: {found.size:.2f} (median)\n{counted}", loc="left", fontsize="medium")
    else:
        ax.set_title(f"No neuron has {MIN_SPIKES} spikes that stand alone", loc="left", fontsize="medium")
    ax.set_xlim(TIMES_S[0], TIMES_S[-1])
    ax.set_xlabel("time from the spike (s)")
    ax.set_ylabel("dF/F (fraction)")
    bare(ax)
