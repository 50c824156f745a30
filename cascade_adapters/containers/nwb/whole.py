"""Reading a dataset of an NWB file whole, unless it claims far more than is stored of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.file_formats.hdf5 import check_stored
from cascade_engine.file_formats.unpacking import FREE_BYTES, check_unpacked


def read_whole(data: Any, where: str) -> np.ndarray:
    """All values of a dataset.

    Parameters
    ----------
    data : array-like
        As pynwb gives it: of HDF5, of Zarr, or in memory.
    where : str
        What it is and where, for messages.

    Raises
    ------
    InputError
        If it claims far more than is stored of it.
    """
    check_claim(data, where)
    return np.asarray(data[:])


def check_claim(data: Any, where: str) -> None:
    """Refuse a dataset that claims far more than is stored of it; see `read_whole`."""
    data = getattr(data, "dataset", data)  # what hdmf wraps around datasets of references
    try:
        if hasattr(data, "id") and hasattr(data, "is_virtual"):
            check_stored(data)
        elif getattr(data, "nbytes_stored", -1) >= 0:  # Zarr; -1 where a store cannot tell
            check_unpacked(data.nbytes, data.nbytes_stored)
    except ValueError as error:
        raise InputError(f"{where} is damaged: {error}") from None


def check_read_at_once(root: Any, where: str) -> None:
    """Refuse what claims far more than is stored of it and would be read when pynwb opens the file.

    These are lists of rows of a table, and what hdmf-zarr takes for a single value.

    Parameters
    ----------
    root : h5py.File or zarr.Group
        The file.
    where : str
        Its name, for messages.

    Raises
    ------
    InputError
        If there is one.
    """

    def check(path: str, item: Any) -> None:
        if getattr(item, "nbytes", 0) > FREE_BYTES and (
            item.attrs.get("neurodata_type") == "DynamicTableRegion" or item.attrs.get("zarr_dtype") == "scalar"
        ):
            check_claim(item, f"{where}: /{path}")

    root.visititems(check)
