"""Whether results that are there are what a run would make now: what ``--existing update`` asks of each recording."""

from __future__ import annotations

from dataclasses import asdict
from math import isclose, isnan
from typing import Any

import numpy as np

from cascade_adapters.containers.base import Container, Traces
from cascade_adapters.containers.changes import TRACES_CHANGED, changed_cells
from cascade_adapters.results import Record
from cascade_adapters.running.options import Options, choices_by_group
from cascade_adapters.running.unused import ineffective
from cascade_engine._version import __version__
from cascade_engine.declared import Declared
from cascade_engine.errors import CascadeError
from cascade_engine.networks.base import Predictor
from cascade_engine.signal.frames import frame_mask

#: Choices that change no value of the results.
WITHOUT_EFFECT_ON_VALUES = ("existing", "n_threads")

#: Choices of which the effect is compared instead of the choice: whatever says the same is the same. All others count
#: as they were made.
COMPARED_BY_EFFECT = (
    "model", "replace_spikes", "bad_frames", "exclude_frames",
    "frame_rate", "neuropil_coefficient", "offset", "dff", "arbitrary_units", "sessions",
    "channel", "series", "in_place", "key", "orientation", "raw",
    *choices_by_group("settings")["settings"], *choices_by_group("baseline")["baseline"],
)  # fmt: skip

#: Relative difference between two numbers that a conversion may round.
_ROUNDED = 1e-4


def why_run_again(
    container: Container, earlier: Record, traces: Traces, options: Options, predictor: Predictor
) -> list[str]:
    """Why a run would give other results than those that are there.

    Parameters
    ----------
    container : Container
        The recording.
    earlier : Record
        The record of the results that it holds.
    traces : Traces
        Its traces, as read with `options`, with the frames that are left out.
    options : Options
        What the user chose.
    predictor : Predictor
        The model, opened for these traces and options.

    Returns
    -------
    list of str
        Reasons, in words: ``"made with smoothing 0.1 s, now 0.05 s"``. Empty if the results are up to date.
    """
    found = _about_model(earlier, predictor)
    found += _about_traces(earlier, traces)
    found += _about_choices(container, earlier, traces, options)
    if not found and not container.has_input(earlier.input):
        found.append(TRACES_CHANGED)
    return found or _about_storage(container, options)


def _about_model(earlier: Record, predictor: Predictor) -> list[str]:
    found, model = [], predictor.model
    if earlier.written_by != __version__:
        found.append(f"made by cascade-spikes {earlier.written_by}, now {__version__}")
    if earlier.model.fingerprint != model.fingerprint:
        same = earlier.model.name == model.name
        found.append(
            f"the networks of {model.name} are others now" if same else
            f"made with the model {earlier.model.name}, now {model.name}"
        )  # fmt: skip
    return found + _differences("settings", vars(earlier.settings), vars(predictor.settings))


def _about_traces(earlier: Record, traces: Traces) -> list[str]:
    """What was read and is read otherwise now, whether an option or the container says so."""
    used, recording = earlier.traces, earlier.recording
    if traces.shape != (recording.n_rois, recording.n_frames):
        return [TRACES_CHANGED]
    coefficient = None if traces.neuropil is None else traces.neuropil_coefficient
    rounded, whole = bool(earlier.converted), [recording.n_frames]
    found = []
    if not _same(recording.frame_rate_hz, traces.frame_rate, rounded):
        found.append(_difference("frame rate", recording.frame_rate_hz, traces.frame_rate, "Hz"))
    if not _same(used.neuropil_coefficient, coefficient, rounded):
        found.append(_difference("neuropil coefficient", used.neuropil_coefficient, coefficient))
    if used.offset != traces.offset:
        found.append(_difference("offset", used.offset, traces.offset, "counts"))
    if used.arbitrary_units != traces.arbitrary_units:
        units = {True: "arbitrary units", False: "dF/F"}
        found.append(f"made from {units[used.arbitrary_units]}, now from {units[traces.arbitrary_units]}")
    dff = "computed" if traces.dff is None else "container"
    if used.dff != dff:
        words = {"computed": "computed dF/F", "container": "the container's dF/F"}
        found.append(f"made from {words[used.dff]}, now from {words[dff]}")
    elif not rounded and used.source != traces.source:
        found.append(f"made from {used.source}, now from {traces.source}")
    before, now = recording.segments or whole, traces.segments or whole
    if before != now:
        found.append(f"made with segments of {_listed(before)} frames, now {_listed(now)}")
    if not rounded and recording.dropped_frames != traces.dropped:
        found.append("other frames are said to have been dropped")
    excluded = [frame_mask(frames, recording.n_frames) for frames in recording.excluded_frames.values()]
    left_out = np.any([np.zeros(recording.n_frames, dtype=bool), *excluded], axis=0)
    if n_others := np.count_nonzero(left_out != traces.excluded_frames):
        found.append(f"{n_others} frames were left out and are not now, or the other way round")
    return found


