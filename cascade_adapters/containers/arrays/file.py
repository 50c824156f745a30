"""A file of arrays as a container: reading traces, results beside the file in its own format, taking them back."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import replace
from glob import escape
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cascade_adapters.containers.arrays.choosing import (
    ORIENTATIONS,
    Orientation,
    choose_variable,
    find_bad_frames,
    find_n_planes,
    find_timing,
    orient,
)
from cascade_adapters.containers.arrays.contents import Contents
from cascade_adapters.containers.arrays.formats import FORMATS
from cascade_adapters.containers.arrays.laid_out import LaidOut
from cascade_adapters.containers.base import Container, Reading, Selection, Traces, check_length
from cascade_adapters.containers.frame_rates import doubts_about_rate
from cascade_adapters.containers.remembered import with_record
from cascade_adapters.containers.transposed import TransposedRows
from cascade_adapters.results import Record, Results, Spikes, schema
from cascade_adapters.results.rows import Rows
from cascade_adapters.results.schema import complete
from cascade_adapters.safe_writing.beside import FilesBeside, record_of, source_of
from cascade_adapters.safe_writing.folder import finish_interrupted
from cascade_engine.errors import InputError
from cascade_engine.file_formats.atomic import sha256
from cascade_engine.file_formats.npy import ArrayOnDisk
from cascade_engine.file_formats.variables import Variable, load_numbers
from cascade_engine.signal.orientation import doubt_orientation
from cascade_engine.signal.units import why_not_dff, why_not_raw

#: Name of the array of discrete spikes.
_DISCRETE = "spikes"


class ArrayFile(Container):
    """A file with a matrix of traces: ``.npy``, ``.npz``, ``.mat``, ``.csv``, ``.tsv`` or ``.txt``.

    Results lie beside it, in its format and orientation: for ``traces.npy`` in ``traces_cascade_spike_prob.npy``,
    ``traces_cascade_dff.npy`` and ``traces_cascade_noise_levels.npy``, text likewise; for ``traces.npz`` and ``.mat``
    all together in ``traces_cascade.npz`` or ``.mat``. Discrete spikes are an array ``spikes`` with one row per spike:
    ROI and frame, both from 0, time in s, confidence. The record is ``traces_cascade.npy.json``. If the file holds
    several matrices, the name of the variable follows that of the file: ``traces_soma_cascade.mat``.

    Parameters
    ----------
    path : Path
        The file.
    selection : Selection
        Variable, orientation, and whether it is raw fluorescence.
    """

    kind = "array"
    uses: ClassVar[tuple[str, ...]] = ("key", "orientation", "raw")
    looks_for = ".npy, .npz, .mat, .csv, .tsv and .txt files"
    searched_for = False
    advice_if_transposed = "pass the other --orientation (frames-first if each row is one frame)"

    def __init__(self, path: Path, selection: Selection = Selection()):
        super().__init__(path)
        self._selection = selection
        self._format = FORMATS[path.suffix.lower()]
        self._opened: tuple[tuple[int, int], Contents] | None = None
        self._known: tuple[Contents, Record | None] | None = None

    @property
    def identity(self) -> tuple:
        """Kind, file and variable."""
        return (*super().identity, self._selection.key)

    @property
    def told_apart(self) -> tuple:
        """Nothing: a file has results of one of its variables; see `Container.told_apart`."""
        return ()

    @classmethod
    def find(cls, path: Path, selection: Selection = Selection()) -> list[ArrayFile]:
        """The file itself; a folder is not searched, since too much that lies around is an array.

        A file with results of ours stands for the file that they were made from, so that ``*.npy`` can be passed again.
        """
        if not path.is_file() or path.suffix.lower() not in FORMATS:
            return []
        source = path.with_name(_source_of_result(path) or path.name)
        return [cls(source if source.is_file() and source.suffix == path.suffix else path, selection)]

    def read(self, reading: Reading = Reading()) -> Traces:
        """Read the traces; see `Container.read`."""
        self._refuse_results()
        contents, variable = self._contents(), self._variable()
        self._check_free()
        if self._selection.raw and reading.dff == "container":
            raise InputError(f"{self.path}: --raw and --dff container contradict each other")
        if self._selection.raw:
            reading = replace(reading, dff="compute")
        reading = with_record(reading, self.remembered())
        remarks: list[str] = []
        orientation, timing = self._ask_all(
            lambda: self._orientation(remarks),
            lambda: find_timing(contents, reading.frame_rate, self.path, variable.shape),
        )
        if reading.frame_rate is None:
            remarks += doubts_about_rate(timing.frame_rate, timing.source, n_planes=find_n_planes(contents, self.path))
        is_matrix = len(variable.shape) == 2 and min(variable.shape) > 1
        check_length(self.path, variable.shape[int(orientation.rois_first)] if is_matrix else max(variable.shape))
        stored = load_numbers(variable, self.path) if variable.open is None else variable.open()
        traces = orientation.to_rois(stored, self.scratch_folder)
        rate, is_raw = timing.frame_rate, reading.dff == "compute"
        segments, dropped = timing.interruptions(traces.shape[1], remarks)
        if not reading.arbitrary_units:
            self._check_units(traces, rate, is_raw)
        doubts = filter(None, [self._doubt_orientation(traces)])
        source = f"{variable.name or self.path.name}, {orientation.name} ({orientation.reason})"
        facts: dict[str, Any] = {
            "frame_rate": rate,
            "frame_rate_source": timing.source,
            "segments": segments,
            "dropped": dropped,
            "source": source,
            "arbitrary_units": reading.arbitrary_units,
            "excluded": find_bad_frames(contents, traces.shape[1], self.path, remarks),
            "remarks": [*contents.remarks, *remarks, *doubts],
            "hashes": self._hashes_of(traces),
        }
        return Traces(fluorescence=traces, **facts) if is_raw else Traces(dff=traces, **facts)

    def _check_units(self, traces: Rows, rate: float, is_raw: bool) -> None:
        """Refuse what cannot be what it is taken for, with what it may be instead."""
        no_raw, no_dff = why_not_raw(traces), why_not_dff(traces, rate)
        problem = no_raw if is_raw else no_dff
        if not problem:
            return
        if no_raw and no_dff:
            raise InputError(
                f"{self.path}: neither dF/F ({no_dff}) nor raw fluorescence ({no_raw}): pass --arbitrary-units to go "
                "on without dF/F"
            )
        advice = "leave out --raw and --dff compute" if is_raw else "pass --raw if they are raw fluorescence"
        raise InputError(f"{self.path}: {problem}; {advice}, or pass --arbitrary-units if they are neither")

    def _doubt_orientation(self, traces: Rows) -> str:
        doubt = doubt_orientation(traces)
        return f"{doubt}: check the orientation" if doubt else ""

    def fingerprint(self) -> dict[str, str]:
        """SHA-256 of the file."""
        return {self.path.name: sha256(self.path)}

    def _hashes_of(self, traces: Rows) -> Callable[[], dict[str, str]] | None:
        """See `Traces.hashes`."""
        read = traces.frames if isinstance(traces, TransposedRows) else traces
        return (lambda: {self.path.name: read.sha256()}) if isinstance(read, ArrayOnDisk) else None

    def record(self) -> Record | None:
        """The record beside the file, or None; see `Container.record`."""
        self._refuse_results()
        beside = self._beside()
        return None if (found := beside.record()) is None else Record.parse(found, str(beside.path))

    def results(self) -> Results | None:
        """Read what `write` has written; see `Container.results`."""
        record = self.record()
        if record is None:
            return None
        layout = self._contents().layout
        size = (record.recording.n_rois, record.recording.n_frames)
        try:
            orientation = Orientation(record.container["orientation"] == ORIENTATIONS[0], (), "")
            names = tuple(array.name for array in schema.ARRAYS)
            if record.discrete_spikes is not None:
                names = (*names, _DISCRETE)
            folder = self.path.parent
            found = self._format.load(folder, self._stem(), self.path.suffix, names, layout)
            for array in schema.ARRAYS:
                if array.name in found:
                    values = found[array.name]
                    is_matrix = array.has_frames
                    found[array.name] = orientation.to_rois(values, folder) if is_matrix else values[:].ravel()
            spikes = Spikes.from_table(found[_DISCRETE]) if _DISCRETE in found else None
            arrays, problem = complete(found, *size, record.written_by)
        except Exception:  # damaged files can fail in any way
            problem = "they are damaged"
        if problem:
            raise InputError(
                f"the results beside {self.path} cannot be read ({problem}): run again with --existing overwrite"
            )
        return Results(arrays, record, spikes)

    def write(self, results: Results, replace_spikes: bool = False) -> list[str]:
        """Write results beside the file; see `Container.write`."""
        if replace_spikes:
            self.check_replaceable()
        orientation = self._orientation([])
        record = results.record.remembering(variable=self._variable().name, orientation=orientation.name)
        arrays = {}
        for array in schema.ARRAYS:
            if array.name in results.arrays:
                values = results.arrays[array.name]
                is_matrix, shape = array.has_frames, tuple(values.shape)
                laid_out = orientation.to_file(values, self.scratch_folder) if is_matrix else LaidOut(values, shape)
                arrays[array.name] = laid_out
        if results.spikes is not None:
            table = results.spikes.table
            arrays[_DISCRETE] = LaidOut(table, table.shape)
        facts = {"frame_rate": record.recording.frame_rate_hz, "record": record.to_json()}
        there = {values.path for values in results.arrays.values() if isinstance(values, ArrayOnDisk)}
        files = {
            name: None if self.path.with_name(name) in there else save
            for name, save in self._files(arrays, facts).items()
        }
        self._known = None
        return self._beside().write(files, record.to_dict())

    def restore(self) -> list[str]:
        """Remove our files, whichever variable they were made from; see `Container.restore`."""
        folder, stem, ending = self.path.parent, self.path.stem, f"_cascade{self.path.suffix}.json"
        finish_interrupted(folder, self.path.name)
        done = []
        for path in sorted(folder.glob(f"{escape(stem)}*{escape(ending)}")):
            if path.name == stem + ending or source_of(path) == self.path.name:
                done += FilesBeside(self.path, path.name).remove()
        return done

    def _contents(self) -> Contents:
        """What the file holds; read anew if it has changed."""
        try:
            status = self.path.stat()
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror or error}") from None
        state = (status.st_size, status.st_mtime_ns)
        if self._opened is None or self._opened[0] != state:
            self._opened = (state, self._format.read(self.path))
        return self._opened[1]

    def _variable(self) -> Variable:
        try:
            return choose_variable(self._contents(), self._selection.key, self.path)
        except InputError:
            used = self._variables_with_results() if self._selection.key is None else []
            if len(used) != 1:
                raise
            return used[0]

    def _variables_with_results(self) -> list[Variable]:
        """Variables of which there are results beside the file."""
        ending = f"_cascade{self.path.suffix}.json"
        records = (path for path in self.path.parent.glob(f"{escape(self.path.stem)}*{escape(ending)}"))
        remembered = [record_of(path, self.path.name).get("container") for path in records]
        names = {facts.get("variable") for facts in remembered if isinstance(facts, dict)}
        usable = (each for each in self._contents().variables if each.is_matrix or each.is_vector)
        return [variable for variable in usable if variable.name in names]

    def _orientation(self, remarks: list[str]) -> Orientation:
        given = self._selection.orientation
        if given is None and (record := self.remembered()) is not None:
            given = record.container.get("orientation")
            return orient(self._variable(), self._contents(), given, self.path, [])
        return orient(self._variable(), self._contents(), given, self.path, remarks)

    def remembered(self) -> Record | None:
        """See `Container.remembered`; compared once for each state of the file."""
        contents = self._contents()
        if self._known is None or self._known[0] is not contents:
            self._known = contents, super().remembered()
        return self._known[1]

    def _ask_all(self, *questions: Callable[[], Any]) -> list[Any]:
        """The answers, or everything that the user has to say in one error."""
        answers, problems = [], []
        for question in questions:
            try:
                answers.append(question())
            except InputError as error:
                problems.append(str(error).removeprefix(f"{self.path}: "))
        if problems:
            raise InputError(f"{self.path}: {'; '.join(problems)}")
        return answers

    def _stem(self) -> str:
        """How the names of result files begin: with the variable's name if the file's alone would be ambiguous."""
        variable = self._variable()
        try:
            is_only_one = variable is choose_variable(self._contents(), None, self.path)
        except InputError:
            is_only_one = False
        key = "" if is_only_one else f"_{self._name_in_files(variable)}"
        return f"{self.path.stem}{key}_cascade"

    def _name_in_files(self, variable: Variable) -> str:
        """Name of a variable as part of the names of files, unlike that of any other, with or without capitals."""
        plain = [re.sub(r"[^\w.-]", "_", each.name) for each in (variable, *self._contents().variables)]
        alike = sum(each.lower() == plain[0].lower() for each in plain[1:])
        return plain[0] if alike < 2 else f"{plain[0]}_{hashlib.sha256(os.fsencode(variable.name)).hexdigest()[:6]}"

    def _beside(self) -> FilesBeside:
        return FilesBeside(self.path, f"{self._stem()}{self.path.suffix}.json")

    def _files(self, arrays: dict[str, LaidOut], facts: dict[str, Any]):
        return self._format.files(self._stem(), self.path.suffix, arrays, facts, self._contents().layout)

    def _check_free(self) -> None:
        """Refuse now what `write` would refuse after all the work."""
        nothing = LaidOut(np.empty((0, 0)), (0, 0))
        self._beside().check_free(self._files({array.name: nothing for array in schema.ARRAYS}, {}))

    def _refuse_results(self) -> None:
        source = _source_of_result(self.path)
        if source is not None:
            raise InputError(f"{self.path} was written by cascade: pass what it was made from, {source}")


def _source_of_result(path: Path) -> str | None:
    """Name of the file that a file of ours was made from; None for any other file."""
    arrays = "|".join([*(array.name for array in schema.ARRAYS), _DISCRETE])
    return source_of(path.with_name(re.sub(rf"(_({arrays}))?(\.\w+)$", r"\3.json", path.name)))
