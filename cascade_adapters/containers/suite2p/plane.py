"""One plane of a suite2p run: reading its traces, writing results beside ``spks.npy``, taking them back."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from cascade_adapters.containers.background import without_background
from cascade_adapters.containers.base import Container, Reading, Rois, Selection, Traces
from cascade_adapters.containers.deconvolved import Deconvolved
from cascade_adapters.containers.searching import files_below
from cascade_adapters.containers.suite2p import combined
from cascade_adapters.containers.suite2p.combined import natural, read_cells
from cascade_adapters.containers.suite2p.files import is_part_of_plane, read_array
from cascade_adapters.containers.suite2p.settings import marked_frames, read_image_shape, read_settings
from cascade_adapters.containers.suite2p.spikes_file import BACKUP as SPIKES_BACKUP
from cascade_adapters.containers.suite2p.spikes_file import NAME as SPIKES
from cascade_adapters.containers.suite2p.spikes_file import SpikesFile, remembered
from cascade_adapters.containers.transposed import by_rois
from cascade_adapters.results import Record, Results, Spikes, schema
from cascade_adapters.results.rows import Rows, write_npy
from cascade_adapters.results.schema import complete
from cascade_adapters.safe_writing.folder import Transaction, change_folder, finish_interrupted
from cascade_adapters.safe_writing.spooled_array import WaitingArray
from cascade_engine.errors import InputError
from cascade_engine.file_formats.atomic import sha256
from cascade_engine.file_formats.npy import ArrayOnDisk
from cascade_engine.file_formats.safe_pickle import load_records
from cascade_engine.file_formats.unpacking import check_archive

_PIXELS = ("ypix", "xpix")


class Suite2pPlane(Container):
    """A folder ``planeN`` with ``F.npy`` and ``Fneu.npy``.

    Results lie beside them: ``cascade_spike_prob.npy``, ``cascade_dff.npy`` (both all ROIs x frames, float32, in
    suite2p's order), ``cascade_noise_levels.npy`` and ``cascade.json``; discrete spikes in ``cascade_spikes.npz``
    (``roi``, ``frame``, ``time_s``, ``confidence``). For the second channel each name starts with ``cascade_chan2``.

    Parameters
    ----------
    path : Path
        The plane's folder.
    channel : {1, 2}
        Channel whose traces are used.
    """

    kind = "suite2p"
    uses = ("channel",)
    looks_for = "folders with F.npy, or F_chan2.npy for channel 2, except combined"

    def __init__(self, path: Path, channel: int = 1):
        super().__init__(path)
        if channel not in (1, 2):
            raise InputError(f"suite2p has channels 1 and 2, not {channel}")
        self.channel = channel
        suffix = "" if channel == 1 else "_chan2"
        self._f, self._fneu = f"F{suffix}.npy", f"Fneu{suffix}.npy"
        prefix = f"cascade{suffix}"
        self._record_name = f"{prefix}.json"
        self._arrays = {array.name: f"{prefix}_{array.name}.npy" for array in schema.ARRAYS}
        self._discrete = f"{prefix}_spikes.npz"
        self._report = f"{prefix}_report.html"

    @property
    def identity(self) -> tuple:
        """Kind, folder and channel."""
        return (*super().identity, self.channel)

    @property
    def plane(self) -> str | None:
        """Name of the folder, if it is called as suite2p calls it."""
        return self.path.name if re.fullmatch(r"plane\d+", self.path.name) else None

    @property
    def report_path(self) -> Path:
        """In the plane's folder; see `Container.report_path`."""
        return self.path / self._report

    @property
    def session(self) -> Path:
        """The folder around the planes."""
        return self.path.parent if self.plane else self.path

    @classmethod
    def find(cls, path: Path, selection: Selection = Selection()) -> list[Suite2pPlane]:
        """Planes at or below `path`, for the selected channel.

        The folder ``combined`` repeats the planes, padded with zeros, and is left out.
        """
        channel = selection.channel
        if channel is None:
            return [plane for each in (1, 2) for plane in cls.find(path, Selection(channel=each))]
        name = "F.npy" if channel == 1 else "F_chan2.npy"
        if path.is_file():
            files = [path] if path.name == name else []
        else:
            found = (file for file in files_below(path) if file.name == name)
            files = sorted(found, key=lambda file: natural(file.parent))
        folders = [file.parent for file in files if file.parent.absolute().name != combined.NAME]
        return [cls(folder, channel) for folder in folders]

    @classmethod
    def why_not(cls, path: Path) -> str:
        """Why a single file of a plane's folder, or the folder ``combined``, is refused; see `Container.why_not`."""
        if path.is_dir():
            return combined.why_not(path)
        if not is_part_of_plane(path):
            return ""
        return (
            f"{path} looks like a part of a suite2p folder: pass the folder of a plane (with --channel 2 for the "
            "second channel), or rename the file if it is none"
        )

    def read(self, reading: Reading = Reading()) -> Traces:
        """Read F, Fneu and settings; see `Container.read`."""
        if reading.dff == "container":
            raise InputError(f"{self.path}: suite2p stores no dF/F; leave out --dff container")
        finish_interrupted(self.path)
        settings = read_settings(self.path, reading.frame_rate, reading.neuropil_coefficient)
        remarks = settings.remarks
        files = {self._f: read_array(self.path / self._f)}
        if (self.path / self._fneu).is_file() and self._fneu not in settings.placeholders:
            files[self._fneu] = read_array(self.path / self._fneu)
        fluorescence, neuropil = files[self._f], files.get(self._fneu)
        if neuropil is None and self._fneu in settings.placeholders:
            remarks.append(f"{self._fneu} only stands in for neuropil that is not known: nothing was subtracted")
        elif neuropil is None:
            remarks.append(f"no {self._fneu}: nothing was subtracted")
        elif neuropil.shape != fluorescence.shape:
            raise InputError(
                f"{self.path}: {self._f} has the shape {fluorescence.shape}, but {self._fneu} has {neuropil.shape}: "
                "they must come from the same run"
            )
        n_rois, n_frames = fluorescence.shape
        segments = settings.frames_per_session
        if segments is not None and sum(segments) != n_frames:
            remarks.append(
                f"frames_per_folder adds up to {sum(segments)}, not {n_frames}: the recording is taken as one segment"
            )
            segments = None
        is_cell, cell_probability = read_cells(self.path, n_rois, remarks)
        traces = Traces(
            fluorescence=by_rois(fluorescence, self.path),
            neuropil=None if neuropil is None else by_rois(neuropil, self.path),
            neuropil_coefficient=settings.neuropil_coefficient,
            frame_rate=settings.frame_rate,
            frame_rate_source=settings.frame_rate_source,
            source=self._f if neuropil is None else f"{self._f} and {self._fneu}",
            segments=segments,
            excluded=marked_frames(settings.bad_frames, n_frames, remarks),
            dropped=settings.dropped_frames,
            is_cell=is_cell,
            cell_probability=cell_probability,
            indicator=settings.indicator,
            remarks=remarks,
            arbitrary_units=settings.arbitrary_units,
            denoised=settings.denoised,
            hashes=lambda: {
                name: files[name].sha256() if name in files else sha256(self.path / name) for name in self._hashed()
            },
        )
        return without_background(traces) if settings.neuropil_is_background and neuropil is not None else traces

    def fingerprint(self) -> dict[str, str]:
        """SHA-256 of F and Fneu; merging or drawing ROIs in suite2p's GUI changes them."""
        return {name: sha256(self.path / name) for name in self._hashed()}

    def _hashed(self) -> list[str]:
        return [name for name in (self._f, self._fneu) if (self.path / name).is_file()]

    def record(self) -> Record | None:
        """The record in ``cascade.json``, or None; see `Container.record`."""
        finish_interrupted(self.path)
        path = self.path / self._record_name
        if not path.is_file():
            return None
        try:
            backup = f", and rename {SPIKES_BACKUP} to {SPIKES}" if (self.path / SPIKES_BACKUP).is_file() else ""
            advice = f"remove it together with the other cascade files{backup}"
            return Record.parse(path.read_bytes(), str(path), advice)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from None

    def results(self) -> Results | None:
        """Read what `write` has written; see `Container.results`."""
        record = self.record()
        if record is None:
            return None
        found = {
            array.name: read_array(self.path / self._arrays[array.name], len(array.axes))
            for array in schema.ARRAYS
            if (self.path / self._arrays[array.name]).is_file()
        }
        n_rois, n_frames = read_array(self.path / self._f).shape
        arrays, problem = complete(found, n_rois, n_frames, record.written_by)
        if problem:
            raise InputError(
                f"{self.path}: the cascade files do not fit {self._f} ({problem}): run again with --existing overwrite"
            )
        spikes = self._load_spikes() if (self.path / self._discrete).is_file() else None
        return Results(arrays, record, spikes)

    def rois(self) -> Rois | None:
        """Where the ROIs lie, from ``stat.npy``; see `Container.rois`."""
        path = self.path / "stat.npy"
        if not path.is_file():
            return None
        records, n_rois = load_records(path), len(read_array(self.path / self._f))
        if len(records) != n_rois:
            raise InputError(f"{path} has {len(records)} ROIs, but {self._f} has {n_rois}: they are of different runs")
        shape = read_image_shape(self.path)
        pixels, weights = [], []
        for number, record in enumerate(records):
            try:
                rows, columns = (np.asarray(record[key]).astype(np.int64, casting="same_kind") for key in _PIXELS)
                weight = np.asarray(record["lam"]).astype(np.float32, casting="same_kind")
                place = np.stack([rows, columns], axis=1)
            except (KeyError, TypeError, ValueError):
                raise InputError(f"{path}: ROI {number} has no ypix, xpix and lam") from None
            outside = shape is not None and (place >= shape).any()
            if weight.shape != rows.shape or rows.ndim != 1 or (place < 0).any() or outside:
                raise InputError(f"{path}: pixels and weights of ROI {number} do not fit together or into the image")
            pixels.append(place)
            weights.append(weight)
        return Rois(shape, pixels, weights)

    def check_replaceable(self) -> None:
        """Refuse to replace ``spks.npy`` where that would make no sense or could lose suite2p's own."""
        if self.channel != 1:
            raise InputError(f"{SPIKES} belongs to channel 1: it cannot be replaced with spikes of channel 2")
        spikes = SpikesFile(self.path, self.record())
        if not spikes.path.is_file():
            raise InputError(f"{self.path} has no {SPIKES} to replace")
        if not spikes.was_replaced and spikes.backup.is_file():
            # spks.npy may be ours although its record is lost: a new backup would destroy suite2p's own
            raise InputError(
                f"{self.path} has a {SPIKES_BACKUP}, but no record of the run that made it: rename it to {SPIKES} "
                f"if {SPIKES} was written by cascade, remove it otherwise"
            )
        if spikes.backup.is_file() and not spikes.is_ours:
            # a later run of suite2p has written other spikes, which are to be backed up; what is damaged is not
            found = read_array(spikes.path)
            if (found.shape, found.dtype) != (read_array(self.path / self._f).shape, np.float32):
                raise InputError(
                    f"{self.path}: {SPIKES} was changed since cascade replaced it, and is none of suite2p's now "
                    f"({found.dtype}, shape {found.shape}): rename {SPIKES_BACKUP}, which is, to {SPIKES}"
                )

    def write(self, results: Results, replace_spikes: bool = False) -> list[str]:
        """Write results beside ``spks.npy``; see `Container.write`."""
        earlier = self.record()
        if replace_spikes:
            self.check_replaceable()
        spikes = SpikesFile(self.path, earlier if self.channel == 1 else None)
        kept = {name for name, values in results.arrays.items() if _lies_at(values, self.path / self._arrays[name])}
        with change_folder(self.path) as transaction:
            written = []
            record = results.record.remembering(**remembered(None))
            if replace_spikes and kept == set(results.arrays) and spikes.is_ours:
                record = record.remembering(**remembered(None, earlier))  # they are of these results already
            elif replace_spikes:
                written += spikes.replace(transaction, results)
                record = record.remembering(**remembered(transaction.staged(SPIKES)))
            elif spikes.put_back(transaction):
                written.append(SPIKES)
            elif spikes.may_be_ours:  # suite2p's own cannot be put back
                record = record.remembering(**remembered(None, earlier))
            for name, values in results.arrays.items():
                _put(transaction, self.path / self._arrays[name], values)
                written += [] if name in kept else [self._arrays[name]]
            if results.spikes is None:
                transaction.remove(self._discrete)
            else:
                with transaction.writing(self._discrete) as file:
                    np.savez(file, **vars(results.spikes))
                written.append(self._discrete)
            with transaction.writing(self._record_name) as file:
                file.write(record.to_json(indent=1).encode())
            written.append(self._record_name)
        return written

    def restore(self) -> list[str]:
        """Remove our files and put suite2p's ``spks.npy`` back; see `Container.restore`."""
        earlier = self.record()
        done = []
        names = (*self._arrays.values(), self._discrete, self._record_name)
        ours = [name for name in names if (self.path / name).is_file()]
        if not ours:
            return []
        with change_folder(self.path) as transaction:
            spikes = SpikesFile(self.path, earlier if self.channel == 1 else None)
            put_back = spikes.put_back(transaction)
            if put_back:
                done.append(put_back)
            elif spikes.was_replaced and spikes.backup.is_file():
                done.append(f"left {SPIKES}, which was changed since, and the backup {SPIKES_BACKUP}")
            elif self.channel == 1 and spikes.backup.is_file():
                done.append(f"left {SPIKES} and the backup {SPIKES_BACKUP}: nothing tells which is suite2p's")
            for name in ours:
                transaction.remove(name)
                done.append(f"removed {name}")
        return done

    def has_replaced_spikes(self) -> bool:
        """Whether ``spks.npy`` holds our rates; see `Container.has_replaced_spikes`."""
        return SpikesFile(self.path, self.record()).is_ours

    def deconvolved(self) -> Deconvolved | None:
        """Whose spikes ``spks.npy`` holds; see `Container.deconvolved`."""
        return SpikesFile(self.path, self.record()).describe() if self.channel == 1 else None

    def _load_spikes(self) -> Spikes:
        path = self.path / self._discrete
        try:
            check_archive(path)
            with np.load(path, allow_pickle=False) as archive:
                return Spikes.from_table(np.stack([archive[name] for name in Spikes.COLUMNS], axis=1))
        except Exception:  # a damaged archive can fail in any way
            raise InputError(f"{path} cannot be read: remove it, or run 'cascade spikes' again") from None


def _lies_at(values: Rows, path: Path) -> bool:
    """Whether an array is read from this very file."""
    return isinstance(values, ArrayOnDisk) and values.path == path


def _put(transaction: Transaction, path: Path, values: Rows) -> None:
    """Let an array take the place of a file; one that waits in a spool is moved, one that is there already stays."""
    if isinstance(values, ArrayOnDisk) and _lies_at(values, path):
        values[:0]  # raises if it has been changed since it was read
    elif isinstance(values, WaitingArray) and values.dtype == np.float32 and not values.is_by_columns:
        transaction.adopt(path.name, values.path)
    else:
        with transaction.writing(path.name) as file:
            write_npy(file, values)
