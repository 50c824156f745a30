"""How good a model is on ground truth that it was not trained on.

    python benchmarks/accuracy.py --model Global_EXC_30Hz_smoothing50ms --noise-level 3 DS29 DS30 DS31 DS32

needs CASCADE_GROUND_TRUTH. Every recording is brought to the model's frame rate and to the noise level, predicted, and
compared with its spikes, smoothed as the model was trained to. Scores are per neuron, over all its recordings; the
table shows medians over the neurons of a dataset. Datasets that the model has seen are refused. With --card the table
also goes into the model's card. With --smooth-to the output of a model with a narrower Gaussian kernel is filtered to
a wider one (s), so that both can be compared: smoothing is linear, so this estimates the smoother spikes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import yaml
from scipy.ndimage import gaussian_filter1d

from cascade_engine import CascadeError, Model, infer, load_model, score, smooth_spikes
from cascade_engine.files import replacing
from cascade_engine.ground_truth import find_datasets, ground_truth_root, load_catalogue, load_dataset
from cascade_engine.ground_truth.records import Neuron
from cascade_engine.models.store import CARD_NAME
from cascade_engine.resampling import add_noise, resample

RESULTS = Path(__file__).parent / "results"


def score_neuron(neuron: Neuron, model: Model, noise_level: float, smoothing: float, rng: np.random.Generator):
    """Score of one neuron, or None if all its recordings are noisier than the noise level."""
    config = model.config
    extra_sd = np.sqrt(smoothing**2 - config.smoothing**2) * config.sampling_rate
    predicted, true = [], []
    for recording in neuron.recordings:
        resampled = resample(recording, config.sampling_rate)
        dff = add_noise(resampled, noise_level, rng)
        if dff is None:
            continue
        result = infer(dff[np.newaxis], resampled.frame_rate, model, noise_level=noise_level, check_units=False)
        spike_prob = result.spike_prob[0]
        if extra_sd > 0:
            known = np.isfinite(spike_prob)
            spike_prob[known] = gaussian_filter1d(spike_prob[known], extra_sd)
        predicted.append(spike_prob)
        true.append(smooth_spikes(resampled.counts, resampled.frame_rate, smoothing, config.kernel))
    return score(np.concatenate(predicted), np.concatenate(true)) if predicted else None


def catalogue_kin(name: str) -> list[str]:
    """Datasets that share recordings with this one, as far as known."""
    return next((entry.kin for entry in load_catalogue().values() if entry.folder == name), [])


def write_card(model: Model, noise_level: float, summary: list[list]) -> None:
    """Put the medians per dataset into the model's card, in the place of earlier ones for this noise level."""
    entries = [
        {
            "noise_level": noise_level,
            "dataset": name,
            "neurons": n_neurons,
            **{key: round(value, 3) for key, value in zip(("correlation", "error", "bias"), medians, strict=True)},
        }
        for name, n_neurons, *medians in summary
    ]
    others = [entry for entry in model.card.get("evaluation", []) if entry["noise_level"] != noise_level]
    card = {**model.card, "evaluation": others + entries}
    with replacing(model.folder / CARD_NAME) as file:
        file.write(yaml.safe_dump(card, sort_keys=False, width=120).encode())


def main() -> None:
    """Score the datasets and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", help="keys (DS29) or folder names")
    parser.add_argument("--model", default="Global_EXC_30Hz_smoothing50ms")
    parser.add_argument("--noise-level", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smooth-to", type=float, metavar="S", help="compare at this smoothing [default: the model's]")
    parser.add_argument("--card", action="store_true", help="put the table into the model's card")
    arguments = parser.parse_args()

    try:
        model, available = load_model(arguments.model), find_datasets(ground_truth_root())
    except CascadeError as error:
        sys.exit(str(error))
    smoothing = arguments.smooth_to or model.config.smoothing
    if smoothing < model.config.smoothing:
        sys.exit(f"{model.name} is smoothed with {model.config.smoothing} s already")
    seen = {name.split("-")[0] for name in model.config.training_datasets}
    rows, summary = [], []
    for key in arguments.datasets:
        name = next((name for name in available if key in (name, name.split("-")[0])), None)
        if name is None:
            sys.exit(f"there is no dataset {key}")
        if {name.split("-")[0], *catalogue_kin(name)} & seen:
            sys.exit(f"{model.name} was trained on {name}: its figures there would be too good")
        scores = []
        for i, neuron in enumerate(load_dataset(available[name]).neurons):
            rng = np.random.default_rng([arguments.seed, i])
            found = score_neuron(neuron, model, arguments.noise_level, smoothing, rng)
            if found is not None and np.isfinite(found.error):
                scores.append(found)
                rows.append([name, neuron.cell, found.correlation, found.error, found.bias])
        medians = [
            float(np.nanmedian([getattr(item, key) for item in scores])) for key in ("correlation", "error", "bias")
        ]
        summary.append([name, len(scores), *medians])
        print("{:32s} {:3d} neurons  correlation {:.3f}  error {:.2f}  bias {:+.2f}".format(*summary[-1]), flush=True)
    means = np.mean([row[2:] for row in summary], axis=0)
    print("{:44s}  correlation {:.3f}  error {:.2f}  bias {:+.2f}".format("mean over datasets", *means))

    low, high = np.percentile([row[4] for row in rows], [25, 75])
    print(f"half of all {len(rows)} neurons have a bias between {low:+.1f} and {high:+.1f}")

    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"accuracy_{model.name}_noise{arguments.noise_level:g}_{1000 * smoothing:g}ms.csv"
    with replacing(path) as file:
        lines = [["dataset", "cell", "correlation", "error", "bias"]]
        lines += [[*row[:2], *(f"{value:.4f}" for value in row[2:])] for row in rows]
        file.write("".join(",".join(line) + "\n" for line in lines).encode())
    print(f"per neuron: {path}")
    if arguments.card:
        write_card(model, arguments.noise_level, summary)


if __name__ == "__main__":
    main()
