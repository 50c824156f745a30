"""What a model can be set to: one list, resolved once against model, preset and frame rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from cascade_engine.declared import declared
from cascade_engine.errors import InputError
from cascade_engine.signal.kernels import KERNELS

#: What the neurons can be.
POPULATIONS = ("principal", "interneurons")

#: Name of an indicator that the networks are not given.
NOT_GIVEN = "unknown"

#: Default width of the Gaussian, in frames: 50 ms at 30 Hz, 200 ms at 7.5 Hz.
_DEFAULT_SMOOTHING_FRAMES = 1.5


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a model can be set to; None leaves it to the model.

    `cascade_engine.networks.families.resolve` fills in what is left open. A further setting is one field here, and the
    network that uses it.

    Attributes
    ----------
    smoothing : float or None
        Width of the kernel (s) with which the spikes are smoothed, as in `smoothing_kernel`.
    kernel : {"gaussian", "causal"} or None
        Form of the kernel.
    population : {"principal", "interneurons"} or None
        What the neurons are.
    indicator : str or None
        Calcium indicator (``"GCaMP6s"``, ``"OGB-1"``, ...); ``"unknown"``: the networks are not given any.
    noise_level : float, array of shape (n_neurons,), or None
        Noise level (percent per sqrt(Hz)) that the networks are to assume, instead of each neuron's own.
    threshold : {0, 1, False}
        0: negative values become 0. 1 or True: also whatever stays below the height of a third of a spike (1/e of
        `single_spike_amplitude`), except next to larger values. False: the networks' output as it is.
    padding : float
        Value for frames at the ends of each segment, which have no full window: NaN or 0.
    """

    smoothing: float | None = declared(
        None, help="Width of the kernel [default: the model's, else 1.5 frames].", unit="s", metavar="S"
    )
    kernel: str | None = declared(None, help="Form of the kernel [default: the model's].", choices=KERNELS)
    population: str | None = declared(None, help="What the neurons are [default: principal].", choices=POPULATIONS)
    indicator: str | None = declared(
        None, help="Calcium indicator, e.g. GCaMP6s, or 'unknown' [default: the container's].", metavar="NAME"
    )
    noise_level: float | np.ndarray | None = declared(
        None,
        help="Assume this noise level, not each neuron's own.",
        unit="% per sqrt(Hz)",
        metavar="NU",
    )
    threshold: int | bool = declared(
        0,
        help="0: no negative values; 1: also nothing below a third of a spike; none: as the networks give it.",
        choices=(0, 1, False),
    )
    padding: float = declared(
        math.nan, help="Value where a segment's ends have no prediction: nan or 0 [default: nan].", metavar="VALUE"
    )

    def __post_init__(self) -> None:
        if self.smoothing is not None and not (np.isfinite(self.smoothing) and self.smoothing >= 0):
            raise InputError(f"smoothing must be a width in s, zero or more, but it is {self.smoothing!r}")
        if self.kernel not in (None, *KERNELS):
            raise InputError(f"kernel must be one of {', '.join(KERNELS)}, but it is {self.kernel!r}")
        if self.population not in (None, *POPULATIONS):
            raise InputError(f"population must be one of {', '.join(POPULATIONS)}, but it is {self.population!r}")
        if not (self.threshold is False or self.threshold in (0, 1)):
            raise InputError(f"threshold must be 0, 1 or False, but it is {self.threshold!r}")
        if self.noise_level is not None and np.ndim(self.noise_level) == 0 and not 0 < self.noise_level < np.inf:
            raise InputError(f"the noise level must be above 0, but it is {self.noise_level!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a padding of NaN is None."""
        found: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
            found[item.name] = None if isinstance(value, float) and math.isnan(value) else value
        return found

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Settings:
        """Settings from what `to_dict` has given; settings that are not known are left out.

        Raises
        ------
        InputError
            If a value is impossible.
        """
        known = {item.name for item in fields(cls)}
        values = {name: value for name, value in content.items() if name in known}
        if values.get("padding", 0.0) is None:
            del values["padding"]
        if isinstance(values.get("noise_level"), list):
            values["noise_level"] = np.array(values["noise_level"], dtype=float)
        try:
            return cls(**values)
        except TypeError as error:
            raise InputError(f"these are no settings: {error}") from None


def default_smoothing(frame_rate: float) -> float:
    """Width (s) of the kernel where nobody says otherwise, at a frame rate in Hz."""
    return _DEFAULT_SMOOTHING_FRAMES / frame_rate
