"""Traces: dF/F of neurons with the inferred spike rate, and with true and discrete spikes where they are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.plotting.canvas import (
    DFF_COLOUR,
    INFERRED_COLOUR,
    TRUTH_COLOUR,
    SpikeTimes,
    as_row,
    as_rows,
    as_spike_times,
    check_same_shape,
    given_axes,
    largest,
    matplotlib,
    new_axes,
)
from cascade_engine.signal.noise import as_frame_rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cascade_engine.discrete import DiscreteSpikes

#: dF/F (fraction) and rate (Hz) that are drawn at full height, at least: noise alone is not to look like activity.
_LEAST_DFF, _LEAST_RATE_HZ = 0.1, 1.0

#: Where things are drawn, in units of the largest dF/F: the rate from here, this high, then rows of spikes.
_RATE_FROM, _RATE_HEIGHT, _SPIKES_FROM, _SPIKES_HEIGHT, _ROW = -1.35, 0.9, -1.45, 0.3, 0.4

#: dF/F has room down to here, in the same units.
_LOWEST = -0.35

#: Where spikes are drawn if there is no rate.
_SPIKES_ALONE_FROM = -0.3


def plot_neuron(
    dff: np.ndarray,
    spike_prob: np.ndarray | None,
    frame_rate: float,
    true_spikes_s: np.ndarray | None = None,
    *,
    spikes_s: np.ndarray | None = None,
    label: str = "",
    largest_dff: float | None = None,
    names: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw dF/F of one neuron, the inferred spike rate below it, and spikes as ticks below that.

    Frames without a value are a gap. The text on the left says how high dF/F and rate go, and what is missing.

    Parameters
    ----------
    dff : array, shape (n_frames,)
        dF/F as a fraction; NaN where missing.
    spike_prob : array, shape (n_frames,), or None
        Expected spikes per frame; NaN where missing.
    frame_rate : float
        Frame rate in Hz.
    true_spikes_s : array, shape (n_spikes,), optional
        True spike times in s, counted from the first frame.
    spikes_s : array, shape (n_found,), optional
        Discrete spikes that were inferred: times in s.
    label : str
        Text on the left.
    largest_dff : float, optional
        dF/F (fraction) that is drawn at full height, so that several neurons can be compared. Default: the largest.
    names : bool
        Write on the right what is what.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn into.

    Raises
    ------
    InputError
        If the arrays do not fit together.
    MissingExtraError
        Without matplotlib.

    Examples
    --------
    >>> from cascade_engine import predict
    >>> from cascade_engine.ground_truth import simulate_dataset
    >>> recording = simulate_dataset(n_neurons=1, duration_s=60).recordings[0]
    >>> spike_prob = predict(recording.dff[None], frame_rate=30.0)
    >>> ax = plot_neuron(recording.dff, spike_prob[0], 30.0, recording.spike_times_s, label="cell 1")
    >>> ax.get_xlabel()
    'time (s)'
    """
    dff, frame_rate = as_row("dff", dff), as_frame_rate(frame_rate)
    if not dff.size:
        raise InputError("dff holds no frame")
    if ax is None:
        (ax,) = new_axes(height=2.4)
    time_s = np.arange(len(dff)) / frame_rate
    height = max(largest(dff) if largest_dff is None else largest_dff, _LEAST_DFF)
    # where dF/F reaches far below 0, what is drawn below it moves down
    lowest = max(-height, float(np.nanpercentile(dff, 0.5))) if np.isfinite(dff).any() else 0.0
    down = min(0.0, lowest - _LOWEST * height)
    ax.plot(time_s, dff, color=DFF_COLOUR, linewidth=0.8, label="dF/F")
    rows = {"dF/F": (0.0, DFF_COLOUR)}
    lines = [label] if label else []
    lines.append(f"dF/F to {height:.1f}" if np.isfinite(dff).any() else "no dF/F")
    if spike_prob is not None:
        spike_prob = as_row("spike_prob", spike_prob)
        check_same_shape("spike_prob", spike_prob, "dff", dff)
        rate = spike_prob * frame_rate
        peak = max(largest(rate), _LEAST_RATE_HZ)
        ax.plot(
            time_s, down + height * (_RATE_FROM + _RATE_HEIGHT * rate / peak),
            color=INFERRED_COLOUR, linewidth=1.0, label="inferred spike rate",
        )  # fmt: skip
        rows["inferred"] = (down + height * (_RATE_FROM + 0.1), INFERRED_COLOUR)
        lines.append(f"rate to {peak:.0f} Hz" if np.isfinite(rate).any() else "no prediction")
    below = down + height * (_SPIKES_FROM if spike_prob is not None else _SPIKES_ALONE_FROM)
    for times, colour, name in (
        (spikes_s, INFERRED_COLOUR, "discrete spikes"),
        (true_spikes_s, TRUTH_COLOUR, "true spikes"),
    ):
        if times is not None:
            (times,) = as_spike_times(name, [times], 1)
            ax.vlines(times, below - _SPIKES_HEIGHT * height, below, color=colour, linewidth=1.0, label=name)
            rows[name.removesuffix(" spikes")] = (below - 0.5 * _SPIKES_HEIGHT * height, colour)
            below -= _ROW * height
    ax.set_ylim(min(below, lowest) - 0.05 * height, 1.05 * max(height, largest(dff)))
    ax.set_ylabel("\n".join(lines), rotation=0, ha="right", va="center")
    ax.set_yticks([])
    ax.spines[["top", "right", "left"]].set_visible(False)
    end_s = max(time_s[-1], 1 / frame_rate)
    ax.set_xlim(time_s[0], end_s)
    for name, (y, colour) in rows.items() if names else ():
        ax.annotate(
            name, (end_s, y), xytext=(4, 0), textcoords="offset points",
            color=colour, fontsize="small", va="center", annotation_clip=False,
        )  # fmt: skip
    ax.set_xlabel("time (s)")
    return ax


