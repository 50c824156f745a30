"""Missing frames: hidden from the network, or bridged by a straight line? Which runs of them, at which frame rate?

    python -m benchmarks.accuracy.missing_frames
    python -m benchmarks.accuracy.missing_frames --summary     # prints what was measured

Measuring needs CASCADE_GROUND_TRUTH. A tenth of the frames is taken out of a few neurons of some datasets, and of
simulated ones, in runs of one length. Predictions of the other frames are compared with those from the whole trace, by
networks that have not seen the dataset: spikes over spikes, and the correlation with the true spikes. The limit in
`cascade_engine.signal.bridging` comes from here.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks import tables
from cascade_engine import Model, load_model
from cascade_engine.evaluation import Condition, TestTrace, make_trace
from cascade_engine.ground_truth import Dataset, find_datasets, ground_truth_root, load_dataset, simulate_dataset
from cascade_engine.networks.families import open_predictor
from cascade_engine.networks.settings import Settings
from cascade_engine.signal.noise import noise_levels

STUDY = "missing_frames"
CONDITIONS = (Condition(7.5, 0.2), Condition(30.0, 0.05), Condition(100.0, 0.025))
RUNS, PART = (1, 2, 3, 5, 10, 20, 40), 0.1
DATASETS = ("DS06", "DS09", "DS14", "DS16", "DS30", "DS31")

#: Neurons of each dataset, true spikes that they must have, and s of each.
N_NEURONS, FEWEST_SPIKES, LONGEST_S = 4, 10, 120


@dataclass(frozen=True)
class Change:
    """What missing frames change in the others, in one neuron.

    Attributes
    ----------
    method : {"hidden", "bridged"}
        What the network is given.
    condition, dataset, cell : str
        What was predicted.
    run : int
        Missing frames in a row.
    count_ratio : float
        Predicted spikes over those of the whole trace.
    correlation_change : float
        Correlation with the true smoothed spikes, minus that of the whole trace.
    """

    method: str
    condition: str
    dataset: str
    cell: str
    run: int
    count_ratio: float
    correlation_change: float


def changes(model: Model, trace: TestTrace, condition: Condition) -> Iterator[Change]:
    """What is changed in one neuron, by runs of every length."""
    longest = int(np.argmax(trace.segments))
    first = sum(trace.segments[:longest])
    part = slice(first, first + min(trace.segments[longest], round(LONGEST_S * trace.frame_rate)))
    dff, target = trace.dff[:, part], trace.target[part]
    frames, levels = np.arange(dff.shape[1]), noise_levels(dff, trace.frame_rate)
    predictor = open_predictor(model, trace.frame_rate, Settings(smoothing=condition.smoothing))

    def predict(seen: np.ndarray) -> np.ndarray:
        return predictor.predict(seen, levels, [slice(0, len(frames))], 1, lambda n_frames: None)[0][0]

    whole = predict(dff)
    for run in RUNS:
        missing = frames % round(run / PART) >= round(run / PART) - run
        bridged = np.interp(frames, frames[~missing], dff[0, ~missing])[np.newaxis].astype(np.float32)
        for method, seen in (("hidden", np.where(missing, np.nan, dff)), ("bridged", bridged)):
            found, expected, true = predict(seen)[~missing], whole[~missing], target[~missing]
            if min(found.std(), expected.std(), true.std()) > 0:
                lost = np.corrcoef(found, true)[0, 1] - np.corrcoef(expected, true)[0, 1]
                ratio = float(found.sum() / expected.sum())
                yield Change(method, condition.label, trace.dataset, trace.cell, run, ratio, float(lost))


def measure(model: Model, dataset: Dataset, condition: Condition) -> None:
    """Measure one dataset under one condition."""
    traces = [trace for trace in (make_trace(neuron, condition) for neuron in dataset.neurons) if trace is not None]
    traces = [trace for trace in traces if trace.spikes.sum() >= FEWEST_SPIKES][:N_NEURONS]
    unaware = model.without([dataset.name]) or model  # all networks may see simulated neurons
    tables.merge(STUDY, [asdict(change) for trace in traces for change in changes(unaware, trace, condition)])
    print(f"{condition.label}: {dataset.name} is done", flush=True)


def summary() -> None:
    """Print how far counts and correlations are off, recorded and simulated neurons apart."""
    rows = tables.read_as(Change, STUDY)
    print("| condition | frames in a row | neurons | counts off: hidden | bridged | correlation: hidden | bridged |")
    print("|---|---|---|---|---|---|---|")
    for condition in dict.fromkeys(row.condition for row in rows):
        for run in RUNS:
            for simulated in (False, True):
                cells = []
                for method in ("hidden", "bridged"):
                    chosen = [row for row in rows if (row.method, row.condition, row.run) == (method, condition, run)]
                    chosen = [row for row in chosen if row.dataset.startswith("DS") != simulated]
                    off = np.sqrt(np.mean(np.log(np.maximum([row.count_ratio for row in chosen], 0.01)) ** 2))
                    cells.append((f"{off:.2f}", f"{np.mean([row.correlation_change for row in chosen]):+.3f}"))
                what = " | ".join(text for pair in zip(*cells, strict=True) for text in pair)
                print(f"| {condition} | {run} | {'simulated' if simulated else 'recorded'} | {what} |")


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="universal", help="name or folder of the model")
    parser.add_argument("--summary", action="store_true", help="print what was measured, measure nothing")
    arguments = parser.parse_args()
    if not arguments.summary:
        model, available = load_model(arguments.model), find_datasets(ground_truth_root())
        recorded = [load_dataset(folder) for name, folder in available.items() if name.startswith(DATASETS)]
        simulated = simulate_dataset(n_neurons=12, frame_rate=100.0, seed=5)
        for dataset in [simulated, *recorded]:
            for condition in CONDITIONS:
                measure(model, dataset, condition)
    summary()


if __name__ == "__main__":
    main()
