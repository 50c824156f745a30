"""What the results mean: rates, noise, kernels, counts, discrete spikes."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from benchmarks import tables
from cascade_engine import infer_discrete_spikes, load_model, single_spike_amplitude, smooth_spikes, smoothing_kernel
from cascade_engine.evaluation import NeuronScore
from cascade_engine.evaluation.uncertainty import by_population
from cascade_engine.ground_truth import Indicator, load_catalogue, simulate_spikes
from cascade_engine.ground_truth.single_spikes import MIN_NEURONS, spike_averages
from cascade_engine.plotting import plot_neuron
from drawing.album import (
    DFF,
    INFERRED,
    RATE,
    TRUTH,
    inferred,
    page,
    picture,
    recorded,
    say,
    simulated_dff,
)

#: Spikes that come before what is shown, so that the network can know the neuron.
_BEFORE = simulate_spikes(100.0, 0.5, 0.5, np.random.default_rng(0))


def _with_past(shown_s: np.ndarray) -> np.ndarray:
    """Spike times (s) of a neuron that is shown from 110 s on."""
    return np.concatenate([_BEFORE, 110.0 + np.asarray(shown_s)])


@picture(
    "output",
    """dF/F (blue) with the true spikes (orange), and the output of the network (black): the expected number of spikes
    per frame, on the right as a rate. One spike is spread over a few frames, by the smoothing of 50 ms; its frames sum
    to about 1, as far as the network knows how bright a spike is. Simulated, noise level 0.7.""",
)
def output() -> Figure:
    groups = {1.0: 1, 3.5: 3, 6.5: 6}
    times = np.concatenate([start + 0.035 * np.arange(n) for start, n in groups.items()])
    dff = simulated_dff(_with_past(times), 120.0, 0.7, seed=3)
    spike_prob = inferred(dff).spike_prob[0]
    first = round(110 * RATE)
    time_s, shown = np.arange(len(dff) - first) / RATE, spike_prob[first:]
    figure, (above, below) = page(2, 1, 6.5, sharex=True)
    above.plot(time_s, dff[first:], color=DFF)
    above.vlines(times, -0.28, -0.16, color=TRUTH)
    above.set(ylabel="dF/F (fraction)", title="One spike has a sum of 1, not a height of 1")
    say(above, 9.9, 0.08, "true spikes", TRUTH, ha="right")
    below.plot(time_s, shown, color=INFERRED)
    height = single_spike_amplitude(RATE, 0.05)
    below.axhline(height, color="0.5", linestyle=":")
    below.text(9.9, height, f"height of one spike: {height:.2f}", ha="right", va="bottom", color="0.35")
    for start, n in groups.items():
        near = np.abs(time_s - start) < 0.7
        true = "1 spike" if n == 1 else f"{n} spikes"
        top = shown[near].max() if n > 1 else 0.85 * height
        below.text(start + 0.3, top, f"{true}:\nsum {shown[near].sum():.1f}", va="top")
    below.set(xlabel="time (s)", ylabel="expected spikes\nper frame", xlim=(0, 10), ylim=(0, None))
    rate = below.secondary_yaxis("right", functions=(lambda p: RATE * p, lambda r: r / RATE))
    rate.set_ylabel("rate (Hz)")
    return figure


@picture(
    "noise_levels",
    """The same neuron with the same spikes (orange) at noise level 1, 3 and 8 % per sqrt(Hz). With more noise the
    inferred rate (black) becomes smooth and small, and misses single spikes. Simulated.""",
)
def noise_levels() -> Figure:
    spikes = simulate_spikes(180.0, 0.5, 0.8, np.random.default_rng(7))
    shown_s, first_s = 50.0, 60.0
    shown = slice(round(first_s * RATE), round((first_s + shown_s) * RATE))
    inside = spikes[(spikes >= first_s) & (spikes < first_s + shown_s)] - first_s
    figure, axes = page(3, 1, 8.0, sharex=True)
    for ax, level, word in zip(axes, (1, 3, 8), ("very good", "decent", "poor"), strict=True):
        dff = simulated_dff(spikes, 180.0, level, seed=level)
        spike_prob = inferred(dff).spike_prob[0, shown]
        plot_neuron(dff[shown], spike_prob, RATE, inside, label=f"noise level {level}\n{word}", ax=ax)
        ax.set_title(f"{len(inside)} spikes; {spike_prob.sum():.0f} inferred", fontweight="normal", loc="right")
        ax.set_xlabel("time (s)" if level == 8 else "")
    axes[0].set_title("The more noise, the fewer spikes can be seen")
    return figure


@picture(
    "kernel",
    """Left: the Gaussian and the causal kernel with which the output is smoothed (50 ms at 30 Hz). Right: what the
    network gives with each around a group of five spikes (orange). With the causal kernel almost nothing of a spike
    shows before it, but its centre comes later. Simulated, noise level 1.""",
)
def kernel() -> Figure:
    figure, (left, right) = page(1, 2, 4.8)
    times = 2.0 + 0.03 * np.arange(5)
    dff = simulated_dff(_with_past(times), 120.0, 1.0, seed=2)
    first = round(111 * RATE)
    names = {"gaussian": ("Gaussian", INFERRED), "causal": ("causal", DFF)}
    for name, (text, colour) in names.items():
        fine = smoothing_kernel(1000.0, 0.05, name)
        at_ms = np.arange(len(fine)) - len(fine) // 2
        left.plot(at_ms, 1000 * fine, color=colour, linewidth=2)
        place = {"gaussian": (-45, 6.5, "right"), "causal": (65, 13.2, "left")}[name]
        left.text(*place[:2], text, color=colour, ha=place[2])
        rate = RATE * inferred(dff, kernel=name).spike_prob[0, first:]
        time_ms = 1000 * (np.arange(len(rate)) / RATE - 1.0)
        right.plot(time_ms, rate, color=colour, linewidth=2, marker="o", markersize=4)
    left.axvline(0, color=TRUTH)
    say(left, -12, 0.04, "spike", TRUTH, ha="right")
    left.set(xlim=(-220, 420), ylim=(0, None), xlabel="time from the spike (ms)", ylabel="rate of one spike (Hz)")
    left.set_title("The kernels")
    top = right.get_ylim()[1]
    right.vlines(1000 * (times - 2.0), -0.1 * top, -0.03 * top, color=TRUTH)
    right.set_yticks([0, 10, 20, 30])
    right.set(xlim=(-300, 500), xlabel="time from the first spike (ms)", ylabel="inferred rate (Hz)")
    right.set_title("The rate inferred around five spikes")
    for text, x, y, colour in (("Gaussian", -40, 0.5, INFERRED), ("causal", 190, 0.85, DFF)):
        right.text(x, y * top, text, color=colour, ha="right" if x < 0 else "left")
    return figure


@picture(
    "low_rate",
    """A neuron that fires 3 spikes a minute, at noise level 1 and 4. Single spikes are seen where the noise is low. How
    many spikes each event holds is uncertain, since all look alike. Simulated, an indicator like GCaMP6s.""",
)
def low_rate() -> Figure:
    duration_s, indicator = 120.0, Indicator(amplitude=0.13, rise_s=0.1, decay_s=1.2)
    spikes = np.array([9.0, 31.0, 50.0, 71.0, 88.0, 106.0])
    figure, axes = page(2, 1, 6.0, sharex=True)
    for ax, level in zip(axes, (1, 4), strict=True):
        dff = simulated_dff(spikes, duration_s, level, level, indicator)
        spike_prob = inferred(dff).spike_prob[0]
        plot_neuron(dff, spike_prob, RATE, spikes, label=f"noise level {level}", ax=ax)
        ax.set_title(f"{len(spikes)} spikes; {np.nansum(spike_prob):.1f} inferred", fontweight="normal", loc="right")
        ax.set_xlabel("time (s)" if level == 4 else "")
    figure.suptitle("Rare spikes: seen with little noise, but not how many", fontweight="bold")
    return figure


@picture(
    "discrete_spikes",
    """Discrete spikes (black ticks) below the inferred rate, and the true spikes (orange), at noise level 1 and 4. At
    noise level 1 most agree; at 4 many are missed. Simulated.""",
)
def discrete_spikes() -> Figure:
    spikes = simulate_spikes(180.0, 0.6, 0.6, np.random.default_rng(12))
    first_s, shown_s = 50.0, 40.0
    shown = slice(round(first_s * RATE), round((first_s + shown_s) * RATE))

    def inside(times: np.ndarray) -> np.ndarray:
        return times[(times >= first_s) & (times < first_s + shown_s)] - first_s

    figure, axes = page(2, 1, 6.4, sharex=True)
    for ax, level in zip(axes, (1, 4), strict=True):
        dff = simulated_dff(spikes, 180.0, level, seed=20 + level)
        result = inferred(dff)
        found = inside(infer_discrete_spikes(result).times_s[0])
        plot_neuron(
            dff[shown], result.spike_prob[0, shown], RATE, inside(spikes), spikes_s=found,
            label=f"noise level {level}", ax=ax,
        )  # fmt: skip
        ax.set_title(f"{len(inside(spikes))} true spikes, {len(found)} found", fontweight="normal", loc="right")
        ax.set_xlabel("time (s)" if level == 4 else "")
    axes[0].set_title("Discrete spikes need little noise")
    return figure


@picture(
    "counts",
    """Mean inferred rate of each recorded neuron against its true rate, at noise level 2 and 8: principal cells of 24
    datasets, each predicted by networks that had not seen the dataset. Between the grey lines the inferred number of
    spikes is off by less than a factor of 2. High rates come out too low.""",
)
def counts() -> Figure:
    scores = [each for each in tables.read_as(NeuronScore, "leave_one_out") if each.method == "universal"]
    principal = by_population({each.dataset for each in scores}, load_model())["principal"]
    figure, axes = page(1, 2, 5.2, sharex=True, sharey=True)
    limits = np.array([0.02, 20.0])
    names = (("right", 0.042, 1, TRUTH), ("twice", 0.042, 2, "0.4"), ("half", 0.084, 0.5, "0.4"))
    for ax, level in zip(axes, (2, 8), strict=True):
        chosen = [e for e in scores if e.condition == f"30Hz_50ms_noise{level}" and e.dataset in principal]
        true = np.array([each.firing_rate for each in chosen])
        ratio = 1.0 + np.array([each.bias for each in chosen])
        found = np.maximum(true * ratio, limits[0])
        ax.loglog(true, found, "o", color=INFERRED, markersize=4, alpha=0.4, markeredgewidth=0)
        ax.plot(limits, limits, color=TRUTH, linewidth=2)
        for factor in (0.5, 2.0):
            ax.plot(limits, factor * limits, color="0.5", linewidth=1, linestyle="--")
        within = np.mean((ratio > 0.5) & (ratio < 2.0))
        ax.text(0.025, 13, f"within a factor of 2:\n{within:.0%} of {len(chosen)} neurons", va="top")
        ticks = [0.1, 1, 10]
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        for text, x, factor, colour in names:
            white = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            ax.text(x, factor * x, text, color=colour, rotation=45, ha="center", va="center", bbox=white)
        ax.set(xlim=limits, ylim=limits, aspect="equal", xlabel="true rate (Hz)", title=f"noise level {level}")
    axes[0].set_ylabel("inferred rate (Hz)")
    figure.suptitle("The number of spikes of one neuron is uncertain", fontweight="bold")
    return figure


@picture(
    "single_spike_indicators",
    """dF/F of one spike in the recorded ground truth, by indicator: the median of each dataset (blue), and each neuron
    (grey). Excitatory cells, spikes that stand alone; neurons beyond the axis are left out. The same indicator differs
    several times between datasets and between cells.""",
    recorded=True,
)
def single_spike_indicators() -> Figure:
    sizes: dict[str, list[np.ndarray]] = {}
    for key, entry in load_catalogue().items():
        if entry.single_spike_dff is not None and entry.cell_type == "excitatory":
            found = spike_averages(neuron.recordings for neuron in recorded(key).neurons).sizes
            sizes.setdefault(entry.indicator, []).append(found[np.isfinite(found)])
    assert all(len(each) >= MIN_NEURONS for group in sizes.values() for each in group)
    names = sorted(sizes, key=lambda name: np.mean([np.median(each) for each in sizes[name]]))
    figure, ax = page(height=5.8)
    rng = np.random.default_rng(0)
    for row, name in enumerate(names):
        neurons = np.concatenate(sizes[name])
        ax.plot(neurons, row + rng.uniform(-0.25, 0.25, len(neurons)), "o", color="0.75", markersize=4)
        medians = [np.median(each) for each in sizes[name]]
        ax.plot(medians, np.full(len(medians), row), "o", color=DFF, markersize=10, alpha=0.85)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="dF/F of one spike (fraction)", xlim=(0, 1.2), ylim=(-0.6, len(names) - 0.4))
    ax.text(0.72, 1.35, "large: median of a dataset", color=DFF)
    ax.text(0.72, 0.65, "small: one neuron", color="0.45")
    ax.set_title("How bright one spike is depends on the indicator, and on the cell")
    return figure


@picture(
    "interneuron",
    """A recorded interneuron (PV cell in mouse V1, GCaMP6f, DS24), predicted by networks that had not seen the dataset:
    the rate with `--population principal` and with `--population interneurons` (black), and the true rate (orange), all
    smoothed with 0.2 s. It is the neuron with the median correlation.""",
    recorded=True,
)
def interneuron() -> Figure:
    dataset = recorded("DS24")
    model = load_model().without([dataset.name])
    assert model is not None
    cells = []
    for neuron in dataset.neurons:
        each = max(neuron.recordings, key=lambda recording: recording.duration_s)
        rates = [
            each.frame_rate * inferred(
                each.dff, each.frame_rate, model=model, population=population, smoothing=0.2, indicator="GCaMP6f"
            ).spike_prob[0]
            for population in ("principal", "interneurons")
        ]  # fmt: skip
        frames = np.round((each.spike_times_s - each.time_s[0]) * each.frame_rate).astype(int)
        spikes = np.bincount(np.clip(frames, 0, len(each.dff) - 1), minlength=len(each.dff))
        true = each.frame_rate * smooth_spikes(spikes, each.frame_rate, 0.2)
        cells.append((np.corrcoef(rates[1], true)[0, 1], each, rates, true))
    cells.sort(key=lambda cell: cell[0])
    _, each, rates, true = cells[len(cells) // 2]
    shown = slice(0, round(60 * each.frame_rate))
    time_s = np.arange(len(each.dff))[shown] / each.frame_rate
    figure, axes = page(3, 1, 7.5, sharex=True)
    axes[0].plot(time_s, each.dff[shown], color=DFF)
    axes[0].set(ylabel="dF/F (fraction)", title="An interneuron: tell the network, and do not trust the number")
    for ax, rate, name in zip(axes[1:], rates, ("principal", "interneurons"), strict=True):
        ax.plot(time_s, true[shown], color=TRUTH, linewidth=2)
        ax.plot(time_s, rate[shown], color=INFERRED, linewidth=2)
        r, ratio = np.corrcoef(rate, true)[0, 1], rate.sum() / true.sum()
        ax.set(ylabel="rate (Hz)", ylim=(0, 1.05 * max(true[shown].max(), rates[1][shown].max())))
        ax.set_title(f"--population {name}: {ratio:.0%} of the spikes, correlation {r:.2f}", fontweight="normal")
    say(axes[1], 30, 0.85, "true", TRUTH)
    say(axes[1], 30, 0.7, "inferred", INFERRED)
    axes[2].set(xlabel="time (s)", xlim=(0, 60))
    return figure
