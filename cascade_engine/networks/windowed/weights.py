"""The weights of the published network, and its exact dilated form as an ONNX graph.

The published network reads a window of 64 frames: convolution, convolution, pooling by 2, convolution, pooling by 2, a
dense layer at each position, flatten, one output. Run on every window of a trace it repeats almost all of its work. The
same numbers come out of one pass over the trace when every pooling takes its maximum over neighbours without skipping
frames, and everything behind it is dilated accordingly: convolution 3 by 2, the second pooling by 2, the last layer,
which reads the positions that flatten had lined up, by 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cascade_engine.errors import ModelError
from cascade_engine.networks.onnx_graph import Graph

#: Dilation behind one and behind two poolings by 2.
POOLED_ONCE, POOLED_TWICE = 2, 4

INPUT, MEAN_OUTPUT, MEMBERS_OUTPUT = "dff", "spike_prob", "members"


@dataclass(frozen=True)
class NetworkWeights:
    """Weights of one network, in single precision.

    Attributes
    ----------
    kernels : tuple of array
        Five kernels, each (length, inputs, outputs): three convolutions, the dense layer (length 1), and the output
        layer (length: the positions that flatten lines up).
    biases : tuple of array
        One (outputs,) array each.
    """

    kernels: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]

    def __post_init__(self) -> None:
        shapes = [kernel.shape for kernel in self.kernels]
        chained = len(shapes) == len(self.biases) == 5 and all(len(shape) == 3 for shape in shapes)
        if chained:
            inputs = [1] + [shape[2] for shape in shapes[:-1]]
            chained = [shape[1] for shape in shapes] == inputs and shapes[3][0] == 1 and shapes[4][2] == 1
            chained &= all(bias.shape == shape[2:] for bias, shape in zip(self.biases, shapes, strict=True))
        if not chained:
            raise ModelError(f"the layers do not form a network of this architecture: kernels of shape {shapes}")

    @property
    def arrays(self) -> list[np.ndarray]:
        """Kernel and bias of each layer in turn, as Keras lists them."""
        return [array for pair in zip(self.kernels, self.biases, strict=True) for array in pair]

    @classmethod
    def from_arrays(cls, arrays: Sequence[np.ndarray]) -> NetworkWeights:
        """From kernel and bias of each layer in turn."""
        return cls(tuple(arrays[0::2]), tuple(arrays[1::2]))

    @property
    def windowsize(self) -> int:
        """Frames that one output of the dilated form is computed from."""
        first, second, third, _, last = (kernel.shape[0] for kernel in self.kernels)
        reach = (first - 1) + (second - 1) + 1 + POOLED_ONCE * (third - 1) + POOLED_ONCE + POOLED_TWICE * (last - 1)
        return reach + 1


def build_onnx(networks: Sequence[NetworkWeights], description: str = "") -> bytes:
    """Write an ensemble as one ONNX graph with dynamic batch and time axes.

    Input ``dff``, shape (batch, frames). Output ``spike_prob``, shape (batch, frames - reach): the mean of the
    networks, not clipped; its first value belongs to the window that starts at the first frame. Output ``members``,
    shape (batch, members, frames - reach): each network alone.

    Parameters
    ----------
    networks : sequence of NetworkWeights
        Members of the ensemble.
    description : str
        Text kept in the file.

    Returns
    -------
    bytes
        Content of an ``.onnx`` file.
    """
    graph = Graph()
    # The time axis is the last of two spatial axes: runtimes have faster kernels for images than for sequences.
    axes = graph.constant(np.array([1, 2], dtype=np.int64), "image_axes")
    trace = graph.add("Unsqueeze", [INPUT, axes], "trace")
    outputs = []
    for number, network in enumerate(networks):
        prefix = f"network{number}"

        def convolve(
            x: str, layer: int, dilation: int = 1, prefix: str = prefix, network: NetworkWeights = network
        ) -> str:
            kernel, bias = network.kernels[layer], network.biases[layer]
            weights = kernel.transpose(2, 1, 0)[:, :, np.newaxis, :].astype(np.float32)
            inputs = [
                x,
                graph.constant(weights, f"{prefix}_kernel{layer}"),
                graph.constant(bias.astype(np.float32), f"{prefix}_bias{layer}"),
            ]
            return graph.add("Conv", inputs, f"{prefix}_layer{layer}", dilations=[1, dilation])

        def rectify(x: str) -> str:
            return graph.add("Relu", [x], f"{x}_relu")

        def pool(x: str, dilation: int) -> str:
            return graph.add("MaxPool", [x], f"{x}_pool", kernel_shape=[1, 2], strides=[1, 1], dilations=[1, dilation])

        x = rectify(convolve(trace, 0))
        x = pool(rectify(convolve(x, 1)), 1)
        x = pool(rectify(convolve(x, 2, POOLED_ONCE)), POOLED_ONCE)
        x = rectify(convolve(x, 3))
        outputs.append(convolve(x, 4, POOLED_TWICE))
    members = graph.add("Concat", outputs, "members_as_images", axis=1)
    height_axis = graph.constant(np.array([2], dtype=np.int64), "height_axis")
    graph.add("Squeeze", [members, height_axis], MEMBERS_OUTPUT)
    graph.add("ReduceMean", [MEMBERS_OUTPUT], MEAN_OUTPUT, axes=[1], keepdims=0)
    return graph.write(
        {INPUT: ["batch", "frames"]},
        {MEAN_OUTPUT: ["batch", "output_frames"], MEMBERS_OUTPUT: ["batch", len(networks), "output_frames"]},
        description,
    )
