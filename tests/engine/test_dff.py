"""dF/F from raw fluorescence, against a dF/F that is known."""

import numpy as np
import pytest

from cascade_adapters.containers.base import Traces
from cascade_engine.errors import InputError
from cascade_engine.ground_truth import simulate_dataset
from cascade_engine.signal.dff import METHODS, NEUROPIL_KEPT, WITHIN_NOISE, Baseline, delta_f_over_f, less_baseline
from cascade_engine.signal.noise import noise_level_to_sd, noise_levels
from tests.builders.running import dff_of
from tests.builders.suite2p_folders import neuropil_traces

RATE = 30.0
N_FRAMES = 3600


@pytest.fixture(scope="module")
def truth():
    """dF/F of sparsely active neurons, whose resting level is 0."""
    return np.stack([recording.dff for recording in simulate_dataset(4, N_FRAMES / RATE, RATE, 1.0, 3).recordings])


def quiet(n_frames=1200, sd=0.01, seed=0):
    """dF/F of a neuron that never fires: noise around 0."""
    return sd * np.random.default_rng(seed).standard_normal((1, n_frames))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_recovers_a_known_dff(truth, method):
    scale = np.array([[100.0], [300.0], [1000.0], [5000.0]])
    result = delta_f_over_f(scale * (1 + truth), RATE, baseline=Baseline(method))
    assert result.dff.dtype == result.f0.dtype == np.float32
    assert result.notes == [""] * 4 and not result.guarded_frames.any()
    for found, known in zip(result.dff, truth, strict=True):
        assert np.corrcoef(found, known)[0, 1] > 0.99
        slope, offset = np.polyfit(known, found, 1)
        assert slope == pytest.approx(1.0, abs=0.05)
        assert offset == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("method", ["percentile", "constant"])
@pytest.mark.parametrize("noise_level", [1.0, 4.0, 8.0])
def test_noise_alone_is_no_activity(method, noise_level):
    """F0 does not sink as noise grows."""
    noise = quiet(18_000, sd=noise_level * np.sqrt(RATE) / 95.39)
    result = delta_f_over_f(500.0 * (1 + noise), RATE, baseline=Baseline(method))
    assert abs(np.median(result.dff)) < 0.02
    np.testing.assert_allclose(result.f0 / 500.0, 1.0, atol=0.05)


@pytest.mark.parametrize("method", METHODS)
def test_dff_does_not_depend_on_the_unit_of_f(truth, method):
    small, large = (delta_f_over_f(gain * (1 + truth), RATE, baseline=Baseline(method)).dff for gain in (2.0, 2e5))
    np.testing.assert_allclose(small, large, atol=2e-4)


@pytest.mark.parametrize("method", ["percentile", "maximin"])
def test_a_slow_drift_is_followed(method):
    drift = np.linspace(500.0, 1000.0, 6000)
    result = delta_f_over_f(drift * (1 + quiet(6000)), RATE, baseline=Baseline(method, window_s=20.0))
    assert np.abs(np.median(result.dff[0, :300])) < 0.06
    assert np.abs(np.median(result.dff[0, -300:])) < 0.06
    whole = delta_f_over_f(drift * (1 + quiet(6000)), RATE, baseline=Baseline("constant"))
    assert np.median(whole.dff[0, -300:]) > 0.5


def test_neuropil_is_removed_and_the_mean_of_f_kept(truth):
    rng = np.random.default_rng(1)
    neuropil = neuropil_traces(rng, 4, N_FRAMES, RATE)
    clean = 500.0 * (1 + truth)
    mixed = clean + 0.7 * (neuropil - np.median(neuropil, axis=1, keepdims=True))
    result = delta_f_over_f(mixed, RATE, neuropil, 0.7)
    np.testing.assert_allclose(result.dff, delta_f_over_f(clean, RATE).dff, atol=1e-3)
    # dF/F would be far larger had the neuropil's mean been subtracted from F0 as well
    assert np.median(result.f0) == pytest.approx(500.0, rel=0.05)
    contaminated = delta_f_over_f(mixed, RATE, neuropil, 0.0)
    np.testing.assert_array_equal(contaminated.dff, delta_f_over_f(mixed, RATE).dff)
    assert np.std(contaminated.dff[0] - result.dff[0]) > 0.02


