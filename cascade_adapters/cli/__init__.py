"""The command ``cascade``: how it starts and how it ends, whatever happens."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the command; a failure is one line and exit status 1, a signal status 128 and its number (130 for Ctrl-C).

    This is the last resort of every command: whatever was not foreseen ends here, in one line. Everything else is
    imported here, so that this holds from the beginning.
    """
    _let_everything_be_said()
    try:
        from cascade_adapters.safe_writing.interruption import taking_signals

        with taking_signals() as interruption:
            try:
                status = _run(arguments)
            except BaseException:
                if interruption.received is None:
                    raise
            if interruption.received is not None:  # also where a library has made another error of it
                print(interruption, file=sys.stderr)
                status = interruption.status
    except KeyboardInterrupt:
        print("cascade: interrupted", file=sys.stderr)
        status = 130
    if status:
        sys.exit(status)


def _let_everything_be_said() -> None:
    """Let characters that a terminal or a file does not know be written as ``\\u....``, rather than end the command.

    Names of folders may hold any character; Windows writes to files and pipes in an alphabet of its own.
    """
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _run(arguments: list[str] | None) -> int:
    """Run the command; returns its exit status."""
    try:
        import warnings

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
            _say(str(error))
    except Exception as error:
        from cascade_adapters.running.failures import unforeseen

        _say(unforeseen(error, "cascade"), "")
    return 1


def _say(line: str, prefix: str = "cascade: ") -> None:
    """Say why the command failed, unless a signal is the reason."""
    from cascade_adapters.safe_writing.interruption import end_if_asked

    end_if_asked()
    print(f"{prefix}{line}", file=sys.stderr)
