"""What the user can choose about a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from cascade_adapters.containers.base import Reading
from cascade_engine.errors import InputError
from cascade_engine.networks.store import AUTOMATIC
from cascade_engine.signal.dff import Baseline
from cascade_engine.signal.noise import as_frame_rate

EXISTING = ("error", "skip", "overwrite")

DFF = ("auto", "container", "compute")

_BASELINE_KEYS = {"baseline": "method", "baseline_window_s": "window_s", "baseline_percentile": "percentile"}


@dataclass(frozen=True)
class Options:
    """What the user can choose.

    Attributes
    ----------
    model : str
        Name or folder of the model.
    frame_rate : float or None
        Frame rate per plane in Hz, instead of the container's.
    neuropil_coefficient : float or None
        Instead of the container's.
    dff : {"auto", "container", "compute"}
        Take the container's dF/F or compute it; see `cascade_adapters.containers.base.Reading`.
    arbitrary_units : bool
        Accept traces in arbitrary units for want of dF/F.
    baseline : Baseline
        How F0 is found.
    smoothing : float or None
        Width (s) of the kernel with which spikes are smoothed; default: the model's.
    kernel : {"gaussian", "causal"} or None
        Its form; default: the model's.
    population : {"principal", "interneurons"} or None
        What the neurons are, for the universal model.
    indicator : str or None
        The calcium indicator, for the universal model; default: what the container says, if the model knows it;
        "unknown": it is not told.
    noise_level : float or None
        Noise level (percent per sqrt(Hz)) by which to choose networks, instead of each ROI's own.
    threshold : {0, 1, False}
        As in `cascade_engine.infer`.
    only_cells : bool
        Predict only ROIs that the container takes for cells; the others get NaN.
    replace_spikes : bool
        Put the rates in the place of the container's own deconvolved traces.
    existing : {"error", "skip", "overwrite"}
        What to do where results are.
    n_threads : int or None
        Threads; default: all processors.
    progress : bool
        Show a progress bar.
    """

    model: str = AUTOMATIC
    frame_rate: float | None = None
    neuropil_coefficient: float | None = None
    dff: str = "auto"
    arbitrary_units: bool = False
    baseline: Baseline = field(default_factory=Baseline)
    smoothing: float | None = None
    kernel: str | None = None
    population: str | None = None
    indicator: str | None = None
    noise_level: float | None = None
    threshold: float | bool = 0
    only_cells: bool = False
    replace_spikes: bool = False
    existing: str = "error"
    n_threads: int | None = None
    progress: bool = False

    def __post_init__(self):
        if self.existing not in EXISTING:
            raise InputError(f"existing must be one of {', '.join(EXISTING)}, but it is {self.existing!r}")
        if self.dff not in DFF:
            raise InputError(f"dff must be one of {', '.join(DFF)}, but it is {self.dff!r}")
        if not (self.threshold is False or self.threshold in (0, 1)):
            raise InputError(f"threshold must be 0, 1 or False, but it is {self.threshold!r}")
        if self.frame_rate is not None:
            as_frame_rate(self.frame_rate)
        if self.neuropil_coefficient is not None and not 0 <= self.neuropil_coefficient <= 2:
            raise InputError(
                f"the neuropil coefficient must lie between 0 and 2, but it is {self.neuropil_coefficient}"
            )
        if self.noise_level is not None and not 0 < self.noise_level < np.inf:
            raise InputError(f"the noise level must be above 0, but it is {self.noise_level}")

    @property
    def reading(self) -> Reading:
        """What concerns the reading of traces."""
        return Reading(self.frame_rate, self.neuropil_coefficient, self.dff, self.arbitrary_units)


def parse_options(given: Mapping[str, Any]) -> Options:
    """Options from keyword arguments.

    Parameters
    ----------
    given : mapping
        Fields of `Options`; ``baseline`` may be the name of a method, with ``baseline_window_s`` and
        ``baseline_percentile`` beside it.

    Returns
    -------
    Options
        Checked.

    Raises
    ------
    InputError
        If there is no such option, or a value is impossible.
    """
    values = dict(given)
    baseline = {field: values.pop(key) for key, field in _BASELINE_KEYS.items() if key in values}
    if baseline:
        method = baseline.get("method")
        values["baseline"] = method if isinstance(method, Baseline) else Baseline(**baseline)
    known = [field.name for field in fields(Options)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(f"there is no option {', '.join(unknown)}; there are {', '.join(known)}")
    return Options(**values)
