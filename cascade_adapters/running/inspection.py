"""What a recording is, and what `run` would do with it, without predicting or writing anything."""

from __future__ import annotations

import numpy as np

from cascade_adapters.containers.base import Container
from cascade_adapters.running.options import Options
from cascade_adapters.running.pipeline import refuse_transposed, report_on, survey, with_exclusions
from cascade_adapters.running.report import Report
from cascade_engine.errors import InputError
from cascade_engine.networks.families import open_predictor
from cascade_engine.networks.store import Model


def inspect_container(container: Container, options: Options, model: Model) -> Report:
    """Say what a recording holds and what `run` would make of it.

    Parameters
    ----------
    container : Container
        The recording.
    options : Options
        What the user would choose.
    model : Model
        The model that would be used.

    Returns
    -------
    Report
        With status "found"; what `run` would refuse is a warning.

    Raises
    ------
    CascadeError
        If it cannot be read.
    """
    traces = with_exclusions(container, container.traces(options.reading), options)
    predictor = open_predictor(model, traces.frame_rate, options.settings, traces.indicator)
    refuse_transposed(container, traces, predictor)
    report = report_on(container, traces, options, predictor)
    report.status = "found"
    try:
        survey(report, container, traces, options, predictor, np.ones(traces.shape[0], dtype=bool))
    except InputError as error:
        report.warnings.append(f"'run' would refuse this: {error}")
    report.earlier_results = _describe_results(container)
    deconvolved = container.deconvolved()
    report.deconvolved = None if deconvolved is None else deconvolved.to_dict()
    return report


def _describe_results(container: Container) -> str:
    record = container.record()
    if record is None:
        return "none"
    changes = "; ".join(container.changes())
    state = f"stale ({changes})" if changes else "up to date"
    smoothing, kernel = record.settings.resolved_kernel
    indicator = record.settings.given_indicator or "not told"
    how = f"{kernel} kernel of {1000 * smoothing:.3g} ms, indicator {indicator}"
    return f"by {record.model.name}, {how}, {record.created}, {state}"
