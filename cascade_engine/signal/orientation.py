"""Which axis of an array is time, as far as its numbers tell: neighbouring frames are alike."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Part of an array whose smoothness along either axis is compared.
_COMPARED = 1000

#: Along shorter axes nothing can be told.
_FEWEST = 5

#: Neighbours along the axis taken for ROIs may be this much more alike than neighbours in time.
_ALIKE = 0.3


def doubt_orientation(traces: Any) -> str:
    """Why the axes of an array may be mixed up; empty if they need not be.

    Parameters
    ----------
    traces : array-like, shape (n_rois, n_frames)
        Some of it is read.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # damaged numbers
        block = np.array(traces[:_COMPARED, :_COMPARED], dtype=np.float64)
    missing = ~np.isfinite(block)
    block = block[~missing.all(axis=1)][:, ~missing.all(axis=0)]
    block = block[np.isfinite(block).all(axis=1)]
    if min(block.shape) < _FEWEST:
        return ""
    block -= block.mean(axis=0)
    block -= block.mean(axis=1, keepdims=True)
    total = np.sum(block**2)
    if not np.isfinite(total) or total == 0:
        return ""
    in_time, between_rois = np.sum(block[:, 1:] * block[:, :-1]) / total, np.sum(block[1:] * block[:-1]) / total
    if between_rois < in_time + _ALIKE:
        return ""
    return f"neighbouring ROIs are more alike (correlation {between_rois:.2f}) than neighbouring frames ({in_time:.2f})"
