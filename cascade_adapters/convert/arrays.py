"""Plain arrays: one ``.npz`` or ``.mat`` file, or a folder of CSV files."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from cascade_adapters.containers.converted.content import (
    ARBITRARY_DFF,
    ARBITRARY_SOURCE,
    DENOISED,
    content,
    hash_of,
)
from cascade_adapters.convert.carrying import carried_record
from cascade_adapters.convert.session import Plane, Session
from cascade_adapters.results import Spikes, schema
from cascade_adapters.results.rows import Rows, blocks_of
from cascade_engine.errors import InputError

#: Largest array of a MATLAB v5 file in bytes.
_MAT_LIMIT = 2**31 - 1

#: Rows of a CSV table that are written at a time.
_ROWS_AT_ONCE = 1000


def write_npz(session: Session, path: Path) -> None:
    """Write all arrays into one ``.npz`` file, compressed; with several planes their names are ``plane0_F``, ..."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in _all_arrays(session).items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                _write_npy(file, array)


def write_mat(session: Session, path: Path) -> None:
    """Write all arrays into one MATLAB file (v5); with several planes their names are ``plane0_F``, ...

    Raises
    ------
    InputError
        If an array is larger than such a file can hold.
    """
    from scipy.io import savemat

    arrays = _all_arrays(session)
    for name, array in arrays.items():
        n_bytes = math.prod(array.shape) * array.dtype.itemsize
        if n_bytes > _MAT_LIMIT:
            raise InputError(f"{name} has {n_bytes / 1e9:.1f} GB, too much for a .mat file: choose .npz or .nwb")
    savemat(path, {name: np.asarray(array[...]) for name, array in arrays.items()}, do_compression=True)


def write_csv(session: Session, path: Path) -> None:
    """Write a folder of CSV files: traces with a column per ROI, and tables of ROIs; several planes in one each."""
    path.mkdir()
    for plane in session.planes:
        folder = path if len(session.planes) == 1 else path / plane.name
        folder.mkdir(exist_ok=True)
        times_s = plane.traces.grid.positions / plane.traces.frame_rate
        _write_tables(arrays_of(session, plane), times_s, folder)


def arrays_of(session: Session, plane: Plane) -> dict[str, Rows]:
    """All that is known of a plane, as arrays, some of which may still lie on the disk; see `content`."""
    traces = plane.traces
    found: dict[str, Any] = {
        "is_cell": traces.is_cell,
        "cell_probability": traces.cell_probability,
        "frame_rate": traces.frame_rate,
        "frames_per_session": traces.segments,
        "bad_frames": np.flatnonzero(plane.bad_frames) if plane.bad_frames.any() else None,
        "dropped_frames": list(traces.dropped.items()) or None,
        "indicator": traces.indicator,
        "plane": plane.name if len(session.planes) == 1 and plane.name != "plane0" else None,
        "source_dff": plane.source_dff,
        ARBITRARY_DFF: True if plane.has_arbitrary_units else None,
        ARBITRARY_SOURCE: True if traces.arbitrary_units else None,
        DENOISED: True if plane.is_denoised else None,
    }
    if plane.raw is not None:
        found |= {"F": plane.raw.fluorescence, "Fneu": plane.raw.neuropil}
        if plane.raw.neuropil is not None:
            found["neuropil_coefficient"] = plane.raw.neuropil_coefficient
            found["neuropil_is_background"] = True if plane.neuropil_is_background else None
        if plane.dff is not None:
            found["infer_from"] = "dff" if plane.is_dff_used else "F"
    results = plane.results
    if results is None:
        found["dff"] = found.pop("source_dff")
    else:
        found |= results.arrays
        traces_there = {name: found[name] for name in ("F", "Fneu", "dff", "source_dff") if found.get(name) is not None}
        record = carried_record(session, plane, {name: hash_of(values) for name, values in traces_there.items()})
        found["record"] = record.to_json()
        found["spikes"] = None if results.spikes is None else results.spikes.table
    if plane.rois is not None:
        numbers = np.repeat(np.arange(len(plane.rois.pixels)), [len(pixels) for pixels in plane.rois.pixels])
        found["image_shape"] = plane.rois.image_shape
        found["pixels"] = np.column_stack([numbers, np.concatenate(plane.rois.pixels)])
        found["pixel_weights"] = np.concatenate(plane.rois.weights)
    return {name: _as_array(found[name]) for name in content() if found.get(name) is not None}


def _as_array(value: Any) -> Rows:
    """A value as an array; those with ROIs and frames are not read yet."""
    return value if len(getattr(value, "shape", ())) == 2 else np.asarray(value)


def _all_arrays(session: Session) -> dict[str, Rows]:
    arrays: dict[str, Rows] = {
        (name if len(session.planes) == 1 else f"{plane.name}_{name}"): array
        for plane in session.planes
        for name, array in arrays_of(session, plane).items()
    }
    return arrays | {"content": np.asarray(json.dumps(content()))}


def _write_npy(file: IO[bytes], array: Rows) -> None:
    """Write an array as ``.npy`` with its own type, some rows at a time."""
    if not array.shape:
        np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
        return
    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": tuple(array.shape)}
    np.lib.format.write_array_header_1_0(file, header)
    for _, block in blocks_of(array):
        file.write(np.ascontiguousarray(block, dtype=array.dtype).tobytes())


def _write_tables(arrays: dict[str, Rows], times_s: np.ndarray, folder: Path) -> None:
    n_rois = next(array.shape[0] for array in arrays.values() if len(array.shape) == 2)
    rois: dict[str, np.ndarray] = {"roi": np.arange(n_rois)}
    facts: dict[str, Any] = {}
    types = {
        name: array.dtype.name for name, array in arrays.items() if len(array.shape) == 2 and array.dtype.kind == "f"
    }
    per_roi = {"is_cell", "cell_probability", *(array.name for array in schema.ARRAYS if not array.has_frames)}
    for name, lazy in arrays.items():
        array = np.asarray(lazy[...])  # a table has a column per ROI: all of it is needed
        if name == "record":
            (folder / "record.json").write_text(json.dumps(json.loads(array.item()), indent=1), "utf-8")
        elif name == "spikes":
            _write_table(folder / "spikes.csv", vars(Spikes.from_table(array)))
        elif name in per_roi:
            rois[name] = array.astype(int) if array.dtype == bool else array
        elif name == "dropped_frames" or (array.ndim < 2 and name != "pixel_weights"):
            facts[name] = array.tolist()
        elif name == "pixels":
            columns = dict(zip(("roi", "row", "column", "plane"), array.T, strict=False))
            _write_table(folder / "pixels.csv", columns | {"weight": np.asarray(arrays["pixel_weights"])})
        elif name != "pixel_weights":
            _write_table(folder / f"{name}.csv", {"time_s": times_s} | {f"roi{i}": row for i, row in enumerate(array)})
    _write_table(folder / "rois.csv", rois)
    (folder / "about.json").write_text(json.dumps({**facts, "types": types, "content": content()}, indent=1), "utf-8")


def _write_table(path: Path, columns: dict[str, np.ndarray]) -> None:
    """Write columns with as many digits as it takes to read back the same numbers."""
    line = ",".join("%.9g" if column.dtype == np.float32 else "%r" for column in columns.values()) + "\n"
    n_rows = min(len(column) for column in columns.values())
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(",".join(columns) + "\n")
        for first in range(0, n_rows, _ROWS_AT_ONCE):
            block = [column[first : first + _ROWS_AT_ONCE].tolist() for column in columns.values()]
            file.writelines(line % row for row in zip(*block, strict=True))