def test_what_of_the_neuropil_stays_in_f0(truth):
    """The usual formula finds the true dF/F of a cell in bright neuropil; what is kept makes it smaller, as it must."""
    neuropil = neuropil_traces(np.random.default_rng(1), 4, N_FRAMES, RATE)
    level, f0 = np.median(neuropil, axis=1), 300.0
    mixed = f0 * (1 + truth) + 0.7 * neuropil
    clean = delta_f_over_f(f0 * (1 + truth), RATE)
    for what, kept in NEUROPIL_KEPT.items():
        result = delta_f_over_f(mixed, RATE, neuropil, 0.7, Baseline(neuropil=what))
        factor = 1 + 0.7 * kept * level / f0
        np.testing.assert_allclose(result.dff * factor[:, np.newaxis], clean.dff, atol=0.02)
        # the noise of all three is compared by the same measure
        np.testing.assert_allclose(result.noise_factor, factor, rtol=0.03)


def test_a_neuropil_brighter_than_the_cell_leaves_no_dff():
    """Where r Fneu exceeds F throughout, F - r Fneu has no baseline to divide by, and no dF/F is made up."""
    neuropil = np.full((1, 1200), 200.0)
    f = 100.0 * (1 + quiet())
    full, changes = (delta_f_over_f(f, RATE, neuropil, 0.7, Baseline(neuropil=what)) for what in ("full", "changes"))
    assert full.guarded_frames[0] == 1200 and changes.guarded_frames[0] == 0
    assert full.noise_factor[0] == changes.noise_factor[0] == 1  # F - r Fneu is nothing to compare with
    assert np.isnan(full.dff).all() and full.notes == [WITHIN_NOISE]
    assert np.isfinite(changes.dff).all() and changes.notes == [""]
    with pytest.raises(InputError, match="neuropil must be one of changes, half, full, but it is 'none'"):
        Baseline(neuropil="none")


def test_neuropil_coefficient_scales_what_is_subtracted():
    wave = 50.0 * np.sin(np.arange(1200) / 40.0)[np.newaxis]
    neuropil = 200.0 + wave
    f = 1000.0 * (1 + quiet()) + 0.3 * wave
    left = {r: np.std(delta_f_over_f(f, RATE, neuropil, r).dff) for r in (0.0, 0.3, 1.0)}
    assert left[0.3] < 0.75 * left[0.0] < left[1.0]


def test_neuropil_that_is_missing_or_infinite_is_told():
    f = 100.0 * (1 + np.repeat(quiet(), 3, axis=0))
    neuropil = np.tile(50.0 + np.arange(1200.0) / 40.0, (3, 1))
    neuropil[0], neuropil[1, 7] = np.nan, np.inf
    result = delta_f_over_f(f, RATE, neuropil)
    assert result.notes == ["Fneu has no finite value", "Fneu holds infinite values", ""]
    assert np.isnan(result.dff[:2]).all() and np.isfinite(result.dff[2]).all()
    assert delta_f_over_f(f, RATE, neuropil, neuropil_coefficient=0.0).notes == [""] * 3


@pytest.mark.parametrize("method", METHODS)
def test_no_baseline_reaches_from_one_segment_into_the_next(method):
    """Two segments of very different brightness: each is treated as if it were alone."""
    first, second = 1000.0 * (1 + quiet(700, seed=1)), 100.0 * (1 + quiet(500, seed=2))
    baseline = Baseline(method, window_s=10.0)
    joined = delta_f_over_f(np.hstack([first, second]), RATE, baseline=baseline, segments=[700, 500])
    np.testing.assert_allclose(joined.f0[:, :700], delta_f_over_f(first, RATE, baseline=baseline).f0, rtol=1e-6)
    np.testing.assert_allclose(joined.f0[:, 700:], delta_f_over_f(second, RATE, baseline=baseline).f0, rtol=1e-6)
    assert np.abs(joined.dff).max() < 0.2
    blurred = delta_f_over_f(np.hstack([first, second]), RATE, baseline=baseline)
    assert np.abs(blurred.dff).max() > 0.5


