"""Everything that one recording session holds, read from its container, whatever its kind."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from cascade_adapters.containers.background import with_background
from cascade_adapters.containers.base import Container, Reading, Rois, Selection, Traces
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.results import Results
from cascade_adapters.results.record import NAMED_FRAMES
from cascade_adapters.results.rows import Rows, blocks_of
from cascade_adapters.running.options import Options
from cascade_adapters.running.unused import unused_options
from cascade_engine.errors import InputError
from cascade_engine.signal.frames import frame_mask


@dataclass
class Plane:
    """One imaging plane.

    Attributes
    ----------
    name : str
        ``plane0``, ``plane1``, ...
    raw : Traces or None
        Raw fluorescence, with neuropil where there is any; a background is part of it, and stands as neuropil.
    dff : Traces or None
        The container's own dF/F.
    results : Results or None
        What `cascade run` has written; its dF/F is the one that spikes were inferred from.
    rois : Rois or None
        Where the ROIs lie.
    is_dff_used : bool
        Whether `cascade run` takes the container's dF/F although there is raw fluorescence.
    neuropil_is_background : bool
        Whether the neuropil of `raw` is the background that a pipeline had taken out.
    """

    name: str
    raw: Traces | None
    dff: Traces | None
    results: Results | None
    rois: Rois | None
    is_dff_used: bool = False
    neuropil_is_background: bool = False

    @property
    def traces(self) -> Traces:
        """Raw fluorescence, or dF/F where there is nothing else: for everything that both know."""
        traces = self.dff if self.raw is None else self.raw
        assert traces is not None
        return traces

    @cached_property
    def bad_frames(self) -> np.ndarray:
        """Frames that the container marks as bad, or that the user named for the results; bool, shape (n_frames,)."""
        marked = self.traces.excluded_frames
        named = {} if self.results is None else self.results.record.recording.excluded_frames
        return marked | frame_mask(named[NAMED_FRAMES], len(marked)) if NAMED_FRAMES in named else marked

    @property
    def content(self) -> list[str]:
        """What there is, in words."""
        present = {
            "raw fluorescence": self.raw is not None and not self.raw.arbitrary_units,
            "neuropil": self.raw is not None and self.raw.neuropil is not None,
            "traces in arbitrary units": self.traces.arbitrary_units or self.has_arbitrary_units,
            "dF/F": (self.results is not None or self.dff is not None) and not self.has_arbitrary_units,
            "spike probability": self.results is not None,
            "discrete spikes": self.results is not None and self.results.spikes is not None,
            "masks": self.rois is not None,
            "which ROIs are cells": self.traces.is_cell is not None,
            "bad frames": bool(self.bad_frames.any()),
        }
        return [name for name, there in present.items() if there]

    @property
    def has_arbitrary_units(self) -> bool:
        """Whether what stands for dF/F, of our results or of the container, is in arbitrary units."""
        if self.results is not None:
            return self.results.record.traces.arbitrary_units
        return self.dff is not None and self.dff.arbitrary_units

    @property
    def is_denoised(self) -> bool:
        """Whether the traces are known, or were found when spikes were inferred, to be denoised or smoothed."""
        return self.traces.denoised or (self.results is not None and self.results.record.traces.denoised)

    @cached_property
    def source_dff(self) -> Rows | None:
        """The container's own dF/F, unless it is the one that spikes were inferred from."""
        if self.dff is None or self.dff.dff is None:
            return None
        same = self.results is not None and _are_equal(self.dff.dff, self.results.dff)
        return None if same else self.dff.dff


@dataclass
class Session:
    """One recording session: planes that were imaged together.

    Attributes
    ----------
    path : Path
        Where it comes from.
    kind : str
        Kind of container.
    planes : list of Plane
        At least one.
    remarks : list of str
        What was doubtful, or left out, and why.
    """

    path: Path
    kind: str
    planes: list[Plane]
    remarks: list[str] = field(default_factory=list)


def read_session(path: Path, selection: Selection = Selection(), reading: Reading = Reading()) -> Session:
    """Read one session.

    Parameters
    ----------
    path : Path
        File or folder.
    selection : Selection
        Which traces are meant.
    reading : Reading
        What the user says about them.

    Returns
    -------
    Session
        Its arrays may still lie in the files.

    Raises
    ------
    InputError
        If there is nothing at `path`, or more than one session, or it cannot be read.
    """
    containers = find_containers(path, selection)
    if len({(container.kind, container.session) for container in containers}) > 1:
        named = ", ".join(str(container.path) for container in containers[:3])
        more = ", ..." if len(containers) > 3 else ""
        raise InputError(
            f"{path} holds {len(containers)} recordings that are not planes of one session ({named}{more}): "
            "convert them one by one"
        )
    session = Session(path, containers[0].kind, [])
    for number, container in enumerate(containers):
        name = container.plane or f"plane{number}"
        plane = _read_plane(container, name, selection, reading, session.remarks)
        session.planes.append(plane)
    return session


def _read_plane(container: Container, name: str, selection: Selection, reading: Reading, remarks: list[str]) -> Plane:
    traces = container.traces(reading)
    other = _read_other(container, traces, reading)
    raw, dff = (traces, other) if traces.dff is None else (other, traces)
    found = traces.remarks + ([] if raw is traces or raw is None else raw.remarks)
    given = Options(selection=selection, reading=reading)
    found += unused_options(given, container, traces if raw is None else raw)
    is_background = False
    if raw is not None and raw.background is not None:
        is_background = raw.neuropil is None
        raw = with_background(raw)
        as_neuropil = "; Fneu is that background, to be subtracted in full" if is_background else ""
        found.append(f"F holds the background under each ROI, too{as_neuropil}")

    rois, results = None, None
    try:
        rois = _read_rois(container, traces.shape[0])
    except InputError as error:
        found.append(f"masks are left out: {error}")
    try:
        if changes := container.changes():
            raise InputError("; ".join(changes))
        results = container.results()
    except InputError as error:
        found.append(f"cascade's results are left out: {error}")
    remarks += [f"{name}: {text}" for text in dict.fromkeys(found)]
    return Plane(name, raw, dff, results, rois, raw is not None and traces.dff is not None, is_background)


def _read_rois(container: Container, n_rois: int) -> Rois | None:
    rois = container.rois()
    if rois is None or not any(weights.any() for weights in rois.weights):
        return None
    if len(rois.pixels) != n_rois:
        raise InputError(f"there are {len(rois.pixels)}, but {n_rois} traces")
    return rois


def _are_equal(dff: Rows, used: Rows) -> bool:
    """Whether spikes were inferred from this dF/F, which was turned to single precision for that."""
    if tuple(dff.shape) != tuple(used.shape):
        return False
    with np.errstate(over="ignore"):
        return all(
            np.array_equal(block.astype(np.float32), np.asarray(used[rows]), equal_nan=True)
            for rows, block in blocks_of(dff)
        )


def _read_other(container: Container, traces: Traces, reading: Reading) -> Traces | None:
    """The other one of raw fluorescence and dF/F, where the container has both."""
    if reading.dff != "auto" or traces.arbitrary_units:
        return None
    try:
        other = container.traces(replace(reading, dff="container" if traces.dff is None else "compute"))
    except InputError:
        return None
    # an array is the same whatever it is taken for
    is_other = (other.dff is None) != (traces.dff is None) and other.source != traces.source
    return other if is_other and other.shape == traces.shape else None
