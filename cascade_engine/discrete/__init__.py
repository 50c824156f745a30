"""Discrete spikes: the most likely spike counts behind a trace of expected spikes."""

from cascade_engine.discrete.spikes import (
    LEAST_SMOOTHING_S,
    TRUSTED_NOISE_LEVEL,
    DiscreteSpikes,
    infer_discrete_spikes,
)

__all__ = ["LEAST_SMOOTHING_S", "TRUSTED_NOISE_LEVEL", "DiscreteSpikes", "infer_discrete_spikes"]
