"""How results in the example recording compare with its true spikes, in numbers and as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cascade_adapters.demo.recording import true_spikes_of
from cascade_adapters.results import Results
from cascade_engine import score, smooth_spikes
from cascade_engine.ground_truth.resampling import count_spikes

#: What the picture shows.
_SHOWN_S = 100.0
_N_SHOWN = 5


@dataclass(frozen=True)
class Agreement:
    """How the results of one plane agree with the true spikes: medians over its simulated neurons.

    Attributes
    ----------
    plane : str
        Name of the plane.
    n_neurons : int
        How many neurons were compared.
    noise_level : float
        In percent per sqrt(Hz).
    correlation : float
        Between inferred and true spikes, both smoothed alike.
    inferred_per_true : float
        Spikes inferred for each true one.
    """

    plane: str
    n_neurons: int
    noise_level: float
    correlation: float
    inferred_per_true: float


def compare(plane: Path, results: Results) -> Agreement:
    """Compare the results of a plane of the example recording with its true spikes."""
    spikes, record = true_spikes_of(plane), results.record
    frame_rate, kernel = record.recording.frame_rate_hz, record.settings.resolved_kernel
    scores = []
    for i, times in enumerate(spikes):
        predicted = np.asarray(results.spike_prob[i])
        counts = count_spikes(times, 0.0, frame_rate, len(predicted))
        scores.append(score(predicted, smooth_spikes(counts, frame_rate, *kernel)))
    return Agreement(
        plane=plane.name,
        n_neurons=len(spikes),
        noise_level=float(np.median(results.noise_levels[: len(spikes)])),
        correlation=float(np.median([item.correlation for item in scores])),
        inferred_per_true=float(np.median([1 + item.bias for item in scores])),
    )


def draw(plane: Path, results: Results, picture: Path) -> None:
    """Save a picture of the most active neurons of a plane with their true spikes; needs matplotlib."""
    from cascade_engine.plotting import plot_traces

    spikes, frame_rate = true_spikes_of(plane), results.record.recording.frame_rate_hz
    n_frames = int(_SHOWN_S * frame_rate)
    shown = np.argsort([-len(times) for times in spikes])[:_N_SHOWN]
    figure = plot_traces(
        np.array([results.dff[i][:n_frames] for i in shown]),
        np.array([results.spike_prob[i][:n_frames] for i in shown]),
        frame_rate,
        [spikes[i][spikes[i] < _SHOWN_S] for i in shown],
        [f"ROI {i}" for i in shown],
        f"Simulated recording, {plane.name}",
    )
    figure.savefig(picture, dpi=130)