@pytest.mark.parametrize("method", METHODS)
def test_missing_frames_stay_missing_and_harm_no_others(method):
    f = 300.0 * (1 + quiet())
    holes = f.copy()
    holes[0, 200:260] = np.nan
    holes[0, -1] = np.nan
    result, whole = (delta_f_over_f(trace, RATE, baseline=Baseline(method, 10.0)) for trace in (holes, f))
    assert np.isnan(result.dff[0, 200:260]).all() and np.isnan(result.dff[0, -1])
    present = np.isfinite(holes[0])
    assert np.isfinite(result.dff[0, present]).all()
    np.testing.assert_allclose(result.dff[0, present], whole.dff[0, present], atol=0.02)


def test_a_segment_without_any_value_leaves_the_others_alone():
    f = 300.0 * (1 + quiet())
    f[0, :400] = np.nan
    result = delta_f_over_f(f, RATE, segments=[400, 800])
    assert np.isnan(result.dff[0, :400]).all() and np.isfinite(result.dff[0, 400:]).all()
    assert result.notes == [""]


@pytest.mark.parametrize("with_neuropil", [False, True])
def test_rois_without_a_signal_say_why_and_harm_no_others(with_neuropil):
    f = np.repeat(400.0 * (1 + quiet()), 4, axis=0)
    f[1], f[2], f[3, 5] = 0.0, np.nan, np.inf
    neuropil = 100.0 + 10.0 * np.random.default_rng(5).standard_normal(f.shape) if with_neuropil else None
    result = delta_f_over_f(f, RATE, neuropil)
    assert result.notes == ["", "F is zero throughout", "F has no finite value", "F holds infinite values"]
    assert np.isnan(result.dff[1:]).all() and not result.guarded_frames.any()
    alone = delta_f_over_f(f[:1], RATE, None if neuropil is None else neuropil[:1])
    np.testing.assert_array_equal(result.dff[0], alone.dff[0])


@pytest.mark.parametrize("f0", [-500.0, -1.0, 0.0, 1e-6, 3.0])
def test_an_f0_near_or_below_zero_neither_explodes_nor_turns_over(f0):
    """A large neuropil can push F0 anywhere; where it does so now and then, noise (s.d. 10) is what is divided by."""
    noise = 10.0 * np.random.default_rng(2).standard_normal((1, 1800))
    noise[0, 300] += 200.0
    noise[0] += np.where(np.arange(1800) < 800, f0, 100.0)
    result = delta_f_over_f(noise, RATE, baseline=Baseline("constant", percentile=50.0), segments=[800, 1000])
    assert result.guarded_frames[0] == 800
    assert np.abs(result.dff).max() < 30.0
    assert result.dff[0, 300] == pytest.approx(20.0, rel=0.3)


@pytest.mark.parametrize("f0", [-500.0, -1.0, 0.0, 1e-6, 3.0])
def test_an_f0_within_the_noise_in_most_frames_leaves_no_dff(f0):
    noise = 10.0 * np.random.default_rng(2).standard_normal((2, 1800))
    noise[0] += np.where(np.arange(1800) < 1000, f0, 100.0)
    noise[1] += 100.0
    result = delta_f_over_f(noise, RATE, baseline=Baseline("constant", percentile=50.0), segments=[1000, 800])
    assert result.notes == [WITHIN_NOISE, ""]
    assert np.isnan(result.dff[0]).all() and np.isfinite(result.dff[1]).all()
    assert result.guarded_frames.tolist() == [1000, 0]


