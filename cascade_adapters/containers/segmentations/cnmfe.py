"""CNMF-E as CIAtah stores it: the denoised fit in ``extractedSignals``, the trace with its noise beside it."""

from __future__ import annotations

from pathlib import Path

from cascade_adapters.containers.base import Reading, Rois, Traces
from cascade_adapters.containers.segmentations.matlab import Struct, find_struct
from cascade_adapters.containers.segmentations.source import SegmentationSource
from cascade_engine.errors import InputError

_NOISY = "extractedSignalsEst"


class CnmfeFile(SegmentationSource):
    """A ``.mat`` file with ``cnmfeAnalysisOutput``."""

    kind = "CNMF-E"
    looks_for = ".mat files with cnmfeAnalysisOutput"
    may_be_raw = False

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Whether the file has a struct of extracted signals and images."""
        return _struct(path) is not None

    def read(self, reading: Reading = Reading()) -> Traces:
        """Read the traces; see `Container.read`."""
        rate = self.given_frame_rate(reading)  # the file's totalTime is how long the computation took
        struct = _struct(self.path)
        if struct is None:
            raise InputError(f"{self.path} holds no output of CNMF-E any more")
        if struct.field(_NOISY) is None:
            raise InputError(
                f"{self.path} holds CNMF-E's denoised fit alone (extractedSignals): the noise by which networks are "
                f"chosen is gone; {_NOISY} is needed"
            )
        values = struct.traces(_NOISY, "cells x frames")
        unit = "CNMF-E has taken the background away that dF/F would be divided by"
        return self.traces_of(values, unit, reading, rate, f"{struct.name}.{_NOISY}")

    def rois(self) -> Rois | None:
        """Where the cells lie; see `Container.rois`."""
        struct = _struct(self.path)
        return None if struct is None else struct.rois("extractedImages")


def _struct(path: Path) -> Struct | None:
    return find_struct(path, "extractedSignals", "extractedImages")
