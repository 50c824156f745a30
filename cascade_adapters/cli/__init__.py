"""The command ``cascade``: how it starts and how it ends, whatever happens."""

from __future__ import annotations

import sys
import warnings


def main(arguments: list[str] | None = None) -> None:
    """Run the command; a failure is one line and exit status 1, an interruption status 130.

    This is the last resort of every command: whatever was not foreseen ends here, in one line. Everything else is
    imported here, so that this holds from the beginning.
    """
    try:
        status = _run(arguments)
    except KeyboardInterrupt:
        print("cascade: interrupted", file=sys.stderr)
        status = 130
    if status:
        sys.exit(status)


def _run(arguments: list[str] | None) -> int:
    """Run the command; returns its exit status."""
    try:
        import click

        from cascade_adapters.cli.command import cascade
        from cascade_engine.errors import CascadeError

        try:
            with warnings.catch_warnings():
                # of numpy, on values that are too large or missing: what concerns a ROI is said of it, in our words
                warnings.simplefilter("ignore", RuntimeWarning)
                cascade.main(arguments, prog_name="cascade", standalone_mode=False)
            return 0
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except click.Abort:
            raise KeyboardInterrupt from None
        except (CascadeError, OSError) as error:
            click.echo(f"cascade: {error}", err=True)
    except Exception as error:
        from cascade_adapters.running.failures import unforeseen

        print(unforeseen(error, "cascade"), file=sys.stderr)
    return 1
