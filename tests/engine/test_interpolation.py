"""Frames that were filled in between their neighbours are found, and nothing else is taken for them."""

import warnings

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from cascade_adapters.containers.base import Reading
from cascade_adapters.containers.registry import find_containers
from cascade_engine import infer
from cascade_engine.signal.interpolation import InterpolationFinder
from tests.builders.array_files import make_dff
from tests.builders.running import dff_of, inspect_one
from tests.builders.suite2p_folders import make_plane

WORDS = "120 frames (10%; one in 10) lie exactly between their neighbours in all traces: they were filled in"


def filled(values: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Frames replaced by what lies between their neighbours."""
    frames = np.arange(values.shape[1])
    return np.stack([np.interp(frames, frames[~missing], trace[~missing]) for trace in values]).astype(values.dtype)


def every_tenth(n_frames: int = 1200) -> np.ndarray:
    return np.arange(n_frames) % 10 == 5


def found_in(values: np.ndarray) -> InterpolationFinder:
    finder = InterpolationFinder(values.shape[1])
    for first in range(0, len(values), 4):
        finder.add(values[first : first + 4])
    return finder


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_interpolated_frames_are_found(dtype):
    dff = make_dff(6, 1200).astype(dtype)
    finder = found_in(filled(dff, every_tenth()))
    np.testing.assert_array_equal(finder.found(), every_tenth())
    assert finder.describe().startswith(WORDS)
    some = np.random.default_rng(0).random(1200) < 0.05
    some[[0, -1]] = False
    finder = found_in(filled(dff, some))
    np.testing.assert_array_equal(finder.found(), some)
    assert f"{np.count_nonzero(some)} frames (5%; such as {np.flatnonzero(some)[0]}" in finder.describe()


def test_other_traces_have_none():
    dff = make_dff(6, 1200)
    held = dff.copy()
    held[:, every_tenth()] = held[:, np.roll(every_tenth(), -1)]
    sparse = np.where(np.random.default_rng(0).random(dff.shape) < 0.9, 0.0, dff)
    missing = np.where(every_tenth(), np.nan, dff)
    for values in (dff, held, sparse, missing, np.round(dff, 2), uniform_filter1d(dff, 3, axis=1), dff[:2], dff[:0]):
        assert not found_in(values).found().any()
    assert not found_in(filled(dff, np.arange(1200) == 100)).found().any()  # a single one is no matter
    few = found_in(filled(dff[:2], every_tenth()))
    assert few.describe() == ""


def test_raw_fluorescence_is_told_too(tmp_path):
    """F0 changes from frame to frame, so that dF/F lies nearly between its neighbours."""
    plane = make_plane(tmp_path / "plane0", 8, 1200).folder
    (container,) = find_containers(plane)
    assert not [text for text in inspect_one(container).warnings if "filled in by" in text]
    for name in ("F", "Fneu"):
        np.save(plane / f"{name}.npy", filled(np.load(plane / f"{name}.npy"), every_tenth()))
    (said,) = [text for text in inspect_one(container).warnings if "filled in by" in text]
    assert "one in 10) lie exactly between their neighbours in all traces" in said and said[:2] in ("11", "12")


def test_infer_tells_it(random_model):
    dff = make_dff(6, 1200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain, told = (infer(values, 30.0, model=random_model.folder) for values in (dff, filled(dff, every_tenth())))
    assert not any("filled in by" in text for text in plain.warnings)
    assert any(text.startswith(WORDS) for text in told.warnings)


def test_no_recording_is_taken_for_interpolated(shared):
    for kind in ("suite2p", "nwb", "caiman"):
        for container in find_containers(shared(f"containers/{kind}")):
            block = dff_of(container.traces(Reading(frame_rate=30.0)))
            assert found_in(block.dff).describe() == "", container.path
