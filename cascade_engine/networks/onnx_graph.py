"""Building ONNX graphs: the pieces that the graphs of all families share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cascade_engine.errors import MissingExtraError

_OPSET = 17
_IR_VERSION = 8

#: Length of each axis of a tensor; an axis of any length has a name.
Shape = Sequence[int | str]


class Graph:
    """Nodes and constants of a graph under construction.

    Tensors are known by their names: every method that adds one returns its name.
    """

    def __init__(self) -> None:
        try:
            import onnx
        except ImportError:
            raise MissingExtraError("onnx", "import", "writing a model") from None
        self._onnx: Any = onnx
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def add(self, operator: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Add a node; without `output` its name is made from the operator."""
        output = output or f"{operator.lower()}{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, value: np.ndarray, name: str) -> str:
        """Add an array, or replace the one of the same name."""
        self._constants[name] = self._onnx.numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def number(self, value: float) -> str:
        """Add a number in single precision."""
        return self.constant(np.array(value, dtype=np.float32), f"number_{value:g}")

    def integer(self, value: int) -> str:
        """Add an integer."""
        return self.constant(np.array(value, dtype=np.int64), f"integer_{value}")

    def integers(self, *values: int) -> str:
        """Add a list of integers."""
        return self.constant(np.array(values, dtype=np.int64), "integers_" + "_".join(map(str, values)))

    def write(self, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape], description: str) -> bytes:
        """The finished graph as the content of an ``.onnx`` file.

        Parameters
        ----------
        inputs, outputs : mapping of str to sequence
            Shapes of the graph's inputs and outputs, all in single precision, by name.
        description : str
            Text that is kept in the file.

        Returns
        -------
        bytes
            Checked by onnx.
        """
        helper = self._onnx.helper

        def tensors(shapes: Mapping[str, Shape]) -> list[Any]:
            kind = self._onnx.TensorProto.FLOAT
            return [helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()]

        graph = helper.make_graph(
            self._nodes,
            "cascade",
            tensors(inputs),
            tensors(outputs),
            initializer=list(self._constants.values()),
            doc_string=description,
        )
        model = helper.make_model(
            graph,
            producer_name="cascade_engine",
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
        )
        self._onnx.checker.check_model(model)
        return model.SerializeToString()
