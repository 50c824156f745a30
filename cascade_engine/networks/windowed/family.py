"""The published architecture as a family of networks: each model has one frame rate, smoothing and kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.networks.base import Family, Predictor
from cascade_engine.networks.settings import NOT_GIVEN, Settings
from cascade_engine.networks.store import Model
from cascade_engine.networks.windowed.config import ModelConfig
from cascade_engine.networks.windowed.predictor import WindowedPredictor

if TYPE_CHECKING:
    from cascade_engine.ground_truth.records import Dataset
    from cascade_engine.networks.training_loop import Trainer


class WindowedFamily(Family):
    """The published architecture."""

    name = "windowed"
    config = ModelConfig

    def noise_levels(self, model: Model) -> np.ndarray:
        """See `Family.noise_levels`."""
        return np.array(sorted(float(entry["noise_level"]) for entry in model.card["networks"]))

    def describe(self, model: Model) -> str:
        """See `Family.describe`."""
        config, levels = model.config, ", ".join(f"{level:g}" for level in model.noise_levels)
        return f"{config.sampling_rate:g} Hz, {config.kernel} {1000 * config.smoothing:g} ms, noise levels {levels}"

    def not_for(self, model: Model) -> list[str]:
        """See `Family.not_for`."""
        config = model.config
        return [f"frame rates other than {config.sampling_rate:g} Hz", *super().not_for(model)]

    def resolve(self, model: Model, settings: Settings, frame_rate: float, container_indicator: str | None) -> Settings:
        """See `Family.resolve`; the model's smoothing and kernel are all that there are."""
        config = model.config
        if settings.smoothing not in (None, config.smoothing) or settings.kernel not in (None, config.kernel):
            raise InputError(
                f"model {model.name} gives spikes smoothed by a {config.kernel} kernel of {config.smoothing:g} s and "
                "no other: leave out smoothing and kernel, or choose the universal model"
            )
        given = {"a population": settings.population, "an indicator": settings.indicator}
        for what, value in given.items():
            if value not in (None, NOT_GIVEN):
                raise InputError(f"model {model.name} cannot be given {what}: leave it out, or choose another model")
        return replace(settings, smoothing=config.smoothing, kernel=config.kernel, population=None, indicator=None)

    def open(self, model: Model, frame_rate: float, settings: Settings) -> Predictor:
        """See `Family.open`."""
        return WindowedPredictor(model, frame_rate, settings)

    def settings_to_judge(self, model: Model, dataset: str, asked: Settings, noise_level: float) -> Settings:
        """See `Family.settings_to_judge`."""
        return Settings(noise_level=noise_level)

    def trainer(self, config: ModelConfig, datasets: Sequence[Dataset], transfer: Model | None = None) -> Trainer:
        """See `Family.trainer`."""
        from cascade_engine.networks.windowed.reader import read_networks
        from cascade_engine.networks.windowed.trainer import WindowedTrainer

        if transfer is not None and transfer.family != self.name:
            raise InputError(f"{transfer.name} is of the {transfer.family} family: its weights do not fit")
        return WindowedTrainer(config, datasets, None if transfer is None else read_networks(transfer))

    def usual_frame_rate(self, model: Model) -> float:
        """See `Family.usual_frame_rate`."""
        return model.config.sampling_rate

    def evaluation_rate(self, model: Model) -> float | None:
        """See `Family.evaluation_rate`."""
        return model.config.sampling_rate


FAMILY = WindowedFamily()
