"""Frames that cannot be fluorescence are found, and nothing that neurons do is taken for them."""

import numpy as np
import pytest

from cascade_engine.ground_truth.simulation import Indicator, simulate_dff, simulate_spikes
from cascade_engine.signal.artefacts import ArtefactFinder, find_artefacts

FRAME_RATE = 30.0
N_ROIS, N_FRAMES = 10, 1800


@pytest.fixture(scope="module")
def dff():
    """Neurons that fire on their own, at a noise level of 1."""
    rng = np.random.default_rng(3)
    return np.stack(
        [
            simulate_dff(simulate_spikes(60.0, 0.5, 1.0, rng), N_FRAMES, FRAME_RATE, 1.0, Indicator(), rng)
            for _ in range(N_ROIS)
        ]
    )


@pytest.fixture
def fluorescence(dff):
    return np.linspace(300, 900, N_ROIS)[:, np.newaxis] * (1 + dff)


def test_recording_without_artefacts(dff, fluorescence):
    for traces in (dff, fluorescence):
        mask, words = find_artefacts(traces, FRAME_RATE)
        assert not mask.any()
        assert words == []


def test_black_frames_stored_as_zero(fluorescence):
    black = np.r_[200:203, 900:901, 1500:1520]
    fluorescence[:, black] = 0.0
    mask, words = find_artefacts(fluorescence, FRAME_RATE)
    np.testing.assert_array_equal(np.flatnonzero(mask), black)
    assert words == ["24 of 1800 frames hold one and the same value in all 10 ROIs"]


def test_detector_at_its_limit(fluorescence):
    fluorescence[:, 700:702] = 65535.0
    assert np.flatnonzero(find_artefacts(fluorescence, FRAME_RATE)[0]).tolist() == [700, 701]


@pytest.mark.parametrize("factor", [0.0, 0.4, 4.0, 30.0])
def test_all_rois_jump_and_come_back(fluorescence, factor):
    rng = np.random.default_rng(0)
    changed = np.r_[300:303, 1000:1001]
    fluorescence[:, changed] *= factor
    fluorescence[:, changed] += rng.normal(0, 5, (N_ROIS, len(changed)))
    mask, words = find_artefacts(fluorescence, FRAME_RATE)
    np.testing.assert_array_equal(np.flatnonzero(mask), changed)
    assert words == ["in 4 of 1800 frames most of 10 ROIs jump together and back"]


def test_some_rois_are_not_enough(fluorescence):
    fluorescence[:6, 300:303] = 0.0
    assert not find_artefacts(fluorescence, FRAME_RATE)[0].any()


def test_a_lasting_change_is_none(fluorescence):
    fluorescence[:, 900:] *= 0.3
    fluorescence[:, 300:330] *= 0.5
    assert not find_artefacts(fluorescence, FRAME_RATE)[0].any()


@pytest.mark.parametrize("frame_rate", [1.0, 3.0, 7.5, 10.0, 30.0, 120.0])
@pytest.mark.parametrize("indicator", [Indicator(0.4, 0.005, 0.1, 6.0), Indicator(0.2, 0.05, 0.5, 4.0)])
def test_neurons_that_all_fire_at_once(frame_rate, indicator):
    rng = np.random.default_rng(1)
    bursts = np.concatenate([time_s + 0.005 * np.arange(8) for time_s in np.arange(5.0, 300.0, 4.37)])
    n_frames = int(300 * frame_rate)
    dff = np.stack([simulate_dff(bursts, n_frames, frame_rate, 1.0, indicator, rng) for _ in range(N_ROIS)])
    assert not find_artefacts(dff, frame_rate)[0].any()


def test_neurons_that_fire_in_every_second_frame():
    rng = np.random.default_rng(1)
    bursts = np.concatenate([time_s + 0.005 * np.arange(8) for time_s in np.arange(0.1, 200.0, 1.0)])
    indicator = Indicator(0.4, 0.005, 0.1, 6.0)
    dff = np.stack([simulate_dff(bursts, 400, 2.0, 1.0, indicator, rng) for _ in range(N_ROIS)])
    assert not find_artefacts(dff, 2.0)[0].any()


def test_blocks_give_the_same_as_all_at_once(fluorescence):
    fluorescence[:, 500:502] *= 3.0
    fluorescence[:, 800] = 0.0
    finder = ArtefactFinder(N_FRAMES, FRAME_RATE)
    for first in range(0, N_ROIS, 3):
        finder.add(fluorescence[first : first + 3])
    whole, words = find_artefacts(fluorescence, FRAME_RATE)
    mask, in_blocks = finder.found()
    np.testing.assert_array_equal(mask, whole)
    assert in_blocks == words
    assert np.flatnonzero(mask).tolist() == [500, 501, 800]


def test_no_jump_across_a_seam(fluorescence):
    fluorescence[:, 900:902] *= 0.2
    segments = [900, 2, 898]
    assert find_artefacts(fluorescence, FRAME_RATE)[0].sum() == 2
    assert not find_artefacts(fluorescence, FRAME_RATE, segments)[0].any()


def test_sparse_constant_and_missing(fluorescence):
    rng = np.random.default_rng(2)
    sparse = np.where(rng.random((N_ROIS, N_FRAMES)) < 0.05, rng.random((N_ROIS, N_FRAMES)), 0.0)
    assert not find_artefacts(sparse, FRAME_RATE)[0].any()
    assert not find_artefacts(np.zeros((N_ROIS, N_FRAMES)), FRAME_RATE)[0].any()
    fluorescence[:, 400:410] = np.nan
    fluorescence[:, 600] = 0.0
    with_empty = np.concatenate([fluorescence, np.zeros((3, N_FRAMES)), np.full((2, N_FRAMES), np.nan)])
    assert np.flatnonzero(find_artefacts(with_empty, FRAME_RATE)[0]).tolist() == [600]


def test_too_few_rois_to_judge(fluorescence):
    fluorescence[:, 500] = 0.0
    assert not find_artefacts(fluorescence[:3], FRAME_RATE)[0].any()
