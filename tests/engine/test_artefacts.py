"""Frames that cannot be fluorescence are found, and nothing that neurons do is taken for them."""

import numpy as np
import pytest

from cascade_engine.ground_truth import load_dataset
from cascade_engine.ground_truth.simulation import Indicator, simulate_dff, simulate_spikes
from cascade_engine.signal.artefacts import JUMP, ONE_VALUE, find_artefacts

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


def found(traces, frame_rate=FRAME_RATE, segments=None):
    """The frames of each kind, as lists."""
    masks = find_artefacts(traces, frame_rate, segments)
    return {kind: np.flatnonzero(mask).tolist() for kind, mask in masks.items()}


def test_recording_without_artefacts(dff, fluorescence):
    for traces in (dff, fluorescence, fluorescence.astype(np.int16), fluorescence.astype(np.float32)):
        assert found(traces) == {}
        assert found(traces[:3]) == found(traces[:1]) == {}


def test_black_frames_stored_as_zero(fluorescence):
    black = np.r_[200:203, 900:901, 1500:1520]
    fluorescence[:, black] = 0.0
    assert found(fluorescence) == found(fluorescence.astype(np.uint16)) == {ONE_VALUE: black.tolist()}


@pytest.mark.parametrize("n_rois", [1, 2, 3])
def test_black_frames_in_few_rois(fluorescence, n_rois):
    few = fluorescence[:n_rois]
    few[:, 200:203] = 0.0
    few[:, 500] *= 8
    assert found(few) == {ONE_VALUE: [200, 201, 202]}
    assert found(few - few[:, :1]) == {}  # another value, which a neuron could have


def test_dff_of_few_rois_that_is_often_zero(dff):
    assert found(dff[:1].round(2)) == found(dff[:2].round(2)) == {}


@pytest.mark.parametrize("level", [0.0, 37.0, 65535.0])
def test_one_level_for_a_third_of_the_recording(fluorescence, level):
    fluorescence[:, 900:1500] = level
    fluorescence[:, 100] = level
    assert found(fluorescence) == {ONE_VALUE: [100, *range(900, 1500)]}


def test_few_different_values_meet_by_chance():
    counts = np.random.default_rng(0).poisson(3.0, (5, 5000))
    assert (counts.min(axis=0) == counts.max(axis=0)).any()
    assert found(counts) == {}


@pytest.mark.parametrize("n_frames", [1, 2, 3, 5])
@pytest.mark.parametrize("factor", [0.0, 0.4, 1.5, 4.0, 50.0])
def test_all_rois_jump_and_come_back(fluorescence, factor, n_frames):
    rng = np.random.default_rng(0)
    changed = np.r_[300 : 300 + n_frames, 1000:1001]
    fluorescence[:, changed] *= factor
    fluorescence[:, changed] += rng.normal(0, 5, (N_ROIS, len(changed)))
    assert found(fluorescence) == {JUMP: changed.tolist()}


def test_some_rois_are_not_enough(fluorescence):
    fluorescence[:6, 300:303] = 0.0
    assert found(fluorescence) == {}


def test_a_lasting_change_is_none(fluorescence):
    fluorescence[:, 900:] *= 0.3
    fluorescence[:, 300:330] *= 0.5
    assert found(fluorescence) == {}


@pytest.mark.parametrize("frame_rate", [1.0, 3.0, 5.0, 7.5, 10.0, 30.0, 120.0, 200.0])
@pytest.mark.parametrize("indicator", [Indicator(0.4, 0.005, 0.1, 6.0), Indicator(0.2, 0.05, 0.5, 4.0)])
def test_neurons_that_all_fire_at_once(frame_rate, indicator):
    rng = np.random.default_rng(1)
    bursts = np.concatenate([time_s + 0.005 * np.arange(8) for time_s in np.arange(5.0, 300.0, 4.37)])
    n_frames = int(300 * frame_rate)
    dff = np.stack([simulate_dff(bursts, n_frames, frame_rate, 1.0, indicator, rng) for _ in range(N_ROIS)])
    assert found(dff, frame_rate) == {}


