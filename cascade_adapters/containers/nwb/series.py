"""Which series of an NWB file holds what, judged by where it is and what it is called.

Pipelines and labs name their series as they like. What is looked at are the names of the series and of the container
around it, the ROIs that it belongs to, and its description where the names say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from cascade_adapters.containers.base import Selection
from cascade_adapters.containers.nwb.opening import OpenNwb
from cascade_adapters.containers.nwb.results import is_ours
from cascade_adapters.containers.nwb.whole import read_whole
from cascade_engine.errors import InputError

#: Roles and the words in a name that give them, the first that fits; whatever has none is raw fluorescence.
_ROLES = (
    ("deconvolved", r"deconv|spike|spks|event|inferred|firing|oasis|foopsi|cascade"),
    ("denoised", r"denois|smooth"),
    ("dF/F", r"dff|dfof|dfoverf|deltaf"),
    ("corrected", r"corrected|subtracted"),
    ("background", r"background|baseline"),
    ("neuropil", r"neuropil|npil|fneu|surround"),
)

#: Words that tell nothing about which plane or channel a series belongs to.
_GENERIC = (
    r"roiresponseseries|responses?|fluorescence|traces?|series|raw|corrected|subtracted|dfoverf|dff|neuropil|fneu"
)

#: Series that a message lists.
_MOST_LISTED = 10
#: Series that begin within this time (s) were recorded together.
_TOGETHER_S = 1.0

#: What a series of CaImAn's `save_NWB` lacks of the raw trace.
_RESIDUALS = "residuals"


@dataclass(frozen=True)
class Recording:
    """The series that belong to one recording, as paths inside the file.

    Attributes
    ----------
    fluorescence : str or None
        Raw fluorescence of cells.
    neuropil : str or None
        Fluorescence of their surroundings, to be subtracted.
    dff : str or None
        Their dF/F.
    residuals : str or None
        What is to be added to `fluorescence`, which is CaImAn's fit.
    background : str or None
        Fluorescence of CaImAn's background components.
    is_named : bool
        The user has named the series.
    is_denoised : bool
        By its name or description the series is denoised.
    remarks : tuple of str
        What is doubtful about the choice.
    """

    fluorescence: str | None = None
    neuropil: str | None = None
    dff: str | None = None
    residuals: str | None = None
    background: str | None = None
    is_named: bool = False
    is_denoised: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The series that stands for the recording."""
        name = self.fluorescence or self.dff
        assert name is not None
        return name

    @property
    def series(self) -> list[str]:
        """All series that count for the traces."""
        paths = (self.fluorescence, self.neuropil, self.dff, self.residuals, self.background)
        return [path for path in paths if path is not None]


@dataclass(frozen=True)
class _Series:
    """What is known about a series without reading it.

    Attributes
    ----------
    path : str
        Where it is.
    role : str
        What it holds.
    shape : tuple of int
        Of its data.
    table, rows : str and tuple of int
        The ROIs that it belongs to.
    start : float
        When it begins, in s.
    """

    path: str
    role: str
    shape: tuple[int, ...]
    table: str
    rows: tuple[int, ...]
    start: float

    @property
    def key(self) -> str:
        """What the names tell beyond the role, such as ``plane0``."""
        return re.sub(_GENERIC, "", _plain(_names(self.path)))

    @property
    def channel(self) -> int | None:
        found = re.search(r"(?:(?<![A-Za-z])c|C)h(?:an(?:nel)?)?[ _-]?([12])(?!\d)", _names(self.path))
        return int(found[1]) if found else None

    @property
    def channel_or_first(self) -> int:
        """The channel; series that name none are of the first."""
        return self.channel or 1

    def fits(self, other: _Series) -> bool:
        """Whether both are of the same frames of the same ROIs."""
        return self.shape == other.shape and self.rows == other.rows and self.overlaps(other)

    def overlaps(self, other: _Series) -> bool:
        """Whether both may be versions of the same traces."""
        same_table = self.table == other.table and self.start == other.start
        return same_table and not self._row_set.isdisjoint(other.rows)

    @cached_property
    def _row_set(self) -> frozenset[int]:
        return frozenset(self.rows)


