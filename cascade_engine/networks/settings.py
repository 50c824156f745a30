"""What a model can be set to: one list, resolved once against model, preset and frame rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from cascade_engine.declared import check_limits, checked_number, declared
from cascade_engine.errors import InputError
from cascade_engine.signal.kernels import KERNELS, SMOOTHING_HINT, SMOOTHING_LIMITS
from cascade_engine.signal.noise import NOISE_HINT, NOISE_LIMITS, NOISE_UNIT

#: What the neurons can be.
POPULATIONS = PRINCIPAL, INTERNEURONS = ("principal", "interneurons")

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
    noise_level : float, tuple of float (one per neuron), or None
        Noise level (percent per sqrt(Hz)) that the networks are to assume, instead of each neuron's own.
    threshold : {0, 1, False}
        0: negative values become 0. 1 or True: also values below a third of the height of a spike (1/e of
        `single_spike_amplitude`), except next to larger values. False: the networks' output as it is.
    padding : float
        Value for frames at the ends of each segment, which have no full window: NaN or 0.
    """

    smoothing: float | None = declared(
        None,
        help="Width of the kernel that spikes are smoothed with "
        f"[default: the model's, else {_DEFAULT_SMOOTHING_FRAMES:g} frames].",
        unit="s",
        metavar="S",
        limits=SMOOTHING_LIMITS,
        hint=SMOOTHING_HINT,
    )
    kernel: str | None = declared(None, help="Form of the kernel [default: the model's].", choices=KERNELS)
    population: str | None = declared(None, help="What the neurons are [default: principal].", choices=POPULATIONS)
    indicator: str | None = declared(
        None, help="Calcium indicator, e.g. GCaMP6s, or 'unknown' [default: as the data file says].", metavar="NAME"
    )
    noise_level: float | tuple[float, ...] | None = declared(
        None,
        help="Noise level that the networks assume [default: each neuron's own, as measured].",
        unit=NOISE_UNIT,
        metavar="NU",
    )
    threshold: int | bool = declared(
        0,
        help="0: no negative values; 1: also nothing below a third of a spike; none (False): as the networks give it.",
        choices=(0, 1, False),
    )
    padding: float = declared(
        math.nan, help="Value where a segment's ends have no prediction: nan or 0 [default: nan].", metavar="VALUE"
    )

    def __post_init__(self) -> None:
        check_limits(self)
        for name, choices in (("kernel", KERNELS), ("population", POPULATIONS)):
            if getattr(self, name) not in (None, *choices):
                raise InputError(f"{name} must be one of {', '.join(choices)}, but it is {getattr(self, name)!r}")
        if not isinstance(self.indicator, str | None):
            raise InputError(f"indicator must be a name, but it is {self.indicator!r}")
        if isinstance(self.threshold, np.bool_):
            object.__setattr__(self, "threshold", bool(self.threshold))
        if not (self.threshold is False or self.threshold in (0, 1)):
            raise InputError(f"threshold must be 0, 1 or False, but it is {self.threshold!r}")
        # plain values: settings can then be compared, hashed and written to JSON
        object.__setattr__(self, "indicator", self.indicator or None)
        object.__setattr__(self, "threshold", self.threshold and 1)
        object.__setattr__(self, "noise_level", _plain_levels(self.noise_level))
        object.__setattr__(self, "padding", _same_nan(_number("padding", self.padding)))
        if not (math.isnan(self.padding) or self.padding == 0):
            raise InputError(f"padding must be nan or 0, but it is {self.padding:g}")

    @property
    def given_indicator(self) -> str | None:
        """The indicator that the networks are given, if any."""
        return None if self.indicator == NOT_GIVEN else self.indicator

    @property
    def resolved_kernel(self) -> tuple[float, str]:
        """Width (s) and form of the kernel, of settings that are resolved."""
        assert self.smoothing is not None and self.kernel is not None, "settings must be resolved"
        return self.smoothing, self.kernel

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN is None, and so is what is left open."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: _jsonable(value) for name, value in values.items()}

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
            values["padding"] = math.nan
        if isinstance(values.get("noise_level"), list):
            values["noise_level"] = [math.nan if value is None else value for value in values["noise_level"]]
        return cls(**values)


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a number, but it is {value!r}") from None


def _plain_levels(noise_level: Any) -> float | tuple[float, ...] | None:
    """One number, or one per neuron, where NaN stands for a neuron without any."""
    if noise_level is None:
        return None
    if np.ndim(noise_level) == 0:
        return _noise_level(noise_level)
    if np.ndim(noise_level) > 1:
        raise InputError(f"noise_level must be one number or one per neuron, but its shape is {np.shape(noise_level)}")
    levels = tuple(_same_nan(_number("noise_level", level)) for level in noise_level)
    known = [level for level in levels if not math.isnan(level)]
    if known and np.median(known) < NOISE_LIMITS[0]:  # a few very clean neurons are nothing unusual
        _noise_level(float(np.median(known)))
    for level in known:
        checked_number("noise_level", level, (0.0, NOISE_LIMITS[1]), NOISE_UNIT, NOISE_HINT)
    return levels


def _noise_level(given: Any) -> float:
    return checked_number("noise_level", given, NOISE_LIMITS, NOISE_UNIT, NOISE_HINT)


def _same_nan(value: float) -> float:
    """The value; for NaN always the same object, so that settings with it can be equal."""
    return math.nan if math.isnan(value) else value


def _jsonable(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_jsonable(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def default_smoothing(frame_rate: float) -> float:
    """Default width (s) of the kernel at a frame rate in Hz."""
    return _DEFAULT_SMOOTHING_FRAMES / frame_rate
