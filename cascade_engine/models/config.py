"""The configuration of a model, with the keys that users of the published toolbox know."""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from cascade_engine.errors import InputError

#: Keys of published configuration files that carry no information.
_IGNORED_KEYS = {"verbose", "training_finished"}


@dataclass(frozen=True)
class ModelConfig:
    """Everything that defines a model and its training.

    Attributes
    ----------
    model_name : str
        Name of the model and of its folder.
    sampling_rate : float
        Frame rate in Hz.
    training_datasets : tuple of str
        Folder names of the ground truth to train on.
    noise_levels : tuple of float
        Noise levels in percent per sqrt(Hz), one ensemble of networks for each.
    smoothing : float
        Width of the kernel in s (see `cascade_engine.kernels.smoothing_kernel`).
    causal_kernel : bool
        Causal kernel instead of the Gaussian.
    windowsize : int
        Frames that one output is computed from.
    before_frac : float
        Part of the window that lies before the output's frame.
    filter_sizes, filter_numbers : tuple of int
        Length (frames) and number of the filters of the three convolutions.
    dense_expansion : int
        Units of the dense layer.
    loss_function : str
        Loss by its Keras name.
    optimizer : str
        Optimizer by its Keras name.
    learning_rate : float
        Its learning rate at the start; it falls to zero along half a cosine.
    nr_of_epochs : int
        Passes over the training windows.
    windows_per_epoch : int
        Training windows (output frames) that make one epoch.
    ensemble_size : int
        Networks per noise level.
    batch_size : int
        Windows (output frames) per training step; at least one sequence, and whole ones.
    sequence_length : int
        Consecutive output frames that are trained together; a step takes ``batch_size / sequence_length`` of them.
    seed : int
        Seed of weights, batches and noise.
    """

    model_name: str
    sampling_rate: float
    training_datasets: tuple[str, ...]
    noise_levels: tuple[float, ...] = (1, 2, 3, 4, 5, 6, 7, 8, 9)
    smoothing: float = 0.05
    causal_kernel: bool = False
    windowsize: int = 64
    before_frac: float = 0.5
    filter_sizes: tuple[int, ...] = (31, 19, 5)
    filter_numbers: tuple[int, ...] = (30, 40, 50)
    dense_expansion: int = 10
    loss_function: str = "mean_squared_error"
    optimizer: str = "Adagrad"
    learning_rate: float = 0.05
    nr_of_epochs: int = 20
    windows_per_epoch: int = 5_000_000
    ensemble_size: int = 5
    batch_size: int = 1024
    sequence_length: int = 256
    seed: int = 0

    @property
    def kernel(self) -> str:
        """Form of the smoothing kernel, ``"gaussian"`` or ``"causal"``."""
        return "causal" if self.causal_kernel else "gaussian"

    @property
    def frames_before(self) -> int:
        """Frames of the window that precede the frame of its output."""
        return int(self.before_frac * self.windowsize)

    @property
    def flattened_positions(self) -> int:
        """Positions that the last layer reads, after all convolutions and poolings of a window."""
        first, second, third = self.filter_sizes
        return ((self.windowsize - first + 1 - second + 1) // 2 - third + 1) // 2

    @classmethod
    def from_dict(cls, values: dict[str, Any], source: str = "the configuration") -> ModelConfig:
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
        known = {field.name: field for field in fields(cls)}
        cleaned = {}
        for key, value in values.items():
            if key in _IGNORED_KEYS or str(key).startswith("placeholder_"):
                continue
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise InputError(f"{source} has the unknown key {key}{hint}")
            cleaned[key] = _convert(key, value, str(known[key].type), source)
        missing = [key for key in ("model_name", "sampling_rate", "training_datasets") if key not in cleaned]
        if missing:
            raise InputError(f"{source} lacks {', '.join(missing)}")
        config = cls(**cleaned)
        config._check(source)
        return config

    @classmethod
    def from_yaml(cls, path: Path) -> ModelConfig:
        """Read and validate a YAML file; raises `InputError` as `from_dict` does."""
        try:
            values = yaml.safe_load(Path(path).read_text("utf-8"))
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from None
        except (UnicodeDecodeError, yaml.YAMLError) as error:
            raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
        return cls.from_dict(values, source=str(path))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for YAML."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    def _check(self, source: str) -> None:
        positive = ("sampling_rate", "windowsize", "dense_expansion", "learning_rate", "nr_of_epochs",
                    "windows_per_epoch", "ensemble_size", "batch_size", "sequence_length")  # fmt: skip
        for key in positive:
            if not getattr(self, key) > 0:
                raise InputError(f"{source}: {key} must be above zero, but it is {getattr(self, key)}")
        if not self.noise_levels or min(self.noise_levels) <= 0:
            raise InputError(f"{source}: noise_levels must be positive numbers, but they are {list(self.noise_levels)}")
        if len(set(self.noise_levels)) < len(self.noise_levels):
            raise InputError(f"{source}: noise_levels names a level twice: {list(self.noise_levels)}")
        if self.smoothing < 0:
            raise InputError(f"{source}: smoothing must be a width in s, but it is {self.smoothing}")
        if not 0 <= self.before_frac < 1:
            raise InputError(f"{source}: before_frac must be at least 0 and below 1, but it is {self.before_frac}")
        for key in ("filter_sizes", "filter_numbers"):
            values = getattr(self, key)
            if len(values) != 3 or min(values) < 1:
                raise InputError(f"{source}: {key} must be three positive numbers, but it is {list(values)}")
        if self.flattened_positions < 1:
            raise InputError(
                f"{source}: a window of {self.windowsize} frames is too short for filters of {list(self.filter_sizes)}"
            )


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
