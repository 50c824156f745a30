"""Checking what we have written against the NWB schema."""

from __future__ import annotations

from pathlib import Path

from cascade_adapters.containers.nwb.layout import Names
from cascade_adapters.containers.nwb.opening import is_zarr, one_line, reading_and_writing_zarr, without_warnings
from cascade_engine.errors import InputError


def check_valid(path: Path, names: Names | None) -> None:
    """Refuse a file that pynwb cannot open, or in which it finds faults with results of ours.

    Faults that the file had before are no matter of ours.

    Parameters
    ----------
    path : Path
        The file.
    names : Names or None
        Where the results are, if there are any.

    Raises
    ------
    InputError
        If anything is wrong.
    """
    import pynwb

    try:
        with without_warnings():
            if is_zarr(path):
                with reading_and_writing_zarr(path, "r") as io:
                    errors = pynwb.validate(io=io)
                    io.read()
            else:
                errors = pynwb.validate(path=str(path))
                with pynwb.NWBHDF5IO(str(path), "r", load_namespaces=True) as io:
                    io.read()
    except Exception as error:  # validation meets whatever is in the file
        raise InputError(f"{path} was not written: pynwb cannot validate it ({one_line(error)})") from error
    ours = () if names is None else names.all
    faults = [str(error) for error in errors if any(path.strip("/") in str(error.location) for path in ours)]
    if faults:
        raise InputError(f"{path} was not written: pynwb finds fault with it ({one_line(faults[0])})")
