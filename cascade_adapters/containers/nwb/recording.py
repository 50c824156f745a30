"""One recording in an NWB file: reading its traces, writing results, taking them back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from cascade_adapters.containers.base import Container, Reading, Rois, Selection, Traces
from cascade_adapters.containers.nwb.addition import Addition
from cascade_adapters.containers.nwb.files import nwb_files, output_of, results_in, set_newest, state_of
from cascade_adapters.containers.nwb.layout import UNITS, Names, at
from cascade_adapters.containers.nwb.notes import read_notes
from cascade_adapters.containers.nwb.opening import OpenNwb, is_zarr, kept_open, open_nwb, open_root
from cascade_adapters.containers.nwb.output import OutputFile, backend_of
from cascade_adapters.containers.nwb.results import Found, choose_names, load_results, results_of
from cascade_adapters.containers.nwb.rois import read_rois
from cascade_adapters.containers.nwb.series import Recording, find_recordings, others_in, roi_rows, series_at, table_of
from cascade_adapters.containers.nwb.timing import Timing, find_timing
from cascade_adapters.containers.nwb.traces import fingerprint_of, read_traces
from cascade_adapters.containers.nwb.validation import check_valid
from cascade_adapters.results import Record, Results, Spikes
from cascade_adapters.results.record import SpikesFound
from cascade_adapters.safe_writing.in_place import roll_back
from cascade_adapters.safe_writing.journal import Journal, forget, kept_journals
from cascade_adapters.safe_writing.lock import lock
from cascade_engine.errors import CascadeError, InputError

#: Names on the way to a series that tell nothing of it.
_USUAL_NAMES = ("", "processing", "ophys", "Fluorescence", "RoiResponseSeries")


@dataclass(frozen=True)
class _Placed:
    """Where results of a recording belong in its file, as long as that does not change.

    Attributes
    ----------
    name, state
        The file, and what is remembered of it.
    n_frames, rate
        Frames, and frames per second, of the results.
    table, rows, timing
        As of `Addition`.
    """

    name: str
    state: dict[str, Any]
    n_frames: int
    rate: float
    table: str | None
    rows: np.ndarray
    timing: Timing


def _named_by_results(opened: OpenNwb, file: Path, selection: Selection) -> list[Recording | None]:
    """Series without ROIs that the user has named in an earlier run."""
    found = [*results_in(file), *results_in(output_of(file))] if selection.series is None else []
    names = dict.fromkeys(one.series for one in found)
    return [one for name in names for one in find_recordings(opened, replace(selection, series=name))]


class NwbRecording(Container):
    """Fluorescence of one plane in an NWB file.

    Results go into a copy of the file beside it, ``NAME_cascade.nwb``, which all recordings of the file share; or, in
    place, into the file itself, with a journal beside it that takes everything back.

    Parameters
    ----------
    path : Path
        The file, or the folder of a Zarr store.
    recording : Recording, optional
        Its series; default: the only one in the file, found when it is read.
    selection : Selection
        What the user means.
    """

    kind = "NWB"
    uses = ("channel", "series", "in_place")
    looks_for = ".nwb files, and Zarr stores of NWB, with series of ROIs"

    def __init__(self, path: Path, recording: Recording | None = None, selection: Selection = Selection()):
        super().__init__(path)
        self._recording = recording
        self._selection = selection
        self._in_place = selection.in_place
        self._zarr = is_zarr(path)
        self._output = OutputFile(output_of(path), self._zarr, source=path)
        self._placed: _Placed | None = None

    @property
    def _backend(self) -> ModuleType:
        return backend_of(self._zarr)

    @property
    def identity(self) -> tuple:
        """Kind, file and series."""
        return (*super().identity, self._recording.name if self._recording else None)

    @property
    def told_apart(self) -> tuple:
        """The path of the series without what every series is called; see `Container.told_apart`."""
        name = self._recording.name if self._recording else ""
        return tuple(part for part in name.split("/") if part not in _USUAL_NAMES)

    @property
    def job(self) -> tuple:
        """Kind and file, and whether that is changed itself."""
        return (*super().identity, self._in_place)

    def keep_open(self) -> AbstractContextManager[None]:
        """Open the file, and the one with the results, once for all their recordings; see `Container.keep_open`."""
        return self._kept_open()

    @contextmanager
    def _kept_open(self) -> Iterator[None]:
        with lock(self.path) if self._in_place else nullcontext(), kept_open(self.path), kept_open(self._output.path):
            yield

    @property
    def scratch_folder(self) -> Path:
        """The folder around the file or store: what lay in a store would be copied with it."""
        return self.path.parent

    @classmethod
    def find(cls, path: Path, selection: Selection = Selection()) -> list[NwbRecording]:
        """Recordings in NWB files at or below `path`.

        A file that we have written stands for the one that it was made from. A file that cannot be used is found too;
        reading it says why. Below a folder, files without any series of ROIs are left out.
        """
        found = []
        for file in nwb_files(path, selection.in_place):
            try:
                with open_nwb(file) as opened:
                    recordings: list[Recording | None] = list(find_recordings(opened, selection))
                    recordings = recordings or _named_by_results(opened, file, selection)
                    recordings = recordings or ([] if path.is_dir() and not is_zarr(path) else [None])
            except CascadeError:
                recordings = [None]
            found += [cls(file, recording, selection) for recording in recordings]
        return found

    def read(self, reading: Reading = Reading()) -> Traces:
        """Read the series; see `Container.read`."""
        with self._open() as opened:
            recording = self._series_in(opened)
            traces = read_traces(opened, recording, reading)
            self._placed = self._place(opened, traces.shape[1], traces.frame_rate)
            return traces

    def rois(self) -> Rois | None:
        """Where the ROIs lie, from the masks of the ROI table; see `Container.rois`."""
        with self._open() as opened:
            series = series_at(opened, self._series_in(opened).name)
            shape = read_notes(series.comments, len(series.data)).image_shape
            return read_rois(table_of(series), roi_rows(series), shape)

    def fingerprint(self) -> dict[str, str]:
        """SHA-256 of values and times, by path of the series."""
        with self._open() as opened:
            return fingerprint_of(opened, self._series_in(opened))

    def record(self) -> Record | None:
        """The record of the results in the file itself or in the one beside it, or None."""
        place = self._place_of_results()
        advice = "remove the results with 'cascade restore'"
        return None if place is None else Record.parse(place[1].content, str(place[0]), advice)

    def results(self) -> Results | None:
        """Read what `write` has written; see `Container.results`."""
        place = self._place_of_results()
        if place is None:
            return None
        with open_root(place[0]) as root:
            return load_results(root, place[1], str(place[0]), self.scratch_folder)

    def write(self, results: Results, replace_spikes: bool = False) -> list[str]:
        """Write results into a new file, or into the file itself; see `Container.write`."""
        (outcome,) = self.write_together([(self, results)], replace_spikes)
        if isinstance(outcome, InputError):
            raise outcome
        return outcome

    @classmethod
    def write_together(
        cls, written: Sequence[tuple[Container, Results]], replace_spikes: bool = False
    ) -> list[list[str] | InputError]:
        """Write results of all recordings at once, all or nothing; see `Container.write_together`."""
        outcomes: list[list[str] | InputError] = []
        additions: list[Addition] = []
        job = written[0][0]
        assert isinstance(job, NwbRecording)
        for container, results in written:
            assert isinstance(container, NwbRecording)
            try:
                if replace_spikes:
                    container.check_replaceable()
                additions.append(container._addition(results))
                outcomes.append([])
            except InputError as error:
                outcomes.append(error)
        if additions:
            try:
                names = iter(job._write(additions))
            except InputError as error:
                return [error if isinstance(outcome, list) else outcome for outcome in outcomes]
            outcomes = [next(names) if isinstance(outcome, list) else outcome for outcome in outcomes]
        return outcomes

    def _write(self, additions: list[Addition]) -> list[list[str]]:
        """Write results of recordings in this file; returns the names written for each."""
        target = self.path if self._in_place else self._output.path
        self._backend.recover(target)
        planned: list[tuple[Addition, Names]] = []
        with lock(target):
            copy_of = None if self._in_place else self._state()
            stamp_ns = None if self._in_place else self._output.new_stamp_ns()

            def check(path: Path) -> None:
                check_valid(path, [place for _, names in planned for place in names.all])
                if copy_of is not None and copy_of != self._state():
                    raise InputError(f"{self.path} was changed by another program meanwhile: run again")
                if stamp_ns is not None:
                    set_newest(path, stamp_ns)

            kept: list[Addition] = []
            if self._in_place:
                editing = self._backend.updating(target, True, check)
            elif self._is_added_to_output():
                editing = self._backend.updating(target, False, check)
            else:
                kept = self._kept_additions({addition.series for addition in additions})
                editing = self._backend.creating(self._source(), target, check)
            with editing as editor:
                for addition in (*additions, *kept):
                    earlier = results_of(editor.root, addition.series)
                    if earlier is not None:
                        editor.remove(earlier.names)
                for addition in (*additions, *kept):
                    arrays, spikes = addition.results.arrays, addition.results.spikes
                    others = [other for _, other in planned]
                    has_rois = addition.table is not None
                    names = choose_names(
                        editor.root, addition.series, arrays, others, has_rois, addition.arbitrary_units
                    )
                    names = names if spikes is not None else replace(names, units=None)
                    planned.append((addition.with_record(names, copy_of, stamp_ns), names))
                editor.add(planned)
        return [[target.name, *names.all] for _, names in planned[: len(additions)]]

    def add_spikes(self, results: Results, spikes: Spikes, found: SpikesFound) -> list[str]:
        """Write discrete spikes into the file that holds the results; see `Container.add_spikes`."""
        address = self._address_of_source()
        if address is not None:
            raise InputError(f"{self.path} holds results of a file that lies elsewhere: pass its address, {address}")
        place = self._place_of_results()
        self._in_place = place is not None and place[0] == self.path
        if self._in_place and is_zarr(self.path):
            raise InputError(f"{self.path} holds results itself, and a Zarr store is never changed in place")
        name, *places = super().add_spikes(results, spikes, found)
        return [name, *(place for place in places if place.startswith(at(UNITS)))]

    def restore(self) -> list[str]:
        """Remove the new file, or take back what was written into the file itself; see `Container.restore`.

        A file that was changed since by anybody else only loses our results.
        """
        address = self._address_of_source()
        if address is not None:
            return OutputFile(self.path, self._zarr).take_back({"name": address})
        return self._restore_in_place() + self._output.take_back(self._state())

    def _open(self) -> AbstractContextManager[OpenNwb]:
        return open_nwb(self.path)

    def _state(self) -> dict[str, Any]:
        """What is remembered of the file that a copy is made of."""
        return state_of(self.path)

    def _source(self) -> Any:
        """What a new file is made of."""
        return self.path

    def _is_added_to_output(self) -> bool:
        """Whether there is a file of ours that results can be added to, rather than a new one be made."""
        if results_in(self.path):
            raise InputError(
                f"{self.path} holds results itself: pass --in-place to replace them, or take them back with "
                "'cascade restore' first"
            )
        return self._output.can_be_added_to(self._state())

    def _kept_additions(self, replaced: set[str]) -> list[Addition]:
        """Results of other recordings in a file of ours that is to be replaced, as far as they are still right."""
        kept = []
        with kept_open(self.path), kept_open(self._output.path):
            for found in results_in(self._output.path):
                other = NwbRecording(self.path, selection=Selection(channel=None, series=found.series))
                try:
                    results = None if found.series in replaced or other.is_stale() else other.results()
                    kept += [] if results is None else [other._addition(results)]
                except InputError:  # the series is there no more
                    continue
        return kept

    def _series_in(self, opened: OpenNwb) -> Recording:
        if self._recording is None:
            found = find_recordings(opened, self._selection)
            if not found:
                raise InputError(f"{opened.name} holds no series of ROIs (RoiResponseSeries){others_in(opened)}")
            if len(found) > 1:
                listed = ", ".join(recording.name for recording in found)
                raise InputError(f"{opened.name} holds several recordings: pass one of {listed} as --series")
            self._recording = found[0]
        return self._recording

    def _name(self) -> str:
        if self._recording is not None:
            return self._recording.name
        with self._open() as opened:
            return self._series_in(opened).name

    def _place_of_results(self) -> tuple[Path, Found] | None:
        """File and place of the results, those in the file itself first."""
        for place in self._places():
            with open_root(place) as root:
                found = results_of(root, self._name())
            if found is not None:
                return place, found
        return None

    def _places(self) -> list[Path]:
        is_beside = not self._in_place and self._output.is_ours(self.path.name)
        return [self.path, self._output.path] if is_beside else [self.path]

    def _addition(self, results: Results) -> Addition:
        n_rois, n_frames = results.shape
        rate = results.record.recording.frame_rate_hz
        placed = self._placed
        if placed is None or (placed.state, placed.n_frames, placed.rate) != (self._state(), n_frames, rate):
            with self._open() as opened:
                placed = self._place(opened, n_frames, rate)
        if len(placed.rows) != n_rois:
            raise InputError(
                f"{placed.name}: results of {n_rois} ROIs do not fit the {len(placed.rows)} of {self._name()}"
            )
        return Addition(results, self._name(), placed.table, placed.rows, placed.timing)

    def _place(self, opened: OpenNwb, n_frames: int, rate: float) -> _Placed:
        name = self._series_in(opened).name
        series = series_at(opened, name)
        timing = find_timing(series, name, n_frames, rate)
        table = table_of(series)
        place = None if table is None else opened.path_of(table)
        return _Placed(opened.name, self._state(), n_frames, rate, place, roi_rows(series), timing)

    def _address_of_source(self) -> str | None:
        """Where the file came from, if it was made for results of a file that is not on this computer."""
        try:
            return next((found.copy_of for found in results_in(self.path) if "://" in (found.copy_of or "")), None)
        except InputError:
            return None

    def _restore_in_place(self) -> list[str]:
        self._backend.recover(self.path)
        with lock(self.path):
            for journal in kept_journals(self.path):
                Journal.read(journal)  # all or none
            n_undone = 0
            while roll_back(self.path):
                n_undone += 1
            try:
                left = results_in(self.path)
            except InputError:
                if n_undone or kept_journals(self.path):
                    raise
                return []  # nothing of ours is known to be there
            if left:
                with self._backend.updating(self.path, False, check_valid) as editor:
                    for found in left:
                        editor.remove(found.names)
            forget(self.path)
        if left:
            return [f"removed our results from {self.path.name}: its contents are as they were"]
        return [f"took back what was written into {self.path.name}, to the last byte"] if n_undone else []
