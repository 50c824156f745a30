"""Adding results to an NWB file in HDF5, and removing them, by h5py alone.

pynwb would read and could rewrite much more than what is added, and could not follow links to other files while
`safe_writing.in_place` stands between it and the file. What is written are a few small objects of the NWB schema that
have not changed since NWB 2.0; the tests compare them with what pynwb makes of them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from cascade_adapters.containers.nwb import layout
from cascade_adapters.containers.nwb.addition import Addition, UnitColumns
from cascade_adapters.containers.nwb.layout import Names
from cascade_adapters.containers.nwb.opening import one_line
from cascade_adapters.results import Spikes
from cascade_adapters.results.rows import Rows
from cascade_adapters.results.schema import ResultArray
from cascade_adapters.safe_writing import in_place
from cascade_adapters.safe_writing import names as hidden
from cascade_adapters.safe_writing.copy import copy_content
from cascade_adapters.safe_writing.fsync import sync_file
from cascade_engine.errors import CascadeError, InputError

if TYPE_CHECKING:
    import h5py


class Editor:
    """An NWB file in HDF5 that is open for writing.

    Parameters
    ----------
    root : h5py.File
        The file.
    """

    def __init__(self, root: h5py.File):
        self.root = root

    def add(self, additions: Sequence[tuple[Addition, Names]]) -> None:
        """Write results where nothing is yet."""
        for addition, names in additions:
            self._require(f"processing/{layout.MODULE}", "ProcessingModule", layout.MODULE_DESCRIPTION)
            for array in layout.arrays_with_frames(names.series, addition.arbitrary_units):
                if addition.table is not None:
                    self._require(names.series[array.name].rpartition("/")[0], layout.container_of(array)[1])
                _write_series(self.root, names.series[array.name], array, addition)
            _write_table_of_rois(self.root, names, addition)
            if addition.results.spikes is not None and names.units is not None:
                _write_units(self.root, names.units, addition, addition.results.spikes)

    def remove(self, names: Names) -> None:
        """Remove results, and what was made to hold them and holds nothing else."""
        for path in names.all:
            if path in self.root:
                del self.root[path]
        for path in layout.emptied_by_removing(self.root, names):
            del self.root[path]

    def _require(self, path: str, type_name: str, description: str | None = None) -> None:
        if path not in self.root:
            group = _typed(self.root.create_group(path), type_name)
            if description is not None:
                group.attrs["description"] = description


@contextmanager
def creating(source: Path | Callable[[Path], None], target: Path, check: Callable[[Path], None]) -> Iterator[Editor]:
    """Edit a copy of a file that is then put in place, all or nothing.

    The caller holds `cascade_adapters.safe_writing.lock.lock` on `target`.

    Parameters
    ----------
    source : Path or callable
        File to copy, or what makes the copy.
    target : Path
        Where the copy goes.
    check : callable
        Called with the path of the copy when it is complete; may raise.

    Yields
    ------
    Editor
        The copy.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    part = part_of(target)
    try:
        for left in hidden.parts(target):
            left.unlink()
        if isinstance(source, Path):
            _refuse_if_too_big(source, target.parent)
            copy_content(source, part)
        else:
            source(part)
        with _explained(target), _editing(str(part)) as editor:
            yield editor
        sync_file(part)
        check(part)
        os.replace(part, target)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def updating(path: Path, keep: bool, check: Callable[[Path], None]) -> Iterator[Editor]:
    """Edit a file itself, all or nothing; see `cascade_adapters.safe_writing.in_place.changing`."""
    with in_place.changing(path, keep, check) as file, _explained(path), _editing(file) as editor:
        yield editor


def recover(path: Path) -> None:
    """Roll back what a killed run has left in a file; see `cascade_adapters.safe_writing.in_place.recover`."""
    in_place.recover(path)


