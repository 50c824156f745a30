"""The configuration of a student: its size, its teacher, and how it learns from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from cascade_engine.errors import InputError
from cascade_engine.networks.universal.config import UniversalConfig

#: What a student takes over from its teacher: the data that it meets.
_OF_THE_TEACHER = (
    "training_datasets", "interneuron_datasets", "frame_rates", "rate_weights", "noise_range", "native_share",
    "computed_dff_share", "dataset_power", "interneuron_weight", "simulated_datasets", "folds", "seed",
)  # fmt: skip


@dataclass(frozen=True)
class StudentConfig(UniversalConfig):
    """Everything that defines a student and its training; what is not said here is as for `UniversalConfig`.

    Whatever concerns the data (datasets, frame rates, noise levels, folds, ...) comes from the teacher unless it is
    given.

    Attributes
    ----------
    teacher : str
        Name or folder of the universal model whose predictions the student learns.
    stem : int
        Frames of one step of the finest resolution. The network gives the spikes of all of them at once.
    simulated_share : float
        Part of the batches that hold simulated neurons.
    rescaled_share : float
        Part of the crops whose dF/F is made larger or smaller, for teacher and student alike.
    gain_weight : float
        Weight of the third term of the loss: the squared logarithm of how far the number of spikes is off.
    """

    family: ClassVar[str] = "student"

    training_datasets: tuple[str, ...] = ()
    teacher: str = "universal"
    stem: int = 2
    channels: tuple[int, ...] = (24, 32, 48, 64)
    simulated_share: float = 0.4
    rescaled_share: float = 0.3
    disturbed_share: float = 0.35
    silent_share: float = 0.05
    gain_weight: float = 1.0
    steps: int = 8000
    learning_rate: float = 0.003
    ensemble_size: int = 1

    @property
    def _most_folds(self) -> int:
        return len(self.training_datasets)  # for each part of the datasets there is a student of its own

    @classmethod
    def from_dict(cls, values: dict[str, Any], source: str = "the configuration") -> StudentConfig:
        """See `Configuration.from_dict`; what the teacher decides is filled in."""
        if isinstance(values, dict) and "training_datasets" not in values:
            teacher = _configuration_of(values.get("teacher", cls.teacher), source)
            values = {key: getattr(teacher, key) for key in _OF_THE_TEACHER} | values
        return super().from_dict(values, source)

    @property
    def stride(self) -> int:
        """Frames of the coarsest resolution; every input is a whole number of these."""
        return max(self.stem * 2 ** (len(self.channels) - 1), 2 ** len(self.context_channels))

    def _check(self, source: str) -> None:
        if self.stem not in (1, 2, 4):
            raise InputError(f"{source}: stem must be 1, 2 or 4, but it is {self.stem}")
        if self.gain_weight < 0:
            raise InputError(f"{source}: gain_weight must not be negative, but it is {self.gain_weight}")
        for key in ("simulated_share", "rescaled_share"):
            if not 0 <= getattr(self, key) <= 1:
                raise InputError(f"{source}: {key} must lie between 0 and 1, but it is {getattr(self, key)}")
        super()._check(source)


def _configuration_of(name: str, source: str) -> UniversalConfig:
    """The configuration of the teacher of this name."""
    from cascade_engine.networks.store import load_model

    teacher = load_model(name)
    if teacher.family != UniversalConfig.family:
        raise InputError(
            f"{source}: the teacher must be a universal model, but {name} is of the {teacher.family} family"
        )
    return teacher.config
