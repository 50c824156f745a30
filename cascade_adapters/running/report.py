"""What happened to one recording."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Report:
    """What happened to one recording.

    Attributes
    ----------
    path : str
        Where it lies.
    kind : str
        Kind of container.
    status : {"done", "skipped", "planned", "failed"}
        How it ended.
    message : str
        Why it failed or was skipped.
    model : str
        Name of the model.
    indicator : str or None
        Calcium indicator that the model was told.
    traces : str
        Which of its traces were used.
    n_rois, n_frames : int
        Its size.
    frame_rate : float
        In Hz.
    noise_level : float or None
        Median noise level over ROIs, in percent per sqrt(Hz).
    expected : dict or None
        What the model reached at this frame rate and noise level (`cascade_engine.evaluation.expected_figures`).
    without_prediction : dict of str to str
        Reason for each ROI (by its number) that has no prediction.
    guarded : int
        ROIs in which F0 lay below the noise somewhere.
    warnings : list of str
        What is doubtful.
    written : list of str
        Files or datasets.
    """

    path: str
    kind: str
    status: str = "done"
    message: str = ""
    model: str = ""
    indicator: str | None = None
    traces: str = ""
    n_rois: int = 0
    n_frames: int = 0
    frame_rate: float = 0.0
    noise_level: float | None = None
    expected: dict[str, Any] | None = None
    without_prediction: dict[str, str] = field(default_factory=dict)
    guarded: int = 0
    warnings: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
