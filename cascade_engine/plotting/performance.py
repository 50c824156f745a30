"""How good a model is, against noise level or frame rate: by its card, or by a table of ``cascade benchmark``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.evaluation.conditions import Condition
from cascade_engine.evaluation.expectation import card_entries
from cascade_engine.evaluation.scores import METRICS, NeuronScore, read_scores
from cascade_engine.networks.store import DEFAULT_MODEL, Model, load_model
from cascade_engine.plotting.canvas import FURTHER_COLOURS, bare, new_axes
from cascade_engine.signal.kernels import KERNELS
from cascade_engine.signal.noise import NOISE_UNIT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Names of the figures on the axis.
_FIGURES = {
    "correlation": "correlation with the true spikes",
    "error": "error (per true spike)",
    "bias": "bias (per true spike)",
}
assert tuple(_FIGURES) == METRICS

#: What the figures are drawn against: the entry of the card, and the text on the axis.
_AGAINST = {
    "noise_level": ("noise_level", f"noise level ({NOISE_UNIT})"),
    "frame_rate": ("frame_rate_hz", "frame rate (Hz)"),
}

#: Of several widths of the kernel at one frame rate that one is drawn that is nearest to this number of frames.
_USUAL_WIDTH_FRAMES = 1.5

_LABEL = re.compile(r"(?P<rate>[\d.]+)Hz_(?P<width>[\d.]+)ms(?P<causal>_causal)?_noise(?P<level>[\d.]+|native)")


def plot_performance(
    source: str | os.PathLike | Model | Sequence[NeuronScore] = DEFAULT_MODEL,
    figure: str = "correlation",
    *,
    against: str = "noise_level",
    kernel: str = "gaussian",
    ax: Axes | None = None,
) -> Axes:
    """Draw how well a model predicts neurons that it has not seen.

    Figures are medians over neurons and means over datasets. Around the correlation, the 95 % interval from drawing
    neurons anew is shaded.

    Parameters
    ----------
    source : str, path, Model, or sequence of NeuronScore
        Name or folder of a model, whose card holds the figures; or the CSV file that ``cascade benchmark --table`` has
        written, or what `cascade_engine.evaluation.read_scores` reads from it.
    figure : {"correlation", "error", "bias"}
        As in `cascade_engine.score`.
    against : {"noise_level", "frame_rate"}
        What is on the horizontal axis; there is a line for each value of the other. Where a frame rate was measured
        with several widths of the kernel, that nearest to one and a half frames is drawn.
    kernel : {"gaussian", "causal"}
        Form of the kernel.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn into.

    Raises
    ------
    InputError
        If the source has no such figures.
    ModelError
        If a model is missing or damaged.
    MissingExtraError
        Without matplotlib.

    Examples
    --------
    >>> ax = plot_performance(figure="error")
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('noise level (% per sqrt(Hz))', 'error (per true spike)')
    """
    for name, value, choices in (
        ("figure", figure, _FIGURES), ("against", against, _AGAINST), ("kernel", kernel, KERNELS),
    ):  # fmt: skip
        if value not in choices:
            raise InputError(f"{name} must be one of {', '.join(choices)}, but it is {value!r}")
    entries, called = _entries(source)
    entries = _usual_widths([entry for entry in entries if entry["kernel"] == kernel and figure in entry])
    if not entries:
        raise InputError(f"{called} holds no {figure} for the {kernel} kernel at a known noise level")
    if ax is None:
        (ax,) = new_axes(height=4.5)
    x_name, x_label = _AGAINST[against]
    other = "frame_rate_hz" if against == "noise_level" else "noise_level"
    ends = []
    for i, value in enumerate(sorted({entry[other] for entry in entries})):
        line = sorted((entry for entry in entries if entry[other] == value), key=lambda entry: entry[x_name])
        x, y = [entry[x_name] for entry in line], [entry[figure] for entry in line]
        colour = FURTHER_COLOURS[i % len(FURTHER_COLOURS)]
        ax.plot(x, y, marker="o", color=colour, linewidth=2)
        intervals = [entry.get("correlation_interval") for entry in line]
        if figure == "correlation" and all(intervals):
            low, high = zip(*intervals, strict=True)
            ax.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        if len(line) > 1:
            ends.append((x[-1], y[-1], _name(line, other), colour))
        else:
            at = [entry[figure] for entry in entries if entry[x_name] == x[0]]
            _name_point(ax, x[0], y[0], at, _name(line, other), colour)
    _finish(ax, entries, x_name, figure)
    _name_lines(ax, ends)
    ax.set_xlabel(x_label)
    ax.set_ylabel(_FIGURES[figure])
    return ax


def _entries(source: Any) -> tuple[list[Mapping[str, Any]], str]:
    """Figures as in the card of a model, and what holds them, in words."""
    if isinstance(source, str | os.PathLike) and Path(source).suffix.lower() == ".csv":
        if not Path(source).is_file():
            raise InputError(f"there is no table {source}")
        try:
            return _from_scores(read_scores(Path(source))), str(source)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{source} is no table of 'cascade benchmark --table': {error}") from None
    if isinstance(source, str | os.PathLike | Model):
        model = load_model(source)
        card = model.card.get("evaluation", [])
        return [entry for entry in card if "frame_rate_hz" in entry], f"the card of {model.name}"
    return _from_scores(source), "the table"


def _from_scores(scores: Sequence[NeuronScore]) -> list[Mapping[str, Any]]:
    methods = sorted({entry.method for entry in scores})
    if len(methods) > 1:
        raise InputError(f"the table holds several methods ({', '.join(methods)}): pass the scores of one")
    conditions = []
    for label in dict.fromkeys(entry.condition for entry in scores):
        found = _LABEL.fullmatch(label)
        if found is None:
            raise InputError(f"{label!r} is no condition, such as 30Hz_50ms_noise2")
        if found["level"] != "native":
            kernel = "causal" if found["causal"] else "gaussian"
            rate, width_ms, level = (float(found[name]) for name in ("rate", "width", "level"))
            conditions.append(Condition(rate, width_ms / 1000, level, kernel))
    return list(card_entries(scores, conditions, leaving_out=True))


def _usual_widths(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of each frame rate the entries with the width of the kernel that is nearest to the usual one."""

    def off(entry: Mapping[str, Any]) -> float:
        return abs(np.log(max(entry["smoothing_s"] * entry["frame_rate_hz"], 0.1) / _USUAL_WIDTH_FRAMES))

    nearest: dict[float, Mapping[str, Any]] = {}
    for entry in entries:
        rate = entry["frame_rate_hz"]
        if rate not in nearest or off(entry) < off(nearest[rate]):
            nearest[rate] = entry
    return [entry for entry in entries if entry["smoothing_s"] == nearest[entry["frame_rate_hz"]]["smoothing_s"]]


