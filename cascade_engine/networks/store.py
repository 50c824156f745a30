"""Models on disk: a folder with a card and one ONNX file per noise level.

``card.yaml`` holds the configuration, where the weights come from, what they were trained on, and the SHA-256 of each
ONNX file. A model is found by its name among the user's models and those that come with the package, or by its folder.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cascade_engine.errors import InputError, ModelError
from cascade_engine.networks.universal.config import UniversalConfig
from cascade_engine.networks.universal.names import published_settings
from cascade_engine.networks.windowed.config import ModelConfig
from cascade_engine.networks.windowed.weights import NetworkWeights, build_onnx

DEFAULT_MODEL = "universal"

#: Name that stands for whatever model is best without being told.
AUTOMATIC = "auto"

ENVIRONMENT_VARIABLE = "CASCADE_MODELS"
CARD_NAME = "card.yaml"

_FORMAT = 1


@dataclass(frozen=True)
class Model:
    """A model on disk.

    Attributes
    ----------
    folder : Path
        Where it lies.
    config : ModelConfig or UniversalConfig
        Its configuration.
    card : dict
        The whole card.
    preset : dict or None
        Smoothing (s), kernel and population of the published model that a universal model stands for.
    members : tuple of int or None
        Networks of a universal model whose mean is the prediction; None: all.
    """

    folder: Path
    config: ModelConfig | UniversalConfig
    card: dict[str, Any]
    preset: dict[str, Any] | None = None
    members: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.config.model_name

    @property
    def is_universal(self) -> bool:
        """Whether it serves every frame rate, smoothing and kernel."""
        return isinstance(self.config, UniversalConfig)

    @property
    def family(self) -> str:
        return "universal" if self.is_universal else "windowed"

    @property
    def noise_levels(self) -> np.ndarray:
        """Noise levels (percent per sqrt(Hz)) that it has networks for, ascending; of a universal model its range."""
        if self.is_universal:
            return np.array([0.0, max(self.config.noise_range)])
        return np.array(sorted(float(entry["noise_level"]) for entry in self.card["networks"]))

    def has_not_seen(self, datasets: Collection[str]) -> bool:
        """Whether none of the networks in use was trained on any of `datasets` (folder names)."""
        seen = set(datasets) & set(self.config.training_datasets)
        left_out = self.card.get("training", {}).get("left_out", [])
        return not seen or (self.members is not None and all(seen <= set(left_out[number]) for number in self.members))

    def without(self, datasets: Collection[str]) -> Model | None:
        """This model, or as much of its ensemble as was trained without any of `datasets` (folder names), if any was.

        Predictions of ground truth that are to be compared with the true spikes must come from this.
        """
        if self.has_not_seen(datasets):
            return self
        members = range(len(self.card.get("training", {}).get("left_out", [])))
        unaware = tuple(number for number in members if replace(self, members=(number,)).has_not_seen(datasets))
        return replace(self, members=unaware) if unaware else None

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the hashes of all its networks: the same for two models with the same weights."""
        hashes = sorted(f"{_label(entry)}:{entry['sha256']}" for entry in self.card["networks"])
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest()

    def read_network(self, noise_level: float) -> bytes:
        """ONNX content of the networks for one of `noise_levels`, checked against the card.

        Raises
        ------
        ModelError
            If the file is missing or is not the one that the card describes.
        """
        return self._read_labelled(f"{noise_level:g}")

    def read_part(self, part: str) -> bytes:
        """ONNX content of one part of a universal model, ``"context"`` or ``"spikes"``, checked against the card.

        Raises
        ------
        ModelError
            If the file is missing or is not the one that the card describes.
        """
        return self._read_labelled(part)

    def _read_labelled(self, label: str) -> bytes:
        for entry in self.card["networks"]:
            if _label(entry) == label:
                return self._read_checked(entry)
        raise ModelError(f"model {self.name} has no networks for {label}")

    def verify(self) -> None:
        """Check every network against the card; raises `ModelError` for the first that differs."""
        for entry in self.card["networks"]:
            self._read_checked(entry)

    def _read_checked(self, entry: Mapping[str, Any]) -> bytes:
        path = self.folder / entry["file"]
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}; get the model again") from None
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise ModelError(f"{path} is not the file that {CARD_NAME} describes: get the model again")
        return content


def _label(entry: Mapping[str, Any]) -> str:
    """What an ONNX file is for: a noise level, or a part of a universal model."""
    return str(entry["part"]) if "part" in entry else f"{float(entry['noise_level']):g}"


def user_models() -> Path:
    """Folder of imported and downloaded models: ``CASCADE_MODELS``, else the platform's data folder."""
    from cascade_engine.user_folders import user_folder

    given = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(given) if given else user_folder("models")


def list_models() -> dict[str, Path]:
    """Folders of all models that can be named, by name; the user's own take precedence."""
    return packaged_models() | _models_in(user_models())


def packaged_models() -> dict[str, Path]:
    """Folders of the models that come with the package, by name."""
    return _models_in(Path(str(resources.files("cascade_pretrained"))))


