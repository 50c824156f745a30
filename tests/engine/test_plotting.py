"""Pictures show what they are given: values, limits, and words for what is missing."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from cascade_engine import InputError, infer_discrete_spikes
from cascade_engine.errors import MissingExtraError
from cascade_engine.evaluation import NeuronScore, write_scores
from cascade_engine.ground_truth import Dataset, Indicator, load_catalogue, simulate_dataset
from cascade_engine.plotting import (
    plot_neuron,
    plot_noise_levels,
    plot_noise_matched,
    plot_performance,
    plot_raster,
    plot_single_spikes,
    plot_traces,
)
from cascade_engine.signal.noise import noise_levels

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

RATE = 30.0


@pytest.fixture
def ax():
    return Figure().subplots()


def ticks_of(ax, label):
    """Times of the ticks with a label, and how high they are drawn."""
    (drawn,) = [each for each in ax.collections if each.get_label() == label]
    segments = drawn.get_segments()
    return [segment[0, 0] for segment in segments], {(segment[0, 1], segment[1, 1]) for segment in segments}


# -- traces -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_neurons", [1, 3])
def test_one_axis_per_neuron_with_dff_rate_and_true_spikes(n_neurons):
    dff, spike_prob = np.tile(np.linspace(0, 2.0, 50), (n_neurons, 1)), np.full((n_neurons, 50), np.nan)
    spike_prob[:, 10:40] = np.linspace(0, 0.5, 30)
    true_spikes_s = [np.array([1.0, 2.0])] * n_neurons
    figure = plot_traces(dff, spike_prob, 10.0, true_spikes_s, labels=[f"ROI {i}" for i in range(n_neurons)], title="A")
    assert len(figure.axes) == n_neurons and figure.axes[0].get_title(loc="left") == "A"
    for i, axis in enumerate(figure.axes):
        drawn, rate = axis.get_lines()
        np.testing.assert_allclose(drawn.get_xdata(), np.arange(50) / 10)
        np.testing.assert_array_equal(drawn.get_ydata(), dff[i])
        np.testing.assert_array_equal(np.isnan(rate.get_ydata()), np.isnan(spike_prob[i]))
        assert np.nanmax(rate.get_ydata()) < 0  # below dF/F
        assert axis.get_ylabel() == f"ROI {i}\ndF/F to 2.0\nrate to 5 Hz"
        assert axis.get_xlabel() == ("time (s)" if i == n_neurons - 1 else "")
        assert ticks_of(axis, "true spikes")[0] == [1.0, 2.0]
        assert [text.get_text() for text in axis.texts] == ([] if i else ["dF/F", "inferred", "true"])


def test_traces_are_drawn_into_given_axes():
    axes = Figure().subplots(2, 1)
    figure = plot_traces(np.ones((2, 20)), np.zeros((2, 20)), 10.0, axes=axes)
    assert figure is axes[0].figure and [len(ax.get_lines()) for ax in axes] == [2, 2]
    with pytest.raises(InputError, match="axes must be 3 axes of matplotlib, but there are 2"):
        plot_traces(np.ones((3, 20)), np.zeros((3, 20)), 10.0, axes=axes)


def test_the_rate_is_drawn_to_scale_and_small_rates_stay_small(ax):
    plot_neuron(np.linspace(0, 1, 10), np.linspace(0, 0.01, 10), RATE, ax=ax)
    rate = ax.get_lines()[1].get_ydata()
    np.testing.assert_allclose(rate, -1.35 + 0.9 * 0.3 * np.linspace(0, 1, 10))  # 0.3 Hz, where 1 Hz is full height
    assert ax.get_ylabel() == "dF/F to 1.0\nrate to 1 Hz"


def test_discrete_spikes_are_a_row_above_the_true_ones(ax):
    plot_neuron(np.ones(60), np.zeros(60), RATE, [0.5, 1.0], spikes_s=[0.52], ax=ax)
    (found, rows), (true, true_rows) = ticks_of(ax, "discrete spikes"), ticks_of(ax, "true spikes")
    assert found == [0.52] and true == [0.5, 1.0]
    assert max(max(row) for row in true_rows) < min(min(row) for row in rows)
    heights = {text.get_text(): text.xy[1] for text in ax.texts}
    assert [*heights] == ["dF/F", "inferred", "discrete", "true"] == sorted(heights, key=heights.get, reverse=True)
    assert heights["discrete"] == pytest.approx(np.mean([*rows])) and ax.texts[0].xy[0] == 59 / RATE
    assert ax.get_ylim()[0] < min(min(row) for row in true_rows)


def test_missing_frames_are_a_gap_and_missing_neurons_are_said(ax):
    dff = np.ones(20)
    dff[5:8] = np.nan
    plot_neuron(dff, np.full(20, np.nan), RATE, label="ROI 4", ax=ax)
    np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), dff)
    assert ax.get_ylabel() == "ROI 4\ndF/F to 1.0\nno prediction"
    figure = plot_traces(np.full((1, 20), np.inf), np.full((1, 20), np.nan), 10.0)
    assert figure.axes[0].get_ylabel() == "no dF/F\nno prediction"


def test_a_common_scale(ax):
    plot_neuron(np.linspace(0, 1, 10), None, RATE, largest_dff=4.0, ax=ax)
    assert ax.get_ylim()[1] == pytest.approx(4.2) and ax.get_ylabel() == "dF/F to 4.0"


# -- noise levels -----------------------------------------------------------------------------------------------------


def test_noise_levels_are_counted_in_bins_and_zones(ax):
    levels = np.array([0.1, 1.0, 1.1, 2.0, 4.9, 5.0, 30.0, np.nan, np.inf])
    plot_noise_levels(levels, label="ROIs", ax=ax)
    bars = ax.patches[: -len(ax.texts)]
    assert sum(bar.get_height() for bar in bars) == 7
    (first, *_), last = bars, bars[-1]
    assert first.get_height() == last.get_height() == 1  # the lowest and the highest are in the outermost bins
    assert [text.get_text() for text in ax.texts] == ["very good\n3 of 7", "decent\n2 of 7", "poor\n2 of 7"]
    zones = [patch.get_extents().transformed(ax.transData.inverted()) for patch in ax.patches[-3:]]
    assert [round(zone.x0, 3) for zone in zones] == [0.1, 2.0, 5.0] and round(zones[-1].x1, 3) == 30.0
    assert ax.get_xlim() == pytest.approx((0.1, 30.0)) and ax.get_xscale() == "log"
    assert ax.get_xlabel() == "noise level (% per sqrt(Hz)); 2 of 9 without one"
    assert ax.get_ylabel() == "number of ROIs"


@pytest.mark.parametrize("levels", [[], [np.nan, np.nan], [0.0]])
def test_hardly_any_noise_level(levels, ax):
    plot_noise_levels(levels, ax=ax)
    assert ax.texts[0].get_text() == f"very good\n{levels.count(0.0)} of {levels.count(0.0)}"
    assert ax.get_xlim() == pytest.approx((0.5, 10.0))


# -- ground truth of the same noise -----------------------------------------------------------------------------------


def test_ground_truth_is_brought_to_the_noise_level_of_the_neuron():
    dff = simulate_dataset(1, 90.0, RATE, noise_level=3.0, seed=5).recordings[0].dff
    truth = Dataset("DS99-mine", simulate_dataset(3, 60.0, 60.0, noise_level=0.5, seed=1).neurons)
    above, below = plot_noise_matched(dff, RATE, truth, duration_s=30.0)
    level = noise_levels(dff[None], RATE)[0]
    (drawn,) = below.get_lines()
    time_s, shown = drawn.get_data()
    assert np.diff(time_s) == pytest.approx(1 / RATE, rel=0.01) and len(shown) == 900
    assert noise_levels(shown[None], RATE)[0] == pytest.approx(level, rel=0.1)
    times_s, _ = ticks_of(below, "true spikes")
    median = sorted(truth.recordings, key=lambda each: len(each.spike_times_s))[1].spike_times_s
    differences = {round(float(d), 6) for d in np.subtract.outer(median, times_s).ravel()}
    shifts = [d for d in differences if np.isin((np.array(times_s) + d).round(5), median.round(5)).all()]
    assert shifts and len(times_s) > 3  # those of the neuron with the median rate, from the first frame on
    assert above.get_ylim()[1] == below.get_ylim()[1]  # one scale
    assert below.get_ylabel().startswith("DS99-mine\nnoise level 3.1\ndF/F to ")


def test_the_most_active_part_is_shown():
    dff = 0.05 * np.random.default_rng(0).standard_normal(3000)
    dff[2000:2030] += 2.0
    above, _ = plot_noise_matched(dff, RATE, duration_s=20.0)
    assert len(above.get_lines()[0].get_ydata()) == 600 and above.get_lines()[0].get_ydata().max() > 1.5


def test_no_ground_truth_that_is_quiet_enough():
    dff = 0.001 * np.random.default_rng(0).standard_normal(1000)
    noisy = simulate_dataset(2, 60.0, RATE, noise_level=4.0)
    with pytest.raises(InputError, match=r"no recording with spikes in simulated is as quiet as 0.0\d+ .*: the qui"):
        plot_noise_matched(dff, RATE, noisy)


def test_a_neuron_without_values_has_nothing_to_be_matched():
    above, below = plot_noise_matched(np.full(100, np.nan), RATE)
    assert above.get_ylabel() == "this neuron\nno noise level\nno dF/F"
    assert below.texts[0].get_text() == "no ground truth: the neuron has no noise level to be matched"


# -- raster -----------------------------------------------------------------------------------------------------------


def test_rates_are_means_over_bins_in_hz(ax):
    spike_prob = np.zeros((2, 90))
    spike_prob[0, 30:60] = 0.5
    spike_prob[1, 0] = np.nan
    plot_raster(spike_prob, RATE, bin_s=1.0, order=[1, 0], ax=ax)
    (image,) = ax.get_images()
    np.testing.assert_allclose(image.get_array().filled(np.nan), [[0, 0, 0], [0, 15, 0]])
    assert image.get_extent() == [0, 3.0, 1.5, -0.5]
    assert image.colorbar.ax.get_ylabel() == "rate (Hz), mean over 1 s"
    assert ax.get_xlim() == (0, 3.0) and ax.get_ylim() == (1.5, -0.5)
    assert ax.get_ylabel() == "neuron, in the given order"


def test_missing_rates_are_blue_and_said(ax):
    spike_prob = np.zeros((3, 40))
    spike_prob[1] = np.nan
    plot_raster(spike_prob, RATE, ax=ax)
    (image,) = ax.get_images()
    np.testing.assert_array_equal(image.get_array().mask.all(axis=1), [False, True, False])
    red, green, blue, _ = image.cmap.get_bad()
    assert blue > green > red
    assert ax.get_xlabel() == "time (s); blue: no prediction (none at all in 1 of 3 neurons)"


def test_discrete_spikes_in_the_raster(ax):
    spikes = infer_discrete_spikes(np.eye(3, 30), RATE, 0.0)
    plot_raster(None, RATE, spikes, order=[2, 0], ax=ax)
    assert [each.get_positions() for each in ax.collections] == [[2 / RATE], [0.0]]
    assert [each.get_lineoffset() for each in ax.collections] == [0, 1]
    assert ax.get_xlim() == (0, 1.0)


# -- single spikes ----------------------------------------------------------------------------------------------------


def test_the_average_of_single_spikes_is_their_size(ax):
    time_s = np.arange(6000) / 100.0
    spikes_s = np.arange(3.0, 55.0, 5.0)
    dff = np.zeros((3, 6000))
    for size, row in zip((0.2, 0.4), dff, strict=False):
        for each in spikes_s:
            row += size * np.exp(-(((time_s - each - 0.3) / 0.2) ** 2))
    close = np.sort(np.concatenate([spikes_s, spikes_s + 0.2]))  # none of them stands alone
    plot_single_spikes(dff, 100.0, [spikes_s, spikes_s, close], ax=ax)
    *neurons, _, mean = [line.get_ydata() for line in ax.get_lines()]
    assert len(neurons) == 2
    for line, size in ((neurons[0], 0.2), (neurons[1], 0.4), (mean, 0.3)):
        assert (line.max(), np.argmax(line)) == (pytest.approx(size, abs=0.005), 40)  # 0.3 s after the spike
    assert ax.get_title(loc="left") == (
        "dF/F of one spike: 0.29 (median)\n22 single spikes of 2 neurons; 1 with fewer than 5 left out"
    )
    assert ax.get_ylabel() == "dF/F (fraction)"


def test_sizes_of_the_indicator_are_drawn(ax):
    known = [
        entry.single_spike_dff
        for entry in load_catalogue().values()
        if entry.indicator == "GCaMP6s" and entry.cell_type == "excitatory" and entry.single_spike_dff is not None
    ]
    assert len(known) > 2
    recordings = simulate_dataset(2, 300.0, RATE, 0.5, indicator=Indicator(amplitude=0.1)).recordings
    dff = [each.dff for each in recordings]
    plot_single_spikes(dff, RATE, [each.spike_times_s for each in recordings], indicator="gcamp-6s", ax=ax)
    (band,) = ax.patches
    (lines,) = [each for each in ax.collections if each.get_label() == "ground truth"]
    assert [segment[0, 1] for segment in lines.get_segments()] == known
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((min(known), max(known)))
    text = f"gcamp-6s in the ground truth: {min(known):.2f} to {max(known):.2f} ({len(known)} datasets)"
    assert ax.texts[0].get_text() == text and ax.get_ylim()[1] > max(known)
    with pytest.raises(InputError, match="no size of a single spike for the indicator 'Fura-2', but for Cal-520, G"):
        plot_single_spikes(dff, RATE, [[], []], indicator="Fura-2")


def test_no_single_spike(ax):
    plot_single_spikes(np.full((1, 300), np.nan), RATE, [[1.0, 2.0]], ax=ax)
    assert ax.get_title(loc="left") == "No neuron has 5 spikes that stand alone"


# -- performance ------------------------------------------------------------------------------------------------------


def make_scores(tmp_path, method="mine"):
    scores = [
        NeuronScore(f"{label}_noise{level}", method, "DS99", f"cell{i}", float(level), 1.0, r + 0.01 * i, 1.0, -0.2)
        for label, r in (("30Hz_50ms", 0.8), ("30Hz_200ms", 0.9), ("7.5Hz_200ms", 0.85), ("30Hz_50ms_causal", 0.7))
        for level in (2, 8, "native") if level != "native" or label == "30Hz_50ms"
        for i in range(3) if level != "native" or i < 0
    ]  # fmt: skip
    write_scores(tmp_path / "scores.csv", scores)
    return tmp_path / "scores.csv"


def test_performance_from_a_table(tmp_path, ax):
    plot_performance(make_scores(tmp_path), ax=ax)
    at_7, at_30 = ax.get_lines()
    assert list(at_7.get_xdata()) == list(at_30.get_xdata()) == [2.0, 8.0]
    assert at_7.get_ydata() == pytest.approx([0.86, 0.86])  # medians over neurons
    assert at_30.get_ydata() == pytest.approx([0.81, 0.81])  # with 50 ms, the usual smoothing
    assert {text.get_text() for text in ax.texts} == {"7.5 Hz, smoothed 200 ms", "30 Hz, smoothed 50 ms"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("noise level (% per sqrt(Hz))", "correlation with the true spikes")
    assert ax.get_ylim() == (0, 1)


def test_performance_against_the_frame_rate_and_with_the_causal_kernel(tmp_path, ax):
    table = make_scores(tmp_path)
    plot_performance(table, "bias", against="frame_rate", ax=ax)
    lines = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in lines] == [[7.5, 30.0]] * 2
    assert [text.get_text() for text in ax.texts] == ["noise level 2", "noise level 8"]
    causal = Figure().subplots()
    plot_performance(table, kernel="causal", ax=causal)
    assert causal.get_lines()[0].get_ydata() == pytest.approx([0.71, 0.71])


def test_performance_of_the_shipped_model_is_that_of_its_card(ax):
    from cascade_engine import load_model

    plot_performance("universal", "error", ax=ax)
    card = load_model().card["evaluation"]
    wanted = [e for e in card if (e["frame_rate_hz"], e["smoothing_s"], e["kernel"]) == (30.0, 0.05, "gaussian")]
    drawn = {tuple(line.get_ydata()) for line in ax.get_lines()}
    assert tuple(entry["error"] for entry in sorted(wanted, key=lambda e: e["noise_level"])) in drawn


def test_performance_without_figures(tmp_path):
    with pytest.raises(InputError, match="the table holds no correlation"):
        plot_performance([])
    with pytest.raises(InputError, match="figure must be one of correlation, error, bias, but it is 'r2'"):
        plot_performance(figure="r2")
    with pytest.raises(InputError, match=r"there is no table .*nowhere\.csv"):
        plot_performance(tmp_path / "nowhere.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"other\.csv is no table of 'cascade benchmark --table'"):
        plot_performance(tmp_path / "other.csv")
    both = make_scores(tmp_path).read_text() + make_scores(tmp_path, "other").read_text().split("\n", 1)[1]
    (tmp_path / "both.csv").write_text(both)
    with pytest.raises(InputError, match=r"several methods \(mine, other\)"):
        plot_performance(tmp_path / "both.csv")


# -- all --------------------------------------------------------------------------------------------------------------

DFF, PROB = np.zeros((2, 30)), np.zeros((2, 30))
BAD = {
    "one dimension": (lambda: plot_traces(DFF[0], PROB[0], RATE), r"dff must have the shape \(n_neurons, n_frames\)"),
    "shapes": (lambda: plot_traces(DFF, PROB[:, :9], RATE), r"has the shape \(2, 9\), but dff has \(2, 30\)"),
    "nothing": (lambda: plot_traces(DFF[:0], PROB[:0], RATE), "dff holds no neuron"),
    "labels": (lambda: plot_traces(DFF, PROB, RATE, labels=["a"]), "labels must be 2 texts"),
    "spikes": (lambda: plot_traces(DFF, PROB, RATE, [[1.0]]), "true_spikes_s must hold the spike times of 2 neurons"),
    "nested": (lambda: plot_traces(DFF, PROB, RATE, [[[1.0]], []]), "one array of times in s per neuron"),
    "neuron": (lambda: plot_neuron(DFF, None, RATE), r"dff must have the shape \(n_frames,\).*pass one neuron of it"),
    "no frame": (lambda: plot_neuron(DFF[0, :0], None, RATE), "dff holds no frame"),
    "rate": (lambda: plot_neuron(DFF[0], None, -1), "frame_rate must be a number"),
    "text": (lambda: plot_noise_levels(["a"]), "noise_levels must hold real numbers"),
    "negative": (lambda: plot_noise_levels([-1.0]), "noise_levels must not be negative, but one is -1"),
    "raster": (lambda: plot_raster(None, RATE), "there is nothing to draw"),
    "empty": (lambda: plot_raster(PROB[:, :0], RATE), "spike_prob holds nothing"),
    "order": (lambda: plot_raster(PROB, RATE, order=[2]), "order must hold numbers of neurons, from 0 to 1"),
    "bin": (lambda: plot_raster(PROB, RATE, bin_s=0), "bin_s must be above 0 s"),
    "duration": (lambda: plot_noise_matched(DFF[0], RATE, duration_s=0), "duration_s must be above 0 s"),
    "single": (lambda: plot_single_spikes(DFF, RATE, [[]]), "spikes must hold the spike times of 2 neurons"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line(case):
    call, message = BAD[case]
    with pytest.raises(InputError, match=message) as found:
        call()
    assert "\n" not in str(found.value)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for call in (
        lambda: plot_traces(DFF, PROB, RATE),
        lambda: plot_neuron(DFF[0], None, RATE),
        lambda: plot_noise_levels([1.0]),
        lambda: plot_noise_matched(np.arange(30) % 2, RATE),
        lambda: plot_raster(PROB, RATE),
        lambda: plot_single_spikes(DFF, RATE, [[], []]),
        lambda: plot_performance(),
    ):
        with pytest.raises(
            MissingExtraError, match='needs matplotlib, which is not installed: pip install "matplotlib>='
        ):
            call()


def test_matplotlib_is_imported_when_something_is_drawn():
    code = "import sys, cascade_engine.plotting; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
