"""Reading pickles as data: their instructions are followed here, one by one, and call nothing that is not ours.

Python's own reader is not used for files of others. What a pickle may refer to can be limited there, but not how deeply
it nests, what it takes for keys, or how much it builds: a tuple in a tuple in a tuple ..., used as a key, ends the
process, and a few bytes can ask for gigabytes.
"""

from __future__ import annotations

import codecs
import datetime
import io
import pathlib
import pickletools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from cascade_engine.file_formats.nesting import check_nesting

#: Memory (bytes) that any pickle may ask for, and for each of its bytes in addition.
_FREE_BYTES, _BYTES_PER_BYTE = 1 << 28, 8

#: Integers have no more bits: each is then a floating-point number too, and can be printed.
_MOST_BITS = 1000

#: About what a value takes in memory, besides its content, and what a reference to it takes (bytes).
_VALUE_BYTES, _REFERENCE_BYTES = 64, 16

#: What keys of dictionaries and elements of sets may be, besides short tuples of them. All of these find their places
#: without looking into other values, and it takes random numbers to make many of them fall on one place.
_PLAIN = (str, bytes, int, float, type(None), np.generic, pathlib.PurePath, datetime.date, datetime.timedelta)

#: Tuples that are keys: how long, and how many in one pickle, since they can be made to fall on one place.
_LONGEST_KEY, _MOST_TUPLE_KEYS = 16, 10_000


class PickleError(ValueError):
    """A pickle is damaged, or asks for what is not read: why."""


class Buildable:
    """A value that a pickle describes further after it has made it."""

    def build(self, state: Any) -> None:
        """Take in what the pickle says of the value."""
        raise NotImplementedError


class Container(Buildable):
    """A value of a class that extends a list or dictionary, to which a pickle adds items."""

    def add(self, items: Iterable[Any]) -> None:
        """Take in items; those of a dictionary are pairs."""
        raise NotImplementedError


class Reference:
    """What stands in a pickle for a class or function: only the reader calls it.

    Parameters
    ----------
    make : callable
        Takes the arguments that the pickle has; checks them, and must not do anything but make a value. Everything that
        it makes must be of a size that its arguments have.
    """

    def __init__(self, make: Callable[..., Any]):
        self.make = make


