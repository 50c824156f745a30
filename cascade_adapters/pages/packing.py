"""Traces as text for a page: whole numbers of one or two bytes, in base64, with the range that they stand for.

0 is a missing value. 1 stands for the lowest value of a trace, the greatest number for its highest, so that peaks come
back exactly. Where all frames of all traces would be too much, frames are taken together in bins: of each bin the
lowest and the highest value are kept.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

#: Greatest numbers of one and of two bytes.
BYTE, WORD = 255, 65535


@dataclass(frozen=True)
class Packed:
    """One trace as whole numbers.

    Attributes
    ----------
    numbers : array of uint8 or uint16
        0 for a missing value.
    low, high : float
        What 1 and the greatest number stand for.
    """

    numbers: np.ndarray
    low: float
    high: float

    @property
    def values(self) -> np.ndarray:
        """What the numbers stand for; float64, NaN where missing."""
        steps = (BYTE if self.numbers.dtype == np.uint8 else WORD) - 1
        values = self.low + (self.numbers.astype(np.float64) - 1.0) / steps * (self.high - self.low)
        return np.where(self.numbers == 0, np.nan, values)


def pack(values: np.ndarray, low: float, high: float, greatest: int = WORD, towards: int = 0) -> Packed:
    """Turn values into whole numbers.

    Parameters
    ----------
    values : array
        Values from `low` to `high` in any unit; what is not finite is missing.
    low, high : float
        The range of values.
    greatest : {BYTE, WORD}
        Greatest number.
    towards : {-1, 0, 1}
        Round down, to the nearest number, or up.

    Returns
    -------
    Packed
        Values that are off by no more than a step: the range over `greatest` - 1.
    """
    low, high = float(f"{low:.7g}"), float(f"{high:.7g}")
    rounded = {-1: np.floor, 0: np.rint, 1: np.ceil}[towards]
    known = np.isfinite(values)
    part = (np.where(known, values, low).astype(np.float64) - low) / ((high - low) or 1.0)
    numbers = 1.0 + rounded(np.clip(part, 0.0, 1.0) * (greatest - 1) - towards * 1e-6)
    dtype = np.uint8 if greatest == BYTE else np.dtype("<u2")
    return Packed(np.where(known, np.clip(numbers, 1, greatest), 0).astype(dtype), low, high)


def range_of(values: np.ndarray) -> tuple[float, float]:
    """Lowest and highest finite value; 0 and 0 if there is none."""
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)


def in_bins(values: np.ndarray, frames_per_bin: int) -> np.ndarray:
    """Values with an axis for the frames of each bin; the last bin is filled up with NaN.

    Parameters
    ----------
    values : array, shape (n, n_frames)
        Traces.
    frames_per_bin : int
        Frames of each bin.

    Returns
    -------
    array, shape (n, n_bins, frames_per_bin)
        What is not finite is NaN.
    """
    n_bins = -(-values.shape[1] // frames_per_bin)
    filled = np.full((len(values), n_bins * frames_per_bin), np.nan, dtype=np.float32)
    filled[:, : values.shape[1]] = np.where(np.isfinite(values), values, np.nan)
    return filled.reshape(len(values), n_bins, frames_per_bin)


def as_base64(parts: list[bytes]) -> str:
    """Bytes, one part after the other, as text."""
    return base64.b64encode(b"".join(parts)).decode("ascii")
