"""The tables of ``docs/accuracy.md`` and ``README.md`` that come from `leave_one_out.py`.

In a document a table stands between the lines ``<!-- NAME -->`` and ``<!-- end -->``; what is between them is written
by `leave_one_out_summary.py --write`. Other studies write theirs in the same way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.accuracy.ablation import TESTED
from cascade_engine.evaluation import NeuronScore, summarize
from cascade_engine.evaluation.scores import METRICS, Summary
from cascade_engine.file_formats.atomic import replacing
from cascade_engine.ground_truth import load_catalogue
from cascade_engine.networks.universal.architecture import INDICATOR_FAMILIES, UNKNOWN, indicator_family

ROOT = Path(__file__).resolve().parents[2]
ACCURACY = ROOT / "docs" / "accuracy.md"

#: What ends a part of a document.
END = "<!-- end -->"

#: Scores by condition and method.
Scores = Mapping[str, Mapping[str, Sequence[NeuronScore]]]

#: The method that is compared with all others, and it with the indicator.
OURS, TOLD = "universal", "universal-told"

#: What methods are called in the document.
NAMES = {
    OURS: "**universal**",
    TOLD: "**universal, with `--indicator`**",
    "published": "published architecture",
    "published-5": "published architecture, five networks",
    "oasis-tuned": "OASIS, tuned",
    "oasis": "OASIS, default",
    "imported-Global_EXC_30Hz_smoothing25ms": "Global_EXC_30Hz_smoothing25ms",
}

#: Headings and formats of the figures of a summary.
FIGURES = {
    "correlation": ("correlation", ".3f"),
    "aligned_correlation": ("correlation, clocks aligned", ".3f"),
    "error": ("error", ".2f"),
    "aligned_error": ("error, clocks aligned", ".2f"),
    "bias": ("bias", "+.2f"),
    "absolute_bias": ("absolute bias", ".2f"),
    "absolute_log_gain": ("absolute log gain", ".2f"),
    "total": ("total", ".2f"),
    "gain_sd_between": ("s.d. between datasets", ".2f"),
    "gain_sd_within": ("s.d. within", ".2f"),
}
TIMES = ("correlation", "aligned_correlation", "error", "aligned_error")
COUNTS = ("bias", "absolute_bias", "absolute_log_gain", "total", "gain_sd_between", "gain_sd_within")

#: Methods whose unit is arbitrary: the size of their predictions means nothing.
ARBITRARY = ("oasis-tuned", "oasis")

#: Conditions that are compared, and the noise levels of each.
COMPARED, LEVELS = {"30Hz_50ms": "30 Hz, 50 ms", "7.5Hz_200ms": "7.5 Hz, 200 ms"}, (2, 4, 8)
FAST = "30Hz_50ms"

#: Datasets of the protocol of ENS2 (Zhou et al. 2023), as far as they are public in this form, its condition, and what
#: it reports there.
ENS2_DATASETS, ENS2_CONDITION = [f"DS{number:02d}" for number in range(2, 22)], "60Hz_25ms_noisenative"
ENS2_REPORTED = "| ENS2, as published | 229 | 0.722 / 0.699 | | 1.00 | +0.02 |"

#: A rival that is ahead in correlation by less than this is named without figures.
_SMALL = 0.02


def at_levels(condition: str) -> list[str]:
    """Labels of a condition at each noise level."""
    return [f"{condition}_noise{level}" for level in LEVELS]


def table(heading: str, rows: Iterable[tuple[str, Sequence[Summary]]], figures: Sequence[str]) -> str:
    """A table in Markdown: for each row a label, and the figures of one or more summaries.

    Figures that no row knows have no column, and rows without any figure are left out.
    """
    found = [row for row in rows if any(np.isfinite(getattr(s, name)) for s in row[1] for name in figures)]
    shown = [name for name in figures if any(np.isfinite(getattr(s, name)) for _, all_of in found for s in all_of)]
    lines = [f"| {heading} | {' | '.join(FIGURES[name][0] for name in shown)} |", "|---" * (1 + len(shown)) + "|"]
    for label, summaries in found:
        cells = []
        for name in shown:
            values = [getattr(summary, name) for summary in summaries]
            cells.append(" / ".join(cell(v, FIGURES[name][1]) for v in values) if np.isfinite(values).any() else "")
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(value: float, form: str) -> str:
    """A figure, or ``-`` if it is not known."""
    return format(value, form) if np.isfinite(value) else "-"


def _rows(
    scores: Scores, conditions: Sequence[str], methods: Sequence[str], datasets: Collection[str] | None = None
) -> list[tuple[str, list[Summary]]]:
    """Label and summaries of each method that was tested under all conditions."""
    rows = []
    for method in methods:
        tested = [
            [entry for entry in scores[condition].get(method, ()) if datasets is None or entry.dataset in datasets]
            for condition in conditions
        ]
        if all(tested):
            unknown = {name: np.nan for name in FIGURES if method in ARBITRARY and "correlation" not in name}
            rows.append((NAMES[method], [replace(summarize(entries), **unknown) for entries in tested]))
    return rows


def _datasets(entries: Iterable[NeuronScore]) -> set[str]:
    return {entry.dataset for entry in entries}


def rivals(scores: Scores) -> str:
    """All methods on the same traces: when spikes are, and how many."""
    parts, half_widths = [], []
    for condition, title in COMPARED.items():
        rows = _rows(scores, at_levels(condition), (OURS, TOLD, "published", *ARBITRARY))
        parts += [table(f"{title}; noise level 2 / 4 / 8", rows, figures) for figures in (TIMES, COUNTS)]
        half_widths += [np.ptp(summary.correlation_interval) / 2 for _, found in rows for summary in found]
    parts.append(
        f"The 95 % intervals of the correlations, from drawing neurons again, are +-{min(half_widths):.3f} to "
        f"+-{max(half_widths):.3f}."
    )
    return "\n\n".join(parts)


def ensemble(scores: Scores) -> str:
    """Five networks of the published architecture, on the datasets for which they were trained."""
    conditions = at_levels(FAST)
    tested = _datasets(scores[conditions[0]]["published-5"])
    rows = _rows(scores, conditions, (OURS, "published-5", "published"), tested)
    names = ", ".join(sorted(name.split("-")[0] for name in tested))
    return table(f"{names}; noise level 2 / 4 / 8", rows, (*TIMES, *COUNTS[:3]))


def untouched(scores: Scores) -> str:
    """The datasets by which no setting was chosen."""
    parts = []
    for condition, title in COMPARED.items():
        conditions = at_levels(condition)
        names = {name for name in _datasets(scores[conditions[0]][OURS]) if not name.startswith(TESTED)}
        rows = _rows(scores, conditions, (OURS, TOLD, "published"), names)
        parts.append(table(f"{title}, {len(names)} datasets; noise level 2 / 4 / 8", rows, (*TIMES, *COUNTS[:3])))
    return "\n\n".join(parts)


def imported(scores: Scores) -> str:
    """A published model on the datasets on which it was not trained."""
    method, conditions = "imported-Global_EXC_30Hz_smoothing25ms", at_levels("30Hz_25ms")
    names = _datasets(scores[conditions[0]][method])
    keys = ", ".join(sorted(name.split("-")[0] for name in names))
    return table(
        f"{keys}; noise level 2 / 4 / 8", _rows(scores, conditions, (OURS, method), names), (*TIMES, *COUNTS[:3])
    )


def ens2(scores: Scores) -> str:
    """ENS2's protocol: over neurons, not over datasets."""
    lines = [
        "| | neurons | correlation: median / mean | clocks aligned | median error | median bias |",
        "|---" * 6 + "|",
    ]
    for method in (OURS, TOLD):
        entries = [e for e in scores[ENS2_CONDITION].get(method, ()) if e.dataset.split("-")[0] in ENS2_DATASETS]
        if entries:
            r, error, bias = (np.array([getattr(entry, key) for entry in entries]) for key in METRICS)
            aligned = np.array([entry.aligned_correlation for entry in entries])
            pairs = [f"{np.median(each):.3f} / {np.mean(each):.3f}".replace("nan / nan", "") for each in (r, aligned)]
            label = f"{NAMES[method]} | {len(entries)} | {' | '.join(pairs)}"
            lines.append(f"| {label} | {np.median(error):.2f} | {np.median(bias):+.2f} |")
    return "\n".join([*lines, ENS2_REPORTED])


