"""``F_..._proc.mat`` of the Suite2P that was written in MATLAB, before the one in Python."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cascade_adapters.containers.arrays.choosing import Orientation
from cascade_adapters.containers.arrays.contents import Contents
from cascade_adapters.containers.arrays.file import ArrayFile
from cascade_adapters.containers.arrays.matlab_files import read_mat_once
from cascade_adapters.containers.base import Reading, Rois, Selection, Traces
from cascade_adapters.containers.fall.masks import read_masks
from cascade_adapters.containers.suite2p.settings import BAD_FRAMES, DEFAULT_NEUROPIL_COEFFICIENT, marked_frames
from cascade_engine.errors import InputError
from cascade_engine.file_formats.matlab import load_variable
from cascade_engine.file_formats.variables import Variable
from cascade_engine.signal.noise import as_frame_rate

#: Cells with the fluorescence of each session, ROIs x frames, and with that of the neuropil around the ROIs.
_F, _FNEU = "Fcell", "FcellNeu"


class ProcFile(ArrayFile):
    """A ``.mat`` file of Suite2P for MATLAB: ``dat`` with cells of sessions, or its fields as variables.

    Results lie beside it, ROIs first, in ``NAME_cascade.mat``; the sessions follow one another.
    """

    kind = "Suite2P for MATLAB"
    uses = ()
    looks_for = ".mat files with Fcell and FcellNeu"

    @classmethod
    def find(cls, path: Path, selection: Selection = Selection()) -> list[ArrayFile]:
        """The file itself, or the one that results of ours were made from, if it is Suite2P's."""
        if path.suffix.lower() != ".mat" or selection.key is not None:
            return []
        return [file for file in super().find(path, selection) if _prefix_in(read_mat_once(file.path)) is not None]

    def read(self, reading: Reading = Reading()) -> Traces:
        """Read all sessions and what goes with them; see `Container.read`."""
        self._refuse_results()
        self._check_free()
        if reading.dff == "container":
            raise InputError(f"{self.path}: Suite2P stores no dF/F; leave out --dff container")
        return _Proc(self.path, self._contents()).read(reading)

    def rois(self) -> Rois | None:
        """Where the ROIs lie, from ``stat``; see `Container.rois`."""
        return _Proc(self.path, self._contents()).rois()

    def _variable(self) -> Variable:
        shape = _Proc(self.path, self._contents()).shape
        return Variable(_F, shape, partial(np.empty, shape))

    def _orientation(self, remarks: list[str]) -> Orientation:
        return Orientation(True, self._variable().shape, "as Suite2P writes it")

    def _stem(self) -> str:
        return f"{self.path.stem}_cascade"


def _prefix_in(contents: Contents | None) -> str | None:
    """What stands in front of ``Fcell`` in the names of such a file, or None."""
    for variable in contents.variables if contents is not None else ():
        prefix, _, name = variable.name.rpartition(".")
        partner = contents.named(f"{prefix}.{_FNEU}" if prefix else _FNEU) if contents is not None else None
        if name == _F and variable.problem == "cell" and partner is not None and partner.problem == "cell":
            return prefix
    return None


