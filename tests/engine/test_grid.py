"""Dropped frames: found in the times, and missing frames on an even grid."""

import numpy as np
import pytest

from cascade_engine import FrameGrid, InputError, noise_levels, read_times
from cascade_engine.signal.segments import LONGEST_GAP_S

RATE = 30.0
N = 2000
TIMES = np.arange(N) / RATE


def without(n_dropped: int, times: np.ndarray = TIMES, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Times of the frames that are left, and their numbers."""
    lost = np.random.default_rng(seed).choice(np.arange(1, len(times) - 1), n_dropped, replace=False)
    kept = np.setdiff1d(np.arange(len(times)), lost)
    return times[kept], kept


# ---------------------------------------------------------------------------------------------------------- the grid


def test_what_is_expanded_comes_back():
    rng = np.random.default_rng(0)
    times, kept = without(300)
    grid = FrameGrid(len(times), dropped=read_times(times).dropped)
    np.testing.assert_array_equal(grid.positions, kept)
    assert grid.n_frames == len(TIMES) and grid.segments is None
    values = rng.standard_normal((3, len(times))).astype(np.float32)
    on_grid = grid.expand(values)
    assert on_grid.shape == (3, len(TIMES)) and on_grid.dtype == np.float32
    assert np.isnan(np.delete(on_grid, kept, axis=1)).all()
    np.testing.assert_array_equal(grid.collect(on_grid), values)
    np.testing.assert_array_equal(grid.stored(kept), np.arange(len(times)))


def test_without_dropped_frames_nothing_is_copied():
    grid, values = FrameGrid(4, [1, 3]), np.ones((2, 4))
    assert grid.expand(values) is values and grid.collect(values) is values
    assert (grid.n_frames, grid.segments) == (4, [1, 3])


def test_segments_are_counted_on_the_grid_and_begin_without_a_gap():
    grid = FrameGrid(10, [4, 6], {2: 3, 4: 7, 5: 1})
    assert grid.segments == [7, 7] and grid.n_frames == 14
    np.testing.assert_array_equal(grid.positions, [0, 1, 5, 6, 7, 9, 10, 11, 12, 13])


def test_a_repeated_frame_counts_once():
    grid = FrameGrid(5, dropped={2: -1})
    np.testing.assert_array_equal(grid.expand(np.array([1, 2, 9, 3, 4])), [1, 2, 3, 4])
    np.testing.assert_array_equal(grid.collect(np.array([1.0, 2.0, 3.0, 4.0])), [1, 2, np.nan, 3, 4])
    np.testing.assert_array_equal(grid.stored(np.arange(4)), [0, 1, 3, 4])


@pytest.mark.parametrize("dropped", [{0: 1}, {5: 1}, {-1: 1}, {2: -2}])
def test_impossible_numbers_are_refused(dropped):
    with pytest.raises(InputError, match="cannot have been dropped"):
        FrameGrid(5, dropped=dropped)


def test_noise_levels_do_not_change():
    dff = 0.1 * np.random.default_rng(0).standard_normal((2, len(TIMES)))
    times, kept = without(200)
    on_grid = FrameGrid(len(times), dropped=read_times(times).dropped).expand(dff[:, kept])
    np.testing.assert_allclose(noise_levels(on_grid, RATE), noise_levels(dff, RATE), rtol=0.03)


# --------------------------------------------------------------------------------------------------------- the times


@pytest.mark.parametrize("digits", [None, 3, 2], ids=["exact", "in ms", "in 10 ms"])
@pytest.mark.parametrize("jitter", [0.0, 0.05, 0.1], ids=lambda part: f"jitter {part:g}")
@pytest.mark.parametrize("drift", [0.0, 0.01], ids=lambda part: f"drift {part:g}")
@pytest.mark.parametrize("n_dropped", [0, 1, 30, 200])
def test_dropped_frames_are_found(n_dropped, drift, jitter, digits):
    all_times = TIMES * (1 + drift * TIMES / TIMES[-1]) + jitter / RATE * np.random.default_rng(1).uniform(-1, 1, N)
    times, kept = without(n_dropped, all_times if digits is None else all_times.round(digits))
    found = read_times(times)
    assert found.segments is None
    np.testing.assert_array_equal(FrameGrid(len(times), dropped=found.dropped).positions, kept)
    assert found.frame_rate == pytest.approx(RATE / (1 + drift), rel=2e-4)
    assert bool(found.words) == bool(n_dropped)
    if n_dropped == 200:
        assert found.words[0].startswith("200 dropped frames, up to 0.")


def test_the_rate_is_that_of_the_grid_and_not_the_mean():
    times, _ = without(400)
    assert read_times(times).frame_rate == pytest.approx(RATE, rel=1e-9)
    assert (len(times) - 1) / (times[-1] - times[0]) < 0.85 * RATE


def test_frames_that_are_noted_late_were_not_dropped():
    times = TIMES.copy()
    times[np.arange(100, 1900, 50)] += 0.8 / RATE
    for frame in range(125, 1900, 200):  # three at once
        times[frame : frame + 3] = times[frame + 3]
    found = read_times(times)
    assert (found.dropped, found.segments, found.words) == ({}, None, [])


def test_repeated_frames_are_found():
    found = read_times(np.insert(TIMES, [1001, 1501], TIMES[[1000, 1500]]))
    assert found.dropped == {1001: -1, 1502: -1} and found.frame_rate == pytest.approx(RATE)
    assert found.words == ["2 frames at the time of the one before: left out"]


def test_only_long_gaps_end_segments():
    times = TIMES.copy()
    times[500:] += 0.9 * LONGEST_GAP_S
    times[1000:] += 1.2 * LONGEST_GAP_S
    times[1500:] += 3600.4
    found = read_times(times)
    assert found.segments == [1000, 500, 500]
    assert found.dropped == {500: round(0.9 * LONGEST_GAP_S * RATE)}
    assert found.frame_rate == pytest.approx(RATE, rel=1e-4)
    assert found.words[1].startswith("2 gaps of more than 2 s, the longest of 3.6e+03 s: a segment ends there")


def test_one_dropped_frame_never_ends_a_segment():
    found = read_times(np.delete(np.arange(200) / 0.2, [50, 100, 101]))
    assert found.dropped == {50: 1} and found.segments == [99, 98]


def test_a_given_rate_tells_how_long_a_gap_is():
    in_ms = 1000 * np.delete(TIMES, [50, 51])
    assert read_times(in_ms).segments == [50, 1948]
    assert read_times(in_ms, RATE).dropped == {50: 2}


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (np.cumsum(np.random.default_rng(0).exponential(0.03, 500)), "too irregular"),
        (np.where(np.arange(500) == 7, np.nan, TIMES[:500]), "do not increase at frame 7"),
        (np.zeros(500), "do not increase at frame 1"),
        (TIMES[:500][::-1], "do not increase at frame 1"),
        (np.append(TIMES[:500], 3.0), "do not increase at frame 500"),
        (TIMES[:1], "only 1"),
    ],
)
def test_times_without_a_rate_are_refused(times, message):
    with pytest.raises(InputError, match=message):
        read_times(times)