def throw_away(path: Path) -> None:
    """Remove a file, if it is there."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be removed: {error.strerror or error}") from error


def part_of(target: Path) -> Path:
    """Where a file is while it is being made."""
    return hidden.part(target)


@contextmanager
def _editing(file: Any) -> Iterator[Editor]:
    import h5py

    with h5py.File(file, "r+") as root:
        yield Editor(root)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except CascadeError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError) as error:  # h5py has no errors of its own
        raise InputError(f"{path} cannot be written: {one_line(error)}") from error


def _refuse_if_too_big(source: Path, folder: Path) -> None:
    needed, free = source.stat().st_size, shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{folder} has {free / 1e9:.1f} GB free, but a copy of {source.name} needs {needed / 1e9:.1f} GB: make "
            "room, or pass --in-place"
        )


def _write_series(root: h5py.File, path: str, array: ResultArray, addition: Addition) -> None:
    series = _typed(root.create_group(path), "TimeSeries" if addition.table is None else "RoiResponseSeries")
    series.attrs.update(description=layout.description_of(array), comments=addition.comments)
    data = _write_data(series, addition.results.arrays[array.name], array, float(addition.timing.frame_rate))
    data.attrs.update(conversion=1.0, resolution=-1.0, unit=layout.unit_of(array))
    _write_times(series, addition)
    if addition.table is not None:
        _write_region(series, "rois", addition, layout.REGION_DESCRIPTION)


def _write_data(series: h5py.Group, values: Rows, array: ResultArray, frame_rate: float) -> h5py.Dataset:
    n_rois, n_frames = values.shape
    data = series.create_dataset(
        "data",
        shape=(n_frames, n_rois),
        dtype=layout.stored_type(array),
        chunks=(min(layout.CHUNK[0], n_frames), min(layout.CHUNK[1], n_rois)),
        compression="gzip",
        shuffle=True,
    )
    at_once = layout.rois_at_a_time(n_frames)
    for roi in range(0, n_rois, at_once):
        rows = layout.stored_values(array, values[roi : roi + at_once], frame_rate)
        for frame in range(0, n_frames, layout.CHUNK[0]):
            part = np.ascontiguousarray(rows[:, frame : frame + layout.CHUNK[0]].T)
            data[frame : frame + len(part), roi : roi + len(rows)] = part
    return data


def _write_times(series: h5py.Group, addition: Addition) -> None:
    timing = addition.timing
    if timing.timestamps is None:
        times = series.create_dataset("starting_time", data=float(timing.starting_time))
        times.attrs.update(rate=float(timing.frame_rate), unit="seconds")
    else:
        times = series.create_dataset("timestamps", data=timing.timestamps.astype(float))
        times.attrs.update(interval=np.int32(1), unit="seconds")


def _write_region(parent: h5py.Group, name: str, addition: Addition, description: str) -> None:
    region = _typed_table(parent.create_dataset(name, data=addition.rows), "DynamicTableRegion", addition)
    region.attrs["description"] = description
    region.attrs["table"] = parent.file[addition.table].ref


def _write_table_of_rois(root: h5py.File, names: Names, addition: Addition) -> None:
    table = _typed_table(root.create_group(names.table), "DynamicTable", addition)
    _write_table(table, addition, names.columns.values(), layout.TABLE_DESCRIPTION)
    for array in layout.arrays_by_roi(names.columns, addition.arbitrary_units):
        values = np.asarray(addition.results.arrays[array.name], dtype=array.dtype)
        _write_column(table, names.columns[array.name], values, addition, layout.description_of(array))


def _write_units(root: h5py.File, path: str, addition: Addition, spikes: Spikes) -> None:
    table, units = _typed(root.create_group(path), "Units"), UnitColumns.of(spikes, addition)
    _write_table(table, addition, units.columns, layout.UNITS_DESCRIPTION)
    for name, values in units.columns.items():
        _write_column(table, name, values, addition, units.descriptions[name])
        _write_index(table, name, units.until[name], addition)
    if addition.table is not None:
        _write_index(table, "roi", layout.one_each(len(addition.rows)), addition)
    table["spike_times"].attrs["resolution"] = layout.resolution_of(float(addition.timing.frame_rate))


def _write_table(table: h5py.Group, addition: Addition, columns: Iterable[str], description: str) -> None:
    """What every table with a row per ROI has: names of its columns, numbers of its rows, and the ROIs, if any."""
    table.attrs["description"] = description
    columns = [*([] if addition.table is None else ["roi"]), *columns]
    table.attrs.create("colnames", columns, dtype=_text_type())
    rows = table.create_dataset("id", data=np.arange(len(addition.rows)))
    _typed_table(rows, "ElementIdentifiers", addition)
    if addition.table is not None:
        _write_region(table, "roi", addition, layout.ROI_COLUMN_DESCRIPTION)


def _write_column(
    table: h5py.Group, name: str, values: np.ndarray, addition: Addition, description: str
) -> h5py.Dataset:
    column = _typed_table(table.create_dataset(name, data=values), "VectorData", addition)
    column.attrs["description"] = description
    return column


def _write_index(table: h5py.Group, name: str, until: np.ndarray, addition: Addition) -> None:
    """Make a column ragged: how many of its entries belong to each row and those before it."""
    index = _typed_table(table.create_dataset(f"{name}_index", data=until), "VectorIndex", addition)
    index.attrs.update(description=f"Index for VectorData '{name}'", target=table[name].ref)


def _typed_table(thing: Any, type_name: str, addition: Addition) -> Any:
    """The same for tables and parts of them, whose types moved from one namespace to another between versions."""
    ids = None if addition.table is None else thing.file[addition.table]["id"]
    return _typed(thing, type_name, "hdmf-common" if ids is None else ids.attrs.get("namespace", "hdmf-common"))


def _typed(thing: Any, type_name: str, namespace: str = "core") -> Any:
    """Say of which type a new object is."""
    thing.attrs.update(namespace=namespace, neurodata_type=type_name, object_id=str(uuid4()))
    return thing


def _text_type() -> Any:
    import h5py

    return h5py.string_dtype()
