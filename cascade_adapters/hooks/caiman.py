"""Inferring spikes as a step after CaImAn, on its objects or on its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cascade_adapters.containers.caiman.file import CaimanFile
from cascade_adapters.containers.caiman.memory import CaimanObject
from cascade_adapters.hooks.options import hook_options
from cascade_adapters.hooks.success import say_done
from cascade_adapters.results import Results
from cascade_adapters.running.batch import run_and_warn
from cascade_adapters.running.in_python import speaking_python
from cascade_adapters.running.report import Report
from cascade_engine.errors import InputError


def run_on_estimates(cnm: Any, **options: Any) -> Report:
    """Infer spikes in a CaImAn object in memory and set ``estimates.cascade``, which ``cnm.save`` saves.

    Parameters
    ----------
    cnm : object
        A CNMF or OnACID object, as fitted or loaded; or its estimates, with ``frame_rate`` among the options. It is
        used by its attributes alone.
    **options
        As for `cascade_adapters.run`. Results of an earlier run are overwritten unless ``existing`` says otherwise.

    Returns
    -------
    Report
        What was found and done. `results_of` gives the results.

    Raises
    ------
    CascadeError
        If it cannot be done; the object is then as it was.

    Warns
    -----
    CascadeWarning
        If something makes the results doubtful.
    """
    return say_done(run_and_warn([CaimanObject(cnm)], hook_options(options)))[0]


def results_of(cnm: Any) -> Results | None:
    """The results in a CaImAn object in memory, with NaN where there are none.

    ``estimates.cascade`` itself, and the file, hold minus infinity there, since not every CaImAn can save NaN:
    ``np.nansum`` over it would be minus infinity.

    Parameters
    ----------
    cnm : object
        As for `run_on_estimates`; also one that was loaded from a file, with ``load_CNMF``.

    Returns
    -------
    Results or None
        ``spike_prob``, ``dff``, ``noise_levels`` and ``record``; None if spikes were not inferred.

    Raises
    ------
    InputError
        If they are damaged, or the components are others now.
    """
    with speaking_python():
        return CaimanObject(cnm).results()


def run_on_file(path: str | Path, **options: Any) -> Report:
    """Infer spikes in a file of CaImAn's and write them back.

    Parameters
    ----------
    path : path
        A file written by ``cnm.save``.
    **options
        As for `run_on_estimates`.

    Returns
    -------
    Report
        What was found and done.

    Raises
    ------
    CascadeError
        If it cannot be done; the file is then as it was.

    Warns
    -----
    CascadeWarning
        If something makes the results doubtful.
    """
    path = Path(path)
    if not (path.is_file() and CaimanFile.find(path)):
        raise InputError(f"{path} is no file of CaImAn's: {CaimanFile.looks_for} are looked for")
    return say_done(run_and_warn([CaimanFile(path)], hook_options(options)))[0]
