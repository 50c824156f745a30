"""Opening NWB files, in HDF5 or Zarr, whatever state they are in: what cannot be opened is one clear line."""

from __future__ import annotations

import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_adapters.containers.nwb.rows_first import IN_MEMORY_BYTES
from cascade_adapters.containers.nwb.whole import check_read_at_once
from cascade_adapters.safe_writing.in_place import recover
from cascade_engine.errors import CascadeError, InputError, MissingExtraError
from cascade_engine.file_formats.hdf5 import open_hdf5

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
    scratch : Path
        Folder in which values that are too large for the memory wait on the disk.
    memory_left : int
        Bytes of values that may still be kept in memory.
    """

    nwbfile: pynwb.NWBFile
    name: str
    size: int | None
    manager: Any
    scratch: Path = Path(tempfile.gettempdir())
    memory_left: int = field(default_factory=lambda: IN_MEMORY_BYTES)

    def takes(self, n_bytes: int) -> bool:
        """Whether there is room for so many bytes of values in memory, which they then take."""
        fits = n_bytes <= self.memory_left
        self.memory_left -= n_bytes if fits else 0
        return fits

    def path_of(self, thing: Any) -> str:
        """Path inside the file, such as ``/processing/ophys/Fluorescence/plane0``."""
        return "/" + self.manager.get_builder(thing).path.partition("/")[2]


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return (path / ".zgroup").is_file()


class _Kept:
    """A file that stays open from one use to the next."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.root: h5py.File | zarr.Group | None = None
        self.opened: OpenNwb | None = None


class _KeptFiles(threading.local):
    """The files that this thread keeps open, by their paths."""

    def __init__(self) -> None:
        self.by_path: dict[Path, _Kept] = {}


_kept_files = _KeptFiles()


@contextmanager
def kept_open(path: Path) -> Iterator[None]:
    """Open a file only once within the block, when `open_nwb` or `open_root` is first called for it."""
    key, files = path.resolve(), _kept_files.by_path
    if key in files:
        yield
        return
    files[key] = _Kept()
    try:
        yield
    finally:
        files.pop(key).stack.close()


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
    with ExitStack() as stack:
        kept = _kept_files.by_path.get(path.resolve())
        if kept is None:
            opened = _opened_by_pynwb(path, stack)
        else:
            opened = kept.opened = kept.opened or _opened_by_pynwb(path, kept.stack)
        with explained(path), without_warnings():
            yield opened


def _opened_by_pynwb(path: Path, stack: ExitStack) -> OpenNwb:
    root = stack.enter_context(open_root(path))  # says plainly what pynwb says in its own way
    with explained(path), without_warnings():
        check_read_at_once(root, str(path))
        if is_zarr(path):
            reader, size = stack.enter_context(reading_and_writing_zarr(path, "r")), None
        else:
            pynwb = _import_pynwb()
            reader = stack.enter_context(pynwb.NWBHDF5IO(file=root, mode="r", load_namespaces=True))
            size = path.stat().st_size
        return OpenNwb(_read(reader, path), str(path), size, reader.manager, path.parent)


def open_nwb_in(file: h5py.File, name: str, scratch: Path) -> OpenNwb:
    """Open by pynwb what is open already as an HDF5 file.

    Parameters
    ----------
    file : h5py.File
        The file; it stays open.
    name : str
        What to call it in messages.
    scratch : Path
        Folder in which large values wait on the disk.

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
        check_read_at_once(file, name)
        reader = pynwb.NWBHDF5IO(file=file, mode="r", load_namespaces=True)
        _READERS.append(reader)
        return OpenNwb(_read(reader, name), name, None, reader.manager, scratch)


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
    with ExitStack() as stack:
        kept = _kept_files.by_path.get(path.resolve())
        if kept is None:
            root = _opened_root(path, stack)
        elif kept.root is None:
            root = kept.root = _opened_root(path, kept.stack)
        else:
            root = kept.root
        with explained(path):
            yield root


def _opened_root(path: Path, stack: ExitStack) -> h5py.File | zarr.Group:
    recover(path)
    with explained(path):
        if is_zarr(path):
            root = _import_zarr().open_group(str(path), mode="r")
        elif not path.stat().st_size:
            raise InputError(f"{path} is empty")
        else:
            root = stack.enter_context(open_hdf5(path))
        check_version(root, path)
    return root


def check_version(root: h5py.File | zarr.Group, name: str | os.PathLike) -> None:
    """Refuse what is no NWB file of version 2."""
    version = root.attrs.get("nwb_version")
    if version is None and "nwb_version" in root:  # where version 1 had it
        version = root["nwb_version"][()]
    if version is None:
        raise InputError(f"{name} is no NWB file: it has no nwb_version")
    version = version.decode(errors="replace") if isinstance(version, bytes) else str(version)
    if not version.startswith("2."):
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
