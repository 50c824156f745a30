"""Reading ``.mat`` files of version 5 (MATLAB's default, up to 2 GB) and of version 7.3 (HDF5)."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from cascade_engine.errors import InputError
from cascade_engine.file_formats import matlab_v5, matlab_v73
from cascade_engine.file_formats.hdf5 import is_hdf5
from cascade_engine.file_formats.variables import Variable


def version_of(path: Path) -> str:
    """``"v7.3"`` for a file of this version, ``"v5"`` for anything else."""
    return "v7.3" if is_hdf5(path) else "v5"


def list_variables(path: Path) -> list[Variable]:
    """The variables of a file, structs by the names of their fields.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    list of Variable
        In the order of the file; their values are read when they are asked for.

    Raises
    ------
    InputError
        If the file is damaged or something else.
    """
    try:
        return list(_reader_of(path).read_variables(path))
    except Exception as error:
        raise _cannot_be_read(path, error) from None


def load_variable(path: Path, name: str) -> Any:
    """Read one variable with all it holds.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Name of the variable.

    Returns
    -------
    array, str, list or dict
        Numbers as an array of their type and shape, text as ``str``; a cell as the list of its elements, down the
        columns; a struct as a dictionary, an array of structs as a list of dictionaries. Objects, functions and sparse
        matrices are None.

    Raises
    ------
    InputError
        If there is no such variable, or the file is damaged or something else.
    """
    try:
        return _reader_of(path).load_variable(path, name)
    except KeyError as error:
        if error.args != (name,):
            raise _cannot_be_read(path, error) from None
        raise InputError(f"{path} has no variable {name}") from None
    except Exception as error:
        raise _cannot_be_read(path, error) from None


def _reader_of(path: Path) -> ModuleType:
    return matlab_v73 if version_of(path) == "v7.3" else matlab_v5


def _cannot_be_read(path: Path, error: Exception) -> InputError:
    """A damaged file can fail in any way, above all inside h5py."""
    if isinstance(error, InputError):
        return error
    if isinstance(error, OSError) and error.strerror:
        return InputError(f"{path} cannot be read: {error.strerror}")
    if isinstance(error, MemoryError):
        return InputError(f"{path} cannot be read: not enough memory")
    reason = f" ({error})" if isinstance(error, ValueError) else ""
    return InputError(f"{path} cannot be read: it is damaged, or no .mat file{reason}")
