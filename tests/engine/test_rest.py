"""Where dF/F rests: offsets are found, and neither activity nor noise is taken for one."""

import numpy as np
import pytest

from cascade_engine import infer
from cascade_engine.errors import InputError
from cascade_engine.ground_truth import simulate_dataset
from cascade_engine.ground_truth.database import find_datasets, load_dataset
from cascade_engine.signal.noise import noise_level_to_sd
from cascade_engine.signal.rest import Rests, find_rests

RATE = 30.0


@pytest.fixture(scope="module")
def dff():
    """dF/F of active neurons that rests at 0."""
    return np.stack([recording.dff for recording in simulate_dataset(6, 120.0, RATE, 2.0, 3).recordings])


@pytest.mark.parametrize("offset", [-1.0, -0.3, 0.4, 0.5, 1.0, 2.5])
def test_an_offset_of_all_traces_is_found_and_undone(dff, offset):
    rests = find_rests(dff + offset, RATE)
    np.testing.assert_allclose(rests.offsets, find_rests(dff, RATE).levels + offset, atol=1e-5)
    assert not find_rests(dff + offset - rests.offsets[:, np.newaxis], RATE).offsets.any()


@pytest.mark.parametrize("offset", [-0.04, 0.0, 0.05, 0.1])
def test_small_offsets_are_left_alone(dff, offset):
    rests = find_rests(dff + offset, RATE)
    assert not rests.offsets.any() and rests.describe() == "" and rests.problem == ""


def test_each_trace_may_rest_elsewhere_below_zero(dff):
    """As where F0 was the mean of the trace."""
    shifts = np.array([0.0, 0.0, 0.0, 0.0, -0.3, -0.6])
    offsets = find_rests(dff + shifts[:, np.newaxis], RATE).offsets
    assert (offsets[:4] == 0).all()
    np.testing.assert_allclose(offsets[4:], shifts[4:], atol=0.1)


def test_a_silent_neuron_may_rest_too_low_among_others():
    dff = 0.05 * np.random.default_rng(0).standard_normal((40, 3000))
    dff[::4] -= 0.3
    offsets = find_rests(dff, RATE).offsets
    np.testing.assert_allclose(offsets[::4], -0.3, atol=0.02)
    assert np.count_nonzero(offsets) == 10


def test_one_very_active_neuron_does_not_rest_too_high(dff):
    active = dff.copy()
    active[0] += 0.8
    assert not find_rests(active, RATE).offsets.any()


def test_a_neuron_that_is_silenced_does_not_rest_too_low():
    rng = np.random.default_rng(0)
    trace = 0.05 * rng.standard_normal((3, 3600))
    trace[0, np.arange(3600) % 900 < 300] -= 0.5  # a third of the time
    assert find_rests(trace, RATE).levels[0] < -0.3
    assert not find_rests(trace, RATE).offsets.any()


@pytest.mark.parametrize(("level", "rate"), [(8.0, 30.0), (18.0, 2.2), (10.0, 7.5)])
def test_noise_alone_rests_at_zero(level, rate):
    rng = np.random.default_rng(1)
    noise = noise_level_to_sd(level, rate) * rng.standard_normal((40, int(200 * rate)))
    rests = find_rests(noise, rate)
    assert not rests.offsets.any()
    assert np.abs(rests.levels).max() < 0.15


def test_what_cannot_be_measured_is_no_offset(dff):
    broken = dff + 0.5
    broken[0], broken[1, 5] = np.nan, np.inf
    rests = find_rests(broken, RATE)
    assert np.isnan(rests.levels[:2]).all() and (rests.offsets[:2] == 0).all() and (rests.offsets[2:] > 0.4).all()
    assert not find_rests(dff[:, :200] + 0.5, RATE).offsets.any()


def test_missing_frames_hide_no_offset(dff):
    gappy = dff - 0.5
    gappy[:, ::10] = np.nan
    np.testing.assert_allclose(find_rests(gappy, RATE).offsets, find_rests(dff - 0.5, RATE).offsets, atol=0.02)


def test_blocks_of_neurons_make_one_recording(dff):
    whole = find_rests(dff + 0.5, RATE)
    parts = Rests.together([find_rests(dff[:2] + 0.5, RATE), find_rests(dff[2:] + 0.5, RATE)])
    np.testing.assert_array_equal(parts.offsets, whole.offsets)


def test_a_ratio_is_refused_in_python(dff, random_model):
    with pytest.raises(InputError, match=r"rest at about 1\.\d\d, as F / F0 does, .*: subtract 1; or pass check_units"):
        infer(dff + 1.0, RATE, random_model)
    assert infer(dff + 1.0, RATE, random_model, check_units=False).warnings == []


def test_an_offset_is_told_in_python(dff, random_model):
    (warning,) = infer(dff - 0.3, RATE, random_model).warnings
    assert warning.startswith("dF/F of 6 of 6 neurons does not rest at 0, but at -0.2")
    assert "find_rests(dff, frame_rate).offsets" in warning
    assert infer(dff, RATE, random_model).warnings == []


def test_published_ground_truth_rests_at_zero(shared):
    """None is corrected, and all is where something was added; a sample of the neurons."""
    for folder in find_datasets(shared("ground_truth")).values():
        longest = [max(neuron.recordings, key=lambda each: each.duration_s) for neuron in load_dataset(folder).neurons]
        longest = [recording for recording in longest if recording.duration_s > 60][:10]
        if not longest:
            continue
        rests, ratios = (
            Rests.together([find_rests(each.dff[np.newaxis] + added, each.frame_rate) for each in longest])
            for added in (0.0, 1.0)
        )
        assert not rests.offsets.any() and not rests.problem, folder.name
        assert ratios.problem, folder.name
