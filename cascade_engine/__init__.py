"""Calibrated spike inference from calcium imaging: arrays in, arrays out.

``predict(dff, frame_rate)`` gives the expected number of spikes per frame; ``infer`` takes the same arguments and gives
the full record. No container format is known here: that is the task of ``cascade_adapters``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cascade_engine.errors import CascadeError, CascadeWarning, InputError, ModelError
    from cascade_engine.inference import Inference, infer, predict
    from cascade_engine.kernels import single_spike_amplitude, smooth_spikes, smoothing_kernel
    from cascade_engine.metrics import Score, score
    from cascade_engine.models.config import ModelConfig
    from cascade_engine.models.published import import_published
    from cascade_engine.models.store import Model, list_models, load_model
    from cascade_engine.noise import noise_levels

#: Public names and the modules that define them; each is imported when it is first used.
_PUBLIC = {
    "CascadeError": "errors",
    "CascadeWarning": "errors",
    "Inference": "inference",
    "InputError": "errors",
    "Model": "models.store",
    "ModelConfig": "models.config",
    "ModelError": "errors",
    "Score": "metrics",
    "import_published": "models.published",
    "infer": "inference",
    "list_models": "models.store",
    "load_model": "models.store",
    "noise_levels": "noise",
    "predict": "inference",
    "score": "metrics",
    "single_spike_amplitude": "kernels",
    "smooth_spikes": "kernels",
    "smoothing_kernel": "kernels",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"cascade_engine.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
