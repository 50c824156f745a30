"""All commands of ``cascade``, each imported when it runs."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import click

from cascade_adapters.cli.common import add_common_options
from cascade_adapters.cli.help import Group
from cascade_adapters.safe_writing.interruption import command_begins
from cascade_engine._version import __version__


class _Entry(NamedTuple):
    """A command: its module, its help in one line, and whether it changes files that other runs may change too."""

    module: str
    help: str
    waits: bool = False


_COMMANDS = {
    "demo": _Entry("demo", "Try it on an example recording."),
    "inspect": _Entry("inspect", "Show what a path holds and what 'run' would do with it."),
    "run": _Entry("run", "Infer spikes in every recording at or below the given paths.", waits=True),
    "spikes": _Entry("spikes", "Turn the results of 'run' into discrete spikes.", waits=True),
    "report": _Entry("report", "Write a page to look at for the results of 'run'.", waits=True),
    "restore": _Entry("restore", "Remove everything that 'run' has written, exactly.", waits=True),
    "convert": _Entry(
        "convert", "Write a recording to a file of another kind: NWB, suite2p, .npz, .mat, CSV.", waits=True
    ),
    "models": _Entry("models", "List, show, import and verify models."),
    "train": _Entry("train", "Train a model on ground truth."),
    "benchmark": _Entry("benchmark", "Measure how well a model predicts neurons that it has not seen."),
    "ground-truth": _Entry("ground_truth", "List, explore, download, check and simulate ground truth."),
}


class _LazyGroup(Group):
    """A group that imports a command's module only when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        entry = _COMMANDS[name]
        command = import_module(f"cascade_adapters.cli.{entry.module}").command
        add_common_options(command, waits=entry.waits)
        command_begins()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in _COMMANDS.items()])


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="cascade")
def cascade() -> None:
    """Calibrated spike inference for suite2p, CaImAn, NWB and arrays."""
