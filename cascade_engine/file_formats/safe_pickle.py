"""Reading pickled settings without running anything that a pickle may ask for.

Only plain data is rebuilt. What numpy would rebuild from a pickle is rebuilt here with checks: numpy itself trusts it,
and a crafted data type can make it take bytes for pointers.
"""

from __future__ import annotations

import datetime
import math
import pathlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.file_formats.pickle_reader import (
    Buildable,
    Container,
    PickleError,
    PickleReader,
    Reference,
    count_tuple_keys,
)
from cascade_engine.signal.masked import unmasked

#: Data types that are rebuilt: numbers, text and Python objects.
_DATA_TYPE = re.compile(r"[<>=|]?[biufcSUO]\d{0,9}")

#: A longer range is refused: whoever asks for its values would get them all.
_LONGEST_RANGE = 1_000_000


class _DataType(Buildable):
    """A data type as a pickle describes it."""

    def __init__(self, text: Any, *_: Any):
        if not isinstance(text, str) or not _DATA_TYPE.fullmatch(text):
            raise PickleError(f"it holds an array of {str(text)[:40]}, which settings have no use for")
        self.dtype = np.dtype(text)

    def build(self, state: Any) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray, Buildable):
    """An array whose content is checked before numpy takes it."""

    is_complete = False

    def build(self, state: Any) -> None:
        _, shape, dtype, fortran_order, content = state
        dtype, shape = dtype.dtype, tuple(int(length) for length in shape)
        if dtype.hasobject != isinstance(content, list):
            raise PickleError("an array's content is not of its type")
        content = content if dtype.hasobject else _to_bytes(content)
        # an item of no bytes would let an array be of any size
        n_bytes = len(content) if dtype.hasobject else len(content) // max(1, dtype.itemsize)
        if self.is_complete or min(shape, default=0) < 0 or math.prod(shape) != n_bytes:
            raise PickleError("an array's content is not of its size")
        if dtype.hasobject and any(isinstance(item, _Array) and not item.is_complete for item in content):
            raise PickleError("an array holds another that is not complete")  # or one could nest them endlessly
        checked: Any = (1, shape, dtype, bool(fortran_order), content)
        super().__setstate__(checked)
        self.is_complete = True


def _reconstruct(*_: Any) -> _Array:
    return np.ndarray.__new__(_Array, (0,), "b")


def _scalar(dtype: _DataType, content: bytes | str = b"") -> np.generic:
    checked = dtype.dtype
    if checked.hasobject:
        raise PickleError("a number's content is not of its type")
    return np.frombuffer(_to_bytes(content), checked, count=1)[0] if checked.itemsize else checked.type()


def _frombuffer(content: bytes, dtype: _DataType, shape: tuple, order: Any, *_: Any) -> np.ndarray:
    return np.frombuffer(_to_bytes(content), dtype.dtype).reshape(shape, order=order)


def _to_bytes(content: Any = b"", *_: Any) -> bytes:
    """Bytes, which pickles of Python 2 and of protocol 2 give as text."""
    if not isinstance(content, bytes | bytearray | str):
        raise PickleError("an array's content is not bytes")
    return content.encode("latin1") if isinstance(content, str) else bytes(content)


def _items(items: Any = ()) -> list[Any] | tuple[Any, ...]:
    """What a collection is made of."""
    if not isinstance(items, list | tuple):
        raise PickleError(f"it makes a collection of {type(items).__name__}")
    return items


def _dict(items: Any = ()) -> dict[Any, Any]:
    if isinstance(items, dict):
        return dict(items)
    if isinstance(items, Reference):  # what a dictionary with a default makes
        return {}
    pairs = [(key, value) for key, value in _items(items)]
    count_tuple_keys([key for key, _ in pairs])
    return dict(pairs)


def _set(items: Any = ()) -> frozenset[Any] | set[Any]:
    count_tuple_keys(_items(items))
    return set(items)


def _range(*limits: int) -> range:
    made = range(*limits)
    if len(made) > _LONGEST_RANGE:
        raise PickleError(f"it has a range of {len(made)} numbers")
    return made


def _slice(*limits: Any) -> slice:
    if not all(limit is None or isinstance(limit, int) for limit in limits):
        raise PickleError("it has a slice of no numbers")
    return slice(*limits)