def _models_in(root: Path) -> dict[str, Path]:
    return {path.parent.name: path.parent for path in sorted(root.glob(f"*/{CARD_NAME}"))}


def load_model(model: str | os.PathLike | Model = DEFAULT_MODEL) -> Model:
    """Find a model by name or folder and read its card.

    Parameters
    ----------
    model : str or path or Model
        Name of a model, or a folder that holds a card; ``"auto"`` is the universal model. The name of a published
        model that has not been imported is answered by the universal model with its smoothing and kernel. A `Model`
        is returned as it is.

    Returns
    -------
    Model
        Its networks are read, and checked against the card, when they are used.

    Raises
    ------
    ModelError
        If there is no such model, or its card cannot be read.
    """
    if isinstance(model, Model):
        return model
    available = list_models()
    if str(model) == AUTOMATIC:
        model = DEFAULT_MODEL
    folder = available.get(str(model), Path(model))
    if not (folder / CARD_NAME).is_file():
        settings = published_settings(str(model))
        if settings is not None:
            return replace(load_model(DEFAULT_MODEL), preset=settings)
        if folder.is_dir() and (folder / "config.yaml").is_file():
            raise ModelError(f"{folder} is a published model: import it first with 'cascade models import {folder}'")
        close = difflib.get_close_matches(str(model), available, n=1)
        hint = f"did you mean {close[0]}?" if close else "'cascade models list' shows what there is"
        raise ModelError(f"there is no model {model}: {hint}")
    path = folder / CARD_NAME
    try:
        card = yaml.safe_load(path.read_text("utf-8"))
        if card["format"] != _FORMAT:
            raise ModelError(f"{path} has format {card['format']}, this version reads format {_FORMAT}: update cascade")
        entries = [(_label(entry), str(entry["file"]), entry["sha256"]) for entry in card["networks"]]
        if not entries or any(Path(file).name != file for _, file, _ in entries):
            raise ModelError(f"{path} names no networks, or networks outside its folder")
        config_type = UniversalConfig if card.get("kind") == "universal" else ModelConfig
        config = config_type.from_dict(card["config"], source=str(path))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise ModelError(f"{path} is not a model card: {' '.join(str(error).split())}") from None
    return Model(folder, config, card)


def write_windowed_model(
    folder: str | os.PathLike,
    config: ModelConfig,
    networks: Mapping[float, Sequence[NetworkWeights]],
    details: Mapping[str, Any],
    further_files: Mapping[str, bytes] | None = None,
) -> Model:
    """Write a model of the published architecture.

    Parameters
    ----------
    folder : path
        Folder to create; it must not exist.
    config : ModelConfig
        Configuration.
    networks : mapping of float to sequence of NetworkWeights
        Ensemble for each noise level (percent per sqrt(Hz)).
    details, further_files
        As for `write_model`.

    Returns
    -------
    Model
        The model as written.

    Raises
    ------
    InputError
        If the folder exists.
    ModelError
        If the networks do not fit the configuration.
    """
    entries = []
    for level in sorted(networks):
        for network in networks[level]:
            if network.windowsize > config.windowsize:
                raise ModelError(
                    f"the networks of noise level {level:g} read {network.windowsize} frames, "
                    f"the configuration says {config.windowsize}"
                )
        content = build_onnx(networks[level], f"{config.model_name}, noise level {level:g}")
        facts = {"noise_level": level, "members": len(networks[level])}
        entries.append((facts, f"noise_{level:g}.onnx", content))
    return write_model(folder, config, entries, details, further_files)


def write_model(
    folder: str | os.PathLike,
    config: ModelConfig | UniversalConfig,
    networks: Sequence[tuple[Mapping[str, Any], str, bytes]],
    details: Mapping[str, Any],
    further_files: Mapping[str, bytes] | None = None,
) -> Model:
    """Write a model's folder; it appears whole or not at all.

    Parameters
    ----------
    folder : path
        Folder to create; it must not exist.
    config : ModelConfig or UniversalConfig
        Configuration.
    networks : sequence of (mapping, str, bytes)
        What the card says of each ONNX file, its name, and its content.
    details : mapping
        Further entries of the card: kind, origin, training, figures.
    further_files : mapping of str to bytes, optional
        Content of other files to keep in the folder, by name.

    Returns
    -------
    Model
        The model as written.

    Raises
    ------
    InputError
        If the folder exists.
    """
    folder = Path(folder).absolute()
    if folder.exists():
        raise InputError(f"{folder} exists already: remove it or choose another place")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        entries = []
        for facts, name, content in networks:
            (temporary / name).write_bytes(content)
            entries.append({**facts, "file": name, "sha256": hashlib.sha256(content).hexdigest()})
        for name, content in (further_files or {}).items():
            (temporary / name).write_bytes(content)
        card = {"format": _FORMAT, **details, "config": config.to_dict(), "networks": entries}
        (temporary / CARD_NAME).write_text(yaml.safe_dump(card, sort_keys=False, width=120), encoding="utf-8")
        temporary.chmod(0o755)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return load_model(folder)
