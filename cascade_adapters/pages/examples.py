"""Ground truth to look at beside a recording: a few simulated neurons at several noise levels, with true spikes.

``examples.npz`` ships with the package. `make` writes it, from `cascade_engine.ground_truth.simulate_dataset` and the
shipped model::

    python -m cascade_adapters.pages.examples
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from cascade_adapters.pages.packing import Packed, pack, range_of

#: Frame rates (Hz) and noise levels (percent per sqrt(Hz)) of the examples.
FRAME_RATES, NOISE_LEVELS = (7.5, 30.0), (1.0, 2.0, 3.0, 4.0, 6.0, 8.0)

#: Neurons of each, and the seconds that are kept of the seconds that are simulated.
_N_NEURONS, _KEPT_S, _SIMULATED_S = 2, 60.0, 300.0

#: A seed with a busy and a quiet neuron.
_SEED = 3

_NAME = "examples.npz"


@dataclass(frozen=True)
class Example:
    """One simulated neuron.

    Attributes
    ----------
    frame_rate : float
        In Hz.
    noise_level : float
        In percent per sqrt(Hz).
    dff : array, shape (n_frames,)
        As a fraction.
    spike_prob : array, shape (n_frames,)
        Expected spikes per frame, by the shipped model.
    spike_times_s : array, shape (n_spikes,)
        True spikes.
    """

    frame_rate: float
    noise_level: float
    dff: np.ndarray
    spike_prob: np.ndarray
    spike_times_s: np.ndarray


def nearest_examples(frame_rate: float, noise_level: float) -> list[Example]:
    """The simulated neurons whose frame rate (Hz) and noise level (percent per sqrt(Hz)) come nearest."""
    rate = min(FRAME_RATES, key=lambda each: abs(np.log(each / frame_rate)))
    level = min(NOISE_LEVELS, key=lambda each: abs(np.log(each / noise_level)))
    file = resources.files("cascade_adapters.pages").joinpath(_NAME)
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
        found = []
        for number in range(_N_NEURONS):
            name = _key(rate, level, number)
            (dff, dff_low, dff_high), (prob, prob_low, prob_high) = (
                (archive[f"{name}_{what}"], *archive[f"{name}_{what}_range"].tolist()) for what in ("dff", "prob")
            )
            found.append(
                Example(
                    rate,
                    level,
                    Packed(dff, dff_low, dff_high).values,
                    Packed(prob, prob_low, prob_high).values,
                    archive[f"{_key(rate, level, number)}_spikes"].astype(np.float64),
                )
            )
    return found


def make(path: Path) -> None:
    """Simulate, predict, and write the file."""
    from cascade_engine import predict
    from cascade_engine.file_formats.atomic import replacing
    from cascade_engine.ground_truth import Indicator, simulate_dataset

    arrays: dict[str, np.ndarray] = {}
    for rate in FRAME_RATES:
        for level in NOISE_LEVELS:
            dataset = simulate_dataset(_N_NEURONS, _SIMULATED_S, rate, level, _SEED, Indicator())
            traces = [recording.dff for recording in dataset.recordings]
            predicted = predict(np.stack(traces), rate)
            kept = round(_KEPT_S * rate)
            for number, recording in enumerate(dataset.recordings):
                name, spikes = _key(rate, level, number), recording.spike_times_s
                start = int(np.argmax(np.histogram(spikes, np.arange(0.0, _SIMULATED_S + 1, _KEPT_S))[0])) * _KEPT_S
                part = slice(round(start * rate), round(start * rate) + kept)
                for what, values in (("dff", recording.dff[part]), ("prob", predicted[number, part])):
                    packed = pack(values, *range_of(values))
                    arrays[f"{name}_{what}"] = packed.numbers
                    arrays[f"{name}_{what}_range"] = np.array([packed.low, packed.high])
                inside = spikes[(spikes >= start) & (spikes < start + _KEPT_S)] - start
                arrays[f"{name}_spikes"] = inside.astype(np.float32)
    with replacing(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    print(f"{path}: {path.stat().st_size} bytes", file=sys.stderr)


def _key(rate: float, level: float, number: int) -> str:
    return f"rate{rate:g}_noise{level:g}_neuron{number}"


if __name__ == "__main__":
    make(Path(__file__).with_name(_NAME))
