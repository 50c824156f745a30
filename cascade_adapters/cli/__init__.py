"""The command ``cascade``."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import click

import cascade_engine

#: Commands, the modules that define them, and their one-line help: a module is imported when its command runs.
_COMMANDS = {
    "inspect": ("inspect", "Say what a path holds and what 'run' would do with it."),
    "run": ("run", "Infer spikes in every recording below the given paths."),
    "spikes": ("spikes", "Turn the results of 'run' into discrete spikes, where the noise is low."),
    "restore": ("restore", "Remove everything that 'run' has written, exactly."),
    "convert": ("convert", "Write a recording to a file of another kind: NWB, suite2p, .npz, .mat, CSV."),
    "models": ("models", "List, show, import and verify models."),
    "train": ("train", "Train a model on ground truth."),
    "benchmark": ("benchmark", "Say how well a model predicts neurons that it has not seen."),
    "ground-truth": ("ground_truth", "List, download, check and simulate ground truth."),
}


class _LazyGroup(click.Group):
    """A group that imports a command's module only when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command = import_module(f"cascade_adapters.cli.{_COMMANDS[name][0]}").command
        _add_common_options(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(cascade_engine.__version__, prog_name="cascade")
def cascade() -> None:
    """Calibrated spike inference for suite2p, CaImAn, NWB and arrays.

    \b
    cascade inspect PATH    what is there, at which rate, how noisy
    cascade run PATH        spike probabilities for every recording below PATH
    cascade restore PATH    take everything back
    """


def _add_common_options(command: click.Command) -> None:
    """Options that every command has."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _add_common_options(each)
    elif not any(parameter.name == "log" for parameter in command.params):
        command.params.append(
            click.Option(
                ["--log"],
                type=click.Path(dir_okay=False, path_type=Path),
                metavar="FILE",
                expose_value=False,
                is_eager=True,
                callback=_set_log,
                help="File for the details of unforeseen failures.",
            )
        )


def _set_log(ctx: click.Context, parameter: click.Parameter, path: Path | None) -> None:
    from cascade_adapters.running.failures import log_to

    log_to(path)


def main(arguments: list[str] | None = None) -> None:
    """Run the command; a failure is one line and exit status 1, an interruption status 130.

    This is the last resort of every command: whatever was not foreseen ends here, in one line.
    """
    from cascade_engine.errors import CascadeError

    try:
        cascade.main(arguments, prog_name="cascade", standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (CascadeError, OSError) as error:
        click.echo(f"cascade: {error}", err=True)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        click.echo("cascade: interrupted", err=True)
        sys.exit(130)
    except Exception as error:
        from cascade_adapters.running.failures import unforeseen

        click.echo(unforeseen(error, "cascade"), err=True)
        sys.exit(1)