class _Proc:
    """The content of such a file, read once."""

    def __init__(self, path: Path, contents: Contents):
        prefix = _prefix_in(contents)
        if prefix is None:
            raise InputError(f"{path} holds no {_F} and {_FNEU} of Suite2P's any more")
        self._path = path
        top = prefix.split(".")[0]
        names = {variable.name.split(".")[0] for variable in contents.variables}
        self._content = load_variable(path, top) if top else {name: load_variable(path, name) for name in names}
        self._f, self._fneu = self._sessions(prefix, _F), self._sessions(prefix, _FNEU)
        if [each.shape for each in self._f] != [each.shape for each in self._fneu]:
            raise InputError(f"{path}: {_F} and {_FNEU} have different shapes: they must come from the same run")

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of ROIs and frames."""
        return len(self._f[0]), sum(each.shape[1] for each in self._f)

    def read(self, reading: Reading) -> Traces:
        remarks: list[str] = []
        rate, rate_source = self._frame_rate(reading, remarks)
        n_rois, n_frames = self.shape
        fluorescence, neuropil = np.concatenate(self._f, axis=1), np.concatenate(self._fneu, axis=1)
        if np.nanmedian(neuropil) < 0:
            # an early way of estimating neuropil left it negative, and F without it
            remarks.append(
                f"{_FNEU} is negative, as of Suite2P's early neuropil model: its sign was changed, F made whole"
            )
            neuropil = -neuropil
            fluorescence = fluorescence + neuropil
        coefficient, part = self._coefficients(reading, n_rois, remarks)
        lengths = [each.shape[1] for each in self._f if each.shape[1]]
        bad = self._get("ops", BAD_FRAMES)
        marked = {} if bad is None or not np.size(bad) else {f"marked in ops.{BAD_FRAMES}": bad}
        return Traces(
            fluorescence=fluorescence,
            neuropil=neuropil if part is None else neuropil * part[:, np.newaxis].astype(neuropil.dtype),
            neuropil_coefficient=coefficient,
            frame_rate=rate,
            frame_rate_source=rate_source,
            source=f"{_F} and {_FNEU} of {len(lengths)} session{'' if len(lengths) == 1 else 's'}",
            segments=lengths if len(lengths) > 1 else None,
            excluded=marked_frames(marked, n_frames, remarks),
            is_cell=self._is_cell(n_rois, remarks),
            remarks=remarks,
        )

    def rois(self) -> Rois | None:
        settings = self._content.get("ops")
        return read_masks(self._records(), settings if isinstance(settings, dict) else {}, str(self._path))

    def _records(self) -> list[Any]:
        """What ``stat`` says of each ROI."""
        records = self._content.get("stat")
        records = [records] if isinstance(records, dict) else records
        return records if isinstance(records, list) else []

    def _sessions(self, prefix: str, name: str) -> list[np.ndarray]:
        holder: Any = self._content
        for part in prefix.split(".")[1:]:
            holder = holder[part]
        sessions = [each for each in holder[name] if np.size(each)]
        usable = all(isinstance(each, np.ndarray) and each.ndim == 2 and each.dtype.kind in "fiu" for each in sessions)
        if not sessions or not usable or len({len(each) for each in sessions}) > 1:
            raise InputError(f"{self._path}: {name} does not hold ROIs x frames of the same ROIs in each session")
        return sessions

    def _frame_rate(self, reading: Reading, remarks: list[str]) -> tuple[float, str]:
        if reading.frame_rate is not None:
            return as_frame_rate(reading.frame_rate), "given"
        per_plane = _number(self._get("ops", "fs"))  # of the later suite2p, from which such files can be made
        if per_plane is not None and per_plane > 0:
            return per_plane, f"ops.fs in {self._path.name}"
        rate, n_planes = _number(self._get("ops", "imageRate")), _number(self._get("ops", "nplanes")) or 1.0
        if rate is None or rate <= 0:
            raise InputError(f"{self._path}: it has no ops.imageRate: pass --frame-rate (Hz per plane)")
        if n_planes > 1:
            raise InputError(
                f"{self._path}: ops.imageRate is {rate:g} Hz with {n_planes:g} planes, and Suite2P for MATLAB did not "
                f"always mean the same by it: pass --frame-rate {rate / n_planes:g} if it counts the frames of all "
                f"planes, --frame-rate {rate:g} if those of one"
            )
        remarks.append("ops.imageRate was typed in, and Suite2P needed it approximately only: check it")
        return rate, f"ops.imageRate in {self._path.name}"

    def _coefficients(self, reading: Reading, n_rois: int, remarks: list[str]) -> tuple[float, np.ndarray | None]:
        """The neuropil coefficient, and by how much that of each ROI differs from it."""
        if reading.neuropil_coefficient is not None:
            return reading.neuropil_coefficient, None
        own = self._of_rois("neuropilCoefficient", n_rois)
        usable = None if own is None else np.isfinite(own) & (own >= 0) & (own <= 2)
        if own is None or usable is None or not usable.any():
            return DEFAULT_NEUROPIL_COEFFICIENT, None
        middle = float(np.median(own[usable])) or DEFAULT_NEUROPIL_COEFFICIENT
        own = np.where(usable, own, middle)
        if (own == middle).all():
            return middle, None
        remarks.append(
            f"each ROI has a neuropil coefficient of its own, from {own.min():.2g} to {own.max():.2g}: Fneu was scaled "
            f"so that all have {middle:.2g}; --neuropil-coefficient takes one for all instead"
        )
        return middle, own / middle

    def _is_cell(self, n_rois: int, remarks: list[str]) -> np.ndarray | None:
        flags = self._of_rois("iscell", n_rois)
        if flags is None:
            flags = _vector(self._get("cl", "iscell"))
        if flags is not None and len(flags) == n_rois:
            return flags > 0.5
        if flags is not None:
            remarks.append(f"iscell has {len(flags)} values for {n_rois} ROIs and was ignored")
        return None

    def _of_rois(self, field: str, n_rois: int) -> np.ndarray | None:
        """A field of ``stat``, one number for each ROI; None if it is not there, or not for all of them."""
        records = self._records()
        if len(records) != n_rois:
            return None
        numbers = [_number(record.get(field)) if isinstance(record, dict) else None for record in records]
        found = np.array([np.nan if number is None else number for number in numbers])
        return None if np.isnan(found).all() else found

    def _get(self, group: str, name: str) -> Any:
        holder = self._content.get(group)
        return holder.get(name) if isinstance(holder, dict) else None


def _number(value: Any) -> float | None:
    values = _vector(value)
    return float(values[0]) if values is not None and len(values) == 1 and np.isfinite(values[0]) else None


def _vector(value: Any) -> np.ndarray | None:
    return value.ravel().astype(float) if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" else None
