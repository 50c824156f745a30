"""The arrays that `cascade convert` writes: their names, and what each is. Written by one, read by the other."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import numpy as np

from cascade_adapters.results import schema
from cascade_adapters.results.rows import Rows, blocks_of
from cascade_engine.file_formats.json_text import parse_json

#: Names of what says that dF/F, or the source's traces, are in arbitrary units or denoised.
ARBITRARY_DFF, ARBITRARY_SOURCE, DENOISED = "arbitrary_units", "source_arbitrary_units", "denoised"

#: What the arrays are; those that a session lacks are left out. Version 0.1.0 wrote the same names.
CONTENT = {
    "F": "ROIs x frames: raw fluorescence, arbitrary units",
    "Fneu": "ROIs x frames: fluorescence of the neuropil around each ROI, same units as F",
    "dff": "ROIs x frames: dF/F as a fraction, unless arbitrary_units is 1; that of the spikes, if there are any",
    "source_dff": "ROIs x frames: dF/F of the source, where it is another one",
    "infer_from": "F or dff: what spikes are inferred from unless --dff says otherwise, where there are both",
    "spike_prob": "ROIs x frames: expected spikes per frame; multiply by frame_rate for Hz; NaN: no prediction",
    "noise_levels": "per ROI: noise level of dff in percent per sqrt(Hz); NaN: not known",
    "spikes": "one row per discrete spike: ROI and frame, both from 0, time in s, confidence",
    "is_cell": "per ROI: 1 if it is taken for a cell",
    "cell_probability": "per ROI: how likely it is taken for a cell",
    "frame_rate": "frames per second of each ROI, Hz",
    "neuropil_coefficient": "part of the neuropil's changes that is not the ROI's",
    "neuropil_is_background": "1 if Fneu is the background under each ROI, all of which is part of F",
    "frames_per_session": "frames of each uninterrupted segment, where there are several",
    "dropped_frames": "one row per gap: frame, from 0, and frames that were dropped before it (-1: it repeats another)",
    "bad_frames": "frames, from 0, that are marked as bad, or were named to be left out",
    "indicator": "calcium indicator, as the source names it",
    ARBITRARY_DFF: "1 if dff is no dF/F, but traces in arbitrary units",
    ARBITRARY_SOURCE: "1 if F and source_dff are in arbitrary units, so that no dF/F can be had from them",
    DENOISED: "1 if the traces are denoised or smoothed, so that their noise level says nothing",
    "image_shape": "height and width of the image in pixels (of a volume also its depth)",
    "pixels": "one row per pixel: ROI, row, column (of a volume also the plane), all counted from 0",
    "pixel_weights": "weight of each of these pixels in its ROI",
    "plane": "name of the imaging plane",
    "record": "how spike_prob came about: versions, model, settings, warnings (JSON)",
}

#: Arrays that spikes can be inferred from.
TRACES = ("F", "dff", "source_dff")

#: The name of an array; with several planes, that of the plane stands in front.
_NAME = re.compile(r"(?:(?P<plane>plane\d+)_)?(?P<name>\w+)")


def content() -> dict[str, str]:
    """What every array is, by its name: `CONTENT`, and whatever else the list of result arrays holds."""
    others = {
        array.name: f"{'ROIs x frames' if array.has_frames else 'per ROI'}: {array.description} ({array.unit})"
        for array in schema.ARRAYS
        if array.name not in CONTENT
    }
    return {**CONTENT, **others}


def describes_ours(text: Any) -> bool:
    """Whether a text, or what was read from it, is what `content` gives, of this version or another."""
    try:
        found = parse_json(text) if isinstance(text, str) else text
        return isinstance(found, dict) and {"F", "dff", "spike_prob", "frame_rate"} <= found.keys()
    except ValueError:
        return False


def split(name: str) -> tuple[str, str]:
    """Plane (empty if there is but one) and array of a name: ``plane1_F`` is ``("plane1", "F")``."""
    found = _NAME.fullmatch(name)
    return ("", name) if found is None or found["name"] not in content() else (found["plane"] or "", found["name"])


def hash_of(values: Rows) -> str:
    """SHA-256 of traces in single precision, ROI by ROI: the same in every file that they are converted to."""
    digest = hashlib.sha256()
    for _, block in blocks_of(values):
        with np.errstate(over="ignore"):  # what is too large becomes infinite
            digest.update(np.ascontiguousarray(block, dtype="<f4").tobytes())
    return digest.hexdigest()
