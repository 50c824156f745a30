"""Smoothed, interpolated and filled traces are recognised; recorded ones, however active and clean, are not."""

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d, median_filter, uniform_filter1d
from scipy.signal import savgol_filter

from cascade_engine import infer
from cascade_engine.ground_truth import find_datasets, load_dataset, simulate_dataset
from cascade_engine.signal.smoothness import step_correlations

WORDS = "traces are smoothed, interpolated, denoised or filled"


def traces(noise_level: float, frame_rate: float = 30.0) -> np.ndarray:
    simulated = simulate_dataset(8, max(100.0, 3000 / frame_rate), frame_rate, noise_level, seed=3)
    return np.stack([recording.dff for recording in simulated.recordings])


def resampled(dff: np.ndarray, factor: float) -> np.ndarray:
    frames = np.arange(dff.shape[1])
    return np.stack([np.interp(np.arange(int(factor * len(frames))) / factor, frames, trace) for trace in dff])


FILTERS = {
    "mean of 2": lambda dff: uniform_filter1d(dff, 2, axis=1),
    "mean of 3": lambda dff: uniform_filter1d(dff, 3, axis=1),
    "mean of 5": lambda dff: uniform_filter1d(dff, 5, axis=1),
    "Gaussian": lambda dff: gaussian_filter1d(dff, 1.0, axis=1),
    "median of 5": lambda dff: median_filter(dff, (1, 5)),
    "Savitzky-Golay": lambda dff: savgol_filter(dff, 7, 2, axis=1),
    "twice the rate": lambda dff: resampled(dff, 2.0),
    "1.5 times the rate": lambda dff: resampled(dff, 1.5),
    "each frame twice": lambda dff: np.repeat(dff, 2, axis=1),
    "zeros between events": lambda dff: np.where(dff > 3 * np.std(dff), dff, 0.0),
}


@pytest.mark.parametrize("noise_level", [1.0, 4.0])
@pytest.mark.parametrize("how", FILTERS)
def test_smoothed_traces_are_told(random_model, how, noise_level):
    changed = FILTERS[how](traces(noise_level)).astype(np.float32)
    assert np.median(step_correlations(changed)) > -0.15
    (warning,) = [text for text in infer(changed, 30.0, random_model).warnings if WORDS in text]
    n_told, n_known = map(int, re.match(r"(\d+) of (\d+) traces", warning).groups())
    assert n_told > 0.8 * n_known and "use the original traces" in warning


@pytest.mark.parametrize("frame_rate", [7.5, 30.0, 100.0])
@pytest.mark.parametrize("noise_level", [0.5, 1.0, 4.0])
def test_active_and_clean_traces_are_not(noise_level, frame_rate):
    assert np.median(step_correlations(traces(noise_level, frame_rate))) < -0.3


def test_sessions_dropped_frames_and_a_drift_do_not_matter():
    dff = traces(2.0)
    usual = step_correlations(dff)
    changed = dff.copy()
    changed[:, 1000:] += 50.0
    assert step_correlations(changed, [1000, dff.shape[1] - 1000]).max() < -0.25
    changed = dff.copy()
    changed[:, ::10] = np.nan
    np.testing.assert_allclose(step_correlations(changed), usual, atol=0.1)


def test_what_is_too_short_is_not_judged():
    dff = traces(2.0)
    every_second = np.where(np.arange(dff.shape[1]) % 2, dff, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for short in (dff[:, :50], every_second, dff * np.nan, dff[:0]):
            assert np.isnan(step_correlations(short)).all()


def test_real_recordings_are_hardly_ever_warned_of(shared):
    datasets = find_datasets(shared("ground_truth"))
    for name in sorted(datasets)[:: 1 if os.environ.get("CASCADE_ALL_GROUND_TRUTH") else 6]:
        recordings = [each for neuron in load_dataset(Path(datasets[name])).neurons for each in neuron.recordings]
        found = np.array([step_correlations(each.dff[np.newaxis, :20_000])[0] for each in recordings])
        assert np.nanmedian(found) < -0.3, name
