"""Running suite2p and inferring spikes right after it; or on a folder that is there already."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade_adapters.containers.base import Selection
from cascade_adapters.containers.registry import refuse_unused
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.hooks.options import hook_options
from cascade_adapters.hooks.success import say_done
from cascade_adapters.running.batch import run_and_warn
from cascade_adapters.running.in_python import speaking_python
from cascade_adapters.running.report import Report
from cascade_engine.errors import CascadeError, CascadeWarning, InputError, MissingExtraError
from cascade_engine.networks.store import load_model


def run_on_folder(folder: str | Path, **options: Any) -> list[Report]:
    """Infer spikes in every plane of a suite2p folder and write them back.

    Parameters
    ----------
    folder : path
        A suite2p folder, a plane's folder, or any folder above.
    **options
        As for `cascade_adapters.run`; ``channel=2`` for the second channel. Results of an earlier run are overwritten
        unless ``existing`` says otherwise.

    Returns
    -------
    list of Report
        One per plane.

    Raises
    ------
    CascadeError
        If there is no plane; or, once all planes have had their turn, if some could not be processed: they are as they
        were, the others are complete.

    Warns
    -----
    CascadeWarning
        If something makes the results doubtful.
    """
    chosen = hook_options(options)
    return say_done(run_and_warn(_planes(Path(folder), chosen.selection), chosen))


def run_s2p(*args: Any, cascade: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
    """Run suite2p, then infer spikes in the planes that it has written.

    A drop-in for ``suite2p.run_s2p``: all its arguments, in the form of the installed version (``db, settings`` from
    1.0 on, ``ops, db`` before), are passed on, and what it returns is returned.

    Parameters
    ----------
    *args, **kwargs
        For ``suite2p.run_s2p``.
    cascade : mapping, optional
        Options, as for `run_on_folder`.

    Returns
    -------
    object
        Whatever ``suite2p.run_s2p`` returns.

    Raises
    ------
    MissingExtraError
        If suite2p is not installed.
    CascadeError
        If an option is wrong; found before suite2p is started.

    Warns
    -----
    CascadeWarning
        If spikes could not be inferred: suite2p's own results are complete all the same.
    """
    try:
        import suite2p
    except ImportError as error:
        if error.name != "suite2p":
            raise
        raise MissingExtraError("suite2p", "suite2p", "running suite2p") from None
    chosen = hook_options(cascade or {})
    with speaking_python():
        refuse_unused(chosen.selection, [Suite2pPlane(Path("suite2p"))])
    load_model(chosen.model)

    result = suite2p.run_s2p(*args, **kwargs)
    failures: list[str] = []
    reports: list[Report] = []
    try:
        folders = _output_folders(result, args, kwargs)
    except CascadeError as error:
        folders, failures = [], [str(error)]
    for folder in folders:
        try:
            reports += run_and_warn(_planes(folder, chosen.selection), chosen)
        except CascadeError as error:
            failures.append(str(error))
    for text in failures:
        text = f"suite2p has finished, but spikes were not inferred: {text}"
        warnings.warn(text, CascadeWarning, stacklevel=2)
    say_done(reports)
    return result


def _planes(folder: Path, selection: Selection) -> Sequence[Suite2pPlane]:
    with speaking_python():
        planes = Suite2pPlane.find(folder, selection)
    if not planes:
        raise InputError(f"{folder} holds no suite2p plane with traces of channel {selection.channel}")
    return planes


def _output_folders(result: Any, args: tuple, kwargs: Mapping[str, Any]) -> list[Path]:
    """Where suite2p has written: from what it returned, else from what it was given."""
    if isinstance(result, list | tuple) and result and all(isinstance(path, str | Path) for path in result):
        return [Path(path).parent if str(path).endswith(".npy") else Path(path) for path in result]
    settings: dict[str, Any] = {}
    for given in (*args, *kwargs.values(), result):
        if isinstance(given, Mapping):
            settings.update(given)
    root = settings.get("save_path0") or next(iter(settings.get("data_path") or []), None)
    if not root:
        raise InputError("suite2p does not say where it has written: call run_on_folder with its folder")
    return [Path(root) / (settings.get("save_folder") or "suite2p")]
