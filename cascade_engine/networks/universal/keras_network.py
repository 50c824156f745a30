"""The universal network in Keras: a U-Net over time whose features are modulated by what is known of the neuron.

Two parts are trained as one. The *context* part looks at the whole trace, coarsely, and describes the neuron by a few
numbers: how large and how long its transients are, how often they come. The *spikes* part is a U-Net that gives the
expected spikes per frame; all its features are scaled and shifted (FiLM, Perez et al. 2018) by functions of frame rate,
noise and context. Every layer has a name, by which `cascade_engine.networks.universal.graph` finds its weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


class NetworkInKeras:
    """Inputs and layers that networks over whole traces have in common.

    Attributes
    ----------
    dff, known, mask : keras.KerasTensor
        The inputs: dF/F (batch, frames), conditions (batch, N_CONDITIONS), and a mask (batch, frames), 0 where there is
        no value.
    traces : keras.KerasTensor
        Both forms in which dF/F enters, (batch, frames, 2).
    """

    def __init__(self) -> None:
        keras = import_keras()
        self._keras, ops = keras, keras.ops
        self.dff = keras.Input((None,), name="dff")
        self.known = keras.Input((N_CONDITIONS,), name="conditions")
        self.mask = keras.Input((None,), name="mask")
        noise_sd = ops.exp(self.known[:, 1:2] + LOG_NOISE_CENTRE)
        self._seen = ops.expand_dims(self.mask, -1)
        forms = [ops.arcsinh(self.dff / noise_sd) * NOISE_GAIN, ops.arcsinh(self.dff * DFF_GAIN)]
        self.traces = ops.stack(forms, -1) * self._seen
        told = keras.layers.Dense(16, activation="relu", name="told")(self.known)
        self._told = ops.concatenate([told, self.known], -1)

    def convolution(self, x: Any, n: int, length: int, name: str, stride: int = 1) -> Any:
        """A convolution over time that gives `n` features."""
        return self._keras.layers.Conv1D(n, length, strides=stride, padding="same", name=name)(x)

    def modulated(self, x: Any, described: Any, name: str) -> Any:
        """Features, scaled and shifted by functions of what describes a neuron, then cut off below 0."""
        keras, ops, n = self._keras, self._keras.ops, x.shape[-1]
        start = keras.initializers.RandomNormal(stddev=0.02)
        film = keras.layers.Dense(2 * n, kernel_initializer=start, name=f"{name}_film")(described)
        film = ops.expand_dims(film, 1)
        return ops.relu(x * (1.0 + film[..., :n]) + film[..., n:])

    def description(self, config: UniversalConfig) -> Any:
        """What describes a neuron: what the network is told of it, and what it finds in the whole trace."""
        layers, ops = self._keras.layers, self._keras.ops
        x, present = self.traces, self._seen
        for i, n in enumerate(config.context_channels):
            x = self.modulated(self.convolution(x, n, CONTEXT, f"context{i}", 2), self._told, f"context{i}")
            present = ops.max_pool(present, 2, 2)
            x = x * present
        total = ops.sum(present, 1) + 1e-3
        mean = ops.sum(x, 1) / total
        variance = ops.sum(ops.square(x - ops.expand_dims(mean, 1)) * present, 1) / total
        pooled = [mean, ops.sqrt(variance + 1e-4)]
        for sharpness in SHARPNESS:
            powers = ops.exp(sharpness * ops.minimum(x, LARGEST_FEATURE)) * present
            pooled.append(ops.log(ops.sum(powers, 1) / total + 1e-6) / sharpness)
        found = layers.Dense(64, activation="relu", name="pooled")(ops.concatenate([*pooled, self.known], -1))
        context = layers.Dense(config.context_size, activation="tanh", name="context")(found)
        return ops.concatenate([self._told, context], -1)

    def twice(self, x: Any) -> Any:
        """Each step of time twice."""
        return self._keras.layers.UpSampling1D(2)(x)

    def joined(self, x: Any, other: Any) -> Any:
        """The features of both."""
        return self._keras.ops.concatenate([x, other], -1)

    def model(self, x: Any, frames_per_step: int = 1) -> keras.Model:
        """The network that gives expected spikes from the last features, each for as many frames."""
        keras = self._keras
        # most frames hold no spike: the output starts low
        low = keras.initializers.Constant(-3.0)
        spikes = keras.layers.Conv1D(frames_per_step, 1, bias_initializer=low, name="spikes")(x)
        spikes = keras.layers.Reshape((-1,))(spikes)
        return keras.Model([self.dff, self.known, self.mask], keras.ops.softplus(spikes) * self.mask)


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
    part = NetworkInKeras()
    described = part.description(config)

    def layer(x: Any, n: int, length: int, name: str, stride: int = 1) -> Any:
        return part.modulated(part.convolution(x, n, length, name, stride), described, name)

    channels = config.channels
    x = layer(layer(part.traces, channels[0], FINE, "fine0"), channels[0], FINE, "fine1")
    skipped = [x]
    for i, n in enumerate(channels[1:], start=1):
        x = layer(layer(x, n, STEP, f"down{i}", 2), n, COARSE, f"coarse{i}")
        skipped.append(x)
    for i in reversed(range(len(channels) - 1)):
        x = part.joined(part.twice(part.convolution(x, channels[i], 1, f"narrow{i}")), skipped[i])
        x = layer(x, channels[i], COARSE if i else LAST, f"up{i}")
    return part.model(x)


def read_weights(network: keras.Model) -> dict[str, np.ndarray]:
    """Weights of a network as arrays, named ``LAYER/kernel`` and ``LAYER/bias``."""
    return {f"{layer.name}/{part.name}": np.asarray(part) for layer in network.layers for part in layer.weights}
