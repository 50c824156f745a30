"""Where results lie in an NWB file, and what is said of them there; alike for HDF5 and Zarr.

``processing/ophys`` gets a container for each array with a value per ROI and frame (``CascadeSpikes`` for expected
spikes per frame, ``CascadeDfOverF``, or ``CascadeTraces`` if these are in arbitrary units, ``CascadeFooBar`` for an
array ``foo_bar``). Every recording has a series in each; and a table with a column for each array with one value per
ROI, ``CascadeNoiseLevels_NAME``, and, where they were asked for, one of discrete spikes, ``CascadeUnits_NAME``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from cascade_adapters.results import schema
from cascade_adapters.results.schema import ResultArray

if TYPE_CHECKING:
    import h5py
    import zarr

MODULE = "ophys"
MODULE_DESCRIPTION = "optical physiology: results of cascade-spikes"

#: Containers and columns with names of their own; all others are named like their array.
_CONTAINERS = {"spike_prob": "CascadeSpikes"}
_COLUMNS = {"noise_levels": "noise_level"}

#: Unit of traces in arbitrary units, and the container that they are in instead of one for dF/F.
_ARBITRARY, _NO_DFF = "arbitrary units", ("CascadeTraces", "Fluorescence")

TABLE = "CascadeNoiseLevels"
UNITS = "CascadeUnits"

TABLE_DESCRIPTION = "What is known of each ROI (cascade-spikes)."
ROI_COLUMN_DESCRIPTION = "The ROI that the row is about."
UNITS_DESCRIPTION = (
    "Discrete spikes of each ROI (cascade-spikes): those whose smoothing kernels add up to what is nearest to the "
    "expected spikes. Single ones can be trusted at low noise only, up to about 2 percent per sqrt(Hz)."
)
SPIKE_TIMES_DESCRIPTION = "Times of spikes in s, on the clock of the file: those of their frames."
OBSERVED_DESCRIPTION = (
    "Times for which there are expected spikes, in s. A ROI with no time at all has no prediction: it is not silent. "
    "Its only interval is empty, since some readers need one."
)
FRAME_DESCRIPTION = "Frame of the series in which each spike is, from 0."
CONFIDENCE_DESCRIPTION = (
    "By how much the fit is worse without each spike: 1 for one that stands alone and fits exactly, near 0 for one "
    "that might as well be left out."
)
REGION_DESCRIPTION = "ROIs of this series"

#: Frames and ROIs of a chunk: 512 KB, so that both one ROI's trace and one moment are read fast.
CHUNK = (4096, 32)

#: Sign, exponent and the first 28 binary digits of a number in double precision.
_KEPT_DIGITS = np.uint64(0xFFFF_FFFF_FF00_0000)

_LONGEST_RESOLUTION_S = 0.01

#: Bytes of an array that are in memory at a time while it is written.
_WRITTEN_BYTES = 64_000_000


def container_of(array: ResultArray) -> tuple[str, str]:
    """Name and type of the container that holds the series of an array."""
    if array.name == "dff":
        return _NO_DFF if array.unit == _ARBITRARY else ("CascadeDfOverF", "DfOverF")
    name = _CONTAINERS.get(array.name) or "Cascade" + "".join(word.capitalize() for word in array.name.split("_"))
    return name, "Fluorescence"


def column_of(array: ResultArray) -> str:
    """Name of the column of an array with one value per ROI."""
    return _COLUMNS.get(array.name, array.name)


def unit_of(array: ResultArray) -> str:
    """Unit of the stored values of a series."""
    if array.name == "spike_prob":
        return "Hz"
    return "n.a." if array.unit == "fraction" else array.unit


def stored_type(array: ResultArray) -> str:
    """Type of the stored values of a series."""
    return "float64" if array.name == "spike_prob" else array.dtype


def stored_values(array: ResultArray, values: np.ndarray, frame_rate: float) -> np.ndarray:
    """Values of a series as they are stored: expected spikes per frame as a rate in Hz.

    Many readers know no `conversion` of a series, so that rates have none. They have 28 binary digits, from which
    `values_of` gets those of single precision back to the last one; the zeros behind them take no room once compressed.
    """
    if array.name != "spike_prob":
        return np.asarray(values, dtype=array.dtype)
    rates = np.asarray(values, dtype=np.float64) * frame_rate
    return (rates.view(np.uint64) & _KEPT_DIGITS).view(np.float64)


def values_of(array: ResultArray, stored: np.ndarray, conversion: float, frame_rate: float) -> np.ndarray:
    """What `stored_values` was made from; up to version 0.2.0 the `conversion` of a series was the frame rate."""
    if array.name == "spike_prob" and conversion != frame_rate:
        stored = np.asarray(stored, dtype=np.float64) * (conversion / frame_rate)
    return np.asarray(stored, dtype=np.float32)


def resolution_of(frame_rate: float) -> float:
    """Resolution of spike times in s: a frame, or the longest that nwbinspector does not take for a mistake."""
    return min(1.0 / frame_rate, _LONGEST_RESOLUTION_S)


def description_of(array: ResultArray) -> str:
    """What a series or a column is."""
    unit = "that number times the frame rate, in Hz" if array.name == "spike_prob" else array.unit
    stored = f"cascade-spikes: {array.description} Stored as: {unit}."
    return f"{stored} The comments hold the record of how it came about, as JSON." if array.has_frames else stored


def arrays_with_frames(among: Collection[str], arbitrary_units: bool = False) -> list[ResultArray]:
    """The arrays that are written as series, as far as there are any of these names."""
    return [array.in_units(arbitrary_units) for array in schema.ARRAYS if array.has_frames and array.name in among]


def arrays_by_roi(among: Collection[str], arbitrary_units: bool = False) -> list[ResultArray]:
    """The arrays that are written as columns of a table, as far as there are any of these names."""
    return [array.in_units(arbitrary_units) for array in schema.ARRAYS if not array.has_frames and array.name in among]


def rois_at_a_time(n_frames: int) -> int:
    """How many ROIs of an array are written together: whole chunks, so that none is compressed twice."""
    return CHUNK[1] * max(1, _WRITTEN_BYTES // (4 * CHUNK[1] * max(n_frames, 1)))


@dataclass(frozen=True)
class Names:
    """Paths of the results of one recording inside a file.

    Attributes
    ----------
    series : dict of str to str
        The series of each array with a value per ROI and frame, by the array's name.
    table : str
        The table with a row per ROI.
    columns : dict of str to str
        The column of each array with one value per ROI, by the array's name.
    units : str or None
        The table of discrete spikes.
    """

    series: dict[str, str]
    table: str
    columns: dict[str, str]
    units: str | None

    @property
    def all(self) -> list[str]:
        """Every series and table."""
        return [*self.series.values(), self.table, *([] if self.units is None else [self.units])]

    @property
    def arrays(self) -> dict[str, str]:
        """Where the values of each array are: a series, or a column of the table."""
        return {**self.series, **{name: f"{self.table}/{column}" for name, column in self.columns.items()}}


def emptied_by_removing(root: h5py.File | zarr.Group, names: Names) -> Iterator[str]:
    """Paths of what was made to hold results and holds nothing any more; each is to be removed before the next."""
    module = f"/processing/{MODULE}"
    for path in (*(series.rpartition("/")[0] for series in names.series.values()), module):
        is_empty = path in root and not len(root[path])
        if is_empty and (path != module or root[path].attrs.get("description") == MODULE_DESCRIPTION):
            yield path


def at(name: str) -> str:
    """Path of something in the module that results go into."""
    return f"/processing/{MODULE}/{name}"


def numbered(name: str) -> Iterator[str]:
    """The name, and the same with the numbers from 2 on."""
    return (name if number == 1 else f"{name}{number}" for number in count(1))


def one_each(n_rows: int) -> np.ndarray:
    """Index of a column with one entry per row of the table of spikes.

    Its reference to the ROI is written as a list of one, as NWB does with electrodes: of a plain reference, pynapple
    takes the masks of all ROIs as facts about the units, reads them all, and cannot print them.
    """
    return np.arange(1, n_rows + 1, dtype=np.uint64)
