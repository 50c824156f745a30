"""What the read-only sources have in common: results in an ``.npz`` beside them, units asked for and not guessed."""

from __future__ import annotations

import os
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cascade_adapters.containers.arrays.laid_out import LaidOut
from cascade_adapters.containers.arrays.numpy_files import load_npz_results, npz_files
from cascade_adapters.containers.base import Container, Reading, Selection, Traces
from cascade_adapters.containers.remembered import GIVEN
from cascade_adapters.results import Record, Results, Spikes, schema
from cascade_adapters.results.schema import complete
from cascade_adapters.safe_writing.beside import FilesBeside
from cascade_engine.errors import InputError
from cascade_engine.file_formats.atomic import sha256
from cascade_engine.signal.noise import as_frame_rate
from cascade_engine.signal.units import why_not_dff, why_not_raw

#: Name of the array of discrete spikes.
_DISCRETE = "spikes"


class SegmentationSource(Container):
    """Results of a segmentation that nothing can be written into.

    Beside ``name.mat`` lie ``name_cascade.npz`` (``spike_prob`` and ``dff``, ROIs x frames, ``noise_levels``,
    ``frame_rate`` in Hz, ``provenance`` as JSON, and discrete ``spikes``, where there are any, as of `ArrayFile`) and
    ``name_cascade.npz.json``, the record.
    """

    searched_for = False

    #: Whether the traces can be raw fluorescence; if not, a background was taken away from them.
    may_be_raw: ClassVar[bool] = True

    def __init__(self, path: Path):
        # a folder may be given as ".", but results lie beside it
        super().__init__(Path(os.path.abspath(path)) if path.name in ("", "..") else path)
        stem = f"{self.path.stem}_cascade"
        self._npz, self._beside = stem, FilesBeside(self.path, f"{stem}.npz.json")

    @classmethod
    @abstractmethod
    def matches(cls, path: Path) -> bool:
        """Whether a path is of this kind; never raises."""

    @classmethod
    def find(cls, path: Path, selection: Selection = Selection()) -> list[SegmentationSource]:
        """The path itself; folders are not searched, since such files lie among many that look alike."""
        return [cls(path)] if cls.matches(path) else []

    def sources(self) -> list[Path]:
        """The files that the traces come from."""
        return [self.path]

    def fingerprint(self) -> dict[str, str]:
        """SHA-256 of the files that the traces come from."""
        return {path.name: sha256(path) for path in self.sources()}

    def record(self) -> Record | None:
        """The record beside the source, or None; see `Container.record`."""
        found = self._beside.record()
        return None if found is None else Record.parse(found, str(self._beside.path))

    def results(self) -> Results | None:
        """Read what `write` has written; see `Container.results`."""
        record = self.record()
        if record is None:
            return None
        names = tuple(array.name for array in schema.ARRAYS)
        if record.discrete_spikes is not None:
            names = (*names, _DISCRETE)
        try:
            found = load_npz_results(self.path.parent, self._npz, ".npz", names, None)
            spikes = Spikes.from_table(found[_DISCRETE]) if _DISCRETE in found else None
            arrays, problem = complete(found, record.recording.n_rois, record.recording.n_frames, record.written_by)
        except Exception:  # a damaged file can fail in any way
            problem = "they are damaged"
        if problem:
            raise InputError(
                f"the results beside {self.path} cannot be read ({problem}): run again with --existing overwrite"
            )
        return Results(arrays, record, spikes)

    def write(self, results: Results, replace_spikes: bool = False) -> list[str]:
        """Write results beside the source; see `Container.write`."""
        if replace_spikes:
            self.check_replaceable()
        arrays = {name: LaidOut(values, tuple(values.shape)) for name, values in results.arrays.items()}
        if results.spikes is not None:
            table = results.spikes.table
            arrays[_DISCRETE] = LaidOut(table, table.shape)
        record = results.record
        facts = {"frame_rate": record.recording.frame_rate_hz, "record": record.to_json()}
        return self._beside.write(npz_files(self._npz, ".npz", arrays, facts, None), record.to_dict())

    def restore(self) -> list[str]:
        """Remove our files; see `Container.restore`."""
        return self._beside.remove()

    def given_frame_rate(self, reading: Reading) -> tuple[float, str]:
        """The frame rate (Hz) that the user must give, and where it comes from."""
        if reading.frame_rate is None:
            raise InputError(f"{self.path}: {self.kind} stores no frame rate: pass --frame-rate (Hz)")
        return as_frame_rate(reading.frame_rate), GIVEN

    def traces_of(
        self, values: np.ndarray, unit: str, reading: Reading, frame_rate: tuple[float, str], source: str, **facts: Any
    ) -> Traces:
        """Traces in the unit that is known, or that the user says.

        Parameters
        ----------
        values : array, shape (n_rois, n_frames)
            As stored.
        unit : str
            "dff", "raw", or why it is not known.
        reading : Reading
            What the user says.
        frame_rate : tuple of float and str
            In Hz, and where it comes from.
        source : str
            What the values are called.
        **facts
            Further fields of `Traces`.

        Returns
        -------
        Traces
            Checked for what is plainly wrong.

        Raises
        ------
        InputError
            If the unit is not known and the user does not say, or the numbers contradict it.
        """
        self._beside.check_free([f"{self._npz}.npz"])
        rate, rate_source = frame_rate
        remarks = facts.pop("remarks", [])
        facts |= {"frame_rate": rate, "frame_rate_source": rate_source, "remarks": remarks}
        if reading.arbitrary_units:
            return Traces(fluorescence=values, source=source, **facts)
        said = {"auto": unit, "container": "dff", "compute": "raw"}[reading.dff]
        if unit in ("dff", "raw") and said != unit:
            held = "dF/F, no raw fluorescence" if unit == "dff" else "raw fluorescence, no dF/F"
            raise InputError(f"{self.path} holds {held}: leave out --dff {reading.dff}")
        if said == "raw" and not self.may_be_raw:
            raise InputError(f"{self.path}: {unit}: leave out --dff compute")
        if said == "dff" and (problem := why_not_dff(values, rate)):
            raise InputError(f"{self.path}: {source}: {problem}")
        if said == "raw" and (problem := why_not_raw(values)):
            raise InputError(f"{self.path}: {source}: {problem}: pass --dff container if that is what they are")
        if said == "dff":
            return Traces(dff=values, source=source, **facts)
        if said == "raw":
            return Traces(fluorescence=values, source=source, **facts)
        raw = ", --dff compute if they are raw fluorescence" if self.may_be_raw else ""
        raise InputError(
            f"{self.path}: {unit}; pass --dff container if the traces are dF/F{raw}, --arbitrary-units if they are not"
        )
