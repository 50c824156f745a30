"""An ``.npz`` or ``.mat`` file of `cascade convert` as a container."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from cascade_adapters.containers.arrays.choosing import Orientation
from cascade_adapters.containers.arrays.contents import Contents
from cascade_adapters.containers.arrays.file import ArrayFile
from cascade_adapters.containers.arrays.formats import FORMATS
from cascade_adapters.containers.arrays.matlab_files import read_mat_once
from cascade_adapters.containers.base import Reading, Rois, Selection, Traces
from cascade_adapters.containers.converted.content import CONTENT, TRACES, describes_ours, split
from cascade_adapters.containers.converted.reading import (
    default_array,
    hashes_of,
    read_record,
    read_results,
    read_rois,
    read_traces,
)
from cascade_adapters.containers.converted.stored import Stored, StoredArrays
from cascade_adapters.results import Record, Results
from cascade_engine.errors import CascadeError, InputError
from cascade_engine.file_formats.variables import Variable


class ConvertedFile(ArrayFile):
    """One plane in a file that says itself what it holds: nothing has to be asked for.

    Results that came with the traces are read from the file. New ones lie beside it, as those of any file of arrays,
    and count from then on: for ``mouse1.npz`` in ``mouse1_cascade.npz``, with several planes in
    ``mouse1_plane0_cascade.npz``, ...

    Parameters
    ----------
    path : Path
        The file.
    selection : Selection
        With `key` the array that spikes are to be inferred from, one of `TRACES`.
    plane : str
        Name of the plane; empty if there is but one, without a name.
    """

    kind = "converted arrays"
    looks_for = ".npz and .mat files of 'cascade convert'"

    #: The form that the traces have in the file.
    orientation: ClassVar[str] = "rois-first"

    def __init__(self, path: Path, selection: Selection = Selection(), plane: str = ""):
        super().__init__(path, selection)
        self._plane = plane
        self._held: tuple[Contents, Stored] | None = None

    @classmethod
    def find(cls, path: Path, selection: Selection = Selection()) -> list[ArrayFile]:
        """Every plane of the file, or of the one that results of ours were made from."""
        plane, array = split(selection.key or TRACES[0])
        if array not in TRACES or path.suffix.lower() not in (".npz", ".mat"):
            return []  # another array, asked for by its name, is one like any other
        found: list[ArrayFile] = []
        for file in super().find(path, selection):
            planes = planes_in(file.path)
            found += [cls(file.path, selection, each) for each in planes if plane in ("", each)]
        return found

    @property
    def identity(self) -> tuple:
        """Kind, file and plane."""
        return (*super().identity, self._plane)

    @property
    def told_apart(self) -> tuple:
        """The plane; see `Container.told_apart`."""
        return (self._plane,)

    @property
    def plane(self) -> str | None:
        """Name of the imaging plane."""
        return self._plane or self._stored().text("plane")

    def read(self, reading: Reading = Reading()) -> Traces:
        """Read the traces, and all that the file says of them; see `Container.read`."""
        self._refuse_results()
        self._check_free()
        given = self._selection.orientation
        if given not in (None, self.orientation):
            raise InputError(f"{self.path} was written by cascade, {self.orientation}: leave out --orientation {given}")
        return read_traces(self._stored(), self._array(reading.dff), reading)

    def rois(self) -> Rois | None:
        """Where the ROIs lie; see `Container.rois`."""
        shape = self._variable().shape
        n_rois = shape[0] if self.orientation == "rois-first" else shape[-1]
        return read_rois(self._stored(), n_rois)

    def fingerprint(self) -> dict[str, str]:
        """SHA-256 of the traces in single precision, by their names; the same in every file of the same recording."""
        return hashes_of(self._stored())

    def record(self) -> Record | None:
        """The record beside the file, else the one in it, or None."""
        return super().record() or read_record(self._stored())

    def results(self) -> Results | None:
        """The results beside the file, else those in it, or None."""
        return read_results(self._stored()) if super().record() is None else super().results()

    def changes(self) -> list[str]:
        """See `Container.changes`; files of earlier versions cannot tell it of results that are in them."""
        record = self.record()
        return super().changes() if record is not None and set(record.input) <= set(CONTENT) else []

    def _array(self, dff: str = "auto") -> str:
        """The array that spikes are inferred from."""
        if self._selection.raw:
            if dff == "container":
                raise InputError(f"{self.path}: --raw and --dff container contradict each other")
            dff = "compute"
        if self._selection.key is None:
            return default_array(self._stored(), dff)
        _, name = split(self._selection.key)
        if (dff == "compute" and name != "F") or (dff == "container" and name == "F"):
            raise InputError(f"{self.path}: --key {self._selection.key} contradicts --raw or --dff {dff}")
        return name

    def _stored(self) -> Stored:
        """What the file holds; another one if the file has changed."""
        contents = self._contents()
        if self._held is None or self._held[0] is not contents:
            self._held = contents, self._open(contents)
        return self._held[1]

    def _open(self, contents: Contents) -> Stored:
        return StoredArrays(self.path, contents.variables, self._plane)

    def _variable(self) -> Variable:
        name = self._array()
        variable = self._contents().named(f"{self._plane}_{name}" if self._plane else name)
        if variable is None:
            raise InputError(f"{self.path} has no variable {name}")
        return variable

    def _orientation(self, remarks: list[str]) -> Orientation:
        return Orientation(self.orientation == "rois-first", self._variable().shape, "as cascade writes it")

    def _stem(self) -> str:
        parts = (self.path.stem, self._plane, "" if self._selection.key is None else self._array(), "cascade")
        return "_".join(filter(None, parts))


def planes_in(path: Path) -> list[str]:
    """The planes in a file of `cascade convert`, one without a name if it is the only one; none in any other file."""
    try:
        contents = read_mat_once(path) if path.suffix.lower() == ".mat" else FORMATS[".npz"].read(path)
        if contents is None or not _are_ours(StoredArrays(path, contents.variables)):
            return []
    except CascadeError:
        return []
    found = {plane for plane, array in (split(variable.name) for variable in contents.variables) if array in TRACES}
    return sorted(found, key=lambda plane: (len(plane), plane))


def _are_ours(stored: Stored) -> bool:
    """Whether a file describes itself as `cascade convert` does, or is one of results with their record."""
    if "content" in stored.names:
        return describes_ours(stored.text("content"))
    return {"spike_prob", "dff", "frame_rate"} <= stored.names and read_record(stored) is not None