def others(scores: Scores, interneurons: Scores) -> str:
    """Other conditions, and interneurons."""
    wanted = {
        "15 Hz, 100 ms; noise level 2 / 4 / 8": at_levels("15Hz_100ms"),
        "3 Hz, 500 ms; noise level 2": ["3Hz_500ms_noise2"],
        "30 Hz, causal kernel of 50 ms; noise level 2": ["30Hz_50ms_causal_noise2"],
        "100 Hz, 20 ms; noise level 4": ["100Hz_20ms_noise4"],
        "60 Hz, 25 ms; noise as it is": ["60Hz_25ms_noisenative"],
        "30 Hz, 50 ms; noise as it is": ["30Hz_50ms_noisenative"],
    }
    rows = [(label, summaries) for label, c in wanted.items() for _, summaries in _rows(scores, c, [OURS])]
    for _, summaries in _rows(interneurons, at_levels(FAST), [OURS]):
        label = f"interneurons ({summaries[0].n_datasets} datasets), 30 Hz, 50 ms; noise level 2 / 4 / 8"
        rows.append((label, summaries))
    return table("condition", rows, (*TIMES, *COUNTS[:4]))


def indicator(scores: Scores) -> str:
    """What the indicator adds, by its family."""
    columns = {
        "7.5 Hz, noise level 2": "7.5Hz_200ms_noise2",
        "30 Hz, noise level 2": "30Hz_50ms_noise2",
        "60 Hz, noise as it is": ENS2_CONDITION,
    }
    families = {entry.folder: indicator_family(entry.indicator) for entry in load_catalogue().values()}
    gains: dict[str, dict[str, float]] = {}
    for condition in columns.values():
        untold, told = (medians(scores[condition][method]) for method in (OURS, TOLD))
        gains[condition] = {name: told[name] - untold[name] for name in told if families.get(name, UNKNOWN) != UNKNOWN}
    lines = [f"| correlation with, less without | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for number, names in [(None, ["all that it knows"]), *enumerate(INDICATOR_FAMILIES)]:
        cells = [
            [gain for name, gain in gains[condition].items() if number in (None, families[name])]
            for condition in columns.values()
        ]
        shown = " | ".join(f"{np.mean(found):+.3f}" if found else "" for found in cells)
        lines.append(f"| {', '.join(names)} ({max(map(len, cells))}) | {shown} |")
    return "\n".join(lines)


def medians(entries: Iterable[NeuronScore], figure: str = "correlation") -> dict[str, float]:
    """Median of a figure over the neurons of each dataset."""
    values: dict[str, list[float]] = {}
    for entry in entries:
        values.setdefault(entry.dataset, []).append(getattr(entry, figure))
    return {name: float(np.median(found)) for name, found in values.items()}


def rivals_ahead(scores: Scores) -> str:
    """Datasets on which a rival has the higher correlation, at 30 Hz."""
    lines = ["| noise level | dataset | rival | rival's | universal | with `--indicator` |", "|---" * 6 + "|"]
    for level, condition in zip(LEVELS, at_levels(FAST), strict=True):
        ours, told = (medians(scores[condition].get(method, ())) for method in (OURS, TOLD))
        for rival in ("published", "oasis-tuned"):
            theirs = medians(scores[condition].get(rival, ()))
            ahead = {name: r for name, r in sorted(theirs.items()) if r > ours[name]}
            for name in (name for name, r in ahead.items() if r - ours[name] >= _SMALL):
                figures = " | ".join(cell(each.get(name, np.nan), ".2f") for each in (theirs, ours, told))
                lines.append(f"| {level} | {name} | {NAMES[rival]} | {figures} |")
            close = ", ".join(name.split("-")[0] for name, r in ahead.items() if r - ours[name] < _SMALL)
            if close:
                lines.append(f"| {level} | {close} | {NAMES[rival]} | ahead by less than {_SMALL} | | |")
    return "\n".join(lines)


def short(scores: Scores) -> str:
    """What the README says."""
    rows = _rows(scores, at_levels(FAST), (OURS, TOLD, "published", "oasis-tuned"))
    return table(f"{COMPARED[FAST]}; noise level 2 / 4 / 8", rows, (*TIMES[:3], "bias"))


def blocks(scores: Scores, interneurons: Scores) -> dict[Path, dict[str, str]]:
    """What stands in each document, by name."""
    found = {
        "rivals": rivals(scores),
        "ensemble": ensemble(scores),
        "untouched": untouched(scores),
        "imported": imported(scores),
        "ens2": ens2(scores),
        "others": others(scores, interneurons),
        "indicator": indicator(scores),
        "ahead": rivals_ahead(scores),
    }
    return {ACCURACY: found, ROOT / "README.md": {"short": short(scores)}}


def write_documents(found: Mapping[Path, Mapping[str, str]]) -> None:
    """Put blocks into the documents."""
    for path, parts in found.items():
        text = with_blocks(path.read_text("utf-8"), parts)
        with replacing(path) as file:
            file.write(text.encode())
        print(f"{len(parts)} parts of {path}")


def with_blocks(text: str, found: Mapping[str, str]) -> str:
    """A document with its blocks made anew; each must be there once."""
    for name, content in found.items():
        start, *rest = text.split(f"<!-- {name} -->\n")
        if len(rest) != 1 or END not in rest[0]:
            raise ValueError(f"the document needs one place for {name}")
        text = f"{start}<!-- {name} -->\n\n{content}\n\n{END}{rest[0].split(END, 1)[1]}"
    return text
