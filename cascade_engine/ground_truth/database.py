"""Reading ground truth from disk: the published layout, and two plain ones for a lab's own recordings.

A dataset is a folder with one file per neuron:

``*_mini.mat`` or any ``.mat``
    MATLAB v5 or v7.3, variable ``CAttached``: a 1 x n cell of structs with ``fluo_time`` (s), ``fluo_mean`` (dF/F,
    fraction) and ``events_AP`` (spike times in units of 0.1 ms), as in the public database.
``NAME.npz``
    Arrays ``dff`` and ``spike_times_s``, and either ``time_s`` or ``frame_rate`` (Hz, first frame at 0 s).
``NAME.csv``
    Columns ``time_s,dff``, with the spike times in a second file ``NAME_spikes.csv``, column ``spike_times_s``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.file_formats.matlab import load_variable
from cascade_engine.ground_truth.records import Dataset, Neuron, Recording, clean_recordings

ENVIRONMENT_VARIABLE = "CASCADE_GROUND_TRUTH"

#: Fields of the published files that are needed.
_FIELDS = ("fluo_time", "fluo_mean", "events_AP")

#: Spike times in the published files are counted in units of 0.1 ms.
_EVENTS_PER_SECOND = 1e4

_SPIKES_SUFFIX = "_spikes.csv"


def ground_truth_root(path: str | os.PathLike | None = None) -> Path:
    """Folder that holds the datasets.

    Parameters
    ----------
    path : path, optional
        Folder given by the user. Default: the environment variable ``CASCADE_GROUND_TRUTH``, else the folder into
        which ``cascade ground-truth fetch`` downloads.

    Returns
    -------
    Path
        An existing folder.

    Raises
    ------
    InputError
        If there is no such folder, saying how to get one.
    """
    from cascade_engine.user_folders import user_folder

    root = Path(path or os.environ.get(ENVIRONMENT_VARIABLE) or user_folder("ground_truth"))
    if not root.is_dir():
        raise InputError(
            f"no ground truth in {root}: download it with 'cascade ground-truth fetch', or name its folder "
            f"(--ground-truth, or {ENVIRONMENT_VARIABLE})"
        )
    return root


def find_datasets(root: Path) -> dict[str, Path]:
    """Folders with ground truth below `root`, by name, in order."""
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return {path.name: path for path in folders if _neuron_files(path)}


def load_dataset(folder: str | os.PathLike) -> Dataset:
    """Read all neurons of a dataset.

    Parameters
    ----------
    folder : path
        Folder with one file per neuron, in one of the layouts of this module.

    Returns
    -------
    Dataset
        Its neurons in the order of their file names; a neuron whose file is of no use has no recordings, and a note
        that says why.

    Raises
    ------
    InputError
        If the folder holds no ground truth at all.
    """
    folder = Path(folder)
    files = _neuron_files(folder) if folder.is_dir() else []
    if not files:
        raise InputError(f"{folder} holds no ground truth: expected a .mat, .npz or .csv file per neuron")
    return Dataset(folder.name, [load_neuron(path) for path in files])


def load_neuron(path: str | os.PathLike) -> Neuron:
    """Read one neuron; whatever is wrong with its file becomes a note."""
    path = Path(path)
    neuron = Neuron(dataset=path.parent.name, cell=path.stem)
    try:
        neuron.recordings, neuron.notes = _READERS[path.suffix.lower()](path)
    except InputError as error:
        neuron.notes.append(str(error))
    except Exception as error:  # a damaged file can fail anywhere inside a reading library
        reason = " ".join(str(error).split()) or type(error).__name__
        neuron.notes.append(f"{path} cannot be read: {reason}")
    return neuron


def _neuron_files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _READERS
        and not path.name.lower().endswith(_SPIKES_SUFFIX)
        and not path.name.startswith(".")
    )


def _read_mat(path: Path) -> tuple[list[Recording], list[str]]:
    structs = list(_structs(load_variable(path, "CAttached")))
    if not structs:
        raise InputError(f"{path} holds no recordings: CAttached is empty")
    recordings, notes = [], []
    for number, struct in enumerate(structs, start=1):
        name = f"recording {number}"
        missing = [key for key in _FIELDS if key not in struct]
        if missing:
            notes.append(f"{name}: no {', '.join(missing)}; left out")
            continue
        fields = [struct[key] for key in _FIELDS]
        wrong = [key for key, field in zip(_FIELDS, fields, strict=True) if not _is_real(field)]
        if wrong:
            notes.append(f"{name}: {', '.join(wrong)} must be real numbers; left out")
            continue
        time_s, dff, events = fields
        found, remarks = clean_recordings(number, time_s, dff, events.astype(np.float64) / _EVENTS_PER_SECOND)
        recordings += found
        notes += remarks
    return recordings, notes


def _structs(content: Any) -> Iterator[dict[str, Any]]:
    """The structs in a cell or an array of structs; what is none has no fields."""
    if isinstance(content, list):
        for element in content:
            yield from _structs(element)
    else:
        yield content if isinstance(content, dict) else {}


def _is_real(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind in "fiub"


def _read_npz(path: Path) -> tuple[list[Recording], list[str]]:
    with np.load(path, allow_pickle=False) as content:
        missing = [key for key in ("dff", "spike_times_s") if key not in content]
        if missing or not ("time_s" in content or "frame_rate" in content):
            found = ", ".join(content)
            raise InputError(f"{path} must hold dff, spike_times_s, and time_s or frame_rate, but holds {found}")
        dff = content["dff"]
        time_s = content["time_s"] if "time_s" in content else np.arange(dff.size) / float(content["frame_rate"])
        return clean_recordings(1, time_s, dff, content["spike_times_s"])


def _read_csv(path: Path) -> tuple[list[Recording], list[str]]:
    spikes_path = path.with_name(path.stem + _SPIKES_SUFFIX)
    if not spikes_path.is_file():
        raise InputError(f"{path} has no spike times beside it: expected {spikes_path.name}")
    trace, spikes = _read_columns(path, ("time_s", "dff")), _read_columns(spikes_path, ("spike_times_s",))
    return clean_recordings(1, trace["time_s"], trace["dff"], spikes["spike_times_s"])


def _read_columns(path: Path, expected: tuple[str, ...]) -> np.ndarray:
    # Excel puts a mark of byte order before its CSV
    table = np.atleast_1d(np.genfromtxt(path, delimiter=",", names=True, encoding="utf-8-sig"))
    names = table.dtype.names or ()
    if not set(expected) <= set(names):
        raise InputError(f"{path} must have the columns {', '.join(expected)}, but has {', '.join(names)}")
    return table


_READERS: dict[str, Callable[[Path], tuple[list[Recording], list[str]]]] = {
    ".mat": _read_mat,
    ".npz": _read_npz,
    ".csv": _read_csv,
}
