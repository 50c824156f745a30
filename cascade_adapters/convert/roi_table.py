"""The table of ROIs in an NWB file: where they lie, and which are cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cascade_adapters.containers.base import Rois
from cascade_adapters.convert.session import Plane

if TYPE_CHECKING:
    import pynwb


def add_roi_table(
    nwbfile: pynwb.NWBFile, plane: Plane, imaging_plane: pynwb.ophys.ImagingPlane, description: str
) -> pynwb.ophys.PlaneSegmentation:
    """Add a table with one row per ROI, in the order of the traces.

    Parameters
    ----------
    nwbfile : pynwb.NWBFile
        The file, with a processing module ``ophys``.
    plane : Plane
        The plane whose ROIs they are; the table gets its name.
    imaging_plane : pynwb.ophys.ImagingPlane
        The same plane in the file.
    description : str
        Of the table.

    Returns
    -------
    pynwb.ophys.PlaneSegmentation
        With a column of masks, and ``iscell`` if it is known: flag, and probability if there is one.
    """
    from hdmf.common import ElementIdentifiers, VectorData, VectorIndex
    from pynwb.ophys import ImageSegmentation, PlaneSegmentation

    # all columns at once, since row by row would take long
    traces = plane.traces
    name, masks, ends = _masks(plane.rois, traces.shape[0])
    described = "Pixels of each ROI and their weights"
    if plane.rois is None:
        described = "It is not known where the ROIs lie: one pixel without weight stands for each"
    pixels = VectorData(name=name, description=described, data=masks)
    columns = [pixels, VectorIndex(name=f"{name}_index", data=ends, target=pixels)]
    if traces.is_cell is not None:
        is_cell, described = traces.is_cell.astype(float), "1 if the ROI is taken for a cell"
        if traces.cell_probability is not None:
            is_cell = np.stack([is_cell, traces.cell_probability], axis=1)
            described += ", and how likely it is one"
        columns.append(VectorData(name="iscell", description=described, data=is_cell))
    table = PlaneSegmentation(
        name=plane.name,
        description=description,
        imaging_plane=imaging_plane,
        id=ElementIdentifiers(name="id", data=np.arange(traces.shape[0])),
        columns=columns,
    )
    module = nwbfile.processing["ophys"]
    if "ImageSegmentation" not in module.data_interfaces:
        module.add(ImageSegmentation())
    module["ImageSegmentation"].add_plane_segmentation(table)
    return table


def _masks(rois: Rois | None, n_rois: int) -> tuple[str, np.ndarray, np.ndarray]:
    """The column of masks, which NWB demands: name, content, and where each ROI ends. x is the column, y the row."""
    if rois is None:
        rois = Rois(None, [np.zeros((1, 2), int)] * n_rois, [np.zeros(1)] * n_rois)
    places, weights = np.concatenate(rois.pixels), np.concatenate(rois.weights)
    axes = ("y", "x", "z")[: places.shape[1]]
    masks = np.empty(len(places), [(axis, np.uint32) for axis in sorted(axes)] + [("weight", np.float32)])
    for axis, values in zip(axes, places.T, strict=True):
        masks[axis] = values
    masks["weight"] = weights
    ends = np.cumsum([len(each) for each in rois.pixels], dtype=np.uint32)
    return "voxel_mask" if "z" in axes else "pixel_mask", masks, ends
