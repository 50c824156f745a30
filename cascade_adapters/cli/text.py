"""Reports as text for the terminal."""

from __future__ import annotations

from dataclasses import replace
from math import isclose
from typing import TYPE_CHECKING

from cascade_adapters.running.report import NEUROPIL_WORDS
from cascade_engine.networks.indicators import indicators_named
from cascade_engine.networks.settings import NOT_GIVEN
from cascade_engine.networks.universal.architecture import known_indicator

if TYPE_CHECKING:
    from cascade_adapters.running.report import Report

#: What files hold where nobody has named the indicator.
_NO_NAMES = ("", "unknown", "n/a", "none")


class SaidOnce:
    """Warnings of many recordings: what was said of one is not repeated for others, but counted."""

    def __init__(self) -> None:
        self._told: dict[str, list[str]] = {}

    def without_told(self, report: Report) -> Report:
        """The same report without warnings that were in an earlier one."""
        new = [text for text in report.warnings if text not in self._told]
        for text in report.warnings:
            self._told.setdefault(text, []).append(report.path)
        return replace(report, warnings=new)

    def closing(self) -> list[str]:
        """One line for each warning that holds for further recordings."""
        return [
            f"{len(paths) - 1} more with the same warning as {paths[0]}: {text}"
            for text, paths in self._told.items()
            if len(paths) > 1
        ]


def describe_failure(report: Report) -> str:
    """One line on a recording that could not be used, or was skipped."""
    where = "" if report.path in report.message else f"{report.path}: "
    return f"{report.status}: {where}{report.message}"


def describe_report(report: Report) -> str:
    """A few lines on one recording that was run."""
    if report.status in ("failed", "skipped"):
        return describe_failure(report)
    lines = [
        f"{report.path}: {report.status}",
        *([f"  run again: {'; '.join(report.redone)}"] if report.redone else []),
        f"  {report.kind}, {_size(report)} at {report.frame_rate_hz:g} Hz, {_minutes(report)}",
        f"  from {report.traces}; model {_model(report)}",
        *_excluded(report),
        *_indicator(report),
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
        f"  {_what(report)} from {report.traces}",
    ]
    if report.neuropil is not None or (report.dff == "computed" and not report.arbitrary_units):
        lines.append(f"  {_neuropil(report)}")
        if report.offset:
            lines.append(f"  {report.offset:g} counts of the detector subtracted first (--offset)")
    if report.segments:
        frames = ", ".join(str(frames) for frames in report.segments)
        lines.append(f"  {len(report.segments)} segments of {frames} frames")
    lines += _excluded(report)
    if report.n_dropped:
        lines.append(f"  {report.n_dropped} frames were dropped between those that are stored")
    settings = report.settings or {}
    smoothing = f"{settings.get('kernel')} kernel of {1000 * settings.get('smoothing', 0):.3g} ms"
    lines += [*_noise(report), f"  model {_model(report)}, {smoothing}", *_indicator(report), *_left_out(report)]
    lines.append(f"  results: {report.earlier_results}")
    if report.deconvolved is not None:
        lines.append(f"  {report.deconvolved['text']}")
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


def describe_page(report: Report) -> str:
    """Where the page of one recording, or the overview, lies."""
    return describe_failure(report) if report.status == "failed" else f"{report.path}: {report.kind}, {report.page}"


def describe_restored(report: Report) -> str:
    """What was done to one recording to restore it."""
    if report.status == "failed":
        return describe_failure(report)
    return "\n".join([f"{report.path}: restored", *(f"  {text}" for text in report.restored)])


def _what(report: Report) -> str:
    if report.arbitrary_units:
        return "traces"
    return "raw fluorescence" if report.dff == "computed" else "dF/F"


def _neuropil(report: Report) -> str:
    if report.neuropil_coefficient is None or report.neuropil is None:
        return "no neuropil traces"
    return f"neuropil coefficient {report.neuropil_coefficient:g}, {NEUROPIL_WORDS[report.neuropil]} (--neuropil)"


def _model(report: Report) -> str:
    return f"{report.model}{f' (it answers for {report.asked_for})' if report.asked_for else ''}"


def _size(report: Report) -> str:
    cells = "" if report.n_cells is None else f" ({report.n_cells} cells)"
    return f"{report.n_rois} ROIs{cells} x {report.n_frames} frames"


