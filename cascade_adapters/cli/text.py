"""Reports as text for the terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cascade_engine.networks.settings import NOT_GIVEN

if TYPE_CHECKING:
    from cascade_adapters.running.report import Report

#: ROIs named per reason before the rest is only counted.
_NAMED_ROIS = 8


def describe_failure(report: Report) -> str:
    """One line on a recording that could not be used, or was skipped."""
    where = "" if report.path in report.message else f"{report.path}: "
    return f"{report.status}: {where}{report.message}"


def describe_report(report: Report) -> str:
    """A few lines on one recording that was run."""
    if report.status in ("failed", "skipped"):
        return describe_failure(report)
    indicator = (report.settings or {}).get("indicator")
    given = f", for {indicator}" if indicator not in (None, NOT_GIVEN) else ""
    lines = [
        f"{report.path}: {report.status}",
        f"  {report.kind}, {_size(report)} at {report.frame_rate_hz:g} Hz, {_minutes(report)}",
        f"  from {report.traces}; model {report.model}{given}",
        *_excluded(report),
        *_noise(report),
        *_left_out(report),
        *(f"  warning: {text}" for text in report.warnings),
    ]
    if report.written:
        lines.append(f"  wrote {', '.join(report.written)}")
    return "\n".join(lines)


def describe_inspection(report: Report) -> str:
    """A few lines on one recording that was inspected."""
    if report.status == "failed":
        return describe_failure(report)
    lines = [
        report.path,
        f"  {report.kind}, {_size(report)}, {_minutes(report)}",
        f"  frame rate {report.frame_rate_hz:g} Hz ({report.frame_rate_source})",
        f"  {'raw fluorescence' if report.dff == 'computed' else 'dF/F'} from {report.traces}",
    ]
    if report.container_indicator:
        lines.append(f"  indicator {report.container_indicator}")
    if report.dff == "computed":
        has_neuropil = report.neuropil_coefficient is not None
        lines.append(
            f"  neuropil coefficient {report.neuropil_coefficient:g}" if has_neuropil else "  no neuropil traces"
        )
    if report.segments:
        frames = ", ".join(str(frames) for frames in report.segments)
        lines.append(f"  {len(report.segments)} segments of {frames} frames")
    lines += _excluded(report)
    settings = report.settings or {}
    smoothing = f"{settings.get('kernel')} kernel of {1000 * settings.get('smoothing', 0):g} ms"
    lines += [*_noise(report), f"  model {report.model}, {smoothing}", *_left_out(report)]
    lines.append(f"  results: {report.earlier_results}")
    lines += [f"  warning: {text}" for text in report.warnings]
    return "\n".join(lines)


def describe_spikes(report: Report) -> str:
    """A few lines on the discrete spikes of one recording."""
    if report.status == "failed":
        return describe_failure(report)
    rate = "" if report.median_rate_hz is None else f", median rate {report.median_rate_hz:.2g} Hz"
    lines = [
        f"{report.path}: {report.n_spikes} spikes in {report.n_active} of {report.n_rois} ROIs{rate}",
        *(f"  warning: {text}" for text in report.warnings),
        f"  wrote {', '.join(report.written)}",
    ]
    return "\n".join(lines)


def describe_restored(report: Report) -> str:
    """What was done to one recording to restore it."""
    if report.status == "failed":
        return describe_failure(report)
    return "\n".join([f"{report.path}: restored", *(f"  {text}" for text in report.restored)])


def _size(report: Report) -> str:
    cells = "" if report.n_cells is None else f" ({report.n_cells} cells)"
    return f"{report.n_rois} ROIs{cells} x {report.n_frames} frames"


def _minutes(report: Report) -> str:
    minutes = (report.duration_s or 0.0) / 60
    return f"{minutes:.1f} min" if minutes >= 1 else f"{60 * minutes:.0f} s"


def _excluded(report: Report) -> list[str]:
    return [f"  {report.exclusion}"] if report.exclusion else []


def _noise(report: Report) -> list[str]:
    if report.noise_level is None or report.noise_level_range is None:
        return []
    low, high = report.noise_level_range
    lines = [
        f"  noise level {report.noise_level:.1f} % per sqrt(Hz) ({judge_noise(report.noise_level)}), {low:.1f} to "
        f"{high:.1f} in 80 % of ROIs"
    ]
    return lines if report.expected is None else [*lines, f"  {describe_expected(report.expected)}"]


def _left_out(report: Report) -> list[str]:
    lines = []
    for reason, count in Counter(report.without_prediction.values()).most_common():
        rois = [str(roi) for roi, note in report.without_prediction.items() if note == reason]
        named = ", ".join(rois[:_NAMED_ROIS]) + (", ..." if count > _NAMED_ROIS else "")
        lines.append(f"  {count} of {report.n_rois} ROIs without prediction: {reason} (ROI {named})")
    if report.n_guarded:
        lines.append(f"  F0 below the noise in {report.n_guarded} ROIs: divided by the noise there instead of F0")
    return lines


def judge_noise(level: float) -> str:
    """A word for a noise level (percent per sqrt(Hz))."""
    if level < 2:
        return "low"
    if level < 5:
        return "moderate"
    return "high: single spikes will often be missed"


def describe_expected(figures: dict) -> str:
    """What a model reached under conditions like these."""
    return (
        f"expected at this noise level: correlation {figures['correlation']:.2f} with the true spikes, error "
        f"{figures['error']:.1f} (measured at {figures['frame_rate_hz']:g} Hz, on neurons not used for training)"
    )
