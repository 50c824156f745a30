"""An offset of the detector is found from photon noise; where there is none, none is found."""

import numpy as np
import pytest

from cascade_engine.ground_truth import simulate_dataset
from cascade_engine.signal.offset import OffsetFinder

RATE = 30.0


def photons(n_rois: int = 10, frame_rate: float = RATE, level: float = 60.0, seed: int = 0) -> np.ndarray:
    """Raw fluorescence with F0 of some 300 counts, 5 per photon, in which noise is photon noise."""
    simulated = simulate_dataset(n_rois, 12_000 / frame_rate, frame_rate, 0.05, seed)
    dff = np.stack([each.dff for each in simulated.recordings])
    rng = np.random.default_rng(seed)
    return 5.0 * rng.poisson(np.maximum(level * (1 + dff), 0.0))


def found(fluorescence: np.ndarray, frame_rate: float = RATE) -> float | None:
    finder = OffsetFinder(frame_rate)
    for first in range(0, len(fluorescence), 3):
        finder.add(fluorescence[first : first + 3])
    return finder.found()


@pytest.mark.parametrize("offset", [3000.0, 16_000.0])
@pytest.mark.parametrize("frame_rate", [15.0, RATE])
def test_the_offset_is_named(offset, frame_rate):
    assert found(photons(frame_rate=frame_rate) + offset, frame_rate) == pytest.approx(offset, rel=0.1)


@pytest.mark.parametrize("frame_rate", [5.0, 15.0, RATE, 100.0])
def test_there_is_none_where_there_is_none(frame_rate):
    assert found(photons(frame_rate=frame_rate), frame_rate) is None


def test_nothing_is_said_where_nothing_tells():
    constant_noise = 1000.0 + 50.0 * np.random.default_rng(0).standard_normal((10, 9000))
    assert found(constant_noise) is None
    assert found(photons()[:3] + 16_000.0) is None  # too few ROIs
    assert found(photons()[:, :900] + 16_000.0) is None  # too short
    assert found(np.zeros((10, 9000))) is None
    assert found(np.full((10, 9000), np.nan)) is None


def test_missing_frames_do_not_matter():
    fluorescence = photons() + 3000.0
    fluorescence[:, 1000:1500] = np.nan
    fluorescence[:, ::50] = np.inf
    assert found(fluorescence) == pytest.approx(3000.0, rel=0.1)


@pytest.mark.parametrize("at_once", [1, 4, 8])  # 122, 30.5 and 15 Hz
def test_real_recordings(shared, at_once):
    folders = sorted(shared("raw_fluorescence").iterdir())
    for folder in folders:
        rois = []
        for path in sorted(folder.glob("*.npz"))[:12]:
            with np.load(path) as content:
                trace = np.concatenate([content[name] for name in content if "raw" in name]).astype(float)
            n_frames = len(trace) // at_once * at_once
            rois.append(trace[:n_frames].reshape(-1, at_once).mean(axis=1))
        for offset, expected in ((0.0, None), (16_000.0, pytest.approx(16_000.0, rel=0.05))):
            finder = OffsetFinder(122.0 / at_once)
            for trace in rois:
                finder.add(trace[np.newaxis] + offset)
            assert finder.found() == expected, folder.name
