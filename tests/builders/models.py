"""Networks with random weights."""

from __future__ import annotations

import numpy as np

from cascade_engine.networks.windowed.config import ModelConfig
from cascade_engine.networks.windowed.weights import NetworkWeights


def random_network(seed: int, config: ModelConfig) -> NetworkWeights:
    """A network with random weights, scaled so that its output neither vanishes nor explodes."""
    rng = np.random.default_rng(seed)
    lengths = (*config.filter_sizes, 1, config.flattened_positions)
    channels = (1, *config.filter_numbers, config.dense_expansion, 1)
    kernels, biases = [], []
    for i, length in enumerate(lengths):
        shape = (length, channels[i], channels[i + 1])
        kernels.append((rng.standard_normal(shape) * np.sqrt(2 / (length * channels[i]))).astype(np.float32))
        biases.append((0.1 * rng.standard_normal(channels[i + 1])).astype(np.float32))
    return NetworkWeights(tuple(kernels), tuple(biases))
