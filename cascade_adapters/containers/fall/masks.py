"""Where ROIs lie, from ``stat`` in MATLAB files of suite2p's.

Suite2P for MATLAB counts pixels from 1 within the part of the image that it used, suite2p in Python from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cascade_adapters.containers.base import Rois
from cascade_engine.errors import InputError


def read_masks(records: Sequence[Any], settings: dict[str, Any], where: str, first: int | None = None) -> Rois | None:
    """Masks in the whole image.

    Parameters
    ----------
    records : sequence
        The structs of ``stat``, one per ROI.
    settings : dict
        ``ops``: the part of the image that was used (``yrange``, ``xrange``), and its size (``Ly``, ``Lx``).
    where : str
        The file, for messages.
    first : int, optional
        What the first row and column are counted as; default: as the pixels tell.

    Returns
    -------
    Rois or None
        None if ``stat`` has no pixels.

    Raises
    ------
    InputError
        If they are damaged.
    """
    if not records or not all(isinstance(record, dict) and {"ypix", "xpix"} <= set(record) for record in records):
        return None
    y_range, x_range = (_whole_numbers(settings.get(name)) for name in ("yrange", "xrange"))
    height, width = (_one(settings.get(name)) for name in ("Ly", "Lx"))
    places = [(_whole_numbers(record["ypix"]), _whole_numbers(record["xpix"])) for record in records]
    if first is None:
        first = _first_number(places, records, None if y_range is None else len(y_range))
    pixels, weights = [], []
    for number, ((y, x), record) in enumerate(zip(places, records, strict=True)):
        lam = _numbers(record.get("lam", record.get("lambda")))
        if y is None or x is None or lam is None or not len(y) == len(x) == len(lam):
            raise InputError(f"{where}: stat({number + 1}) does not hold ypix, xpix and lam of the same pixels")
        rows, columns = _in_image(y - first, y_range), _in_image(x - first, x_range)
        if rows is None or columns is None or not (_are_within(rows, height) and _are_within(columns, width)):
            raise InputError(f"{where}: stat({number + 1}) has pixels that lie outside the image")
        pixels.append(np.stack([rows, columns], axis=1))
        weights.append(lam.astype(np.float32))
    return Rois(None if height is None or width is None else (height, width), pixels, weights)


def _first_number(places: Sequence[tuple], records: Sequence[dict], n_rows: int | None) -> int:
    """What the first row is counted as: 1, but 0 in files that were made from those of suite2p in Python."""
    known = [(y, x) for y, x in places if y is not None and x is not None and len(y)]
    if any(min(y.min(), x.min()) < 1 for y, x in known):
        return 0
    for (y, x), record in zip(places, records, strict=True):
        whole = _whole_numbers(record.get("ipix"))  # counted down the columns, from 1
        if n_rows and whole is not None and y is not None and x is not None and len(whole) == len(y) == len(x) > 0:
            return 0 if np.array_equal(whole, y + n_rows * x + 1) else 1
    return 1


def _in_image(places: np.ndarray, used: np.ndarray | None) -> np.ndarray | None:
    """Rows or columns of the whole image, from 0; None if they lie outside the part that was used."""
    if used is None:
        return places
    if places.size and not 0 <= places.min() <= places.max() < len(used):
        return None
    return used[places] - 1


def _are_within(places: np.ndarray, size: int | None) -> bool:
    return not places.size or (places.min() >= 0 and (size is None or places.max() < size))


def _numbers(value: Any) -> np.ndarray | None:
    is_numeric = isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
    return value.ravel().astype(float) if is_numeric and np.isfinite(value).all() else None


def _whole_numbers(value: Any) -> np.ndarray | None:
    values = _numbers(value)
    return None if values is None or (np.abs(values) > 1e9).any() else np.rint(values).astype(np.int64)


def _one(value: Any) -> int | None:
    values = _whole_numbers(value)
    return int(values[0]) if values is not None and len(values) == 1 and values[0] > 0 else None
