"""A universal model as two ONNX graphs: what describes a neuron, and its spikes.

``context`` is run once over a whole trace; ``spikes`` over blocks of it, with the description as one of its inputs.
Both hold all members of the ensemble.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cascade_engine.networks.onnx_graph import Graph
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


def build_context_graph(config: UniversalConfig, members: Sequence[Mapping[str, np.ndarray]]) -> bytes:
    """Write the context parts of an ensemble.

    The context layers look at a trace on a grid of several frames. With the networks that are trained on simulated
    neurons, the number of spikes can depend on where the grid lies: their context is the mean over all grids.

    Parameters
    ----------
    config : UniversalConfig
        Sizes of the networks.
    members : sequence of mapping of str to array
        Weights, as given by `cascade_engine.networks.universal.keras_network.read_weights`.

    Returns
    -------
    bytes
        ONNX file. Inputs ``dff`` (batch, frames), ``conditions`` (batch, N_CONDITIONS), ``mask`` (batch, frames);
        output ``context`` (batch, members, context_size).
    """
    outputs = []
    graph = TraceGraph()
    traces, seen = graph.traces()
    for number, weights in enumerate(members):
        part = LayersInGraph(graph, weights, f"member{number}")
        n_layers = len(config.context_channels)
        n_grids = 2**n_layers if number >= config.ensemble_size else 1
        on_grids = [part.context(*graph.moved(traces, seen, offset, n_grids), n_layers) for offset in range(n_grids)]
        outputs.append(graph.add("Unsqueeze", [graph.add("Mean", on_grids), graph.integers(1)]))
    graph.add("Concat", outputs, "context", axis=1)
    return graph.write(
        {"dff": ["batch", "frames"], "conditions": ["batch", N_CONDITIONS], "mask": ["batch", "frames"]},
        {"context": ["batch", len(members), config.context_size]},
        config.model_name,
    )


def build_spikes_graph(config: UniversalConfig, members: Sequence[Mapping[str, np.ndarray]]) -> bytes:
    """Write the U-Nets of an ensemble.

    Parameters
    ----------
    config, members
        As for `build_context_graph`.

    Returns
    -------
    bytes
        ONNX file. Inputs ``dff`` (batch, frames), ``conditions`` (batch, N_CONDITIONS), ``mask`` (batch, frames) and
        ``context`` (batch, members, context_size); outputs ``members`` (batch, members, frames) and ``spike_prob``
        (batch, frames), the mean of those that were trained on ground truth.
    """
    outputs = []
    graph = TraceGraph()
    traces, seen = graph.traces()
    for number, weights in enumerate(members):
        part = LayersInGraph(graph, weights, f"member{number}")
        context = graph.add("Gather", ["context", graph.integer(number)], axis=1)
        described = graph.add("Concat", [part.told(), context], axis=1)

        def layer(x: str, name: str, length: int, stride: int = 1, part=part, described=described) -> str:
            return part.modulated(part.convolution(x, name, length, stride), described, name)

        x = layer(layer(traces, "fine0", FINE), "fine1", FINE)
        skipped = [x]
        for i in range(1, len(config.channels)):
            x = layer(layer(x, f"down{i}", STEP, 2), f"coarse{i}", COARSE)
            skipped.append(x)
        for i in reversed(range(len(config.channels) - 1)):
            x = graph.upsampled(part.convolution(x, f"narrow{i}", 1))
            x = graph.add("Concat", [x, skipped[i]], axis=1)
            x = layer(x, f"up{i}", COARSE if i else LAST)
        x = graph.add("Softplus", [part.convolution(x, "spikes", 1)])
        outputs.append(graph.add("Mul", [x, seen]))
    graph.add("Concat", outputs, "members", axis=1)
    recorded = graph.add(
        "Slice", ["members", graph.integers(0), graph.integers(config.ensemble_size), graph.integers(1)]
    )
    graph.add("ReduceMean", [recorded], "spike_prob", axes=[1], keepdims=0)
    return graph.write(
        {
            "dff": ["batch", "frames"],
            "conditions": ["batch", N_CONDITIONS],
            "mask": ["batch", "frames"],
            "context": ["batch", len(members), config.context_size],
        },
        {"members": ["batch", len(members), "frames"], "spike_prob": ["batch", "frames"]},
        config.model_name,
    )


class TraceGraph(Graph):
    """A graph whose arrays are (batch, features, frames)."""

    def sum(self, x: str) -> str:
        """Sum over frames."""
        return self.add("ReduceSum", [x, self.integers(2)], keepdims=1)

    def upsampled(self, x: str) -> str:
        """Each frame twice."""
        scales = self.constant(np.array([1, 1, 2], dtype=np.float32), "twice")
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.add("Resize", [x, "", scales], **how)

    def moved(self, traces: str, seen: str, offset: int, n_grids: int) -> tuple[str, str]:
        """Traces and mask with zeros around them, so that a grid of `n_grids` frames begins `offset` frames before."""
        if n_grids == 1:
            return traces, seen

        def padded(x: str, *other_axes: int) -> str:
            around = np.array([*other_axes, offset, *other_axes, n_grids - offset], dtype=np.int64)
            return self.add("Pad", [x, self.constant(around, f"around_{len(around)}_{offset}_{n_grids}")])

        # the mask is padded before it gets a third axis: ONNX Runtime 1.23 would merge padding and pooling, and fail
        return padded(traces, 0, 0), self.add("Unsqueeze", [padded("mask", 0), self.integers(1)])

    def arcsinh(self, x: str, scale: str) -> str:
        return self.add("Asinh", [self.add("Mul", [x, scale])])

    def traces(self) -> tuple[str, str]:
        """Both forms in which dF/F enters, masked, and the mask."""
        log_noise = self.add("Slice", ["conditions", self.integers(1), self.integers(2), self.integers(1)])
        log_noise = self.add("Add", [log_noise, self.number(LOG_NOISE_CENTRE)])
        over_noise = self.add("Div", ["dff", self.add("Exp", [log_noise])])
        over_noise = self.add("Mul", [self.add("Asinh", [over_noise]), self.number(NOISE_GAIN)])
        forms = [over_noise, self.arcsinh("dff", self.number(DFF_GAIN))]
        forms = [self.add("Unsqueeze", [form, self.integers(1)]) for form in forms]
        seen = self.add("Unsqueeze", ["mask", self.integers(1)])
        return self.add("Mul", [self.add("Concat", forms, axis=1), seen]), seen


class LayersInGraph:
    """Layers of one network of the ensemble."""

    def __init__(self, graph: TraceGraph, weights: Mapping[str, np.ndarray], name: str) -> None:
        self._graph, self._weights, self._name = graph, weights, name

    def _parameters(self, layer: str) -> tuple[np.ndarray, np.ndarray]:
        return self._weights[f"{layer}/kernel"], self._weights[f"{layer}/bias"]

    def dense(self, x: str, layer: str) -> str:
        kernel, bias = self._parameters(layer)
        inputs = [
            x,
            self._graph.constant(kernel, f"{self._name}_{layer}_kernel"),
            self._graph.constant(bias, f"{self._name}_{layer}_bias"),
        ]
        return self._graph.add("Gemm", inputs)

    def told(self) -> str:
        x = self._graph.add("Relu", [self.dense("conditions", "told")])
        return self._graph.add("Concat", [x, "conditions"], axis=1)

    def context(self, traces: str, seen: str, n_layers: int) -> str:
        """What describes a neuron, from its whole trace on one grid."""
        graph, told = self._graph, self.told()
        x, present = traces, seen
        for i in range(n_layers):
            x = self.modulated(self.convolution(x, f"context{i}", CONTEXT, 2), told, f"context{i}")
            present = graph.add("MaxPool", [present], kernel_shape=[2], strides=[2])
            x = graph.add("Mul", [x, present])
        total = graph.add("Add", [graph.add("ReduceSum", [present, graph.integers(2)], keepdims=1), graph.number(1e-3)])
        mean = graph.add("Div", [graph.sum(x), total])
        off = graph.add("Mul", [graph.add("Sub", [x, mean]), present])
        variance = graph.add("Div", [graph.sum(graph.add("Mul", [off, off])), total])
        pooled = [mean, graph.add("Sqrt", [graph.add("Add", [variance, graph.number(1e-4)])])]
        limited = graph.add("Min", [x, graph.number(LARGEST_FEATURE)])
        for sharpness in SHARPNESS:
            powers = graph.add("Exp", [graph.add("Mul", [limited, graph.number(sharpness)])])
            powers = graph.add("Div", [graph.sum(graph.add("Mul", [powers, present])), total])
            logarithm = graph.add("Log", [graph.add("Add", [powers, graph.number(1e-6)])])
            pooled.append(graph.add("Div", [logarithm, graph.number(sharpness)]))
        described = graph.add("Squeeze", [graph.add("Concat", pooled, axis=1), graph.integers(2)])
        x = graph.add("Relu", [self.dense(graph.add("Concat", [described, "conditions"], axis=1), "pooled")])
        return graph.add("Tanh", [self.dense(x, "context")])

    def convolution(self, x: str, layer: str, length: int, stride: int = 1) -> str:
        kernel, bias = self._parameters(layer)
        # frames are a multiple of every stride: "same" padding is then as much as the kernel exceeds the stride
        surplus = length - stride
        inputs = [
            x,
            self._graph.constant(kernel.transpose(2, 1, 0), f"{self._name}_{layer}_kernel"),
            self._graph.constant(bias, f"{self._name}_{layer}_bias"),
        ]
        pads = [surplus // 2, surplus - surplus // 2]
        return self._graph.add("Conv", inputs, kernel_shape=[length], strides=[stride], pads=pads)

    def modulated(self, x: str, described: str, layer: str) -> str:
        graph = self._graph
        kernel, bias = self._parameters(f"{layer}_film")
        n = len(bias) // 2
        bias = bias + np.repeat(np.array([1.0, 0.0], dtype=np.float32), n)  # features are scaled by 1 + film
        inputs = [
            described,
            graph.constant(kernel, f"{self._name}_{layer}_film_kernel"),
            graph.constant(bias, f"{self._name}_{layer}_film_bias"),
        ]
        film = graph.add("Unsqueeze", [graph.add("Gemm", inputs), graph.integers(2)])
        scale = graph.add("Slice", [film, graph.integers(0), graph.integers(n), graph.integers(1)])
        shift = graph.add("Slice", [film, graph.integers(n), graph.integers(2 * n), graph.integers(1)])
        return graph.add("Relu", [graph.add("Add", [graph.add("Mul", [x, scale]), shift])])
