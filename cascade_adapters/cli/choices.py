"""Command-line options made from the choices that are declared in `cascade_adapters.running.options`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from cascade_adapters.cli.help import ChoiceOption
from cascade_adapters.cli.names import Choice, IndicatorName, ModelName
from cascade_adapters.running.options import HEADINGS, choices_by_group
from cascade_engine.declared import Declared

#: Values that a shell completes.
_NAMES = {"model": ModelName, "indicator": IndicatorName}

#: What the command line alone has to say about an option.
_MORE = {"noise_level": " One for each ROI: numbers with commas, or a .npy or .txt file."}


class PathOrAddress(click.Path):
    """A path, as `pathlib.Path`; an address such as ``https://...`` stays text."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert an argument."""
        return value if isinstance(value, str) and "://" in value else super().convert(value, param, ctx)


def choices_of(*groups: str, leave_out: tuple[str, ...] = ()) -> Callable[[Callable], Callable]:
    """Add the options of some groups of choices to a command; those that are not given are None.

    Parameters
    ----------
    *groups : str
        Groups, as in `cascade_adapters.running.options.choices_by_group`.
    leave_out : tuple of str
        Flat names of choices that make no sense for the command.

    Returns
    -------
    callable
        A decorator.
    """

    def add(command: Callable) -> Callable:
        found = [
            _option(flat, choice, HEADINGS[group])
            for group, choices in choices_by_group(*groups).items()
            for flat, choice in choices.items()
            if flat not in leave_out
        ]
        for option in reversed(found):
            command = option(command)
        return command

    return add


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The choices that were made, without those that were left open."""
    return {name: value for name, value in values.items() if value is not None}


def _option(flat: str, choice: Declared, heading: str) -> Callable[[Callable], Callable]:
    text = choice.help + _MORE.get(flat, "")
    how: dict[str, Any]
    names = list(choice.options)
    if choice.type is bool:
        how = {"is_flag": True}
        names[0] += f"/--no-{names[0].removeprefix('--')}"  # where a cascade.yaml says yes
    elif choice.choices is not None:
        by_text = {_text(value): value for value in choice.choices}

        def convert(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Any:
            return None if value is None else by_text[value]

        how = {"type": Choice(list(by_text)), "callback": convert}
    else:
        how = {
            "type": _NAMES[flat]() if flat in _NAMES else str if flat in _MORE else choice.type,
            "metavar": choice.metavar or choice.type.__name__.upper(),
        }
    if choice.type is not bool and choice.default is not None and "[default" not in text:
        text = f"{text} [default: {_text(choice.default)}]"
    return click.option(*names, flat, cls=ChoiceOption, heading=heading, default=None, help=text, **how)


def _text(value: Any) -> str:
    """A value as it is written on the command line."""
    if value is False:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
