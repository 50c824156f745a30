"""Fields of frozen dataclasses that carry all that is to be said about them: help, unit, choices.

A choice that a user has is declared once, as such a field. Command-line options, the keywords of functions, their
documentation and the stored record are made from it.
"""

from __future__ import annotations

import math
import types
import typing
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Any

from cascade_engine.errors import InputError

_KEY = "declared"


@dataclass(frozen=True)
class Declared:
    """What a field declares.

    Attributes
    ----------
    name : str
        Name of the field.
    default : object
        Its default.
    help : str
        What it is for, in a sentence or less, as ``--help`` shows it.
    unit : str or None
        Unit of its values (``"s"``, ``"Hz"``).
    choices : tuple or None
        All values that it can have besides None.
    metavar : str or None
        What stands for its value on the command line.
    options : tuple of str
        Names of its command-line option; by default made from `name`.
    limits : tuple of float or None
        Lowest and highest number that it can be.
    hint : str
        What to say of a number beyond these limits, such as how it is written in its unit.
    type : type
        Type of its values: bool, int, float or str.
    """

    name: str
    default: Any
    help: str
    unit: str | None
    choices: tuple[Any, ...] | None
    metavar: str | None
    options: tuple[str, ...]
    limits: tuple[float, float] | None
    hint: str
    type: type


def declared(
    default: Any,
    *,
    help: str,
    unit: str | None = None,
    choices: tuple[Any, ...] | None = None,
    metavar: str | None = None,
    options: tuple[str, ...] = (),
    limits: tuple[float, float] | None = None,
    hint: str = "",
) -> Any:
    """A field of a dataclass with what is to be said about it; the parameters are those of `Declared`."""
    facts = {"help": help, "unit": unit, "choices": choices, "metavar": metavar, "options": options}
    return field(default=default, metadata={_KEY: facts | {"limits": limits, "hint": hint}})


def checked_number(
    name: str, value: Any, limits: tuple[float, float], unit: str | None = None, hint: str = ""
) -> float:
    """A number, if it lies within limits.

    Parameters
    ----------
    name : str
        What it is called in the message.
    value : object
        What was given.
    limits : tuple of float
        Lowest and highest number that it can be.
    unit : str, optional
        Its unit.
    hint : str
        How it is written in this unit, or what else to do.

    Raises
    ------
    InputError
        If it is no number, or lies beyond the limits: in one line, with the unit.

    Examples
    --------
    >>> checked_number("smoothing", 0.05, (0, 20), "s")
    0.05
    """
    with_unit = f" {unit}" if unit else ""
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not limits[0] <= number <= limits[1]:
        more = f" ({hint})" if hint else ""
        raise InputError(
            f"{name} must be a number from {limits[0]:g} to {limits[1]:g}{with_unit}{more}, but it is {value!r}"
        )
    return number


def check_limits(holder: Any) -> None:
    """Raise `InputError` if a number that a dataclass holds lies beyond the limits that its field declares."""
    for each in declared_fields(holder.__class__):
        value = getattr(holder, each.name)
        if each.limits is not None and value is not None:
            name = each.options[0].removeprefix("--").replace("-", "_")
            checked_number(name, value, each.limits, each.unit, each.hint)


@cache
def declared_fields(cls: type) -> list[Declared]:
    """What the fields of a dataclass declare, in order; fields that declare nothing are left out.

    Parameters
    ----------
    cls : type
        A dataclass.

    Returns
    -------
    list of Declared
        One entry per declared field.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Tea:
    ...     steeping_s: float | None = declared(None, help="How long to steep.", unit="s")
    >>> declared_fields(Tea)[0].options
    ('--steeping-s',)
    """
    hints = typing.get_type_hints(cls)
    found = []
    for item in fields(cls):
        if _KEY not in item.metadata:
            continue
        facts = dict(item.metadata[_KEY])
        assert item.default is not MISSING
        facts["options"] = facts["options"] or (f"--{item.name.replace('_', '-')}",)
        found.append(Declared(name=item.name, default=item.default, type=_value_type(hints[item.name]), **facts))
    return found


def _value_type(hint: Any) -> type:
    """The plain type among the alternatives of an annotation, None and arrays left aside."""
    alternatives = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    plain = [kind for kind in alternatives if kind in (bool, int, float, str)]
    # a number that can also be False has the type of the number
    return next((kind for kind in plain if kind is not bool), plain[0] if plain else str)