def _about_choices(container: Container, earlier: Record, traces: Traces, options: Options) -> list[str]:
    """Choices that change values and were made otherwise."""
    nothing = ineffective(options, traces)
    found: list[str] = []
    if (baseline := earlier.traces.baseline) is not None and (traces.dff is None or traces.arbitrary_units):
        found += _differences("baseline", baseline, asdict(options.baseline), nothing)
    of_selection = choices_by_group("selection")["selection"]
    now = options.to_dict()
    for choices in choices_by_group().values():
        for flat, choice in choices.items():
            concerns_none = flat in of_selection and flat not in container.uses
            if flat in (*WITHOUT_EFFECT_ON_VALUES, *COMPARED_BY_EFFECT, *nothing) or concerns_none:
                continue
            before = earlier.asked.get(flat, choice.default)
            if before != now[flat]:
                found.append(_difference(_words(choice), before, now[flat], choice.unit))
    changed = changed_cells(earlier, traces) if options.only_cells else ""
    return [*found, *filter(None, [changed])] if earlier.asked.get("only_cells") == options.only_cells else found


def _about_storage(container: Container, options: Options) -> list[str]:
    """What is wrong with how the results are stored."""
    try:
        if container.results() is None:
            return ["the results are not there any more"]
    except CascadeError as error:
        return [f"the results are damaged: {error}"]
    if container.has_replaced_spikes() == options.replace_spikes:
        return []
    asked, found = ("ours", "the container's own") if options.replace_spikes else ("the container's own", "ours")
    return [f"the container's deconvolved traces are {found}, and should be {asked}"]


def _differences(group: str, before: dict[str, Any], now: dict[str, Any], nothing: Any = ()) -> list[str]:
    """What differs between two sets of values of a group of choices, but for those that change nothing."""
    return [
        _difference(_words(choice), before.get(choice.name), now[choice.name], choice.unit)
        for flat, choice in choices_by_group(group)[group].items()
        if flat not in nothing and not _equal(before.get(choice.name), now[choice.name])
    ]


def _equal(before: Any, now: Any) -> bool:
    """Whether two values are the same; NaN is NaN, and False is not 0."""
    both_nan = isinstance(before, float) and isinstance(now, float) and isnan(before) and isnan(now)
    return both_nan or (before == now and (before is False) == (now is False))


def _same(before: float | None, now: float | None, rounded: bool) -> bool:
    if before is None or now is None or not rounded:
        return before == now
    return isclose(before, now, rel_tol=_ROUNDED)


def _words(choice: Declared) -> str:
    return choice.options[0].removeprefix("--").replace("-", " ")


def _difference(name: str, before: Any, now: Any, unit: str | None = None) -> str:
    if isinstance(before, list | tuple) and isinstance(now, list | tuple):
        return f"made with other values of {name}"
    return f"made with {name} {_said(before, unit)}, now {_said(now, unit)}"


def _said(value: Any, unit: str | None) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: "not given"}[value]
    if isinstance(value, list | tuple):
        return "one for each ROI"
    return f"{value:.10g}{f' {unit}' if unit else ''}" if isinstance(value, int | float) else str(value)


def _listed(counts: list[int]) -> str:
    return ", ".join(map(str, counts))
