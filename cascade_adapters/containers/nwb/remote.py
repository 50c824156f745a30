"""NWB files that are not on this computer, such as those of DANDI: only what is needed is fetched.

Results go into a small new NWB file in the working folder: the session, the imaging planes and the ROIs, without the
traces and movies of the original. `cascade_adapters.running.remote.infer_remote` puts them elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from cascade_adapters.containers.base import Container, Selection
from cascade_adapters.containers.nwb.opening import OpenNwb, explained, kept_open, one_line, open_nwb_in
from cascade_adapters.containers.nwb.output import OutputFile
from cascade_adapters.containers.nwb.recording import NwbRecording
from cascade_adapters.containers.nwb.series import Recording, find_recordings, others_in, series_at, table_of
from cascade_adapters.results import Results, Spikes
from cascade_adapters.results.record import SpikesFound
from cascade_engine.errors import CascadeError, InputError, MissingExtraError

if TYPE_CHECKING:
    import h5py

#: Groups that a file with nothing in them must have.
_REQUIRED_GROUPS = ("acquisition", "analysis", "stimulus/presentation", "stimulus/templates", "processing")

#: Parts of ``general`` that are copied with all they hold; of the rest, only texts and numbers.
_COPIED_GROUPS = ("devices", "optophysiology", "subject")


def find_remote(
    source: str | h5py.File, selection: Selection = Selection(), output: str | Path | None = None
) -> list[RemoteRecording]:
    """Recordings in an NWB file that lies elsewhere, or is open already.

    Parameters
    ----------
    source : str or h5py.File
        Address of the file (http, https, or whatever `fsspec` knows), or the open file.
    selection : Selection
        The series or the channel that is meant.
    output : path, optional
        File for the results; default: ``NAME_cascade.nwb`` in the working folder.

    Returns
    -------
    list of RemoteRecording
        At least one.

    Raises
    ------
    InputError
        If the file cannot be opened, or holds no series of ROIs.
    """
    if selection.in_place:
        raise InputError(f"{source} cannot be changed from here: leave out --in-place")
    address = source if isinstance(source, str) else str(source.filename)
    output = Path(output) if output is not None else Path.cwd() / f"{_name_of(address)}_cascade.nwb"
    file = RemoteFile(source, address, output.absolute().parent)
    with explained(address):
        recordings = find_recordings(file.opened, selection)
    if not recordings:
        raise InputError(f"{address} holds no series of ROIs (RoiResponseSeries){others_in(file.opened)}")
    return [RemoteRecording(file, output, recording, selection) for recording in recordings]


def open_address(address: str) -> h5py.File:
    """Open an HDF5 file by its address; what is read of it is fetched when it is read.

    Raises
    ------
    InputError
        If there is no such file, or it is none.
    MissingExtraError
        If neither remfile nor fsspec is installed.
    """
    import h5py

    try:
        return h5py.File(_open_stream(address), "r")
    except CascadeError:
        raise
    except ImportError as error:
        raise MissingExtraError(error.name or "fsspec", "nwb", f"reading {address}") from None
    except Exception as error:  # networks can fail in any way
        raise InputError(f"{address} cannot be opened: {one_line(error)}") from error


class RemoteFile:
    """An NWB file that is open for reading; when it is pickled, the copy opens it again by its address.

    Parameters
    ----------
    source : str or h5py.File
        Address of the file, or the open file.
    address : str
        Its address or name.
    scratch : Path
        Folder in which large values wait on the disk.
    """

    def __init__(self, source: str | h5py.File, address: str, scratch: Path):
        self.address = address
        self.file = open_address(source) if isinstance(source, str) else source
        self.opened = open_nwb_in(self.file, address, scratch)
        self._has_address = isinstance(source, str) or source.driver != "fileobj"

    def __reduce__(self) -> tuple:
        if not self._has_address:
            raise InputError(f"{self.address} is open in this process alone: pass its address to use it in others")
        return RemoteFile, (self.address, self.address, self.opened.scratch)


class RemoteRecording(NwbRecording):
    """Fluorescence of one plane, in one session, in an NWB file that is open for reading.

    Parameters
    ----------
    file : RemoteFile
        The file.
    output : Path
        File for the results.
    recording : Recording
        Its series.
    selection : Selection
        What the user means.
    """

    def __init__(self, file: RemoteFile, output: Path, recording: Recording, selection: Selection):
        super().__init__(output, recording, selection)
        self._file, self._address = file, file.address
        self._output = OutputFile(output, zarr=False)

    @property
    def identity(self) -> tuple:
        """Kind, address and series."""
        return (self.kind, self._address, self._name())

    @property
    def job(self) -> tuple:
        """Kind, address and file for the results."""
        return (self.kind, self._address, self._output.path.resolve())

    def keep_open(self) -> AbstractContextManager[None]:
        """The file is open anyway; see `Container.keep_open`."""
        return kept_open(self._output.path)

    def add_spikes(self, results: Results, spikes: Spikes, found: SpikesFound) -> list[str]:
        """Write discrete spikes into the file with the results; see `Container.add_spikes`."""
        return Container.add_spikes(self, results, spikes, found)

    def restore(self) -> list[str]:
        """Remove the file with the results; see `Container.restore`."""
        return self._output.take_back(self._state())

    @contextmanager
    def _open(self) -> Iterator[OpenNwb]:
        with explained(self._address):
            yield replace(self._file.opened)  # with memory of its own

    def _state(self) -> dict[str, Any]:
        return {"name": self._address}

    def _source(self) -> Any:
        return self._make_frame

    def _is_added_to_output(self) -> bool:
        return self._output.can_be_added_to(self._state())

    def _places(self) -> list[Path]:
        return [self._output.path] if self._output.is_ours(self._address) else []

    def _make_frame(self, path: Path) -> None:
        """Make a new file of everything but series and movies."""
        import h5py

        with self._open() as opened:
            recordings = find_recordings(opened, Selection())
            found = (table_of(series_at(opened, one.name)) for one in recordings)
            tables = {opened.path_of(table) for table in found if table is not None}
        with h5py.File(path, "w") as frame:
            _copy_session(self._file.file, frame)
            for table in tables:
                _copy_table(self._file.file, frame, table)


def _open_stream(address: str) -> Any:
    if urlsplit(address).scheme in ("http", "https"):
        try:
            import remfile
        except ImportError:
            pass
        else:
            return remfile.File(address)
    import fsspec

    return fsspec.open(address, "rb").open()


def _name_of(address: str) -> str:
    """A name for a file, from the last part of its address that tells anything."""
    parts = [part for part in PurePosixPath(unquote(urlsplit(address).path)).parts if part not in ("/", "download")]
    name = re.sub(r"[^\w.-]", "_", parts[-1]) if parts else "remote"
    return re.sub(r"\.(nwb|h5|hdf5)$", "", name)


def _copy_session(source: h5py.File, frame: h5py.File) -> None:
    for name, value in source.attrs.items():
        if name != ".specloc":
            frame.attrs[name] = value
    frame.attrs["object_id"] = str(uuid4())
    for name in _REQUIRED_GROUPS:
        frame.require_group(name)
    for name in source:
        if hasattr(source[name], "shape"):
            source.copy(name, frame)
    general = frame.require_group("general")
    for name in source.get("general", ()):
        thing = source["general"].get(name)
        if name in _COPIED_GROUPS or hasattr(thing, "shape"):
            source.copy(thing, general, name)


def _copy_table(source: h5py.File, frame: h5py.File, path: str) -> None:
    parents = path.strip("/").split("/")[:-1]
    for depth in range(1, len(parents) + 1):
        place = "/".join(parents[:depth])
        frame.require_group(place).attrs.update(source[place].attrs)
    source.copy(path, frame[path.rpartition("/")[0]])
    table = frame[path]
    if "reference_images" in table:  # it has links to movies that are not copied
        table["reference_images"].clear()
    for name, column in source[path].items():
        target = column.attrs.get("target")  # a reference, which is one to the original
        if target is not None:
            table[name].attrs["target"] = table[source[target].name.rpartition("/")[2]].ref
