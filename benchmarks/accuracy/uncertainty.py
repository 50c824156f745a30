"""How uncertain the counts of the universal model are, and whether its intervals hold the truth as often as they say.

    python -m benchmarks.accuracy.uncertainty [--card]
    python -m benchmarks.accuracy.uncertainty --summary     # prints what was measured

Measuring needs CASCADE_GROUND_TRUTH. Every dataset is predicted by networks that have not seen it, at 30 Hz and several
noise levels; expected and true spikes are counted in bins. The spread that an interval is made of is fitted by maximum
likelihood on the datasets of the other folds, for principal cells and interneurons apart. Then it is counted how often
the 80 % interval holds the truth. Bins in which less than half a spike is expected are apart: there the smallest
interval is 0 to 0, which holds the truth more often than 80 %. With --card the spread that fits all datasets goes into
the card of the shipped model.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import yaml
from scipy.optimize import minimize
from scipy.stats import nbinom

from benchmarks import tables
from cascade_engine import Model, load_model
from cascade_engine.counts import count_interval
from cascade_engine.evaluation import Condition, bring
from cascade_engine.evaluation.leave_out import predict_with
from cascade_engine.file_formats.atomic import replacing
from cascade_engine.ground_truth import find_datasets, ground_truth_root, load_dataset
from cascade_engine.ground_truth.folds import training_folds
from cascade_engine.networks.settings import POPULATIONS
from cascade_engine.networks.store import CARD_NAME

STUDY = "uncertainty"
FRAME_RATE, NOISE_LEVELS, BINS_S, COVERAGE = 30.0, (2.0, 4.0, 8.0), (0.5, 1.0, 5.0), 0.8
FITTED_BIN_S, QUIET = 1.0, 0.5

#: Expected and true counts of each neuron of a dataset, by noise level and length of the bin.
Counts = dict[tuple[float, float], list[np.ndarray]]


@dataclass(frozen=True)
class Coverage:
    """How often the interval of one neuron holds the truth.

    Attributes
    ----------
    dataset : str
        Folder name.
    noise_level, bin_s : float
        Noise level in percent per sqrt(Hz), and length of the bins in s.
    bins, active_bins : int
        All bins, and those in which at least half a spike is expected.
    inside, active_inside : float
        Part of them in which the interval holds the truth; NaN without any.
    """

    dataset: str
    noise_level: float
    bin_s: float
    bins: int
    inside: float
    active_bins: int
    active_inside: float


def count(model, dataset) -> Counts:
    """Expected and true counts, shape (2, bins) per neuron."""
    found: Counts = {(level, bin_s): [] for level in NOISE_LEVELS for bin_s in BINS_S}
    for level in NOISE_LEVELS:
        condition = Condition(FRAME_RATE, 0.0, level)
        for trace in filter(None, (bring(neuron, condition) for neuron in dataset.neurons)):
            expected = predict_with(model, condition, trace)
            for bin_s in BINS_S:
                n = round(bin_s * trace.frame_rate)
                starts = np.arange(0, len(expected) - n + 1, n)
                frames = starts[:, np.newaxis] + np.arange(n)
                frames = frames[trace.scored[frames].all(axis=1)]
                if len(frames):
                    pair = np.stack([expected[frames].sum(axis=1), trace.spikes[frames].sum(axis=1)])
                    found[level, bin_s].append(pair)
    return found


def groups_of(names: Iterable[str], model: Model) -> dict[str, list[str]]:
    """Datasets of principal cells and of interneurons."""
    groups: dict[str, list[str]] = {population: [] for population in POPULATIONS}
    for name in names:
        groups[POPULATIONS[name in model.config.interneuron_datasets]].append(name)
    return groups


def fit(counts: list[Counts], level: float) -> dict[str, float]:
    """Spread by maximum likelihood; every neuron counts alike."""
    pairs = [pair for found in counts for pair in found[level, FITTED_BIN_S]]
    weights = np.concatenate([np.full(pair.shape[1], 1.0 / pair.shape[1]) for pair in pairs])
    expected, true = np.concatenate(pairs, axis=1)
    expected = np.maximum(expected, 1e-3)

    def deviance(logarithms: np.ndarray) -> float:
        excess, gain_variance = np.exp(logarithms)
        part = 1.0 / (1.0 + excess + gain_variance * expected)
        likelihood = nbinom.logpmf(np.round(true), expected * part / (1.0 - part), part)
        return -float(np.sum(weights * likelihood))

    excess, gain_variance = np.exp(minimize(deviance, np.log([0.5, 0.3]), method="Nelder-Mead").x)
    return {"noise_level": level, "excess": round(float(excess), 3), "gain_variance": round(float(gain_variance), 3)}


def main() -> None:
    """Do what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--card", action="store_true", help="put the spread into the model's card")
    parser.add_argument("--summary", action="store_true", help="print what was measured, and measure nothing")
    arguments = parser.parse_args()
    model = load_model()
    if arguments.summary:
        report(tables.read_as(Coverage, STUDY), model)
    else:
        measure(model, arguments.card)


