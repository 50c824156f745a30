"""Small charts as SVG: they need no script, and print as sharp as text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cascade_adapters.pages.expecting import ZONES

#: Colours that colour-blind people can tell apart, also in grey.
DFF, RATE, INK, FAINT = "#1f5a8a", "#c8500a", "#1d2530", "#5b6775"
_ZONE_COLOURS = ("#e3eff8", "#f3f3ee", "#fbe7d9")

_WIDTH, _LEFT, _RIGHT = 720, 56, 16


class Mark(NamedTuple):
    """A dataset on the axis of noise: its noise level in percent per sqrt(Hz), and its name."""

    value: float
    name: str


class Lane(NamedTuple):
    """A row on the axis of time: what it shows, when (begin and end in s), and how strongly, from 0 to 1."""

    name: str
    spans: Sequence[tuple[float, float, float]]


def noise_chart(levels: np.ndarray, marks: Sequence[Mark], zones: bool, what: str = "ROIs") -> str:
    """Histogram of noise levels, with zones, the median, and a dot for each dataset of the ground truth.

    Parameters
    ----------
    levels : array, shape (n_rois,)
        Finite noise levels in percent per sqrt(Hz).
    marks : sequence of Mark
        Datasets.
    zones : bool
        Whether to colour the zones.
    what : str
        What is counted.
    """
    height, bottom, top = (330, 230, 34) if marks else (270, 220, 34)
    width = 560
    most = float(np.clip(np.percentile(levels, 99) * 1.15, 8.0, 14.0))
    edges = np.linspace(0.0, most, 41)
    counts, _ = np.histogram(np.minimum(levels, most * 0.9999), edges)
    highest = max(int(counts.max()), 1)

    def x(value: float) -> float:
        return _LEFT + (width - _LEFT - _RIGHT) * min(value, most) / most

    def y(count: float) -> float:
        return bottom - (bottom - top) * count / highest

    parts = []
    for (low, high, name), colour in zip(ZONES, _ZONE_COLOURS, strict=True):
        if zones:
            left, right = x(low), x(min(high, most))
            parts.append(_rect(left, 12, right - left, bottom - 12, colour))
            parts.append(_text((left + right) / 2, 27, name, "middle", FAINT))
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        if count:
            title = f"{count} {what} with a noise level from {low:.2f} to {high:.2f}"
            parts.append(_rect(x(low) + 0.7, y(count), x(high) - x(low) - 1.4, bottom - y(count), DFF, title))
    middle = float(np.median(levels))
    parts.append(_line(x(middle), 34, x(middle), bottom, INK, 2, "5 3"))
    side = "start" if middle < 0.7 * most else "end"
    parts.append(_text(x(middle) + (6 if side == "start" else -6), 46, f"median {middle:.1f}", side, INK, True))
    parts += _axis(x, bottom, most, "noise level (% per √Hz)" if not marks else "", width=width)
    parts.append(_text(_LEFT - 8, y(highest) + 4, str(highest), "end"))
    parts.append(_text(_LEFT - 8, bottom + 4, "0", "end"))
    parts.append(_text(16, (top + bottom) / 2, what, "middle", FAINT, turned=True))
    if marks:
        for number, mark in enumerate(sorted(marks)):
            title = f"{mark.name}: {mark.value:.1f}"
            place = bottom + 36 + 13 * (number % 3)
            parts.append(_circle(x(mark.value), place, 4.5, title))
        parts.append(
            _text(x(most / 2), height - 10, "noise level (% per √Hz); a dot for each ground-truth dataset", "middle")
        )
    words = (
        f"Histogram of the noise levels of {len(levels)} {what}, median {middle:.1f} percent per square root of hertz"
    )
    return _svg(height, parts, words, width)


def rate_chart(rates_hz: np.ndarray) -> str:
    """Histogram of the mean rates of ROIs (Hz)."""
    height, bottom, top = 240, 186, 22
    most = max(float(np.percentile(rates_hz, 99)) * 1.1, 0.1)
    edges = np.linspace(0.0, most, 33)
    counts, _ = np.histogram(np.clip(rates_hz, 0.0, most * 0.9999), edges)
    highest = max(int(counts.max()), 1)

    def x(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(value, most) / most

    parts = []
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        if count:
            tall = (bottom - top) * count / highest
            title = f"{count} ROIs with {low:.2g} to {high:.2g} Hz"
            parts.append(_rect(x(low) + 0.7, bottom - tall, x(high) - x(low) - 1.4, tall, RATE, title))
    middle = float(np.median(rates_hz))
    parts.append(_line(x(middle), 14, x(middle), bottom, INK, 2, "5 3"))
    side = "start" if middle < 0.7 * most else "end"
    parts.append(_text(x(middle) + (6 if side == "start" else -6), 24, f"median {middle:.2g} Hz", side, INK, True))
    parts += _axis(x, bottom, most, "mean inferred rate (Hz)")
    parts.append(_text(_LEFT - 8, top + 6, str(highest), "end"))
    parts.append(_text(_LEFT - 8, bottom + 4, "0", "end"))
    parts.append(_text(16, (top + bottom) / 2, "ROIs", "middle", FAINT, turned=True))
    return _svg(height, parts, f"Histogram of the mean rates of {len(rates_hz)} ROIs, median {middle:.2g} hertz")


def frames_chart(lanes: Sequence[Lane], duration_s: float, borders_s: Sequence[float]) -> str:
    """Which frames are left out, dropped or missing, on the axis of time; dashed lines end segments."""
    left, row = 216, 30
    bottom = 14 + row * len(lanes)
    span = duration_s or 1.0

    def x(time_s: float) -> float:
        return left + (_WIDTH - left - _RIGHT) * time_s / span

    parts = []
    for number, lane in enumerate(lanes):
        top = 12 + number * row
        parts.append(_text(left - 10, top + 15, lane.name, "end", INK))
        parts.append(_rect(left, top, _WIDTH - left - _RIGHT, row - 8, "#eef1f4"))
        for begin, end, strength in lane.spans:
            title = f"{begin:.2f} to {end:.2f} s"
            parts.append(_rect(x(begin), top, max(x(end) - x(begin), 1.2), row - 8, INK, title, strength))
    for border in borders_s:
        parts.append(_line(x(border), 6, x(border), bottom, RATE, 1.5, "4 3"))
    parts += _axis(x, bottom, span, "time (s)", left)
    return _svg(bottom + 44, parts, "Frames that are left out, dropped or missing, on the axis of time")


def average_chart(time_s: ArrayLike, dff: ArrayLike) -> str:
    """A spike-triggered average of dF/F (fraction), by the time from the spike (s)."""
    width, height, left, bottom, top = 300, 150, 52, 116, 12
    times, values = np.asarray(time_s, dtype=float), np.asarray(dff, dtype=float)
    low, high = min(float(np.nanmin(values)), 0.0), max(float(np.nanmax(values)), 1e-6)

    def x(value: float) -> float:
        return left + (width - left - 10) * (value - times[0]) / (times[-1] - times[0])

    def y(value: float) -> float:
        return bottom - (bottom - top) * (value - low) / (high - low)

    points = " ".join(f"{x(t):.1f},{y(v):.1f}" for t, v in zip(times, values, strict=True) if np.isfinite(v))
    parts = [
        _line(left, y(0.0), width - 10, y(0.0), "#cfd6dd", 1),
        _line(x(0.0), top, x(0.0), bottom, INK, 1.5, "3 3"),
        f'<polyline points="{points}" fill="none" stroke="{DFF}" stroke-width="2.2"/>',
        _text(left - 6, y(high) + 8, f"{high:.2g}", "end"),
        _text(left - 6, y(0.0) + 4, "0", "end"),
        _text(x(0.0), bottom + 16, "0", "middle"),
        _text(x(float(times[-1])), bottom + 16, f"{times[-1]:g} s", "end"),
        _text(14, (top + bottom) / 2, "dF/F", "middle", FAINT, turned=True),
    ]
    return _svg(height, parts, f"Mean dF/F around a spike, with a peak of {high:.2g}", width)


def _axis(x, bottom: float, most: float, label: str, left: float = _LEFT, width: float = _WIDTH) -> list[str]:
    """Ticks and numbers below a chart."""
    step = _round_step(most / 7)
    parts = [_line(left, bottom, width - _RIGHT, bottom, FAINT, 1)]
    for value in np.arange(0.0, most + step / 100, step):
        parts.append(_line(x(value), bottom, x(value), bottom + 5, FAINT, 1))
        parts.append(_text(x(value), bottom + 19, f"{value:.10g}", "middle"))
    if label:
        parts.append(_text((left + width - _RIGHT) / 2, bottom + 38, label, "middle"))
    return parts


def _round_step(step: float) -> float:
    """The next step of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(step))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999))


def _svg(height: float, parts: Sequence[str], words: str, width: float = _WIDTH) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height:g}" role="img" aria-label="{escape(words)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _rect(x: float, y: float, width: float, height: float, colour: str, title: str = "", opacity: float = 1.0) -> str:
    about = f"<title>{escape(title)}</title>" if title else ""
    see_through = f' fill-opacity="{opacity:.2f}"' if opacity < 1 else ""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}"'
    return f'<rect {place} fill="{colour}"{see_through}>{about}</rect>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"'
        f"{dashed}/>"
    )


def _circle(x: float, y: float, radius: float, title: str) -> str:
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="#ffffff" stroke="{FAINT}" stroke-width="2">'
        f"<title>{escape(title)}</title></circle>"
    )


def _text(
    x: float, y: float, text: str, anchor: str, colour: str = FAINT, bold: bool = False, turned: bool = False
) -> str:
    weight = ' font-weight="600"' if bold else ""
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="14"{weight}{turn}>'
        f"{escape(text)}</text>"
    )
