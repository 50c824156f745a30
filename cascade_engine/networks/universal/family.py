"""The universal model as a family of networks: one model for every frame rate, smoothing and kernel."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.networks.base import Family, Predictor
from cascade_engine.networks.indicators import plain_name
from cascade_engine.networks.settings import NOT_GIVEN, POPULATIONS, Settings, default_smoothing
from cascade_engine.networks.store import Model
from cascade_engine.networks.universal.architecture import INDICATOR_FAMILIES, known_indicator
from cascade_engine.networks.universal.config import UniversalConfig
from cascade_engine.networks.universal.predictor import UniversalPredictor
from cascade_engine.signal.kernels import smoothing_kernel

if TYPE_CHECKING:
    from cascade_engine.ground_truth.records import Dataset
    from cascade_engine.networks.training_loop import Trainer


class UniversalFamily(Family):
    """The universal model."""

    name = "universal"
    config = UniversalConfig

    def noise_levels(self, model: Model) -> np.ndarray:
        """See `Family.noise_levels`; any level up to the highest of the training."""
        return np.array([0.0, max(model.config.noise_range)])

    def describe(self, model: Model) -> str:
        """See `Family.describe`."""
        low, high = min(model.config.frame_rates), max(model.config.frame_rates)
        return f"{low:g} to {high:g} Hz, any smoothing and kernel, noise levels up to {model.noise_levels.max():g}"

    def indicators(self, model: Model) -> list[str]:
        """See `Family.indicators`."""
        return [name for names in INDICATOR_FAMILIES for name in names]

    def not_for(self, model: Model) -> list[str]:
        """See `Family.not_for`."""
        return [
            *super().not_for(model),
            "exact counts of single cells, above all of interneurons: the error above says how far off they are",
        ]

    def resolve(self, model: Model, settings: Settings, frame_rate: float, container_indicator: str | None) -> Settings:
        """See `Family.resolve`; what is left open comes from the published name that was asked for, if it says it."""
        preset = model.preset or {}
        smoothing = settings.smoothing
        if smoothing is None:
            smoothing = preset.get("smoothing", default_smoothing(frame_rate))
        kernel = settings.kernel or preset.get("kernel", "gaussian")
        smoothing_kernel(frame_rate, float(smoothing), kernel)  # refuses what is impossible
        return replace(
            settings,
            smoothing=float(smoothing),
            kernel=kernel,
            population=settings.population or preset.get("population", POPULATIONS[0]),
            indicator=_indicator(settings.indicator or preset.get("indicator"), container_indicator),
        )

    def open(self, model: Model, frame_rate: float, settings: Settings) -> Predictor:
        """See `Family.open`."""
        return UniversalPredictor(model, frame_rate, settings)

    def settings_to_judge(self, model: Model, dataset: str, asked: Settings, noise_level: float) -> Settings:
        """See `Family.settings_to_judge`."""
        is_interneurons = dataset in model.config.interneuron_datasets
        return replace(asked, population="interneurons") if is_interneurons else asked

    def usual_frame_rate(self, model: Model) -> float:
        """See `Family.usual_frame_rate`; that of the published name that was asked for, if there is one."""
        if model.preset:
            return float(model.preset["frame_rate"])
        low, high = min(model.config.frame_rates), max(model.config.frame_rates)
        return float(min(max(super().usual_frame_rate(model), low), high))

    def trainer(self, config: UniversalConfig, datasets: Sequence[Dataset], transfer: Model | None = None) -> Trainer:
        """See `Family.trainer`; there is no transfer."""
        from cascade_engine.networks.universal.trainer import UniversalTrainer

        if transfer is not None:
            raise InputError("a universal model cannot start from the weights of another model")
        return UniversalTrainer(config, datasets)


def _indicator(chosen: str | None, container_indicator: str | None) -> str:
    """The indicator that the networks are given, or `NOT_GIVEN`."""
    if chosen is None:
        return known_indicator(container_indicator or "") or NOT_GIVEN
    if chosen == NOT_GIVEN:
        return NOT_GIVEN
    known = known_indicator(chosen)
    if known is None:
        known_names = [name for names in INDICATOR_FAMILIES for name in names]
        by_plain = {plain_name(name): name for name in known_names}
        close = difflib.get_close_matches(plain_name(chosen), by_plain, n=1, cutoff=0.8)
        hint = f"did you mean {by_plain[close[0]]}? Else " if close else ""
        raise InputError(
            f"the model does not know the indicator {chosen!r}: {hint}leave it out, or name one of "
            f"{', '.join(known_names)}"
        )
    return known


FAMILY = UniversalFamily()
