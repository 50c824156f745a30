"""Configurations: validated dataclasses that are read from and written to YAML."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import yaml

from cascade_engine.errors import InputError
from cascade_engine.file_formats.yaml_text import parse_yaml

#: Keys of published configuration files that carry no information, and the one that names the kind of model.
_IGNORED_KEYS = {"verbose", "training_finished", "kind", "family"}

_Some = TypeVar("_Some", bound="Configuration")


class Configuration:
    """Base of the frozen dataclasses that define a model and its training.

    Attributes
    ----------
    family : str
        Name of the family of networks; the same for all configurations of a class.
    model_name : str
        Name of the model and of its folder.
    training_datasets : tuple of str
        Folder names of the ground truth to train on.
    """

    family: ClassVar[str]
    model_name: str
    training_datasets: tuple[str, ...]

    @classmethod
    def from_dict(cls: type[_Some], values: dict[str, Any], source: str = "the configuration") -> _Some:
        """Validate a dictionary as read from YAML.

        Parameters
        ----------
        values : dict
            Keys and values; numbers may be integers or floats.
        source : str
            What to call it in error messages.

        Raises
        ------
        InputError
            For a missing, unknown or impossible key, naming it.
        """
        if not isinstance(values, dict):
            raise InputError(f"{source} must hold 'key: value' lines")
        known = {field.name: field for field in fields(cast(Any, cls))}
        cleaned = {}
        for key, value in values.items():
            if key in _IGNORED_KEYS or str(key).startswith("placeholder_"):
                continue
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise InputError(f"{source} has the unknown key {key}{hint}")
            cleaned[key] = _convert(key, value, str(known[key].type), source)
        missing = [name for name, item in known.items() if item.default is MISSING and name not in cleaned]
        if missing:
            raise InputError(f"{source} lacks {', '.join(missing)}")
        config = cls(**cleaned)
        config._check(source)
        return config

    @classmethod
    def from_yaml(cls: type[_Some], path: Path) -> _Some:
        """Read and validate a YAML file; raises `InputError` as `from_dict` does."""
        return cls.from_dict(read_yaml(path), source=str(path))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for YAML."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(cast(Any, self)).items()
        }

    def with_datasets(self: _Some, name_of: Callable[[str], str]) -> _Some:
        """The same configuration with each dataset under the name that a function gives for it."""
        changes = {
            item.name: tuple(map(name_of, getattr(self, item.name)))
            for item in fields(cast(Any, self))
            if item.name.endswith("_datasets") and isinstance(getattr(self, item.name), tuple)
        }
        return self.changed(**changes)

    def changed(self: _Some, **changes: Any) -> _Some:
        """The same configuration with other values of some fields."""
        return replace(cast(Any, self), **changes)

    def doubt_about_rate(self, frame_rate: float) -> str:
        """Why the model should not be used at `frame_rate` (Hz); empty if it may."""
        return ""

    def _check(self, source: str) -> None:
        """Raise `InputError` for values that are impossible."""


def read_yaml(path: Path) -> Any:
    """Content of a YAML file; raises `InputError` if it cannot be read."""
    try:
        return parse_yaml(Path(path).read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from None


def _convert(key: str, value: Any, kind: str, source: str) -> Any:
    """Bring a YAML value to the annotated type of its field."""
    wrong = InputError(f"{source}: {key} cannot be {value!r}")
    if kind.startswith("tuple"):
        if not isinstance(value, list | tuple):
            value = [value]
        inner = kind[kind.index("[") + 1 : kind.index(",")]
        return tuple(_convert(key, item, inner, source) for item in value)
    if kind == "str":
        if not isinstance(value, str) or not value:
            raise wrong
        return value
    if kind == "bool":
        if value not in (0, 1):
            raise wrong
        return bool(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong
    if kind == "int":
        if value != int(value):
            raise wrong
        return int(value)
    return float(value) if value != int(value) else int(value)
