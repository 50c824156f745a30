"""What every container has in common: it gives traces, takes results, and can be restored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np


@dataclass
class Traces:
    """Raw traces of one recording, as read from a container.

    Attributes
    ----------
    fluorescence : array, shape (n_rois, n_frames), float32
        Raw fluorescence of all ROIs, in the container's order; may be memory-mapped.
    neuropil : array of the same shape, or None
        Fluorescence of the surroundings.
    neuropil_coefficient : float
        Part of the neuropil's changes to be subtracted.
    frame_rate : float
        Frames per second of each ROI, in Hz.
    frame_rate_source : str
        Where the frame rate comes from.
    segments : list of int or None
        Frames of each concatenated session.
    is_cell : array of bool, shape (n_rois,), or None
        ROIs that the pipeline or the user takes for cells.
    remarks : list of str
        What was found to be doubtful.
    """

    fluorescence: np.ndarray
    neuropil: np.ndarray | None
    neuropil_coefficient: float
    frame_rate: float
    frame_rate_source: str
    segments: list[int] | None = None
    is_cell: np.ndarray | None = None
    remarks: list[str] = field(default_factory=list)


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
    """

    spike_prob: np.ndarray
    dff: np.ndarray
    noise_levels: np.ndarray
    provenance: dict[str, Any]


class Container(ABC):
    """One recording in a container.

    A new kind of container is a subclass, listed in `cascade_adapters.registry`.
    """

    #: Name of the kind, for messages.
    kind: ClassVar[str]

    #: What is looked for on disk, for messages.
    looks_for: ClassVar[str]

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    @abstractmethod
    def find(cls, path: Path, **options: Any) -> list[Container]:
        """All recordings of this kind at or below `path`, in order."""

    @abstractmethod
    def read(self, frame_rate: float | None = None, neuropil_coefficient: float | None = None) -> Traces:
        """Read the traces; arguments given by the user (Hz, fraction) take precedence over the container's own.

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

    def check_replaceable(self) -> None:  # noqa: B027  (nothing to check is a fine answer)
        """Raise now what `write` with `replace_spikes` would refuse later, after all the work."""

    @abstractmethod
    def write(self, results: Results, replace_spikes: bool = False) -> list[str]:
        """Write results, replacing earlier ones of ours, all or nothing; returns the names written.

        With `replace_spikes` the container's own deconvolved traces give way to ours, after a backup; without it, those
        that an earlier run had replaced are put back.
        """

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
