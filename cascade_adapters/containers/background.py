"""Fluorescence with and without the background under each ROI.

CaImAn takes the background out of its traces. Where it is to be stored in a form that everybody knows, F holds all
light from the place of a ROI and the neuropil is that background; dF/F is then computed from the two taken apart again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cascade_adapters.containers.base import Traces
from cascade_adapters.results.rows import ComputedRows

#: Where a conversion notes that the neuropil of a recording is the background that F holds too.
NEUROPIL_IS_BACKGROUND = "cascade_neuropil_is_background"


def with_background(traces: Traces) -> Traces:
    """The same with all light in `fluorescence`, and the background as `neuropil`, to be subtracted in full.

    Where there is neuropil as well, it stays.
    """
    one, other = traces.fluorescence, traces.background
    assert one is not None and other is not None
    total = ComputedRows(one.shape, lambda rows: np.asarray(one[rows]) + np.asarray(other[rows]), one.dtype)
    if traces.neuropil is not None:
        return replace(traces, fluorescence=total, background=None)
    return replace(traces, fluorescence=total, background=None, neuropil=other, neuropil_coefficient=1.0)


def without_background(traces: Traces) -> Traces:
    """What `with_background` was made from."""
    one, other = traces.fluorescence, traces.neuropil
    assert one is not None and other is not None and traces.background is None
    own = ComputedRows(one.shape, lambda rows: np.asarray(one[rows]) - np.asarray(other[rows]), one.dtype)
    source = f"{traces.source}; what stands as neuropil is the background under each ROI"
    return replace(traces, fluorescence=own, background=other, neuropil=None, neuropil_coefficient=0.0, source=source)
