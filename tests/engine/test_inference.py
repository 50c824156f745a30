"""Prediction: exact, on the right frame, within its segment, and clear about what it cannot do."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import cascade_engine.inference
from cascade_engine import (
    CascadeWarning,
    FrameGrid,
    InputError,
    ModelError,
    infer,
    noise_levels,
    predict,
    read_times,
    single_spike_amplitude,
)
from cascade_engine.networks.windowed.writing import write_windowed_model
from cascade_engine.signal.dff import delta_f_over_f
from tests.builders.models import random_network
from tests.builders.windowed import predict_trace

RATE = 30.0


def noise(n_neurons, n_frames, level=2.0, seed=0):
    """White dF/F with a noise level."""
    sd = level * np.sqrt(RATE) / 95.39
    return (sd * np.random.default_rng(seed).standard_normal((n_neurons, n_frames))).astype(np.float32)


def test_equals_the_window_form_on_every_frame(random_model, random_networks):
    dff = np.concatenate([noise(2, 500, level, seed=level) for level in (1, 2, 4)])
    result = infer(dff, RATE, random_model, threshold=False)
    np.testing.assert_array_equal(result.network_noise_levels, [1, 1, 2, 2, 4, 4])
    for trace, level, predicted in zip(dff, result.network_noise_levels, result.spike_prob, strict=True):
        expected = predict_trace(trace, random_networks[level], 64, 32)
        np.testing.assert_allclose(predicted, expected, atol=1e-5)
        assert np.isnan(predicted[:32]).all()
        assert np.isfinite(predicted[32:-31]).all()
        assert np.isnan(predicted[-31:]).all()
    assert result.spike_prob.dtype == np.float32


@pytest.mark.parametrize(("windowsize", "before_frac"), [(64, 0.5), (65, 0.5), (66, 0.25), (67, 0.75), (80, 0.99)])
def test_other_windows(tmp_path, random_config, windowsize, before_frac):
    config = replace(random_config, windowsize=windowsize, before_frac=before_frac, noise_levels=(2,))
    network = random_network(0, config)
    model = write_windowed_model(tmp_path / "model", config, {2: [network]}, {})
    dff = noise(1, 300)
    expected = predict_trace(dff[0], [network], windowsize, config.frames_before)
    np.testing.assert_allclose(infer(dff, RATE, model, threshold=False).spike_prob[0], expected, atol=1e-5)


def test_blocks_and_threads_change_nothing(random_model, monkeypatch):
    dff = noise(7, 900)
    dff[3, 400] = np.nan
    whole = infer(dff, RATE, random_model).spike_prob
    monkeypatch.setattr(cascade_engine.networks.windowed.predictor, "_BLOCK_FRAMES", 100)
    for n_threads in (1, 3):
        np.testing.assert_allclose(infer(dff, RATE, random_model, n_threads=n_threads).spike_prob, whole, atol=1e-6)


def test_long_gaps_spoil_only_their_windows(random_model):
    dff = noise(2, 600)
    gap = dff.copy()
    gap[0, 300:311] = np.nan
    whole = infer(dff, RATE, random_model, noise_level=2.0).spike_prob
    spoiled = infer(gap, RATE, random_model, noise_level=2.0).spike_prob
    touched = np.zeros(600, dtype=bool)
    touched[300 - 31 : 311 + 32] = True
    assert np.isnan(spoiled[0, touched]).all()
    np.testing.assert_allclose(spoiled[0, ~touched], whole[0, ~touched], atol=1e-6)
    np.testing.assert_allclose(spoiled[1], whole[1], atol=1e-6)


def test_segments_are_predicted_as_if_alone(random_model):
    dff = noise(2, 500)
    parts = infer(dff, RATE, random_model, segments=[200, 50, 250], noise_level=2.0).spike_prob
    for part in (slice(0, 200), slice(250, 500)):
        alone = infer(dff[:, part], RATE, random_model, noise_level=2.0).spike_prob
        np.testing.assert_allclose(parts[:, part], alone, atol=1e-6)
    assert np.isnan(parts[:, 200:250]).all()
    assert np.isfinite(parts).sum(axis=1).tolist() == [200 - 63 + 250 - 63] * 2


def test_unusable_neurons_are_named_and_disturb_nobody(random_model):
    dff = noise(9, 400)
    alone = infer(dff[:1], RATE, random_model).spike_prob
    dff[1] = np.nan
    dff[2] = 0.5
    dff[3, 7] = np.inf
    dff[4, 9] = -1e6
    dff[5, np.arange(400) % 50 > 38] = np.nan
    dff[6, 1:] = np.nan
    dff[7, ::2] = np.nan
    result = infer(dff, RATE, random_model)
    assert result.notes[0] == result.notes[8] == ""
    for neuron, reason in {
        1: "all values are missing",
        2: "constant: every value is 0.5",
        3: "infinite dF/F in 1 frames",
        4: "absurd dF/F (beyond 1000)",
        5: "no 64 consecutive frames without missing values",
        6: "constant",
        7: "no two neighbouring frames",
    }.items():
        assert reason in result.notes[neuron]
        assert np.isnan(result.spike_prob[neuron]).all()
        assert np.isnan(result.network_noise_levels[neuron])
    np.testing.assert_allclose(result.spike_prob[:1], alone, atol=1e-6)


def test_short_recordings(random_model):
    result = infer(noise(2, 63), RATE, random_model)
    assert result.notes == ["too short: 63 frames without interruption, 64 are needed"] * 2
    assert np.isnan(result.spike_prob).all()
    assert np.isfinite(infer(noise(1, 64), RATE, random_model).spike_prob).sum() == 1
    assert "too short: 40" in infer(noise(1, 70), RATE, random_model, segments=[30, 40]).notes[0]


def test_nothing_in_nothing_out(random_model):
    assert infer(np.zeros((0, 500)), RATE, random_model).spike_prob.shape == (0, 500)
    assert infer(np.zeros((3, 0)), RATE, random_model).spike_prob.shape == (3, 0)


def test_threshold(random_model):
    dff = noise(3, 900)
    raw = infer(dff, RATE, random_model, threshold=False).spike_prob
    assert np.nanmin(raw) < 0
    np.testing.assert_array_equal(infer(dff, RATE, random_model, threshold=0).spike_prob, np.maximum(raw, 0))
    limit = single_spike_amplitude(RATE, 0.05) / np.e
    strict = infer(dff, RATE, random_model, threshold=1).spike_prob
    np.testing.assert_array_equal(np.isnan(strict), np.isnan(raw))
    np.testing.assert_array_equal(strict[raw > limit], raw[raw > limit])
    changed = (strict != np.maximum(raw, 0)) & ~np.isnan(raw)
    assert changed.any()
    assert (strict[changed] == 0).all()
    assert (raw[changed] <= limit).all()
    with pytest.raises(InputError, match="threshold"):
        infer(dff, RATE, random_model, threshold=0.5)


def test_padding(random_model):
    dff = noise(2, 300)
    dff[1] = np.nan
    padded = infer(dff, RATE, random_model, padding=0.0, segments=[100, 50, 150]).spike_prob
    assert np.isfinite(padded[0]).all()
    assert (padded[0, :32] == 0).all()
    assert (padded[0, 69:182] == 0).all()
    assert np.isnan(padded[1]).all()


def test_noise_level_can_be_given(random_model):
    dff = noise(2, 200)
    result = infer(dff, RATE, random_model, noise_level=np.array([1.0, 3.9]))
    np.testing.assert_array_equal(result.network_noise_levels, [1, 4])
    np.testing.assert_allclose(result.noise_levels, 2.0, rtol=0.3)
    with pytest.raises(InputError, match="one per neuron"):
        infer(dff, RATE, random_model, noise_level=[1, 2, 3])


def test_units_are_checked(random_model):
    dff = noise(3, 400)
    with pytest.raises(InputError, match="percent"):
        infer(100 * dff, RATE, random_model)
    with pytest.raises(InputError, match="raw fluorescence"):
        infer(300 + 300 * dff, RATE, random_model)
    assert np.isfinite(infer(100 * dff, RATE, random_model, check_units=False).spike_prob).any()


@pytest.mark.parametrize("bad", [np.zeros(100), np.zeros((1, 2, 100)), [["a"]], None])
def test_what_is_no_array_of_traces_is_refused(random_model, bad):
    with pytest.raises(InputError, match="dff must"):
        infer(bad, RATE, random_model)


@pytest.mark.parametrize(
    ("level", "frame_rate", "message"),
    [
        (2.0, 32.0, "was trained for 30 Hz"),
        (9.0, 30.0, "knows only up to 4"),
        (0.3, 30.0, "knows only down to 1"),
        (0.05, 30.0, "an offset of the detector that is left in F0"),
    ],
)
def test_doubts_are_told(random_model, level, frame_rate, message):
    dff = noise(4, 400, level)
    assert any(message in warning for warning in infer(dff, frame_rate, random_model).warnings)
    with pytest.warns(CascadeWarning, match=message):
        predict(dff, frame_rate, random_model)


def test_no_doubt_about_good_data(random_model):
    dff = noise(4, 400)
    assert infer(dff, 30.5, random_model).warnings == []
    np.testing.assert_array_equal(predict(dff, RATE, random_model), infer(dff, RATE, random_model).spike_prob)


def test_neuron_without_prediction_is_warned_of(random_model):
    dff = noise(2, 400)
    dff[1] = np.nan
    with pytest.warns(CascadeWarning, match="neuron 1 has no prediction: all values are missing"):
        predict(dff, RATE, random_model)


def test_input_is_left_alone(random_model):
    dff = noise(2, 300)
    dff[0, 5] = np.nan
    before = dff.copy()
    infer(dff, RATE, random_model)
    np.testing.assert_array_equal(dff, before)
    as_integers = (100 * dff[1:]).astype(np.int16)
    assert infer(as_integers, RATE, random_model, check_units=False).spike_prob.shape == (1, 300)


def test_unknown_model():
    with pytest.raises(ModelError, match="did you mean universal"):
        infer(noise(1, 100), RATE, "univarsal")


def spike_response(n_frames=400, frame=200):
    """A single spike as a slow indicator shows it: at once up, slowly down."""
    dff = np.zeros((1, n_frames), dtype=np.float32)
    dff[0, frame:] = 0.5 * np.exp(-np.arange(n_frames - frame) / 20)
    return dff


def test_a_detector_of_onsets_puts_its_peak_on_the_spike(tmp_path, random_config):
    """A network that compares one frame of the window with the frame before has its output on that frame."""
    config = replace(random_config, noise_levels=(2,))
    network = random_network(0, config)
    kernels, biases = [np.zeros_like(k) for k in network.kernels], [np.zeros_like(b) for b in network.biases]
    # through both later convolutions and the last layer straight ahead; frame 32 minus frame 31 in the first
    kernels[0][23, 0, 0], kernels[0][22, 0, 0] = 1, -1
    kernels[1][9, 0, 0] = kernels[2][0, 0, 0] = kernels[3][0, 0, 0] = kernels[4][0, 0, 0] = 1
    model = write_windowed_model(tmp_path / "onset", config, {2: [type(network)(tuple(kernels), tuple(biases))]}, {})
    predicted = infer(spike_response(), RATE, model, noise_level=2.0).spike_prob[0]
    peak = np.flatnonzero(predicted == np.nanmax(predicted))
    assert peak[-1] == 200  # the poolings widen the peak to the frames before


def test_shipped_model_puts_its_peak_on_the_spike():
    """An isolated spike in simulated dF/F: the prediction peaks on its frame, and is worth a few spikes at most."""
    from cascade_engine.ground_truth import Indicator, simulate_dff

    frames = np.arange(100, 5900, 200)
    rng = np.random.default_rng(0)
    indicator = Indicator(amplitude=0.3, rise_s=0.02, decay_s=0.4, hill=1.0)
    dff = simulate_dff(frames / RATE, 6000, RATE, 1.0, indicator, rng)
    predicted = infer(dff[np.newaxis], RATE).spike_prob[0]
    around = np.array([predicted[frame - 10 : frame + 11] for frame in frames])
    assert np.median(around.argmax(axis=1) - 10) == 0
    assert np.abs(around.mean(axis=0).argmax() - 10) == 0
    assert 0.3 < np.median(around.sum(axis=1)) < 4


def test_lost_frames_are_told(random_model):
    dff = noise(3, 600)
    dff[1, ::70] = np.nan
    warnings = infer(dff, RATE, random_model, segments=[550, 50]).warnings
    assert any("1 of 2 segments have fewer than the 64 frames" in warning for warning in warnings)
    (told,) = (warning for warning in warnings if "1 of 3 neurons have missing frames (up to 1.5%)" in warning)
    assert told.endswith("no prediction; up to 10 in a row were bridged for the network, longer gaps hidden from it")


@pytest.mark.parametrize(("n_frames", "told"), [(20, "only 20 frames (0.67 s at 30 Hz)"), (140, "only 140"), (160, "")])
def test_short_recordings_are_told(n_frames, told):
    warnings = [text for text in infer(noise(2, n_frames), RATE).warnings if "a neuron cannot be known from" in text]
    assert [told in text for text in warnings] == ([True] if told else [])


def test_axes_that_are_mixed_up(random_model):
    slow = np.cumsum(noise(74, 3000), axis=1)
    slow /= 10 * np.abs(slow).max()
    with pytest.raises(InputError, match=r"3000 neurons of 74 frames, but neighbouring ROIs are more.*pass dff.T"):
        predict(slow.T, RATE, random_model)
    with pytest.raises(InputError, match=r"3000 neurons of 74 frames, but 74 frames are 2.5 s at 30 Hz: .*pass dff.T"):
        infer(noise(3000, 74), RATE, random_model)
    more_frames = slow[:, :70].T
    assert any("more alike" in text and "must be (n_n" in text for text in infer(more_frames, RATE).warnings)
    assert infer(noise(3000, 74), RATE, random_model, check_units=False).spike_prob.shape == (3000, 74)


@pytest.mark.parametrize(
    "missing", [np.arange(900) % 2 == 0, np.arange(900) % 3 > 0, np.arange(900) < 899, np.ones(900, bool)]
)
def test_gaps_give_no_warning_of_numpy(random_model, missing):
    dff = np.where(missing, np.nan, noise(3, 900))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        result = infer(dff, RATE, random_model)
        assert all(result.notes)
        dff[0] = noise(1, 900)
        assert infer(dff, RATE, random_model).notes[0] == ""


@pytest.mark.parametrize("n_threads", [0, -1, 1e6, "two"])
def test_numbers_of_threads(random_model, n_threads):
    with pytest.raises(InputError, match="n_threads must be a number from 1 to 1024"):
        infer(noise(1, 400), RATE, random_model, n_threads=n_threads)


@pytest.mark.parametrize(
    ("frame_rate", "smoothing", "longest"), [(30.0, 2.1, "2 s"), (30.0, 15.0, "2 s"), (0.5, 6.5, "6 s")]
)
def test_smoothing_that_nobody_means(frame_rate, smoothing, longest):
    with pytest.raises(InputError, match=rf"smoothing must be a number from 0 to {longest} \(0.05 is 50 ms\)"):
        infer(noise(1, 400), frame_rate, smoothing=smoothing)


@pytest.mark.parametrize(("frame_rate", "smoothing", "doubted"), [(100.0, 1.0, True), (30.0, 2.0, False)])
def test_smoothing_over_many_frames_is_doubted(frame_rate, smoothing, doubted):
    told = infer(noise(1, 1200), frame_rate, smoothing=smoothing).warnings
    assert any("is 100 frames wide" in text and "0.05 is 50 ms" in text for text in told) == doubted


# ----------------------------------------------------------------------------------------- masked and transposed arrays


def test_what_is_masked_is_missing_everywhere(random_model):
    rng = np.random.default_rng(0)
    dff = 0.1 * rng.standard_normal((3, 300)).astype(np.float32)
    masked = np.ma.MaskedArray(dff.copy(), mask=False)
    masked[0, 100:104] = masked[2, 7] = np.ma.masked
    plain = np.where(masked.mask, np.nan, dff)
    masked.data[masked.mask] = 1e20
    expected = infer(plain, 30.0, random_model)
    found = infer(masked, 30.0, random_model)
    np.testing.assert_array_equal(found.spike_prob, expected.spike_prob)
    np.testing.assert_array_equal(found.noise_levels, expected.noise_levels)
    np.testing.assert_array_equal(noise_levels(masked, 30.0), noise_levels(plain, 30.0))
    with pytest.warns(CascadeWarning, match="missing frames"):
        np.testing.assert_array_equal(predict([*masked], 30.0, random_model), expected.spike_prob)
    raw = delta_f_over_f(1000 * (1 + plain), 30.0, 100 * (1 + plain)).dff
    ours = delta_f_over_f(1000 * (1 + masked), 30.0, 100 * (1 + masked)).dff
    np.testing.assert_allclose(ours, raw, atol=1e-6)
    counts = np.ma.masked_array((1000 * (1 + dff)).astype(int), masked.mask)
    assert np.isnan(delta_f_over_f(counts, 30.0).dff[0, 100:104]).all()
    times = np.ma.masked_array(np.arange(10) / 30.0, mask=[0] * 9 + [1])
    with pytest.raises(InputError, match="do not increase"):
        read_times(times)
    np.testing.assert_array_equal(
        FrameGrid(300, dropped={5: 1}).expand(masked), FrameGrid(300, dropped={5: 1}).expand(plain)
    )
