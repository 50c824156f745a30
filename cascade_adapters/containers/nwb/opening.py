"""Opening NWB files, in HDF5 or Zarr, whatever state they are in: what cannot be opened is one clear line."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_adapters.safe_writing.in_place import recover
from cascade_engine.errors import CascadeError, InputError, MissingExtraError

if TYPE_CHECKING:
    import h5py
    import pynwb
    import zarr

#: Older versions of pynwb close a file that they were given when they are not used any more.
_READERS: list[Any] = []


@dataclass
class OpenNwb:
    """An NWB file as pynwb gives it.

    Attributes
    ----------
    nwbfile : pynwb.NWBFile
        Its content; data is read when it is indexed.
    name : str
        Path or address, for messages.
    size : int or None
        Size in bytes, if it is known.
    manager : hdmf.build.BuildManager
        What pynwb knows about its objects.
    """

    nwbfile: pynwb.NWBFile
    name: str
    size: int | None
    manager: Any

    def path_of(self, thing: Any) -> str:
        """Path inside the file, such as ``/processing/ophys/Fluorescence/plane0``."""
        return "/" + self.manager.get_builder(thing).path.partition("/")[2]


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return (path / ".zgroup").is_file()


@contextmanager
def open_nwb(path: Path) -> Iterator[OpenNwb]:
    """Open an NWB file for reading, by pynwb.

    Parameters
    ----------
    path : Path
        An HDF5 file, or the folder of a Zarr store.

    Yields
    ------
    OpenNwb
        The file.

    Raises
    ------
    InputError
        If it cannot be opened, or turns out to be damaged before the block has ended.
    """
    with open_root(path):  # says plainly what pynwb says in its own way
        pass
    if is_zarr(path):
        with explained(path), reading_and_writing_zarr(path, "r") as reader:
            yield OpenNwb(_read(reader, path), str(path), None, reader.manager)
        return
    pynwb = _import_pynwb()
    with (
        explained(path),
        without_warnings(),
        pynwb.NWBHDF5IO(str(path), "r", load_namespaces=True) as reader,
    ):
        yield OpenNwb(_read(reader, path), str(path), path.stat().st_size, reader.manager)


def open_nwb_in(file: h5py.File, name: str) -> OpenNwb:
    """Open by pynwb what is open already as an HDF5 file.

    Parameters
    ----------
    file : h5py.File
        The file; it stays open.
    name : str
        What to call it in messages.

    Returns
    -------
    OpenNwb
        The file; `explained` is to stand around whatever is read from it.

    Raises
    ------
    InputError
        If it is no NWB file, or damaged.
    """
    pynwb = _import_pynwb()
    with explained(name), without_warnings():
        check_version(file, name)
        reader = pynwb.NWBHDF5IO(file=file, mode="r", load_namespaces=True)
        _READERS.append(reader)
        return OpenNwb(_read(reader, name), name, None, reader.manager)


@contextmanager
def open_root(path: Path) -> Iterator[h5py.File | zarr.Group]:
    """Open an NWB file for reading, without pynwb; both kinds of root give groups, arrays and attributes alike.

    Parameters
    ----------
    path : Path
        An HDF5 file, or the folder of a Zarr store.

    Yields
    ------
    h5py.File or zarr.Group
        Its root.

    Raises
    ------
    InputError
        If it cannot be opened, is no NWB file, or is of a version that cannot be used.
    """
    recover(path)
    with explained(path):
        if is_zarr(path):
            root = _import_zarr().open_group(str(path), mode="r")
            check_version(root, path)
            yield root
            return
        if not path.stat().st_size:
            raise InputError(f"{path} is empty")
        import h5py

        with h5py.File(path, "r") as root:
            check_version(root, path)
            yield root


def check_version(root: h5py.File | zarr.Group, name: str | os.PathLike) -> None:
    """Refuse what is no NWB file of version 2."""
    version = root.attrs.get("nwb_version")
    if version is None and "nwb_version" in root:  # where version 1 had it
        version = root["nwb_version"][()]
    if version is None:
        raise InputError(f"{name} is no NWB file: it has no nwb_version")
    version = version.decode(errors="replace") if isinstance(version, bytes) else str(version)
    if not version.startswith("2.") or "b" in version:
        raise InputError(
            f"{name} has the version {one_line(version)} of NWB, which pynwb cannot read: convert it to NWB 2, or save "
            "its traces as .npy"
        )


@contextmanager
def reading_and_writing_zarr(path: Path, mode: str) -> Iterator[Any]:
    """Open a Zarr store by ``hdmf_zarr.NWBZarrIO``, in a mode of that class."""
    try:
        from hdmf_zarr import NWBZarrIO
    except ImportError as error:
        if error.name != "hdmf_zarr":
            raise
        raise MissingExtraError("hdmf-zarr", "nwb", "an NWB file in Zarr") from None
    with without_warnings(), NWBZarrIO(str(path), mode, load_namespaces=True) as reader:
        yield reader


@contextmanager
def explained(name: str | os.PathLike) -> Iterator[None]:
    """Turn whatever goes wrong with a damaged file into one line."""
    try:
        yield
    except CascadeError:
        raise
    except MemoryError:
        raise InputError(f"{name} needs more memory than there is, or is damaged") from None
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(f"{name} cannot be read: {one_line(error)}") from error


@contextmanager
def without_warnings() -> Iterator[None]:
    """Keep the warnings of pynwb from the user, who can do nothing about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def one_line(reason: BaseException | str) -> str:
    """What an error says, as one line that is not too long."""
    if isinstance(reason, BaseException):
        reason = str(reason.args[-1]) if reason.args else type(reason).__name__
    text = " ".join(reason.split())
    return text if len(text) <= 200 else text[:200] + " ..."


def _read(reader: Any, name: str | os.PathLike) -> pynwb.NWBFile:
    try:
        return reader.read()
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(
            f"{name} cannot be opened by pynwb: it is damaged, or lacks what NWB requires ({one_line(error)})"
        ) from error


def _import_pynwb():
    try:
        import pynwb
    except ImportError as error:
        if error.name != "pynwb":
            raise
        raise MissingExtraError("pynwb", "nwb", "an NWB file") from None
    return pynwb


def _import_zarr():
    try:
        import zarr
    except ImportError as error:
        if error.name != "zarr":
            raise
        raise MissingExtraError("hdmf-zarr", "nwb", "an NWB file in Zarr") from None
    return zarr
