"""The record of a run: everything that is needed to judge it, to repeat it, and to report on it later.

It is stored as JSON with the results (``cascade.json``, for one) and read back by one parser, `Record.parse`: whatever
is damaged in it ends in one line that says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from cascade_engine._version import __version__
from cascade_engine.errors import CascadeError, InputError
from cascade_engine.file_formats.json_text import parse_json
from cascade_engine.networks.settings import Settings
from cascade_engine.signal.frames import frame_mask
from cascade_engine.signal.grid import FrameGrid

#: Sections and keys of what is kept by the numbers of ROIs or frames, which JSON turns into text.
_BY_NUMBER = (
    ("recording", "dropped_frames"),
    ("rois", "without_prediction"),
    ("rois", "guarded_frames"),
    ("rois", "rest_offsets"),
    ("discrete_spikes", "without_spikes"),
)

#: Why a ROI that the container does not take for a cell has no prediction, if only cells were asked for.
NOT_A_CELL = "not a cell"

#: What is recorded of frames that are left out because the user named them.
NAMED_FRAMES = "named by --exclude-frames"

#: Form of the record that this version writes. Version 0.1.0 wrote form 1, which is read too.
FORMAT = 2


@dataclass(frozen=True)
class ModelUsed:
    """The model.

    Attributes
    ----------
    name, family : str
        Its name, and the family of networks that it belongs to.
    fingerprint : str
        SHA-256 over its networks.
    asked_for : str or None
        The published name that it stands for, if that was asked for.
    """

    name: str
    family: str
    fingerprint: str
    asked_for: str | None = None


@dataclass(frozen=True)
class TracesUsed:
    """What the spikes were inferred from.

    Attributes
    ----------
    source : str
        Which of the container's traces.
    dff : {"computed", "container"}
        Whether dF/F was computed or taken from the container.
    arbitrary_units : bool
        Whether it is not dF/F at all, but scaled to one noise level.
    denoised : bool
        Whether it is known, or was found, to be denoised or smoothed.
    neuropil_coefficient : float or None
        Part of the neuropil that was subtracted; None if none was.
    offset : float
        What was subtracted of raw fluorescence and neuropil before, in counts.
    baseline : dict or None
        How F0 was found; None if dF/F was the container's.
    """

    source: str
    dff: str
    arbitrary_units: bool = False
    denoised: bool = False
    neuropil_coefficient: float | None = None
    offset: float = 0.0
    baseline: dict[str, Any] | None = None


@dataclass(frozen=True)
class RecordingUsed:
    """The recording.

    Attributes
    ----------
    n_rois, n_frames : int
        Its size.
    frame_rate_hz : float
        Frames per second of each ROI.
    frame_rate_source : str
        Where the frame rate comes from.
    segments : list of int or None
        Frames of each uninterrupted segment; None: one.
    excluded_frames : dict of str to str
        Frames that were left out, by what said so, as text: ``0-99,500``.
    dropped_frames : dict of int to int
        Frames that were dropped before a stored frame, by its number, as of `cascade_engine.FrameGrid`.
    indicator : str or None
        Calcium indicator, as the container names it.
    """

    n_rois: int
    n_frames: int
    frame_rate_hz: float
    frame_rate_source: str = ""
    segments: list[int] | None = None
    excluded_frames: dict[str, str] = field(default_factory=dict)
    dropped_frames: dict[int, int] = field(default_factory=dict)
    indicator: str | None = None

    @property
    def grid(self) -> FrameGrid:
        """The frames on an even grid of time."""
        return FrameGrid(self.n_frames, self.segments, self.dropped_frames)


@dataclass(frozen=True)
class RoiFacts:
    """What is to be known of single ROIs, by their numbers.

    Attributes
    ----------
    without_prediction : dict of int to str
        Why a ROI has no prediction.
    guarded_frames : dict of int to int
        Frames in which F0 lay below the noise, for ROIs with any.
    network_noise_levels : list of float or None
        Noise level (percent per sqrt(Hz)) that the networks were given for each ROI; None without a prediction.
    comparable_noise_levels : list of float or None
        Noise level that each ROI would have with F - r Fneu, to compare it with other recordings; None without dF/F,
        and the list is empty in records of earlier versions.
    rest_offsets : dict of int to float
        What was subtracted from the container's dF/F (fraction) of ROIs that did not rest at 0.
    """

    without_prediction: dict[int, str] = field(default_factory=dict)
    guarded_frames: dict[int, int] = field(default_factory=dict)
    network_noise_levels: list[float | None] = field(default_factory=list)
    comparable_noise_levels: list[float | None] = field(default_factory=list)
    rest_offsets: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SpikesFound:
    """How discrete spikes came about.

    Attributes
    ----------
    created : str
        When (ISO 8601).
    version : str
        Version of cascade-spikes.
    smoothing_s : float
        Width (s) of the kernel that they were found with.
    kernel : str
        Its form.
    n_spikes : int
        How many there are.
    without_spikes : dict of int to str
        Why a ROI has none although it has a prediction.
    warnings : list of str
        What is doubtful.
    """

    created: str
    version: str
    smoothing_s: float
    kernel: str
    n_spikes: int
    without_spikes: dict[int, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Record:
    """How results came about.

    Attributes
    ----------
    created : str
        When (ISO 8601, UTC).
    software : dict of str to str
        Versions of cascade-spikes, Python, numpy and onnxruntime.
    model : ModelUsed
        The model.
    settings : Settings
        What it was set to, with nothing left open.
    asked : dict
        Every option as the user gave it, enough to repeat the run.
    defaults : dict or None
        Which of these options a ``cascade.yaml`` gave: its path as ``file``, and ``values``; None if none.
    traces, recording, rois
        What was read, and what is to be known of single ROIs.
    input : dict of str to str
        Hashes of the traces, by file or dataset: they tell whether the results are stale.
    expected : dict or None
        Figures that the model reached under conditions like these, on neurons that it had not seen.
    warnings : list of str
        What makes the results doubtful.
    discrete_spikes : SpikesFound or None
        How discrete spikes came about, if there are any.
    converted : list of dict
        Containers that the results have come through.
    container : dict
        What the container itself has to remember.
    format : int
        Form of the record.
    """

    created: str
    software: dict[str, str]
    model: ModelUsed
    settings: Settings
    traces: TracesUsed
    recording: RecordingUsed
    asked: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] | None = None
    input: dict[str, str] = field(default_factory=dict)
    rois: RoiFacts = field(default_factory=RoiFacts)
    expected: dict[str, Any] | None = None
    warnings: list[str] = field(default_factory=list)
    discrete_spikes: SpikesFound | None = None
    converted: list[dict[str, Any]] = field(default_factory=list)
    container: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def __repr__(self) -> str:
        size = self.recording
        return (
            f"<Record of {size.n_rois} ROIs x {size.n_frames} frames at {size.frame_rate_hz:g} Hz "
            f"by {self.model.name}, {self.created}, {len(self.warnings)} warnings>"
        )

    @property
    def written_by(self) -> str:
        """Version of cascade-spikes that made the results."""
        return self.software.get("cascade-spikes", "0.1.0")

    def remembering(self, **facts: Any) -> Record:
        """The same with further facts that the container has to remember; None removes one."""
        kept = {key: value for key, value in {**self.container, **facts}.items() if value is not None}
        return replace(self, container=kept)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        content = asdict(replace(self, settings=None))  # type: ignore[arg-type]
        return {"format": self.format, **content, "settings": self.settings.to_dict()}

    def to_json(self, indent: int | None = None) -> str:
        """The record as JSON."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    @classmethod
    def parse(cls, content: Any, where: str, advice: str = "remove it together with the other cascade files") -> Record:
        """Read a record.

        Parameters
        ----------
        content : str, bytes or dict
            JSON, or what was read from it.
        where : str
            Where it lies, for messages.
        advice : str
            What to do if it is damaged.

        Returns
        -------
        Record
            Checked.

        Raises
        ------
        InputError
            If it is damaged, or was written by a later version.
        """
        import dacite

        try:
            if isinstance(content, str | bytes):
                content = parse_json(content)
            json.dumps(content, allow_nan=False)  # infinite numbers could be read, but not written again
            form, software = content["format"], content["software"]
            version = software.get("cascade-spikes", "0.1.0")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise InputError(_damaged(where, error, advice)) from None
        if isinstance(form, int) and form > FORMAT:
            raise InputError(
                f"{where}: the results were written by cascade-spikes {version}, and this is {__version__}: update it"
            )
        try:
            content = _from_format_1(content) if form == 1 else dict(content)
            for section, key in _BY_NUMBER:
                if content.get(section):
                    numbered = {int(number): value for number, value in content[section].get(key, {}).items()}
                    content[section] = {**content[section], key: numbered}
            config = dacite.Config(type_hooks={float: _number, Settings: Settings.from_dict})
            record = dacite.from_dict(cls, content, config)
            record._check()
        except (dacite.DaciteError, CascadeError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(_damaged(where, error, advice)) from None
        return record

    def _check(self) -> None:
        size = self.recording
        if min(size.n_rois, size.n_frames) < 0 or not (math.isfinite(size.frame_rate_hz) and size.frame_rate_hz > 0):
            raise ValueError(f"a recording of {size.n_rois} x {size.n_frames} at {size.frame_rate_hz} Hz")
        if size.segments is not None and (min(size.segments, default=0) < 0 or sum(size.segments) != size.n_frames):
            raise ValueError(f"segments of {sum(size.segments)} frames in a recording of {size.n_frames}")
        for frames in size.excluded_frames.values():
            frame_mask(frames, size.n_frames)
        _ = size.grid  # refuses what cannot be
        if self.settings.smoothing is None or self.settings.kernel is None:
            raise ValueError("it does not say how the spikes were smoothed")


def now() -> str:
    """The time, as records state it."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _damaged(where: str, error: Exception, advice: str) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    reason = reason if len(reason) <= 120 else reason[:120] + " ..."
    return f"{where}: the record of the results is damaged ({reason}): {advice}"


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _from_format_1(content: Mapping[str, Any]) -> dict[str, Any]:
    """What version 0.1.0 wrote, in today's form."""
    model, parameters, recording, rois = (content.get(key, {}) for key in ("model", "parameters", "recording", "rois"))
    is_computed = parameters.get("dff") != "the container's"
    spikes = content.get("discrete_spikes")
    if spikes is not None:
        spikes = {"version": spikes.get("cascade-spikes", "0.1.0"), "n_spikes": spikes.get("n_spikes", 0), **spikes}
    known = (
        "format", "what", "created", "software", "model", "parameters", "recording", "input", "rois", "warnings",
        "discrete_spikes", "converted",
    )  # fmt: skip
    return {
        "format": FORMAT,
        "created": content.get("created", "at an unknown time"),
        "software": content.get("software", {}),
        "model": {
            "name": model.get("name", "an unknown model"),
            "family": "universal" if model.get("kind") == "universal" else "windowed",
            "fingerprint": model.get("fingerprint", ""),
        },
        "settings": {
            "smoothing": model.get("smoothing_s"),
            "kernel": model.get("kernel"),
            "population": parameters.get("population"),
            "indicator": parameters.get("indicator"),
            "noise_level": parameters.get("noise_level"),
            "threshold": parameters.get("threshold", 0),
        },
        "traces": {
            "source": parameters.get("traces", "unknown traces"),
            "dff": "computed" if is_computed else "container",
            "neuropil_coefficient": parameters.get("neuropil_coefficient")
            if parameters.get("neuropil_subtracted")
            else None,
            "baseline": parameters.get("baseline"),
        },
        "recording": {
            "n_rois": recording["n_rois"],
            "n_frames": recording["n_frames"],
            "frame_rate_hz": recording["frame_rate_hz"],
            "frame_rate_source": recording.get("frame_rate_source", ""),
            "segments": recording.get("frames_per_session"),
        },
        "asked": {"only_cells": parameters.get("only_cells", False)},
        "input": content.get("input", {}),
        "rois": {
            "without_prediction": rois.get("without_prediction", {}),
            "guarded_frames": rois.get("guarded_frames", {}),
            "network_noise_levels": rois.get("network_noise_level", []),
        },
        "warnings": content.get("warnings", []),
        "discrete_spikes": spikes,
        "converted": content.get("converted", []),
        "container": {key: value for key, value in content.items() if key not in known},
    }
