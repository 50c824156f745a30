"""What the ROI table (PlaneSegmentation) tells: which ROIs are cells, and where they lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from cascade_adapters.containers.base import Rois
from cascade_adapters.containers.nwb.whole import check_claim
from cascade_engine.errors import InputError

#: Columns that tell cells from other ROIs, in the order in which they are believed.
_CELL_COLUMNS = ("iscell", "is_cell", "is_accepted", "accepted", "valid_roi", "rejected", "is_rejected")

#: Description of the table that suite2p writes; its masks are (row, column) although NWB says (x, y).
_SUITE2P_TABLE = "suite2p output"


def cell_columns(table: Any, rows: np.ndarray, remarks: list[str]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Which ROIs the pipeline takes for cells, and how likely it takes each to be one.

    Parameters
    ----------
    table : pynwb.ophys.PlaneSegmentation or None
        The ROI table, if there is one.
    rows : array, shape (n_rois,), int
        Rows of the table.
    remarks : list of str
        Takes what is doubtful.

    Returns
    -------
    is_cell : array of bool, shape (n_rois,), or None
        None if the table does not say.
    cell_probability : array, shape (n_rois,), or None
        From 0 to 1.
    """
    names = {} if table is None else {name.lower(): name for name in table.colnames}
    for kind in (kind for kind in _CELL_COLUMNS if kind in names):
        try:
            check_claim(table[names[kind]].data, names[kind])
            values = np.asarray(table[names[kind]][:])
        except Exception:  # a damaged column can fail in any way
            values = np.empty(())
        if values.ndim not in (1, 2) or values.dtype.kind not in "fiub" or len(values) <= rows.max(initial=0):
            remarks.append(f"column {names[kind]} of the ROI table cannot be read and was ignored")
            continue
        values = values.reshape(len(values), -1)[rows].astype(float)
        flags = values[:, 0] > 0.5
        if kind in ("accepted", "rejected") and not flags.any():
            continue  # so does CaImAn write that nothing was ever accepted or rejected
        known = values.shape[1] > 1 and ((values[:, 1] >= 0) & (values[:, 1] <= 1)).all()
        return ~flags if kind.endswith("rejected") else flags, values[:, 1] if known else None
    return None, None


def read_rois(table: Any, rows: np.ndarray, image_shape: tuple[int, ...] | None = None) -> Rois | None:
    """Where ROIs lie.

    Parameters
    ----------
    table : pynwb.ophys.PlaneSegmentation or None
        The ROI table, if there is one.
    rows : array, shape (n_rois,), int
        Rows of the table.
    image_shape : tuple of int, optional
        Height and width, and depth of volumes, if they are known.

    Returns
    -------
    Rois or None
        None if the table has no masks. NWB's x is the column, its y the row.

    Raises
    ------
    InputError
        If the masks are damaged.
    """
    if table is None:
        return None
    if "image_mask" in table.colnames:
        check_claim(table["image_mask"].data, f"image_mask of ROI table {table.name}")
        return _from_images(table["image_mask"], rows)
    for name, axes in (("pixel_mask", "yx"), ("voxel_mask", "yxz")):
        if name in table.colnames:
            return _from_lists(table, name, rows, axes, image_shape)
    return None


def mask_products(table: Any, rows: np.ndarray, others: np.ndarray) -> np.ndarray | None:
    """Weighted mean of other masks under each ROI.

    Parameters
    ----------
    table : pynwb.ophys.PlaneSegmentation
        The ROI table.
    rows, others : array of int, shapes (n_rois,) and (n_others,)
        Rows of the table.

    Returns
    -------
    array, shape (n_rois, n_others), float32, or None
        Product of each mask with each of the others, divided by its product with itself; None without image masks.
    """
    if "image_mask" not in table.colnames:
        return None
    masks = table["image_mask"]
    check_claim(masks.data, f"image_mask of ROI table {table.name}")
    backgrounds = np.stack([np.ravel(masks[int(row)]) for row in others])
    products = np.empty((len(rows), len(others)), dtype=np.float32)
    for i, row in enumerate(rows):
        mask = np.ravel(masks[int(row)]).astype(float)
        products[i] = backgrounds @ mask / max(mask @ mask, np.finfo(float).tiny)
    return products


def _from_images(masks: Any, rows: np.ndarray) -> Rois:
    pixels, weights, shape = [], [], None
    for row in rows:
        mask = np.asarray(masks[int(row)])
        mask = np.moveaxis(mask, 1, 0)  # (x, y) to (row, column)
        shape = mask.shape
        place = np.argwhere(np.isfinite(mask) & (mask != 0))
        pixels.append(place)
        weights.append(mask[tuple(place.T)].astype(np.float32))
    return Rois(shape, pixels, weights)


def _from_lists(table: Any, name: str, rows: np.ndarray, axes: str, shape: tuple[int, ...] | None) -> Rois:
    rows_first = table.description == _SUITE2P_TABLE
    if rows_first:
        axes = axes.replace("yx", "xy")
    pixels, weights = [], []
    for row in rows:
        mask = np.asarray(table[name][int(row)])
        pixels.append(np.stack([mask[axis] for axis in axes], axis=1).astype(np.int64))
        weights.append(np.asarray(mask["weight"], dtype=np.float32))
    if any((place < 0).any() for place in pixels):
        raise InputError(f"the masks of ROI table {table.name} lie outside any image")
    return Rois(shape or _image_shape(table, rows_first), pixels, weights)


def _image_shape(table: Any, rows_first: bool) -> tuple[int, ...] | None:
    """Height and width, if an image that the table refers to tells."""
    for image in table.reference_images or ():
        dimension = getattr(image, "dimension", None)
        if dimension is not None and len(dimension) == 2:
            height, width = dimension if rows_first else dimension[::-1]
            return int(height), int(width)
    return None
