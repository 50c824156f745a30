"""What can go wrong, in one line that says what was found, where, and what to do."""

from __future__ import annotations


class CascadeError(Exception):
    """A failure that its message explains to the user; the command line prints the message alone."""


class InputError(CascadeError, ValueError):
    """An argument or a file does not hold what is needed."""


class ModelError(CascadeError):
    """A model is missing, damaged, or cannot be read."""


class MissingExtraError(CascadeError, ImportError):
    """An optional dependency is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(f"{purpose} needs {package}, which is not installed: pip install 'cascade-spikes[{extra}]'")


class CascadeWarning(UserWarning):
    """A result was computed, but something about the input makes it doubtful."""
