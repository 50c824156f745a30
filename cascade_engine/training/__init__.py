"""Training networks on ground truth brought to a frame rate and noise level; needs the extra ``train``."""

from cascade_engine.training.trainer import train

__all__ = ["train"]
