"""Reading pickled settings without running anything that a pickle may ask for."""

from __future__ import annotations

import pathlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from cascade_engine.errors import InputError

#: Everything that settings of a pipeline consist of; a pickle that refers to anything else is refused.
_ALLOWED = {
    "builtins": {"complex", "bytearray", "set", "frozenset", "slice", "range", "dict", "list", "tuple", "object"},
    "collections": {"OrderedDict", "defaultdict"},
    "datetime": {"datetime", "date", "time", "timedelta", "timezone"},
    "numpy": {"dtype", "ndarray", "bool_"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy.core.numeric": {"_frombuffer"},
    "numpy._core.numeric": {"_frombuffer"},
    "_codecs": {"encode"},
}

_PATH_CLASSES = {
    "PurePath", "PurePosixPath", "PureWindowsPath", "Path", "PosixPath", "WindowsPath",
}  # fmt: skip


class _SettingsUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        if module in ("pathlib", "pathlib._local") and name in _PATH_CLASSES:
            # a path of another operating system cannot be made here; a pure one can
            return pathlib.PureWindowsPath if "Windows" in name else pathlib.PurePosixPath
        if name not in _ALLOWED.get(module, ()):
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which settings have no use for")
        return super().find_class(module, name)


def load_settings(path: Path) -> dict[str, Any]:
    """Read a dictionary saved with ``numpy.save``.

    Parameters
    ----------
    path : Path
        A ``.npy`` file that holds one pickled dictionary.

    Returns
    -------
    dict
        Its content; paths inside are pure paths.

    Raises
    ------
    InputError
        If the file is damaged, is no dictionary, or asks for anything beyond plain data.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            _, _, dtype = read_header[version](file)
            if not dtype.hasobject:
                raise InputError(f"{path} holds an array of {dtype}, not settings")
            content = _SettingsUnpickler(file, encoding="latin1").load()
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a damaged pickle can fail in any way
        raise InputError(f"{path} cannot be read as settings: {error}") from None
    if isinstance(content, np.ndarray) and content.size == 1:
        content = content.item()
    if not isinstance(content, dict):
        raise InputError(f"{path} holds {type(content).__name__}, not settings")
    return content
