"""Inscopix: cell sets (``.isxd``) through roiextractors, which reads them with Inscopix' own library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cascade_adapters.containers.base import Reading, Rois, Traces
from cascade_adapters.containers.segmentations.source import SegmentationSource
from cascade_engine.errors import InputError, MissingExtraError
from cascade_engine.file_formats.json_text import parse_json
from cascade_engine.signal.noise import as_frame_rate

#: What Inscopix calls dF/F, without capitals and blanks.
_DFF_UNITS = ("doverf", "dfoverf", "df/f")

#: The last bytes of a file are the length of the description in front of them.
_LENGTH_BYTES = 8

#: Type of cell sets in that description.
_CELL_SET = 1


class InscopixFile(SegmentationSource):
    """A cell set of Inscopix' software."""

    kind = "Inscopix"
    looks_for = ".isxd files"

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Whether it is called as Inscopix' files are."""
        return path.is_file() and path.suffix.lower() == ".isxd"

    def read(self, reading: Reading = Reading()) -> Traces:
        """Read the traces; see `Container.read`."""
        extractor = self._open()
        try:
            values = np.asarray(extractor.get_traces(), dtype=np.float32)
            n_rois, n_frames = extractor.get_num_rois(), extractor.get_num_samples()
            rate = float(extractor.get_sampling_frequency())
            info = extractor.cell_set.get_acquisition_info() or {}
            missing = ~np.asarray(extractor.cell_set.timing.get_valid_samples_mask(), dtype=bool)
            status = [extractor.cell_set.get_cell_status(roi) for roi in range(n_rois)]
        except Exception as error:  # a damaged file can fail in any way
            raise self._unreadable(error) from None
        if values.shape != (n_rois, n_frames) or missing.shape != (n_frames,):
            raise InputError(
                f"{self.path}: traces of the shape {values.shape} for {n_rois} cells and {n_frames} frames"
            )
        rate_source = "timing of the cell set"
        if reading.frame_rate is not None:
            rate, rate_source = as_frame_rate(reading.frame_rate), "given"
        is_cell = np.array([each != "rejected" for each in status])
        excluded = {"marked as dropped, cropped or blank": missing}
        source = (
            f"traces ({info.get('Trace Units', 'no units')}, {info.get('Cell Identification Method', 'no method')})"
        )
        return self.traces_of(
            values, _unit(info), reading, (rate, rate_source), source, is_cell=is_cell, excluded=excluded
        )

    def rois(self) -> Rois | None:
        """Where the cells lie; see `Container.rois`."""
        extractor = self._open()
        try:
            images = np.asarray(extractor.get_roi_image_masks())
            masks = [np.asarray(mask) for mask in extractor.get_roi_pixel_masks()]
        except Exception as error:  # a damaged file can fail in any way
            raise self._unreadable(error) from None
        return Rois(
            images.shape[:2],
            [mask[:, :2].astype(int) for mask in masks],
            [mask[:, 2].astype(np.float32) for mask in masks],
        )

    def _open(self) -> Any:
        self._check()
        try:
            import isx  # noqa: F401  (roiextractors imports it late, and says it in its own words)
            from roiextractors import InscopixSegmentationExtractor
        except ImportError:
            raise MissingExtraError("roiextractors and isx", "roiextractors", f"reading {self.path}") from None
        try:
            return InscopixSegmentationExtractor(str(self.path))
        except ImportError as error:  # of a Python or a computer that isx is not made for
            raise InputError(f"{self.path} cannot be read here: {' '.join(str(error).split())}") from None
        except Exception as error:  # a damaged file can fail in any way
            raise self._unreadable(error) from None

    def _check(self) -> None:
        """Raise unless the description at the end of the file is whole and of cells: isx takes it on trust."""
        try:
            described = self._description()
            is_cell_set = described["type"] == _CELL_SET
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise self._unreadable(error) from None
        if not is_cell_set:
            raise InputError(f"{self.path} is no cell set of Inscopix, but a movie, image or set of events")
        if described.get("CellNames") == []:
            raise InputError(f"{self.path} is an empty cell set: it holds no cells; find cells in the movie first")

    def _description(self) -> dict[str, Any]:
        """The JSON text at the end of the file; its length stands behind it, and in some files a line break as well."""
        with self.path.open("rb") as file:
            size = file.seek(0, 2)
            for n_behind in (0, 1, 2):
                end = size - n_behind - _LENGTH_BYTES
                file.seek(max(0, end))
                length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
                if 0 < length < end and not file.read().strip():
                    file.seek(end - length - 1)
                    return parse_json(file.read(length))
        raise ValueError("its description is cut off")

    def _unreadable(self, error: Exception) -> InputError:
        return InputError(
            f"{self.path} cannot be read as an Inscopix cell set: {' '.join(str(error).split()) or 'damaged'}"
        )


def _unit(info: dict[str, Any]) -> str:
    unit = str(info.get("Trace Units") or "")
    if unit.lower().replace(" ", "") in _DFF_UNITS:
        return "dff"
    return f"its traces are in units of {unit}" if unit else "the file does not say what its traces are in"
