"""ONNX Runtime sessions: how every network is run."""

from __future__ import annotations

from typing import Any


def open_session(content: bytes) -> Any:
    """An ONNX Runtime session that uses one thread, for networks that are run by several threads at once."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # one thread per piece of work: pieces are independent, so this wastes less than threads that share one
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
