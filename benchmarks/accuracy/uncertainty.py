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
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks import tables
from cascade_engine import Model, load_model
from cascade_engine.counts import count_interval
from cascade_engine.evaluation.conditions import NOISE_LEVELS
from cascade_engine.evaluation.held_out import held_out_folds
from cascade_engine.evaluation.uncertainty import by_population, card_spread, count_in_bins
from cascade_engine.ground_truth import find_datasets, ground_truth_root, load_dataset
from cascade_engine.networks.card import complete_card

STUDY = "uncertainty"
FRAME_RATE, BINS_S, COVERAGE = 30.0, (0.5, 1.0, 5.0), 0.8
QUIET = 0.5


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
    available = find_datasets(ground_truth_root())
    folds = [[name for name in fold if name in available] for fold in held_out_folds(model)]
    counts = {}
    for fold in folds:
        for name in fold:
            unaware = model.without(fold)
            assert unaware is not None
            counts[name] = count_in_bins(unaware, load_dataset(available[name]), FRAME_RATE, NOISE_LEVELS, BINS_S)
            print(f"{name} is predicted", flush=True)

    rows = []
    for fold, names in ((fold, names) for fold in folds for names in by_population(counts, model).values()):
        spread = card_spread({name: counts[name] for name in names if name not in fold}, model)
        (spread,) = spread.values()  # of one population
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
        model = complete_card(model, uncertainty=card_spread(counts, model))
        print(f"in the card: {model.card['uncertainty']}")


def report(rows: list[Coverage], model: Model) -> None:
    """Print in how many bins the interval holds the truth: means over neurons, then over datasets."""
    groups = by_population(sorted({row.dataset for row in rows}), model)
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
