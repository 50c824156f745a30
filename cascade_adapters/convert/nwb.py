"""An NWB file with traces, masks, dF/F and spike probability, in HDF5 or Zarr.

Everything of one plane has the plane's name: ``plane0`` is an imaging plane, a table of ROIs, and a series in each of
``Fluorescence``, ``Neuropil`` and ``DfOverF``. Results are written by the adapter for NWB, so that they are what
'cascade run' on this file would have written.
"""

from __future__ import annotations

import math
import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade_adapters.containers.base import Selection
from cascade_adapters.containers.nwb import NwbRecording
from cascade_adapters.containers.nwb.files import output_of
from cascade_adapters.containers.nwb.notes import Notes
from cascade_adapters.containers.nwb.opening import without_warnings
from cascade_adapters.convert.carrying import carried_results
from cascade_adapters.convert.metadata import UNKNOWN, Metadata
from cascade_adapters.convert.roi_table import add_roi_table
from cascade_adapters.convert.session import Plane, Session
from cascade_engine._version import __version__
from cascade_engine.errors import InputError, MissingExtraError
from cascade_engine.signal.frames import frame_text

if TYPE_CHECKING:
    import pynwb

#: Chunks of traces: about 1 MB, long enough for one ROI's trace and narrow enough for it.
_CHUNK_FRAMES, _CHUNK_ROIS = 4096, 64

#: Traces are copied in blocks of this size.
_BUFFER_GB = 0.1


def write_nwb(session: Session, metadata: Metadata, path: Path, zarr: bool = False) -> None:
    """Write an NWB file.

    Parameters
    ----------
    session : Session
        What is to be written.
    metadata : Metadata
        What is known about the experiment.
    path : Path
        File to create.
    zarr : bool
        A Zarr store instead of an HDF5 file.

    Raises
    ------
    InputError
        If the start of the session is not known, or pynwb refuses something.
    MissingExtraError
        If pynwb, or hdmf-zarr for a Zarr store, is not installed.
    """
    new_io = _opener(zarr)
    if session.kind == "NWB":
        raise InputError(f"{session.path} is an NWB file already, which may hold more than is converted here")
    if metadata.session_start_time is None:
        raise InputError(
            f"an NWB file must say when the session began, and {session.path} does not: pass --session-start-time, "
            "such as 2024-05-17T12:30:00+02:00"
        )
    with without_warnings():
        nwbfile = _new_file(session, metadata)
        for plane in session.planes:
            _add_plane(nwbfile, session, plane, metadata, zarr)
        if _marks_are_shared(session):
            _add_invalid_times(nwbfile, session)
        with new_io(str(path), "w") as io:
            io.write(nwbfile)
        _add_results(session, path, zarr)
        _check(path, new_io)


def _opener(zarr: bool):
    try:
        import pynwb
    except ImportError as error:
        if error.name != "pynwb":
            raise
        raise MissingExtraError("pynwb", "nwb", "writing an NWB file") from None
    if not zarr:
        return pynwb.NWBHDF5IO
    try:
        import hdmf_zarr
    except ImportError as error:
        if error.name != "hdmf_zarr":
            raise
        raise MissingExtraError("hdmf-zarr", "nwb", "writing an NWB file as a Zarr store") from None
    return hdmf_zarr.NWBZarrIO


def _new_file(session: Session, metadata: Metadata) -> pynwb.NWBFile:
    import pynwb

    made_by = f"cascade-spikes {__version__}, from {session.path.name} ({session.kind})"
    known = {
        "session_description": f"Calcium imaging, converted by {made_by}",
        "identifier": str(uuid.uuid4()),
        **metadata.session,
    }
    try:
        nwbfile = pynwb.NWBFile(
            session_start_time=metadata.session_start_time,
            source_script=made_by,
            source_script_file_name="cascade convert",
            **known,
        )
        if metadata.subject:
            nwbfile.subject = pynwb.file.Subject(**metadata.subject)
        nwbfile.create_device(**{"name": "Microscope", **metadata.device})
        nwbfile.create_processing_module("ophys", "Traces of calcium imaging and what was computed from them")
    except (TypeError, ValueError) as error:
        raise InputError(f"metadata: {' '.join(str(error).split())}") from None
    return nwbfile