def _timezone(offset: datetime.timedelta, *name: str) -> datetime.timezone:
    return datetime.timezone(offset, *name)


#: Everything that settings of a pipeline consist of, and how it is made; a pickle that refers to anything else is
#: refused.
_PLAIN: dict[str, dict[str, Callable[..., Any]]] = {
    "builtins": {
        "complex": complex,
        "bytes": _to_bytes,
        "bytearray": lambda *content: bytearray(_to_bytes(*content)),
        "set": _set,
        "frozenset": lambda *items: frozenset(_set(*items)),
        "slice": _slice,
        "range": _range,
        "dict": _dict,
        "list": lambda *items: list(_items(*items)),
        "tuple": lambda *items: tuple(_items(*items)),
    },
    "collections": {"OrderedDict": _dict, "defaultdict": _dict},
    "datetime": {
        "datetime": datetime.datetime,
        "date": datetime.date,
        "time": datetime.time,
        "timedelta": datetime.timedelta,
        "timezone": _timezone,
    },
    "_codecs": {"encode": _to_bytes},
    "pathlib": {
        **dict.fromkeys(("PurePath", "PurePosixPath", "Path", "PosixPath"), pathlib.PurePosixPath),
        # a path of another operating system cannot be made here; a pure one can
        **dict.fromkeys(("PureWindowsPath", "WindowsPath"), pathlib.PureWindowsPath),
    },
    "numpy": {
        "dtype": _DataType,
        "ndarray": _reconstruct,
        "bool_": np.bool_,
        "_reconstruct": _reconstruct,
        "scalar": _scalar,
        "_frombuffer": _frombuffer,
    },
}

#: Other names of these modules: of Python 2, of Python 3.13, of numpy before and since version 2.
_SAME_MODULE = {
    "__builtin__": "builtins",
    "pathlib._local": "pathlib",
    **{f"numpy.{core}.{name}": "numpy" for core in ("core", "_core") for name in ("multiarray", "numeric")},
}


def _find(module: str, name: str) -> Reference:
    make = _PLAIN.get(_SAME_MODULE.get(module, module), {}).get(name)
    if make is None:
        raise PickleError(f"it refers to {module[:80]}.{name[:80]}, which settings have no use for")
    return Reference(make)


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
        what = f"an array of shape {content.shape}" if isinstance(content, np.ndarray) else type(content).__name__
        raise InputError(f"{path} holds {what}, not settings")
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
        return PickleReader(pickled, _find).load()
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a damaged pickle can fail in any way
        raise InputError(f"{path} cannot be read as {what}: {error}") from None


class _Masked(Buildable):
    """A masked array as a pickle describes it; `values` has NaN where it is masked."""

    values: Any = None

    def __init__(self, *_: Any):
        pass

    def build(self, state: Any) -> None:
        _, shape, dtype, fortran_order, content, mask, *_ = state
        data = _reconstruct()
        data.build((1, shape, dtype, fortran_order, content))
        masked = np.frombuffer(_to_bytes(mask), bool).reshape(data.shape, order="F" if fortran_order else "C")
        self.values = unmasked(np.ma.MaskedArray(data.view(np.ndarray), masked))


def _find_array(module: str, name: str) -> Reference:
    if module in ("numpy.ma", "numpy.ma.core") and name in ("_mareconstruct", "MaskedArray"):
        return Reference(_Masked)
    return _find(module, name)


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
        content = PickleReader(pickled, _find_array).load()
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


class Placeholder(Container, Reference):
    """Stands for an object of a class that is not rebuilt: it keeps what the pickle says of it, and can do nothing."""

    state: Any = None

    def __init__(self, *_: Any):
        super().__init__(lambda *_: self)  # what it would give when it is called

    def build(self, state: Any) -> None:
        """Keep the state."""
        self.state = state

    def add(self, items: Iterable[Any]) -> None:
        """Ignore items of classes that extend a list or dictionary."""


def _find_or_stand_in(module: str, name: str) -> Reference:
    try:
        return _find(module, name)
    except PickleError:
        return Reference(Placeholder)


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
        return PickleReader(path.read_bytes(), _find_or_stand_in).load()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a damaged pickle can fail in any way
        raise InputError(f"{path} cannot be read as a pickle: {error}") from None
