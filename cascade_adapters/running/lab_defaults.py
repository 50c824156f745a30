"""A lab's defaults: options in a file ``cascade.yaml`` beside the data, or in a folder above.

The nearest file counts, alone: files further up are not looked at. Names are those of the options, in Python
(``frame_rate``) or on the command line (``frame-rate``). A file that is named in it, such as a model, may be named from
the folder in which the ``cascade.yaml`` lies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import yaml

from cascade_adapters.containers.base import Container
from cascade_adapters.running.options import Options, choices_by_group, parse_options
from cascade_engine.declared import Declared
from cascade_engine.errors import CascadeError, InputError
from cascade_engine.file_formats.yaml_text import parse_yaml

#: Name of the file.
FILE_NAME = "cascade.yaml"

#: More cannot be a list of options.
_MOST_BYTES = 100_000

#: Options that can name a file.
_FILES = ("model", "exclude_frames", "sessions", "noise_level")


@dataclass(frozen=True)
class LabDefaults:
    """Options that a file gives.

    Attributes
    ----------
    file : Path or None
        The file; None if there is none.
    values : dict
        Options by their flat names, as of `cascade_adapters.running.options.parse_options`.
    """

    file: Path | None = None
    values: dict[str, Any] = field(default_factory=dict)

    def noted_in(self, options: Options) -> Options:
        """Options that were made with these, with a note of that for the record."""
        if not self.values:
            return options
        stated = options.to_dict()
        return replace(
            options, defaults={"file": str(self.file), "values": {flat: stated[flat] for flat in self.values}}
        )


def find_file(path: str | PathLike) -> Path | None:
    """The ``cascade.yaml`` beside a file or in a folder, or in the nearest folder above; None if there is none.

    The search ends at the home folder, or at the root of the file system for data that lie elsewhere. An address
    (``https://...``) has none.
    """
    if isinstance(path, str) and "://" in path:
        return None
    place = Path(path).resolve()
    try:
        home = Path.home().resolve()
    except RuntimeError:  # this system knows no home folder
        home = None
    for folder in (place, *place.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
        if folder == home:
            break
    return None


def read_file(file: Path) -> dict[str, Any]:
    """Options that a file gives, by their flat names.

    Raises
    ------
    InputError
        If it cannot be read, or names an option that there is not or a value that cannot be: in one line, with the
        file.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise InputError("it is too large for a list of options")
        content = parse_yaml(file.read_text("utf-8"))
        if content is None:
            return {}
        if not isinstance(content, dict):
            raise InputError("it must hold one option per line, such as 'smoothing: 0.1'")
        values = _values(content, file.parent)
        parse_options(values)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{file} cannot be read: {' '.join(str(error).split())}") from None
    except CascadeError as error:
        raise InputError(f"{file}: {error}") from None
    return values


def lab_defaults(where: str | PathLike) -> dict[str, Any]:
    """What the ``cascade.yaml`` of a file or folder gives, for `cascade_adapters.run`, which does not look for it.

    Parameters
    ----------
    where : path
        File or folder with recordings.

    Returns
    -------
    dict
        Options by name; empty if there is no file.

    Raises
    ------
    InputError
        If the file holds anything else than options.

    Examples
    --------
    ::

        cascade_adapters.run(path, **cascade_adapters.lab_defaults(path))
    """
    file = find_file(where)
    return {} if file is None else read_file(file)


def defaults_of(paths: Sequence[str | PathLike]) -> LabDefaults:
    """The defaults that hold for some paths.

    Raises
    ------
    InputError
        If they have different files.
    """
    found: dict[Path | None, str | PathLike] = {}
    for path in paths:
        found.setdefault(find_file(path), path)
    if len(found) > 1:
        listed = ", ".join(f"{path} has {file or 'none'}" for file, path in found.items())
        raise InputError(f"these have different {FILE_NAME}: {listed}: run them by themselves, or pass --no-defaults")
    file = next(iter(found), None)
    return LabDefaults() if file is None else LabDefaults(file, read_file(file))


def refuse_nearer(containers: Sequence[Container], defaults: LabDefaults) -> None:
    """Raise `InputError` if a recording has another file than the path through which it was found."""
    for container in containers:
        file = None if "://" in str(container.path) else find_file(container.path)
        if file is not None and file != defaults.file:
            raise InputError(
                f"{container.path} has its own {file}: pass {file.parent} by itself, or pass --no-defaults"
            )


def _values(content: Mapping[Any, Any], folder: Path) -> dict[str, Any]:
    choices = {flat: choice for group in choices_by_group().values() for flat, choice in group.items()}
    flat_names = {option.removeprefix("--"): flat for flat, choice in choices.items() for option in choice.options}
    found: dict[str, Any] = {}
    for key, value in content.items():
        flat = flat_names.get(str(key), str(key))
        if flat in found:
            raise InputError(f"{key} is there twice")
        if value is None:  # left open
            continue
        if flat == "progress":
            raise InputError(f"there is no option {flat}")
        found[flat] = _value(choices[flat], value, folder) if flat in choices else value
    return found


def _value(choice: Declared, value: Any, folder: Path) -> Any:
    """A value as the option wants it: what is text on the command line may be text here."""
    if isinstance(value, str):
        if choice.choices is not None and False in choice.choices and value == "none":
            return False
        if choice.type is float and value.lower() == "nan":
            return float("nan")
        if choice.name in _FILES and (folder / value).exists():
            return str(folder / value)
    return value
