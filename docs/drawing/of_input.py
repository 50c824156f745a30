"""What the input does to the results: baseline, neuropil, smoothing, bad frames, missing frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from cascade_engine import noise_levels, smooth_spikes
from cascade_engine.ground_truth import simulate_dataset, simulate_spikes
from cascade_engine.plotting import plot_neuron
from cascade_engine.plotting.canvas import FURTHER_COLOURS
from cascade_engine.signal.artefacts import find_artefacts
from cascade_engine.signal.dff import Baseline, delta_f_over_f
from drawing.album import DFF, INFERRED, LIKE_GCAMP6F, RATE, TRUTH, inferred, page, picture, say, simulated_dff


@picture(
    "baseline",
    """Raw fluorescence (grey) that bleaches and holds a busy period, with F0 by four choices, and how many spikes were
    inferred from dF/F. The first is the default. A window that is shorter than the busy period follows the activity; a
    constant F0 does not follow the bleaching. Simulated, noise level 1.5.""",
)
def baseline() -> Figure:
    duration_s, busy_s, rng = 300.0, (150.0, 185.0), np.random.default_rng(3)
    quiet = simulate_spikes(duration_s, 0.3, 0.3, rng)
    spikes = np.sort(np.concatenate([quiet, rng.uniform(*busy_s, 200)]))
    dff = simulated_dff(spikes, duration_s, 1.5, seed=1)
    time_s = np.arange(len(dff)) / RATE
    fluorescence = 300.0 * (0.5 + 0.5 * np.exp(-time_s / 100.0)) * (1.0 + dff)
    choices = {
        "percentile, 60 s (default)": Baseline(),
        "maximin, 60 s": Baseline(method="maximin"),
        "percentile, 10 s: too short": Baseline(window_s=10.0),
        "constant: only without bleaching": Baseline(method="constant"),
    }
    early, busy = time_s < 100.0, (time_s >= busy_s[0]) & (time_s < busy_s[1])
    n_early, n_busy = np.count_nonzero(spikes < 100.0), np.count_nonzero((spikes >= busy_s[0]) & (spikes < busy_s[1]))
    figure, axes = page(4, 1, 9.5, sharex=True, sharey=True)
    for ax, (name, choice), colour in zip(axes, choices.items(), FURTHER_COLOURS, strict=False):
        found = delta_f_over_f(fluorescence[np.newaxis], RATE, baseline=choice)
        spike_prob = inferred(found.dff, check_units=False).spike_prob[0]
        ax.plot(time_s, fluorescence, color="0.75", linewidth=0.7)
        ax.plot(time_s, found.f0[0], color=colour, linewidth=3)
        ax.set_title(name, color=colour)
        ax.axvspan(*busy_s, color="0.93", zorder=0)
        say(ax, 3, 0.88, f"first 100 s: {spike_prob[early].sum():.0f} spikes, {n_early} true", ha="left")
        say(ax, 190, 0.88, f"busy: {spike_prob[busy].sum():.0f} spikes, {n_busy} true", ha="left")
        ax.set_ylabel("F (a.u.)")
    axes[-1].set(xlabel="time (s)", xlim=(0, duration_s), ylim=(100, 560))
    figure.suptitle("F0 (thick line) must follow the bleaching, and not the activity", fontweight="bold")
    return figure


@picture(
    "neuropil",
    """dF/F of a bright and a dim cell with the same spikes in the same neuropil, by what is subtracted of the neuropil
    (`--neuropil`), and the number of spikes inferred from it. With `changes` the neuropil's level stays in F0, and the
    dim cell comes out too small; `full` makes both alike, if the coefficient is right, as here. Simulated.""",
)
def neuropil() -> Figure:
    duration_s, rng = 180.0, np.random.default_rng(8)
    spikes = simulate_spikes(duration_s, 0.5, 0.5, rng)
    time_s = np.arange(round(duration_s * RATE)) / RATE
    slow = np.cumsum(rng.standard_normal(len(time_s))) / np.sqrt(len(time_s))
    surround = 300.0 * (1.0 + 0.06 * slow + 0.03 * np.sin(time_s / 5))
    cells = {"bright cell (F0 is 600)": 600.0, "dim cell (F0 is 120)": 120.0}
    figure, axes = page(3, 2, 7.5, sharex=True, sharey=True)
    for column, (name, f0) in zip(axes.T, cells.items(), strict=True):
        dff = simulated_dff(spikes, duration_s, 1.0, seed=4, indicator=replace(LIKE_GCAMP6F, amplitude=0.07))
        fluorescence = f0 * (1.0 + dff) + 0.7 * surround
        for ax, kept in zip(column, ("changes", "half", "full"), strict=True):
            found = delta_f_over_f(
                fluorescence[np.newaxis], RATE, surround[np.newaxis], 0.7, Baseline(neuropil=kept)
            ).dff
            n_found = np.nansum(inferred(found).spike_prob)
            ax.plot(time_s, found[0], color=DFF, linewidth=0.8)
            text = f"--neuropil {kept}: {n_found:.0f} spikes inferred"
            ax.set_title(text, fontweight="normal")
            ax.set(xlim=(40, 100))
        say(column[0], 70, 1.24, name, fontweight="bold")
        column[-1].set_xlabel("time (s)")
    for ax in axes[:, 0]:
        ax.set_ylabel("dF/F (fraction)")
    title = f"Light of the neuropil in F0 hides spikes of dim cells ({len(spikes)} true spikes)"
    figure.suptitle(title, fontweight="bold")
    return figure


@picture(
    "smoothed_input",
    """The same trace as it was recorded, and smoothed with a Gaussian of 0.1 s before inference. The smoothed one seems
    to have hardly any noise, so what is left of the noise is taken for spikes. Simulated, noise level 3.""",
)
def smoothed_input() -> Figure:
    spikes = simulate_spikes(180.0, 0.4, 0.5, np.random.default_rng(14))
    raw = simulated_dff(spikes, 180.0, 3.0, seed=5)
    first_s, shown_s = 60.0, 50.0
    shown = slice(round(first_s * RATE), round((first_s + shown_s) * RATE))
    inside = spikes[(spikes >= first_s) & (spikes < first_s + shown_s)] - first_s
    figure, axes = page(2, 1, 6.2, sharex=True)
    truth = smooth_spikes(np.histogram(spikes, np.arange(len(raw) + 1) / RATE - 0.5 / RATE)[0], RATE, 0.05)
    for ax, dff, name in zip(
        axes, (raw, smooth_spikes(raw, RATE, 0.1)), ("as recorded", "smoothed before"), strict=True
    ):
        spike_prob = inferred(dff).spike_prob[0]
        level, r = noise_levels(dff[np.newaxis], RATE)[0], np.corrcoef(spike_prob, truth)[0, 1]
        plot_neuron(dff[shown], spike_prob[shown], RATE, inside, label=f"{name}\nnoise level {level:.1f}", ax=ax)
        text = f"{spike_prob.sum():.0f} spikes inferred, {len(spikes)} true; correlation {r:.2f}"
        ax.set_title(text, fontweight="normal", loc="right")
    axes[0].set_xlabel("")
    figure.suptitle("Do not smooth traces before: noise is then taken for spikes", fontweight="bold")
    return figure


@picture(
    "movement",
    """Frames of movement (the cells move in and out of focus) and black frames (both grey), left in and left out. Left
    in, movement looks like spikes. Left out, the frames are missing in dF/F and in the rate. Black frames and jumps are
    found; movement like this must be named with `--exclude-frames`. Simulated.""",
)
def movement() -> Figure:
    recordings = simulate_dataset(8, 180.0, RATE, noise_level=1.5, seed=21).recordings
    clean = np.array([each.dff for each in recordings])
    fluorescence = 300.0 * (1.0 + clean)
    moved = np.concatenate([np.arange(start, start + 30) for start in range(600, 5400, 450)])
    black = np.concatenate([np.arange(start, start + 3) for start in range(800, 5400, 900)])
    fluorescence[:, moved] *= 1.0 + 0.3 * np.sin(2 * np.pi * (moved % 450 - 150) / 15)
    fluorescence[:, black] = 0.0
    left_out = fluorescence.copy()
    left_out[:, moved] = np.nan
    found = find_artefacts(left_out, RATE)
    assert np.any([*found.values()], axis=0)[black].all()
    left_out[:, black] = np.nan
    neuron, shown = 1, slice(1450, 2450)
    true = recordings[neuron].spike_times_s - shown.start / RATE
    true = true[(true >= 0) & (true < 1000 / RATE)]
    figure, axes = page(2, 1, 6.4, sharex=True)
    for ax, traces, name in zip(axes, (fluorescence, left_out), ("left in", "left out"), strict=True):
        dff = delta_f_over_f(traces, RATE).dff
        spike_prob = inferred(dff, check_units=False).spike_prob[neuron]
        plot_neuron(dff[neuron, shown], spike_prob[shown], RATE, true, label=f"bad frames\n{name}", ax=ax)
        n_true = np.count_nonzero(recordings[neuron].spike_times_s)
        ax.set_title(f"{np.nansum(spike_prob):.0f} spikes inferred, {n_true} true", fontweight="normal", loc="right")
    for ax in axes:
        for frames, width in ((moved, 30), (black, 3)):
            for start in frames[::width]:
                if shown.start <= start < shown.stop:
                    ax.axvspan(
                        (start - shown.start) / RATE, (start + width - shown.start) / RATE, color="0.9", zorder=0
                    )
    axes[0].set_xlabel("")
    figure.suptitle("Movement looks like spikes: leave such frames (grey) out", fontweight="bold")
    return figure


@picture(
    "missing_frames",
    """Missing frames have no prediction. Up to 10 in a row are bridged, so that the rate beside them stays right;
    longer gaps are hidden from the network. Nothing reaches from one session into the next. Simulated, noise level
    1.5.""",
)
def missing_frames() -> Figure:
    spikes = simulate_spikes(120.0, 0.8, 0.5, np.random.default_rng(30))
    dff = simulated_dff(spikes, 120.0, 1.5, seed=6)
    first, shown_s = round(40 * RATE), 40.0
    gaps = {8.0: 6 / RATE, 18.0: 3.0}
    for start_s, length_s in gaps.items():
        begin = first + round(start_s * RATE)
        dff[begin : begin + round(length_s * RATE)] = np.nan
    border = first + round(30 * RATE)
    spike_prob = inferred(dff, segments=[border, len(dff) - border]).spike_prob[0]
    shown = slice(first, first + round(shown_s * RATE))
    true = spikes[(spikes >= 40.0) & (spikes < 80.0)] - 40.0
    figure, ax = page(height=4.6)
    plot_neuron(dff[shown], spike_prob[shown], RATE, true, ax=ax)
    for start_s, length_s in gaps.items():
        ax.axvspan(start_s, start_s + length_s, color="0.9", zorder=0)
    ax.axvline(30.0, ymax=0.84, color="0.4", linestyle="--")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.25 * (high - low))
    for x, text in (
        (8.1, "6 frames missing:\nbridged"),
        (19.5, "3 s missing:\nhidden"),
        (30.0, "another session\nbegins"),
    ):
        say(ax, x, 0.93, text)
    ax.set_title("Missing frames have no prediction; all others do")
    return figure


@picture(
    "brightness_step",
    """Raw fluorescence (grey) that becomes brighter at 90 s, as when the laser power is changed, with F0 (thick line),
    and the inferred rate (black) with the true spikes (orange). Where nobody has told of it, F0 is too low after the
    step, and spikes are inferred that there were not. With `--sessions` F0 begins anew. Simulated, noise level 1.5.""",
)
def brightness_step() -> Figure:
    spikes = simulate_spikes(180.0, 0.5, 0.5, np.random.default_rng(17))
    dff = simulated_dff(spikes, 180.0, 1.5, seed=9)
    step = len(dff) // 2
    time_s = np.arange(len(dff)) / RATE
    fluorescence = np.where(np.arange(len(dff)) < step, 200.0, 300.0) * (1.0 + dff)
    figure, axes = page(4, 1, 8.5, sharex=True, height_ratios=[1.2, 1, 1.2, 1])
    for (above, below), segments, name in zip(
        axes.reshape(2, 2), (None, [step, len(dff) - step]), ("not told", "told with --sessions"), strict=True
    ):
        found = delta_f_over_f(fluorescence[np.newaxis], RATE, segments=segments)
        rate = RATE * inferred(found.dff, segments=segments, check_units=False).spike_prob[0]
        near = np.abs(time_s - 90.0) < 30.0
        n_near = np.count_nonzero(np.abs(spikes - 90.0) < 30.0)
        above.plot(time_s, fluorescence, color="0.75", linewidth=0.7)
        above.plot(time_s, found.f0[0], color=FURTHER_COLOURS[0], linewidth=3)
        above.set(ylabel="F (a.u.)", title=name)
        text = f"60 to 120 s: {rate[near].sum() / RATE:.0f} spikes inferred, {n_near} true"
        above.set_title(text, loc="right", fontweight="normal")
        below.plot(time_s, rate, color=INFERRED)
        below.vlines(spikes, -0.25 * rate.max(), -0.08 * rate.max(), color=TRUTH, linewidth=1)
        below.set_ylabel("rate (Hz)")
    axes[-1].set(xlabel="time (s)", xlim=(30, 150))
    figure.suptitle("Another laser power is another session", fontweight="bold")
    return figure
