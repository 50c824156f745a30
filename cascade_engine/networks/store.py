"""Models on disk: finding them, reading their cards, opening their networks.

A model is a folder with ONNX files and ``card.yaml``, which holds the family, the configuration, where the weights come
from, what they were trained on, and the SHA-256 of each ONNX file. A model is found by its name among the user's models
and those that come with the package, or by its folder.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cascade_engine.errors import InputError, ModelError
from cascade_engine.file_formats.yaml_text import parse_yaml
from cascade_engine.networks.families import family_named
from cascade_engine.networks.names import published_settings
from cascade_engine.networks.onnx_sessions import open_session

DEFAULT_MODEL = "universal"

#: Name that stands for the model that is best where the user chooses none.
AUTOMATIC = "auto"

ENVIRONMENT_VARIABLE = "CASCADE_MODELS"
CARD_NAME = "card.yaml"

#: Format of the cards that this version writes and reads.
FORMAT = 2


class Sessions:
    """ONNX Runtime sessions that stay open; opened when they are first needed, by whichever thread."""

    def __init__(self) -> None:
        self._open: dict[str, Any] = {}
        self._lock = threading.Lock()

    def get(self, label: str, read: Callable[[], bytes]) -> Any:
        """The session of this label, opened from the bytes that `read` gives if it is not open yet."""
        with self._lock:
            if label not in self._open:
                self._open[label] = open_session(read())
            return self._open[label]

    def __getstate__(self) -> dict[str, Any]:
        return {}  # a copy in another process opens its own

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]


@dataclass(frozen=True)
class Model:
    """A model on disk.

    Attributes
    ----------
    folder : Path
        Where it lies.
    config : Configuration
        Its configuration, of the kind of its family.
    card : dict
        The whole card.
    preset : dict or None
        Smoothing (s), kernel and population of the published model that it stands for.
    members : tuple of int or None
        Networks whose mean is the prediction; None: all.
    """

    folder: Path
    config: Any
    card: dict[str, Any]
    preset: dict[str, Any] | None = None
    members: tuple[int, ...] | None = None
    _sessions: Sessions = field(default_factory=Sessions, compare=False, repr=False)

    def __repr__(self) -> str:
        asked = (self.preset or {}).get("asked_for")
        return f"<Model {self.name}{f' for {asked}' if asked else ''} ({self.family} family) in {self.folder}>"

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.config.model_name

    @property
    def family(self) -> str:
        """Name of the family of networks that it belongs to."""
        return self.card["family"]

    @property
    def noise_levels(self) -> np.ndarray:
        """Noise levels (percent per sqrt(Hz)) that it has networks for, ascending; or its range."""
        return family_named(self.family).noise_levels(self)

    @property
    def usual_frame_rate(self) -> float:
        """Frame rate (Hz) at which it is judged where nothing else is said."""
        return family_named(self.family).usual_frame_rate(self)

    def session(self, label: str) -> Any:
        """ONNX Runtime session of one of its networks, checked against the card; it stays open with the model.

        Parameters
        ----------
        label : str
            A noise level, or the name of a part.

        Raises
        ------
        ModelError
            If the file is missing or is not the one that the card describes.
        """
        return self._sessions.get(label, lambda: self.read_network(label))

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
        hashes = sorted(f"{network_label(entry)}:{entry['sha256']}" for entry in self.card["networks"])
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest()

    def read_network(self, label: str) -> bytes:
        """ONNX content of one of its networks, checked against the card.

        Parameters
        ----------
        label : str
            A noise level, or the name of a part.

        Raises
        ------
        ModelError
            If there is none, or the file is missing or is not the one that the card describes.
        """
        for entry in self.card["networks"]:
            if network_label(entry) == label:
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


def network_label(entry: Mapping[str, Any]) -> str:
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
    return _read_card(folder)


def _read_card(folder: Path) -> Model:
    path = folder / CARD_NAME
    try:
        card = parse_yaml(path.read_text("utf-8"))
        _refuse_other_formats(card, path)
        entries = [(network_label(entry), str(entry["file"]), entry["sha256"]) for entry in card["networks"]]
        if not entries or any(Path(file).name != file for _, file, _ in entries):
            raise ModelError(f"{path} names no networks, or networks outside its folder")
        family = family_named(card["family"])
        config = family.config.from_dict(card["config"], source=str(path))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise ModelError(f"{path} is not a model card: {' '.join(str(error).split())}") from None
    return Model(folder, config, card)


def _refuse_other_formats(card: Any, path: Path) -> None:
    found = card["format"]
    if found == 1:
        again = "import it again" if card.get("origin") == "imported" else "train it again"
        raise ModelError(
            f"{path.parent} was written by version 0.1.0 of cascade-spikes, whose models do not fit: {again}"
        )
    if found != FORMAT:
        raise ModelError(f"{path} has format {found}, and this version reads format {FORMAT}: update cascade-spikes")
