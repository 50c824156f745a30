"""What `leave_one_out.py` has found: tables, a picture, and the entries of the model's card.

    python -m benchmarks.accuracy.leave_one_out_summary [--card] [--plot docs/leave_one_out.png]

reads ``results/leave_one_out.csv.gz``. Every method is compared with the universal model on the datasets that both have
predicted under a condition. Principal cells and interneurons are apart. With --card the figures go into the card of
the shipped model.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks import tables
from benchmarks.accuracy.ablation import TESTED
from benchmarks.accuracy.leave_one_out import STUDY
from cascade_engine import load_model
from cascade_engine.evaluation import NeuronScore, card_entries, summarize
from cascade_engine.evaluation.conditions import STANDARD_CONDITIONS
from cascade_engine.evaluation.scores import METRICS
from cascade_engine.evaluation.uncertainty import by_population
from cascade_engine.networks.card import complete_card

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "pretrained" / "universal"

#: Datasets of the protocol of ENS2 (Zhou et al. 2023), as far as they are public in this form, and its condition.
ENS2_DATASETS, ENS2_CONDITION = [f"DS{number:02d}" for number in range(2, 22)], "60Hz_25ms_noisenative"

#: Bounds of the groups of neurons that are compared by their firing rate.
FIRING_RATES_HZ = (0.0, 0.3, 1.0, 3.0, np.inf)

#: Conditions that are drawn, at noise level 2, 4 and 8; and name and marker of each method.
PLOTTED = ("30Hz_50ms", "7.5Hz_200ms")
MARKERS = {
    "universal": ("universal", "C0o"),
    "universal-told": ("universal, told the indicator", "k|"),
    "published": ("published architecture", "C1s"),
    "oasis-tuned": ("OASIS, tuned (30 Hz)", "C2^"),
    "oasis": ("OASIS (30 Hz)", "C3v"),
}

#: The method that is compared with all others.
OURS = "universal"

Scores = dict[str, dict[str, list[NeuronScore]]]


def load() -> tuple[Scores, Scores]:
    """Scores by condition and method: of principal cells, and of interneurons."""
    scores = tables.read_as(NeuronScore, STUDY)
    populations = by_population({entry.dataset for entry in scores}, load_model(SHIPPED))
    principal, interneurons = defaultdict(lambda: defaultdict(list)), defaultdict(lambda: defaultdict(list))
    for entry in scores:
        group = principal if entry.dataset in populations["principal"] else interneurons
        group[entry.condition][entry.method].append(entry)
    return principal, interneurons


def compare(scores: Scores) -> None:
    """Print a table, in Markdown: the universal model, then every other method with it on the same datasets."""
    print("| condition | method | datasets | neurons | correlation | error | bias | absolute bias |")
    print("|---|---|---|---|---|---|---|---|")
    for condition in sorted(scores, key=_order):
        methods = dict(scores[condition])
        ours = methods.pop(OURS)
        print(_line(condition, OURS, ours))
        for method, entries in sorted(methods.items()):
            names = {entry.dataset for entry in entries}
            print(_line(condition, method, entries))
            if names != {entry.dataset for entry in ours}:
                print(_line(condition, f"{OURS}, the same datasets", [e for e in ours if e.dataset in names]))


def _line(condition: str, method: str, entries: list[NeuronScore]) -> str:
    s = summarize(entries)
    interval = "({:.3f}-{:.3f})".format(*s.intervals["correlation"])
    return (
        f"| {condition} | {method} | {s.n_datasets} | {s.n_neurons} | {s.correlation:.3f} {interval} | {s.error:.2f} "
        f"| {s.bias:+.2f} | {s.absolute_bias:.2f} |"
    )


def _order(condition: str) -> tuple:
    rate, smoothing, *rest = condition.replace("Hz", "").split("_")
    return (float(rate), smoothing, *rest)


def per_dataset(methods: dict[str, list[NeuronScore]], condition: str) -> None:
    """Print the median correlation of every method on each dataset, and error and bias of ours, in Markdown."""
    shown = [method for method in MARKERS if method in methods]
    print(f"\n| {condition} | {' | '.join(shown)} | error | bias |\n|---|{'---|' * len(shown)}---|---|")
    for name in sorted({entry.dataset for entry in methods[OURS]}):
        figures = [f"{_median(methods[method], name, 'correlation'):.3f}" for method in shown]
        figures += [f"{_median(methods[OURS], name, key):+.2f}" for key in ("error", "bias")]
        print(f"| {name} | {' | '.join(figures)} |")


def _median(entries: list[NeuronScore], dataset: str, key: str) -> float:
    return float(np.median([getattr(entry, key) for entry in entries if entry.dataset == dataset]))


def on_some(scores: Scores, title: str, datasets: set[str], methods: tuple[str, ...]) -> None:
    """Print a table, in Markdown, of some methods on some datasets, under the conditions that are drawn."""
    print(f"\n{title}\n\n| condition | method | datasets | neurons | correlation | error | bias | absolute bias |")
    print("|---|---|---|---|---|---|---|---|")
    for condition in (f"{each}_noise{level}" for each in PLOTTED for level in (2, 4, 8)):
        for method in methods:
            found = [entry for entry in scores[condition][method] if entry.dataset in datasets]
            if found:
                print(_line(condition, method, found))


def by_firing_rate(methods: dict[str, list[NeuronScore]], rival: str) -> None:
    """Print medians of the universal model and a rival over the neurons that both predicted, by true firing rate."""
    print(f"\n| firing rate | neurons | {OURS}: correlation | error | bias | {rival}: correlation | error | bias |")
    print("|---|---|---|---|---|---|---|---|")
    both = [{(entry.dataset, entry.cell): entry for entry in methods[name]} for name in (OURS, rival)]
    for low, high in pairwise(FIRING_RATES_HZ):
        cells = [cell for cell, entry in both[0].items() if cell in both[1] and low <= entry.firing_rate < high]
        figures = [np.median([getattr(found[cell], key) for cell in cells]) for found in both for key in METRICS]
        texts = (f"{value:+.2f}" if i % 3 == 2 else f"{value:.2f}" for i, value in enumerate(figures))
        print(f"| {low:g}-{high:g} Hz | {len(cells)} | {' | '.join(texts)} |")


def counts_off(scores: Scores) -> None:
    """Print by how much the number of spikes of the median neuron is off, in either direction."""
    print("\nHalf of the neurons of a dataset have their number of spikes off by at least (means over datasets):")
    for condition in PLOTTED:
        off = [summarize(scores[f"{condition}_noise{level}"][OURS]).absolute_bias for level in (2, 4, 8)]
        print(f"{condition}, noise level 2 / 4 / 8: {' / '.join(f'{value:.0%}' for value in off)}")


def ens2(method: str, entries: list[NeuronScore]) -> None:
    """Print the figures of a method in ENS2's protocol: over neurons, not over datasets."""
    chosen = [entry for entry in entries if entry.dataset.split("-")[0] in ENS2_DATASETS]
    if not chosen:
        return
    r, error, bias = (np.array([getattr(entry, key) for entry in chosen]) for key in METRICS)
    print(f"\nENS2's protocol (60 Hz, 25 ms, noise as it is), {len(chosen)} neurons, {method}:")
    print(
        f"median r {np.median(r):.3f}, mean r {np.mean(r):.3f}, median error {np.median(error):.2f}, "
        f"median bias {np.median(bias):+.2f}"
    )


