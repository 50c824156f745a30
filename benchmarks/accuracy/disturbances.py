"""What a disturbance changes elsewhere in a trace: spikes counted outside of it, against the undisturbed trace.

    python -m benchmarks.accuracy.disturbances [METHOD ...]    # universal, imported, oasis
    python -m benchmarks.accuracy.disturbances --summary       # prints what was measured; --write puts it into docs/

Measuring needs CASCADE_GROUND_TRUTH, and for OASIS suite2p. Each kind of disturbance (`disturbance_kinds`) is put at
three strengths into a few neurons of each dataset, at three frame rates and the noise as it is, and into simulated
neurons. Every dataset is predicted by networks that have not seen it. Frames of the disturbance, and three widths of
the smoothing around it, are left out. The table has the count over that of the undisturbed trace (median), how far it
is off 1 in the worst neuron of ten, and how much the correlation with the true spikes changes (median); 'imported' is a
published model (folder --peer-models) at its frame rate. Beside it stands what the universal model finds in noise
alone. Interrupt it at any time: the same command goes on; for other weights, remove ``results/disturbances.csv.gz``.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks import tables
from benchmarks.accuracy.disturbance_kinds import KINDS
from benchmarks.accuracy.document import ACCURACY, write_documents
from benchmarks.accuracy.leave_one_out import TAU_S, oasis
from cascade_engine import Model, import_published, infer, load_model
from cascade_engine.evaluation import Condition, TestTrace, make_trace
from cascade_engine.evaluation.leave_out import predict_with
from cascade_engine.ground_truth import Dataset, find_datasets, ground_truth_root, load_dataset, simulate_dataset
from cascade_engine.signal.noise import noise_level_to_sd

STUDY = "disturbances"

#: Methods, and what the document calls them.
METHODS = {"universal": "universal", "imported": "published model", "oasis": "OASIS"}

CONDITIONS = (Condition(7.5, 0.2), Condition(30.0, 0.05), Condition(60.0, 0.025))

#: Noise levels (percent per sqrt(Hz)) of noise alone.
NOISE_ALONE = (1.0, 2.0, 4.0, 8.0)

#: Neurons of each dataset, and true spikes that they must have.
N_NEURONS, FEWEST_SPIKES = 4, 10

#: The published model that is compared, and the smoothing (s) that it was trained with.
IMPORTED, IMPORTED_AT = "Global_EXC_30Hz_smoothing25ms", Condition(30.0, 0.025)

#: Predicts a trace, and gives such a function for a dataset (None: the method has seen it) and a condition.
Predict = Callable[[TestTrace], np.ndarray]
Predictor = Callable[[str, Condition], Predict | None]


@dataclass(frozen=True)
class Change:
    """What one disturbance changes in one neuron.

    Attributes
    ----------
    method, condition, dataset, cell, kind : str
        What was predicted, and what was put into it.
    strength : float
        In the unit of the kind.
    count_ratio : float
        Predicted spikes outside of the disturbance, over those of the undisturbed trace in the same frames.
    correlation_change : float
        Correlation with the true smoothed spikes in these frames, minus that of the undisturbed trace.
    """

    method: str
    condition: str
    dataset: str
    cell: str
    kind: str
    strength: float
    count_ratio: float
    correlation_change: float


def changes(predict: Predict, trace: TestTrace, other: TestTrace, method: str, condition: Condition) -> list[Change]:
    """Predict a trace undisturbed, and with every kind of disturbance."""
    from scipy.ndimage import binary_dilation

    dff, found = trace.dff[0].astype(np.float64), []
    undisturbed = predict(trace)
    reach = max(1, int(np.ceil(3 * condition.smoothing * trace.frame_rate)))
    for name, kind in KINDS.items():
        for strength in kind.strengths:
            rng = np.random.default_rng(zlib.crc32(f"{trace.dataset}/{trace.cell}/{name}".encode()))
            disturbed, here = kind.put(dff, trace.frame_rate, strength, other.dff[0], rng)
            if method == "oasis" and np.isnan(disturbed).any():
                continue
            spike_prob = predict(_with_dff(trace, disturbed))
            judged = ~binary_dilation(here, iterations=reach) & np.isfinite(spike_prob) & np.isfinite(undisturbed)
            if trace.target[judged].sum() <= 0 or undisturbed[judged].sum() <= 0:
                continue
            before, after = (_correlation(p[judged], trace.target[judged]) for p in (undisturbed, spike_prob))
            ratio = float(spike_prob[judged].sum() / undisturbed[judged].sum())
            where = (method, condition.label, trace.dataset, trace.cell)
            found.append(Change(*where, name, strength, ratio, after - before))
    return found


def _with_dff(trace: TestTrace, dff: np.ndarray) -> TestTrace:
    return replace(trace, dff=dff[np.newaxis].astype(np.float32))


def _correlation(spike_prob: np.ndarray, target: np.ndarray) -> float:
    if spike_prob.std() == 0 or target.std() == 0:
        return 0.0
    return float(np.corrcoef(spike_prob, target)[0, 1])


def measure(method: str, predictor: Predictor, dataset: Dataset, condition: Condition) -> None:
    """Measure a method on one dataset under one condition, if that is not done yet."""
    done = {(row["method"], row["condition"], row["dataset"]) for row in tables.read(STUDY)}
    predict = None if (method, condition.label, dataset.name) in done else predictor(dataset.name, condition)
    if predict is None:
        return
    traces = [trace for trace in (make_trace(neuron, condition) for neuron in dataset.neurons) if trace is not None]
    traces = [trace for trace in traces if trace.spikes.sum() >= FEWEST_SPIKES][:N_NEURONS]
    found = [
        change
        for number, trace in enumerate(traces)
        for change in changes(predict, trace, traces[(number + 1) % len(traces)], method, condition)
    ]
    if found:
        tables.merge(STUDY, map(asdict, found))
        print(f"{method}, {condition.label}: {dataset.name} is done", flush=True)


def by_model(model: Model, name: str, condition: Condition) -> Predict | None:
    """What `measure` predicts with: the networks of a model that have not seen the dataset, if there are any."""
    unaware = model.without([name])
    if unaware is None:
        return None
    return lambda trace: predict_with(unaware, condition, trace)


def by_oasis(name: str, condition: Condition) -> Predict:
    """OASIS as suite2p runs it."""
    return lambda trace: oasis(trace, condition, (TAU_S,))[0]


def table() -> str:
    """What was measured, in Markdown: a line per kind and strength, a column per method, over all neurons."""
    found: dict[tuple[str, str, float], list[Change]] = {}
    for row in tables.read_as(Change, STUDY):
        found.setdefault((row.method, row.kind, row.strength), []).append(row)
    lines = [f"| disturbance | {' | '.join(METHODS.values())} |", "|---" * (1 + len(METHODS)) + "|"]
    for name, kind in KINDS.items():
        for strength in kind.strengths:
            cells = " | ".join(_cell(found.get((method, name, strength), [])) for method in METHODS)
            lines.append(f"| {name}: {kind.strength_is} {strength:g} | {cells} |")
    return "\n".join(lines)


def _cell(changes: list[Change]) -> str:
    if not changes:
        return ""
    ratios = np.array([change.count_ratio for change in changes])
    off = np.quantile(np.abs(ratios - 1.0), 0.9)
    return f"{np.median(ratios):.2f}, {off:.0%}, {np.median([each.correlation_change for each in changes]):+.3f}"


def noise_alone(model: Model) -> str:
    """Spikes per second that a model finds in white noise, in Markdown."""
    rng, rates = np.random.default_rng(0), []
    for level in NOISE_ALONE:
        dff = noise_level_to_sd(level, 30.0) * rng.standard_normal((20, 7200))
        rates.append(f"{30.0 * infer(dff, 30.0, model).spike_prob.mean():.3f}")
    levels = " | ".join(f"{level:g}" for level in NOISE_ALONE)
    heading = f"| noise level | {levels} |\n{'|---' * (1 + len(NOISE_ALONE))}|"
    return f"{heading}\n| spikes/s in noise alone, 30 Hz | {' | '.join(rates)} |"


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", metavar="METHOD", help=f"of {', '.join(METHODS)} [default: all]")
    parser.add_argument("--model", default="universal", help="name or folder of the model for 'universal'")
    parser.add_argument("--peer-models", type=Path, help="folder with published models, for 'imported'")
    parser.add_argument("--again", action="store_true", help="forget what was measured before, with other weights")
    parser.add_argument("--summary", action="store_true", help="print what was measured, measure nothing")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/")
    arguments = parser.parse_args()
    if unknown := set(arguments.methods) - set(METHODS):
        parser.error(f"there is no method {', '.join(unknown)}")
    chosen = arguments.methods or [name for name in METHODS if name != "imported" or arguments.peer_models]
    if "imported" in chosen and not arguments.peer_models:
        parser.error("'imported' needs --peer-models")

    model = load_model(arguments.model)
    if arguments.again:
        tables.forget(STUDY, chosen)
    if not arguments.summary:
        measure_all(model, chosen, arguments.peer_models)
    found = {"disturbances": table(), "noise-alone": noise_alone(model)}
    print("\n\n".join(found.values()))
    if arguments.write:
        write_documents({ACCURACY: found})


def measure_all(model: Model, methods: Sequence[str], peer_models: Path) -> None:
    """Measure methods on all datasets and under all conditions."""
    available = find_datasets(ground_truth_root())
    names = [name for name in model.config.training_datasets if name in available]
    datasets = [simulate_dataset(frame_rate=60.0, seed=5), *(load_dataset(available[name]) for name in names)]
    predictor: Predictor
    conditions: tuple[Condition, ...]
    with TemporaryDirectory() as folder:
        for method in methods:
            if method == "imported":
                published = import_published(peer_models / IMPORTED, Path(folder) / IMPORTED)
                predictor, conditions = partial(by_model, published), (IMPORTED_AT,)
            else:
                predictor = partial(by_model, model) if method == "universal" else by_oasis
                conditions = CONDITIONS
            for dataset in datasets:
                for condition in conditions:
                    measure(method, predictor, dataset, condition)


if __name__ == "__main__":
    main()
