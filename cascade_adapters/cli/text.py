"""How reports are told on the terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cascade_adapters.running.report import Report

#: ROIs named per reason before the rest is only counted.
_NAMED_ROIS = 8


def describe_report(report: Report) -> str:
    """A few lines on one recording."""
    if report.status in ("failed", "skipped"):
        where = "" if report.path in report.message else f"{report.path}: "
        return f"{report.status}: {where}{report.message}"
    told = f", told that it is {report.indicator}" if report.indicator else ""
    lines = [
        f"{report.path}: {report.status}",
        f"  {report.kind}, {report.n_rois} ROIs x {report.n_frames} frames at {report.frame_rate:g} Hz, "
        f"{report.n_frames / report.frame_rate / 60:.1f} min",
        f"  from {report.traces}, with model {report.model}{told}",
    ]
    if report.noise_level is not None:
        lines.append(
            f"  noise level {report.noise_level:.1f} % per sqrt(Hz) (median; {judge_noise(report.noise_level)})"
        )
    if report.expected is not None:
        lines.append(f"  {tell_expected(report.expected)}")
    for reason, count in Counter(report.without_prediction.values()).most_common():
        rois = [roi for roi, note in report.without_prediction.items() if note == reason]
        named = ", ".join(rois[:_NAMED_ROIS]) + (", ..." if count > _NAMED_ROIS else "")
        lines.append(f"  {count} of {report.n_rois} ROIs without prediction: {reason} (ROI {named})")
    if report.guarded:
        lines.append(f"  F0 below the noise in {report.guarded} ROIs; the noise was divided by there")
    lines += [f"  warning: {text}" for text in report.warnings]
    if report.written:
        lines.append(f"  wrote {', '.join(report.written)}")
    return "\n".join(lines)


def judge_noise(level: float) -> str:
    """A word for a noise level (percent per sqrt(Hz))."""
    if level < 2:
        return "low"
    if level < 5:
        return "moderate"
    return "high: expect weak single spikes to be missed"


def tell_expected(figures: dict) -> str:
    """What a model reached under conditions like these."""
    return (
        f"to expect at this noise level: correlation {figures['correlation']:.2f} with the true spikes, error "
        f"{figures['error']:.1f} (measured at {figures['frame_rate_hz']:g} Hz on neurons that it had not seen)"
    )