def write_card(scores: Scores) -> None:
    """Put the figures of the universal model into its card."""
    entries = [entry for methods in scores.values() for entry in methods.get(OURS, [])]
    model = complete_card(load_model(SHIPPED), evaluation=card_entries(entries, STANDARD_CONDITIONS, leaving_out=True))
    print(f"{len(model.card['evaluation'])} entries in the card of {model.name}")


def plot(scores: Scores, path: Path) -> None:
    """Draw the correlation of every dataset at each frame rate and noise level, for each method."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(PLOTTED), 3, figsize=(11, 10), sharex=True, sharey=True, layout="constrained")
    names = sorted({entry.dataset for entry in scores[f"{PLOTTED[0]}_noise2"][OURS]}, reverse=True)
    for condition, row in zip(PLOTTED, axes, strict=True):
        for axis, level in zip(row, (2, 4, 8), strict=True):
            found = scores[f"{condition}_noise{level}"]
            for method, (label, marker) in MARKERS.items():
                values = defaultdict(list)
                for entry in found.get(method, []):
                    values[entry.dataset].append(entry.correlation)
                rows = [names.index(name) for name in values]
                axis.plot([np.median(r) for r in values.values()], rows, marker, label=label, alpha=0.8, markersize=7)
            axis.set(
                title=f"{condition.replace('Hz_', ' Hz, ').replace('ms', ' ms')}, noise level {level}", xlim=(0, 1)
            )
            axis.grid(alpha=0.3)
        row[0].set_yticks(range(len(names)), ["-".join(name.split("-")[:4]) for name in names], fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("correlation with the true spikes")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(MARKERS))
    figure.suptitle("Each dataset predicted by networks that have not seen it (medians over neurons)")
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


def main() -> None:
    """Print the tables, and do what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--card", action="store_true", help="put the figures into the model's card")
    parser.add_argument("--plot", type=Path, help="draw the datasets")
    arguments = parser.parse_args()
    principal, interneurons = load()
    print("Principal cells\n")
    compare(principal)
    print("\nInterneurons\n")
    compare(interneurons)
    for condition in (f"{each}_noise{level}" for each in PLOTTED for level in (2, 4, 8)):
        per_dataset(principal[condition], condition)
    first_fold = {entry.dataset for entry in principal["30Hz_50ms_noise2"]["published-5"]}
    on_some(principal, "The ensemble of 5", first_fold, (OURS, "published", "published-5"))
    others = {e.dataset for e in principal["30Hz_50ms_noise2"][OURS] if not e.dataset.startswith(TESTED)}
    on_some(principal, "Datasets by which no setting was chosen", others, (OURS, "universal-told", "published"))
    by_firing_rate(principal["30Hz_50ms_noise2"], "published")
    counts_off(principal)
    for method in (OURS, "universal-told"):
        ens2(method, principal[ENS2_CONDITION][method])
    if arguments.card:
        write_card(principal)
    if arguments.plot:
        plot(principal, arguments.plot)


if __name__ == "__main__":
    main()
