"""How much a prediction changes when frames are put in front of a trace.

    python -m benchmarks.accuracy.shifts             # measures and prints
    python -m benchmarks.accuracy.shifts --summary   # prints what was measured

Measuring needs CASCADE_GROUND_TRUTH. The universal network looks at a trace on coarser grids, too: the coarsest has one
point in 16 frames. Frames without a value in front of each segment move these grids and change nothing else. A few
neurons of each dataset are predicted with such frames by networks that have not seen them, at three frame rates and the
noise as it is: once as users get it, and as the mean over 2 or 4 grids. The table has the change of the smoothed
prediction (root mean square) as a share of its error (root mean square of its difference from the true spikes), the
count over that without shift, and the correlation with the true spikes.

Interrupt it at any time: the same command goes on. For other weights, remove
``results/shifts.csv.gz`` first.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice

import numpy as np

from benchmarks import tables
from cascade_engine import load_model
from cascade_engine.evaluation import Condition, TestTrace, make_trace
from cascade_engine.evaluation.leave_out import predict_with
from cascade_engine.ground_truth import Dataset, find_datasets, ground_truth_root, load_dataset
from cascade_engine.networks.store import Model

STUDY = "shifts"
CONDITIONS = (Condition(7.5, 0.2), Condition(30.0, 0.05), Condition(60.0, 0.025))

#: Neurons of each dataset, frames of each, and true spikes that they must have.
N_NEURONS, MOST_FRAMES, FEWEST_SPIKES = 2, 2400, 5

#: Frames of the coarsest grid, and shifts that are measured: every other one moves the grids as one of these does, or
#: in between.
GRID, SHIFTS = 16, (0, 1, 4, 8)

#: What a trace has for each frame, beside dF/F.
_PER_FRAME = ("spikes", "aligned_spikes", "target", "aligned_target", "scored")

#: Over how many grids, evenly apart, a prediction is averaged.
METHODS = {"one grid": 1, "mean of 2 grids": 2, "mean of 4 grids": 4}


@dataclass(frozen=True)
class Shifted:
    """One neuron, predicted with some frames in front.

    Attributes
    ----------
    method, condition, dataset, cell : str
        What was predicted.
    shift : int
        Frames in front.
    change : float
        Root mean square difference from the prediction without shift, over that of the latter from the truth.
    count_ratio : float
        Predicted spikes over those without shift.
    correlation : float
        With the true smoothed spikes.
    """

    method: str
    condition: str
    dataset: str
    cell: str
    shift: int
    change: float
    count_ratio: float
    correlation: float


def beginnings(dataset: Dataset, condition: Condition, n_neurons: int) -> Iterator[TestTrace]:
    """The first frames of some neurons of a dataset, those that fire in them."""
    traces = (make_trace(neuron, condition) for neuron in dataset.neurons)
    cut = (_beginning(trace) for trace in traces if trace is not None)
    return islice((trace for trace in cut if trace.spikes[trace.scored].sum() >= FEWEST_SPIKES), n_neurons)


def _beginning(trace: TestTrace) -> TestTrace:
    """The first segment of a trace, and of it the first frames."""
    n_frames = min(trace.segments[0], MOST_FRAMES)
    per_frame = {name: getattr(trace, name)[:n_frames] for name in _PER_FRAME}
    return replace(trace, dff=trace.dff[:, :n_frames], segments=[n_frames], **per_frame)


def predict_shifted(model: Model, condition: Condition, trace: TestTrace, shift: int) -> np.ndarray:
    """Expected spikes in the frames that count of a trace of one segment, with missing frames put in front of it."""
    dff = np.pad(trace.dff, ((0, 0), (shift, 0)), constant_values=np.nan)
    moved = replace(trace, dff=dff, segments=[dff.shape[1]])
    return predict_with(model, condition, moved)[shift:][trace.scored]


def measured(model: Model, condition: Condition, trace: TestTrace) -> Iterator[Shifted]:
    """Predict a trace on several grids, and compare."""
    true = trace.target[trace.scored]
    offsets = [number * GRID // max(METHODS.values()) for number in range(max(METHODS.values()))]
    needed = sorted({(shift + offset) % GRID for shift in SHIFTS for offset in offsets})
    on_grid = {shift: predict_shifted(model, condition, trace, shift) for shift in needed}
    for method, n_grids in METHODS.items():
        steps = range(0, GRID, GRID // n_grids)
        found = {shift: np.mean([on_grid[(shift + step) % GRID] for step in steps], axis=0) for shift in SHIFTS}
        plain = found[0]
        for shift, spike_prob in found.items():
            yield Shifted(
                method,
                condition.label,
                trace.dataset,
                trace.cell,
                shift,
                float(_rms(spike_prob - plain) / _rms(plain - true)),
                float(spike_prob.sum() / plain.sum()),
                float(np.corrcoef(spike_prob, true)[0, 1]),
            )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def measure(model: Model, dataset: Dataset, condition: Condition) -> None:
    """Measure one dataset under one condition, if that is not done yet."""
    if (condition.label, dataset.name) in {(row["condition"], row["dataset"]) for row in tables.read(STUDY)}:
        return
    unaware = model.without([dataset.name])
    assert unaware is not None, f"every network has seen {dataset.name}"
    traces = beginnings(dataset, condition, N_NEURONS)
    found = [row for trace in traces for row in measured(unaware, condition, trace)]
    if found:
        tables.merge(STUDY, map(asdict, found))
        print(f"{condition.label}: {dataset.name} is done", flush=True)


def summary() -> None:
    """Print change, count and correlation per condition, method and shift, over all neurons."""
    rows = tables.read_as(Shifted, STUDY)
    print("| condition | method | shift | change / error | worst in ten | count | worst in ten | mean r |")
    print("|---|---|---|---|---|---|---|---|")
    for condition in CONDITIONS:
        for method in METHODS:
            for shift in SHIFTS:
                chosen = [
                    row for row in rows if (row.condition, row.method, row.shift) == (condition.label, method, shift)
                ]
                if not chosen:
                    continue
                change = np.array([row.change for row in chosen])
                off = np.abs(np.array([row.count_ratio for row in chosen]) - 1.0)
                print(
                    f"| {condition.label} | {method} | {shift} "
                    f"| {np.median(change):.3f} | {np.quantile(change, 0.9):.3f} "
                    f"| {np.median(off):.2%} off | {np.quantile(off, 0.9):.2%} off "
                    f"| {np.mean([row.correlation for row in chosen]):.4f} |"
                )


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="universal", help="name or folder of the model")
    parser.add_argument("--again", action="store_true", help="forget what was measured before, with other weights")
    parser.add_argument("--summary", action="store_true", help="print what was measured, measure nothing")
    arguments = parser.parse_args()
    if arguments.again:
        tables.forget(STUDY)
    if not arguments.summary:
        model, available = load_model(arguments.model), find_datasets(ground_truth_root())
        for name in (name for name in model.config.training_datasets if name in available):
            dataset = load_dataset(available[name])
            for condition in CONDITIONS:
                measure(model, dataset, condition)
    summary()


if __name__ == "__main__":
    main()
