"""The universal model: its network in Keras and ONNX, its batches, training, and what it can be asked for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

import cascade_engine.networks.universal.predictor
from cascade_engine import infer, load_model, smooth_spikes
from cascade_engine.errors import InputError, ModelError
from cascade_engine.evaluation import Condition, make_trace
from cascade_engine.ground_truth import simulate_dataset
from cascade_engine.networks.card import write_model
from cascade_engine.networks.names import published_settings
from cascade_engine.networks.training_loop import train_model
from cascade_engine.networks.universal.architecture import LOG_NOISE_CENTRE, LOG_RATE_CENTRE, conditions
from cascade_engine.networks.universal.batches import UniversalBatches
from cascade_engine.networks.universal.config import UniversalConfig
from cascade_engine.networks.universal.simulated import simulated_datasets
from cascade_engine.networks.universal.trainer import UniversalTrainer
from cascade_engine.signal.noise import MEDIAN_ABS_DIFFERENCE, noise_levels

CONFIG = UniversalConfig(
    "small",
    ("simulated",),
    frame_rates=(7.5, 30.0),
    channels=(8, 12, 16),
    context_channels=(8, 8),
    context_size=8,
    steps=6,
    frames_per_step=2048,
    crop_s=10.0,
    warmup_steps=2,
    ensemble_size=2,
)


@pytest.fixture(scope="module")
def datasets():
    return [simulate_dataset(n_neurons=4, duration_s=60, noise_level=0.5, seed=1)]


@pytest.fixture(scope="module")
def networks():
    """Two Keras networks with random weights, all different from what they start with."""
    keras = pytest.importorskip("keras")
    from cascade_engine.networks.universal.keras_network import build_network

    made = []
    for seed in range(2):
        keras.utils.set_random_seed(seed)
        network, rng = build_network(CONFIG), np.random.default_rng(seed)
        network.set_weights([w + 0.1 * rng.standard_normal(w.shape).astype("f4") for w in network.get_weights()])
        made.append(network)
    return made


@pytest.fixture(scope="module")
def model(networks, tmp_path_factory):
    from cascade_engine.networks.universal.keras_network import read_weights

    weights = [read_weights(network) for network in networks]
    return made_of(weights, CONFIG, tmp_path_factory.mktemp("universal") / "small")


def made_of(weights, config, folder):
    """A model of networks with these weights."""
    from cascade_engine.networks.universal.graph import build_context_graph, build_spikes_graph

    parts = {"context": build_context_graph(config, weights), "spikes": build_spikes_graph(config, weights)}
    entries = [({"part": part}, f"{part}.onnx", content) for part, content in parts.items()]
    return write_model(folder, "universal", config, entries, {})


def noise(n_neurons: int, n_frames: int, sd: float = 0.1, seed: int = 0) -> np.ndarray:
    return sd * np.random.default_rng(seed).standard_normal((n_neurons, n_frames)).astype(np.float32)


# ------------------------------------------------------------------------------------------------------ the network


def test_onnx_gives_what_keras_gives(networks, model):
    dff = noise(3, 480)
    sd = np.median(np.abs(np.diff(dff)), axis=1) / MEDIAN_ABS_DIFFERENCE
    expected = [np.asarray(network([dff, conditions(30.0, sd, False), np.ones_like(dff)])) for network in networks]
    found = infer(dff, 30.0, model, smoothing=0.0).spike_prob
    np.testing.assert_allclose(found, np.mean(expected, axis=0), atol=1e-6)
    assert np.ptp(found) > 1e-3


def test_blocks_and_threads_change_nothing(model, monkeypatch):
    dff = noise(3, 1500)
    dff[1, 700:720] = np.nan
    whole = infer(dff, 30.0, model, n_threads=1).spike_prob
    monkeypatch.setattr(cascade_engine.networks.universal.predictor, "_BLOCK_FRAMES", 256)
    np.testing.assert_allclose(infer(dff, 30.0, model, n_threads=2).spike_prob, whole, atol=1e-6)


def test_the_margin_exceeds_what_the_default_network_sees(tmp_path):
    """A change of one frame reaches no further than the margin with which blocks are computed."""
    keras = pytest.importorskip("keras")
    from cascade_engine.networks.universal.keras_network import build_network

    keras.utils.set_random_seed(0)
    network = build_network(replace(CONFIG, channels=UniversalConfig("x", ("y",)).channels))
    dff, told = noise(1, 2048), conditions(30.0, np.array([0.1]), False)
    changed = dff.copy()
    changed[0, 1024] += 1.0
    # the context, which sees everything, must not change: its layers are put to sleep
    for layer in network.layers:
        if layer.name == "context":
            layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    before, after = (np.asarray(network([x, told, np.ones_like(x)]))[0] for x in (dff, changed))
    touched = np.flatnonzero(before != after)
    assert 0 < 1024 - touched.min() < cascade_engine.networks.universal.predictor._MARGIN
    assert 0 < touched.max() - 1024 < cascade_engine.networks.universal.predictor._MARGIN


# ----------------------------------------------------------------------------------------- what it can be asked for


def test_a_model_of_another_version_is_refused_in_one_line(model, monkeypatch):
    monkeypatch.setattr(cascade_engine.networks.universal.predictor, "N_CONDITIONS", 3)
    with pytest.raises(ModelError, match="small was trained by another version of cascade-spikes: train it again"):
        infer(noise(1, 300), 30.0, model)


def test_every_frame_has_a_prediction_except_missing_ones(model):
    dff = noise(2, 333)
    dff[0, 100:110] = np.nan
    result = infer(dff, 12.3, model)
    assert np.isnan(result.spike_prob[0, 100:110]).all()
    assert np.isfinite(np.delete(result.spike_prob[0], np.arange(100, 110))).all()
    assert np.isfinite(result.spike_prob[1]).all() and result.notes == ["", ""]


def test_smoothing_and_kernel_are_applied_to_the_least_smoothed_output(model):
    dff = noise(2, 600)
    fine = infer(dff, 30.0, model, smoothing=0.0).spike_prob
    for kernel in ("gaussian", "causal"):
        found = infer(dff, 30.0, model, smoothing=0.1, kernel=kernel)
        np.testing.assert_allclose(found.spike_prob, smooth_spikes(fine, 30.0, 0.1, kernel), atol=1e-6)
        assert (found.smoothing, found.kernel) == (0.1, kernel)
    assert infer(dff, 30.0, model).smoothing == pytest.approx(0.05)
    assert infer(dff, 7.5, model).smoothing == pytest.approx(0.2)
    with pytest.raises(InputError, match="kernel must be one of"):
        infer(dff, 30.0, model, kernel="square")


def test_sessions_share_the_description_of_the_neuron_and_nothing_else(model):
    dff = noise(1, 900)
    apart = infer(dff, 30.0, model, segments=[400, 500], smoothing=0.05).spike_prob
    changed = dff.copy()
    changed[0, :390] = noise(1, 390, seed=5)
    again = infer(changed, 30.0, model, segments=[400, 500], smoothing=0.05).spike_prob
    # only through noise level and context does the first session touch the second
    assert np.abs(apart[0, 400:] - again[0, 400:]).max() < 0.3 * np.ptp(apart[0, 400:])
    short = infer(dff, 30.0, model, segments=[10, 890])
    assert np.isnan(short.spike_prob[0, :10]).all() and np.isfinite(short.spike_prob[0, 10:]).all()


def test_rate_and_population_matter(model):
    dff = noise(2, 600)
    usual = infer(dff, 30.0, model).spike_prob
    assert np.abs(infer(dff, 30.0, model, population="interneurons").spike_prob - usual).max() > 1e-4
    assert np.abs(infer(dff, 20.0, model, smoothing=0.05).spike_prob - usual).max() > 1e-4
    with pytest.raises(InputError, match="population must be one of principal, interneurons"):
        infer(dff, 30.0, model, population="glia")


def test_the_indicator_may_be_told(model):
    dff = noise(2, 600)
    untold = infer(dff, 30.0, model).spike_prob
    slow, fast = (infer(dff, 30.0, model, indicator=name).spike_prob for name in ("GCaMP6s", "jGCaMP8f"))
    assert np.abs(slow - untold).max() > 1e-4 and np.abs(slow - fast).max() > 1e-4
    for alias in ("GCaMP8f", "gcamp8m", "GCaMP7f"):
        np.testing.assert_array_equal(infer(dff, 30.0, model, indicator=alias).spike_prob, fast)
    with pytest.raises(InputError, match="does not know the indicator 'Fluo-4': leave it out, or name one of OGB-1"):
        infer(dff, 30.0, model, indicator="Fluo-4")
    untold_by_name = infer(dff, 30.0, model, indicator="unknown")
    np.testing.assert_array_equal(untold_by_name.spike_prob, untold)
    assert untold_by_name.indicator is None


def test_the_indicator_changes_the_shape_and_not_the_number_of_spikes(model):
    dff = noise(3, 600)
    dff[0, 100:110] = np.nan
    untold, told = (infer(dff, 30.0, model, indicator=name, segments=[400, 200]) for name in (None, "GCaMP6s"))
    assert told.indicator == "GCaMP6s"
    difference = np.nanmax(np.abs(told.spike_prob - untold.spike_prob), axis=1)
    assert (difference > 1e-4).all()
    # smoothing moves a little over the ends of a session
    np.testing.assert_allclose(np.nansum(told.spike_prob, 1), np.nansum(untold.spike_prob, 1), rtol=0.01)


def test_the_network_is_told_the_indicator_of_half_the_crops():
    dataset = simulate_dataset(n_neurons=2, duration_s=60, noise_level=0.5, seed=1)
    dataset.name = "DS14-GCaMP6s-m-V1"
    batches = UniversalBatches([dataset], replace(CONFIG, frames_per_step=65536))
    (_, told, _), _ = batches.batch(np.random.default_rng(0))
    families = told[:, 3:]
    assert set(families.sum(axis=1)) == {0.0, 1.0} and 0.3 < families.sum(axis=1).mean() < 0.7
    assert families.any(axis=0).tolist() == [False, False, False, True, False, False]


def test_a_frame_rate_beyond_the_training_is_doubtful(model):
    dff = noise(2, 600)
    assert infer(dff, 15.0, model).warnings == []
    assert any("knows 7.5 to 30 Hz" in text for text in infer(dff, 300.0, model).warnings)


def test_very_little_noise_is_taken_for_little(model):
    dff = noise(1, 600, sd=0.1)
    least = infer(dff, 30.0, model, noise_level=CONFIG.least_noise_level)
    assert least.network_noise_levels[0] == pytest.approx(CONFIG.least_noise_level)
    found = infer(dff, 30.0, model, noise_level=0.05)
    np.testing.assert_array_equal(found.spike_prob, least.spike_prob)


def test_the_published_architecture_has_one_smoothing(random_model):
    dff = noise(2, 600)
    infer(dff, 30.0, random_model, smoothing=0.05, kernel="gaussian")
    with pytest.raises(InputError, match="no other"):
        infer(dff, 30.0, random_model, smoothing=0.1)
    with pytest.raises(InputError, match="cannot be given a population"):
        infer(dff, 30.0, random_model, population="principal")
    with pytest.raises(InputError, match="cannot be given an indicator"):
        infer(dff, 30.0, random_model, indicator="GCaMP6f")


def test_grids_do_not_matter_to_what_networks_trained_on_simulations_make_of_a_neuron(networks, tmp_path):
    from cascade_engine.networks.universal.keras_network import read_weights

    config = replace(CONFIG, ensemble_size=1, simulated_networks=1)
    model = made_of([read_weights(network) for network in networks], config, tmp_path / "small")
    dff, known = noise(1, 480), conditions(30.0, np.array([0.1]), False)

    def described(n_before):
        padded, mask = (np.pad(x, ((0, 0), (n_before, 4 - n_before))) for x in (dff, np.ones_like(dff)))
        return model.session("context").run(None, {"dff": padded, "conditions": known, "mask": mask})[0][0]

    recorded, simulated = np.swapaxes([described(n_before) for n_before in range(5)], 0, 1)
    np.testing.assert_allclose(simulated, simulated[[0]].repeat(5, axis=0), atol=1e-6)
    np.testing.assert_allclose(recorded[4], recorded[0], atol=1e-6)
    assert np.abs(recorded[1] - recorded[0]).max() > 1e-4


def test_networks_trained_on_simulations_have_half_a_say_in_the_number_of_spikes(networks, tmp_path):
    from cascade_engine.networks.universal.keras_network import read_weights

    alone = replace(CONFIG, ensemble_size=1)
    weights = [read_weights(network) for network in networks]
    weights[1]["spikes/bias"] = weights[1]["spikes/bias"] + 2.0  # so that it sees more spikes
    recorded, simulated = (made_of([one], alone, tmp_path / str(i)) for i, one in enumerate(weights))
    both = made_of(weights, replace(alone, simulated_networks=1), tmp_path / "both")
    dff = noise(3, 600)
    shape, other, found = (infer(dff, 30.0, model).spike_prob for model in (recorded, simulated, both))
    gain = found / shape
    np.testing.assert_allclose(gain, gain[:, :1] * np.ones(600), rtol=1e-4)
    counts = [spike_prob.sum(axis=1) for spike_prob in (shape, other)]
    assert np.abs(np.log(counts[0] / counts[1])).min() > 0.1
    # smoothing moves a little over the ends
    np.testing.assert_allclose(found.sum(axis=1), np.sqrt(counts[0] * counts[1]), rtol=0.02)


@pytest.mark.parametrize(
    ("name", "smoothing", "kernel", "population"),
    [
        ("Global_EXC_12.5Hz_smoothing100ms_causalkernel", 0.1, "causal", "principal"),
        ("GC8m_EXC_15Hz_smoothing50ms_high_noise", 0.05, "gaussian", "principal"),
        ("Global_INH_30Hz_smoothing100ms", 0.1, "gaussian", "interneurons"),
        ("Spinal_cord_inhibitory_30Hz_smoothing50ms", 0.05, "gaussian", "interneurons"),
        ("Cascade_Universal_30Hz", None, "gaussian", "principal"),
        ("Global_8.5Hz_100ms_causalkernel", 0.1, "causal", "principal"),
        ("Global_30Hz_50ms", 0.05, "gaussian", "principal"),
        ("Global_INH_30Hz_50ms_high_noise", 0.05, "gaussian", "interneurons"),
        ("GC8s_15Hz_100ms_high_noise_causalkernel", 0.1, "causal", "principal"),
        ("GC8_EXC_30Hz_smoothing_50ms_causalkernel_high_noise", 0.05, "causal", "principal"),
        ("GCaMP6s_5Hz", None, "gaussian", "principal"),
    ],
)
def test_names_of_published_models(name, smoothing, kernel, population):
    found = published_settings(name)
    assert found["asked_for"] == name
    assert (found.get("smoothing"), found["kernel"], found["population"]) == (smoothing, kernel, population)


def test_names_that_it_cannot_stand_for():
    assert published_settings("Global_EXC_30Hz_smoothing50ms_") is None
    for name in ("my_model", "Global_100ms", "Global_30Hz_50ms_100ms", "Global_30Hz_50msx", "Globally_30Hz", "GC8_30"):
        assert published_settings(name) is None
    with pytest.raises(ModelError, match="import the published model"):
        published_settings("Online_model_30Hz_integration_100ms_smoothing_25ms_GCaMP8")


def test_a_published_name_is_answered_with_its_settings(model, monkeypatch):
    monkeypatch.setattr("cascade_engine.networks.store.DEFAULT_MODEL", str(model.folder))
    stand_in = load_model("Global_EXC_30Hz_smoothing100ms_causalkernel")
    dff = noise(2, 600)
    found = infer(dff, 30.0, stand_in)
    expected = infer(dff, 30.0, model, smoothing=0.1, kernel="causal").spike_prob
    np.testing.assert_array_equal(found.spike_prob, expected)
    for variant in ("f", "m", "s", ""):
        model = load_model(f"GC8{variant}_EXC_30Hz_smoothing50ms")
        assert infer(dff, 30.0, model).indicator == f"jGCaMP8{variant}"
    assert infer(dff, 30.0, load_model("GC8m_EXC_30Hz_smoothing50ms"), indicator="GCaMP6f").indicator == "GCaMP6f"
    assert "Global_EXC_30Hz_smoothing100ms_causalkernel is not installed" in found.warnings[0]
    assert load_model("auto").folder == model.folder


# ------------------------------------------------------------------------------------------------------- training


def test_a_batch_is_a_function_of_its_seed(datasets):
    batches = UniversalBatches(datasets, CONFIG)
    first, again = (batches.batch(np.random.default_rng(3)) for _ in range(2))
    other = batches.batch(np.random.default_rng(4))
    np.testing.assert_array_equal(first[0][0], again[0][0])
    np.testing.assert_array_equal(first[1], again[1])
    assert first[0][0].shape != other[0][0].shape or not np.array_equal(first[0][0], other[0][0])


def test_batches_have_the_noise_and_rate_that_they_state(datasets):
    config = replace(CONFIG, frame_rates=(30.0,), noise_range=(4.0, 4.0), native_share=0.0, rate_jitter=0.0)
    (dff, told, mask), target = UniversalBatches(datasets, config).batch(np.random.default_rng(0))
    assert dff.shape == mask.shape == target.shape[:2] == (4, 512)
    np.testing.assert_allclose(np.exp(told[:, 0] + LOG_RATE_CENTRE), 30.0, rtol=1e-3)
    level = 100 * MEDIAN_ABS_DIFFERENCE * np.exp(told[:, 1] + LOG_NOISE_CENTRE) / np.sqrt(30.0)
    np.testing.assert_allclose(level, 4.0, rtol=0.3)
    counts, weight = target[..., 0], target[..., 1]
    assert (counts == np.round(counts)).all() and counts.sum() > 0
    assert (weight[mask == 0] == 0).all() and (weight[mask == 1] > 0).all()


def test_some_crops_keep_the_noise_that_they_have(datasets):
    config = replace(CONFIG, frame_rates=(30.0,), noise_range=(8.0, 8.0), native_share=0.5, frames_per_step=65536)
    (dff, _, _), _ = UniversalBatches(datasets, config).batch(np.random.default_rng(0))
    levels = noise_levels(dff, 30.0)
    native = levels < 2.0
    assert 0.3 < native.mean() < 0.7 and (levels[~native] > 5.0).all()


def test_very_little_noise_is_stated_as_little_in_training_too(datasets):
    config = replace(CONFIG, frame_rates=(30.0,), noise_range=(5.0, 5.0), native_share=1.0, rate_jitter=0.0)
    (_, told, _), _ = UniversalBatches(datasets, config).batch(np.random.default_rng(0))
    levels = 100 * MEDIAN_ABS_DIFFERENCE * np.exp(told[:, 1] + LOG_NOISE_CENTRE) / np.sqrt(30.0)
    np.testing.assert_allclose(levels, config.least_noise_level, rtol=1e-3)


def test_rates_and_datasets_are_drawn_as_often_as_wanted(datasets):
    config = replace(CONFIG, rate_weights=(1.0, 9.0), frames_per_step=256)
    batches = UniversalBatches(datasets, config)
    rates = [
        np.exp(np.median(batches.batch(np.random.default_rng(i))[0][1][:, 0]) + LOG_RATE_CENTRE) for i in range(60)
    ]
    assert 0.75 < np.mean(np.array(rates) > 15.0) < 1.0
    longer = simulate_dataset(n_neurons=2, duration_s=240, noise_level=0.5, seed=2)
    for power, ratio in ((0.0, 1.0), (1.0, 2.0)):
        sources = UniversalBatches([*datasets, longer], replace(CONFIG, dataset_power=power))._sources[30.0]
        assert sum(s.share for s in sources[4:]) == pytest.approx(ratio * sum(s.share for s in sources[:4]))


def test_short_recordings_of_a_neuron_fill_a_crop_together():
    dataset = simulate_dataset(n_neurons=1, duration_s=8, noise_level=0.5, seed=1)
    parts = simulate_dataset(n_neurons=3, duration_s=8, noise_level=0.5, seed=2).neurons
    dataset.neurons[0].recordings += [recording for neuron in parts for recording in neuron.recordings]
    config = replace(CONFIG, frame_rates=(30.0,), crop_s=17.0)
    (dff, _, mask), _ = UniversalBatches([dataset], config).batch(np.random.default_rng(0))
    assert mask[:, 0].all() and mask.mean() > 0.9
    starts = np.diff(mask[0]).nonzero()[0]
    assert len(starts) >= 2 and (dff[mask == 0] == 0).all()


def test_quiet_neurons_count_as_much_as_busy_ones(datasets):
    batches = UniversalBatches(datasets, CONFIG)
    for source in batches._sources[30.0]:
        spikes = sum(recording.counts.sum() for recording in source.recordings)
        rate = spikes / sum(len(recording.counts) for recording in source.recordings) * 30.0
        assert source.weight == pytest.approx(30.0 / (rate + 0.2), rel=0.05)


def test_silent_crops_are_noise_alone_without_spikes(datasets):
    """As often as wanted, white, at all noise levels; the others are as they would be."""
    batches = UniversalBatches(datasets, replace(CONFIG, silent_share=0.5, frames_per_step=2**17))
    (dff, conditions, mask), target = batches.batch(np.random.default_rng(0))
    silent = target[..., 0].sum(axis=1) == 0
    assert 0.3 < silent.mean() < 0.7
    for trace, frames in zip(dff[silent], mask[silent] > 0, strict=True):
        noise = trace[frames] - trace[frames].mean()
        assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 4 / np.sqrt(noise.size)
        assert np.abs(noise).max() < 6 * noise.std()
    assert np.ptp(conditions[silent, 1]) > 1.0
    assert (target[silent, :, 1][mask[silent] > 0] > 0).all()


def test_computed_dff_takes_the_place_of_the_published_one(datasets, tmp_path, monkeypatch):
    """As often as wanted, for neurons that have raw fluorescence; with their spikes."""
    monkeypatch.setenv("CASCADE_RAW_FLUORESCENCE", str(tmp_path))
    dataset, without = datasets[0], datasets[1:]
    (tmp_path / dataset.name).mkdir()
    for neuron in dataset.neurons:
        arrays = {}
        for number, recording in enumerate(neuron.recordings):
            arrays[f"fluo_raw_{number}"] = 100.0 * (1.0 + recording.dff) + 70.0
            arrays[f"neuropil_{number}"] = np.full(len(recording.dff), 100.0)
        np.savez(tmp_path / dataset.name / f"{neuron.cell}.npz", **arrays)
    plain, mixed = (UniversalBatches(datasets, replace(CONFIG, computed_dff_share=share)) for share in (0.0, 0.25))
    rate = plain.frame_rates[0]
    of_dataset = [source for source in mixed._sources[rate] if source.dataset == dataset.name]
    assert len(of_dataset) == 2 * len(dataset.neurons)
    for published, computed in zip(of_dataset[::2], of_dataset[1::2], strict=True):
        assert computed.share == pytest.approx(published.share / 3)
        assert computed.weight == pytest.approx(published.weight, rel=0.01)
        first, other = computed.recordings[0], published.recordings[0]
        assert first.counts.sum() == pytest.approx(other.counts.sum(), abs=1)
        n_frames = min(len(first.dff), len(other.dff))
        assert np.corrcoef(first.dff[:n_frames], other.dff[:n_frames])[0, 1] > 0.9
    total = sum(source.share for source in of_dataset)
    assert total == pytest.approx(sum(s.share for s in plain._sources[rate] if s.dataset == dataset.name))
    names = {source.dataset for source in mixed._sources[rate]}
    assert names == {dataset.name, *(other.name for other in without)}


def test_simulated_neurons_span_wide_ranges():
    datasets, interneurons = simulated_datasets(12, 2, seed=1)
    again, _ = simulated_datasets(12, 2, seed=1)
    np.testing.assert_array_equal(datasets[5].recordings[1].dff, again[5].recordings[1].dff)
    assert interneurons == ["simulated-3", "simulated-7", "simulated-11"]
    neurons = [neuron for dataset in datasets for neuron in dataset.neurons]
    assert {neuron.dataset for neuron in neurons} == {dataset.name for dataset in datasets}
    brightness = [np.percentile(recording.dff, 99.9) for dataset in datasets for recording in dataset.recordings]
    assert max(brightness) > 10 * min(brightness)
    rates = {
        fast: np.mean(
            [neuron.n_spikes / neuron.duration_s for neuron in neurons if (neuron.dataset in interneurons) == fast]
        )
        for fast in (False, True)
    }
    assert rates[True] > 1.5 * rates[False] > 0.2


def test_the_loss_is_smallest_for_the_expected_spikes():
    keras = pytest.importorskip("keras")
    from cascade_engine.networks.universal.loss import spike_loss

    loss = spike_loss(replace(CONFIG, smoothings_frames=(0.6, 2.0)))
    rng = np.random.default_rng(0)
    rate = np.full((64, 256), 0.2, dtype=np.float32)
    target = np.stack([rng.poisson(rate), np.ones_like(rate)], axis=-1).astype(np.float32)
    values = [float(keras.ops.mean(loss(target, rate * gain))) for gain in (0.8, 0.9, 1.0, 1.1, 1.25)]
    assert int(np.argmin(values)) == 2
    ignored = target.copy()
    ignored[..., 1] = 0.0
    assert float(keras.ops.mean(loss(ignored, 5 * rate))) == 0.0


SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.engine.test_universal import CONFIG
from cascade_engine.networks import training_loop
from cascade_engine.networks.universal.trainer import UniversalTrainer
from cascade_engine.ground_truth import simulate_dataset
training_loop.CHECKPOINT_S, training_loop.COMPILED_WITH = 0.0, ()
data = [simulate_dataset(n_neurons=4, duration_s=60, noise_level=0.5, seed=1)]
config = replace(CONFIG, simulated_networks=1, simulated_datasets=2, frame_rates=(30.0,))
training_loop.train_model(UniversalTrainer(config, data), Path(sys.argv[1]), progress=False)
"""


