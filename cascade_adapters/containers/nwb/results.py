"""What is written into an NWB file, and how it is found again; alike for HDF5 and Zarr.

``processing/ophys`` gets ``CascadeSpikes`` (expected spikes per frame), ``CascadeDfOverF``, and per recording a table
of noise levels and, where they were asked for, one of discrete spikes. Provenance is the JSON text in the comments of
each series; it also tells that a series is ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade_adapters.containers.nwb.timing import Timing
from cascade_adapters.results import Record, Results, Spikes
from cascade_adapters.results.schema import complete
from cascade_engine.errors import InputError

if TYPE_CHECKING:
    import h5py
    import zarr

MODULE = "ophys"
MODULE_DESCRIPTION = "optical physiology: results of cascade-spikes"

SPIKES = "CascadeSpikes"
DFF = "CascadeDfOverF"
NOISE = "CascadeNoiseLevels"
UNITS = "CascadeUnits"

SPIKES_DESCRIPTION = (
    "Spikes inferred by CASCADE networks (cascade-spikes): expected spikes per frame; times conversion, in Hz. NaN "
    "where there is no prediction. The comments hold the provenance as JSON."
)
DFF_DESCRIPTION = (
    "dF/F, as a fraction, from which spikes were inferred (cascade-spikes). The comments hold the provenance as JSON."
)
NOISE_DESCRIPTION = "Noise level of dF/F per ROI (cascade-spikes): median absolute frame-to-frame change, per rate."
NOISE_COLUMN_DESCRIPTION = "Noise level in percent per sqrt(Hz); NaN where there is none."
ROI_COLUMN_DESCRIPTION = "The ROI that the row is about."
UNITS_DESCRIPTION = (
    "Discrete spikes of each ROI (cascade-spikes): those whose smoothing kernels add up to what is nearest to the "
    "expected spikes. Single ones can be trusted at low noise only, up to about 2 percent per sqrt(Hz)."
)
SPIKE_TIMES_DESCRIPTION = "Times of spikes in s, on the clock of the file."
FRAME_DESCRIPTION = "Frame of the series in which each spike is, from 0."
CONFIDENCE_DESCRIPTION = (
    "By how much the fit is worse without each spike: 1 for one that stands alone and fits exactly, near 0 for one "
    "that might as well be left out."
)
REGION_DESCRIPTION = "ROIs of this series"

#: Frames and ROIs of a chunk: 512 KB, so that both one ROI's trace and one moment are read fast.
CHUNK = (4096, 32)

#: In the record of what was written where.
WRITTEN_BY = {"written_by": "cascade-spikes"}


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
    def spike_times_s(self) -> np.ndarray:
        """Times of discrete spikes on the clock of the file, shape (n_spikes,)."""
        frame, timing = self.results.spikes.frame, self.timing
        if timing.timestamps is not None:
            return timing.timestamps[frame].astype(float)
        return timing.starting_time + frame / timing.frame_rate

    @property
    def spikes_until(self) -> np.ndarray:
        """Number of spikes of each ROI and those before it, shape (n_rois,): the index of a ragged column."""
        return np.cumsum(np.bincount(self.results.spikes.roi, minlength=len(self.rows))).astype(np.uint64)

    @property
    def comments(self) -> str:
        """The record as JSON."""
        return self.results.record.to_json()

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
            "dff": names.dff,
            "noise_levels": names.noise_levels,
            "units": None if self.results.spikes is None else names.units,
            "copy_of": copy_of,
            "stamp_ns": stamp_ns,
        }
        results = replace(self.results, record=self.results.record.remembering(nwb=facts))
        return replace(self, results=results)


@dataclass(frozen=True)
class Names:
    """Paths of results inside a file.

    Attributes
    ----------
    spikes, dff : str
        The two series.
    noise_levels : str
        The table of noise levels.
    units : str or None
        The table of discrete spikes.
    """

    spikes: str
    dff: str
    noise_levels: str
    units: str | None

    @property
    def all(self) -> tuple[str, ...]:
        """Every path."""
        return tuple(path for path in (self.spikes, self.dff, self.noise_levels, self.units) if path is not None)


@dataclass(frozen=True)
class Found:
    """Results of ours in a file.

    Attributes
    ----------
    names : Names
        Where they are.
    content : dict
        The record as it is stored; `Record.parse` reads it.
    """

    names: Names
    content: dict[str, Any]

    @property
    def facts(self) -> dict[str, Any]:
        """What was written where, and what the file is a copy of."""
        return _facts(self.content)

    @property
    def series(self) -> str:
        """Path of the series that they are made from."""
        return self.facts["series"]

    @property
    def copy_of(self) -> str | None:
        """Name or address of the file that this one is a copy of, if it was made to hold the results."""
        return (self.facts.get("copy_of") or {}).get("name")


def is_ours(comments: Any) -> bool:
    """Whether the comments of a series say that it is a result of ours."""
    return _content(comments) is not None


def find_results(root: h5py.File | zarr.Group) -> list[Found]:
    """All results of ours in a file.

    Parameters
    ----------
    root : h5py.File or zarr.Group
        Root of the file.

    Returns
    -------
    list of Found
        In order of their names.
    """
    module = f"processing/{MODULE}"
    found = []
    for container in sorted(root[module]) if module in root else ():
        group = root[module][container] if container.startswith(SPIKES) else ()
        for name in sorted(group):
            content = _content(group[name].attrs.get("comments"))
            if content is not None:
                paths = {key: _facts(content).get(key) for key in ("dff", "noise_levels", "units")}
                found.append(Found(Names(f"{_at(container)}/{name}", **paths), content))
    return found


def results_of(root: h5py.File | zarr.Group, series: str) -> Found | None:
    """The results that are made from a series, or None."""
    return next((found for found in find_results(root) if found.series == series), None)


def load_results(root: h5py.File | zarr.Group, found: Found, name: str) -> Results:
    """Read results.

    Parameters
    ----------
    root : h5py.File or zarr.Group
        Root of the file.
    found : Found
        Where they are.
    name : str
        The file's name, for messages.

    Returns
    -------
    Results
        As they were written.

    Raises
    ------
    InputError
        If a part of them is gone.
    """
    names = found.names
    try:
        spike_prob, dff = (np.ascontiguousarray(root[f"{path}/data"][:].T) for path in (names.spikes, names.dff))
        levels = root[f"{names.noise_levels}/noise_level"][:]
        spikes = None if names.units is None else _load_spikes(root[names.units])
    except KeyError:
        raise InputError(f"{name} lacks a part of its results: remove the rest with 'cascade restore'") from None
    record = Record.parse(found.content, name, "remove the results with 'cascade restore'")
    arrays, problem = complete(
        {"spike_prob": spike_prob, "dff": dff, "noise_levels": levels}, *spike_prob.shape, record.written_by
    )
    if problem:
        raise InputError(f"{name} holds damaged results ({problem}): remove them with 'cascade restore'")
    return Results(arrays, record, spikes)


def _load_spikes(units: h5py.Group | zarr.Group) -> Spikes:
    n_spikes = np.diff(units["spike_times_index"][:].astype(np.int64), prepend=0)
    columns = (units[column][:] for column in ("frame", "spike_times", "confidence"))
    return Spikes(np.repeat(np.arange(len(n_spikes)), n_spikes), *columns)


def choose_names(root: h5py.File | zarr.Group, series: str) -> Names:
    """Where results go, so that they collide with nothing.

    Parameters
    ----------
    root : h5py.File or zarr.Group
        Root of the file.
    series : str
        Path of the series that they are made from; theirs are called like it.

    Returns
    -------
    Names
        Where nothing is yet, or earlier results from the same series.
    """
    earlier, last = results_of(root, series), series.rpartition("/")[2]
    units = next(path for name in _numbered(last) if (path := f"{_at(UNITS)}_{name}") not in root)
    if earlier is not None:
        return earlier.names if earlier.names.units is not None else replace(earlier.names, units=units)
    spikes, dff = (
        next(path for path in _numbered(_at(name)) if path not in root or _all_ours(root[path]))
        for name in (SPIKES, DFF)
    )
    for name in _numbered(last):
        names = Names(f"{spikes}/{name}", f"{dff}/{name}", f"{_at(NOISE)}_{name}", f"{_at(UNITS)}_{name}")
        if not any(path in root for path in names.all):
            return names
    raise AssertionError("numbers do not end")


def emptied_by_removing(root: h5py.File | zarr.Group, names: Names) -> Iterator[str]:
    """Paths of what was made to hold results and holds nothing any more; each is to be removed before the next."""
    module = f"/processing/{MODULE}"
    for path in (names.spikes.rpartition("/")[0], names.dff.rpartition("/")[0], module):
        is_empty = path in root and not len(root[path])
        if is_empty and (path != module or root[path].attrs.get("description") == MODULE_DESCRIPTION):
            yield path


def _all_ours(container: h5py.Group | zarr.Group) -> bool:
    return all(is_ours(container[name].attrs.get("comments")) for name in container)


def _numbered(name: str) -> Iterator[str]:
    return (name if number == 1 else f"{name}{number}" for number in count(1))


def _at(name: str) -> str:
    return f"/processing/{MODULE}/{name}"


def _facts(content: dict[str, Any]) -> dict[str, Any]:
    """What a record remembers of the file that it is in; version 0.1.0 kept it one level up."""
    return content["nwb"] if "nwb" in content else content["container"]["nwb"]


def _content(comments: Any) -> dict[str, Any] | None:
    """The record in the comments of a series, or None if the series is not ours."""
    comments = comments.decode("utf-8", "replace") if isinstance(comments, bytes) else comments
    if not isinstance(comments, str) or "written_by" not in comments:
        return None
    try:
        content = json.loads(comments)
        facts = _facts(content)
        paths = [facts[key] for key in ("series", "dff", "noise_levels")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    ours = WRITTEN_BY.items() <= facts.items() and all(isinstance(path, str) for path in paths)
    return content if ours else None
