"""What the user can choose about a run: one list, from which the command line, Python and the record are served.

Each choice is a declared field of one of the groups below, or of `Options` itself. A further choice is one field there.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from cascade_adapters.containers.base import Reading, Selection
from cascade_adapters.running.excluded import BAD_FRAMES, as_frames
from cascade_adapters.running.noise_file import as_noise_levels
from cascade_engine.declared import Declared, check_limits, declared, declared_fields
from cascade_engine.errors import InputError
from cascade_engine.networks.settings import Settings
from cascade_engine.networks.store import AUTOMATIC
from cascade_engine.parallel import THREAD_LIMITS
from cascade_engine.signal.dff import Baseline

#: What can be done with a recording that has results: it fails, it is left alone, it is run again if that would give
#: other results (`cascade_adapters.running.up_to_date`), or it is run again in any case.
EXISTING = ("error", "skip", "update", "overwrite")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user can choose.

    Attributes
    ----------
    settings : Settings
        What the model is set to.
    reading : Reading
        What is known about the traces, instead of what the container says.
    selection : Selection
        Which of the traces are meant.
    baseline : Baseline
        How F0 is found.
    model : str
        Name or folder of the model.
    only_cells : bool
        Predict only ROIs that the container takes for cells; the others get NaN.
    replace_spikes : bool
        Put the rates in the place of the container's own deconvolved traces.
    existing : {"error", "skip", "update", "overwrite"}
        What to do where results are; with "update", only what is stale or was made in another way is run again.
    n_threads : int or None
        Threads; default: all processors.
    bad_frames : {"all", "marked", "none"}
        Frames to leave out: those that the pipeline has marked and those that cannot be fluorescence, only the former,
        or none of both.
    exclude_frames : str or None
        Further frames to leave out: ``0-99,500,700-710``, counted from 0, both ends included; or a file, ``.npy`` with
        a mask or a list of frames, or ``.txt``. An array or a list of frames becomes such a text.
    progress : bool or callable
        Show how far it is; or call this with the part of all recordings that is done, from 0 to 1.
    defaults : dict or None
        Which of the choices come from a ``cascade.yaml``: its path as ``file``, and ``values`` by their flat names.
    """

    settings: Settings = field(default_factory=Settings)
    reading: Reading = field(default_factory=Reading)
    selection: Selection = field(default_factory=Selection)
    baseline: Baseline = field(default_factory=Baseline)
    model: str = declared(AUTOMATIC, help="Name or folder of the model.", metavar="MODEL")
    only_cells: bool = declared(False, help="Predict only the ROIs that the container takes for cells.")
    replace_spikes: bool = declared(
        False,
        help="Also write rates (Hz) to suite2p's spks.npy or CaImAn's S; the original is kept.",
        options=("--replace-spks", "--replace-s"),
    )
    bad_frames: str = declared(
        "all",
        help="Bad frames to leave out: all, only those that the pipeline has marked, or none.",
        choices=BAD_FRAMES,
    )
    exclude_frames: str | tuple[int, ...] | None = declared(
        None,
        help="Further frames to leave out: 0-99,500,700-710, from 0; or a .npy file (mask or list) or .txt file.",
        metavar="FRAMES",
    )
    existing: str = declared(
        "error",
        help="What to do with a recording that has results; update: run it again only if it is stale or was made in "
        "another way.",
        choices=EXISTING,
    )
    n_threads: int | None = declared(
        None,
        help="Number of threads [default: all processors].",
        metavar="N",
        options=("--threads",),
        limits=THREAD_LIMITS,
    )
    progress: bool | Callable[[float], object] = False
    defaults: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.existing not in EXISTING:
            raise InputError(f"existing must be one of {', '.join(EXISTING)}, but it is {self.existing!r}")
        if self.bad_frames not in BAD_FRAMES:
            raise InputError(f"bad_frames must be one of {', '.join(BAD_FRAMES)}, but it is {self.bad_frames!r}")
        if self.exclude_frames is not None:
            object.__setattr__(self, "exclude_frames", as_frames(self.exclude_frames))
        check_limits(self)

    def to_dict(self) -> dict[str, Any]:
        """Every choice by its flat name, ready for JSON or YAML; `parse_options` takes it back."""
        found: dict[str, Any] = {}
        for group, choices in choices_by_group().items():
            holder = self if group == "" else getattr(self, group)
            plain = holder.to_dict() if hasattr(holder, "to_dict") and group else None
            for flat, choice in choices.items():
                value = plain[choice.name] if plain is not None else getattr(holder, choice.name)
                found[flat] = list(value) if isinstance(value, tuple) else value
        return found


#: Groups of choices by the field of `Options` that holds them; those of `Options` itself have no name.
_GROUPS: dict[str, type] = {
    "": Options,
    "settings": Settings,
    "reading": Reading,
    "selection": Selection,
    "baseline": Baseline,
}