@pytest.mark.parametrize("rate", [30.0, 500.0])
def test_a_fast_recording_is_judged_by_more_than_single_frames(rate):
    """At 500 frames per second the noise of a frame exceeds F0 in a recording of moderate noise (6 % per sqrt(Hz))."""
    sd = noise_level_to_sd(6.0, rate)
    f = 100.0 * (1 + sd * np.random.default_rng(3).standard_normal((1, int(60 * rate))))
    result = delta_f_over_f(f, rate)
    assert result.notes == [""] and not result.guarded_frames.any()
    assert noise_levels(result.dff, rate)[0] == pytest.approx(6.0, rel=0.05)


def test_a_trace_less_its_baseline_keeps_its_unit():
    wave = 30.0 * np.sin(np.arange(1800) / 40.0)[np.newaxis]
    f = -5000.0 + 100.0 * np.random.default_rng(4).standard_normal((1, 1800)) + 0.7 * wave
    (trace,), notes = less_baseline(f, RATE, 200.0 + wave, 0.7)
    assert notes == [""]
    assert abs(trace.mean()) < 20.0 and trace.std() == pytest.approx(100.0, rel=0.1)
    assert np.isnan(less_baseline(np.zeros((1, 300)), RATE)[0]).all()
    with pytest.raises(InputError, match="the neuropil's is"):
        less_baseline(f, RATE, wave[:, :-1])


def test_guarded_frames_are_counted_one_by_one():
    f = np.full((1, 1000), 500.0)
    f[0, 600:] = 0.0
    f += np.random.default_rng(0).standard_normal(f.shape)
    result = delta_f_over_f(f, RATE, baseline=Baseline("constant"), segments=[600, 400])
    assert result.guarded_frames[0] == 400
    assert not delta_f_over_f(f[:, :600], RATE).guarded_frames.any()


def test_a_constant_trace_below_zero_has_no_dff():
    result = delta_f_over_f(np.full((1, 300), -5.0), RATE)
    assert np.isnan(result.dff).all()
    assert result.notes == ["F0 is not above zero and there is no noise to divide by"]


@pytest.mark.parametrize("method", ["percentile", "maximin"])
def test_the_window_is_in_seconds(method):
    """The same fluorescence at half the frame rate gives the same F0, since the window covers the same time."""
    slow = 300.0 + 100.0 * np.sin(2 * np.pi * np.arange(0, 120, 1 / 60) / 40.0)[np.newaxis]
    fast_f0 = delta_f_over_f(slow, 60.0, baseline=Baseline(method, 8.0)).f0
    half_f0 = delta_f_over_f(slow[:, ::2], 30.0, baseline=Baseline(method, 8.0)).f0
    np.testing.assert_allclose(fast_f0[0, ::2], half_f0[0], atol=4.0)
    in_frames = delta_f_over_f(slow[:, ::2], 60.0, baseline=Baseline(method, 8.0)).f0
    assert np.abs(fast_f0[0, ::2] - in_frames[0]).max() > 20.0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("window_s", [200.0, 3600.0])
def test_a_window_longer_than_the_recording_takes_all_of_it(method, window_s):
    result = delta_f_over_f(200.0 * (1 + quiet()), RATE, baseline=Baseline(method, window_s))
    assert np.ptp(result.f0) == 0 and np.isfinite(result.dff).all()


@pytest.mark.parametrize("n_frames", [1, 2, 3, 7])
@pytest.mark.parametrize("method", METHODS)
def test_very_short_recordings(method, n_frames):
    result = delta_f_over_f(np.full((1, n_frames), 50.0), RATE, baseline=Baseline(method))
    np.testing.assert_allclose(result.dff, 0.0, atol=1e-6)


def test_integers_and_inputs_are_left_alone():
    f = np.random.default_rng(0).integers(900, 1100, (2, 600)).astype(np.uint16)
    before = f.copy()
    result = delta_f_over_f(f, RATE, neuropil=f)
    np.testing.assert_array_equal(f, before)
    np.testing.assert_allclose(result.dff, delta_f_over_f(f.astype(float), RATE, f.astype(float)).dff, atol=1e-5)


