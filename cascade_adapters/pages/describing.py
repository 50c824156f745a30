"""What was run, as a table of words."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from cascade_adapters.containers.base import Container
from cascade_adapters.results import Record
from cascade_adapters.running.options import Options
from cascade_adapters.running.report import NEUROPIL_WORDS

#: A table: headings, each with names and values.
Table = list[tuple[str, list[tuple[str, str]]]]


def readable_time(created: str) -> str:
    """A time of a record (ISO 8601) as people write it; as it is where it is none."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return created
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC") if moment.tzinfo else created


def run_table(container: Container, record: Record) -> Table:
    """What was run on what, from the record."""
    return [
        ("Recording", _recording(container, record)),
        ("Traces", _traces(record)),
        ("Model", _model(record)),
        ("Made", [("date", readable_time(record.created)), *((name, text) for name, text in record.software.items())]),
        ("Options given", _options(record.asked)),
    ]


def _recording(container: Container, record: Record) -> list[tuple[str, str]]:
    size = record.recording
    minutes = size.grid.n_frames / size.frame_rate_hz / 60
    found = [
        ("path", str(container.path)),
        ("container", container.kind),
        ("size", f"{size.n_rois} ROIs, {size.n_frames} frames, {minutes:.1f} min"),
        ("frame rate", f"{size.frame_rate_hz:.6g} Hz ({size.frame_rate_source or 'source not noted'})"),
    ]
    if size.segments:
        frames = ", ".join(map(str, size.segments[:20])) + (", ..." if len(size.segments) > 20 else "")
        found.append(("segments", f"{len(size.segments)}, of {frames} frames"))
    found.append(("indicator", size.indicator or "not named in the file"))
    for earlier in record.converted:
        found.append(("converted from", ", ".join(f"{key} {value}" for key, value in earlier.items())))
    return found


def _traces(record: Record) -> list[tuple[str, str]]:
    traces = record.traces
    kind = "in arbitrary units" if traces.arbitrary_units else f"dF/F, {_origin(traces.dff)}"
    found = [("source", traces.source), ("kind", kind)]
    baseline = traces.baseline or {}
    if traces.neuropil_coefficient is not None:
        how = NEUROPIL_WORDS.get(str(baseline.get("neuropil")), "subtracted")
        found.append(("neuropil", f"coefficient {traces.neuropil_coefficient:g}, {how}"))
    if traces.offset:
        found.append(("offset of the detector", f"{traces.offset:g} counts, subtracted first"))
    rest = {key: value for key, value in baseline.items() if key != "neuropil"}
    if rest:
        found.append(("F0", ", ".join(f"{key.replace('_', ' ')} {_plain(value)}" for key, value in rest.items())))
    return found


def _origin(dff: str) -> str:
    return "computed by cascade-spikes" if dff == "computed" else "as the container has it"


def _model(record: Record) -> list[tuple[str, str]]:
    model, settings = record.model, record.settings
    smoothing, kernel = settings.resolved_kernel
    threshold = {0: "no negative values", 1: "nothing below a third of a spike"}
    found = [("name", model.name), ("family", model.family), ("fingerprint", model.fingerprint[:16] or "not noted")]
    if model.asked_for:
        found.append(("stands for", model.asked_for))
    found += [
        ("smoothing", f"{1000 * smoothing:.3g} ms, {kernel} kernel"),
        ("population", settings.population or "any"),
        ("indicator told", settings.given_indicator or "none"),
        ("threshold", "none" if settings.threshold is False else threshold.get(settings.threshold, "none")),
    ]
    return found


def _options(asked: dict[str, Any]) -> list[tuple[str, str]]:
    usual = Options().to_dict()
    found = [
        (key.replace("_", " "), _plain(value))
        for key, value in asked.items()
        if value is not None and value != usual.get(key)
    ]
    return found or [("all", "defaults")]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {_plain(each)}" for key, each in value.items())
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]} ..."
