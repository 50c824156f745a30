"""Calibrated spike inference from calcium imaging: arrays in, arrays out.

``predict(dff, frame_rate)`` gives the expected number of spikes per frame; ``infer`` takes the same arguments and gives
the full record, and ``infer_discrete_spikes`` the spikes that explain it best. No container format is known here: that
is the task of ``cascade_adapters``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cascade_engine._version import __version__

if TYPE_CHECKING:
    from cascade_engine.counts import SpikeCounts, count_spikes_in_bins
    from cascade_engine.discrete import DiscreteSpikes, infer_discrete_spikes
    from cascade_engine.errors import CascadeError, CascadeWarning, InputError, ModelError
    from cascade_engine.inference import Inference, infer, predict
    from cascade_engine.metrics import Score, score
    from cascade_engine.networks.settings import Settings
    from cascade_engine.networks.store import Model, list_models, load_model
    from cascade_engine.networks.windowed.config import ModelConfig
    from cascade_engine.networks.windowed.published import import_published
    from cascade_engine.signal.grid import FrameGrid, read_times
    from cascade_engine.signal.kernels import single_spike_amplitude, smooth_spikes, smoothing_kernel
    from cascade_engine.signal.noise import noise_levels

__all__ = [
    "CascadeError",
    "CascadeWarning",
    "DiscreteSpikes",
    "FrameGrid",
    "Inference",
    "InputError",
    "Model",
    "ModelConfig",
    "ModelError",
    "Score",
    "Settings",
    "SpikeCounts",
    "__version__",
    "count_spikes_in_bins",
    "import_published",
    "infer",
    "infer_discrete_spikes",
    "list_models",
    "load_model",
    "noise_levels",
    "predict",
    "read_times",
    "score",
    "single_spike_amplitude",
    "smooth_spikes",
    "smoothing_kernel",
]

#: The modules of these names, each imported when one of its names is first used, so that commands start at once.
_MODULES = {
    "counts": ("SpikeCounts", "count_spikes_in_bins"),
    "discrete": ("DiscreteSpikes", "infer_discrete_spikes"),
    "errors": ("CascadeError", "CascadeWarning", "InputError", "ModelError"),
    "inference": ("Inference", "infer", "predict"),
    "metrics": ("Score", "score"),
    "networks.settings": ("Settings",),
    "networks.store": ("Model", "list_models", "load_model"),
    "networks.windowed.config": ("ModelConfig",),
    "networks.windowed.published": ("import_published",),
    "signal.grid": ("FrameGrid", "read_times"),
    "signal.kernels": ("single_spike_amplitude", "smooth_spikes", "smoothing_kernel"),
    "signal.noise": ("noise_levels",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
