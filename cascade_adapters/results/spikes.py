"""Discrete spikes of a recording, in the form in which every container writes them: one row per spike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass
class Spikes:
    """Discrete spikes of a recording, by ROI and time: one entry per spike in each array.

    Attributes
    ----------
    roi : array, shape (n_spikes,), int64
        Row of the ROI in the container.
    frame : array, shape (n_spikes,), int64
        Frame of the spike, from 0.
    time_s : array, shape (n_spikes,), float64
        Time in s: the frame, counted with those that were dropped before it, divided by the frame rate; unless the
        container has times of its own.
    confidence : array, shape (n_spikes,), float64
        As in `cascade_engine.DiscreteSpikes`.
    """

    roi: np.ndarray
    frame: np.ndarray
    time_s: np.ndarray
    confidence: np.ndarray

    #: Names of the columns of `table`.
    COLUMNS: ClassVar[tuple[str, ...]] = ("roi", "frame", "time_s", "confidence")

    def __repr__(self) -> str:
        return f"<Spikes: {len(self.roi)} in {len(np.unique(self.roi))} ROIs>"

    @property
    def table(self) -> np.ndarray:
        """Everything in one array, shape (n_spikes, 4), float64."""
        return np.stack([getattr(self, name) for name in self.COLUMNS], axis=1).astype(np.float64)

    @classmethod
    def from_table(cls, table: np.ndarray) -> Spikes:
        """Spikes from their `table`; `ValueError` if it is not one."""
        table = np.asarray(table, dtype=np.float64).reshape(-1, len(cls.COLUMNS))
        roi, frame, time_s, confidence = table.T.copy()
        return cls(roi.astype(np.int64), frame.astype(np.int64), time_s, confidence)
