"""Options that commands have in common: ``--log``, and ``--wait`` where files are changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cascade_engine.declared import checked_number
from cascade_engine.errors import InputError


class Number(click.ParamType):
    """A number within limits; the parameters are those of `cascade_engine.declared.checked_number`."""

    name = "number"

    def __init__(self, limits: tuple[float, float], unit: str | None = None, hint: str = ""):
        self._how = limits, unit, hint

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Convert an argument."""
        number: float = click.FLOAT.convert(value, param, ctx)
        try:
            return checked_number("it", number, *self._how)
        except InputError as error:
            self.fail(str(error), param, ctx)


#: Names of these options.
COMMON = ("wait", "log")

#: A day.
_LONGEST_WAIT_S = 86_400


def add_common_options(command: click.Command, waits: bool) -> None:
    """Add ``--log`` to a command or to all commands of a group, and ``--wait`` if it `waits` for other runs."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            add_common_options(each, waits)
        return
    present = {parameter.name for parameter in command.params}
    for option in [_wait(), _log()] if waits else [_log()]:
        if option.name not in present:
            command.params.append(option)


def _log() -> click.Option:
    return click.Option(
        ["--log"],
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        expose_value=False,
        is_eager=True,
        callback=_set_log,
        help="Append the details of unforeseen failures to FILE.",
    )


def _set_log(ctx: click.Context, parameter: click.Parameter, path: Path | None) -> None:
    from cascade_adapters.running.failures import log_to

    log_to(path)


def _wait() -> click.Option:
    return click.Option(
        ["--wait"],
        type=Number((0, _LONGEST_WAIT_S), "s"),
        metavar="S",
        expose_value=False,
        callback=_set_wait,
        help="Wait up to S seconds for other runs that change the same files [default: 60].",
    )


def _set_wait(ctx: click.Context, parameter: click.Parameter, wait_s: float | None) -> None:
    from cascade_adapters.safe_writing.lock import DEFAULT_WAIT_S, waiting

    seconds = DEFAULT_WAIT_S if wait_s is None else wait_s
    ctx.with_resource(waiting(seconds, lambda message: click.echo(f"cascade: {message}", err=True)))
