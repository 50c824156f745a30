"""STUB"""

from __future__ import annotations

from dataclasses import replace

from cascade_engine.networks.settings import Settings
from cascade_engine.networks.universal.architecture import UNKNOWN, indicator_family
from cascade_engine.networks.universal.predictor import UniversalPredictor
from cascade_engine.networks.windowed.predictor import WindowedPredictor

Predictor = UniversalPredictor | WindowedPredictor


def open_predictor(model, frame_rate, settings=Settings(), container_indicator=None):
    ind = settings.indicator
    if (
        ind is None
        and model.is_universal
        and not (model.preset or {}).get("indicator")
        and indicator_family(container_indicator or "") != UNKNOWN
    ):
        ind = container_indicator
    p = (UniversalPredictor if model.is_universal else WindowedPredictor)(
        model, frame_rate, settings.smoothing, settings.kernel, settings.population, ind
    )
    p.frame_rate = frame_rate
    p.settings = replace(
        settings, smoothing=p.smoothing, kernel=p.kernel, population=p.population, indicator=p.indicator
    )
    return p