def _name(line: Sequence[Mapping[str, Any]], other: str) -> str:
    if other == "noise_level":
        return f"noise level {line[0][other]:g}"
    return f"{line[0][other]:g} Hz, smoothed {1000 * line[0]['smoothing_s']:g} ms"


def _finish(ax: Axes, entries: Sequence[Mapping[str, Any]], x_name: str, figure: str) -> None:
    """Axes that suit the figures, with room for the names of the lines on the right."""
    ticks = sorted({entry[x_name] for entry in entries})
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ratio = max(ticks[-1] / ticks[0], 2.0)
    ax.set_xlim(ticks[0] / ratio**0.08, ticks[-1] * ratio**0.5)
    if figure == "correlation":
        ax.set_ylim(0, 1)
    elif figure == "error":
        ax.set_ylim(0, 1.1 * max(entry[figure] for entry in entries))
    else:
        limit = 1.3 * max(0.2, *(abs(entry[figure]) for entry in entries))
        ax.set_ylim(-limit, limit)
        ax.axhline(0, color="0.4", linewidth=0.8, linestyle=":")
    ax.grid(axis="y", alpha=0.3)
    bare(ax)


def _name_point(ax: Axes, x: float, y: float, others: Sequence[float], name: str, colour: str) -> None:
    """Write the name of a single point above or below all points with the same `x`, whichever is nearer."""
    below = sorted(others).index(y) < len(others) / 2 and len(others) > 1
    place, offset = (min(others), -8) if below else (max(others), 8)
    align = "top" if below else "bottom"
    ax.annotate(name, (x, place), xytext=(-4, offset), textcoords="offset points", color=colour, va=align)


def _name_lines(ax: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write the name of each line beside its end, those of neighbours apart."""
    low, high = ax.get_ylim()
    apart, lowest = 0.07 * (high - low), -np.inf
    for x, y, name, colour in sorted(ends, key=lambda end: end[1]):
        lowest = max(y, lowest + apart)
        ax.annotate(name, (x, lowest), xytext=(8, 0), textcoords="offset points", color=colour, va="center")
