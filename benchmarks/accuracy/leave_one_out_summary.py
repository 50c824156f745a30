"""What `leave_one_out.py` has found: tables, a picture, and the entries of the model's card.

    python -m benchmarks.accuracy.leave_one_out_summary [--write]

reads ``results/leave_one_out.csv.gz``. Every method is compared with the universal model on the datasets that both have
predicted under a condition. Principal cells and interneurons are apart. With --write the figures go into the card of
the shipped model, and tables and picture into ``docs/`` and ``README.md``.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks import tables
from benchmarks.accuracy.document import (
    COMPARED,
    FIGURES,
    LEVELS,
    OURS,
    TOLD,
    Scores,
    at_levels,
    blocks,
    cell,
    medians,
    write_documents,
)
from benchmarks.accuracy.leave_one_out import STUDY
from cascade_engine import load_model
from cascade_engine.evaluation import NeuronScore, card_entries, summarize
from cascade_engine.evaluation.conditions import STANDARD_CONDITIONS
from cascade_engine.evaluation.scores import METRICS, total
from cascade_engine.evaluation.uncertainty import by_population
from cascade_engine.networks.card import complete_card

ROOT = Path(__file__).resolve().parents[2]
SHIPPED, PICTURE = ROOT / "pretrained" / "universal", ROOT / "docs" / "leave_one_out.png"

#: Bounds of the groups of neurons that are compared by their firing rate.
FIRING_RATES_HZ = (0.0, 0.3, 1.0, 3.0, np.inf)

#: Gains that are tried.
FACTORS = (0.9, 1.0, 1.1, 1.2, 1.3, 1.4)

#: Name and marker of each method in the picture.
MARKERS = {
    "universal": ("universal", "C0o"),
    "universal-told": ("universal, told the indicator", "k|"),
    "published": ("published architecture", "C1s"),
    "oasis-tuned": ("OASIS, tuned (30 Hz)", "C2^"),
    "oasis": ("OASIS (30 Hz)", "C3v"),
}


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
    headings = " | ".join(heading for heading, _ in FIGURES.values())
    print(f"| condition | method | datasets | neurons | {headings} |\n{'|---' * (4 + len(FIGURES))}|")
    for condition in sorted(scores, key=_order):
        methods = dict(scores[condition])
        ours = methods.pop(OURS)
        print(_line(condition, OURS, ours))
        for method, entries in sorted(methods.items()):
            names = {entry.dataset for entry in entries}
            print(_line(condition, method, entries))
            if names != {entry.dataset for entry in ours}:
                print(_line(condition, f"{OURS}, the same datasets", [e for e in ours if e.dataset in names]))


def _line(condition: str, method: str, entries: Sequence[NeuronScore]) -> str:
    s = summarize(entries)
    figures = " | ".join(cell(getattr(s, name), form) for name, (_, form) in FIGURES.items())
    return f"| {condition} | {method} | {s.n_datasets} | {s.n_neurons} | {figures} |"


def _order(condition: str) -> tuple:
    rate, smoothing, *rest = condition.replace("Hz", "").split("_")
    return (float(rate), smoothing, *rest)


def per_dataset(methods: Mapping[str, Sequence[NeuronScore]], condition: str) -> None:
    """Print the median correlation of every method on each dataset, and further figures of ours, in Markdown."""
    shown = [method for method in MARKERS if method in methods]
    correlations = [medians(methods[method]) for method in shown]
    names = ("aligned_correlation", "error", "bias", "absolute_log_gain")
    ours = [(medians(methods[OURS], name), FIGURES[name][1]) for name in names]
    headings = " | ".join([*shown, *(f"{OURS}: {FIGURES[name][0]}" for name in names), "total"])
    print(f"\n| {condition} | {headings} |\n{'|---' * (2 + len(shown) + len(names))}|")
    for name in sorted(ours[0][0]):
        figures = [cell(found.get(name, np.nan), ".3f") for found in correlations]
        figures += [cell(found[name], form) for found, form in ours]
        figures.append(f"{total(entry for entry in methods[OURS] if entry.dataset == name):.2f}")
        print(f"| {name} | {' | '.join(figures)} |")


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


def by_gain(scores: Scores) -> None:
    """Print what other gains of the universal model would make of its numbers of spikes: `UniversalConfig.gain`."""
    print(f"\n| gain times | {' | '.join(f'{label}: absolute log gain, total, absolute bias' for label in COMPARED)} |")
    print("|---" * (1 + len(COMPARED)) + "|")
    for factor in FACTORS:
        found = []
        for condition in COMPARED:
            levels = [
                summarize([replace(entry, bias=factor * (1 + entry.bias) - 1) for entry in scores[label][OURS]])
                for label in at_levels(condition)
            ]
            figures = (
                np.mean([getattr(s, name) for s in levels]) for name in ("absolute_log_gain", "total", "absolute_bias")
            )
            found.append(", ".join(f"{figure:.3f}" for figure in figures))
        print(f"| {factor:g} | {' | '.join(found)} |")


def write_card(scores: Scores) -> None:
    """Put the figures of the universal model into its card."""
    ours, told = ([e for methods in scores.values() for e in methods.get(name, ())] for name in (OURS, TOLD))
    entries = card_entries(ours, STANDARD_CONDITIONS, leaving_out=True, told=told)
    model = complete_card(load_model(SHIPPED), evaluation=entries)
    print(f"{len(model.card['evaluation'])} entries in the card of {model.name}")


def plot(scores: Scores, path: Path) -> None:
    """Draw the correlation of every dataset at each frame rate and noise level, for each method."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(COMPARED), 3, figsize=(11, 10), sharex=True, sharey=True, layout="constrained")
    names = sorted({entry.dataset for entry in scores["30Hz_50ms_noise2"][OURS]}, reverse=True)
    for (condition, title), row in zip(COMPARED.items(), axes, strict=True):
        for axis, level in zip(row, LEVELS, strict=True):
            found = scores[f"{condition}_noise{level}"]
            for method, (label, marker) in MARKERS.items():
                values = defaultdict(list)
                for entry in found.get(method, []):
                    values[entry.dataset].append(entry.correlation)
                rows = [names.index(name) for name in values]
                axis.plot([np.median(r) for r in values.values()], rows, marker, label=label, alpha=0.8, markersize=7)
            axis.set(title=f"{title}, noise level {level}", xlim=(0, 1))
            axis.grid(alpha=0.3)
        row[0].set_yticks(range(len(names)), ["-".join(name.split("-")[:4]) for name in names], fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("correlation with the true spikes")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(MARKERS))
    figure.suptitle("Each dataset predicted by networks that have not seen it (medians over neurons)")
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


def main() -> None:
    """Print the tables, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put figures into the model's card, README.md and docs/")
    arguments = parser.parse_args()
    principal, interneurons = load()
    print("Principal cells\n")
    compare(principal)
    print("\nInterneurons\n")
    compare(interneurons)
    for condition in (label for each in COMPARED for label in at_levels(each)):
        per_dataset(principal[condition], condition)
    by_firing_rate(principal["30Hz_50ms_noise2"], "published")
    by_gain(principal)
    if arguments.write:
        write_card(principal)
        write_documents(blocks(principal, interneurons))
        plot(principal, PICTURE)


if __name__ == "__main__":
    main()