def test_training_killed_and_resumed_ends_as_if_it_had_not_been(tmp_path):
    pytest.importorskip("keras")
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"}

    def start(name):
        return subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path / name)], env=environment)

    assert start("whole").wait() == 0
    process = start("killed")
    marker = tmp_path / "killed.training" / "member_0.npz"
    while process.poll() is None and not marker.exists():
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert marker.exists() and not (tmp_path / "killed").exists()
    assert start("killed").wait() == 0
    whole, resumed = load_model(tmp_path / "whole"), load_model(tmp_path / "killed")
    assert whole.family == "universal" and whole.card["training"]["ground_truth"][0]["neurons"] == 4
    dff = noise(2, 300)
    np.testing.assert_allclose(
        infer(dff, 30.0, resumed).spike_prob, infer(dff, 30.0, whole).spike_prob, rtol=1e-4, atol=1e-6
    )
    log = (whole.folder / "training_log.csv").read_text().splitlines()
    assert log[0] == "network,epoch,windows,loss,seconds" and len(log) == 4
    assert whole.card["training"]["left_out"] == [[], []]


def test_each_network_is_trained_without_its_fold(tmp_path):
    pytest.importorskip("keras")
    names = ("a", "b", "c")
    parts = [simulate_dataset(n_neurons=2, duration_s=60, noise_level=0.5, seed=seed) for seed in range(3)]
    for name, dataset in zip(names, parts, strict=True):
        dataset.name = name
        for neuron in dataset.neurons:
            neuron.dataset = name
    config = replace(CONFIG, training_datasets=names, folds=2, steps=3, warmup_steps=1, frame_rates=(30.0,))
    assert {source.dataset for source in UniversalBatches(parts, config).without(["a", "c"])._sources[30.0]} == {"b"}
    model = train_model(UniversalTrainer(config, parts), tmp_path / "folded", progress=False)
    assert model.card["training"]["left_out"] == [["a", "c"], ["b"]]
    assert model.has_not_seen(["z"]) and not model.has_not_seen(["a"]) and model.without(["z"]) is model
    assert model.without(["a", "b"]) is None
    unaware = model.without(["a"])
    assert unaware.members == (0,) and unaware.has_not_seen(["a", "c"]) and not unaware.has_not_seen(["b"])
    dff = noise(2, 333)
    both = [infer(dff, 30.0, model.without([name])).spike_prob for name in ("a", "b")]
    assert np.abs(both[0] - both[1]).max() > 1e-6
    np.testing.assert_allclose(np.mean(both, axis=0), infer(dff, 30.0, model).spike_prob, rtol=1e-4, atol=1e-7)


