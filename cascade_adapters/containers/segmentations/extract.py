"""EXTRACT: robust estimates of traces, from a movie that EXTRACT turns into dF/F unless its settings say otherwise."""

from __future__ import annotations

from pathlib import Path

from cascade_adapters.containers.base import Reading, Rois, Traces
from cascade_adapters.containers.segmentations.matlab import Struct, find_struct
from cascade_adapters.containers.segmentations.source import SegmentationSource
from cascade_engine.errors import InputError


class ExtractFile(SegmentationSource):
    """A ``.mat`` file with EXTRACT's output, as EXTRACT returns it or as CIAtah stores it."""

    kind = "EXTRACT"
    looks_for = ".mat files with EXTRACT's output struct"

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Whether the file has a struct of temporal and spatial weights."""
        return _own_struct(path) is not None or _ciatah_struct(path) is not None

    def read(self, reading: Reading = Reading()) -> Traces:
        """Read the traces; see `Container.read`."""
        rate = self.given_frame_rate(reading)
        struct = _own_struct(self.path)
        if struct is not None:
            name = f"{struct.name}.temporal_weights"
            values = struct.traces("temporal_weights", "frames x cells").T
        elif (struct := _ciatah_struct(self.path)) is not None:
            name = f"{struct.name}.traces"
            values = struct.traces("traces", "cells x frames")
        else:
            raise InputError(f"{self.path} holds no output of EXTRACT any more")
        if struct.scalar("config.temporal_denoising"):
            raise InputError(
                f"{self.path}: EXTRACT was run with temporal_denoising: the noise by which networks are chosen is gone"
            )
        remarks = []
        if struct.text("config.trace_output_option") == "nonneg":
            remarks.append(
                "EXTRACT's trace_output_option was nonneg: whatever would be below zero was cut off, so that the noise "
                "level is underestimated (pass --noise-level if you know it)"
            )
        return self.traces_of(values, _unit(struct), reading, rate, name, remarks=remarks)

    def rois(self) -> Rois | None:
        """Where the cells lie; see `Container.rois`."""
        struct = _own_struct(self.path)
        if struct is not None:
            return struct.rois("spatial_weights")
        struct = _ciatah_struct(self.path)
        return None if struct is None else struct.rois("filters")


def _own_struct(path: Path) -> Struct | None:
    return find_struct(path, "temporal_weights", "spatial_weights")


def _ciatah_struct(path: Path) -> Struct | None:
    return find_struct(path, "traces", "filters")


def _unit(struct: Struct) -> str:
    preprocessed, skipped = struct.scalar("config.preprocess"), struct.scalar("config.skip_dff")
    if preprocessed and not skipped:
        return "dff"
    if preprocessed is None:
        return "the file does not say what EXTRACT's movie was"
    return "EXTRACT was set not to compute dF/F (config.preprocess or skip_dff)"
