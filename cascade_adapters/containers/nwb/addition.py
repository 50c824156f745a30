"""Results of one recording, ready to be written into an NWB file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cascade_adapters.containers.nwb import layout
from cascade_adapters.containers.nwb.layout import Names
from cascade_adapters.containers.nwb.results import WRITTEN_BY
from cascade_adapters.containers.nwb.timing import Timing
from cascade_adapters.results import Results, Spikes
from cascade_adapters.results.rows import blocks_of


@dataclass
class Addition:
    """Results of one recording, ready to be written.

    Attributes
    ----------
    results : Results
        Arrays (n_rois, n_frames).
    series : str
        Path of the series that they are made from.
    table : str or None
        Path of the ROI table; None for a series without ROIs.
    rows : array, shape (n_rois,), int
        Rows of the table.
    timing : Timing
        When frames were taken.
    """

    results: Results
    series: str
    table: str | None
    rows: np.ndarray
    timing: Timing

    @property
    def comments(self) -> str:
        """The record as JSON."""
        return self.results.record.to_json()

    @property
    def arbitrary_units(self) -> bool:
        """Whether what spikes were inferred from is no dF/F."""
        return self.results.record.traces.arbitrary_units

    def with_record(self, names: Names, copy_of: dict[str, Any] | None, stamp_ns: int | None) -> Addition:
        """The same with a record that remembers where everything is.

        Parameters
        ----------
        names : Names
            Where the results go.
        copy_of : dict or None
            What is remembered of the file that a new one is a copy of.
        stamp_ns : int or None
            Time of modification of the new file.
        """
        facts = {
            **WRITTEN_BY,
            "series": self.series,
            "arrays": names.arrays,
            "table": names.table,
            "units": names.units,
            "copy_of": copy_of,
            "stamp_ns": stamp_ns,
        }
        results = replace(self.results, record=self.results.record.remembering(nwb=facts))
        return replace(self, results=results)


@dataclass(frozen=True)
class UnitColumns:
    """Discrete spikes as columns of a table with a row per ROI.

    Attributes
    ----------
    columns : dict of str to array
        ``spike_times`` (s, on the clock of the file), ``frame`` and ``confidence`` of each spike, shape (n_spikes,);
        ``obs_intervals``, the begin and end (s) of each time with a prediction, shape (n_intervals, 2).
    descriptions : dict of str to str
        What each is.
    until : dict of str to array, shape (n_rois,), uint64
        Number of entries of each ROI and those before it: the index of a ragged column.
    """

    columns: dict[str, np.ndarray]
    descriptions: dict[str, str]
    until: dict[str, np.ndarray]

    @classmethod
    def of(cls, spikes: Spikes, addition: Addition) -> UnitColumns:
        """The spikes that go with an addition."""
        times = addition.timing.times_of(spikes.frame)
        intervals, n_intervals = _observed(addition)
        n_spikes = np.bincount(spikes.roi, minlength=len(addition.rows))
        until_spike, until_interval = (np.cumsum(counts).astype(np.uint64) for counts in (n_spikes, n_intervals))
        return cls(
            {
                "spike_times": times,
                "obs_intervals": intervals,
                "frame": spikes.frame,
                "confidence": spikes.confidence.astype(np.float32),
            },
            {
                "spike_times": layout.SPIKE_TIMES_DESCRIPTION,
                "obs_intervals": layout.OBSERVED_DESCRIPTION,
                "frame": layout.FRAME_DESCRIPTION,
                "confidence": layout.CONFIDENCE_DESCRIPTION,
            },
            {
                "spike_times": until_spike,
                "obs_intervals": until_interval,
                "frame": until_spike,
                "confidence": until_spike,
            },
        )


def _observed(addition: Addition) -> tuple[np.ndarray, np.ndarray]:
    """Begin and end (s) of all times with a prediction, and how many there are of each ROI."""
    timing = addition.timing
    n_frames = addition.results.shape[1]
    begins = np.zeros(n_frames + 1, dtype=bool)  # frames that do not follow on the one before
    begins[[0, *np.cumsum(timing.segments or [n_frames])]] = True
    begins[list(timing.dropped)] = True
    intervals, counts = [], []
    for _, block in blocks_of(addition.results.arrays["spike_prob"]):
        for known in np.isfinite(block):
            known = np.concatenate([[False], known, [False]])
            first = np.flatnonzero(known[1:] & (~known[:-1] | begins))
            last = np.flatnonzero(known[:-1] & (~known[1:] | begins)) - 1
            begin, end = timing.times_of(first), timing.times_of(last) + 1.0 / timing.frame_rate
            if not first.size:
                begin = end = timing.times_of(np.zeros(1, dtype=int))
            intervals.append(np.stack([begin, end], axis=1))
            counts.append(len(begin))
    return np.concatenate([np.zeros((0, 2)), *intervals]), np.array(counts, dtype=int)
