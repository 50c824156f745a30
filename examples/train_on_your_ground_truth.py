"""Train a model on your own simultaneous recordings of calcium and spikes.

    python examples/train_on_your_ground_truth.py FOLDER MODEL --frame-rate 30

FOLDER holds one file per neuron, for example an .npz with ``dff`` (fraction), ``spike_times_s`` and ``frame_rate``;
docs/guide.md has the other forms. MODEL is the folder to write. Training needs the extra ``train``. It takes hours on
a few cores; interrupt it at any time, the same command goes on. With ``--quick`` it takes a minute: only to see that
everything works, since such a model is of no use.

Do you need this? The universal model, which comes with the package, has learned from some 30 datasets. Measure it on
your neurons first: ``examples/evaluate_a_model.py``.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from cascade_engine import CascadeError, ModelConfig
from cascade_engine.ground_truth import load_dataset
from cascade_engine.training import train


def main() -> None:
    """Train, and say how the model is used."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path, help="folder with one file per neuron")
    arguments.add_argument("model", type=Path, help="folder of the model, to be written")
    arguments.add_argument("--frame-rate", type=float, required=True, help="of the recordings to predict, in Hz")
    arguments.add_argument("--smoothing", type=float, default=0.05, help="width of the kernel in s [default: 0.05]")
    arguments.add_argument("--quick", action="store_true", help="a tiny model, to try it out")
    given = arguments.parse_args()

    dataset = load_dataset(given.folder)
    usable = [neuron for neuron in dataset.neurons if neuron.recordings]
    spikes = sum(neuron.n_spikes for neuron in usable)
    print(f"{dataset.name}: {len(usable)} of {len(dataset.neurons)} neurons can be used, with {spikes} spikes")
    for neuron in dataset.neurons:
        for note in neuron.notes:
            print(f"  {neuron.cell}: {note}")

    config = ModelConfig(given.model.name, given.frame_rate, (dataset.name,), smoothing=given.smoothing)
    if given.quick:
        config = replace(config, noise_levels=(2,), ensemble_size=1, nr_of_epochs=1, windows_per_epoch=20_000)
    model = train(config, [dataset], given.model)
    print(f"the model is ready: cascade run YOUR_RECORDING --model {model.folder}")


if __name__ == "__main__":
    try:
        main()
    except CascadeError as error:
        sys.exit(str(error))
