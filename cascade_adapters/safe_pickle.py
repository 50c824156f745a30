"""Reading pickled settings without running anything that a pickle may ask for.

Only plain data is rebuilt. What numpy would rebuild from a pickle is rebuilt here with checks: numpy itself trusts it,
and a crafted data type can make it take bytes for pointers.
"""

from __future__ import annotations

import io
import math
import pathlib
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from cascade_engine.errors import InputError

#: Everything that settings of a pipeline consist of; a pickle that refers to anything else is refused.
_ALLOWED = {
    "builtins": {"complex", "bytearray", "set", "frozenset", "slice", "range", "dict", "list", "tuple", "object"},
    "collections": {"OrderedDict", "defaultdict"},
    "datetime": {"datetime", "date", "time", "timedelta", "timezone"},
}

_PATH_CLASSES = {
    "PurePath", "PurePosixPath", "PureWindowsPath", "Path", "PosixPath", "WindowsPath",
}  # fmt: skip

#: Kinds of data type (`numpy.dtype.kind`) that are rebuilt.
_KINDS = "biufcSUO"


class _SettingsUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        if module in ("pathlib", "pathlib._local") and name in _PATH_CLASSES:
            # a path of another operating system cannot be made here; a pure one can
            return _only_callable(pathlib.PureWindowsPath if "Windows" in name else pathlib.PurePosixPath)
        if module.replace("numpy.core", "numpy._core") in ("numpy", "numpy._core.multiarray", "numpy._core.numeric"):
            substitute = _NUMPY.get(name)
            if substitute is not None:
                return _only_callable(substitute)
        if (module, name) == ("_codecs", "encode"):
            return _only_callable(_to_bytes)
        if name not in _ALLOWED.get(module, ()):
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which settings have no use for")
        return super().find_class(module, name)


def _only_callable(function):
    """Hide a function or class behind a function made for this one reference, since a pickle can set attributes."""
    return lambda *args: function(*args)


class _DataType:
    """A data type as a pickle describes it; `checked` makes the real one."""

    def __init__(self, text: str, *_: Any):
        self._text, self._byte_order = text, "="

    def __setstate__(self, state: tuple) -> None:
        self._byte_order = state[1]

    def checked(self) -> np.dtype:
        dtype = np.dtype(str(self._text))
        if dtype.kind not in _KINDS:
            raise pickle.UnpicklingError(f"it holds an array of {dtype}, which settings have no use for")
        return dtype.newbyteorder(self._byte_order) if self._byte_order in ("<", ">") else dtype


class _Array(np.ndarray):
    """An array whose content is checked before numpy takes it."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran_order, content = state
        dtype, shape = dtype.checked(), tuple(int(length) for length in shape)
        if dtype.hasobject != isinstance(content, list):
            raise pickle.UnpicklingError("an array's content is not of its type")
        if dtype.hasobject and (min(shape, default=0) < 0 or math.prod(shape) != len(content)):
            raise pickle.UnpicklingError("an array's content is not of its size")
        content = content if dtype.hasobject else _to_bytes(content)
        super().__setstate__((1, shape, dtype, bool(fortran_order), content))


def _reconstruct(*_: Any) -> np.ndarray:
    return np.ndarray.__new__(_Array, (0,), "b")


def _scalar(dtype: _DataType, content: bytes | str = b"") -> np.generic:
    checked = dtype.checked()
    return np.frombuffer(_to_bytes(content), checked, count=1)[0] if checked.itemsize else checked.type()


def _frombuffer(content: bytes, dtype: _DataType, shape: tuple, order: str, *_: Any) -> np.ndarray:
    return np.frombuffer(content, dtype.checked()).reshape(shape, order=order)


def _to_bytes(content: bytes | str, *_: Any) -> bytes:
    """Bytes, which pickles of Python 2 and of protocol 2 give as text."""
    if not isinstance(content, bytes | bytearray | str):
        raise pickle.UnpicklingError("an array's content is not bytes")
    return content.encode("latin1") if isinstance(content, str) else bytes(content)


def _check_memo(pickled: bytes) -> None:
    """Refuse numbers beyond all that a pickle of this size can memorise: Python would fill memory up to them."""
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and argument > len(pickled):
            raise pickle.UnpicklingError("it is damaged")


_NUMPY = {
    "dtype": _DataType,
    "ndarray": _reconstruct,
    "bool_": np.bool_,
    "_reconstruct": _reconstruct,
    "scalar": _scalar,
    "_frombuffer": _frombuffer,
}


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
            pickled = file.read()
        _check_memo(pickled)
        content = _SettingsUnpickler(io.BytesIO(pickled), encoding="latin1").load()
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