def test_neurons_that_fire_in_every_second_frame():
    rng = np.random.default_rng(1)
    bursts = np.concatenate([time_s + 0.005 * np.arange(8) for time_s in np.arange(0.1, 200.0, 1.0)])
    indicator = Indicator(0.4, 0.005, 0.1, 6.0)
    dff = np.stack([simulate_dff(bursts, 400, 2.0, 1.0, indicator, rng) for _ in range(N_ROIS)])
    assert found(dff, 2.0) == {}


def test_no_jump_across_a_seam(fluorescence):
    fluorescence[:, 900:902] *= 0.2
    assert found(fluorescence) == {JUMP: [900, 901]}
    assert found(fluorescence, segments=[900, 2, 898]) == {}


def test_sparse_constant_and_missing(fluorescence):
    rng = np.random.default_rng(2)
    sparse = np.where(rng.random((N_ROIS, N_FRAMES)) < 0.05, rng.random((N_ROIS, N_FRAMES)), 0.0)
    assert found(sparse) == found(np.zeros((N_ROIS, N_FRAMES))) == found(np.zeros((0, N_FRAMES))) == {}
    assert found(fluorescence[:, :1]) == found(fluorescence[:, :0]) == {}
    fluorescence[:, 400:410] = np.nan
    fluorescence[:, 600] = 0.0
    fluorescence[2, 1000:] = 0.0  # padded
    with_empty = np.concatenate([fluorescence, np.zeros((3, N_FRAMES)), np.full((2, N_FRAMES), np.nan)])
    assert found(with_empty) == {ONE_VALUE: [600]}


def test_rois_that_begin_late(fluorescence):
    fluorescence[1:, :500] = np.nan
    fluorescence[8:, 500:1000] = np.nan
    fluorescence[:, [100, 700]] *= 5
    fluorescence[:, 800] = 0.0
    assert found(fluorescence) == {ONE_VALUE: [800], JUMP: [700]}


@pytest.mark.parametrize("filling", [0.0, np.nan])
def test_what_is_left_of_a_flash_beside_frames_that_are_known(fluorescence, filling):
    fluorescence[:, 300:304] *= 5
    fluorescence[:, 300:303] = filling
    assert found(fluorescence)[JUMP] == [303]


def test_damaged_and_scattered_values(fluorescence):
    fluorescence[:, 100] = np.inf
    fluorescence[3, 200] = 1e300
    fluorescence[:, 500] = 0.0
    assert found(fluorescence) == {ONE_VALUE: [500]}
    fluorescence[:, 1::2] = np.nan  # no two neighbours that could be compared
    assert found(fluorescence) == {}
    assert found(fluorescence, segments=[1] * N_FRAMES) == {}


@pytest.mark.parametrize(("noise_level", "factor"), [(2.0, 1.5), (8.0, 4.0)])
def test_flashes_in_noisy_recordings(noise_level, factor):
    rng = np.random.default_rng(0)
    silent = [simulate_dff(np.empty(0), 3000, FRAME_RATE, noise_level, Indicator(), rng) for _ in range(24)]
    fluorescence, changed = 500 * (1 + np.stack(silent)), np.r_[300:303, 1000:1005, 2000]
    assert found(fluorescence) == {}
    fluorescence[:, changed] *= factor
    assert found(fluorescence) == {JUMP: changed.tolist()}


@pytest.mark.parametrize(
    "dataset", ["DS07-GCaMP6f-zf-dD", "DS09-GCaMP6f-m-V1", "DS18-R-CaMP-m-CA3", "DS22-OGB1-m-SST-V1"]
)
def test_recorded_neurons(dataset, shared):
    recordings = load_dataset(shared(f"ground_truth/{dataset}")).recordings
    for n_frames in {len(recording.dff) for recording in recordings}:
        alike = [recording for recording in recordings if len(recording.dff) == n_frames]
        assert found(np.stack([recording.dff for recording in alike]), alike[0].frame_rate) == {}
