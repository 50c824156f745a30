"""What every container has in common: it gives traces, takes results, and can be restored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np


@dataclass(frozen=True)
class Selection:
    """Which of the traces at a path the user means, and where results go; each kind heeds what concerns it.

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

    channel: int | None = 1
    series: str | None = None
    in_place: bool = False
    key: str | None = None
    orientation: str | None = None
    raw: bool = False


@dataclass(frozen=True)
class Reading:
    """What the user says about traces; it takes precedence over the container.

    Attributes
    ----------
    frame_rate : float or None
        Frame rate of each ROI in Hz.
    neuropil_coefficient : float or None
        Part of the neuropil's changes to be subtracted.
    dff : {"auto", "container", "compute"}
        Take dF/F from the container or compute it from raw fluorescence; by default whatever is sure to be right.
    arbitrary_units : bool
        Accept traces in arbitrary units (no background to divide by) for want of dF/F.
    """

    frame_rate: float | None = None
    neuropil_coefficient: float | None = None
    dff: str = "auto"
    arbitrary_units: bool = False


@dataclass(kw_only=True)
class Traces:
    """Traces of one recording, as read from a container: raw fluorescence, or dF/F.

    Attributes
    ----------
    fluorescence : array, shape (n_rois, n_frames), or None
        Raw fluorescence of all ROIs, in the container's order; may be memory-mapped.
    dff : array, shape (n_rois, n_frames), or None
        dF/F as a fraction, instead of raw fluorescence, where the container's is to be used.
    neuropil : array, shape (n_rois, n_frames), or None
        Fluorescence of the surroundings.
    neuropil_coefficient : float
        Part of the neuropil's changes to be subtracted.
    background : array, shape (n_rois, n_frames), or None
        Fluorescence under each ROI that `fluorescence` does not hold; it counts for the baseline to divide by.
    frame_rate : float
        Frames per second of each ROI, in Hz.
    frame_rate_source : str
        Where the frame rate comes from.
    source : str
        Which of the container's traces these are, for messages and the record.
    segments : list of int or None
        Frames of each concatenated session.
    is_cell : array of bool, shape (n_rois,), or None
        ROIs that the pipeline or the user takes for cells.
    cell_probability : array of float, shape (n_rois,), or None
        How likely the pipeline takes each to be one, from 0 to 1.
    indicator : str or None
        Calcium indicator, as the container names it.
    remarks : list of str
        What was found to be doubtful.
    """

    fluorescence: np.ndarray | None = None
    dff: np.ndarray | None = None
    neuropil: np.ndarray | None = None
    neuropil_coefficient: float = 0.0
    background: np.ndarray | None = None
    frame_rate: float
    frame_rate_source: str
    source: str
    segments: list[int] | None = None
    is_cell: np.ndarray | None = None
    cell_probability: np.ndarray | None = None
    indicator: str | None = None
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self):
        assert (self.fluorescence is None) != (self.dff is None)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of ROIs and frames."""
        n_rois, n_frames = (self.dff if self.fluorescence is None else self.fluorescence).shape
        return int(n_rois), int(n_frames)


@dataclass
class Spikes:
    """Discrete spikes of a recording, by ROI and time: one entry per spike in each array.

    Attributes
    ----------
    roi : array, shape (n_spikes,), int64
        Row of the ROI in the container.
    frame : array, shape (n_spikes,), int64
        Frame of the spike, from 0.
    time_s : array, shape (n_spikes,), float64
        Time in s: the frame divided by the frame rate, unless the container has times of its own.
    confidence : array, shape (n_spikes,), float64
        As in `cascade_engine.DiscreteSpikes`.
    """

    roi: np.ndarray
    frame: np.ndarray
    time_s: np.ndarray
    confidence: np.ndarray

    #: Names of the columns of `table`.
    COLUMNS: ClassVar[tuple[str, ...]] = ("roi", "frame", "time_s", "confidence")

    @property
    def table(self) -> np.ndarray:
        """Everything in one array, shape (n_spikes, 4), float64."""
        return np.stack([getattr(self, name) for name in self.COLUMNS], axis=1).astype(np.float64)

    @classmethod
    def from_table(cls, table: np.ndarray) -> Spikes:
        """Spikes from their `table`; `ValueError` if it is none."""
        table = np.asarray(table, dtype=np.float64).reshape(-1, len(cls.COLUMNS))
        roi, frame, time_s, confidence = table.T.copy()
        return cls(roi.astype(np.int64), frame.astype(np.int64), time_s, confidence)


@dataclass
class Results:
    """What is written back into a container.

    Attributes
    ----------
    spike_prob : array, shape (n_rois, n_frames), float32
        Expected spikes per frame; NaN where there is no prediction.
    dff : array, shape (n_rois, n_frames), float32
        dF/F as a fraction.
    noise_levels : array, shape (n_rois,), float32
        Noise levels in percent per sqrt(Hz).
    provenance : dict
        How it came about, ready for JSON.
    spikes : Spikes or None
        Discrete spikes, where they were asked for; ``provenance["discrete_spikes"]`` says how they came about.
    """

    spike_prob: np.ndarray
    dff: np.ndarray
    noise_levels: np.ndarray
    provenance: dict[str, Any]
    spikes: Spikes | None = None


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

    A new kind of container is a subclass, listed in `cascade_adapters.containers.registry`.
    """

    #: Name of the kind, for messages.
    kind: ClassVar[str]

    #: What is looked for on disk, for messages.
    looks_for: ClassVar[str]

    #: Whether a folder is searched for it; if not, it must be given itself.
    searched_for: ClassVar[bool] = True

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    @abstractmethod
    def find(cls, path: Path, selection: Selection = Selection()) -> list[Container]:
        """All recordings of this kind at or below `path`, in order."""

    @abstractmethod
    def read(self, reading: Reading = Reading()) -> Traces:
        """Read the traces.

        Raises
        ------
        InputError
            If something needed is missing or damaged: what, in which file, and what to do.
        """

    @abstractmethod
    def fingerprint(self) -> dict[str, str]:
        """Hashes that change when the traces do, by file or dataset."""

    @abstractmethod
    def results(self) -> dict[str, Any] | None:
        """Provenance of the results that are there, or None."""

    @abstractmethod
    def load_results(self) -> Results | None:
        """The results that are there, as they were written, or None."""

    def rois(self) -> Rois | None:
        """Where the ROIs lie, or None if the container does not say."""
        return None

    def check_replaceable(self) -> None:  # noqa: B027  (nothing to check is a fine answer)
        """Raise now what `write` with `replace_spikes` would refuse later, after all the work."""

    @abstractmethod
    def write(self, results: Results, replace_spikes: bool = False) -> list[str]:
        """Write results, replacing earlier ones of ours, all or nothing; returns the names written.

        With `replace_spikes` the container's own deconvolved traces give way to ours, after a backup; without it, those
        that an earlier run had replaced are put back.
        """

    def add_spikes(self, results: Results, spikes: Spikes, record: dict[str, Any]) -> list[str]:
        """Write discrete spikes to results that are there, all or nothing; returns the names written.

        Parameters
        ----------
        results : Results
            As `load_results` gives them.
        spikes : Spikes
            To replace any that are there.
        record : dict
            How they came about, ready for JSON.
        """
        provenance = {**results.provenance, "discrete_spikes": record}
        return self.write(replace(results, spikes=spikes, provenance=provenance), self.has_replaced_spikes())

    def has_replaced_spikes(self) -> bool:
        """Whether our rates are now in the place of the container's own deconvolved traces."""
        return False

    @abstractmethod
    def restore(self) -> list[str]:
        """Remove everything that `write` has written and put back what it had replaced; returns what was done."""

    @property
    def identity(self) -> tuple:
        """The same for two objects that stand for the same traces."""
        return (self.kind, self.path.resolve())

    def is_stale(self) -> bool:
        """Whether there are results, made from other traces than those that are there now."""
        earlier = self.results()
        return earlier is not None and earlier.get("input") != self.fingerprint()
