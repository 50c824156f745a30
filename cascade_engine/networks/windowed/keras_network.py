"""The published network as a Keras model, in the dilated form that runs over whole sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cascade_engine.networks.keras import import_keras
from cascade_engine.networks.windowed.config import ModelConfig
from cascade_engine.networks.windowed.weights import POOLED_ONCE, POOLED_TWICE, NetworkWeights

if TYPE_CHECKING:
    import keras


def build_network(config: ModelConfig) -> keras.Model:
    """Build an untrained network.

    Parameters
    ----------
    config : ModelConfig
        Its sizes.

    Returns
    -------
    keras.Model
        From dF/F (batch, frames, 1) to spike probability (batch, frames - windowsize + 1, 1). Five layers with weights,
        in the order of `NetworkWeights`.
    """
    keras = import_keras()
    layers = keras.layers
    lengths, numbers = config.filter_sizes, config.filter_numbers

    def pool(x, dilation: int):
        return layers.Maximum()([x[:, :-dilation], x[:, dilation:]])

    trace = keras.Input((None, 1), name="dff")
    x = layers.Conv1D(numbers[0], lengths[0], activation="relu")(trace)
    x = pool(layers.Conv1D(numbers[1], lengths[1], activation="relu")(x), 1)
    x = layers.Conv1D(numbers[2], lengths[2], dilation_rate=POOLED_ONCE, activation="relu")(x)
    x = pool(x, POOLED_ONCE)
    x = layers.Conv1D(config.dense_expansion, 1, activation="relu")(x)
    x = layers.Conv1D(1, config.flattened_positions, dilation_rate=POOLED_TWICE)(x)
    network = keras.Model(trace, x)
    # poolings that leave frames over read less than the window; the rest of it is cut off
    unread = config.windowsize - read_weights(network).windowsize
    return network if unread == 0 else keras.Model(trace, x[:, :-unread])


def build_window_network(config: ModelConfig, weights: NetworkWeights) -> keras.Model:
    """Build the network in its published form, one window at a time, to compare with or to write published files.

    Parameters
    ----------
    config : ModelConfig
        Its sizes.
    weights : NetworkWeights
        Its weights.

    Returns
    -------
    keras.Model
        From windows (batch, windowsize, 1) to spike probability (batch, 1).
    """
    keras = import_keras()
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((config.windowsize, 1)),
            layers.Conv1D(config.filter_numbers[0], config.filter_sizes[0], activation="relu"),
            layers.Conv1D(config.filter_numbers[1], config.filter_sizes[1], activation="relu"),
            layers.MaxPooling1D(2),
            layers.Conv1D(config.filter_numbers[2], config.filter_sizes[2], activation="relu"),
            layers.MaxPooling1D(2),
            layers.Dense(config.dense_expansion, activation="relu"),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    network.set_weights([a.reshape(v.shape) for a, v in zip(weights.arrays, network.get_weights(), strict=True)])
    return network


def read_weights(network: keras.Model) -> NetworkWeights:
    """Weights of a Keras network as plain arrays."""
    return NetworkWeights.from_arrays([np.asarray(array) for array in network.get_weights()])


def write_weights(network: keras.Model, weights: NetworkWeights) -> None:
    """Put plain arrays into a Keras network of the same sizes."""
    network.set_weights(weights.arrays)
