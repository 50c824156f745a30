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

#: The line of the registry, and the one that all measured lines follow.
ENTRY, BEFORE = "    clock_offset_s: ", "    native_rate_hz: "


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


def as_text(offsets: Mapping[str, float | None]) -> dict[str, str]:
    """Offsets (s) as the registry has them; empty where they are not known."""
    return {key: "" if offset is None else f"{offset:.3f}" for key, offset in offsets.items()}


def write(line_start: str, values: Mapping[str, str]) -> None:
    """Put one line per dataset, by its key, into the registry, which stays as it is otherwise; none for empty text."""
    lines, key, left = [], "", dict(values)
    text = REGISTRY.read_text("utf-8")
    present = {found[1] for found in re.finditer(rf"^  (\w+):\n(?:    .*\n)*?{line_start}", text, re.MULTILINE)}
    for line in text.splitlines(keepends=True):
        if found := re.match(r"  (\w+):$", line):
            key = found[1]
        is_old = line.startswith(line_start)
        is_place = is_old or (line.startswith(BEFORE) and key not in present)
        if not (is_old and key in values):
            lines.append(line)
        if is_place and left.get(key):
            lines.append(f"{line_start}{left.pop(key)}\n")
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
        write(ENTRY, as_text(offsets))


if __name__ == "__main__":
    main()
