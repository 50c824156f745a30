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


@dataclass
class Addition:
    """Results of one recording, ready to be written.

    Attributes
    ----------
    results : Results
        Arrays (n_rois, n_frames).
    series : str
        Path of the series that they are made from.
    table : str
        Path of the ROI table.
    rows : array, shape (n_rois,), int
        Rows of the table.
    timing : Timing
        When frames were taken.
    """

    results: Results
    series: str
    table: str
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
    columns : dict of str to array, shape (n_spikes,)
        ``spike_times`` (s, on the clock of the file), ``frame`` and ``confidence`` of each spike.
    descriptions : dict of str to str
        What each is.
    until : array, shape (n_rois,), uint64
        Number of spikes of each ROI and those before it: the index of a ragged column.
    """

    columns: dict[str, np.ndarray]
    descriptions: dict[str, str]
    until: np.ndarray

    @classmethod
    def of(cls, spikes: Spikes, addition: Addition) -> UnitColumns:
        """The spikes that go with an addition."""
        timing, frame = addition.timing, spikes.frame
        if timing.timestamps is None:
            times = timing.starting_time + frame / timing.frame_rate
        else:
            times = timing.timestamps[frame].astype(float)
        return cls(
            {"spike_times": times, "frame": frame, "confidence": spikes.confidence.astype(np.float32)},
            {
                "spike_times": layout.SPIKE_TIMES_DESCRIPTION,
                "frame": layout.FRAME_DESCRIPTION,
                "confidence": layout.CONFIDENCE_DESCRIPTION,
            },
            np.cumsum(np.bincount(spikes.roi, minlength=len(addition.rows))).astype(np.uint64),
        )
