"""What was found and done in one recording: the same report from ``inspect``, ``run`` and ``spikes``."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from cascade_adapters.results import Record
from cascade_engine.reasons import group_reasons, listed
from cascade_engine.signal.dff import WITHIN_NOISE
from cascade_engine.signal.frames import frame_mask

#: What is subtracted of the neuropil, in words.
NEUROPIL_WORDS = {
    "changes": "only its changes subtracted",
    "half": "its changes and half of its level subtracted",
    "full": "all of it subtracted",
}


@dataclass(kw_only=True)
class Report:
    """What was found and done in one recording; what is not known is None.

    Attributes
    ----------
    path : str
        Where the recording lies.
    kind : str
        The kind of container.
    status : {"done", "found", "planned", "skipped", "failed"}
        How it ended: "found" by `inspect`, "planned" by a dry run.
    message : str
        Why it failed or was skipped.
    redone : list of str
        Why results that were there were made again (``--existing update``).
    traces : str
        Which of the container's traces were used.
    dff : {"computed", "container"} or None
        Whether dF/F was computed or taken from the container.
    arbitrary_units, denoised : bool
        Whether the traces are in arbitrary units, and whether they are known, or found, to be denoised or
        smoothed, so that their noise level says nothing.
    n_rois, n_cells, n_frames : int or None
        Size of the recording, and how many ROIs the container takes for cells.
    frame_rate_hz : float or None
        Frames per second of each ROI.
    frame_rate_source : str
        Where the frame rate comes from.
    duration_s : float or None
        Length of the recording in s.
    neuropil_coefficient : float or None
        Part of the neuropil that is subtracted; None without neuropil.
    neuropil : str or None
        What of it is subtracted (`cascade_engine.signal.dff.Baseline.neuropil`); None without neuropil.
    offset : float
        What is subtracted of raw fluorescence and neuropil before, in counts.
    segments : list of int or None
        Frames of each segment.
    excluded_frames : dict of str to str
        Frames that are left out, by what says so, as text: ``0-99,500``.
    n_dropped : int
        Frames that were dropped while it was recorded, and are missing between those that are stored.
    container_indicator : str or None
        Calcium indicator, as the container names it.
    model : str or None
        Name of the model.
    asked_for : str or None
        The published name for which this model answers.
    settings : dict or None
        What the model is set to.
    defaults : dict or None
        Which options a cascade.yaml gave: its path as file, and values.
    noise_level, noise_level_range
        Median noise level over ROIs, and the 10th and 90th percentile, in percent per sqrt(Hz).
    comparable_noise_level : float or None
        The median noise level that this recording would have with F - r Fneu, as the ground truth has it: the one to
        compare it by.
    expected : dict or None
        What the model reached under conditions like these (`cascade_engine.evaluation.expected_figures`).
    without_prediction : dict of int to str
        Reason for each ROI that has, or would have, no prediction.
    n_left_out : int
        ROIs that are left out because the container does not take them for cells (``--only-cells``).
    guarded_frames : dict of int to int
        Frames in which F0 lay below the noise, for ROIs with any that have a prediction all the same.
    rest_offsets : dict of int to float
        Where the container's dF/F of a ROI rested instead of at 0; this was subtracted.
    earlier_results : str or None
        State of results that were there before, in words.
    deconvolved : dict or None
        Whose rates are in the place of the container's own deconvolved traces (`inspect`), as of
        `cascade_adapters.containers.deconvolved.Deconvolved`; None where there is nothing to be said.
    n_spikes, n_active : int or None
        Discrete spikes, and ROIs that have any.
    median_rate_hz : float or None
        Median rate of discrete spikes over ROIs that have a prediction.
    warnings : list of str
        What is doubtful.
    written : list of str
        Files or datasets.
    restored : list of str
        What `restore` has done.
    page : str or None
        The page of `report` that was written.
    record : Record or None
        The record of the results that were written; not part of the JSON.
    """

    path: str
    kind: str
    status: str = "done"
    message: str = ""
    redone: list[str] = field(default_factory=list)
    traces: str = ""
    dff: str | None = None
    arbitrary_units: bool = False
    denoised: bool = False
    n_rois: int | None = None
    n_cells: int | None = None
    n_frames: int | None = None
    frame_rate_hz: float | None = None
    frame_rate_source: str = ""
    duration_s: float | None = None
    neuropil_coefficient: float | None = None
    neuropil: str | None = None
    offset: float = 0.0
    segments: list[int] | None = None
    excluded_frames: dict[str, str] = field(default_factory=dict)
    n_dropped: int = 0
    container_indicator: str | None = None
    model: str | None = None
    asked_for: str | None = None
    settings: dict[str, Any] | None = None
    defaults: dict[str, Any] | None = None
    noise_level: float | None = None
    noise_level_range: list[float] | None = None
    comparable_noise_level: float | None = None
    expected: dict[str, Any] | None = None
    without_prediction: dict[int, str] = field(default_factory=dict)
    n_left_out: int = 0
    guarded_frames: dict[int, int] = field(default_factory=dict)
    rest_offsets: dict[int, float] = field(default_factory=dict)
    earlier_results: str | None = None
    deconvolved: dict[str, Any] | None = None
    n_spikes: int | None = None
    n_active: int | None = None
    median_rate_hz: float | None = None
    warnings: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    page: str | None = None
    record: Record | None = None

    def __repr__(self) -> str:
        size = "" if self.n_rois is None else f", {self.n_rois} ROIs x {self.n_frames} frames"
        why = f" ({self.message})" if self.message else ""
        doubts = f", {len(self.warnings)} warnings" if self.warnings else ""
        return f"<Report {self.status}{why}: {self.path}{size}{doubts}>"

    @property
    def exclusion(self) -> str:
        """How many frames are left out, and why, in one line; empty if none is."""
        if not self.excluded_frames or not self.n_frames:
            return ""
        masks = {source: frame_mask(text, self.n_frames) for source, text in self.excluded_frames.items()}
        sources = ", ".join(f"{np.count_nonzero(mask)} {source}" for source, mask in masks.items())
        n_excluded = np.count_nonzero(np.any(list(masks.values()), axis=0))
        return f"{n_excluded} of {self.n_frames} frames are left out: {sources}"

    @property
    def rois_without_prediction(self) -> list[str]:
        """How many ROIs have no prediction, and why, one line per reason."""
        return [
            f"{len(rois)} of {self.n_rois} ROIs without prediction: {reason}"
            f"{'; --arbitrary-units goes on without dF/F' if reason == WITHIN_NOISE else ''} (ROI {listed(rois)})"
            for reason, rois in group_reasons(self.without_prediction)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not known is None, as everything about traces that were not read."""
        content = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "record"}
        always = {"redone", "warnings", "written", "restored"}
        return {
            name: None if value == "" or (self.dff is None and not value and name not in always) else value
            for name, value in content.items()
        }
