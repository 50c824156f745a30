"""The clocks of the public ground truth: when fluorescence starts to rise, from the true spike, in each dataset.

    python -m benchmarks.accuracy.clocks [--write]

needs CASCADE_GROUND_TRUTH; a minute on one core. The rule is that of `cascade_engine.ground_truth.clocks`. With --write
the offsets go into ``ground_truth/registry.yaml``, from which every evaluation takes them.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cascade_engine.errors import CascadeError
from cascade_engine.file_formats.atomic import replacing
from cascade_engine.ground_truth import find_datasets, ground_truth_root, load_catalogue, load_dataset
from cascade_engine.ground_truth.clocks import clock_offset, kernel_onsets

REGISTRY = Path(__file__).resolve().parents[2] / "ground_truth" / "registry.yaml"

#: What studies write stands before this line of a dataset.
LAST = "    citation: "


def measure() -> dict[str, float | None]:
    """Offset (s) of each public dataset that is here, by its key; printed with what it is made of."""
    available = find_datasets(ground_truth_root())
    offsets = {}
    print("| dataset | offset (ms) | quartiles of its neurons (ms) | neurons |\n|---|---|---|---|")
    for key, entry in load_catalogue().items():
        if entry.folder in available:
            onsets = kernel_onsets(load_dataset(available[entry.folder]))
            offsets[key] = clock_offset(onsets)
            shown = "unknown" if offsets[key] is None else f"{1000 * offsets[key]:+.0f}"
            quartiles = "{:+.0f} to {:+.0f}".format(*1000 * np.nanpercentile(onsets, [25, 75]))
            known = f"{np.isfinite(onsets).sum()} of {len(onsets)}"
            print(f"| {entry.folder} | {shown} | {quartiles} | {known} |", flush=True)
    middle = np.median([offset for offset in offsets.values() if offset is not None])
    print(f"\nMedian over datasets: {1000 * middle:+.0f} ms")
    return offsets


def in_text(values: Mapping[str, float | None]) -> dict[str, str]:
    """Numbers as the registry holds them; None becomes an empty text."""
    return {key: "" if value is None else f"{value:.3f}" for key, value in values.items()}


def write(name: str, values: Mapping[str, str]) -> None:
    """Put an entry of each dataset into the registry, which stays as it is otherwise; an empty text: it has none."""
    lines, key, waiting = [], "", dict(values)
    for line in REGISTRY.read_text("utf-8").splitlines(keepends=True):
        if found := re.match(r"  (\w+):$", line):
            key = found[1]
        is_old = line.startswith(f"    {name}: ") and key in values
        if not is_old:
            lines.append(line)
        if (is_old or line.startswith(LAST)) and (value := waiting.pop(key, "")):
            lines.insert(len(lines) - (not is_old), f"    {name}: {value}\n")
    with replacing(REGISTRY) as file:
        file.write("".join(lines).encode())
    print(f"{len(values)} datasets in {REGISTRY}")


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the offsets into the registry")
    arguments = parser.parse_args()
    try:
        offsets = measure()
    except CascadeError as error:
        sys.exit(str(error))
    if arguments.write:
        write("clock_offset_s", in_text(offsets))


if __name__ == "__main__":
    main()
