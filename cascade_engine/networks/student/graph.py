"""Students as ONNX graphs: for each, what describes a neuron, and its spikes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cascade_engine.networks.student.config import StudentConfig
from cascade_engine.networks.universal.architecture import COARSE, FINE, N_CONDITIONS, STEP
from cascade_engine.networks.universal.graph import LayersInGraph, TraceGraph, build_context_graph


def part_names(number: int) -> tuple[str, str]:
    """Names of the two parts of a student: number 0 learned from everything, the others are for evaluation."""
    return ("context", "spikes") if number == 0 else (f"context_{number}", f"spikes_{number}")


def build_student_graphs(config: StudentConfig, weights: Mapping[str, np.ndarray]) -> tuple[bytes, bytes]:
    """Write a student.

    Parameters
    ----------
    config : StudentConfig
        Its sizes.
    weights : mapping of str to array
        As given by `cascade_engine.networks.universal.keras_network.read_weights`.

    Returns
    -------
    context, spikes : bytes
        ONNX files whose inputs and outputs are those of `build_context_graph` and `build_spikes_graph` of the universal
        model, with one member.
    """
    return build_context_graph(config, [weights]), _build_spikes_graph(config, weights)


def _build_spikes_graph(config: StudentConfig, weights: Mapping[str, np.ndarray]) -> bytes:
    graph = TraceGraph()
    traces, seen = graph.traces()
    part = LayersInGraph(graph, weights, "student")
    context = graph.add("Gather", ["context", graph.integer(0)], axis=1)
    described = graph.add("Concat", [part.told(), context], axis=1)

    def layer(x: str, name: str, length: int, stride: int = 1) -> str:
        return part.modulated(part.convolution(x, name, length, stride), described, name)

    x = layer(layer(traces, "fine0", FINE, config.stem), "fine1", COARSE)
    skipped = [x]
    for i in range(1, len(config.channels)):
        x = layer(layer(x, f"down{i}", STEP, 2), f"coarse{i}", COARSE)
        skipped.append(x)
    for i in reversed(range(len(config.channels) - 1)):
        x = graph.add("Add", [graph.upsampled(part.convolution(x, f"narrow{i}", 1)), skipped[i]])
        x = layer(x, f"up{i}", COARSE)
    x = part.convolution(x, "spikes", 1)
    # (batch, stem, steps) -> (batch, 1, frames)
    x = graph.add("Reshape", [graph.add("Transpose", [x], perm=[0, 2, 1]), graph.integers(0, 1, -1)])
    graph.add("Mul", [graph.add("Softplus", [x]), seen], "members")
    graph.add("Squeeze", ["members", graph.integers(1)], "spike_prob")
    return graph.write(
        {
            "dff": ["batch", "frames"],
            "conditions": ["batch", N_CONDITIONS],
            "mask": ["batch", "frames"],
            "context": ["batch", 1, config.context_size],
        },
        {"members": ["batch", 1, "frames"], "spike_prob": ["batch", "frames"]},
        config.model_name,
    )
