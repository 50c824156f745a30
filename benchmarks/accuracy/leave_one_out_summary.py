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
    FAST,
    FIGURES,
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
from cascade_engine.ground_truth import load_catalogue
from cascade_engine.networks.card import complete_card

ROOT = Path(__file__).resolve().parents[2]
SHIPPED, PICTURE = ROOT / "pretrained" / "universal", ROOT / "docs" / "leave_one_out.png"

#: Bounds of the groups of neurons that are compared by their firing rate.
FIRING_RATES_HZ = (0.0, 0.3, 1.0, 3.0, np.inf)

#: Gains that are tried.
FACTORS = (0.9, 1.0, 1.1, 1.2, 1.3, 1.4)

#: Methods, in the order of tables.
METHODS = ("universal", "universal-told", "published", "oasis-tuned", "oasis")

#: Noise level of the picture, and name, colour and marker of each method that is drawn.
DRAWN_LEVEL = 4
DRAWN = {
    "universal": ("universal", "#0072B2", "o"),
    "published": ("published architecture", "#D55E00", "s"),
    "oasis-tuned": ("OASIS, tuned", "#7A7A7A", "^"),
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
    shown = [method for method in METHODS if method in methods]
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
    """Draw the median correlation of every dataset at each frame rate, for each method; the best datasets on top."""
    from matplotlib.figure import Figure

    ours = medians(scores[f"{FAST}_noise{DRAWN_LEVEL}"][OURS])
    names = sorted(ours, key=lambda name: ours[name])
    figure = Figure(figsize=(9, 9.5), layout="constrained")
    axes = figure.subplots(1, len(COMPARED), sharey=True)
    for ax, (condition, title) in zip(axes, COMPARED.items(), strict=True):
        found = scores[f"{condition}_noise{DRAWN_LEVEL}"]
        drawn = {method: medians(found[method]) for method in DRAWN if method in found}
        for row, name in enumerate(names):
            values = [r[name] for r in drawn.values() if name in r]
            ax.plot([min(values), max(values)], [row, row], color="0.85", linewidth=4, zorder=0)
        for method, r in drawn.items():
            label, colour, marker = DRAWN[method]
            rows = [names.index(name) for name in r]
            ax.plot([*r.values()], rows, marker, color=colour, markersize=9, alpha=0.9, label=label)
        ax.set_title(title, loc="left", fontsize=13, fontweight="bold")
        ax.set_xlabel("correlation with the true spikes", fontsize=13)
        ax.set(xlim=(0, 1), ylim=(-0.7, len(names) - 0.3))
        ax.tick_params(labelsize=12)
        ax.spines[["top", "right"]].set_visible(False)
    entries = {entry.folder: entry for entry in load_catalogue().values()}
    axes[0].set_yticks(range(len(names)), [f"{entries[name].key} {entries[name].indicator}" for name in names])
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=13, frameon=False)
    figure.suptitle(
        f"Datasets that the networks have not seen, noise level {DRAWN_LEVEL} (medians of the neurons)", fontsize=14
    )
    figure.savefig(path, dpi=150)
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