def _add_plane(nwbfile: pynwb.NWBFile, session: Session, plane: Plane, metadata: Metadata, zarr: bool) -> None:
    from pynwb.ophys import DfOverF, Fluorescence, OpticalChannel

    known, traces = metadata.imaging_plane, plane.traces
    imaging_plane = nwbfile.create_imaging_plane(
        name=plane.name,
        optical_channel=OpticalChannel(
            name="OpticalChannel", description=UNKNOWN, emission_lambda=known.get("emission_lambda", math.nan)
        ),
        description=known.get("description", f"Imaging plane {plane.name}"),
        device=next(iter(nwbfile.devices.values())),
        excitation_lambda=known.get("excitation_lambda", math.nan),
        indicator=known.get("indicator", traces.indicator or UNKNOWN),
        location=known.get("location", UNKNOWN),
        imaging_rate=float(traces.frame_rate),
    )
    table = add_roi_table(nwbfile, plane, imaging_plane, f"ROIs of {session.kind}")
    times: dict[str, Any] = {"rate": float(traces.frame_rate), "starting_time": 0.0}
    if traces.dropped:
        times = {"timestamps": _times_s(plane)}

    def add(container: type, name: str, traces: Any, unit: str, described: str) -> None:
        module = nwbfile.processing["ophys"]
        if name not in module.data_interfaces:
            module.add(container(name=name))
        module[name].create_roi_response_series(
            name=plane.name,
            data=_in_chunks(traces, zarr),
            rois=table.create_roi_table_region("All ROIs of this plane", region=list(range(len(table.id)))),
            unit=unit,
            description=described,
            comments="no comments" if name == "Neuropil" else _notes(session, plane).text,
            **times,
        )

    if plane.raw is not None:
        what = "Traces" if plane.raw.arbitrary_units else "Raw fluorescence"
        add(Fluorescence, "Fluorescence", plane.raw.fluorescence, "a.u.", f"{what}: {plane.raw.source}")
        if plane.raw.neuropil is not None:
            coefficient = plane.raw.neuropil_coefficient
            described = f"Fluorescence around or under each ROI; {coefficient:g} times it is not the ROI's own"
            add(Fluorescence, "Neuropil", plane.raw.neuropil, "a.u.", described)
    if plane.dff is not None and (plane.raw is None or plane.is_dff_used or plane.source_dff is not None):
        assert plane.dff.dff is not None
        if plane.dff.arbitrary_units:
            add(Fluorescence, "Fluorescence", plane.dff.dff, "a.u.", f"Traces: {plane.dff.source}")
        else:
            add(DfOverF, "DfOverF", plane.dff.dff, "n.a.", f"dF/F as a fraction: {plane.dff.source}")


def _times_s(plane: Plane) -> np.ndarray:
    """Time of each frame, in s."""
    return plane.traces.grid.positions / plane.traces.frame_rate


def _add_invalid_times(nwbfile: pynwb.NWBFile, session: Session) -> None:
    """Frames that are marked as bad in all planes, as intervals that end in the middle of the last frame of each."""
    plane = session.planes[0]
    edges = np.flatnonzero(np.diff(plane.bad_frames, prepend=False, append=False))
    times, half_s = _times_s(plane), 0.5 / plane.traces.frame_rate
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        start, stop = float(times[first]), float(times[end - 1] + half_s)
        nwbfile.add_invalid_time_interval(start_time=start, stop_time=stop, tags="bad frames")


def _marks_are_shared(session: Session) -> bool:
    """Whether the same frames are marked as bad in all planes: the invalid times of a file hold for all of them."""
    first, *others = session.planes
    return all(
        np.array_equal(plane.bad_frames, first.bad_frames) and np.array_equal(_times_s(plane), _times_s(first))
        for plane in others
    )


def _notes(session: Session, plane: Plane) -> Notes:
    raw, has_own_marks = plane.raw, plane.bad_frames.any() and not _marks_are_shared(session)
    return Notes(
        neuropil_coefficient=None if raw is None or raw.neuropil is None else float(raw.neuropil_coefficient),
        segments=plane.traces.segments,
        image_shape=None if plane.rois is None else plane.rois.image_shape,
        neuropil_is_background=plane.neuropil_is_background,
        is_dff_used=plane.is_dff_used,
        arbitrary_units=plane.traces.arbitrary_units,
        denoised=plane.is_denoised,
        bad_frames=frame_text(plane.bad_frames) if has_own_marks else None,
    )


def _in_chunks(traces: np.ndarray, zarr: bool) -> Any:
    """Traces of ROIs x frames, to be written as frames x ROIs, compressed, a block at a time."""
    from hdmf.backends.hdf5 import H5DataIO
    from hdmf.data_utils import GenericDataChunkIterator

    class Transposed(GenericDataChunkIterator):
        def _get_data(self, selection):
            frames, rois = selection
            return np.asarray(traces[rois, frames]).T

        def _get_maxshape(self):
            return traces.shape[1], traces.shape[0]

        def _get_dtype(self):
            return np.dtype(traces.dtype)

    chunk = (min(_CHUNK_FRAMES, traces.shape[1]), min(_CHUNK_ROIS, traces.shape[0]))
    blocks = Transposed(buffer_gb=_BUFFER_GB, chunk_shape=chunk)
    return blocks if zarr else H5DataIO(blocks, compression="gzip")


def _add_results(session: Session, path: Path, zarr: bool) -> None:
    """Let the adapter for NWB write results, as if spikes had been inferred from this very file."""
    containers = NwbRecording.find(path, Selection(in_place=not zarr))
    assert len(containers) == len(session.planes)
    for plane, container in zip(session.planes, containers, strict=True):
        results = carried_results(session, plane, container)
        if results is not None:
            container.write(results)
    if output_of(path).exists():  # Zarr stores are not changed in place
        shutil.rmtree(path)
        os.rename(output_of(path), path)


def _check(path: Path, new_io: Any) -> None:
    import pynwb

    with new_io(str(path), "r") as io:
        problems = pynwb.validate(io=io)
    if problems:
        raise InputError(f"{path.name} would be no valid NWB file: {' '.join(str(problems[0]).split())}")
