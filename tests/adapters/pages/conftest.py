"""Recordings with results, and the command that writes their pages."""

import pytest

from cascade_adapters.cli import main


@pytest.fixture
def cascade(capsys):
    """Run the command in this process; returns exit status, standard output and standard error."""

    def call(*arguments) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            main([str(argument) for argument in arguments])
            status = 0
        except SystemExit as end:
            status = end.code or 0
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call