def find_recordings(opened: OpenNwb, selection: Selection = Selection()) -> list[Recording]:
    """Choose the series to infer on: one recording per plane, or per session of a plane.

    Never chosen are neuropil, background, denoised and deconvolved series, nor results of ours.

    Parameters
    ----------
    opened : OpenNwb
        The file.
    selection : Selection
        The series or the channel that the user means.

    Returns
    -------
    list of Recording
        Empty if the file has no series of ROIs at all.

    Raises
    ------
    InputError
        If there is none to infer on, or it is not clear which.
    """
    known = _list_series(opened)
    if selection.series is not None and not _named(selection.series, known):
        other = _named(selection.series, [opened.path_of(thing) for thing in _other_series(opened)])
        if len(other) == 1:
            role = _role(other[0], series_at(opened, other[0]))
            return [Recording(**{"dff" if role == "dF/F" else "fluorescence": other[0]}, is_named=True)]
    if not known:
        return []
    if selection.series is not None:
        chosen = [_find_named(opened, selection.series, known)]
        if selection.channel == 2 and chosen[0].channel_or_first != 2:
            raise InputError(f"{opened.name}: {chosen[0].path} is of channel 1: leave out --channel 2")
    else:
        chosen = _choose(opened, known, selection.channel)
    found = [_complete(opened, series, known, selection) for series in chosen]
    if selection.series is None and selection.channel == 1:
        # whoever says nothing means channel 1, or whatever there is
        others = [series.path for series in chosen if series.channel_or_first != 1]
        found = [
            replace(each, remarks=(*each.remarks, "the file has series of channel 2 alone: they were used"))
            if each.name in others
            else each
            for each in found
        ]
    return found


def others_in(opened: OpenNwb) -> str:
    """What a file without series of ROIs has instead that might hold traces, as the rest of a message."""
    found = [f"{opened.path_of(thing)} {thing.data.shape}" for thing in _other_series(opened)]
    if not found:
        return ""
    listed = ", ".join(found[:_MOST_LISTED]) + (", ..." if len(found) > _MOST_LISTED else "")
    return f", but other time series: {listed}; if one holds traces of ROIs, pass it as --series"


def table_of(series) -> Any:
    """The ROI table of a series; None for one that has no ROIs."""
    return getattr(getattr(series, "rois", None), "table", None)


def imaging_plane_of(series) -> Any:
    """The imaging plane of a series; None for one that has no ROIs."""
    return getattr(table_of(series), "imaging_plane", None)


def has_rois_first(series) -> bool:
    """Whether data of a series without ROIs are (roi, time): its timestamps say so, or else the longer axis is time."""
    shape = tuple(series.data.shape)
    if len(shape) != 2:
        return False
    n_frames = max(shape) if series.timestamps is None else len(series.timestamps)
    return shape[0] != n_frames and shape[1] == n_frames


def roi_rows(series) -> np.ndarray:
    """Rows of the ROI table that the columns of a series stand for.

    Parameters
    ----------
    series : pynwb.TimeSeries
        The series.

    Returns
    -------
    array, shape (n_rois,), int
        Row numbers; without a table, those of the ROIs themselves.

    Raises
    ------
    InputError
        If there are no such rows.
    """
    if table_of(series) is None:
        shape = series.data.shape
        return np.arange(1 if len(shape) == 1 else shape[0 if has_rois_first(series) else 1])
    rows = read_whole(series.rois.data, f"the list of ROIs of series {series.name}")
    n_rows = len(series.rois.table.id)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or (rows.size and not 0 <= rows.min() <= rows.max() < n_rows):
        raise InputError(f"the ROIs of series {series.name} are not among the {n_rows} rows of its ROI table")
    return rows


def series_at(opened: OpenNwb, path: str):
    """The object of pynwb at a path inside the file; raises `InputError` if it is gone."""
    for thing in opened.nwbfile.objects.values():
        if thing.name == path.rpartition("/")[2] and opened.path_of(thing) == path:
            return thing
    raise InputError(f"{opened.name} has no series {path} any more")