def measure(model: Model, into_card: bool) -> None:
    """Predict, fit, count, write the table and if wanted the card."""
    available, config = find_datasets(ground_truth_root()), model.config
    folds = training_folds(config.training_datasets, config.folds, config.interneuron_datasets)
    folds = [[name for name in fold if name in available] for fold in folds]
    counts = {}
    for fold in folds:
        for name in fold:
            counts[name] = count(model.without(fold), load_dataset(available[name]))
            print(f"{name} is predicted", flush=True)

    groups, rows = groups_of(counts, model), []
    for fold, names in ((fold, names) for fold in folds for names in groups.values()):
        spread = [fit([counts[name] for name in names if name not in fold], level) for level in NOISE_LEVELS]
        for name in (name for name in names if name in fold):
            for (level, bin_s), pairs in counts[name].items():
                for expected, true in pairs:
                    low, high = count_interval(expected, level, spread, COVERAGE)
                    inside, quiet = (low <= true) & (true <= high), expected < QUIET
                    active = inside[~quiet].mean() if (~quiet).any() else np.nan
                    rows.append(Coverage(name, level, bin_s, len(true), inside.mean(), int((~quiet).sum()), active))
    tables.write(STUDY, [asdict(row) for row in rows], ".4g")
    report(rows, model)

    if into_card:
        path = model.folder / CARD_NAME
        card = yaml.safe_load(path.read_text("utf-8"))
        card["uncertainty"] = {
            population: [fit([counts[name] for name in names], level) for level in NOISE_LEVELS]
            for population, names in groups.items()
        }
        with replacing(path) as file:
            file.write(yaml.safe_dump(card, sort_keys=False, width=120).encode())
        print(f"in the card: {card['uncertainty']}")


def report(rows: list[Coverage], model: Model) -> None:
    """Print in how many bins the interval holds the truth: means over neurons, then over datasets."""
    groups = groups_of(sorted({row.dataset for row in rows}), model)
    print("| neurons | noise level | bin | datasets | all bins | active bins |\n|---|---|---|---|---|---|")
    for label, members in groups.items():
        for level in NOISE_LEVELS:
            for bin_s in BINS_S:
                chosen = [
                    row for row in rows if row.dataset in members and (row.noise_level, row.bin_s) == (level, bin_s)
                ]
                names = {row.dataset for row in chosen}
                if names:
                    every, active = (
                        np.nanmean([np.nanmean([share(r) for r in chosen if r.dataset == name]) for name in names])
                        for share in (lambda row: row.inside, lambda row: row.active_inside)
                    )
                    print(f"| {label} | {level:g} | {bin_s:g} s | {len(names)} | {every:.0%} | {active:.0%} |")


if __name__ == "__main__":
    main()
