"""Frames that are left out, dropped or missing, as spans of time."""

from __future__ import annotations

from typing import Any

import numpy as np

from cascade_adapters.pages.charts import Lane, frames_chart
from cascade_adapters.pages.summary import Summary
from cascade_adapters.results.record import RecordingUsed
from cascade_engine.signal.frames import frame_mask, frame_ranges, frame_text

#: Parts of the ROIs below this are not drawn.
_LEAST_PART = 0.002

#: Spans of one kind that are drawn; where there are more, neighbours are drawn together.
_MOST_SPANS = 2000


def left_out_spans(recording: RecordingUsed) -> list[tuple[float, float]]:
    """When no frame counts, in s: frames that are left out or dropped."""
    return _spans(_excluded(recording) | _dropped(recording), recording.frame_rate_hz)


def frames_of(recording: RecordingUsed, summary: Summary) -> dict[str, Any]:
    """Sentences and a chart of frames that do not count; the chart is empty if all do."""
    rate, grid = recording.frame_rate_hz, recording.grid
    words, lanes = [], []
    for source, text in recording.excluded_frames.items():
        mask = _on_grid(recording, text)
        words.append(f"{np.count_nonzero(mask)} of {recording.n_frames} frames are left out: {source}.")
        lanes.append(Lane(_short(source), [(*span, 1.0) for span in _spans(mask, rate)]))
    dropped = _dropped(recording)
    if dropped.any():
        words.append(f"{np.count_nonzero(dropped)} frames were dropped between those that are stored.")
        lanes.append(Lane("dropped", [(*span, 1.0) for span in _spans(dropped, rate)]))
    edges = np.minimum(np.arange(len(summary.missing) + 1) * summary.frames_per_bin, grid.n_frames)
    left_out = np.concatenate([[0], np.cumsum(_excluded(recording) | dropped)])
    share = np.diff(left_out[edges]) / np.maximum(np.diff(edges), 1)
    missing = np.clip(summary.missing - share, 0.0, 1.0)
    unpredicted = np.clip(summary.unpredicted - summary.missing, 0.0, 1.0)
    for name, part, sentence in (
        ("missing dF/F", missing, "In some further frames dF/F is missing: darker means in more ROIs."),
        (
            "no prediction",
            unpredicted,
            "Some frames have dF/F, but no prediction, since frames beside them are missing.",
        ),
    ):
        if (part > _LEAST_PART).any():
            words.append(sentence)
            lanes.append(Lane(name, _shades(part, edges / rate)))
    borders = np.cumsum(grid.segments or [grid.n_frames])[:-1] / rate
    if len(borders):
        words.append(f"The recording has {len(borders) + 1} segments; dashed lines show where one ends.")
    chart = frames_chart(lanes, grid.n_frames / rate, borders.tolist()) if lanes or len(borders) else ""
    return {"words": words or ["All frames count: none is left out, dropped or missing."], "svg": chart}


def _excluded(recording: RecordingUsed) -> np.ndarray:
    masks = [_on_grid(recording, text) for text in recording.excluded_frames.values()]
    return np.any([np.zeros(recording.grid.n_frames, dtype=bool), *masks], axis=0)


def _on_grid(recording: RecordingUsed, text: str) -> np.ndarray:
    mask = np.zeros(recording.grid.n_frames, dtype=bool)
    mask[recording.grid.positions[frame_mask(text, recording.n_frames)]] = True
    return mask


def _dropped(recording: RecordingUsed) -> np.ndarray:
    mask = np.ones(recording.grid.n_frames, dtype=bool)
    mask[recording.grid.positions] = False
    return mask


def _spans(mask: np.ndarray, rate: float) -> list[tuple[float, float]]:
    """Begin and end in s of runs of frames."""
    size, coarse = 1, mask
    while np.count_nonzero(np.diff(coarse)) > 2 * _MOST_SPANS:  # then spans are too near to be told apart
        size *= 2
        coarse = np.asarray(np.pad(mask, (0, -len(mask) % size)).reshape(-1, size).any(axis=1))
    ranges = [(first * size, min((last + 1) * size, len(mask))) for first, last in frame_ranges(frame_text(coarse))]
    return [(round(first / rate, 3), round(end / rate, 3)) for first, end in ranges]


def _shades(part: np.ndarray, edges_s: np.ndarray) -> list[tuple[float, float, float]]:
    return [
        (float(begin), float(end), 0.15 + 0.85 * float(strength))
        for strength, begin, end in zip(part, edges_s[:-1], edges_s[1:], strict=True)
        if strength > _LEAST_PART
    ]


def _short(source: str) -> str:
    return source if len(source) <= 24 else f"{source[:23]}…"