def test_frames_in_front_of_a_trace_change_little():
    """They move the coarser grids on which the networks see it; measured on the shipped model: 7 % of its error."""
    condition = Condition(30.0, 0.05)
    traces = [make_trace(n, condition) for n in simulate_dataset(n_neurons=4, duration_s=60, seed=3).neurons]

    def predicted(shift):
        shifted = [np.pad(each.dff, ((0, 0), (shift, 0)), constant_values=np.nan) for each in traces]
        return np.stack([infer(dff, 30.0).spike_prob[0, shift:][traces[0].scored] for dff in shifted])

    usual, true = predicted(0), np.stack([each.target[each.scored] for each in traces])
    for shift in (1, 8, 100):
        found = predicted(shift)
        assert 0 < np.std(found - usual) < 0.12 * np.std(usual - true)
        np.testing.assert_allclose(found.sum(axis=1), usual.sum(axis=1), rtol=0.08)


def test_the_shipped_model_can_be_judged_on_all_that_it_was_trained_on():
    model = load_model("universal")
    for name in model.config.training_datasets:
        assert model.without([name]).has_not_seen([name])


def test_settings_are_checked():
    values = {"model_name": "x", "training_datasets": ["a"]}
    assert UniversalConfig.from_dict({"family": "universal", **values}).ensemble_size == 3
    for key, value in (
        ("steps", 0),
        ("folds", 1),
        ("simulated_networks", -1),
        ("folds", 4),
        ("native_share", 2),
        ("rate_weights", [1]),
        ("noise_range", [5, 1]),
        ("channels", []),
        ("averaging", 1.5),
    ):
        with pytest.raises(InputError, match=key):
            UniversalConfig.from_dict({**values, key: value})
    with pytest.raises(InputError, match="did you mean channels"):
        UniversalConfig.from_dict({**values, "chanels": [1]})