def test_arrays_that_do_not_fit_together_are_refused():
    f = np.ones((2, 100))
    with pytest.raises(InputError, match=r"\(2, 100\).*\(3, 100\)"):
        delta_f_over_f(f, RATE, np.ones((3, 100)))
    with pytest.raises(InputError, match="shape"):
        delta_f_over_f(f[0], RATE)
    with pytest.raises(InputError, match=r"add up to 90.*100"):
        delta_f_over_f(f, RATE, segments=[40, 50])
    for rate in (0, -1, np.nan, "fast"):
        with pytest.raises(InputError, match="frame_rate"):
            delta_f_over_f(f, rate)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "median"}, "percentile, maximin, constant.*'median'"),
        ({"window_s": 0.0}, "baseline_window must be a number from 2 to 3600 s"),
        ({"window_s": np.nan}, "baseline_window must be a number from 2 to 3600 s"),
        ({"window_s": np.inf}, "for one F0 throughout choose the baseline 'constant'"),
        ({"percentile": -1.0}, "baseline_percentile must be a number from 0 to 90 %"),
        ({"percentile": 101.0}, "baseline_percentile must be a number from 0 to 90 %"),
        ({"percentile": 0.15}, "in percent, 0 or 1 to 90, but it is 0.15: 15, if that was meant"),
        ({"window_s": 60_000}, "from 2 to 3600 s .60 is a minute"),
        ({"percentile": np.nan}, "baseline_percentile must be a number from 0 to 90 %"),
    ],
)
def test_bad_baselines_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Baseline(**options)


def test_noise_is_not_measured_between_segments():
    """One segment of two frames, then many of one frame at other brightness: only the first step is noise."""
    fluorescence = np.concatenate([[-50.0, -49.5], np.arange(0.0, 1980.0, 10.0)])[np.newaxis].astype(np.float32)
    found = delta_f_over_f(fluorescence, 30.0, segments=[2] + [1] * 198, baseline=Baseline("constant"))
    assert found.guarded_frames[0] >= 2
    # F0 is below zero there, so dF/F is divided by the noise, 0.5 / 0.9539
    assert np.diff(found.dff[0, :2])[0] == pytest.approx(0.9539, rel=1e-3)


def test_background_counts_only_in_what_is_divided_by():
    rng = np.random.default_rng(0)
    trace = 100.0 * np.maximum(rng.standard_normal((1, 3000)) - 2, 0) + rng.standard_normal((1, 3000))
    background = np.full_like(trace, 400.0)
    whole = delta_f_over_f(trace + 400.0, RATE)
    parted = delta_f_over_f(trace, RATE, background=background)
    np.testing.assert_allclose(parted.dff, whole.dff, atol=1e-4)
    np.testing.assert_allclose(parted.f0, whole.f0, rtol=1e-4)
    with pytest.raises(InputError, match="the background's is"):
        delta_f_over_f(trace, RATE, background=background[:, :10])


def test_dff_is_computed_block_by_block_alike(monkeypatch):
    rng = np.random.default_rng(0)
    raw = 200.0 + 10.0 * rng.standard_normal((7, 600))
    traces = Traces(
        fluorescence=raw, neuropil=raw / 3, neuropil_coefficient=0.7, frame_rate=RATE, frame_rate_source="", source="F"
    )
    chosen = np.arange(7) != 2
    whole = dff_of(traces, chosen=chosen)
    monkeypatch.setattr("cascade_adapters.results.rows.BLOCK_VALUES", 1300)
    np.testing.assert_array_equal(dff_of(traces, chosen=chosen).dff, whole.dff)
    assert np.isnan(whole.dff[2]).all() and whole.notes[2] == "not a cell"
    assert np.isfinite(np.delete(whole.dff, 2, axis=0)).all()


def test_dff_of_a_container_in_percent_is_refused():
    dff = 100.0 + 80.0 * np.random.default_rng(0).standard_normal((3, 600))
    with pytest.raises(InputError, match=r"DfOverF: .*percent|DfOverF: .*raw"):
        dff_of(Traces(dff=dff, frame_rate=RATE, frame_rate_source="", source="DfOverF"))
