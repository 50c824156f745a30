"""``Fall.mat`` as a container: its traces are known, its results lie beside it as those of any file of arrays."""

from __future__ import annotations

from pathlib import Path

from cascade_adapters.containers.arrays.choosing import Orientation
from cascade_adapters.containers.arrays.file import ArrayFile
from cascade_adapters.containers.arrays.matlab_files import read_mat_once
from cascade_adapters.containers.base import Reading, Selection, Traces
from cascade_adapters.containers.fall.reading import fluorescence_of, read_fall
from cascade_engine.errors import InputError
from cascade_engine.file_formats.variables import Variable


class FallFile(ArrayFile):
    """A ``.mat`` file with F, Fneu, ops and iscell, as suite2p saves them; another of its variables is an `ArrayFile`.

    Results lie beside it, ROIs first: for ``Fall.mat`` in ``Fall_cascade.mat``, with the record
    ``Fall_cascade.mat.json``.
    """

    kind = "Fall.mat"
    uses = ("key",)
    looks_for = ".mat files of suite2p"

    @classmethod
    def find(cls, path: Path, selection: Selection = Selection()) -> list[ArrayFile]:
        """The file itself, or the one that results of ours were made from, if it is suite2p's."""
        if path.suffix.lower() != ".mat" or selection.key not in (None, "F"):
            return []
        found = super().find(path, selection)
        return [file for file in found if _is_fall(file.path)]

    def read(self, reading: Reading = Reading()) -> Traces:
        """Read F, Fneu and settings; see `Container.read`."""
        self._refuse_results()
        self._check_free()
        if reading.dff == "container":
            raise InputError(f"{self.path}: suite2p stores no dF/F; leave out --dff container")
        return read_fall(self._contents(), self.path, reading)

    def _variable(self) -> Variable:
        variable = fluorescence_of(self._contents())
        if variable is None:
            raise InputError(f"{self.path} holds no F and Fneu of suite2p's any more")
        return variable

    def _orientation(self, remarks: list[str]) -> Orientation:
        return Orientation(True, self._variable().shape, "as suite2p writes it")

    def _stem(self) -> str:
        return f"{self.path.stem}_cascade"


def _is_fall(path: Path) -> bool:
    contents = read_mat_once(path)
    return contents is not None and fluorescence_of(contents) is not None
