"""Evaluation: test conditions, folds, scores, leaving datasets out, and ``cascade benchmark``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cascade_adapters.cli import main
from cascade_engine.evaluation import (
    Condition,
    NeuronScore,
    card_entries,
    evaluate,
    expected_figures,
    make_trace,
    read_scores,
    summarize,
    write_scores,
)
from cascade_engine.evaluation.leave_out import leave_out, trained_without
from cascade_engine.evaluation.scores import total
from cascade_engine.ground_truth import simulate_dataset
from cascade_engine.ground_truth.folds import split_into_folds, training_folds
from cascade_engine.networks.settings import Settings
from cascade_engine.networks.store import load_model
from cascade_engine.networks.windowed.config import ModelConfig
from cascade_engine.signal.noise import noise_levels


@pytest.fixture(scope="module")
def dataset():
    return simulate_dataset(n_neurons=3, duration_s=40, noise_level=1.0, seed=5)


def entry(dataset: str, correlation: float, error: float = 1.0, bias: float = 0.1, condition: str = "c") -> NeuronScore:
    return NeuronScore(condition, "m", dataset, "cell", 2.0, 0.5, correlation, error, bias)


def test_a_test_trace_has_rate_and_noise_of_its_condition(dataset):
    trace = make_trace(dataset.neurons[0], Condition(15.0, 0.1, 4.0))
    assert trace.frame_rate == pytest.approx(15.0, rel=0.01) and trace.segments == [trace.dff.shape[1]]
    assert noise_levels(trace.dff, trace.frame_rate)[0] == pytest.approx(4.0, rel=0.15)
    assert trace.spikes.sum() == pytest.approx(dataset.neurons[0].n_spikes, abs=2)
    assert trace.target.sum() == pytest.approx(trace.spikes.sum(), rel=0.05)
    assert not trace.scored[:32].any() and not trace.scored[-32:].any() and trace.scored[32:-32].all()
    again = make_trace(dataset.neurons[0], Condition(15.0, 0.1, 4.0))
    np.testing.assert_array_equal(again.dff, trace.dff)
    assert not np.array_equal(make_trace(dataset.neurons[0], Condition(15.0, 0.1, 4.0), seed=1).dff, trace.dff)


def test_a_noisier_neuron_is_left_out(dataset):
    assert make_trace(dataset.neurons[0], Condition(30.0, 0.05, 0.5)) is None
    native = make_trace(dataset.neurons[0], Condition(30.0, 0.05))
    assert native.noise_level == pytest.approx(1.0, rel=0.2)


def test_labels_tell_conditions_apart():
    assert Condition(30.0, 0.05, 2.0).label == "30Hz_50ms_noise2"
    assert Condition(7.5, 0.2, None, "causal").label == "7.5Hz_200ms_causal_noisenative"


def test_a_perfect_prediction_scores_perfectly(dataset):
    trace = make_trace(dataset.neurons[0], Condition(30.0, 0.05, 2.0))
    found = evaluate(trace.target, trace, "c", "m")
    assert (found.correlation, found.error, found.bias) == pytest.approx((1.0, 0.0, 0.0), abs=1e-6)
    assert found.firing_rate == pytest.approx(dataset.neurons[0].n_spikes / dataset.neurons[0].duration_s, rel=0.05)
    doubled = evaluate(2 * trace.target, trace, "c", "m")
    assert (doubled.correlation, doubled.error, doubled.bias) == pytest.approx((1.0, 1.0, 1.0), abs=1e-6)
    assert evaluate(np.zeros_like(trace.target), trace, "c", "m").correlation == 0.0


def test_kin_are_left_out_together():
    folds = split_into_folds(["a", "b", "c", "d", "e"], 2, {"a": ["d"], "e": ["d"]})
    assert sorted(name for fold in folds for name in fold) == ["a", "b", "c", "d", "e"]
    (with_a,) = [fold for fold in folds if "a" in fold]
    assert {"d", "e"} <= set(with_a)
    assert split_into_folds(["a", "b", "c", "d"], 2, {}) == [["a", "c"], ["b", "d"]]
    assert training_folds(["a", "b", "c", "d", "e"], 2, ["b", "e"]) == [["a", "d", "b"], ["c", "e"]]


def test_summary_is_the_mean_of_medians():
    scores = [entry("a", 0.1), entry("a", 0.5), entry("a", 0.9), entry("b", 0.8, bias=-0.3)]
    summary = summarize(scores)
    assert summary.correlation == pytest.approx(0.65) and (summary.n_datasets, summary.n_neurons) == (2, 4)
    assert summary.bias == pytest.approx(-0.1) and summary.absolute_bias == pytest.approx(0.2)
    low, high = summary.correlation_interval
    assert 0.45 <= low < 0.65 < high <= 0.851
    assert str(summarize(scores)) == str(summary)


def test_range_of_neurons_counts_datasets_alike():
    """Five neurons of one dataset weigh as much as one of another: 0.1 each, and 0.5."""
    scores = [*(entry("a", value) for value in (0.1, 0.2, 0.3, 0.4, 0.5)), entry("b", 0.9)]
    # the middles of their weights are at 0.05, 0.15, ..., 0.45, and 0.75
    assert summarize(scores).correlation_range == pytest.approx((0.15, 0.9))
    assert summarize([entry("a", 0.8)]).correlation_range == pytest.approx((0.8, 0.8))


def test_summary_of_gains():
    """Gains of 1 and 1/2 in one dataset, of 2 and 2 in another."""
    scores = [
        entry("a", 0.5, bias=0.0),
        entry("a", 0.5, bias=-0.5),
        entry("b", 0.5, bias=1.0),
        entry("b", 0.5, bias=1.0),
    ]
    scores[1] = replace(scores[1], firing_rate=1.5)  # three times the rate of the other
    half = np.log(2.0)
    summary = summarize(scores)
    assert summary.absolute_log_gain == pytest.approx((half / 2 + half) / 2)
    assert total(scores[:2]) == pytest.approx((1.0 * 0.5 + 0.5 * 1.5) / 2.0)
    assert summary.total == pytest.approx(np.sqrt(0.625 * 2.0))
    assert summary.gain_sd_between == pytest.approx(np.std([-half / 2, half], ddof=1))
    assert summary.gain_sd_within == pytest.approx(np.sqrt(np.mean([half**2 / 2, 0.0])))
    alone = summarize(scores[:1])
    assert np.isnan(alone.gain_sd_between) and np.isnan(alone.gain_sd_within) and alone.total == pytest.approx(1.0)
    silent = summarize([entry("a", 0.5, bias=-1.0)])
    assert silent.absolute_log_gain == pytest.approx(np.log(100.0)) and silent.total == pytest.approx(0.01)


def test_aligned_figures_that_were_not_measured_are_unknown():
    older, newer = entry("a", 0.5), replace(entry("b", 0.5), aligned_correlation=0.7, aligned_error=0.9)
    assert summarize([newer]).aligned_correlation == pytest.approx(0.7)
    assert np.isnan(summarize([older, newer]).aligned_correlation)
    (card,) = card_entries([replace(older, condition="30Hz_50ms_noise2")], [Condition(30.0, 0.05, 2.0)], True)
    assert "aligned_correlation" not in card and card["absolute_log_gain"] == pytest.approx(np.log(1.1), abs=1e-3)


def test_scores_survive_the_disk(tmp_path):
    scores = [replace(entry(name, 0.1234), aligned_correlation=0.5, aligned_error=1.0) for name in "ab"]
    write_scores(tmp_path / "new" / "scores.csv", scores)
    assert read_scores(tmp_path / "new" / "scores.csv") == scores
    table = tmp_path / "older.csv"
    lines = (tmp_path / "new" / "scores.csv").read_text().splitlines()
    table.write_text("".join(line.rsplit(",", 2)[0] + "\n" for line in lines))
    assert [np.isnan(each.aligned_error) for each in read_scores(table)] == [True, True]


@pytest.fixture(scope="module")
def measured(random_model):
    """A model measured at 30 Hz and 50 ms with noise 2, 4 and 8, at 7.5 Hz with 2 and 4, at 3 Hz with 2 only."""
    found = {(30.0, 2.0): 0.8, (30.0, 4.0): 0.6, (30.0, 8.0): 0.5, (7.5, 2.0): 0.9, (7.5, 4.0): 0.7, (3.0, 2.0): 0.95}
    conditions = [Condition(rate, 1.5 / rate, noise) for rate, noise in found]
    scores = [entry("a", r, condition=c.label) for c, r in zip(conditions, found.values(), strict=True)]
    told = [entry("a", 0.84, condition="30Hz_50ms_noise2")]
    coarse = [Condition(30.0, 0.2, 2.0), Condition(30.0, 0.05, 2.0, "causal")]
    scores += [entry("a", r, condition=c.label) for c, r in zip(coarse, (0.98, 0.7), strict=True)]
    entries = card_entries(scores, [*conditions, *coarse], leaving_out=True, told=told)
    return replace(random_model, card={**random_model.card, "evaluation": entries})


def expected(model, frame_rate: float, noise_level: float, frames: float = 1.5, **others) -> dict | None:
    settings = Settings(smoothing=frames / frame_rate, **{"kernel": "gaussian", **others})
    return expected_figures(model, frame_rate, noise_level, settings)


@pytest.mark.parametrize(
    ("frame_rate", "noise_level", "frames", "correlation"),
    [
        (30.0, 2.0, 1.5, 0.8),
        (30.0, 8**0.5, 1.5, 0.7),  # half way in the logarithm
        (15.0, 2.0, 1.5, 0.85),
        (15.0, 8**0.5, 1.5, 0.75),
        (30.0, 2.0, 3.0, 0.89),
        (30.0, 2.0, 1.8, 0.8),  # widths that differ by less than a factor of 1.5 are alike
        (22.5**0.5, 2.0, 1.5, 0.925),
    ],
)
def test_figures_are_interpolated_between_what_was_measured(measured, frame_rate, noise_level, frames, correlation):
    found = expected(measured, frame_rate, noise_level, frames)
    assert found["correlation"] == pytest.approx(correlation, abs=1e-6)
    assert (found["frame_rate_hz"], found["noise_level"]) == pytest.approx((frame_rate, noise_level))


@pytest.mark.parametrize(
    ("frame_rate", "noise_level", "correlation", "held"),
    [
        (30.0, 12.0, 0.5, (30.0, 8.0)),
        (30.0, 1.1, 0.8, (30.0, 2.0)),
        (55.0, 4.0, 0.6, (30.0, 4.0)),
        (2.2, 2.0, 0.95, (3.0, 2.0)),
        (3.0, 3.0, 0.95, (3.0, 2.0)),
        (5.0, 7.0, 0.7, (7.5, 4.0)),
    ],
)
def test_beyond_the_nearest_measured_condition_is_named(measured, frame_rate, noise_level, correlation, held):
    found = expected(measured, frame_rate, noise_level)
    assert found["correlation"] == pytest.approx(correlation)
    assert (found["frame_rate_hz"], found["noise_level"]) == pytest.approx(held)


@pytest.mark.parametrize(
    ("frame_rate", "noise_level", "others"),
    [
        (30.0, 16.1, {}),
        (30.0, 0.9, {}),
        (30.0, 0.0, {}),
        (30.0, float("nan"), {}),
        (61.0, 2.0, {}),
        (1.4, 2.0, {}),
        (2.2, 22.9, {}),
        (3.0, 8.0, {}),
        (30.0, 2.0, {"frames": 0.5}),
        (30.0, 2.0, {"frames": 15.0}),
        (7.5, 2.0, {"kernel": "causal"}),
        (30.0, 2.0, {"population": "interneurons"}),
    ],
)
def test_what_is_too_far_from_what_was_measured_has_no_figures(measured, frame_rate, noise_level, others):
    assert expected(measured, frame_rate, noise_level, **others) is None


def test_a_causal_kernel_has_its_own_figures(measured, random_model):
    assert expected(measured, 30.0, 2.0, kernel="causal")["correlation"] == pytest.approx(0.7)
    assert expected(random_model, 30.0, 2.0) is None


def test_what_telling_the_indicator_brings(measured):
    found = expected(measured, 30.0, 2.0)
    assert (found["correlation"], found["indicator_gain"]) == pytest.approx((0.8, 0.04))
    assert expected(measured, 30.0, 2.0, indicator="GCaMP6f")["correlation"] == pytest.approx(0.84)
    assert expected(measured, 30.0, 2.0, indicator="unknown")["correlation"] == pytest.approx(0.8)
    assert "indicator_gain" not in expected(measured, 7.5, 2.0)


def test_the_range_of_neurons_is_interpolated_too(measured):
    assert expected(measured, 30.0, 8**0.5)["correlation_range"] == pytest.approx([0.7, 0.7], abs=1e-5)
    assert expected(measured, 30.0, 2.0, indicator="GCaMP6f")["correlation_range"] == pytest.approx([0.84, 0.84])
    without = [{k: v for k, v in each.items() if k != "correlation_range"} for each in measured.card["evaluation"]]
    older = replace(measured, card={**measured.card, "evaluation": without})
    assert "correlation_range" not in expected(older, 30.0, 2.0)


def test_leaving_out_trains_without_and_goes_on_where_it_stopped(tmp_path):
    pytest.importorskip("keras")
    datasets = {name: simulate_dataset(2, 40, noise_level=1.0, seed=i) for i, name in enumerate(("a", "b"))}
    for name, dataset in datasets.items():
        dataset.name = name
        for neuron in dataset.neurons:
            neuron.dataset = name
    config = ModelConfig("m", 30.0, ("a", "b"), noise_levels=(2,), ensemble_size=1, nr_of_epochs=1,
                         windows_per_epoch=4096)  # fmt: skip
    said, tables = [], tmp_path / "tables"

    def go(only=None):
        conditions, folds = [Condition(30.0, 0.05, 2.0)], [["a"], ["b"]]
        model_without = trained_without(config, datasets, tmp_path / "work", said.append)
        return leave_out(model_without, datasets, folds, conditions, tables, "published", only, said.append)

    first = go(only=[0])
    assert {score.dataset for score in first} == {"a"} and len(first) == 2
    both = go()
    assert [score.cell for score in both[:2]] == [score.cell for score in first]
    assert {score.dataset for score in both} == {"a", "b"}
    assert [text for text in said if text.startswith("training")] == [
        "training m_fold0 without a",
        "training m_fold1 without b",
    ]
    assert read_scores(tables / "published_fold0.csv")[0].cell == both[0].cell
    n_said = len(said)
    assert len(go()) == len(both) and len(said) == n_said


# -------------------------------------------------------------------------------------------------- cascade benchmark


def test_benchmark_measures_on_ground_truth(tmp_path, random_model, capsys):
    root = tmp_path / "truth"
    root.mkdir()
    main_ok("ground-truth", "simulate", root / "mine", "--neurons", "2", "--minutes", "1")
    capsys.readouterr()
    table = tmp_path / "scores.csv"
    main_ok("benchmark", random_model.folder, "mine", "--ground-truth", root, "--noise-level", "3", "--table", table)
    out = capsys.readouterr().out
    assert "random at 30Hz_50ms_noise3" in out and "mean over datasets" in out
    assert {score.dataset for score in read_scores(table)} == {"mine"}


def test_benchmark_refuses_what_the_model_has_seen(tmp_path, random_model, capsys, monkeypatch):
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "cell.npz").write_bytes(b"")
    assert main_fails("benchmark", random_model.folder, "none", "--ground-truth", tmp_path)
    assert "random was trained on none: its figures there would be too good" in capsys.readouterr().err
    assert main_fails("benchmark", random_model.folder, "other", "--ground-truth", tmp_path)
    assert "there is no dataset other: 'cascade ground-truth list' shows all" in capsys.readouterr().err
    assert main_fails("benchmark", random_model.folder, "DS09", "--ground-truth", tmp_path)
    assert "DS09-GCaMP6f-m-V1 is not here: 'cascade ground-truth fetch" in capsys.readouterr().err
    assert main_fails("benchmark", random_model.folder)
    assert "has no evaluation" in capsys.readouterr().err


def test_benchmark_of_a_fixed_model_has_no_choice(tmp_path, random_model, capsys):
    main_ok("ground-truth", "simulate", tmp_path / "mine", "--neurons", "1", "--minutes", "1")
    assert main_fails("benchmark", random_model.folder, "mine", "--ground-truth", tmp_path, "--smoothing", "0.1")
    assert "gaussian kernel of 0.05 s and no other" in capsys.readouterr().err


def test_a_published_name_is_measured_and_expected_as_it_is_run(tmp_path, capsys):
    """Smoothing and kernel of the name hold everywhere."""
    from cascade_engine.networks.families import open_predictor

    name = "Global_EXC_30Hz_smoothing200ms_causalkernel"
    main_ok("ground-truth", "simulate", tmp_path / "mine", "--neurons", "1", "--minutes", "1")
    main_ok("benchmark", name, "mine", "--ground-truth", tmp_path, "--noise-level", "3")
    assert "universal at 30Hz_200ms_causal_noise3" in capsys.readouterr().out
    slow = name.replace("30Hz", "7.5Hz").replace("_causalkernel", "")
    main_ok("benchmark", slow, "mine", "--ground-truth", tmp_path, "--noise-level", "3")
    assert "universal at 7.5Hz_200ms_noise3" in capsys.readouterr().out
    main_ok("benchmark", name, "mine", "--ground-truth", tmp_path, "--noise-level", "3", "--kernel", "gaussian")
    assert "universal at 30Hz_200ms_noise3" in capsys.readouterr().out

    model = load_model(slow)
    figures = expected_figures(model, 30.0, 4.0, open_predictor(model, 30.0).settings)
    assert figures["smoothing_s"] == 0.2
    narrow = Settings(smoothing=0.05, kernel="gaussian")
    assert figures["correlation"] > expected_figures(model, 30.0, 4.0, narrow)["correlation"]


def main_ok(*arguments: str | Path) -> None:
    main([str(argument) for argument in arguments])


def main_fails(*arguments: str | Path) -> bool:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code == 1
