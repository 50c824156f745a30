"""torchvision beside another build of torch, as in some environments of tests."""

from __future__ import annotations

import contextlib


def declare_operators() -> None:
    """Declare what torchvision made for GPUs cannot declare beside a torch made for the CPU; else do nothing."""
    import torch

    for operator in ("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
                     "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"):  # fmt: skip
        name, _, signature = operator.partition("(")
        with contextlib.suppress(RuntimeError):
            torch.library.define(f"torchvision::{name}", f"({signature}")
