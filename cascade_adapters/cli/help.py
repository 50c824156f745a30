"""How commands say what they do: options under headings, examples, and 'did you mean' for what does not exist."""

from __future__ import annotations

from typing import Any

import click

from cascade_adapters.cli.common import COMMON
from cascade_adapters.cli.examples import EXAMPLES
from cascade_adapters.cli.names import did_you_mean

#: Above the options that all commands have, which come last.
_OTHER = "Other options"


class ChoiceOption(click.Option):
    """An option that belongs under a heading of its own."""

    def __init__(self, *names: Any, heading: str, **how: Any):
        super().__init__(*names, **how)
        self.heading = heading


class _WithExamples(click.Command):
    """A command whose help ends with its `EXAMPLES`."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, with the notes on them in one column."""
        examples = EXAMPLES.get(ctx.command_path.partition(" ")[2], ())
        if examples:
            width = max(len(line) for line, note in examples if note)
            with formatter.section("Examples"):
                for line, note in examples:
                    formatter.write(f"  {f'{line:{width}}  # {note}' if note else line}\n")
        super().format_epilog(ctx, formatter)


class Command(_WithExamples):
    """A command whose help lists its options under the headings of their groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options."""
        options = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        headings = [_heading(option) for option in options]
        for heading in (*sorted(set(headings) - {_OTHER}, key=headings.index), _OTHER):
            lines = [option.get_help_record(ctx) for option in options if _heading(option) == heading]
            with formatter.section(heading):
                formatter.write_dl([line for line in lines if line is not None])


class Group(_WithExamples, click.Group):
    """A group of commands that names the nearest one where another is given."""

    command_class = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            hint = did_you_mean(str(args[0]), self.list_commands(ctx)) if args else ""
            if not hint:
                raise
            raise click.UsageError(f"there is no command {args[0]!r}: {hint}", ctx=ctx) from None


def _heading(option: click.Option) -> str:
    if isinstance(option, ChoiceOption):
        return option.heading
    return _OTHER if option.name in COMMON or "--help" in option.opts else "Options"
