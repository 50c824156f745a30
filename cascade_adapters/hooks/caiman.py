"""Inferring spikes as a step after CaImAn, on its objects or on its files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from cascade_adapters.containers.caiman.file import CaimanFile
from cascade_adapters.containers.caiman.memory import CaimanObject
from cascade_adapters.running.options import parse_options
from cascade_adapters.running.pipeline import process
from cascade_adapters.running.report import Report
from cascade_engine.errors import CascadeWarning, InputError


def run_on_estimates(cnm: Any, **options: Any) -> Report:
    """Infer spikes in a CaImAn object in memory and set ``estimates.cascade``, which ``cnm.save`` saves.

    Parameters
    ----------
    cnm : object
        A CNMF or OnACID object, as fitted or loaded; or its estimates, with ``frame_rate`` among the options. It is
        used by its attributes alone.
    **options
        Fields of `cascade_adapters.running.options.Options`; ``baseline`` may be the name of a method, with
        ``baseline_window_s`` and ``baseline_percentile`` beside it. Results of an earlier run are overwritten unless
        ``existing`` says otherwise.

    Returns
    -------
    Report
        What was found and done. ``CaimanObject(cnm).load_results()`` gives the results, NaN where there are none;
        ``estimates.cascade`` holds minus infinity there, since not every CaImAn can save NaN.

    Raises
    ------
    CascadeError
        If it cannot be done; the object is then as it was.

    Warns
    -----
    CascadeWarning
        If something makes the results doubtful.
    """
    report = process(CaimanObject(cnm), parse_options({"existing": "overwrite", **options}))
    for text in report.warnings:
        warnings.warn(text, CascadeWarning, stacklevel=2)
    return report


def run_on_file(path: str | Path, **options: Any) -> Report:
    """Infer spikes in a file of CaImAn's and write them back.

    Parameters
    ----------
    path : path
        A file written by ``cnm.save``.
    **options
        As for `run_on_estimates`; where results are already, ``existing`` must say what to do.

    Returns
    -------
    Report
        What was found and done.

    Raises
    ------
    CascadeError
        If it cannot be done; the file is then as it was.
    """
    path = Path(path)
    if not (path.is_file() and CaimanFile.find(path)):
        raise InputError(f"{path} is no file of CaImAn's: {CaimanFile.looks_for} are looked for")
    return process(CaimanFile(path), parse_options(options))
