"""Steps of brightness that no segment explains; and nothing is cried out that is none."""

import os
from pathlib import Path

import numpy as np
import pytest

from cascade_adapters.containers.base import Reading
from cascade_adapters.containers.registry import find_containers
from cascade_engine.ground_truth import simulate_dataset
from cascade_engine.signal.steps import StepFinder

RATE, N_FRAMES = 10.0, 3000
TIME_S = np.arange(N_FRAMES) / RATE


def recording(n_rois: int = 8, seed: int = 0) -> np.ndarray:
    """Raw fluorescence of active neurons, some bright, some dim."""
    simulated = simulate_dataset(n_rois, N_FRAMES / RATE, RATE, 2.0, seed)
    dff = np.stack([each.dff for each in simulated.recordings])
    return np.random.default_rng(seed).uniform(100, 2000, (n_rois, 1)) * (1 + dff)


def found(fluorescence: np.ndarray, segments: list[int] | None = None) -> tuple[int, float] | None:
    finder = StepFinder(fluorescence.shape[1], RATE, segments)
    for first in range(0, len(fluorescence), 3):
        finder.add(fluorescence[first : first + 3])
    return finder.found()


@pytest.mark.parametrize("factor", [0.6, 1.6, 2.5])
@pytest.mark.parametrize("frame", [700, 1507, 2400])
def test_the_frame_is_named(frame, factor):
    fluorescence = recording()
    fluorescence[:, frame:] *= factor
    where, size = found(fluorescence)
    assert abs(where - frame) <= 3
    assert size == pytest.approx(abs(factor - 1), rel=0.7)


def test_missing_frames_hide_nothing():
    fluorescence = recording()
    fluorescence[:, 1500:] *= 2
    fluorescence[:, 200:260] = np.nan
    fluorescence[:, ::7] = np.nan
    assert abs(found(fluorescence)[0] - 1500) <= 3


def test_what_is_told_is_not_told_again():
    fluorescence = recording()
    fluorescence[:, 1500:] *= 2
    assert found(fluorescence, [1500, 1500]) is None
    assert found(fluorescence, [1000, 2000])[0] == 1500


def dip(first: int, end: int) -> np.ndarray:
    return 1 - 0.4 * ((np.arange(N_FRAMES) >= first) & (np.arange(N_FRAMES) < end))


@pytest.mark.parametrize(
    "change",
    [
        np.ones(N_FRAMES),
        np.exp(-TIME_S / 60),
        1 + 2 * np.exp(-TIME_S / 5),
        1 + 0.3 * np.sin(2 * np.pi * TIME_S / 60),
        dip(1400, 1430),
        dip(1400, 1500),
    ],
    ids=["nothing", "bleaching", "fast bleaching", "waves", "a dip of 3 s", "a dip of 10 s"],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_other_changes_are_no_steps(change, seed):
    assert found(recording(seed=seed) * change) is None


def test_single_rois_do_not_count():
    fluorescence = recording()
    fluorescence[:3, 1500:] *= 3
    assert found(fluorescence) is None
    fluorescence[:, 1500:] *= 3
    assert found(fluorescence[:3]) is None  # too few to be judged together
    assert found(np.zeros((8, N_FRAMES))) is None and found(np.full((8, N_FRAMES), np.nan)) is None
    assert found(fluorescence[:, :300]) is None


def test_no_real_recording_is_said_to_have_one():
    root = os.environ.get("CASCADE_TEST_DATA")
    folder = Path(root or "") / "containers/suite2p"
    if not root or not folder.is_dir():
        pytest.skip("CASCADE_TEST_DATA has no recordings of suite2p")
    for container in find_containers(folder):
        traces = container.read(Reading(frame_rate=30.0))
        finder = StepFinder(traces.shape[1], 30.0)
        finder.add(np.asarray(traces.fluorescence[:]))
        assert finder.found() is None
