"""Models that a user trains: judged by what their networks have not seen, with the same card as ours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml

from cascade_adapters.cli import main
from cascade_engine import InputError, count_spikes_in_bins, infer
from cascade_engine.evaluation import Condition, evaluate, expected_figures, summarize
from cascade_engine.evaluation.conditions import make_trace
from cascade_engine.evaluation.held_out import conditions_for, held_out_folds
from cascade_engine.evaluation.leave_out import predict_with
from cascade_engine.evaluation.uncertainty import card_spread, fit_spread
from cascade_engine.ground_truth import simulate_dataset
from cascade_engine.networks.families import read_configuration
from cascade_engine.networks.store import load_model
from cascade_engine.training import train
from tests.engine.test_universal import CONFIG

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def datasets():
    """Three small datasets, the last of interneurons."""
    found = [simulate_dataset(n_neurons=2, duration_s=60, noise_level=1.0, seed=seed) for seed in range(len(NAMES))]
    for name, dataset in zip(NAMES, found, strict=True):
        dataset.name = name
        for neuron in dataset.neurons:
            neuron.dataset = name
    return found


@pytest.fixture(scope="module")
def said():
    """What the training has said."""
    return []


@pytest.fixture(scope="module")
def model(datasets, said, tmp_path_factory):
    """A universal model of two networks, hardly trained, that has folds."""
    pytest.importorskip("keras")
    config = replace(
        CONFIG, model_name="mine", training_datasets=NAMES, interneuron_datasets=("c",), folds=2, steps=3,
        warmup_steps=1, frame_rates=(15.0, 30.0),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("trained") / "mine"
    found = train(config, datasets, folder, progress=False, say=said.append)
    assert not folder.with_name("mine.training").exists()
    return found


def test_its_card_has_the_figures_of_the_held_out_datasets(model, datasets, said):
    assert held_out_folds(model) == [["a", "c"], ["b"]]
    assert said[:2] == ["mine: fold 1 of 2 is done (a, c)", "mine: fold 2 of 2 is done (b)"]
    labels = {(entry["frame_rate_hz"], entry["smoothing_s"]) for entry in model.card["evaluation"]}
    assert labels == {(30.0, 0.05), (15.0, 0.1), (30.0, 0.025), (30.0, 0.2)}
    (entry,) = [
        entry
        for entry in model.card["evaluation"]
        if (entry["frame_rate_hz"], entry["smoothing_s"], entry["noise_level"]) == (30.0, 0.05, 4.0)
    ]
    assert entry["datasets"] == 2 and entry["neurons"] == 4 and entry["leaving_out"] is True
    condition = Condition(30.0, 0.05, 4.0)
    scores = []
    for name, dataset in zip(NAMES[:2], datasets[:2], strict=True):
        for trace in (make_trace(neuron, condition) for neuron in dataset.neurons):
            scores.append(evaluate(predict_with(model.without([name]), condition, trace), trace, condition.label, "m"))
    assert entry["error"] == pytest.approx(summarize(scores).error, abs=1e-3)
    assert load_model(model.folder).card == model.card


def test_expectation_and_intervals_work_with_it(model, datasets):
    result = infer(datasets[0].recordings[0].dff[np.newaxis], 30.0, model)
    assert expected_figures(model, 30.0, 4.0, result.settings)["smoothing_s"] == 0.05
    assert [entry["noise_level"] for entry in model.card["uncertainty"]["principal"]] == [2.0, 4.0, 8.0]
    counts = count_spikes_in_bins(result)
    assert counts.expected.shape == (1, 60) and (counts.low <= counts.high).all() and counts.high.max() > 0
    fast = count_spikes_in_bins(
        infer(datasets[2].recordings[0].dff[np.newaxis], 30.0, model, population="interneurons")
    )
    assert np.isfinite(fast.high).all()


def test_the_command_judges_the_model_that_it_has_trained(tmp_path, capsys):
    pytest.importorskip("keras")
    names = ("first", "second")
    for number, name in enumerate(names):
        folder = tmp_path / "truth" / name
        main(["ground-truth", "simulate", str(folder), "--neurons", "1", "--minutes", "1", "--seed", str(number)])
    config = replace(CONFIG, training_datasets=names, folds=2, steps=1, warmup_steps=0, frame_rates=(30.0,))
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"family": "universal", **config.to_dict()}))
    capsys.readouterr()
    main(["train", str(path), "--ground-truth", str(tmp_path / "truth"), "--output", str(tmp_path / "m")])
    out = capsys.readouterr().out
    assert "m: fold 2 of 2 is done (second)" in out and f"cascade benchmark {tmp_path / 'm'}" in out
    main(["benchmark", str(tmp_path / "m")])
    assert "m, on datasets left out of its training" in capsys.readouterr().out


def test_a_model_without_folds_says_nothing_of_itself(datasets, tmp_path):
    pytest.importorskip("keras")
    config = replace(CONFIG, training_datasets=NAMES, ensemble_size=1, steps=1, warmup_steps=0, frame_rates=(30.0,))
    model = train(config, datasets, tmp_path / "m", progress=False)
    assert "evaluation" not in model.card and "uncertainty" not in model.card


def test_judging_goes_on_where_it_was_interrupted(datasets, tmp_path, monkeypatch):
    pytest.importorskip("keras")
    from cascade_engine.evaluation import held_out

    config = replace(CONFIG, training_datasets=NAMES, folds=2, steps=1, warmup_steps=0, frame_rates=(30.0,))
    said = []

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(held_out, "count_in_bins", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(config, datasets, tmp_path / "m", progress=False, say=said.append)
    assert not (tmp_path / "m").exists() and len(said) == 2
    monkeypatch.undo()
    model = train(config, datasets, tmp_path / "m", progress=False, say=said.append)
    assert said[2:] == ["the spread of its counts is measured"]
    assert model.card["uncertainty"]["principal"] and not (tmp_path / "m.training").exists()


def test_the_spread_is_the_one_that_counts_were_drawn_with():
    rng = np.random.default_rng(0)
    expected = np.exp(rng.uniform(np.log(0.5), np.log(30), (40, 500)))
    part = 1 / (1 + 0.7 + 0.2 * expected)
    true = rng.negative_binomial(expected * part / (1 - part), part)
    counts = {(2.0, 1.0): [np.stack(pair) for pair in zip(expected, true, strict=True)]}
    found = fit_spread([counts], 2.0)
    assert found["noise_level"] == 2.0
    assert found["excess"] == pytest.approx(0.7, rel=0.15) and found["gain_variance"] == pytest.approx(0.2, rel=0.15)
    assert fit_spread([{(2.0, 1.0): []}], 2.0) is None


def test_a_model_for_one_smoothing_is_judged_at_it(random_model):
    assert held_out_folds(random_model) == []
    conditions = conditions_for(random_model)
    assert conditions == [Condition(30.0, 0.05, 2.0), Condition(30.0, 0.05, 4.0)]
    spread = {(2.0, 1.0): [np.array([[1.0, 2.0, 3.0], [1.0, 0.0, 5.0]])]}
    assert list(card_spread({"x": spread}, random_model)) == ["all"]


def test_a_configuration_names_its_family(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("family: universal\nmodel_name: m\ntraining_datasets: [DS01]\ninterneuron_datasets: [DS01]\n")
    config = read_configuration(path).with_datasets(str.lower)
    assert config.family == "universal"
    assert config.training_datasets == config.interneuron_datasets == ("ds01",)
    path.write_text("model_name: m\nsampling_rate: 30\ntraining_datasets: [DS01]\n")
    assert read_configuration(path).family == "windowed"
    path.write_text("family: spiral\nmodel_name: m\n")
    with pytest.raises(InputError, match="family must be one of universal, windowed, student, but it is 'spiral'"):
        read_configuration(path)
