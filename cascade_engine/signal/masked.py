"""Masked arrays of numpy: what is masked is missing, and missing values are NaN."""

from __future__ import annotations

from typing import Any

import numpy as np


def unmasked(values: Any) -> np.ndarray:
    """Values as a plain array, with NaN wherever a masked array (`numpy.ma`) hides one.

    Parameters
    ----------
    values : array-like
        Of any shape; a list may hold masked arrays.

    Returns
    -------
    array
        `values` itself if it is a plain array; of floating point if integers were masked.

    Examples
    --------
    >>> unmasked(np.ma.masked_greater([1, 2, 3], 2))
    array([ 1.,  2., nan])
    """
    if isinstance(values, list | tuple) and any(isinstance(each, np.ma.MaskedArray) for each in values):
        values = np.ma.array(values)
    if not isinstance(values, np.ma.MaskedArray):
        return np.asarray(values)
    if not np.ma.is_masked(values) or values.dtype.kind not in "fiu":
        return np.asarray(values)
    dtype = values.dtype if values.dtype.kind == "f" else np.result_type(values.dtype, np.float32)
    plain = np.array(values.data, dtype=dtype)
    plain[np.ma.getmaskarray(values)] = np.nan
    return plain
