"""Rates that suite2p's GUI can show, but neither change nor save."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

#: What the GUI stores arrays with, or makes of them what it stores later: merged and drawn ROIs are further rows.
_KEEPING = (np.save, np.savez, np.savez_compressed, np.concatenate, np.append, np.vstack, np.insert, np.delete)


class ShownRates(np.ndarray):
    """An array that looks like our rates; whoever saves it, or adds rows to it, gets what was there before instead.

    The GUI scales each row in place when it draws it, and writes the array to ``spks.npy`` when ROIs are merged or
    drawn. Here rows are given as copies, and suite2p's own spikes are what is kept.

    Parameters
    ----------
    rates : array, shape (n_rois, n_frames)
        What to show.
    own : array, shape (n_rois, n_frames)
        What stands behind it.

    Attributes
    ----------
    own : array or None
        None for parts and copies, which stand for nothing.

    Examples
    --------
    >>> shown = ShownRates(np.ones((2, 3)), own=np.zeros((2, 3)))
    >>> shown[0] *= 5
    >>> float(shown.max()), np.concatenate((shown, np.ones((1, 3)))).tolist()
    (1.0, [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    """

    own: np.ndarray | None

    def __new__(cls, rates: np.ndarray, own: np.ndarray) -> ShownRates:
        if rates.shape != own.shape:
            raise ValueError(f"rates of shape {rates.shape} cannot stand for spikes of shape {own.shape}")
        shown = np.array(rates, dtype=own.dtype).view(cls)
        shown.own = own
        return shown

    def __array_finalize__(self, source: Any) -> None:
        self.own = None

    def __getitem__(self, index: Any) -> Any:
        return np.array(super().__getitem__(index))

    def __array_function__(self, func: Callable, types: Any, args: Any, kwargs: Any) -> Any:
        if func in _KEEPING:
            return func(*(_behind(each) for each in args), **{key: _behind(each) for key, each in kwargs.items()})
        return super().__array_function__(func, types, args, kwargs)

    def tobytes(self, order: Any = "C") -> bytes:
        """The bytes of what stands behind it, which MATLAB files are written from."""
        return super().tobytes(order) if self.own is None else self.own.tobytes(order)


def _behind(value: Any) -> Any:
    """A value, with arrays that are only shown replaced by what stands behind them."""
    if isinstance(value, list | tuple):
        return type(value)(_behind(each) for each in value)
    if isinstance(value, ShownRates):
        return np.array(value).view(np.ndarray) if value.own is None else value.own
    return value
