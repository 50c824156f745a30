"""Running suite2p and inferring spikes right after it; or on a folder that is there already."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cascade_adapters.containers.base import Selection
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.running.batch import process_all
from cascade_adapters.running.options import Options, parse_options
from cascade_adapters.running.report import Report
from cascade_engine.errors import CascadeError, CascadeWarning, InputError, MissingExtraError
from cascade_engine.networks.store import load_model


def run_on_folder(folder: str | Path, channel: int = 1, **options: Any) -> list[Report]:
    """Infer spikes in every plane of a suite2p folder and write them back.

    Parameters
    ----------
    folder : path
        A suite2p folder, a plane's folder, or any folder above.
    channel : {1, 2}
        Channel whose traces are used.
    **options
        Fields of `cascade_adapters.running.options.Options`; ``baseline`` may be the name of a method, with
        ``baseline_window_s`` and ``baseline_percentile`` beside it.

    Returns
    -------
    list of Report
        One per plane.

    Raises
    ------
    CascadeError
        If there is no plane; or, once all planes have had their turn, if some could not be processed: they are as they
        were, the others are complete.
    """
    reports = _run_planes(Path(folder), channel, parse_options(options))
    failed = [report.message for report in reports if report.status == "failed"]
    if failed:
        raise CascadeError("; ".join(failed))
    return reports


def run_s2p(*args: Any, cascade: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
    """Run suite2p, then infer spikes in the planes that it has written.

    A drop-in for ``suite2p.run_s2p``: all its arguments, in the form of the installed version (``db, settings`` from
    1.0 on, ``ops, db`` before), are passed on, and what it returns is returned.

    Parameters
    ----------
    *args, **kwargs
        For ``suite2p.run_s2p``.
    cascade : mapping, optional
        Options for `run_on_folder`. Results of an earlier run are overwritten unless it says otherwise.

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
    options = {"existing": "overwrite", **(cascade or {})}
    channel = options.pop("channel", 1)
    Suite2pPlane(Path(), channel)
    chosen = parse_options(options)
    load_model(chosen.model)

    result = suite2p.run_s2p(*args, **kwargs)
    failures, doubts = [], []
    try:
        folders = _output_folders(result, args, kwargs)
    except CascadeError as error:
        folders, failures = [], [str(error)]
    for folder in folders:
        try:
            reports = _run_planes(folder, channel, chosen)
        except CascadeError as error:
            failures.append(str(error))
            continue
        failures += [report.message for report in reports if report.status == "failed"]
        doubts += [f"{report.path}: {text}" for report in reports for text in report.warnings]
    for text in failures:
        text = f"suite2p has finished, but spikes were not inferred: {text}"
        warnings.warn(text, CascadeWarning, stacklevel=2)
    for text in doubts:
        warnings.warn(text, CascadeWarning, stacklevel=2)
    return result


def _run_planes(folder: Path, channel: int, options: Options) -> list[Report]:
    planes = Suite2pPlane.find(folder, Selection(channel=channel))
    if not planes:
        raise InputError(f"{folder} holds no suite2p plane with traces of channel {channel}")
    return process_all(planes, options)


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
