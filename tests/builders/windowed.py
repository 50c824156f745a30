"""The published network in its original form, one window at a time: the reference for everything faster."""

from __future__ import annotations

import numpy as np

from cascade_engine.networks.windowed.weights import NetworkWeights


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Valid convolution along the second axis; x is (windows, frames, inputs)."""
    patches = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[0], axis=1)
    return np.einsum("wtil,lio->wto", patches, kernel, optimize=True) + bias


def pool(x: np.ndarray) -> np.ndarray:
    """Maximum of each two neighbours; an odd frame out is dropped."""
    n_pairs = x.shape[1] // 2
    return x[:, : 2 * n_pairs].reshape(x.shape[0], n_pairs, 2, x.shape[2]).max(axis=2)


def predict_windows(windows: np.ndarray, network: NetworkWeights) -> np.ndarray:
    """Output of each window; windows is (n_windows, windowsize)."""
    kernels = [kernel.astype(np.float64) for kernel in network.kernels]
    biases = network.biases
    x = np.maximum(convolve(windows[:, :, np.newaxis].astype(np.float64), kernels[0], biases[0]), 0)
    x = pool(np.maximum(convolve(x, kernels[1], biases[1]), 0))
    x = pool(np.maximum(convolve(x, kernels[2], biases[2]), 0))
    x = np.maximum(x @ kernels[3][0] + biases[3], 0)
    return x.reshape(len(windows), -1) @ kernels[4].reshape(-1) + biases[4][0]


def predict_trace(dff: np.ndarray, networks: list[NetworkWeights], windowsize: int, before: int) -> np.ndarray:
    """Ensemble mean of a whole trace, NaN where there is no full window."""
    windows = np.lib.stride_tricks.sliding_window_view(dff, windowsize)
    output = np.full(len(dff), np.nan)
    mean = np.mean([predict_windows(windows, network) for network in networks], axis=0)
    output[before : before + len(mean)] = mean
    return output
