"""Results of ours in an NWB file: found again, and read.

The record is the JSON text in the comments of each series; it also tells that a series is ours. Where everything lies
is said in `cascade_adapters.containers.nwb.layout`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade_adapters.containers.nwb import layout
from cascade_adapters.containers.nwb.layout import Names
from cascade_adapters.containers.nwb.rows_first import IN_MEMORY_BYTES, load_rows
from cascade_adapters.containers.nwb.whole import read_whole
from cascade_adapters.results import Record, Results, Spikes
from cascade_adapters.results.schema import complete
from cascade_engine.errors import InputError
from cascade_engine.file_formats.json_text import parse_json

if TYPE_CHECKING:
    import h5py
    import zarr

#: In what the record remembers of the file: it tells results of ours.
WRITTEN_BY = {"written_by": "cascade-spikes"}

#: Containers of expected spikes, which stand for all results of a recording.
_SPIKES = re.compile(r"CascadeSpikes\d*")

_ADVICE = "remove the results with 'cascade restore'"


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
    return _read(comments) is not None


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
    module = f"processing/{layout.MODULE}"
    found = []
    for container in sorted(root[module]) if module in root else ():
        if not _SPIKES.match(container):
            continue
        group = root[module][container]
        inside = sorted(group) if _SPIKES.fullmatch(container) else [""]  # a series without ROIs is in no container
        for name in inside:
            one = _read((group[name] if name else group).attrs.get("comments"))
            if one is not None:
                series = {**one.names.series, "spike_prob": f"{layout.at(container)}/{name}".rstrip("/")}
                found.append(replace(one, names=replace(one.names, series=series)))
    return found


def results_of(root: h5py.File | zarr.Group, series: str) -> Found | None:
    """The results that are made from a series, or None."""
    return next((found for found in find_results(root) if found.series == series), None)


def choose_names(
    root: h5py.File | zarr.Group,
    series: str,
    arrays: Collection[str],
    taken: Sequence[Names] = (),
    has_rois: bool = True,
    arbitrary_units: bool = False,
) -> Names:
    """Where results go, so that they collide with nothing.

    Parameters
    ----------
    root : h5py.File or zarr.Group
        Root of the file; earlier results of the same series are not there any more.
    series : str
        Path of the series that they are made from; theirs are called like it.
    arrays : collection of str
        Names of the arrays.
    taken : sequence of Names
        Where other results will be written too.
    has_rois : bool
        Whether the series belongs to ROIs; if not, its results cannot lie in the containers for such series.
    arbitrary_units : bool
        Whether what they were inferred from is no dF/F.

    Returns
    -------
    Names
        Where nothing is yet.
    """
    paths = {path for names in taken for path in names.all}
    containers = {}
    for array in layout.arrays_with_frames(arrays, arbitrary_units):
        possible = (layout.at(name) for name in layout.numbered(layout.container_of(array)[0]))
        containers[array.name] = next(path for path in possible if path not in root or _all_ours(root[path]))
    for name in layout.numbered(series.rpartition("/")[2]):
        names = Names(
            series={array: f"{container}{'/' if has_rois else '_'}{name}" for array, container in containers.items()},
            table=f"{layout.at(layout.TABLE)}_{name}",
            columns={array.name: layout.column_of(array) for array in layout.arrays_by_roi(arrays)},
            units=f"{layout.at(layout.UNITS)}_{name}",
        )
        if not any(path in root or path in paths for path in names.all):
            return names
    raise AssertionError("numbers do not end")


def load_results(root: h5py.File | zarr.Group, found: Found, name: str, scratch: Path) -> Results:
    """Read results.

    Parameters
    ----------
    root : h5py.File or zarr.Group
        Root of the file.
    found : Found
        Where they are.
    name : str
        The file's name, for messages.
    scratch : Path
        Folder in which large arrays wait on the disk.

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
    record = Record.parse(found.content, name, _ADVICE)
    arrays: dict[str, Any] = {}
    n_bytes = 0
    try:
        for array in layout.arrays_with_frames(names.series):
            data = root[f"{names.series[array.name]}/data"]
            if tuple(data.shape)[::-1] != (record.recording.n_rois, record.recording.n_frames):
                problem = f"{names.series[array.name]} has the shape {data.shape}"
                raise InputError(f"{name} holds damaged results ({problem}): remove them with 'cascade restore'")
            n_bytes += data.size * 4
            conversion = float(data.attrs.get("conversion", 1.0))
            in_unit = partial(layout.values_of, array, conversion=conversion, frame_rate=record.recording.frame_rate_hz)
            arrays[array.name] = load_rows(data, in_unit, n_bytes <= IN_MEMORY_BYTES, scratch)
        for array in layout.arrays_by_roi(names.columns):
            place = f"{names.table}/{names.columns[array.name]}"
            arrays[array.name] = read_whole(root[place], f"{name}: {place}")
        spikes = None if names.units is None else _load_spikes(root[names.units])
    except KeyError:
        raise InputError(f"{name} lacks a part of its results: remove the rest with 'cascade restore'") from None
    n_rois, n_frames = arrays["spike_prob"].shape
    arrays, problem = complete(arrays, n_rois, n_frames, record.written_by)
    if problem:
        raise InputError(f"{name} holds damaged results ({problem}): remove them with 'cascade restore'")
    return Results(arrays, record, spikes)


def _load_spikes(units: h5py.Group | zarr.Group) -> Spikes:
    until = read_whole(units["spike_times_index"], "spike_times_index").astype(np.int64)
    n_spikes: np.ndarray = np.diff(until, prepend=0)
    columns = (read_whole(units[column], column) for column in ("frame", "spike_times", "confidence"))
    return Spikes(np.repeat(np.arange(len(n_spikes)), n_spikes), *columns)


def _all_ours(container: h5py.Group | zarr.Group) -> bool:
    return all(is_ours(container[name].attrs.get("comments")) for name in container)


def _facts(content: dict[str, Any]) -> dict[str, Any]:
    """What a record remembers of the file that it is in; version 0.1.0 kept it one level up."""
    return content["nwb"] if "nwb" in content else content["container"]["nwb"]


def _read(comments: Any) -> Found | None:
    """What the comments of a series say, or None if the series is not ours."""
    comments = comments.decode("utf-8", "replace") if isinstance(comments, bytes) else comments
    if not isinstance(comments, str) or "written_by" not in comments:
        return None
    try:
        content = parse_json(comments)
        facts = _facts(content)
        if not (WRITTEN_BY.items() <= facts.items() and isinstance(facts["series"], str)):
            return None
        return Found(_names(facts), content)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _names(facts: dict[str, Any]) -> Names:
    """Where everything is; `ValueError` and the like if that makes no sense."""
    if "arrays" in facts:
        table, paths = facts["table"], dict(facts["arrays"])
    else:  # as version 0.1.0 said it
        table = facts["noise_levels"]
        paths = {"dff": facts["dff"], "noise_levels": f"{table}/noise_level"}
    units = facts.get("units")
    everything = [table, *paths.values(), *([] if units is None else [units])]
    if not all(isinstance(path, str) and path.startswith(layout.at("Cascade")) for path in everything):
        raise ValueError("a path does not lead to results of ours")
    columns = {name: path[len(table) + 1 :] for name, path in paths.items() if path.startswith(f"{table}/")}
    series = {name: path for name, path in paths.items() if name not in columns}
    return Names(series, table, columns, units)
