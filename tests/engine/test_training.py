"""Training: batches, the Keras network, resuming, transfer. Needs Keras and TensorFlow."""

import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from cascade_engine import InputError, ModelConfig, infer, noise_levels, score, smooth_spikes
from cascade_engine.ground_truth import simulate_dataset
from cascade_engine.ground_truth.resampling import Resampled
from cascade_engine.networks import training_loop
from cascade_engine.networks.windowed.batches import BatchMaker, resample_datasets
from cascade_engine.networks.windowed.reader import read_networks
from cascade_engine.networks.windowed.trainer import WindowedTrainer
from tests.builders.models import random_network
from tests.builders.windowed import predict_windows

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


def train(config, datasets, folder, transfer=None):
    """Train a model of the published architecture."""
    return training_loop.train_model(WindowedTrainer(config, datasets, transfer), folder, progress=False)


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


def numbered_recordings(lengths):
    """Recordings with nothing to add noise to, whose dF/F is 1000 times their number plus the frame."""
    rng = np.random.default_rng(0)
    return [
        (i, 0, Resampled((1000 * i + np.arange(n)).astype(np.float32), rng.poisson(0.1, n).astype("f4"), 30.0, 2.0))
        for i, n in enumerate(lengths)
    ]


def test_targets_lie_on_the_frame_that_the_window_predicts():
    """The window that starts at a frame is paired with the spikes 32 frames later."""
    recordings = numbered_recordings([800, 150])
    maker = BatchMaker(recordings, 2.0, replace(CONFIG, smoothing=0.0))
    compared = 0
    for seed in range(20):
        dff, target, weight = maker.batch(np.random.default_rng(seed))
        known = weight[:, :, 0] > 0
        starts = dff[:, : known.shape[1], 0][known].astype(int)
        counts = [recordings[start // 1000][2].counts[start % 1000 + 32] for start in starts]
        np.testing.assert_array_equal(target[:, :, 0][known], counts)
        compared += len(counts)
    assert compared > 5000


def weighted_frames(maker, n_batches):
    """The frame that each weighted window starts at, over many batches."""
    frames = []
    for i in range(n_batches):
        dff, _, weight = maker.batch(np.random.default_rng(i))
        frames.append(dff[:, : weight.shape[1], 0][weight[:, :, 0] > 0])
    return np.concatenate(frames).astype(int)


def share_of(maker, dataset):
    """Part of the drawn sequences that comes from a dataset."""
    chosen = np.array([source.dataset == dataset for source in maker._sources])
    return maker._chances[chosen].sum()


def test_every_window_is_drawn_equally_often():
    """Long and short recordings, their middle and their ends."""
    lengths = [800, 150, 150, 150]
    maker = BatchMaker(numbered_recordings(lengths), 2.0, CONFIG)
    frames = weighted_frames(maker, 6000)
    counts = [np.bincount(frames[frames // 1000 == i] % 1000, minlength=n - 63) for i, n in enumerate(lengths)]
    assert [len(count) for count in counts] == [n - 63 for n in lengths]
    mean = np.mean(np.concatenate(counts))
    assert counts[0].mean() == pytest.approx(mean, rel=0.05)
    assert np.mean(counts[1:]) == pytest.approx(mean, rel=0.05)
    for part in (counts[0][:60], counts[0][300:400], counts[0][-60:]):
        assert part.mean() == pytest.approx(mean, rel=0.1)


def test_sequences_beyond_the_ends_weigh_nothing_there():
    short = [simulate_dataset(n_neurons=1, duration_s=5, noise_level=0.5)]
    dff, target, weight = BatchMaker(resample_datasets(short, 30.0), 2.0, CONFIG).batch(np.random.default_rng(0))
    assert 0 < weight.mean() < 1
    assert weight.sum(axis=1).max() <= 150 - 63
    assert (target[weight == 0] == 0).all()
    assert (dff[:, :128][weight > 0] != 0).all()


def test_noisier_recordings_are_left_out(datasets):
    resampled = resample_datasets(datasets, 30.0)
    with pytest.raises(InputError, match=r"noise level of 0\.1 or less"):
        BatchMaker(resampled, 0.1, CONFIG)


def test_no_dataset_outweighs_the_limit():
    large = simulate_dataset(n_neurons=20, duration_s=600, noise_level=0.3, seed=1)
    small = simulate_dataset(n_neurons=2, duration_s=600, noise_level=0.3, seed=2)
    both = BatchMaker(resample_datasets([large, small], 30.0), 2.0, CONFIG)
    assert both.n_neurons == 22
    # 20 neurons reach the limit of 15e6 / 2 windows per dataset, 2 neurons that of 8e5 windows each
    assert share_of(both, dataset=0) == pytest.approx(7.5e6 / (7.5e6 + 1.6e6), abs=0.05)


@pytest.mark.parametrize("windowsize", [64, 65, 67])
def test_keras_network_equals_the_window_form(windowsize):
    pytest.importorskip("keras")
    from cascade_engine.networks.windowed.keras_network import build_network, read_weights, write_weights

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


def test_training_learns(datasets, tmp_path, monkeypatch):
    pytest.importorskip("keras")
    monkeypatch.setattr("cascade_engine.networks.training_loop.COMPILED_WITH", ("tensorflow", "jax"))
    config = replace(CONFIG, nr_of_epochs=6, windows_per_epoch=100_000)
    model = train(config, datasets, tmp_path / "model")
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
    assert log[0] == "network,epoch,windows,loss,seconds"
    assert len(log) == 1 + 6
    assert not (tmp_path / "model.training").exists()


SCRIPT = """
import sys
from pathlib import Path
from tests.engine.test_training import CONFIG
from dataclasses import replace
from cascade_engine.networks import training_loop
from cascade_engine.networks.windowed.trainer import WindowedTrainer
from cascade_engine.ground_truth import simulate_dataset
training_loop.CHECKPOINT_S, training_loop.COMPILED_WITH = 0.0, ()
config = replace(CONFIG, ensemble_size=2, nr_of_epochs=3)
data = [simulate_dataset(n_neurons=6, duration_s=120, noise_level=0.5, seed=1)]
training_loop.train_model(WindowedTrainer(config, data), Path(sys.argv[1]), progress=False)
"""


def test_killed_training_ends_as_if_it_had_not_been(tmp_path):
    pytest.importorskip("keras")
    from cascade_engine.networks.store import load_model

    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"}

    def start(name):
        return subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path / name)], env=environment)

    assert start("whole").wait() == 0
    for marker in ("checkpoint.npz", "noise_2_member_0.npz"):
        process = start("killed")
        workplace = tmp_path / "killed.training"
        while not (workplace / marker).exists() and process.poll() is None:
            time.sleep(0.02)
        process.kill()
        assert process.wait() != 0
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

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training_loop.Workplace, "finish", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(replace(CONFIG, nr_of_epochs=1), datasets, tmp_path / "model")
    with pytest.raises(InputError, match="unfinished training with another configuration"):
        train(replace(CONFIG, smoothing=0.1), datasets, tmp_path / "model")


def test_transfer_starts_from_the_given_weights(datasets, tmp_path):
    pytest.importorskip("keras")
    start = random_network(3, CONFIG)
    config = replace(CONFIG, nr_of_epochs=1, windows_per_epoch=2048, learning_rate=1e-8)
    model = train(config, datasets, tmp_path / "model", transfer={1.0: [start]})
    (trained,) = read_networks(model)[2.0]
    for array, expected in zip(trained.kernels, start.kernels, strict=True):
        np.testing.assert_allclose(array, expected, atol=1e-5)
    assert model.card["training"]["transfer"] is True


def test_finished_models_are_not_overwritten(datasets, random_model):
    pytest.importorskip("keras")
    with pytest.raises(InputError, match="exists already"):
        train(CONFIG, datasets, random_model.folder)
