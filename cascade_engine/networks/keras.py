"""Keras 3, in which networks are trained."""

from __future__ import annotations

import os

from cascade_engine.errors import MissingExtraError


def import_keras():
    """Import Keras 3 on the backend chosen by ``KERAS_BACKEND`` (TensorFlow unless set)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import keras
    except ImportError:
        raise MissingExtraError("keras 3 with tensorflow", "train", "training") from None
    if int(keras.__version__.split(".")[0]) < 3:
        raise MissingExtraError(f"keras 3 (found {keras.__version__})", "train", "training")
    return keras
