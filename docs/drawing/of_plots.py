"""One picture of each plot function."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from cascade_engine import infer_discrete_spikes, noise_levels
from cascade_engine.ground_truth import simulate_dataset
from cascade_engine.plotting import (
    plot_noise_levels,
    plot_noise_matched,
    plot_performance,
    plot_raster,
    plot_single_spikes,
    plot_traces,
)
from drawing.album import RATE, inferred, page, picture, recorded


@picture(
    "plot_traces",
    """What `plot_traces` draws: dF/F of three neurons (blue), the inferred rate (black), discrete spikes (black ticks)
    and true spikes (orange ticks). Simulated.""",
)
def traces() -> Figure:
    recordings = simulate_dataset(6, 120.0, RATE, noise_level=1.5, seed=4).recordings
    recordings = sorted(recordings, key=lambda each: len(each.spike_times_s))[1:4]
    dff = np.array([each.dff for each in recordings])
    result = inferred(dff)
    shown_s = 60.0
    shown = slice(0, round(shown_s * RATE))
    true, found = (
        [times[times < shown_s] for times in all_times]
        for all_times in ([each.spike_times_s for each in recordings], infer_discrete_spikes(result).times_s)
    )
    figure, axes = page(3, 1, 7.0, sharex=True)
    labels = [f"neuron {i}" for i in range(3)]
    plot_traces(dff[:, shown], result.spike_prob[:, shown], RATE, true, labels, spikes_s=found, axes=axes)
    figure.suptitle("dF/F, inferred rate, discrete spikes, and true spikes", fontweight="bold")
    return figure


def _population(n_neurons: int, duration_s: float, noise: np.ndarray, seed: int) -> np.ndarray:
    """dF/F of simulated neurons with these noise levels."""
    clean = [each.dff for each in simulate_dataset(n_neurons, duration_s, RATE, 0.0, seed).recordings]
    rng = np.random.default_rng(seed)
    sd = noise[:, np.newaxis] * np.sqrt(RATE) / 95.39
    return np.array(clean) + sd * rng.standard_normal((n_neurons, round(duration_s * RATE)))


@picture(
    "plot_noise_levels",
    """What `plot_noise_levels` draws: how many neurons have which noise level, over the zones very good (below 2),
    decent (2 to 5) and poor (above 5). Simulated neurons.""",
)
def noise_of_neurons() -> Figure:
    noise = np.random.default_rng(1).lognormal(np.log(1.9), 0.45, 150)
    levels = noise_levels(_population(150, 60.0, noise, 2), RATE)
    figure, ax = page(height=4.2)
    plot_noise_levels(np.append(levels, [np.nan, np.nan]), ax=ax)
    ax.set_title("How good are the neurons of a recording?")
    return figure


@picture(
    "plot_noise_matched",
    """What `plot_noise_matched` draws: above a neuron with its inferred rate, below it ground truth (GCaMP6f, mouse
    V1, DS09) to which noise was added until the noise levels agree, with its true spikes. The neuron is simulated, the
    ground truth is recorded.""",
    recorded=True,
)
def noise_matched() -> Figure:
    recording = simulate_dataset(4, 180.0, RATE, noise_level=2.0, seed=11).recordings[1]
    spike_prob = inferred(recording.dff).spike_prob[0]
    figure, axes = page(2, 1, 5.5)
    plot_noise_matched(recording.dff, RATE, recorded("DS09"), spike_prob=spike_prob, axes=axes)
    return figure


@picture(
    "plot_raster",
    """What `plot_raster` draws: the rates of 60 neurons as shades of grey, each the mean over a bin of time. Neurons
    and frames without a prediction are blue. Simulated.""",
)
def raster() -> Figure:
    n_neurons, duration_s = 60, 120.0
    dff = np.array([each.dff for each in simulate_dataset(n_neurons, duration_s, RATE, 1.5, seed=3).recordings])
    dff[17] = np.nan
    dff[:, 1800:1890] = np.nan
    rate = inferred(dff).spike_prob
    figure, ax = page(height=5.5)
    plot_raster(rate, RATE, order=np.argsort(-np.nansum(rate, axis=1)), ax=ax)
    ax.set_title("Rates of a population, most active neurons on top")
    return figure


@picture(
    "plot_single_spikes",
    """What `plot_single_spikes` draws: the average dF/F around true spikes that stand alone, of each neuron (grey) and
    on average (blue), beside the sizes in the ground truth of the same indicator (orange). Recorded: GCaMP8m in mouse
    V1 (DS31).""",
    recorded=True,
)
def single_spikes() -> Figure:
    # the recordings of each neuron in a row, with a gap between them
    rate, gap_s, rows, spikes = 60.0, 3.0, [], []
    for neuron in recorded("DS31").neurons:
        pieces, times, start_s = [], [], 0.0
        for each in neuron.recordings:
            n_frames = int(each.duration_s * rate)
            seconds = each.time_s - each.time_s[0]
            pieces += [np.interp(np.arange(n_frames) / rate, seconds, each.dff), np.full(round(gap_s * rate), np.nan)]
            times.append(each.spike_times_s - each.time_s[0] + start_s)
            start_s += n_frames / rate + gap_s
        rows.append(np.concatenate(pieces))
        spikes.append(np.concatenate(times))
    dff = np.full((len(rows), max(map(len, rows))), np.nan)
    for to, row in zip(dff, rows, strict=True):
        to[: len(row)] = row
    figure, ax = page(height=5.0)
    plot_single_spikes(dff, rate, spikes, indicator="GCaMP8m", ax=ax)
    return figure


@picture(
    "plot_performance",
    """What `plot_performance` draws: correlation, error and bias of the shipped model on 24 recorded datasets that its
    networks had not seen, against the noise level, by frame rate. From the model's card.""",
)
def performance() -> Figure:
    figure, axes = page(3, 1, 10.5)
    for ax, name in zip(axes, ("correlation", "error", "bias"), strict=True):
        plot_performance(figure=name, ax=ax)
    axes[0].set_title("More noise, more errors; at lower frame rates, times are coarser")
    return figure