def _minutes(report: Report) -> str:
    minutes = (report.duration_s or 0.0) / 60
    return f"{minutes:.1f} min" if minutes >= 1 else f"{60 * minutes:.2g} s"


def _indicator(report: Report) -> list[str]:
    """What was understood of the indicator, whether the networks are told it, and what telling it would bring."""
    given, named = (report.settings or {}).get("indicator"), report.container_indicator
    if (named or "").strip().lower() in _NO_NAMES:
        named = None
    known = known_indicator(named or "")
    if given is None:
        return [f"  indicator {named!r}: this model cannot be told any"] if named else []
    if given != NOT_GIVEN:
        if known != given:
            other = f"; the file says {named!r}" if named else ""
            return [f"  indicator {given}, told to the network{other}"]
        return [f"  indicator {given if named == given else f'{named!r} read as {given}'}, told to the network"]
    several = indicators_named(named or "")
    if named and not known and len(several) < 2:
        return [f"  indicator {named!r} is not one that the network knows: it is not told"]
    why = f" {named!r} may be {' or '.join(several)}:" if len(several) > 1 else ""
    gain = (report.expected or {}).get("indicator_gain")
    if gain is None:
        brings = "name it with --indicator"
    elif gain > 0:
        brings = f"--indicator brings {gain:+.3f} in correlation at this frame rate and noise, on average"
    else:
        brings = "--indicator brings nothing at this frame rate and noise, on average"
    return [f"  indicator{why} not told to the network: {brings}"]


def _excluded(report: Report) -> list[str]:
    return [f"  {report.exclusion}"] if report.exclusion else []


def _noise(report: Report) -> list[str]:
    if report.arbitrary_units:
        return ["  noise level not known, since the traces are in arbitrary units; nothing is known of what to expect"]
    if report.noise_level is None or report.noise_level_range is None:
        return []
    low, high = report.noise_level_range
    comparable = report.comparable_noise_level or report.noise_level
    # what is not subtracted of the neuropil makes F0 greater, and noise smaller, than in the ground truth
    others = f"; {comparable:.1f} with F - r Fneu, to compare it" if comparable > 1.05 * report.noise_level else ""
    judged = "that of denoised or smoothed traces, which says nothing" if report.denoised else judge_noise(comparable)
    lines = [
        f"  noise level {report.noise_level:.1f} % per sqrt(Hz), {low:.1f} to {high:.1f} in 80 % of ROIs{others} "
        f"({judged})"
    ]
    if report.expected is not None and report.frame_rate_hz is not None:
        lines.append(f"  {describe_expected(report.expected, comparable, report.frame_rate_hz)}")
    return lines


def _left_out(report: Report) -> list[str]:
    lines = [f"  {report.n_left_out} of {report.n_rois} ROIs left out by --only-cells"] if report.n_left_out else []
    lines += [f"  {text}" for text in report.rois_without_prediction]
    if report.guarded_frames:
        counts = report.guarded_frames.values()
        lines.append(
            f"  F0 below the noise in {len(counts)} ROIs, for {min(counts)} to {max(counts)} of {report.n_frames} "
            "frames: divided by the noise there instead of F0"
        )
    return lines


def judge_noise(level: float) -> str:
    """A word for a noise level (percent per sqrt(Hz))."""
    if level < 2:
        return "low"
    if level < 5:
        return "moderate"
    return "high: single spikes will often be missed"


def describe_expected(figures: dict, noise_level: float, frame_rate: float) -> str:
    """What a model reached under conditions like these, which are named where they are not the recording's own."""
    where, measured = "this noise level", ""
    if not isclose(figures["noise_level"], noise_level, rel_tol=1e-3):
        extreme = "highest" if figures["noise_level"] < noise_level else "lowest"
        where = f"noise level {figures['noise_level']:g}, the {extreme} that was measured"
    if not isclose(figures["frame_rate_hz"], frame_rate, rel_tol=1e-3):
        measured = f"measured at {figures['frame_rate_hz']:g} Hz, the nearest frame rate, "
    return (
        f"expected at {where}: correlation {figures['correlation']:.2f} with the true spikes, error "
        f"{figures['error']:.1f} ({measured}on neurons not used for training)"
    )
