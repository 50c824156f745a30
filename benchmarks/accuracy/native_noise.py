"""The noise levels of the public ground truth as it was recorded, without noise that is added for tests.

    python -m benchmarks.accuracy.native_noise [--write]

needs CASCADE_GROUND_TRUTH; a minute on one core. One level per neuron: the median over its recordings, each at its own
frame rate. With --write the 10th, 50th and 90th percentile over the neurons of each dataset go into
``ground_truth/registry.yaml``, from which reports take a recording's place among the datasets.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from benchmarks.accuracy.clocks import write
from cascade_engine.errors import CascadeError
from cascade_engine.ground_truth import Neuron, find_datasets, ground_truth_root, load_catalogue, load_dataset
from cascade_engine.signal.noise import noise_levels


def level_of(neuron: Neuron) -> float:
    """Noise level of a neuron in percent per sqrt(Hz): the median over its recordings."""
    return float(np.median([noise_levels(each.dff[np.newaxis], each.frame_rate)[0] for each in neuron.recordings]))


def measure() -> dict[str, str]:
    """Percentiles of the noise level of each public dataset that is here, as text, by its key; printed too."""
    available, found = find_datasets(ground_truth_root()), {}
    print("| dataset | neurons | noise level (10th, 50th, 90th percentile) |\n|---|---|---|")
    for key, entry in load_catalogue().items():
        if entry.folder not in available:
            continue
        levels = [level_of(neuron) for neuron in load_dataset(available[entry.folder]).neurons if neuron.recordings]
        if levels:
            low, middle, high = np.percentile(levels, [10, 50, 90])
            found[key] = f"[{low:.2f}, {middle:.2f}, {high:.2f}]"
            print(f"| {entry.folder} | {len(levels)} | {found[key]} |", flush=True)
    return found


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the levels into the registry")
    arguments = parser.parse_args()
    try:
        found = measure()
    except CascadeError as error:
        sys.exit(str(error))
    if arguments.write:
        write("noise_level", found)


if __name__ == "__main__":
    main()