def plot_traces(
    dff: np.ndarray,
    spike_prob: np.ndarray,
    frame_rate: float,
    true_spikes_s: SpikeTimes | None = None,
    labels: Sequence[str] | None = None,
    title: str = "",
    *,
    spikes_s: SpikeTimes | DiscreteSpikes | None = None,
    axes: Sequence[Axes] | None = None,
) -> Figure:
    """Draw dF/F and inferred spike rate of a few neurons, one above the other, with spikes where they are known.

    Each is drawn by `plot_neuron`; beside the first stands what is what.

    Parameters
    ----------
    dff : array, shape (n_neurons, n_frames)
        dF/F as a fraction.
    spike_prob : array, shape (n_neurons, n_frames)
        Expected spikes per frame.
    frame_rate : float
        Frame rate in Hz.
    true_spikes_s : sequence of array, optional
        Spike times of each neuron in s, counted from the first frame.
    labels : sequence of str, optional
        Text beside each neuron.
    title : str
        Heading.
    spikes_s : DiscreteSpikes or sequence of array, optional
        Discrete spikes that were inferred: what `infer_discrete_spikes` gives, or times of each neuron in s.
    axes : sequence of matplotlib.axes.Axes, optional
        Where to draw: one for each neuron. Default: a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        To be saved or shown.

    Raises
    ------
    InputError
        If the arrays do not fit together.
    MissingExtraError
        Without matplotlib.

    Examples
    --------
    >>> dff = np.zeros((2, 100))
    >>> figure = plot_traces(dff, np.full_like(dff, np.nan), 30.0, labels=["cell 1", "cell 2"])
    >>> figure.axes[1].get_ylabel().splitlines()
    ['cell 2', 'dF/F to 0.1', 'no prediction']
    """
    dff, spike_prob = as_rows("dff", dff), as_rows("spike_prob", spike_prob)
    check_same_shape("spike_prob", spike_prob, "dff", dff)
    n_neurons = len(dff)
    if not n_neurons:
        raise InputError("dff holds no neuron")
    if labels is not None and len(labels) != n_neurons:
        raise InputError(f"labels must be {n_neurons} texts, one per neuron, but there are {len(labels)}")
    true = [None] * n_neurons if true_spikes_s is None else as_spike_times("true_spikes_s", true_spikes_s, n_neurons)
    found = [None] * n_neurons if spikes_s is None else as_spike_times("spikes_s", spikes_s, n_neurons)
    if axes is None:
        matplotlib()
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 0.6 + 1.35 * n_neurons), layout="constrained")
        drawn = figure.subplots(n_neurons, 1, sharex=True, squeeze=False)[:, 0]
    else:
        drawn = given_axes(axes, n_neurons)
    for i, ax in enumerate(drawn):
        label = labels[i] if labels is not None else ""
        plot_neuron(dff[i], spike_prob[i], frame_rate, true[i], spikes_s=found[i], label=label, names=not i, ax=ax)
        if i < n_neurons - 1:
            ax.spines["bottom"].set_visible(False)
            ax.tick_params(bottom=False, labelbottom=False)
            ax.set_xlabel("")
    drawn[0].set_title(title, loc="left")
    return drawn[0].figure
