"""Discrete spikes: the most likely spike counts behind a trace of expected spikes."""

from cascade_engine.discrete.spikes import (
    TRUSTED_NOISE_LEVEL,
    DiscreteSpikes,
    infer_discrete_spikes,
)

__all__ = ["TRUSTED_NOISE_LEVEL", "DiscreteSpikes", "infer_discrete_spikes"]
