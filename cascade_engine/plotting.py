"""Pictures of predictions; needs the extra ``plot``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cascade_engine.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DFF_COLOUR, _SPIKE_COLOUR, _TRUTH_COLOUR = "#4a7c59", "#1f1f1f", "#c8553d"


def plot_traces(
    dff: np.ndarray,
    spike_prob: np.ndarray,
    frame_rate: float,
    true_spikes_s: Sequence[np.ndarray] | None = None,
    labels: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Draw dF/F and inferred spike rate of a few neurons, one above the other, with true spikes where known.

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

    Returns
    -------
    matplotlib.figure.Figure
        To be saved or shown.

    Raises
    ------
    MissingExtraError
        Without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plot", "drawing") from None
    n_neurons, n_frames = np.shape(dff)
    time_s = np.arange(n_frames) / frame_rate
    figure = Figure(figsize=(11, 0.6 + 1.35 * n_neurons), layout="constrained")
    axes = figure.subplots(n_neurons, 1, sharex=True, squeeze=False)[:, 0]
    for i, axis in enumerate(axes):
        height = max(np.nanmax(dff[i]), 0.1)
        rate = spike_prob[i] * frame_rate
        peak = np.nanmax(rate) if np.isfinite(rate).any() and np.nanmax(rate) > 0 else 1.0
        axis.plot(time_s, dff[i], color=_DFF_COLOUR, linewidth=0.7, label="dF/F")
        # rates hang below dF/F, scaled to the same height
        axis.plot(
            time_s, -1.35 * height + 0.9 * height * rate / peak, color=_SPIKE_COLOUR, linewidth=0.8,
            label="inferred spike rate",
        )  # fmt: skip
        if true_spikes_s is not None:
            axis.vlines(
                true_spikes_s[i], -1.75 * height, -1.45 * height, color=_TRUTH_COLOUR, linewidth=0.8,
                label="true spikes",
            )  # fmt: skip
        text = f"{labels[i]}\n" if labels is not None else ""
        axis.set_ylabel(
            f"{text}dF/F to {height:.1f}\nrate to {peak:.0f} Hz", rotation=0, ha="right", va="center", fontsize=8
        )
        axis.set_yticks([])
        hidden = ["top", "right", "left"] if i == n_neurons - 1 else ["top", "right", "left", "bottom"]
        axis.spines[hidden].set_visible(False)
        axis.tick_params(bottom=i == n_neurons - 1)
        axis.set_xlim(time_s[0], time_s[-1])
    axes[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize=8)
    axes[0].set_title(title, loc="left", fontsize=10)
    axes[-1].set_xlabel("time (s)")
    return figure
