"""The page of one recording, made from the results and the record that are stored with it, and from nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cascade_adapters.containers.base import Container, Reading
from cascade_adapters.pages import charts
from cascade_adapters.pages.advice import advice_on
from cascade_adapters.pages.citing import citations
from cascade_adapters.pages.describing import readable_time, run_table
from cascade_adapters.pages.examples import nearest_examples
from cascade_adapters.pages.expecting import Expected, expected, measured_levels, zone_of
from cascade_adapters.pages.frames import frames_of, left_out_spans
from cascade_adapters.pages.noise import noise_chart, noise_words
from cascade_adapters.pages.rendering import render
from cascade_adapters.pages.summary import summarize
from cascade_adapters.pages.viewer_data import example_data, recording_data
from cascade_adapters.results import Results
from cascade_engine.discrete import TRUSTED_NOISE_LEVEL
from cascade_engine.errors import CascadeError, InputError
from cascade_engine.reasons import group_reasons

#: Noise levels are about the same up to this difference of logarithms: a factor of 1.5.
_NEAR = float(np.log(1.5))


@dataclass(frozen=True)
class Row:
    """What the overview shows of a recording; None where nothing is known or claimed.

    Attributes
    ----------
    name, path, kind : str
        The recording.
    status : str
        In a few words: what is doubtful, or why there is no page.
    n_rois, n_predicted : int or None
        ROIs, and those with a prediction.
    duration_min, frame_rate_hz : float or None
        Its size.
    noise_level : float or None
        Median, in percent per sqrt(Hz).
    zone, correlation : str
        What is claimed.
    rate_hz : float or None
        Median over ROIs of the mean rate.
    n_warnings : int
        Warnings of the run.
    """

    name: str
    path: str
    kind: str
    status: str = ""
    n_rois: int | None = None
    n_predicted: int | None = None
    duration_min: float | None = None
    frame_rate_hz: float | None = None
    noise_level: float | None = None
    zone: str = ""
    correlation: str = ""
    rate_hz: float | None = None
    n_warnings: int = 0


def recording_page(container: Container, rois: tuple[int, ...] = ()) -> tuple[str, Row]:
    """The page of one recording.

    Parameters
    ----------
    container : Container
        A recording with results.
    rois : tuple of int
        ROIs of which all frames are to be shown, besides those that are chosen anyway.

    Returns
    -------
    page : str
        HTML.
    row : Row
        For the overview.

    Raises
    ------
    InputError
        If there are no results, they are damaged, or there is no such ROI.
    """
    results = container.results()
    if results is None:
        raise InputError(f"{container.path} has no results to report: use 'cascade run' first")
    wrong = [roi for roi in rois if not 0 <= roi < results.shape[0]]
    if wrong:
        raise InputError(f"{container.path} has no ROI {wrong[0]}: there are {results.shape[0]}, counted from 0")
    page = _Page(container, results)
    return render("recording.html", page.content(rois)), page.row()


class _Page:
    """What the page shows, each fact once."""

    def __init__(self, container: Container, results: Results):
        self._container, self._results, self._record = container, results, results.record
        self._summary = summarize(results)
        self._changes = container.changes()

    @cached_property
    def _is_predicted(self) -> np.ndarray:
        return np.isfinite(self._summary.mean_prob)

    @cached_property
    def _is_cell(self) -> np.ndarray | None:
        """ROIs that the container takes for cells, where it still says so."""
        try:
            is_cell = self._container.traces(Reading.asked_for(self._record.asked)).is_cell
        except (CascadeError, TypeError):
            return None
        return is_cell if is_cell is not None and len(is_cell) == len(self._is_predicted) else None

    @cached_property
    def _noise_levels(self) -> np.ndarray:
        """Noise level of each ROI that can be compared with the ground truth; NaN where there is none."""
        stored = np.asarray(self._results.noise_levels[:], dtype=np.float64)
        kept = self._record.rois.comparable_noise_levels
        comparable = np.array(kept, dtype=np.float64) if len(kept) == len(stored) else stored
        return np.full_like(stored, np.nan) if self._record.traces.arbitrary_units else comparable

    @cached_property
    def _median_noise(self) -> float | None:
        known = self._noise_levels[np.isfinite(self._noise_levels)]
        return float(np.median(known)) if known.size else None

    @cached_property
    def _rates_hz(self) -> np.ndarray:
        return self._summary.mean_prob * self._record.recording.frame_rate_hz

    @cached_property
    def _doubts(self) -> list[str]:
        """Why nothing is claimed of noise and accuracy; empty if it is."""
        found = []
        if self._changes:
            found.append(f"These results are stale: {'; '.join(self._changes)}.")
        if self._record.traces.arbitrary_units:
            found.append("The traces are in arbitrary units, so their noise level is not known.")
        if self._record.traces.denoised or self._summary.smoothed:
            found.append("The traces are denoised or smoothed, so their noise level says nothing.")
        return found

    @cached_property
    def _expected(self) -> Expected | None:
        if self._doubts or self._median_noise is None or not self._is_predicted.any():
            return None
        return expected(self._record, self._median_noise)

    @property
    def _name(self) -> str:
        path = self._container.path.absolute()
        parts = [str(part) for part in self._container.told_apart if part not in (None, "", 1)]
        folders = list(path.parts[1:-1][-2:]) if path.is_dir() else []
        return " / ".join([*folders, path.name, *parts])

    def row(self) -> Row:
        """For the overview."""
        size = self._record.recording
        rates = self._rates_hz[self._is_predicted]
        claims = not self._doubts and self._median_noise is not None
        return Row(
            name=self._name,
            path=str(self._container.path),
            kind=self._container.kind,
            status=" ".join(self._doubts),
            n_rois=size.n_rois,
            n_predicted=int(np.count_nonzero(self._is_predicted)),
            duration_min=size.grid.n_frames / size.frame_rate_hz / 60,
            frame_rate_hz=size.frame_rate_hz,
            noise_level=self._median_noise if claims else None,
            zone=zone_of(self._median_noise) if claims and self._median_noise is not None else "",
            correlation=self._expected.correlation if self._expected else "",
            rate_hz=float(np.median(rates)) if rates.size else None,
            n_warnings=len(self._record.warnings),
        )

    def content(self, rois: tuple[int, ...]) -> dict[str, Any]:
        """Everything that the template asks for."""
        record, row, expects = self._record, self.row(), self._expected
        data, blocks = recording_data(
            self._results,
            self._summary,
            self._noise_levels,
            self._is_cell,
            rois,
            left_out_spans(record.recording),
        )
        claims = row.noise_level is not None
        examples, example = None, None
        if claims and self._median_noise is not None:
            examples = nearest_examples(record.recording.frame_rate_hz, self._median_noise)
            data["examples"], blocks["examples"] = example_data(examples)
            example = {
                "noise_level": examples[0].noise_level,
                "frame_rate": examples[0].frame_rate,
                "is_near": abs(np.log(examples[0].noise_level / self._median_noise)) < _NEAR,
            }
        smoothing, kernel = record.settings.resolved_kernel
        how = f"{kernel} kernel of {1000 * smoothing:.3g} ms"
        return {
            "title": f"Spike inference: {self._name}",
            "row": row,
            "record": record,
            "made": readable_time(record.created),
            "doubts": self._doubts,
            "is_stale": bool(self._changes),
            "unit": "arbitrary units" if record.traces.arbitrary_units else "dF/F",
            "noise_svg": noise_chart(self._noise_levels, claims),
            "noise_words": self._noise_words() if claims else [],
            "expected": expects,
            "measured": "" if expects or self._doubts else measured_levels(record),
            "example": example,
            "rate_svg": charts.rate_chart(rates) if (rates := self._rates_hz[self._is_predicted]).size else "",
            "frames": frames_of(record.recording, self._summary),
            "flags": self._flags(),
            "without": [(reason, listed) for reason, listed in group_reasons(dict(record.rois.without_prediction))],
            "warnings": [(text, advice_on(text)) for text in self._warnings()],
            "run": run_table(self._container, record),
            "record_json": _short_record(record.to_dict()),
            "citations": citations(record.model.name, record.written_by, how),
            "spikes": record.discrete_spikes,
            "spikes_made": readable_time(record.discrete_spikes.created) if record.discrete_spikes else "",
            "trusted_noise": TRUSTED_NOISE_LEVEL,
            "data": data,
            "blocks": blocks,
        }

    def _warnings(self) -> list[str]:
        found = list(self._record.warnings)
        smoothed = self._summary.smoothed
        if smoothed and not any("smoothed" in text for text in found):
            found.append(smoothed)
        spikes = self._record.discrete_spikes
        return [*found, *(text for text in (spikes.warnings if spikes else []) if text not in found)]

    def _noise_words(self) -> list[str]:
        used = np.asarray(self._results.noise_levels[:], dtype=np.float64)
        return noise_words(self._noise_levels, used)

    def _flags(self) -> list[str]:
        record, found = self._record, []
        guarded = record.rois.guarded_frames
        if guarded:
            counts = list(guarded.values())
            found.append(
                f"F0 lay below the noise in {len(counts)} ROIs, for {min(counts)} to {max(counts)} frames: dF/F was "
                "divided by the noise there. A smaller neuropil coefficient, or --neuropil changes, avoids it."
            )
        if record.rois.rest_offsets:
            values = list(record.rois.rest_offsets.values())
            found.append(
                f"The dF/F of {len(values)} ROIs did not rest at 0, but at {min(values):.2f} to {max(values):.2f}: "
                "this was subtracted."
            )
        if record.traces.dff == "computed" and not record.traces.arbitrary_units:
            if record.traces.neuropil_coefficient is None:
                found.append("No neuropil was subtracted.")
            elif not guarded:
                found.append("F0 lay above the noise in all frames of all ROIs.")
        return found


def _short_record(record: dict[str, Any]) -> str:
    """The record as text, without what it holds ROI by ROI."""
    kept = {key: value for key, value in record.items() if key != "rois"}
    return json.dumps(kept, indent=1, ensure_ascii=False)