def planes_scanned_with(opened: OpenNwb, series) -> int:
    """How many planes were scanned together with that of a series, as far as series and imaging planes are numbered.

    Parameters
    ----------
    opened : OpenNwb
        The file.
    series : pynwb.ophys.RoiResponseSeries
        The series; others count if they begin with it.
    """
    from pynwb.ophys import RoiResponseSeries

    numbers: set[int] = set()
    for other in opened.nwbfile.objects.values():
        if not isinstance(other, RoiResponseSeries) or is_ours(other.comments):
            continue
        if abs((other.starting_time or 0.0) - (series.starting_time or 0.0)) < _TOGETHER_S:
            found = re.findall(r"plane[ _-]?(\d+)", f"{other.name} {other.rois.table.imaging_plane.name}".lower())
            numbers.update(map(int, found[:1]))
    return max(1, len(numbers))


def _list_series(opened: OpenNwb) -> list[_Series]:
    from pynwb.ophys import RoiResponseSeries

    found = [thing for thing in opened.nwbfile.objects.values() if isinstance(thing, RoiResponseSeries)]
    series = [_describe(opened, thing) for thing in found if not is_ours(thing.comments)]
    return sorted(series, key=lambda one: _natural(one.path))


def _other_series(opened: OpenNwb) -> list:
    """Series without ROIs that have numbers along one or two axes, those with two first."""
    from pynwb import TimeSeries
    from pynwb.ophys import RoiResponseSeries

    def may_hold_traces(thing: Any) -> bool:
        shape: tuple[int, ...] = getattr(thing.data, "shape", ())
        kind = getattr(getattr(thing.data, "dtype", None), "kind", "")
        return len(shape) in (1, 2) and shape[0] > 1 and kind in ("f", "i", "u")

    found = [thing for thing in opened.nwbfile.objects.values() if isinstance(thing, TimeSeries)]
    found = [thing for thing in found if not isinstance(thing, RoiResponseSeries) and not is_ours(thing.comments)]
    found = [thing for thing in found if may_hold_traces(thing)]
    return sorted(found, key=lambda thing: (-len(thing.data.shape), _natural(opened.path_of(thing))))


def _named(name: str, paths: Iterable) -> list:
    """Those of some paths, or of series with a path, that a name stands for: the path itself, or its end."""
    wanted = "/" + name.strip("/")
    known = [(getattr(each, "path", each), each) for each in paths]
    return [each for path, each in known if path == wanted] or [each for path, each in known if path.endswith(wanted)]


def _describe(opened: OpenNwb, thing) -> _Series:
    path = opened.path_of(thing)
    rows = tuple(roi_rows(thing).tolist())
    start = thing.starting_time
    if thing.timestamps is not None and len(thing.timestamps):
        start = np.nan_to_num(thing.timestamps[0])
    shape = tuple(int(length) for length in thing.data.shape)
    return _Series(path, _role(path, thing), shape, opened.path_of(thing.rois.table), rows, float(start or 0.0))


def _role(path: str, thing) -> str:
    from pynwb.ophys import DfOverF

    names = _plain(_names(path)).replace("motioncorrected", "")
    for role, words in _ROLES:
        if re.search(words, names):
            return role
    if isinstance(thing.parent, DfOverF):
        return "dF/F"
    if path.lower().endswith("/f0"):
        return "background"
    description = thing.description.lower()
    found = re.search(r"\b(deconvolved|denoised)\b", description)
    return found[1] if found and not re.search(r"\braw\b", description) else "raw"


def _names(path: str) -> str:
    """Names of a series and the container around it."""
    return "/".join(path.split("/")[-2:])


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _find_named(opened: OpenNwb, name: str, known: Iterable[_Series]) -> _Series:
    found = _named(name, known)
    if len(found) == 1:
        return found[0]
    listed = ", ".join(series.path for series in (found or known))
    if found:
        raise InputError(f"{opened.name} has several series {name}: pass one of {listed} as --series")
    raise InputError(f"{opened.name} has no series {name}; there are {listed}")


