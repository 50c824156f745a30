"""What can go wrong, in one line that says what was found, where, and what to do."""

from __future__ import annotations


class CascadeError(Exception):
    """A failure that its message explains to the user; the command line prints the message alone."""


class InputError(CascadeError, ValueError):
    """An argument or a file does not hold what is needed."""


class ModelError(CascadeError):
    """A model is missing, damaged, or cannot be read."""


class MissingExtraError(CascadeError, ImportError):
    """An optional dependency is needed and not installed.

    The message names what the extra brings, not the extra: this line is right wherever the package came from.
    """

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(f"{purpose} needs {package}, which is not installed: pip install {_needed(extra)}")


class CascadeWarning(UserWarning):
    """A result was computed, but something about the input makes it doubtful."""


def _needed(extra: str) -> str:
    """What an extra brings on this system, quoted for every shell."""
    from importlib.metadata import PackageNotFoundError, requires

    from packaging.requirements import Requirement

    try:
        found = [Requirement(line) for line in requires("cascade-spikes") or ()]
    except PackageNotFoundError:  # used from its sources, without having been installed
        found = []
    needed = [each for each in found if each.marker and each.marker.evaluate({"extra": extra})]
    if not needed:
        return f'"cascade-spikes[{extra}]"'
    with_extras = (each.name + (f"[{','.join(sorted(each.extras))}]" if each.extras else "") for each in needed)
    return " ".join(f'"{name}{each.specifier}"' for name, each in zip(with_extras, needed, strict=True))