class PickleReader:
    """Reads one pickle.

    Parameters
    ----------
    pickled : bytes
        The pickle.
    find : callable
        Gives the `Reference` for a module and a name in it, or raises `PickleError`.
    find_persistent : callable, optional
        Gives the value for an identifier that says where the value lies outside the pickle.

    Examples
    --------
    >>> import pickle
    >>> def find(module, name):
    ...     raise PickleError(f"it refers to {module}.{name}")
    >>> PickleReader(pickle.dumps({"fs": [30.0, 15.0]}), find).load()
    {'fs': [30.0, 15.0]}
    >>> PickleReader(pickle.dumps(print), find).load()
    Traceback (most recent call last):
    ...
    cascade_engine.file_formats.pickle_reader.PickleError: it refers to builtins.print
    """

    def __init__(
        self,
        pickled: bytes,
        find: Callable[[str, str], Reference],
        find_persistent: Callable[[Any], Any] | None = None,
    ):
        self._pickled, self._find, self._find_persistent = pickled, find, find_persistent
        self._bytes_left = _FREE_BYTES + _BYTES_PER_BYTE * len(pickled)
        self._tuple_keys_left = _MOST_TUPLE_KEYS
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """The value that the pickle describes.

        Raises
        ------
        PickleError
            If it is damaged, refers to what is not known, or asks for more memory or depth than data of its size need.
        """
        try:
            value = self._follow()
            check_nesting(value, len(self._pickled), _inside)
            return value
        except PickleError:
            raise
        except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, AssertionError) as error:
            raise PickleError(f"it is damaged ({' '.join(str(error).split())[:200]})") from None

    def _follow(self) -> Any:
        source = io.BytesIO(self._pickled)
        read, known = source.read, _OPCODES
        while code := read(1):
            if code == b".":
                return self._stack.pop()
            follow, read_argument = known[code]
            if read_argument is None:
                follow(self)
            else:
                follow(self, read_argument(source))
        raise PickleError("it is cut off")

    # ---- values without others in them

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _push_sized(self, value: str | bytes | bytearray) -> None:
        self._spend(_VALUE_BYTES + 4 * len(value) if isinstance(value, str) else _VALUE_BYTES + len(value))
        self._stack.append(value)

    def _push_integer(self, value: int) -> None:
        if value.bit_length() > _MOST_BITS:
            raise PickleError(f"it has an integer of {value.bit_length()} bits")
        self._stack.append(value)

    def _spend(self, n_bytes: int) -> None:
        self._bytes_left -= n_bytes
        if self._bytes_left < 0:
            raise PickleError(f"it asks for far more memory than its {len(self._pickled)} bytes have use for")

    # ---- the stack

    def _mark(self) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marked.pop()
        return items

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._since_mark()

    def _duplicate(self) -> None:
        self._stack.append(self._stack[-1])

    def _memorize(self, number: int) -> None:
        if not 0 <= number <= len(self._pickled):
            raise PickleError("it is damaged (it counts more values than it has bytes)")
        self._spend(_REFERENCE_BYTES)
        self._memo[number] = self._stack[-1]

    def _memorize_next(self) -> None:
        self._memorize(len(self._memo))

    def _recall(self, number: int) -> None:
        self._stack.append(self._memo[number])

    # ---- values with others in them

    def _push_new(self, value: Any, n_items: int = 0) -> None:
        self._spend(_VALUE_BYTES + _REFERENCE_BYTES * n_items)
        self._stack.append(value)

    def _tuple(self, length: int) -> None:
        if length > len(self._stack):
            raise PickleError("it is damaged (a tuple of nothing)")
        first = len(self._stack) - length
        items = tuple(self._stack[first:])
        del self._stack[first:]
        self._push_new(items, length)

    def _marked_tuple(self) -> None:
        items = self._since_mark()
        self._push_new(tuple(items), len(items))

    def _marked_list(self) -> None:
        items = self._since_mark()
        self._push_new(items, len(items))

    def _marked_dict(self) -> None:
        items = self._since_mark()
        self._push_new({})
        self._set(items)

    def _marked_frozenset(self) -> None:
        items = self._since_mark()
        self._push_new(frozenset(self._checked_keys(items)))

    def _append(self) -> None:
        self._extend([self._stack.pop()])

    def _extend_marked(self) -> None:
        self._extend(self._since_mark())

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Container):
            target.add(items)
        elif type(target) is list:
            self._spend(_REFERENCE_BYTES * len(items))
            target.extend(items)
        else:
            raise PickleError(f"it is damaged (it adds items to {type(target).__name__})")

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def _set_marked(self) -> None:
        self._set(self._since_mark())

    def _set(self, items: list[Any]) -> None:
        target, keys = self._stack[-1], self._checked_keys(items[::2])
        pairs = zip(keys, items[1::2], strict=True)
        if isinstance(target, Container):
            target.add(pairs)
        elif isinstance(target, dict):
            target.update(pairs)
        else:
            raise PickleError(f"it is damaged (it sets items of {type(target).__name__})")

    def _add_marked(self) -> None:
        items, target = self._checked_keys(self._since_mark()), self._stack[-1]
        if type(target) is not set:
            raise PickleError(f"it is damaged (it adds items to {type(target).__name__})")
        target.update(items)

    def _checked_keys(self, keys: list[Any]) -> list[Any]:
        self._spend(8 * _REFERENCE_BYTES * len(keys))
        self._tuple_keys_left -= count_tuple_keys(keys)
        if self._tuple_keys_left < 0:
            raise PickleError(f"it has more than {_MOST_TUPLE_KEYS} tuples as keys")
        return keys

    # ---- values of other classes

    def _refer(self, names: str) -> None:
        module, name = names.split(" ", 1)
        self._stack.append(self._find(module, name))

    def _refer_to_stack(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise PickleError("it is damaged (it refers to what has no name)")
        self._stack.append(self._find(module, name))

    def _call(self) -> None:
        arguments = self._stack.pop()
        self._call_with(self._stack.pop(), arguments)

    def _call_with_names(self) -> None:
        if self._stack.pop():
            raise PickleError("it calls a class with named arguments")
        self._call()

    def _call_class(self, names: str) -> None:
        arguments = tuple(self._since_mark())
        module, name = names.split(" ", 1)
        self._call_with(self._find(module, name), arguments)

    def _call_marked(self) -> None:
        reference, *arguments = self._since_mark()
        self._call_with(reference, tuple(arguments))

    def _call_with(self, reference: Any, arguments: Any) -> None:
        if not isinstance(reference, Reference) or not isinstance(arguments, tuple):
            raise PickleError("it is damaged (it calls what cannot be called)")
        self._spend(_VALUE_BYTES + sum(map(_size, arguments)))
        self._stack.append(reference.make(*arguments))

    def _build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, dict):  # of ordered dictionaries: attributes, which are not kept
            return
        if not isinstance(target, Buildable):
            raise PickleError(f"it sets attributes of {type(target).__name__}")
        self._spend(sum(map(_size, state)) if isinstance(state, tuple) else _size(state))
        target.build(state)

    def _find_outside(self) -> None:
        if self._find_persistent is None:
            raise PickleError("it refers to values outside")
        self._stack.append(self._find_persistent(self._stack.pop()))

    def _nothing(self, *_: Any) -> None:
        pass


