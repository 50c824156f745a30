"""Pictures show the traces that they are given."""

import numpy as np
import pytest

from cascade_engine.plotting import plot_traces


@pytest.mark.parametrize("n_neurons", [1, 3])
def test_one_axis_per_neuron_with_dff_rate_and_true_spikes(n_neurons):
    pytest.importorskip("matplotlib")
    dff, spike_prob = np.tile(np.linspace(0, 2.0, 50), (n_neurons, 1)), np.full((n_neurons, 50), np.nan)
    spike_prob[:, 10:40] = np.linspace(0, 0.5, 30)
    true_spikes_s = [np.array([1.0, 2.0])] * n_neurons
    figure = plot_traces(dff, spike_prob, 10.0, true_spikes_s, labels=[f"ROI {i}" for i in range(n_neurons)], title="A")
    assert len(figure.axes) == n_neurons and figure.axes[0].get_title(loc="left") == "A"
    for i, axis in enumerate(figure.axes):
        drawn, rate = axis.get_lines()
        np.testing.assert_allclose(drawn.get_xdata(), np.arange(50) / 10)
        np.testing.assert_array_equal(drawn.get_ydata(), dff[i])
        np.testing.assert_array_equal(np.isnan(rate.get_ydata()), np.isnan(spike_prob[i]))
        assert np.nanmax(rate.get_ydata()) < 0  # below dF/F
        assert axis.get_ylabel() == f"ROI {i}\ndF/F to 2.0\nrate to 5 Hz"
        (spikes,) = axis.collections
        np.testing.assert_allclose([segment[0, 0] for segment in spikes.get_segments()], true_spikes_s[i])


def test_a_neuron_without_prediction_is_drawn():
    pytest.importorskip("matplotlib")
    figure = plot_traces(np.ones((1, 20)), np.full((1, 20), np.nan), 10.0)
    assert "rate to 1 Hz" in figure.axes[0].get_ylabel()
