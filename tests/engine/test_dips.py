"""Dips below the rest of a trace: found where they are, not in noise, activity or drift; counts stay as they are."""

import numpy as np
import pytest

from cascade_engine import infer
from cascade_engine.ground_truth import simulate_dataset
from cascade_engine.signal.dips import find_dips

NOISE_SD = 0.05


def noise(n_frames=9000, seed=0):
    return NOISE_SD * np.random.default_rng(seed).standard_normal(n_frames)


@pytest.mark.parametrize("frame_rate", [3.0, 7.5, 30.0, 100.0])
@pytest.mark.parametrize(("depth", "length_s"), [(0.5, 0.1), (0.2, 1.0), (0.3, 5.0)])
def test_dips_are_found_with_their_flanks_and_nothing_else(frame_rate, depth, length_s):
    dff, length = noise(), max(1, round(length_s * frame_rate))
    starts = np.array([1000, 4000, 8000])
    inside = np.zeros(len(dff), dtype=bool)
    for start in starts:
        inside[start : start + length] = True
    dips = find_dips(dff - depth * inside, frame_rate, NOISE_SD)
    assert dips[inside].mean() > 0.95
    reach = np.zeros(len(dff), dtype=bool)
    for start in starts:
        reach[start - round(2 * frame_rate) - 3 : start + length + round(2 * frame_rate) + 3] = True
    assert dips[~reach].mean() < 0.002


@pytest.mark.parametrize("frame_rate", [3.0, 30.0, 200.0])
def test_noise_is_no_dip(frame_rate):
    found = [find_dips(noise(seed=seed), frame_rate, NOISE_SD).mean() for seed in range(20)]
    assert np.mean(found) < 0.002


def test_activity_is_no_dip():
    for recording in simulate_dataset(n_neurons=5, duration_s=240).recordings:
        steps = np.abs(np.diff(recording.dff))
        assert find_dips(recording.dff, recording.frame_rate, np.median(steps) / 0.954).mean() < 0.02


def test_missing_frames_are_no_dips():
    dff = noise()
    dff[2000:2010] = np.nan
    dff[5000:5030] -= 0.5
    dips = find_dips(dff, 30.0, NOISE_SD)
    assert dips[5000:5030].all()
    assert not dips[:4900].any()
    assert not find_dips(np.full(100, np.nan), 30.0, NOISE_SD).any()


@pytest.mark.parametrize(("n_events", "lost"), [(1, 0.2), (5, 0.4), (20, 0.2)])
def test_movement_changes_no_count_elsewhere(n_events, lost):
    neurons = simulate_dataset(n_neurons=6, duration_s=240, noise_level=1.5, seed=2).recordings
    dff = np.stack([recording.dff for recording in neurons])
    disturbed, elsewhere = dff.copy(), np.ones(dff.shape[1], dtype=bool)
    shape = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(30) + 0.5) / 30)
    for start in np.linspace(600, dff.shape[1] - 700, n_events).astype(int):
        disturbed[:, start : start + 30] = (1 + disturbed[:, start : start + 30]) * (1 - lost * shape) - 1
        elsewhere[start - 15 : start + 45] = False
    before, after = (infer(traces, 30.0).spike_prob[:, elsewhere].sum(axis=1) for traces in (dff, disturbed))
    assert np.median(after / before) == pytest.approx(1.0, abs=0.1)
