"""Checking what we have written against the NWB schema."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cascade_adapters.containers.nwb.opening import is_zarr, one_line, reading_and_writing_zarr, without_warnings
from cascade_engine.errors import InputError


def check_valid(path: Path, ours: Sequence[str] = ()) -> None:
    """Refuse a file that pynwb cannot open, or in which it finds faults with results of ours.

    Faults that the file had before do not count.

    Parameters
    ----------
    path : Path
        The file.
    ours : sequence of str
        Paths of the results inside it.

    Raises
    ------
    InputError
        If anything is wrong.
    """
    import pynwb

    try:
        with without_warnings():
            is_store = is_zarr(path)
            opening = reading_and_writing_zarr(path, "r") if is_store else pynwb.NWBHDF5IO(str(path), "r")
            with opening as io:
                errors = pynwb.validate(io=io)
                io.read()
    except Exception as error:  # validation meets whatever is in the file
        raise InputError(f"{path} was not written: pynwb cannot validate it ({one_line(error)})") from error
    faults = [str(error) for error in errors if any(place.strip("/") in str(error.location) for place in ours)]
    if faults:
        raise InputError(f"{path} was not written: pynwb finds fault with it ({one_line(faults[0])})")
