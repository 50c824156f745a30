"""STUB"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from cascade_engine.declared import declared


@dataclass(frozen=True)
class Settings:
    smoothing: float | None = declared(
        None, help="Width of the kernel [default: the model's; 1.5 frames].", unit="s", metavar="S"
    )
    kernel: str | None = declared(
        None, help="Form of the kernel [default: the model's].", choices=("gaussian", "causal")
    )
    population: str | None = declared(
        None, help="What the neurons are [default: principal].", choices=("principal", "interneurons")
    )
    indicator: str | None = declared(
        None, help="Calcium indicator, e.g. GCaMP6s, or 'unknown' [default: the container's].", metavar="NAME"
    )
    noise_level: float | None = declared(
        None, help="Choose networks by this, not by each ROI's own noise.", metavar="NU"
    )
    threshold: float | bool = declared(
        0,
        help="0: no negative values; 1: also nothing below a third of a spike; none: as the networks give it.",
        choices=(0, 1, False),
    )
    padding: float = declared(float("nan"), help="Value for frames without prediction.")

    def to_dict(self):
        return {
            f.name: (None if isinstance(v := getattr(self, f.name), float) and math.isnan(v) else v)
            for f in fields(self)
        }

    @classmethod
    def from_dict(cls, d):
        d = dict(d)
        if d.get("padding") is None:
            d.pop("padding", None)
        return cls(**d)
