"""What every container has in common: it gives traces, takes results, and can be restored."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cascade_adapters.containers.changes import TRACES_CHANGED, changed_facts
from cascade_adapters.containers.deconvolved import Deconvolved
from cascade_adapters.containers.remembered import with_record
from cascade_adapters.results import Record, Results, Spikes
from cascade_adapters.results.record import SpikesFound
from cascade_adapters.results.rows import Rows
from cascade_engine.declared import check_limits, declared
from cascade_engine.errors import InputError
from cascade_engine.file_formats.unpacking import check_memory
from cascade_engine.signal.dff import NEUROPIL_HINT, NEUROPIL_LIMITS
from cascade_engine.signal.grid import FrameGrid
from cascade_engine.signal.masked import unmasked
from cascade_engine.signal.noise import FRAME_RATE_HINT, FRAME_RATE_LIMITS, as_frame_rate
from cascade_engine.signal.units import ARBITRARY_UNITS, DENOISED

#: What need not be said of a recording: nothing, or the first channel.
_USUAL = (None, "", 1)

#: What can be done where dF/F does not rest at 0.
RESTS = ("auto", "subtract", "keep")


#: Memory (bytes) that a frame of one trace takes while spikes are inferred: a few copies of it, in double precision.
_BYTES_PER_FRAME = 60


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which of the traces at a path the user means, and where results go; see `Container.uses`.

    Attributes
    ----------
    channel : {1, 2} or None
        Channel of suite2p; None for both.
    series : str or None
        NWB: path of the series inside the file, or the last part of it.
    in_place : bool
        NWB: change the file itself instead of writing a new one beside it.
    key : str or None
        Arrays: name of the variable.
    orientation : {"rois-first", "frames-first"} or None
        Arrays: which axis comes first.
    raw : bool
        Arrays: the values are raw fluorescence, not dF/F.
    """

    channel: int | None = declared(1, help="suite2p: which channel.", choices=(1, 2))
    series: str | None = declared(None, help="NWB: the series, by its path in the file or its name.", metavar="NAME")
    in_place: bool = declared(False, help="NWB: change the file itself instead of writing a new one.")
    key: str | None = declared(
        None, help="Arrays: the variable that holds the traces. SIMA: the extraction.", metavar="NAME"
    )
    orientation: str | None = declared(
        None, help="Arrays: which axis comes first.", choices=("rois-first", "frames-first")
    )
    raw: bool = declared(False, help="Arrays: the values are raw fluorescence, not dF/F.")

    def __post_init__(self) -> None:
        if self.channel not in (None, 1, 2):
            raise InputError(f"suite2p has channels 1 and 2, not {self.channel}")
        if self.orientation not in (None, "rois-first", "frames-first"):
            raise InputError(f"orientation must be rois-first or frames-first, but it is {self.orientation!r}")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the user says about traces; it takes precedence over the container.

    Attributes
    ----------
    frame_rate : float or None
        Frame rate of each ROI in Hz.
    neuropil_coefficient : float or None
        Part of the neuropil's changes to be subtracted.
    offset : float
        What the detector gives without light, in counts: subtracted from raw fluorescence and neuropil before anything
        else is done with them.
    dff : {"auto", "container", "compute"}
        Take dF/F from the container or compute it from raw fluorescence; by default whatever is sure to be right.
    arbitrary_units : bool
        Take the traces to be in arbitrary units, of which no dF/F can be had, whatever the container says.
    rest : {"auto", "subtract", "keep"}
        What to do where the container's dF/F does not rest at 0: subtract where it rests, but refuse what looks like
        F / F0; subtract in any case; or leave it as it is.
    sessions : tuple of int or None
        Frames of each uninterrupted segment. Also as text: numbers with commas, or a text file with one on each line.
    """

    frame_rate: float | None = declared(
        None,
        help="Frame rate of each ROI in Hz [default: the container's].",
        unit="Hz",
        metavar="HZ",
        limits=FRAME_RATE_LIMITS,
        hint=FRAME_RATE_HINT,
    )
    neuropil_coefficient: float | None = declared(
        None,
        help="Part of the neuropil to subtract [default: the container's, else 0.7].",
        metavar="R",
        limits=NEUROPIL_LIMITS,
        hint=NEUROPIL_HINT,
    )
    offset: float = declared(
        0.0,
        help="What the detector gives without light, to be subtracted from raw fluorescence and neuropil.",
        unit="counts",
        metavar="COUNTS",
        limits=(-1e6, 1e6),
    )
    dff: str = declared(
        "auto",
        help="Use the container's dF/F, or compute it from raw fluorescence.",
        choices=("auto", "container", "compute"),
    )
    arbitrary_units: bool = declared(
        False, help="Traces that are no dF/F and cannot be turned into it (one-photon): scale each by its noise."
    )
    rest: str = declared(
        "auto",
        help="Where dF/F does not rest at 0: subtract its rest but refuse F/F0, subtract that too, or keep it.",
        choices=RESTS,
    )
    sessions: str | tuple[int, ...] | None = declared(
        None,
        help="Frames of each session in a recording that was put together (9000,9000), or a text file with one number "
        "per line [default: as the container says].",
        metavar="FRAMES",
    )

    @classmethod
    def asked_for(cls, asked: Mapping[str, Any]) -> Reading:
        """What the user said in an earlier run, as its record keeps it (`Record.asked`)."""
        return cls(**{each.name: asked[each.name] for each in fields(cls) if asked.get(each.name) is not None})

    def __post_init__(self) -> None:
        object.__setattr__(self, "sessions", _as_counts(self.sessions))
        if self.dff not in ("auto", "container", "compute"):
            raise InputError(f"dff must be one of auto, container, compute, but it is {self.dff!r}")
        if self.rest not in RESTS:
            raise InputError(f"rest must be one of {', '.join(RESTS)}, but it is {self.rest!r}")
        check_limits(self)


def _as_counts(sessions: Any) -> tuple[int, ...] | None:
    """Frames of each session, from numbers, text, or the text file that it names."""
    if sessions is None:
        return None
    given = sessions
    if isinstance(sessions, str):
        try:
            given = Path(sessions).read_text("utf-8") if Path(sessions).is_file() else sessions
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{sessions} cannot be read: {error}") from None
        given = given.replace(",", " ").split()
    try:
        counts = tuple(int(count) for count in given)
    except (TypeError, ValueError):
        counts = ()
    if not counts or min(counts) < 1:
        raise InputError(
            f"sessions must be the frames of each session, such as 9000,9000, or a text file with one number per line, "
            f"but it is {sessions!r}"
        )
    return counts


@dataclass(kw_only=True)
class Traces:
    """Traces of one recording, as read from a container: raw fluorescence, or dF/F, or either in arbitrary units.

    The arrays have one row per ROI, in the container's order; what is missing is NaN, or masked. They may be read from
    the disk, block by block, when their rows are asked for (`cascade_adapters.results.rows.Rows`).

    Attributes
    ----------
    fluorescence : array-like, shape (n_rois, n_frames), or None
        Raw fluorescence.
    dff : array-like, shape (n_rois, n_frames), or None
        dF/F as a fraction, instead of raw fluorescence, where the container's is to be used.
    neuropil : array-like, shape (n_rois, n_frames), or None
        Fluorescence of the surroundings.
    neuropil_coefficient : float
        Part of the neuropil's changes to be subtracted.
    background : array-like, shape (n_rois, n_frames), or None
        Fluorescence under each ROI that `fluorescence` does not hold; it counts for the baseline to divide by.
    per_count : array, shape (n_rois,), or None
        What one count in each pixel adds to the trace of a ROI, where that is not one.
    offset : float
        What the detector gives without light, in counts, still to be subtracted; see `Reading.offset`.
    arbitrary_units : bool
        Whether these are no dF/F and cannot be turned into it. They are kept as they are stored, and scaled by their
        noise for inference (`cascade_engine.signal.units.scale_arbitrary`).
    denoised : bool
        Whether they are known to be denoised or smoothed, so that their noise level says nothing.
    frame_rate : float
        Frames per second of each ROI, in Hz.
    frame_rate_source : str
        Where the frame rate comes from.
    source : str
        Which of the container's traces these are, for messages and the record.
    segments : list of int or None
        Frames of each uninterrupted segment.
    excluded : dict of str to array of bool, shape (n_frames,)
        Frames that are left out, by what says so: the container gives those that the pipeline has marked as bad.
    dropped : dict of int to int
        Frames that were dropped before a stored frame, as of `cascade_engine.FrameGrid`.
    is_cell : array of bool, shape (n_rois,), or None
        ROIs that the pipeline or the user takes for cells.
    cell_probability : array of float, shape (n_rois,), or None
        How likely the pipeline takes each to be one, from 0 to 1.
    indicator : str or None
        Calcium indicator, as the container names it.
    remarks : list of str
        What was found to be doubtful.
    hashes : callable or None
        Gives the hashes of `Container.fingerprint` without reading again what has been read from these traces by then.
    """

    fluorescence: Rows | None = None
    dff: Rows | None = None
    neuropil: Rows | None = None
    neuropil_coefficient: float = 0.0
    background: Rows | None = None
    per_count: np.ndarray | None = None
    offset: float = 0.0
    arbitrary_units: bool = False
    denoised: bool = False
    frame_rate: float
    frame_rate_source: str
    source: str
    segments: list[int] | None = None
    excluded: dict[str, np.ndarray] = field(default_factory=dict)
    dropped: dict[int, int] = field(default_factory=dict)
    is_cell: np.ndarray | None = None
    cell_probability: np.ndarray | None = None
    indicator: str | None = None
    remarks: list[str] = field(default_factory=list)
    hashes: Callable[[], dict[str, str]] | None = None

    def __post_init__(self) -> None:
        assert (self.fluorescence is None) != (self.dff is None)
        for name in ("fluorescence", "dff", "neuropil", "background"):
            if isinstance(getattr(self, name), np.ma.MaskedArray):
                setattr(self, name, unmasked(getattr(self, name)))

    def __repr__(self) -> str:
        n_rois, n_frames = self.shape
        return f"<Traces of {n_rois} ROIs x {n_frames} frames at {self.frame_rate:g} Hz from {self.source}>"

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of ROIs and frames."""
        values = self.dff if self.fluorescence is None else self.fluorescence
        assert values is not None
        n_rois, n_frames = values.shape
        return int(n_rois), int(n_frames)

    def in_arbitrary_units(self) -> Traces:
        """The same, marked as traces of which no dF/F can be had."""
        return replace(
            self,
            arbitrary_units=True,
            source=f"{self.source}, in arbitrary units",
            remarks=[*self.remarks, ARBITRARY_UNITS],
        )

    def with_sessions(self, sessions: tuple[int, ...]) -> Traces:
        """The same with segments that the user tells.

        Raises
        ------
        InputError
            If they do not add up to the number of frames.
        """
        n_frames, told, own = self.shape[1], list(sessions), self.segments
        if sum(told) != n_frames:
            raise InputError(f"--sessions adds up to {sum(told)} frames, but the recording has {n_frames}")
        remarks = list(self.remarks)
        if own is not None and own != told:
            remarks.append(
                f"--sessions tells of {len(told)} segments, the container of {len(own)}: the former were used"
            )
        return replace(self, segments=told if len(told) > 1 else None, remarks=remarks)

    @property
    def excluded_frames(self) -> np.ndarray:
        """Whether each frame is left out; bool, shape (n_frames,)."""
        return np.any([np.zeros(self.shape[1], dtype=bool), *self.excluded.values()], axis=0)

    @property
    def grid(self) -> FrameGrid:
        """The frames on an even grid of time."""
        return FrameGrid(self.shape[1], self.segments, self.dropped)


