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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.signal.masked import unmasked

#: Everything that settings of a pipeline consist of; a pickle that refers to anything else is refused.
_ALLOWED = {
    "builtins": {
        "complex", "bytes", "bytearray", "set", "frozenset", "slice", "range", "dict", "list", "tuple", "object",
    },
    "collections": {"OrderedDict", "defaultdict"},
    "datetime": {"datetime", "date", "time", "timedelta", "timezone"},
}  # fmt: skip

_PATH_CLASSES = {
    "PurePath", "PurePosixPath", "PureWindowsPath", "Path", "PosixPath", "WindowsPath",
}  # fmt: skip

#: Kinds of data type (`numpy.dtype.kind`) that are rebuilt.
_KINDS = "biufcSUO"


class _SettingsUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        module = "builtins" if module == "__builtin__" else module  # as Python 2 calls it
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


def _only_callable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Hide a function or class behind a function made for this one reference, since a pickle can set attributes."""
    return lambda *args: function(*args)


class _DataType:
    """A data type as a pickle describes it; `checked` makes the real one."""

    def __init__(self, text: str, *_: Any):
        self._text = text
        self._byte_order: Any = "="

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
        checked: Any = (1, shape, dtype, bool(fortran_order), content)
        super().__setstate__(checked)


def _reconstruct(*_: Any) -> np.ndarray:
    return np.ndarray.__new__(_Array, (0,), "b")


def _scalar(dtype: _DataType, content: bytes | str = b"") -> np.generic:
    checked = dtype.checked()
    return np.frombuffer(_to_bytes(content), checked, count=1)[0] if checked.itemsize else checked.type()


def _frombuffer(content: bytes, dtype: _DataType, shape: tuple, order: Any, *_: Any) -> np.ndarray:
    return np.frombuffer(content, dtype.checked()).reshape(shape, order=order)


def _to_bytes(content: bytes | str, *_: Any) -> bytes:
    """Bytes, which pickles of Python 2 and of protocol 2 give as text."""
    if not isinstance(content, bytes | bytearray | str):
        raise pickle.UnpicklingError("an array's content is not bytes")
    return content.encode("latin1") if isinstance(content, str) else bytes(content)


def _check_memo(pickled: bytes) -> None:
    """Refuse numbers beyond all that a pickle of this size can memorise: Python would fill memory up to them."""
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and argument is not None and argument > len(pickled):
            raise pickle.UnpicklingError("it is damaged")


_NUMPY: dict[str, Callable[..., Any]] = {
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
    content = _load(path, "settings")
    if isinstance(content, np.ndarray) and content.size == 1:
        content = content.item()
    if not isinstance(content, dict):
        raise InputError(f"{path} holds {type(content).__name__}, not settings")
    return content


def load_records(path: Path) -> list[dict[str, Any]]:
    """Read dictionaries saved as one array with ``numpy.save``.

    Parameters
    ----------
    path : Path
        A ``.npy`` file that holds a pickled array or list of dictionaries, as ``stat.npy`` does.

    Returns
    -------
    list of dict
        In order.

    Raises
    ------
    InputError
        If the file is damaged, holds anything but dictionaries, or asks for anything beyond plain data.
    """
    content = _load(path, "a list of records")
    if isinstance(content, np.ndarray) and content.ndim == 1:
        content = list(content)
    if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
        raise InputError(f"{path} does not hold a list of records")
    return content


def _load(path: Path, what: str) -> Any:
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            _, _, dtype = read_header[version](file)
            if not dtype.hasobject:
                raise InputError(f"{path} holds an array of {dtype}, not {what}")
            pickled = file.read()
        _check_memo(pickled)
        return _SettingsUnpickler(io.BytesIO(pickled), encoding="latin1").load()
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a damaged pickle can fail in any way
        raise InputError(f"{path} cannot be read as {what}: {error}") from None


class _Masked:
    """A masked array as a pickle describes it; `values` has NaN where it is masked."""

    values: Any = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran_order, content, mask, *_ = state
        data = _reconstruct()
        data.__setstate__((1, shape, dtype, fortran_order, content))
        masked = np.frombuffer(_to_bytes(mask), bool).reshape(data.shape, order="F" if fortran_order else "C")
        self.values = unmasked(np.ma.MaskedArray(data.view(np.ndarray), masked))


class _ArrayUnpickler(_SettingsUnpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.ma", "numpy.ma.core") and name in ("_mareconstruct", "MaskedArray"):
            return lambda *_: _Masked()
        return super().find_class(module, name)


def load_arrays(pickled: bytes) -> np.ndarray | dict[str, np.ndarray]:
    """Read pickled arrays, with NaN where masked arrays are masked.

    Parameters
    ----------
    pickled : bytes
        A pickle, as of ``MaskedArray.dump``, or what follows the header of a ``.npy`` file of Python objects.

    Returns
    -------
    array or dict of str to array
        An array of numbers; rows of numbers of one length as a matrix; or a dictionary of such arrays.

    Raises
    ------
    ValueError
        If it holds, or asks for, anything else.
    """
    try:
        _check_memo(pickled)
        content = _ArrayUnpickler(io.BytesIO(pickled), encoding="latin1").load()
        if isinstance(content, np.ndarray) and content.dtype.hasobject and content.size == 1:
            content = content.item()
        if isinstance(content, dict):
            return {str(name): _as_array(value) for name, value in content.items()}
        return _as_array(content)
    except Exception as error:  # a damaged pickle can fail in any way
        raise ValueError(" ".join(str(error).split())) from None


def _as_array(value: Any) -> np.ndarray:
    if isinstance(value, list | tuple | np.ndarray) and not (isinstance(value, np.ndarray) and value.dtype != object):
        value = np.stack([_as_array(row) for row in value])
    values = np.asarray(value.values if isinstance(value, _Masked) else value).view(np.ndarray)
    if values.dtype.hasobject:
        raise ValueError("it holds other objects than arrays")
    return values


class Placeholder:
    """Stands for an object of a class that is not rebuilt: it keeps what the pickle says of it, and can do nothing."""

    state: Any = None

    def __new__(cls, *_: Any) -> Placeholder:
        return object.__new__(cls)

    def __init__(self, *_: Any):
        pass

    def __call__(self, *_: Any) -> Placeholder:
        return self

    def __setstate__(self, state: Any) -> None:
        self.__dict__["state"] = state

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        """Ignore items of classes that extend a list."""


class _TolerantUnpickler(_SettingsUnpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except pickle.UnpicklingError:
            return type("Placeholder", (Placeholder,), {})


def load_pickle(path: Path) -> Any:
    """Read a pickle, rebuilding plain data and arrays alone.

    Parameters
    ----------
    path : Path
        A file written with ``pickle.dump``, by Python 2 or 3.

    Returns
    -------
    object
        Its content; in the place of every object of another class is a `Placeholder`.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    try:
        pickled = path.read_bytes()
        _check_memo(pickled)
        return _TolerantUnpickler(io.BytesIO(pickled), encoding="latin1").load()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a damaged pickle can fail in any way
        raise InputError(f"{path} cannot be read as a pickle: {error}") from None
