"""Adding results to an NWB file in Zarr, and removing them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cascade_adapters.containers.nwb import results as ours
from cascade_adapters.containers.nwb.opening import OpenNwb, one_line, reading_and_writing_zarr
from cascade_adapters.containers.nwb.results import Addition, Names
from cascade_adapters.safe_writing import names as hidden
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

    def add(self, addition: Addition, names: Names) -> None:
        """Write results where nothing is yet."""
        with reading_and_writing_zarr(self._path, "r+") as io:
            nwbfile = io.read()
            opened = OpenNwb(nwbfile, str(self._path), None, io.manager)
            _add_objects(opened, addition, names)
            io.write(nwbfile)

    def remove(self, names: Names) -> None:
        """Remove results, and what was made to hold them and holds nothing else."""
        import zarr

        for path in reversed(names.all):
            if path in self.root:
                del self.root[path]
        for path in ours.emptied_by_removing(self.root, names):
            del self.root[path]
        if (self._path / ".zmetadata").exists():
            zarr.consolidate_metadata(self.root.store)


@contextmanager
def creating(source: Path, target: Path, check: Callable[[Path], None]) -> Iterator[Editor]:
    """Edit a copy of a store that is then put in place, all or nothing; see `hdf5_file.creating`."""
    part = part_of(target)
    with _explained(target), _thrown_away(part):
        shutil.copytree(source, part, symlinks=True)
        yield Editor(part)
        check(part)
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
        _swap(part, path)


def part_of(target: Path) -> Path:
    """Where a store is while it is being made."""
    return hidden.part(target)


def recover(path: Path) -> None:
    """Put a store back that was about to be replaced when a run was killed."""
    old = _old(path)
    if old.exists():
        with lock(path), _explained(path):
            if path.exists():
                shutil.rmtree(old)
            else:
                os.rename(old, path)


def throw_away(path: Path) -> None:
    """Remove a store, if it is there; killed halfway, it leaves no half of it."""
    with _explained(path):
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
    from hdmf_zarr import ZarrDataIO
    from numcodecs import Zlib
    from pynwb import ProcessingModule
    from pynwb.ophys import DfOverF, Fluorescence, RoiResponseSeries

    results, timing = addition.results, addition.timing
    tables = (thing for thing in opened.nwbfile.objects.values() if thing.name == addition.table.rpartition("/")[2])
    table = next(thing for thing in tables if opened.path_of(thing) == addition.table)
    if ours.MODULE not in opened.nwbfile.processing:
        opened.nwbfile.add_processing_module(ProcessingModule(ours.MODULE, ours.MODULE_DESCRIPTION))
    module = opened.nwbfile.processing[ours.MODULE]
    times: dict[str, Any] = {"timestamps": timing.timestamps}
    if timing.timestamps is None:
        times = {"starting_time": float(timing.starting_time), "rate": float(timing.frame_rate)}
    for path, container_type, values, description, unit, conversion in (
        (names.spikes, Fluorescence, results.spike_prob, ours.SPIKES_DESCRIPTION, "Hz", float(timing.frame_rate)),
        (names.dff, DfOverF, results.dff, ours.DFF_DESCRIPTION, "n.a.", 1.0),
    ):
        container_name, name = path.split("/")[-2:]
        if container_name not in module.data_interfaces:
            module.add(container_type(name=container_name))
        data = np.ascontiguousarray(np.asarray(values).T, dtype=np.float32)
        chunks = tuple(min(pair) for pair in zip(ours.CHUNK, data.shape, strict=True))
        module[container_name].add_roi_response_series(
            RoiResponseSeries(
                name=name,
                data=ZarrDataIO(data, chunks=chunks, compressor=Zlib(4)),
                rois=DynamicTableRegion("rois", addition.rows, ours.REGION_DESCRIPTION, table=table),
                unit=unit,
                conversion=conversion,
                description=description,
                comments=addition.comments,
                **times,
            )
        )
    levels = np.asarray(results.noise_levels, dtype=np.float32)
    region = DynamicTableRegion("roi", addition.rows, ours.ROI_COLUMN_DESCRIPTION, table=table)
    column = VectorData("noise_level", ours.NOISE_COLUMN_DESCRIPTION, data=levels)
    name = names.noise_levels.rpartition("/")[2]
    module.add(DynamicTable(name, ours.NOISE_DESCRIPTION, columns=[region, column], id=list(range(len(levels)))))
    if results.spikes is not None:
        module.add(_units(addition, names, table))


def _units(addition: Addition, names: Names, table: Any) -> Any:
    from hdmf.common import DynamicTableRegion, VectorData, VectorIndex
    from pynwb.misc import Units

    columns = [DynamicTableRegion("roi", addition.rows, ours.ROI_COLUMN_DESCRIPTION, table=table)]
    for name, values, description in (
        ("spike_times", addition.spike_times_s, ours.SPIKE_TIMES_DESCRIPTION),
        ("frame", addition.results.spikes.frame, ours.FRAME_DESCRIPTION),
        ("confidence", addition.results.spikes.confidence.astype(np.float32), ours.CONFIDENCE_DESCRIPTION),
    ):
        column = VectorData(name, description, data=values)
        columns += [VectorIndex(f"{name}_index", addition.spikes_until, target=column), column]
    return Units(
        name=names.units.rpartition("/")[2],
        description=ours.UNITS_DESCRIPTION,
        id=list(range(len(addition.rows))),
        columns=columns,
        colnames=["roi", "spike_times", "frame", "confidence"],
        resolution=1.0 / float(addition.timing.frame_rate),
    )
