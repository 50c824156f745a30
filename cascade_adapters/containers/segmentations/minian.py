"""minian: it keeps its denoised fit alone, which cannot be inferred from."""

from __future__ import annotations

from pathlib import Path

from cascade_adapters.containers.base import Reading, Traces
from cascade_adapters.containers.segmentations.source import SegmentationSource
from cascade_engine.errors import InputError


class MinianFolder(SegmentationSource):
    """A folder with ``A.zarr`` and ``C.zarr``; recognised, to say why it is refused."""

    kind = "minian"
    looks_for = "folders with A.zarr and C.zarr, to be refused"

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Whether the folder has spatial and temporal components."""
        return all((path / name).is_dir() for name in ("A.zarr", "C.zarr"))

    def sources(self) -> list[Path]:
        """None that could be used."""
        return []

    def read(self, reading: Reading = Reading()) -> Traces:
        """Refuse, with the reason."""
        raise InputError(
            f"{self.path}: minian keeps its denoised fit alone (C.zarr): the noise by which networks are chosen is "
            "gone; extract the mean fluorescence of the ROIs in A.zarr from the movie and pass it as an array"
        )
