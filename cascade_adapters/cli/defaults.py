"""``cascade.yaml`` on the command line: a lab's defaults are read, said, and given way to what is typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from cascade_adapters.cli.choices import given

if TYPE_CHECKING:
    from cascade_adapters.running.lab_defaults import LabDefaults


def defaults_option(command: Callable) -> Callable:
    """The option ``--no-defaults``, as the parameter ``no_defaults``."""
    return click.option(
        "--no-defaults", is_flag=True, help="Do not use the cascade.yaml beside the data, or in a folder above."
    )(command)


def with_defaults(
    paths: Sequence[Any], choices: Mapping[str, Any], no_defaults: bool
) -> tuple[dict[str, Any], LabDefaults]:
    """The choices that were made, completed by those of a ``cascade.yaml``, which are said in one line.

    Parameters
    ----------
    paths : sequence of path or str
        What the command was given.
    choices : mapping
        The command's choices by their flat names; None where nothing was given. The file's others do not concern it.
    no_defaults : bool
        Whether the user wants none.

    Returns
    -------
    chosen : dict
        Choices by their flat names.
    defaults : LabDefaults
        Those of the file that are in use.
    """
    from cascade_adapters.running.lab_defaults import LabDefaults, defaults_of

    chosen = given(choices)
    if no_defaults:
        return chosen, LabDefaults()
    found = defaults_of(paths)
    used = {flat: value for flat, value in found.values.items() if flat in choices and flat not in chosen}
    if used:
        listed = ", ".join(f"{flat} {value}" for flat, value in used.items())
        click.echo(f"defaults of {found.file}: {listed} (--no-defaults leaves them out)", err=True)
    return {**used, **chosen}, LabDefaults(found.file, used)