#: What stands above the choices of each group in ``--help``.
HEADINGS = {
    "": "Options",
    "settings": "Settings of the model",
    "reading": "Reading the traces",
    "selection": "Selection of the traces",
    "baseline": "Baseline of dF/F",
}


def choices_by_group(*groups: str) -> dict[str, dict[str, Declared]]:
    """The choices of each group, by their flat names; of all groups if none is named."""
    return {
        group: {_flat_name(group, choice.name): choice for choice in declared_fields(_GROUPS[group])}
        for group in groups or _GROUPS
    }


def parse_options(given: Mapping[str, Any], *, progress: bool = False) -> Options:
    """Options from keyword arguments.

    Parameters
    ----------
    given : mapping
        Choices by their flat names, as `Options.to_dict` gives them: ``smoothing``, ``frame_rate``, ``channel``,
        ``baseline``, ``baseline_window_s``, ...; or whole groups (``settings=Settings(...)``).
    progress : bool
        Show a progress bar.

    Returns
    -------
    Options
        Checked.

    Raises
    ------
    InputError
        If there is no such choice, or a value is impossible.
    """
    left = dict(given)
    progress = bool(left.pop("progress", progress))
    chosen: dict[str, Any] = {}
    for group, choices in choices_by_group().items():
        whole = left.get(group) if group and isinstance(left.get(group), _GROUPS[group]) else None
        if whole is not None:
            chosen[group] = left.pop(group)
        found = {flat: (choice, left.pop(flat)) for flat, choice in choices.items() if flat in left}
        if found and whole is not None:
            raise InputError(f"{group} is given as a whole, and {', '.join(found)} beside it: leave one out")
        values = _values(_GROUPS[group], found)
        if group == "":
            chosen |= values
        elif values:
            kind = _GROUPS[group]
            # what `to_dict` gives may need to be turned back: JSON knows no NaN
            chosen[group] = kind.from_dict(values) if hasattr(kind, "from_dict") else kind(**values)
    _refuse_unknown(left, [flat for choices in choices_by_group().values() for flat in choices])
    return Options(**chosen, progress=progress)


def parse_selection(given: Mapping[str, Any]) -> Selection:
    """A selection from keyword arguments, refused as by `parse_options`."""
    choices = choices_by_group("selection")["selection"]
    _refuse_unknown(set(given) - set(choices), list(choices))
    return Selection(**_values(Selection, {flat: (choices[flat], value) for flat, value in given.items()}))


def _refuse_unknown(names: Iterable[str], known: Sequence[str]) -> None:
    hints = []
    for name in sorted(names):
        close = difflib.get_close_matches(name, known, n=1)
        hints.append(f"{name} (did you mean {close[0]}?)" if close else name)
    if hints:
        raise InputError(f"there is no option {', '.join(hints)}; there are {', '.join(known)}")


def _values(kind: type, given: Mapping[str, tuple[Declared, Any]]) -> dict[str, Any]:
    """What was given for the choices of a group, by the names of its fields, as plain objects of the declared types."""
    hints = get_type_hints(kind)
    found = {}
    for flat, (choice, value) in given.items():
        hint = hints[choice.name]
        alternatives = get_args(hint) or (hint,)
        if value is None and type(None) not in alternatives:
            continue  # left open
        found[choice.name] = _value(flat, choice, alternatives, value)
    return found


def _value(flat: str, choice: Declared, alternatives: tuple[Any, ...], value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, os.PathLike) and (choice.type is str or flat == "noise_level"):
        value = os.fspath(value)
    if isinstance(value, str) and flat == "noise_level":
        return as_noise_levels(value)
    if value is None or choice.choices is not None:  # the group that it belongs to knows all values
        return value
    expected, name = _TYPES[choice.type]
    if isinstance(value, expected) and (choice.type is bool or not isinstance(value, bool)):
        return value
    if isinstance(value, list | tuple | np.ndarray) and any(get_origin(each) is tuple for each in alternatives):
        return value.tolist() if isinstance(value, np.ndarray) else list(value)  # one value per ROI
    raise InputError(f"{flat} must be {name}, but it is {value!r}")


#: Values of each declared type, in Python and in words.
_TYPES: dict[type, tuple[Any, str]] = {
    bool: (bool, "True or False"),
    int: (int, "a whole number"),
    float: (int | float, "a number"),
    str: (str, "text"),
}


def _flat_name(group: str, name: str) -> str:
    """Choices of the baseline carry its name in front; all others, and the neuropil's, stand by themselves."""
    if group != "baseline" or name == "neuropil":
        return name
    return "baseline" if name == "method" else f"baseline_{name}"
