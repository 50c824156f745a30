"""Opening HDF5 files: what keeps a good file from being opened is said plainly."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_engine.errors import InputError
from cascade_engine.file_formats.unpacking import FREE_BYTES, check_unpacked

if TYPE_CHECKING:
    import h5py

#: What HDF5 says of files that are open somewhere, and what that means for the user. The first that fits counts.
_REASONS = (
    (
        "clear file consistency flags",
        "is open in another program that writes to it, or was left by one that was killed: close it there, or run "
        "'h5clear -s' on a copy of it",
    ),
    ("already open", "is open in this very process in another mode: close it first"),
    ("unable to lock file", "is open in another program: close it there"),
)

#: What file systems without locks answer.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, getattr(errno, "ENOTSUP", errno.ENOSYS)}


#: How every HDF5 file begins, behind nothing or a block of the user's of one of these lengths in bytes.
_SIGNATURE, _USER_BLOCKS = b"\x89HDF\r\n\x1a\n", (0, 512, 1024, 2048)


def is_hdf5(path: Path) -> bool:
    """Whether a file is HDF5, also while another program has it open."""
    with path.open("rb") as file:
        return any(file.seek(length) == length and file.read(8) == _SIGNATURE for length in _USER_BLOCKS)


def open_hdf5(path: Any, mode: str = "r") -> h5py.File:
    """Open an HDF5 file, as h5py does.

    Parameters
    ----------
    path : path-like or binary file
        The file.
    mode : {"r", "r+"}
        For reading, or for writing too.

    Returns
    -------
    h5py.File
        The file, to be closed by the caller.

    Raises
    ------
    InputError
        If it is open elsewhere.
    OSError
        If it cannot be opened for another reason: it is damaged, or no HDF5 file.
    """
    import h5py

    try:
        return h5py.File(path, mode)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            raise InputError(
                f"{path} lies on a file system that cannot lock files: set the environment variable "
                "HDF5_USE_FILE_LOCKING=FALSE"
            ) from None
        for words, reason in _REASONS:
            if words in str(error):
                raise InputError(f"{path} {reason}") from None
        raise


def check_stored(dataset: h5py.Dataset) -> None:
    """Refuse to read a dataset that claims far more than is stored of it: HDF5 would fill the memory with zeros.

    Raises
    ------
    ValueError
        Saying both sizes.
    """
    if dataset.nbytes > FREE_BYTES and not (dataset.is_virtual or dataset.external):  # those are stored elsewhere
        check_unpacked(dataset.nbytes, dataset.id.get_storage_size())
