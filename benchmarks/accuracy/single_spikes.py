"""The size of a single spike in the public ground truth: dF/F around spikes that stand alone, in each dataset.

    python -m benchmarks.accuracy.single_spikes [--write]

needs CASCADE_GROUND_TRUTH; a minute on one core. The rule is that of `cascade_engine.ground_truth.single_spikes`. With
--write the sizes go into ``ground_truth/registry.yaml``, from which `cascade_engine.plotting` takes them.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from benchmarks.accuracy.clocks import in_text, write
from cascade_engine.errors import CascadeError
from cascade_engine.ground_truth import find_datasets, ground_truth_root, load_catalogue, load_dataset
from cascade_engine.ground_truth.single_spikes import MIN_NEURONS, spike_averages


def measure() -> dict[str, float | None]:
    """Size (dF/F, fraction) in each public dataset that is here, by its key; printed with what it is made of."""
    available = find_datasets(ground_truth_root())
    sizes: dict[str, float | None] = {}
    print("| dataset | indicator | dF/F of one spike | quartiles of its neurons | neurons | spikes |")
    print("|---|---|---|---|---|---|")
    for key, entry in load_catalogue().items():
        if entry.folder in available:
            dataset = load_dataset(available[entry.folder])
            found = spike_averages(neuron.recordings for neuron in dataset.neurons)
            known = found.sizes[np.isfinite(found.sizes)]
            low, high = np.percentile(known, [25, 75]) if len(known) else (np.nan, np.nan)
            sizes[key] = round(found.size, 3) if len(known) >= MIN_NEURONS and low > 0 else None
            quartiles = f"{low:.3f} to {high:.3f}"
            shown = "unknown" if sizes[key] is None else f"{sizes[key]:.3f}"
            counted = f"{len(known)} of {len(found.sizes)} | {found.n_spikes[np.isfinite(found.sizes)].sum()}"
            print(f"| {entry.folder} | {entry.indicator} | {shown} | {quartiles} | {counted} |", flush=True)
    return sizes


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the sizes into the registry")
    arguments = parser.parse_args()
    try:
        sizes = measure()
    except CascadeError as error:
        sys.exit(str(error))
    if arguments.write:
        write("single_spike_dff", in_text(sizes))


if __name__ == "__main__":
    main()