def check_length(path: Path, n_frames: int) -> None:
    """Raise `InputError` if a single trace of so many frames takes more memory than there is: it is worked on whole."""
    try:
        check_memory(n_frames * _BYTES_PER_FRAME)
    except ValueError as error:
        raise InputError(f"{path}: traces of {n_frames} frames are too long ({error}): cut them into parts") from None


@dataclass
class Rois:
    """Where ROIs lie in the image.

    Attributes
    ----------
    image_shape : tuple of int or None
        Height and width of the image in pixels; for volumes also the depth. None if the container does not say.
    pixels : list of array, shape (n_pixels, 2 or 3), int
        Pixels of each ROI: row, column, and in volumes the plane.
    weights : list of array, shape (n_pixels,), float32
        Weight of each of these pixels.
    """

    image_shape: tuple[int, ...] | None
    pixels: list[np.ndarray]
    weights: list[np.ndarray]


class Container(ABC):
    """One recording in a container.

    A new kind of container is a subclass; ``docs/write_a_container.md`` shows one that is added by another package.
    """

    #: Name of the kind, for messages.
    kind: ClassVar[str]

    #: What is looked for on disk, for messages.
    looks_for: ClassVar[str]

    #: Whether a folder is searched for it; if not, it must be given itself.
    searched_for: ClassVar[bool] = True

    #: What to do if there seem to be more ROIs than frames because its axes were taken for each other.
    advice_if_transposed: ClassVar[str] = "look at how the file was written: a row may be a frame instead of a ROI"

    #: Names of the fields of `Selection` that it uses; others are refused.
    uses: ClassVar[tuple[str, ...]] = ()

    def __init__(self, path: Path):
        self.path = path

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"

    @classmethod
    @abstractmethod
    def find(cls, path: Path, selection: Selection = Selection()) -> Sequence[Container]:
        """All recordings of this kind at or below `path`, in order."""

    @classmethod
    def why_not(cls, path: Path) -> str:
        """Why a file is refused although others might take it, or a folder in which nothing is found; else empty."""
        return ""

    @abstractmethod
    def read(self, reading: Reading = Reading()) -> Traces:
        """Read the traces; what `reading` says about sessions and units is added by `traces`.

        With ``reading.arbitrary_units`` nothing is refused because it is no dF/F.

        Raises
        ------
        InputError
            If something needed is missing or damaged: what, in which file, and what to do.
        """

    def traces(self, reading: Reading = Reading()) -> Traces:
        """What `read` gives, with what it is known to be, and with the offset and the segments that the user tells.

        What was said once, for results of the same traces, need not be said again.
        """
        try:
            traces = self.read(reading)
        except InputError:
            completed = with_record(reading, self.remembered())
            if completed == reading:
                raise
            traces, reading = self.read(completed), completed
        check_length(self.path, traces.shape[1])
        try:
            as_frame_rate(traces.frame_rate)
        except InputError as error:
            raise InputError(f"{self.path}: {traces.frame_rate_source}: {error}: pass --frame-rate") from None
        if traces.arbitrary_units or reading.arbitrary_units:
            traces = traces.in_arbitrary_units()
        if traces.denoised:
            traces.remarks.append(DENOISED)
        if reading.offset:
            traces = replace(traces, offset=self._offset(traces, reading.offset))
        if reading.sessions is None:
            return traces
        assert not isinstance(reading.sessions, str)
        try:
            return traces.with_sessions(reading.sessions)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from None

    def _offset(self, traces: Traces, offset: float) -> float:
        """The offset of the detector that is to be subtracted from these traces; refused where it cannot be."""
        if traces.arbitrary_units:
            found = "traces in arbitrary units"
        elif traces.fluorescence is None:
            found = "dF/F"
        elif traces.background is not None and traces.per_count is None:
            found = "components without the weights of their pixels"
        else:
            return offset
        raise InputError(
            f"{self.path}: --offset is subtracted from raw fluorescence, but {traces.source} is {found}: leave it out, "
            "or pass --dff compute where there is raw fluorescence too"
        )

    @abstractmethod
    def fingerprint(self) -> dict[str, str]:
        """Hashes that change when the traces do, by file or dataset."""

    def has_input(self, hashes: Mapping[str, str]) -> bool:
        """Whether the traces are those with the hashes that a record holds (`Record.input`)."""
        return hashes == self.fingerprint()

    @abstractmethod
    def record(self) -> Record | None:
        """The record of the results that are there, or None.

        Raises
        ------
        InputError
            If there is one that is damaged.
        """

    def remembered(self) -> Record | None:
        """The record of the results that are there, if they were made from the traces that are there now; else None."""
        try:
            record = self.record()
            return record if record is not None and self.has_input(record.input) else None
        except InputError:  # whoever needs the record says why
            return None

    @abstractmethod
    def results(self) -> Results | None:
        """The results that are there, as they were written, or None.

        Raises
        ------
        InputError
            If they are damaged or not complete.
        """

    def rois(self) -> Rois | None:
        """Where the ROIs lie, or None if the container does not say."""
        return None

    def check_replaceable(self) -> None:
        """Raise now what `write` with `replace_spikes` would refuse later, after all the work."""
        raise InputError(f"{self.path}: {self.kind} has no deconvolved traces to replace: leave out --replace-spks")

    @abstractmethod
    def write(self, results: Results, replace_spikes: bool = False) -> list[str]:
        """Write results, replacing earlier ones of ours, all or nothing; returns the names written.

        With `replace_spikes` the container's own deconvolved traces give way to ours, after a backup; without it, those
        that an earlier run had replaced are put back.
        """

    @classmethod
    def write_together(
        cls, written: Sequence[tuple[Container, Results]], replace_spikes: bool = False
    ) -> list[list[str] | InputError]:
        """Write results of recordings that share a file (`job`); one list of names, or one failure, for each."""
        outcome: list[list[str] | InputError] = []
        for container, results in written:
            try:
                outcome.append(container.write(results, replace_spikes))
            except InputError as error:
                outcome.append(error)
        return outcome

    def add_spikes(self, results: Results, spikes: Spikes, found: SpikesFound) -> list[str]:
        """Write discrete spikes to results that are there, all or nothing; returns the names of what has changed.

        Parameters
        ----------
        results : Results
            As `results` gives them.
        spikes : Spikes
            To replace any that are there.
        found : SpikesFound
            How they came about.
        """
        record = replace(results.record, discrete_spikes=found)
        return self.write(replace(results, spikes=spikes, record=record), self.has_replaced_spikes())

    def has_replaced_spikes(self) -> bool:
        """Whether our rates are now in the place of the container's own deconvolved traces."""
        return False

    def deconvolved(self) -> Deconvolved | None:
        """Whose rates are in the place of the container's own deconvolved traces; None where there is no such place."""
        return None

    @abstractmethod
    def restore(self) -> list[str]:
        """Remove everything that `write` has written and put back what it had replaced; returns what was done."""

    @property
    def identity(self) -> tuple:
        """The same for two objects that stand for the same traces."""
        return (self.kind, self.path.resolve())

    @property
    def job(self) -> tuple:
        """The same for recordings that are processed and written together, because they share a file."""
        return self.identity

    @property
    def plane(self) -> str | None:
        """Name of the imaging plane, such as ``plane0``; None where the container does not say."""
        return None

    @property
    def session(self) -> Path:
        """The same for planes that were imaged together."""
        return self.path

    def keep_open(self) -> AbstractContextManager[None]:
        """Within the block, what recordings of one `job` share is opened only once when they are read."""
        return nullcontext()

    @property
    def scratch_folder(self) -> Path | None:
        """Folder beside which large results may wait on the disk until they are written; None: in memory."""
        return self.path if self.path.is_dir() else self.path.parent

    @property
    def told_apart(self) -> tuple:
        """What tells this recording from others in the same container, for the name of its page."""
        return self.identity[2:]

    @property
    def report_path(self) -> Path:
        """Where the page of ``cascade report`` lies: beside the container, named after it and `told_apart`."""
        parts = (f"chan{part}" if isinstance(part, int) else part for part in self.told_apart if part not in _USUAL)
        words = (re.sub(r"[^\w.-]+", "_", part).strip("_") for part in parts)
        return self.path.with_name("_".join(filter(None, [self.path.name, *words, "cascade_report.html"])))

    def is_stale(self) -> bool:
        """Whether there are results that a run with the same options would now make from something else."""
        return bool(self.changes())

    def changes(self) -> list[str]:
        """What has changed since the results were made and makes them stale, in words; empty if nothing has.

        These are the traces, and whatever the options of that run left to the container: frame rate, segments, frames
        that are marked as bad, which ROIs are cells, ...
        """
        earlier = self.record()
        if earlier is None:
            return []
        try:
            traces = self.traces(Reading.asked_for(earlier.asked))
        except (InputError, TypeError):  # what it takes to read them is not known here, or they cannot be read any more
            return [] if self.has_input(earlier.input) else [TRACES_CHANGED]
        changes = changed_facts(earlier, traces)
        is_same = (traces.hashes is not None and earlier.input == traces.hashes()) or self.has_input(earlier.input)
        return changes if is_same else [TRACES_CHANGED, *changes]
