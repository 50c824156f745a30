"""Options that change nothing about a recording: nothing that a user asks for is ignored without a word."""

from __future__ import annotations

from dataclasses import fields
from math import isclose, isnan

from cascade_adapters.containers.base import Container, Selection, Traces
from cascade_adapters.running.options import Options, choices_by_group
from cascade_engine.networks.base import Predictor
from cascade_engine.signal.segments import segment_slices


def unused_options(
    options: Options, container: Container, traces: Traces, predictor: Predictor | None = None
) -> list[str]:
    """What the user chose, and what changes nothing here, one line each.

    Options that contradict a container (``--only-cells`` where none are marked, ``--dff container`` where it has no
    dF/F) are refused where it is read.

    Parameters
    ----------
    options : Options
        What the user chose.
    container : Container
        The recording.
    traces : Traces
        Its traces, as read with these options.
    predictor : Predictor, optional
        The model that is used; None where nothing is predicted.

    Returns
    -------
    list of str
        Option and reason.
    """
    reasons = ineffective(options, traces)
    if options.reading.frame_rate is not None and not isclose(options.reading.frame_rate, traces.frame_rate):
        reasons["frame_rate"] = f"{traces.frame_rate:g} Hz was used ({traces.frame_rate_source})"
    if predictor is not None and not isnan(options.settings.padding):
        grid = traces.grid
        if not predictor.edge_frames(segment_slices(grid.n_frames, grid.segments)).size:
            reasons["padding"] = "this model predicts every segment up to its ends"
    return [*unused_selection(options.selection, container), *_said(options, reasons)]


def ineffective(options: Options, traces: Traces) -> dict[str, str]:
    """Choices about dF/F and its baseline that change nothing for these traces, by flat names, and why."""
    return {**_about_baseline(options, traces), **_about_units(options, traces)}


def unused_selection(selection: Selection, container: Container) -> list[str]:
    """What the user chose about the traces that are meant, and what changes nothing for a container."""
    unused = [each.name for each in fields(Selection) if each.name not in container.uses]
    return _said(Options(selection=selection), dict.fromkeys(unused, f"it does not concern {container.kind}"))


def _said(options: Options, reasons: dict[str, str]) -> list[str]:
    """One line for each choice that was made although it changes nothing, by the reasons of flat names."""
    chosen, usual = options.to_dict(), Options().to_dict()
    names = {flat: choice.options[0] for choices in choices_by_group().values() for flat, choice in choices.items()}
    return [
        f"{names[flat]} changes nothing: {reason}"
        for flat, reason in reasons.items()
        if chosen[flat] != usual[flat] and (flat, chosen[flat]) != ("channel", None)
    ]


def _about_baseline(options: Options, traces: Traces) -> dict[str, str]:
    """Why choices about neuropil and baseline change nothing, by their flat names."""
    of_neuropil, of_baseline = ("neuropil_coefficient", "neuropil"), list(choices_by_group("baseline")["baseline"])
    reading, baseline = options.reading, options.baseline
    if traces.dff is not None and not traces.arbitrary_units:
        return dict.fromkeys([*of_neuropil, *of_baseline], f"dF/F is the container's ({traces.source})")
    reasons = {}
    if traces.neuropil is None:
        reasons = dict.fromkeys(of_neuropil, "there are no neuropil traces")
    elif traces.arbitrary_units:
        reasons["neuropil"] = "of traces in arbitrary units, the level is subtracted in any case"
    elif traces.neuropil_coefficient == 0:
        reasons["neuropil"] = "the neuropil coefficient is 0"
    elif reading.neuropil_coefficient not in (None, traces.neuropil_coefficient):
        reasons["neuropil_coefficient"] = f"{traces.neuropil_coefficient:g} was used"
    if baseline.method == "constant":
        reasons["baseline_window_s"] = "a constant baseline has no window"
    if baseline.method == "maximin":
        reasons["baseline_percentile"] = "the baseline maximin has no percentile"
    return reasons


def _about_units(options: Options, traces: Traces) -> dict[str, str]:
    """Why choices about dF/F change nothing, by their flat names."""
    if traces.arbitrary_units:
        return dict.fromkeys(("dff", "rest"), "the traces are in arbitrary units")
    reasons = {}
    if traces.dff is None:
        reasons["rest"] = "dF/F is computed, and rests at 0"
    if options.reading.dff == ("compute" if traces.fluorescence is None else "container"):
        reasons["dff"] = f"{traces.source} was used"
    return reasons
