"""NWB files in the layouts that pipelines and labs write, made with pynwb."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.file import Subject
from pynwb.ophys import (
    DfOverF,
    Fluorescence,
    ImageSegmentation,
    OpticalChannel,
    PlaneSegmentation,
    RoiResponseSeries,
    TwoPhotonSeries,
)

N_ROIS, N_FRAMES, RATE = 6, 300, 30.0

IMAGE_SHAPE = (24, 32)


def raw_traces(n_rois: int = N_ROIS, n_frames: int = N_FRAMES, seed: int = 0) -> np.ndarray:
    """Raw fluorescence, ROI x frame: some hundred counts, 5 % noise, slow changes."""
    rng = np.random.default_rng(seed)
    slow = 1 + 0.1 * np.sin(np.arange(n_frames) / 40 + rng.random((n_rois, 1)))
    noise = 1 + 0.05 * rng.standard_normal((n_rois, n_frames))
    return (rng.uniform(200, 900, (n_rois, 1)) * slow * noise).astype(np.float32)


def dff_traces(n_rois: int = N_ROIS, n_frames: int = N_FRAMES, seed: int = 10) -> np.ndarray:
    """dF/F as a fraction, ROI x frame."""
    return (0.05 * np.random.default_rng(seed).standard_normal((n_rois, n_frames))).astype(np.float32)


class Session:
    """An NWB file that is being put together.

    Parameters
    ----------
    imaging_rate : float or None
        Of the imaging plane, in Hz.
    """

    def __init__(self, imaging_rate: float | None = RATE):
        self.nwbfile = NWBFile(
            "a test of fluorescence",
            "test-0001",
            datetime(2024, 5, 17, 12, 30, tzinfo=timezone.utc),
            experimenter=["Doe, Jane"],
            institution="an institute",
            experiment_description="an experiment",
            keywords=["calcium"],
            subject=Subject(subject_id="1", age="P60D", sex="F", species="Mus musculus", description="a mouse"),
        )
        self._device = self.nwbfile.create_device(name="Microscope", description="a microscope")
        self._rate = imaging_rate
        self.segmentation = ImageSegmentation()
        self.module().add(self.segmentation)

    def module(self, name: str = "ophys"):
        """A processing module, made if needed."""
        if name in self.nwbfile.processing:
            return self.nwbfile.processing[name]
        return self.nwbfile.create_processing_module(name, "optical physiology")

    def imaging_plane(self, name: str = "ImagingPlane"):
        """An imaging plane, made if needed."""
        if name in self.nwbfile.imaging_planes:
            return self.nwbfile.imaging_planes[name]
        return self.nwbfile.create_imaging_plane(
            name=name,
            optical_channel=OpticalChannel(name="green", description="green light", emission_lambda=510.0),
            description="a plane",
            device=self._device,
            excitation_lambda=920.0,
            indicator="GCaMP6f",
            location="VISp",
            imaging_rate=self._rate,
        )

    def table(
        self,
        n_rows: int = N_ROIS,
        name: str = "PlaneSegmentation",
        plane: str = "ImagingPlane",
        mask: str = "image_mask",
        description: str = "ROIs",
        **columns: Sequence,
    ) -> PlaneSegmentation:
        """A table of ROIs; ROI i has pixels in column i + 1, rows 2 and 3."""
        table = self.segmentation.create_plane_segmentation(
            name=name, description=description, imaging_plane=self.imaging_plane(plane)
        )
        for i in range(n_rows):
            if mask == "image_mask":
                image = np.zeros(IMAGE_SHAPE[::-1], np.float32)  # x first
                image[i + 1, 2:4] = (0.5, 1.0)
                table.add_roi(image_mask=image)
            elif mask == "pixel_mask":
                table.add_roi(pixel_mask=[(i + 1, 2, 0.5), (i + 1, 3, 1.0)])
            else:
                table.add_roi(voxel_mask=[(i + 1, 2, 0, 0.5), (i + 1, 3, 1, 1.0)])
        for column, values in columns.items():
            table.add_column(column, f"column {column}", data=values)
        return table

    def series(
        self,
        table: PlaneSegmentation,
        values: np.ndarray,
        name: str = "RoiResponseSeries",
        container: str = "Fluorescence",
        module: str = "ophys",
        rows: Sequence[int] | None = None,
        is_dff: bool = False,
        **given: Any,
    ) -> RoiResponseSeries:
        """A series of traces, ROI x frame; everything else as pynwb takes it."""
        place = self.module(module)
        if container not in place.data_interfaces:
            place.add((DfOverF if is_dff else Fluorescence)(name=container))
        region = table.create_roi_table_region(
            region=list(range(len(table)) if rows is None else rows), description="these ROIs"
        )
        options = {"unit": "n.a.", "description": "a series of the test"} | given
        if not {"rate", "timestamps"} & set(options):
            options["rate"] = RATE
        options.setdefault("data", values.T)
        return place[container].create_roi_response_series(name=name, rois=region, **options)

    def save(self, path: Path, zarr: bool = False, cache_spec: bool = False) -> Path:
        """Write the file; without the schema in it, which takes its time."""
        if zarr:
            from hdmf_zarr import NWBZarrIO

            with NWBZarrIO(str(path), "w") as io:
                io.write(self.nwbfile)
        else:
            with NWBHDF5IO(str(path), "w") as io:
                io.write(self.nwbfile, cache_spec=cache_spec)
        return path


def simple(path: Path, zarr: bool = False, imaging_rate: float | None = RATE, **series: Any) -> Path:
    """One table, one series of raw fluorescence; `series` as `Session.series` takes it."""
    session = Session(imaging_rate)
    session.series(session.table(), **({"values": raw_traces()} | series))
    return session.save(path, zarr)


def suite2p_layout(path: Path, n_planes: int = 2, second_channel: bool = False) -> Path:
    """As suite2p writes it: one table for all planes, a container per kind of trace, series ``plane0``..."""
    session = Session()
    n_rois = n_planes * N_ROIS
    iscell = np.stack([np.arange(n_rois) % 3 != 2, np.linspace(0, 1, n_rois)], axis=1).astype(float)
    mask = "voxel_mask" if n_planes > 1 else "pixel_mask"
    table = session.table(n_rois, mask=mask, description="suite2p output", iscell=iscell)
    session.nwbfile.add_acquisition(
        TwoPhotonSeries(
            name="TwoPhotonSeries",
            imaging_plane=session.imaging_plane(),
            data=np.zeros((N_FRAMES, 2, 2), np.int8),
            unit="n.a.",
            dimension=list(IMAGE_SHAPE),
            rate=RATE * n_planes,  # suite2p writes this wrong rate
        )
    )
    containers = ["Fluorescence", "Neuropil", "Deconvolved"]
    containers += ["Fluorescence_chan2", "Neuropil_chan2"] if second_channel else []
    for kind, container in enumerate(containers):
        for plane in range(n_planes):
            rows = range(plane * N_ROIS, (plane + 1) * N_ROIS)
            values = raw_traces(seed=10 * kind + plane)
            session.series(table, values, f"plane{plane}", container, rows=rows, unit="lumens")
    return session.save(path)


def neuroconv_layout(path: Path, generation: str = "old", suffixes: Sequence[str] = ("",)) -> Path:
    """As neuroconv writes it: all traces in ``Fluorescence``; dF/F in ``DfOverF``, or there too since lately."""
    session = Session()
    for number, suffix in enumerate(suffixes):
        table = session.table(name=f"PlaneSegmentation{suffix}", plane=f"ImagingPlane{suffix}", Accepted=[1, 1, 0] * 2)
        for kind, name in enumerate(("RoiResponseSeries", "Neuropil", "Deconvolved", "Denoised", "Baseline")):
            session.series(table, raw_traces(seed=10 * kind + number), f"{name}{suffix}")
        dff = dff_traces(seed=100 + number)
        if generation == "old":
            session.series(table, dff, f"RoiResponseSeries{suffix}", "DfOverF", is_dff=True)
        else:
            session.series(table, dff, f"DfOverF{suffix}")
    return session.save(path)


def allen_layout(path: Path, with_raw: bool = False) -> Path:
    """As the Allen Institute writes it: a container per kind of trace, each with a series ``traces``."""
    session = Session()
    table = session.table(name="cell_specimen_table", valid_roi=[True, False] * 3)
    session.series(table, dff_traces(), "traces", "dff", is_dff=True)
    session.series(table, raw_traces(), "traces", "event_detection")
    if with_raw:
        session.series(table, raw_traces(seed=1), "traces", "corrected_fluorescence")
        session.series(table, raw_traces(seed=2), "traces", "neuropil_trace")
        session.series(table, raw_traces(seed=3), "traces", "demixed_trace")
    return session.save(path)


def caiman_layout(path: Path, background: bool = True, modules: Sequence[str] = ("ophys",)) -> Path:
    """As CaImAn's ``save_NWB`` does: C as a series, YrA as ``residuals``, background components in the same table."""
    session = Session()
    for number, module in enumerate(modules):
        n_rows = N_ROIS + 2
        table = session.table(
            n_rows,
            name="PlaneSegmentation" if number == 0 else f"PlaneSegmentation{number}",
            accepted=[True, False] * (n_rows // 2),
            rejected=[False] * n_rows,
        )
        times = np.arange(N_FRAMES) / RATE
        raw = raw_traces(seed=number)
        fit = raw - raw.min(axis=1, keepdims=True)
        residuals = 3 * np.random.default_rng(number).standard_normal(raw.shape)
        options: dict[str, Any] = {"module": module, "unit": "lumens", "timestamps": times}
        session.series(table, fit, rows=range(N_ROIS), **options)
        if background:
            values = 400 + raw_traces(2, seed=5)
            session.series(table, values, "Background_Fluorescence_Response", rows=(N_ROIS, N_ROIS + 1), **options)
        session.module(module).add(
            TimeSeries(
                name="residuals",
                description="residuals",
                data=residuals.T.astype(np.float32),
                timestamps=times,
                unit="NA",
            )
        )
    return session.save(path)
