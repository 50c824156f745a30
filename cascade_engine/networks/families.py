"""The families of networks, by name, and the functions that work with a model of any family."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_engine.errors import InputError, ModelError
from cascade_engine.networks.base import Family, Predictor
from cascade_engine.networks.configuration import Configuration, read_yaml
from cascade_engine.networks.settings import Settings
from cascade_engine.signal.kernels import check_smoothing
from cascade_engine.signal.noise import as_frame_rate

if TYPE_CHECKING:
    from cascade_engine.networks.store import Model

#: Modules that hold a `Family` as ``FAMILY``; imported when a model of the family is used.
_MODULES = {
    "universal": "cascade_engine.networks.universal.family",
    "windowed": "cascade_engine.networks.windowed.family",
    "student": "cascade_engine.networks.student.family",
}

_REGISTERED: dict[str, Family] = {}


def register(family: Family) -> None:
    """Add a family of networks, or replace one of the same name."""
    _REGISTERED[family.name] = family


def family_names() -> list[str]:
    """Names of all families that are known."""
    return list(dict.fromkeys([*_MODULES, *_REGISTERED]))


def family_named(name: str) -> Family:
    """The family of this name; raises `ModelError` if there is none."""
    if name not in _REGISTERED:
        if name not in _MODULES:
            raise ModelError(f"there is no family of networks {name!r}: update cascade-spikes")
        register(import_module(_MODULES[name]).FAMILY)
    return _REGISTERED[name]


def read_configuration(path: Path) -> Configuration:
    """What to train, as a YAML file says it.

    Parameters
    ----------
    path : Path
        The key ``family`` names the family of networks; files for the published toolbox, which lack it, describe the
        published architecture.

    Raises
    ------
    InputError
        If the file cannot be read, or holds a missing, unknown or impossible key.
    """
    content = read_yaml(path)
    stated = content.get("family", "windowed") if isinstance(content, dict) else "windowed"
    if stated not in family_names():
        raise InputError(f"{path}: the family must be one of {', '.join(family_names())}, but it is {stated!r}")
    return family_named(stated).config.from_dict(content, source=str(path))


def resolve(settings: Settings, model: Model, frame_rate: float, container_indicator: str | None = None) -> Settings:
    """Fill in what settings leave open, against model, preset and frame rate.

    Parameters
    ----------
    settings : Settings
        What the user chose; settings that are resolved already stay as they are.
    model : Model
        The model.
    frame_rate : float
        In Hz.
    container_indicator : str, optional
        Calcium indicator that the data file names. It is used if neither the user nor the model's name gives one, and
        if the model knows it.

    Returns
    -------
    Settings
        With nothing that the model needs left open.

    Raises
    ------
    InputError
        If the model cannot be set to this.
    """
    frame_rate = as_frame_rate(frame_rate)
    if settings.smoothing is not None:
        check_smoothing(frame_rate, settings.smoothing)
    return family_named(model.family).resolve(model, settings, frame_rate, container_indicator)


def open_predictor(
    model: Model, frame_rate: float, settings: Settings | None = None, container_indicator: str | None = None
) -> Predictor:
    """Open a model for a frame rate and settings; the parameters are those of `resolve`.

    Its networks stay open with the `Model`, for other frame rates and settings too.

    Returns
    -------
    Predictor
        Predicts block after block of neurons.
    """
    resolved = resolve(settings or Settings(), model, frame_rate, container_indicator)
    return family_named(model.family).open(model, as_frame_rate(frame_rate), resolved)
