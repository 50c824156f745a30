"""Training: batches, the Keras network, resuming, transfer. Needs Keras and TensorFlow."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from conftest import random_network
from windowed import predict_windows

from cascade_engine import InputError, ModelConfig, infer, noise_levels, score, smooth_spikes
from cascade_engine.ground_truth import simulate_dataset
from cascade_engine.models.onnx_reader import read_networks
from cascade_engine.training.batches import BatchMaker, resample_datasets

CONFIG = ModelConfig(
    "small",
    30.0,
    ("simulated",),
    noise_levels=(2,),
    nr_of_epochs=2,
    windows_per_epoch=20_000,
    ensemble_size=1,
    batch_size=1024,
    sequence_length=128,
)


@pytest.fixture(scope="module")
def datasets():
    return [simulate_dataset(n_neurons=6, duration_s=120, noise_level=0.5, seed=1)]


@pytest.fixture(scope="module")
def batches(datasets):
    return BatchMaker(resample_datasets(datasets, 30.0), 2.0, CONFIG)


def test_batches_have_their_shape_and_noise_level(batches):
    dff, target, weight = batches.batch(np.random.default_rng(0))
    assert dff.shape == (8, 128 + 63, 1)
    assert target.shape == weight.shape == (8, 128, 1)
    assert dff.dtype == target.dtype == weight.dtype == np.float32
    many = np.concatenate([batches.batch(np.random.default_rng(i))[0][:, :, 0] for i in range(30)])
    assert np.median(noise_levels(many, 30.0)) == pytest.approx(2.0, rel=0.1)


def test_batches_are_seeded(batches):
    for one, two in zip(*(batches.batch(np.random.default_rng(7)) for _ in range(2)), strict=True):
        np.testing.assert_array_equal(one, two)


def test_targets_lie_on_the_frame_that_the_window_predicts(datasets):
    """A batch without noise is a stretch of a recording; its targets are the spikes 32 frames after each start."""
    config = replace(CONFIG, smoothing=0.0)
    resampled = resample_datasets(datasets, 30.0)
    quiet = max(recording.noise_level for _, _, recording in resampled)
    dff, target, _ = BatchMaker(resampled, quiet * 1.0001, config).batch(np.random.default_rng(0))
    found = 0
    for sequence, spikes in zip(dff[:, :, 0], target[:, :, 0], strict=True):
        for _, _, recording in resampled:
            starts = [
                start
                for start in range(len(recording.dff) - len(sequence) + 1)
                if np.abs(recording.dff[start : start + len(sequence)] - sequence).mean() < 0.2 * sequence.std()
            ]
            for start in starts[:1]:
                np.testing.assert_array_equal(spikes, recording.counts[start + 32 : start + 32 + len(spikes)])
                found += 1
    assert found >= 4


def test_short_recordings_are_padded_and_weigh_nothing_there():
    short = [simulate_dataset(n_neurons=1, duration_s=5, noise_level=0.5)]
    _, target, weight = BatchMaker(resample_datasets(short, 30.0), 2.0, CONFIG).batch(np.random.default_rng(0))
    assert weight.sum(axis=1).tolist() == [[150 - 63]] * 8
    assert (target[weight == 0] == 0).all()


def test_noisier_recordings_are_left_out(datasets):
    resampled = resample_datasets(datasets, 30.0)
    with pytest.raises(InputError, match=r"noise level of 0\.1 or less"):
        BatchMaker(resampled, 0.1, CONFIG)


def test_no_dataset_outweighs_the_limit():
    large = simulate_dataset(n_neurons=20, duration_s=600, noise_level=0.3, seed=1)
    small = simulate_dataset(n_neurons=2, duration_s=600, noise_level=0.3, seed=2)
    both = BatchMaker(resample_datasets([large, small], 30.0), 2.0, CONFIG)
    assert both.n_neurons == 22
    assert both.n_samples <= 15e6 / 2 + 2 * 8e5


@pytest.mark.parametrize("windowsize", [64, 65, 67])
def test_keras_network_equals_the_window_form(windowsize):
    pytest.importorskip("keras")
    from cascade_engine.training.keras_network import build_network, read_weights, write_weights

    config = replace(CONFIG, windowsize=windowsize)
    network = build_network(config)
    weights = random_network(0, config)
    write_weights(network, weights)
    for array, expected in zip(read_weights(network).kernels, weights.kernels, strict=True):
        np.testing.assert_array_equal(array, expected)
    dff = np.random.default_rng(0).standard_normal((2, 150)).astype(np.float32)
    output = np.asarray(network(dff[:, :, np.newaxis]))[:, :, 0]
    for trace, predicted in zip(dff, output, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(trace, windowsize)
        np.testing.assert_allclose(predicted, predict_windows(windows, weights), atol=1e-5)


def test_training_learns(datasets, tmp_path):
    pytest.importorskip("keras")
    from cascade_engine.training import train

    config = replace(CONFIG, nr_of_epochs=6, windows_per_epoch=100_000)
    model = train(config, datasets, tmp_path / "model", progress=False)
    unseen = simulate_dataset(n_neurons=4, duration_s=120, noise_level=2.0, seed=99)
    scores = []
    for recording in unseen.recordings:
        counts = np.histogram(recording.spike_times_s, bins=(np.arange(len(recording.dff) + 1) - 0.5) / 30)[0]
        predicted = infer(recording.dff[np.newaxis], 30.0, model).spike_prob[0]
        scores.append(score(predicted, smooth_spikes(counts, 30.0, config.smoothing)).correlation)
    assert np.median(scores) > 0.5
    card = model.card
    assert card["origin"] == "trained"
    assert card["training"]["ground_truth"] == [{"dataset": "simulated", "neurons": 6, "recordings": 6}]
    assert card["training"]["versions"]["keras"]
    log = (model.folder / "training_log.csv").read_text().splitlines()
    assert log[0] == "noise_level,member,epoch,windows,loss,seconds"
    assert len(log) == 1 + 6
    assert not (tmp_path / "model.training").exists()


SCRIPT = """
import sys
from pathlib import Path
from test_training import CONFIG
from dataclasses import replace
import cascade_engine.training.trainer as trainer
from cascade_engine.ground_truth import simulate_dataset
trainer._CHECKPOINT_SECONDS = 0.0
config = replace(CONFIG, ensemble_size=2, nr_of_epochs=3)
data = [simulate_dataset(n_neurons=6, duration_s=120, noise_level=0.5, seed=1)]
trainer.train(config, data, Path(sys.argv[1]), progress=False)
"""


def test_killed_training_ends_as_if_it_had_not_been(tmp_path):
    pytest.importorskip("keras")
    from cascade_engine.models.store import load_model

    environment = {**os.environ, "PYTHONPATH": os.path.dirname(__file__), "OMP_NUM_THREADS": "1"}

    def start(name):
        return subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path / name)], env=environment)

    assert start("whole").wait() == 0
    for marker in ("checkpoint.npz", "noise_2_member_0.npz"):
        process = start("killed")
        workplace = tmp_path / "killed.training"
        while not (workplace / marker).exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert start("killed").wait() == 0

    whole, resumed = (load_model(tmp_path / name) for name in ("whole", "killed"))
    for one, two in zip(read_networks(whole)[2.0], read_networks(resumed)[2.0], strict=True):
        for array, expected in zip(one.kernels, two.kernels, strict=True):
            np.testing.assert_allclose(array, expected, atol=1e-6)
    logs = [(tmp_path / name / "training_log.csv").read_text().splitlines() for name in ("whole", "killed")]
    assert len(logs[0]) == len(logs[1]) == 1 + 2 * 3
    assert {line.rsplit(",", 2)[0] for line in logs[0]} == {line.rsplit(",", 2)[0] for line in logs[1]}


def test_another_training_in_the_same_place_is_refused(datasets, tmp_path, monkeypatch):
    pytest.importorskip("keras")
    import cascade_engine.training.trainer as trainer

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer.Workplace, "finish", interrupt)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(replace(CONFIG, nr_of_epochs=1), datasets, tmp_path / "model", progress=False)
    with pytest.raises(InputError, match="unfinished training with another configuration"):
        trainer.train(replace(CONFIG, smoothing=0.1), datasets, tmp_path / "model", progress=False)


def test_transfer_starts_from_the_given_weights(datasets, tmp_path):
    pytest.importorskip("keras")
    from cascade_engine.training import train

    start = random_network(3, CONFIG)
    config = replace(CONFIG, nr_of_epochs=1, windows_per_epoch=2048, learning_rate=1e-8)
    model = train(config, datasets, tmp_path / "model", transfer={1.0: [start]}, progress=False)
    (trained,) = read_networks(model)[2.0]
    for array, expected in zip(trained.kernels, start.kernels, strict=True):
        np.testing.assert_allclose(array, expected, atol=1e-5)
    assert model.card["training"]["transfer"] is True


def test_finished_models_are_not_overwritten(datasets, random_model):
    pytest.importorskip("keras")
    from cascade_engine.training import train

    with pytest.raises(InputError, match="exists already"):
        train(CONFIG, datasets, random_model.folder, progress=False)
