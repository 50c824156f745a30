"""``Fall.mat`` as a container: its traces are known, its results lie beside it as those of any file of arrays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cascade_adapters.containers.arrays.choosing import Orientation
from cascade_adapters.containers.arrays.file import ArrayFile
from cascade_adapters.containers.arrays.matlab_files import read_mat_once
from cascade_adapters.containers.base import Reading, Rois, Selection, Traces
from cascade_adapters.containers.fall.masks import read_masks
from cascade_adapters.containers.fall.reading import fluorescence_of, read_fall
from cascade_engine.errors import InputError
from cascade_engine.file_formats.matlab import load_variable
from cascade_engine.file_formats.variables import Variable, load_numbers


class FallFile(ArrayFile):
    """A ``.mat`` file with F, Fneu, ops and iscell, as suite2p saves them; another of its variables is an `ArrayFile`.

    Results lie beside it, ROIs first: for ``Fall.mat`` in ``Fall_cascade.mat``, with the record
    ``Fall_cascade.mat.json``. Those of the second channel, F_chan2 and Fneu_chan2, lie in ``Fall_chan2_cascade.mat``.
    """

    kind = "Fall.mat"
    uses = ("channel", "key")
    looks_for = ".mat files of suite2p"

    def __init__(self, path: Path, selection: Selection = Selection()):
        super().__init__(path, selection)
        self._suffix = "_chan2" if selection.channel == 2 else ""

    @property
    def identity(self) -> tuple:
        """Kind, file and channel."""
        return (self.kind, self.path.resolve(), self._suffix)

    @property
    def told_apart(self) -> tuple:
        """The channel; see `Container.told_apart`."""
        return (self._suffix,)

    @classmethod
    def find(cls, path: Path, selection: Selection = Selection()) -> list[ArrayFile]:
        """The file itself, or the one that results of ours were made from, if it is suite2p's; once per channel."""
        if path.suffix.lower() != ".mat" or selection.key not in (None, "F_chan2" if selection.channel == 2 else "F"):
            return []
        if selection.channel is None:  # all that are there
            first = cls.find(path, replace(selection, channel=1))
            has_second = bool(first) and _has_channel(first[0].path, 2)
            return first + (cls.find(path, replace(selection, channel=2)) if has_second else [])
        found = super().find(path, selection)
        return [file for file in found if _has_channel(file.path, 1)]

    def read(self, reading: Reading = Reading()) -> Traces:
        """Read F, Fneu and settings; see `Container.read`."""
        self._refuse_results()
        self._check_free()
        if reading.dff == "container":
            raise InputError(f"{self.path}: suite2p stores no dF/F; leave out --dff container")
        self._variable()
        return read_fall(self._contents(), self.path, reading, self._suffix)

    def rois(self) -> Rois | None:
        """Where the ROIs lie, from ``stat``; see `Container.rois`."""
        contents = self._contents()
        if not any(variable.name.partition(".")[0] == "stat" for variable in contents.variables):
            return None
        sizes = {name: contents.named(f"ops.{name}") for name in ("Ly", "Lx")}
        settings = {name: load_numbers(size, self.path) for name, size in sizes.items() if size and size.is_scalar}
        records = load_variable(self.path, "stat")
        return read_masks(records if isinstance(records, list) else [records], settings, str(self.path), first=0)

    def _variable(self) -> Variable:
        variable = fluorescence_of(self._contents(), self._suffix)
        if variable is None:
            f, fneu = f"F{self._suffix}", f"Fneu{self._suffix}"
            missing = f"no {f} and {fneu}" if self._suffix else f"no {f} and {fneu} of suite2p's any more"
            advice = ": it has no traces of channel 2, leave out --channel 2" if self._suffix else ""
            raise InputError(f"{self.path} holds {missing}{advice}")
        return variable

    def _orientation(self, remarks: list[str]) -> Orientation:
        return Orientation(True, self._variable().shape, "as suite2p writes it")

    def _stem(self) -> str:
        return f"{self.path.stem}{self._suffix}_cascade"


def _has_channel(path: Path, channel: int) -> bool:
    contents = read_mat_once(path)
    return contents is not None and fluorescence_of(contents, "_chan2" if channel == 2 else "") is not None