def _choose(opened: OpenNwb, known: list[_Series], channel: int | None) -> list[_Series]:
    """Every raw series and every dF/F without one."""
    usable = [series for series in known if series.role in ("raw", "corrected", "dF/F")]
    if not usable:
        listed = ", ".join(f"{series.path} ({series.role})" for series in known)
        raise InputError(f"{opened.name} has no fluorescence of cells to infer on, only {listed}; --series overrides")
    if channel is not None:
        of_channel = [series for series in usable if series.channel_or_first == channel]
        if not of_channel and channel != 1:
            listed = ", ".join(series.path for series in usable)
            raise InputError(
                f"{opened.name} has no series of channel {channel}, only {listed}: leave out --channel {channel}, or "
                "pass one of them as --series"
            )
        usable = of_channel or usable
    chosen: list[_Series] = []
    for role in ("raw", "corrected", "dF/F"):
        alike = [series for series in usable if series.role == role]
        if role == "raw":  # corrected ones are better than raw ones of which nothing can be subtracted
            alike = [series for series in alike if not _is_better_corrected(series, usable, known)]
        for series in alike:
            if any(series.overlaps(other) for other in chosen if other.role != role):
                continue
            rivals = [other.path for other in alike if other.overlaps(series)]
            if len(rivals) > 1:
                raise InputError(
                    f"{opened.name} has several series of {role if role == 'dF/F' else 'fluorescence'} of the same "
                    f"ROIs: pass one of {', '.join(rivals)} as --series"
                )
            chosen.append(series)
    return sorted(chosen, key=lambda series: _natural(series.path))


def _is_better_corrected(series: _Series, usable: list[_Series], known: list[_Series]) -> bool:
    corrected = any(other.role == "corrected" and other.overlaps(series) for other in usable)
    return corrected and _partner(series, "neuropil", known) is None


def _complete(opened: OpenNwb, series: _Series, known: list[_Series], selection: Selection) -> Recording:
    """Find the series that go with one."""
    is_named = selection.series is not None
    if series.role == "dF/F":
        return Recording(dff=series.path, is_named=is_named)
    remarks = []
    if series.role not in ("raw", "corrected"):
        remarks.append(f"--series names {series.path}, although its name or description says that it is {series.role}")
    if series.role == "corrected":
        remarks.append(f"{series.path} is taken for fluorescence from which neuropil is subtracted already")
    neuropil = _partner(series, "neuropil", known) if series.role == "raw" else None
    if neuropil is None and series.role == "raw" and any(other.role == "neuropil" for other in known):
        remarks.append(f"no neuropil series belongs to {series.path} for sure: nothing was subtracted")
    dff = _partner(series, "dF/F", known)
    residuals = _residuals(opened, series)
    background = None
    if residuals is not None:
        others = (one for one in known if one.role == "background" and one.table == series.table)
        background = next((one.path for one in others), None)
    return Recording(
        series.path,
        neuropil.path if neuropil else None,
        dff.path if dff else None,
        residuals,
        background,
        is_named,
        series.role == "denoised",
        tuple(remarks),
    )


def _partner(series: _Series, role: str, known: list[_Series]) -> _Series | None:
    """The one series of a role that is of the same frames of the same ROIs."""
    candidates = [other for other in known if other.role == role and other.fits(series)]
    named_alike = [other for other in candidates if other.key == series.key]
    if len(named_alike) == 1:
        return named_alike[0]
    rivals = [other for other in known if other.role == series.role and other.fits(series)]
    return candidates[0] if len(candidates) == len(rivals) == 1 else None


def _residuals(opened: OpenNwb, series: _Series) -> str | None:
    module = series_at(opened, series.path).parent.parent
    found = getattr(module, "data_interfaces", {}).get(_RESIDUALS)
    data = getattr(found, "data", None)
    return opened.path_of(found) if getattr(data, "shape", None) == series.shape else None


def _natural(text: str) -> list:
    """Sort key that puts plane10 behind plane9, and ophys1 behind ophys."""
    parts = [re.split(r"(\d+)", name) for name in text.split("/")]
    return [[int(part) if part.isdigit() else part for part in name] for name in parts]