def count_tuple_keys(keys: Sequence[Any]) -> int:
    """How many of the keys of a dictionary are tuples; raises `PickleError` if some cannot be keys."""
    n_tuples = 0
    for key in keys:
        if isinstance(key, tuple) and len(key) <= _LONGEST_KEY and all(isinstance(part, _PLAIN) for part in key):
            n_tuples += 1
        elif not isinstance(key, (*_PLAIN, Reference, Buildable)):
            raise PickleError(
                f"it has {'a long or nested tuple' if isinstance(key, tuple) else type(key).__name__} as a key"
            )
    if n_tuples > _MOST_TUPLE_KEYS:
        raise PickleError(f"it has {n_tuples} tuples as keys")
    return n_tuples


def _size(value: Any) -> int:
    """What a copy of a value may take (bytes)."""
    if isinstance(value, str | bytes | bytearray):
        return 4 * len(value) if isinstance(value, str) else 2 * len(value)
    return _VALUE_BYTES * (1 + len(value)) if isinstance(value, list | tuple | dict | set | frozenset) else _VALUE_BYTES


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, np.ndarray):
        return value.ravel().tolist() if value.dtype.hasobject else ()
    return vars(value).values() if isinstance(value, Buildable) else ()


def _read_text(source: io.BytesIO) -> str:
    """Text of Python 2 in quotes, which may be bytes."""
    quoted = pickletools.read_stringnl(source, decode=False, stripquotes=True)
    return codecs.escape_decode(quoted)[0].decode("latin-1")


#: What each opcode does, and how what follows it is read.
_Opcodes = dict[bytes, tuple[Callable[..., Any], Callable[[io.BytesIO], Any] | None]]


def _opcodes() -> _Opcodes:
    reader = PickleReader
    does: dict[Callable[..., Any], str] = {
        reader._push_integer: "INT BININT BININT1 BININT2 LONG LONG1 LONG4",
        reader._push_sized: "STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE "
        "SHORT_BINUNICODE BINUNICODE BINUNICODE8",
        reader._push: "FLOAT BINFLOAT",
        (lambda self: self._stack.append(None)): "NONE",
        (lambda self: self._stack.append(True)): "NEWTRUE",
        (lambda self: self._stack.append(False)): "NEWFALSE",
        (lambda self: self._push_new([])): "EMPTY_LIST",
        (lambda self: self._push_new({})): "EMPTY_DICT",
        (lambda self: self._push_new(set(), 10)): "EMPTY_SET",
        (lambda self: self._tuple(0)): "EMPTY_TUPLE",
        (lambda self: self._tuple(1)): "TUPLE1",
        (lambda self: self._tuple(2)): "TUPLE2",
        (lambda self: self._tuple(3)): "TUPLE3",
        reader._marked_tuple: "TUPLE",
        reader._marked_list: "LIST",
        reader._marked_dict: "DICT",
        reader._marked_frozenset: "FROZENSET",
        reader._append: "APPEND",
        reader._extend_marked: "APPENDS",
        reader._set_item: "SETITEM",
        reader._set_marked: "SETITEMS",
        reader._add_marked: "ADDITEMS",
        reader._pop: "POP",
        reader._duplicate: "DUP",
        reader._mark: "MARK",
        reader._since_mark: "POP_MARK",
        reader._recall: "GET BINGET LONG_BINGET",
        reader._memorize: "PUT BINPUT LONG_BINPUT",
        reader._memorize_next: "MEMOIZE",
        reader._refer: "GLOBAL",
        reader._refer_to_stack: "STACK_GLOBAL",
        reader._call: "REDUCE NEWOBJ",
        reader._call_with_names: "NEWOBJ_EX",
        reader._call_class: "INST",
        reader._call_marked: "OBJ",
        reader._build: "BUILD",
        reader._find_outside: "BINPERSID",
        reader._nothing: "PROTO FRAME",
    }
    named = {opcode.name: opcode for opcode in pickletools.opcodes}
    found: _Opcodes = {}
    for follow, names in does.items():
        for name in names.split():
            opcode = named[name]
            read_argument = None if opcode.arg is None else opcode.arg.reader
            found[opcode.code.encode("latin-1")] = (follow, _read_text if name == "STRING" else read_argument)
    return found


_OPCODES = _opcodes()
