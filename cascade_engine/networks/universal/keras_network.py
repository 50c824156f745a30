"""The universal network in Keras: a U-Net over time whose features are modulated by what is known of the neuron.

Two parts are trained as one. The *context* part looks at the whole trace, coarsely, and describes the neuron by a few
numbers: how large and how long its transients are, how often they come. The *spikes* part is a U-Net that gives the
expected spikes per frame; all its features are scaled and shifted (FiLM, Perez et al. 2018) by functions of frame rate,
noise and context. Every layer has a name, by which `cascade_engine.networks.universal.graph` finds its weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cascade_engine.networks.keras import import_keras
from cascade_engine.networks.universal.architecture import (
    COARSE,
    CONTEXT,
    DFF_GAIN,
    FINE,
    LARGEST_FEATURE,
    LAST,
    LOG_NOISE_CENTRE,
    N_CONDITIONS,
    NOISE_GAIN,
    SHARPNESS,
    STEP,
)
from cascade_engine.networks.universal.config import UniversalConfig

if TYPE_CHECKING:
    import keras


def build_network(config: UniversalConfig) -> keras.Model:
    """Build an untrained network.

    Parameters
    ----------
    config : UniversalConfig
        Its sizes.

    Returns
    -------
    keras.Model
        From dF/F (batch, frames), conditions (batch, N_CONDITIONS) and a mask (batch, frames; 0 where there is no
        value) to the expected spikes per frame (batch, frames). The frames are a multiple of ``config.stride``.
    """
    keras = import_keras()
    layers, ops = keras.layers, keras.ops

    def modulated(x, described, name: str):
        n = x.shape[-1]
        start = keras.initializers.RandomNormal(stddev=0.02)
        film = ops.expand_dims(layers.Dense(2 * n, kernel_initializer=start, name=f"{name}_film")(described), 1)
        return ops.relu(x * (1.0 + film[..., :n]) + film[..., n:])

    def convolution(n: int, length: int, name: str, stride: int = 1):
        return layers.Conv1D(n, length, strides=stride, padding="same", name=name)

    dff = keras.Input((None,), name="dff")
    known = keras.Input((N_CONDITIONS,), name="conditions")
    mask = keras.Input((None,), name="mask")
    noise_sd = ops.exp(known[:, 1:2] + LOG_NOISE_CENTRE)
    seen = ops.expand_dims(mask, -1)
    traces = ops.stack([ops.arcsinh(dff / noise_sd) * NOISE_GAIN, ops.arcsinh(dff * DFF_GAIN)], -1) * seen
    told = ops.concatenate([layers.Dense(16, activation="relu", name="told")(known), known], -1)

    x, present = traces, seen
    for i, n in enumerate(config.context_channels):
        x = modulated(convolution(n, CONTEXT, f"context{i}", 2)(x), told, f"context{i}")
        present = ops.max_pool(present, 2, 2)
        x = x * present
    total = ops.sum(present, 1) + 1e-3
    mean = ops.sum(x, 1) / total
    variance = ops.sum(ops.square(x - ops.expand_dims(mean, 1)) * present, 1) / total
    pooled = [mean, ops.sqrt(variance + 1e-4)]
    for sharpness in SHARPNESS:
        powers = ops.exp(sharpness * ops.minimum(x, LARGEST_FEATURE)) * present
        pooled.append(ops.log(ops.sum(powers, 1) / total + 1e-6) / sharpness)
    described = layers.Dense(64, activation="relu", name="pooled")(ops.concatenate([*pooled, known], -1))
    context = layers.Dense(config.context_size, activation="tanh", name="context")(described)
    described = ops.concatenate([told, context], -1)

    channels = config.channels
    x = modulated(convolution(channels[0], FINE, "fine0")(traces), described, "fine0")
    x = modulated(convolution(channels[0], FINE, "fine1")(x), described, "fine1")
    skipped = [x]
    for i, n in enumerate(channels[1:], start=1):
        x = modulated(convolution(n, STEP, f"down{i}", 2)(x), described, f"down{i}")
        x = modulated(convolution(n, COARSE, f"coarse{i}")(x), described, f"coarse{i}")
        skipped.append(x)
    for i in reversed(range(len(channels) - 1)):
        x = layers.UpSampling1D(2)(convolution(channels[i], 1, f"narrow{i}")(x))
        x = ops.concatenate([x, skipped[i]], -1)
        x = modulated(convolution(channels[i], COARSE if i else LAST, f"up{i}")(x), described, f"up{i}")
    # most frames hold no spike: the output starts low
    low = keras.initializers.Constant(-3.0)
    spikes = layers.Conv1D(1, 1, bias_initializer=low, name="spikes")(x)[..., 0]
    return keras.Model([dff, known, mask], ops.softplus(spikes) * mask)


def read_weights(network: keras.Model) -> dict[str, np.ndarray]:
    """Weights of a network as arrays, named ``LAYER/kernel`` and ``LAYER/bias``."""
    return {f"{layer.name}/{part.name}": np.asarray(part) for layer in network.layers for part in layer.weights}
