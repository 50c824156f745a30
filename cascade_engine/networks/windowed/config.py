"""The configuration of a published-architecture model, with the keys that users of the published toolbox know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cascade_engine.declared import checked_number
from cascade_engine.errors import InputError
from cascade_engine.networks.configuration import Configuration
from cascade_engine.signal.kernels import SMOOTHING_HINT, SMOOTHING_LIMITS
from cascade_engine.signal.noise import FRAME_RATE_HINT, FRAME_RATE_LIMITS, NOISE_HINT, NOISE_LIMITS, NOISE_UNIT

#: Relative difference between the frame rates of data and model that is worth a warning.
_RATE_TOLERANCE = 0.05


@dataclass(frozen=True)
class ModelConfig(Configuration):
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
        Width of the kernel in s (see `cascade_engine.signal.kernels.smoothing_kernel`).
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

    family: ClassVar[str] = "windowed"

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

    def doubt_about_rate(self, frame_rate: float) -> str:
        """Why a model of this rate should not be used at `frame_rate` (Hz); empty if it may."""
        off = frame_rate / self.sampling_rate - 1.0
        if abs(off) <= _RATE_TOLERANCE:
            return ""
        return (
            f"the frame rate is {frame_rate:g} Hz but model {self.model_name} was trained for "
            f"{self.sampling_rate:g} Hz ({off:+.0%}): choose a model of this rate"
        )

    def _check(self, source: str) -> None:
        positive = ("sampling_rate", "windowsize", "dense_expansion", "learning_rate", "nr_of_epochs",
                    "windows_per_epoch", "ensemble_size", "batch_size", "sequence_length")  # fmt: skip
        for key in positive:
            if not getattr(self, key) > 0:
                raise InputError(f"{source}: {key} must be above zero, but it is {getattr(self, key)}")
        checked_number(f"{source}: sampling_rate", self.sampling_rate, FRAME_RATE_LIMITS, "Hz", FRAME_RATE_HINT)
        checked_number(f"{source}: smoothing", self.smoothing, SMOOTHING_LIMITS, "s", SMOOTHING_HINT)
        if not self.noise_levels:
            raise InputError(f"{source}: noise_levels must be positive numbers, but there are none")
        for level in self.noise_levels:
            checked_number(f"{source}: each of noise_levels", level, NOISE_LIMITS, NOISE_UNIT, NOISE_HINT)
        if len(set(self.noise_levels)) < len(self.noise_levels):
            raise InputError(f"{source}: noise_levels names a level twice: {list(self.noise_levels)}")
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
