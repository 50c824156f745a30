"""The loss by which a universal model is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cascade_engine.networks.keras import import_keras
from cascade_engine.networks.universal.config import UniversalConfig
from cascade_engine.signal.kernels import smoothing_kernel

#: Keeps the logarithm of the loss finite, in expected spikes per frame.
_FLOOR = 1e-4

#: Is added to numbers of spikes before they are compared by their logarithms: in crops without any these mean little.
_FEW_SPIKES = 0.3


def spike_loss(config: UniversalConfig, gain_weight: float = 0.0) -> Callable[[Any, Any], Any]:
    """Loss by which predicted and true spikes are compared.

    Both are smoothed with several Gaussians, and compared by the Poisson deviance. Like the squared error it is
    smallest for the expected number of spikes, so that predictions can be smoothed further afterwards; unlike it, it
    does not leave the result to the largest bursts. A second term asks for correlation within each crop, whatever the
    gain, so that the shape of a trace counts in neurons whose gain is hard to see.

    Parameters
    ----------
    config : UniversalConfig
        Widths of the Gaussians, and the weight of the second term.
    gain_weight : float
        Weight of a third term: the square of the logarithm of how far the number of spikes of a crop is off.

    Returns
    -------
    callable
        Of the target (batch, frames, 2: spikes per frame and weight) and the prediction (batch, frames).
    """
    keras = import_keras()
    ops = keras.ops
    kernels = [smoothing_kernel(1.0, width) for width in config.smoothings_frames]
    half = max(len(kernel) for kernel in kernels) // 2
    bank = np.stack([np.pad(kernel, half - len(kernel) // 2) for kernel in kernels], axis=-1)
    bank = bank[:, np.newaxis].astype(np.float32)

    def loss(target: Any, predicted: Any) -> Any:
        spikes, weight = target[..., :1], target[..., 1:]
        true = ops.conv(spikes, bank, padding="same")
        guess = ops.conv(ops.expand_dims(predicted, -1), bank, padding="same") + _FLOOR
        deviance = guess - true * ops.log(guess) - (true - true * ops.log(true + _FLOOR))
        total = ops.sum(ops.mean(deviance, -1, keepdims=True) * weight, axis=(1, 2))
        if config.correlation_weight:
            total = total + config.correlation_weight * _decorrelation(ops, true, guess, ops.sign(weight))
        if gain_weight:
            counts = (ops.sum(each, 1) + _FEW_SPIKES for each in (spikes[..., 0], predicted))
            total = total + gain_weight * ops.mean(ops.square(ops.subtract(*map(ops.log, counts))))
        return total

    return loss


def _decorrelation(ops: Any, true: Any, guess: Any, present: Any) -> Any:
    """One minus the correlation over time, averaged over the crops with spikes and over smoothings."""
    n_frames = ops.sum(present, 1, keepdims=True) + 1e-3
    true, guess = ((x - ops.sum(x * present, 1, keepdims=True) / n_frames) * present for x in (true, guess))
    power = ops.sum(ops.square(true), 1)
    correlation = ops.sum(true * guess, 1) / ops.sqrt(power * ops.sum(ops.square(guess), 1) + 1e-8)
    with_spikes = ops.cast(power > 1e-3, "float32")
    return ops.sum((1.0 - correlation) * with_spikes) / (ops.sum(with_spikes) + 1e-3)
