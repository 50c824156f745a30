"""Adding results to an NWB file in Zarr, and removing them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cascade_adapters.containers.nwb import layout
from cascade_adapters.containers.nwb.addition import Addition, UnitColumns
from cascade_adapters.containers.nwb.layout import Names
from cascade_adapters.containers.nwb.opening import OpenNwb, one_line, reading_and_writing_zarr
from cascade_adapters.results.rows import Rows
from cascade_adapters.results.schema import ResultArray
from cascade_adapters.safe_writing import names as hidden
from cascade_adapters.safe_writing.interruption import held_back
from cascade_adapters.safe_writing.lock import lock
from cascade_engine.errors import CascadeError, InputError


class Editor:
    """An NWB file in Zarr that can be written to.

    Parameters
    ----------
    path : Path
        The store.
    """

    def __init__(self, path: Path):
        import zarr

        self._path = path
        self.root = zarr.open_group(str(path), mode="r+")

    def add(self, additions: Sequence[tuple[Addition, Names]]) -> None:
        """Write results where nothing is yet."""
        with reading_and_writing_zarr(self._path, "r+") as io:
            nwbfile = io.read()
            opened = OpenNwb(nwbfile, str(self._path), None, io.manager)
            for addition, names in additions:
                _add_objects(opened, addition, names)
            io.write(nwbfile)

    def remove(self, names: Names) -> None:
        """Remove results, and what was made to hold them and holds nothing else."""
        import zarr

        for path in reversed(names.all):
            if path in self.root:
                del self.root[path]
        for path in layout.emptied_by_removing(self.root, names):
            del self.root[path]
        if (self._path / ".zmetadata").exists():
            zarr.consolidate_metadata(self.root.store)


@contextmanager
def creating(source: Path, target: Path, check: Callable[[Path], None]) -> Iterator[Editor]:
    """Edit a copy of a store that is then put in place, all or nothing; see `hdf5_file.creating`."""
    part = part_of(target)
    with _explained(target), _thrown_away(part):
        for left in hidden.parts(target):
            shutil.rmtree(left)
        shutil.copytree(source, part, symlinks=True)
        yield Editor(part)
        check(part)
        with held_back():
            _swap(part, target)


@contextmanager
def updating(path: Path, keep: bool, check: Callable[[Path], None]) -> Iterator[Editor]:
    """Edit a store by way of a copy that shares its unchanged data, and takes its place in the end."""
    if keep:
        raise InputError(f"{path} is a Zarr store: leave out --in-place, a new store is written beside it")
    part = part_of(path)
    with _explained(path), _thrown_away(part):
        shutil.copytree(path, part, symlinks=True, copy_function=_link_data)
        yield Editor(part)
        check(part)
        with held_back():
            _swap(part, path)


def part_of(target: Path) -> Path:
    """Where a store is while it is being made."""
    return hidden.part(target)


def recover(path: Path) -> None:
    """Put a store back that was about to be replaced when a run was killed."""
    old = _old(path)
    if old.exists():
        with lock(path), held_back(), _explained(path):
            if path.exists():
                shutil.rmtree(old)
            else:
                os.rename(old, path)


def throw_away(path: Path) -> None:
    """Remove a store, if it is there; killed halfway, it leaves no half of it."""
    with held_back(), _explained(path):
        if path.exists() and path != part_of(path):
            os.rename(path, part_of(path))
        shutil.rmtree(part_of(path), ignore_errors=True)


def _swap(new: Path, path: Path) -> None:
    if path.exists():
        os.rename(path, _old(path))
    os.rename(new, path)
    shutil.rmtree(_old(path), ignore_errors=True)


def _old(path: Path) -> Path:
    return hidden.old(path)


def _link_data(source: str, target: str) -> None:
    """Data is never changed where it is, and is the same in both; metadata is copied."""
    if not os.path.basename(source).startswith(".z"):
        try:
            os.link(source, target)
            return
        except OSError:
            pass
    shutil.copy2(source, target)


@contextmanager
def _thrown_away(part: Path) -> Iterator[None]:
    shutil.rmtree(part, ignore_errors=True)
    try:
        yield
    finally:
        with held_back():
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except CascadeError:
        raise
    except Exception as error:  # Zarr and hdmf-zarr fail in many ways
        raise InputError(f"{path} cannot be written: {one_line(error)}") from error


def _add_objects(opened: OpenNwb, addition: Addition, names: Names) -> None:
    from hdmf.common import DynamicTable, DynamicTableRegion, VectorData
    from pynwb import ProcessingModule, TimeSeries, ophys

    results, timing = addition.results, addition.timing
    named = (addition.table or "").rpartition("/")[2]
    tables = (thing for thing in opened.nwbfile.objects.values() if thing.name == named)
    table = next((thing for thing in tables if opened.path_of(thing) == addition.table), None)
    if layout.MODULE not in opened.nwbfile.processing:
        opened.nwbfile.add_processing_module(ProcessingModule(layout.MODULE, layout.MODULE_DESCRIPTION))
    module = opened.nwbfile.processing[layout.MODULE]
    times: dict[str, Any] = {"timestamps": timing.timestamps}
    if timing.timestamps is None:
        times = {"starting_time": float(timing.starting_time), "rate": float(timing.frame_rate)}
    for array in layout.arrays_with_frames(names.series, addition.arbitrary_units):
        facts = {
            "data": _in_chunks(results.arrays[array.name], array, float(timing.frame_rate)),
            "unit": layout.unit_of(array),
            "description": layout.description_of(array),
            "comments": addition.comments,
            **times,
        }
        container_name, name = names.series[array.name].split("/")[-2:]
        if table is None:
            module.add(TimeSeries(name=name, **facts))
            continue
        if container_name not in module.data_interfaces:
            module.add(getattr(ophys, layout.container_of(array)[1])(name=container_name))
        module[container_name].add_roi_response_series(
            ophys.RoiResponseSeries(
                name=name,
                rois=DynamicTableRegion("rois", addition.rows, layout.REGION_DESCRIPTION, table=table),
                **facts,
            )
        )
    columns = _rois(addition, table)
    for array in layout.arrays_by_roi(names.columns, addition.arbitrary_units):
        values = np.asarray(results.arrays[array.name], dtype=array.dtype)
        columns.append(VectorData(names.columns[array.name], layout.description_of(array), data=values))
    name, numbers = names.table.rpartition("/")[2], list(range(len(addition.rows)))
    module.add(DynamicTable(name, layout.TABLE_DESCRIPTION, columns=columns, id=numbers))
    if results.spikes is not None and names.units is not None:
        module.add(_units(addition, names.units, UnitColumns.of(results.spikes, addition), table))


def _rois(addition: Addition, table: Any) -> list[Any]:
    """The column with the ROI that each row is about, if there are any."""
    from hdmf.common import DynamicTableRegion

    described = layout.ROI_COLUMN_DESCRIPTION
    return [] if table is None else [DynamicTableRegion("roi", addition.rows, described, table=table)]


def _in_chunks(values: Rows, array: ResultArray, frame_rate: float) -> Any:
    """Values of ROIs x frames, to be written as frames x ROIs, compressed, some ROIs at a time."""
    from hdmf.data_utils import GenericDataChunkIterator
    from hdmf_zarr import ZarrDataIO
    from numcodecs import Zlib

    n_rois, n_frames = (int(length) for length in values.shape)

    class Transposed(GenericDataChunkIterator):
        def _get_data(self, selection):
            frames, rois = selection
            return np.ascontiguousarray(layout.stored_values(array, values[rois], frame_rate)[:, frames].T)

        def _get_maxshape(self):
            return n_frames, n_rois

        def _get_dtype(self):
            return np.dtype(layout.stored_type(array))

    chunks = (min(layout.CHUNK[0], n_frames), min(layout.CHUNK[1], n_rois))
    buffer = (n_frames, min(layout.rois_at_a_time(n_frames), n_rois))
    return ZarrDataIO(Transposed(buffer_shape=buffer, chunk_shape=chunks), chunks=chunks, compressor=Zlib(4))


def _units(addition: Addition, path: str, units: UnitColumns, table: Any) -> Any:
    from hdmf.common import VectorData, VectorIndex
    from pynwb.misc import Units

    columns = _rois(addition, table)
    columns = [VectorIndex("roi_index", layout.one_each(len(addition.rows)), target=each) for each in columns] + columns
    for name, values in units.columns.items():
        column = VectorData(name, units.descriptions[name], data=values)
        columns += [VectorIndex(f"{name}_index", units.until[name], target=column), column]
    return Units(
        name=path.rpartition("/")[2],
        description=layout.UNITS_DESCRIPTION,
        id=list(range(len(addition.rows))),
        columns=columns,
        colnames=[*([] if table is None else ["roi"]), *units.columns],
        resolution=layout.resolution_of(float(addition.timing.frame_rate)),
    )
