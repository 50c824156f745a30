"""Which variable of a file holds the traces, which of its axes is time, and how fast frames follow each other.

Nothing is guessed: what the file does not say for certain is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cascade_adapters.containers.arrays.contents import Contents
from cascade_adapters.containers.arrays.laid_out import LaidOut
from cascade_adapters.containers.remembered import GIVEN
from cascade_adapters.containers.transposed import by_rois
from cascade_adapters.results.rows import Rows
from cascade_engine.errors import InputError
from cascade_engine.file_formats.variables import Variable, load_numbers
from cascade_engine.signal.grid import FrameTimes, read_times
from cascade_engine.signal.noise import FRAME_RATE_LIMITS, as_frame_rate

ORIENTATIONS = ("rois-first", "frames-first")

#: Names without capitals, blanks, signs and the unit.
_RATE_NAMES = {
    "framerate", "fs", "fr", "fps", "samplingrate", "samplerate", "samplingfrequency", "imagingrate", "framespersecond",
    "scanrate", "volumerate",
}  # fmt: skip
_TIME_NAMES = {
    "t", "time", "times", "timestamp", "timestamps", "frametime", "frametimes", "timevector", "tvec", "timeaxis",
}  # fmt: skip

#: The unit at the end of such a name.
_TIME_UNIT = re.compile(r"(?:^|[ _.(\[])(s|secs?|seconds?|ms|msecs?|milliseconds?)[)\]]?$")
_PLANE_NAMES = {"nplanes", "numplanes", "numberofplanes", "nslices", "numslices", "numberofslices"}
_BAD_FRAMES_NAMES = {"badframes"}

#: Traces of the published toolbox, without capitals: it defines them as neurons x time.
_PUBLISHED_NAME = "df_traces"

#: Name of the variable that marks files of ground truth.
_GROUND_TRUTH = "CAttached"

#: Relative difference from which two frame rates contradict each other.
_CONTRADICTION = 0.02


@dataclass(frozen=True)
class Orientation:
    """Which axis of an array is which.

    Attributes
    ----------
    rois_first : bool
        Whether the first axis counts ROIs.
    shape : tuple of int
        Shape in the file; of length 1 for one trace.
    reason : str
        How it is known.
    """

    rois_first: bool
    shape: tuple[int, ...]
    reason: str

    @property
    def name(self) -> str:
        """As the option is spelled."""
        return ORIENTATIONS[0 if self.rois_first else 1]

    def to_rois(self, array: Any, folder: Path | None = None) -> Rows:
        """From the file's form to (n_rois, n_frames); a large array stays on the disk, a copy of it in `folder`."""
        if isinstance(array, np.ndarray) or array.ndim == 1 or min(array.shape) == 1:
            array = np.asarray(array[:])
            array = array[np.newaxis] if array.ndim == 1 else array
            return array if self.rois_first else array.T
        return by_rois(array if self.rois_first else array.transposed(), folder)

    def to_file(self, values: Rows, folder: Path | None = None) -> LaidOut:
        """From (n_rois, n_frames) to the file's form."""
        return LaidOut(values, self.shape, not self.rois_first, folder)


def choose_variable(contents: Contents, key: str | None, path: Path) -> Variable:
    """The variable that holds the traces: the one asked for, or the only one that can be meant.

    ``dF_traces``, as the published toolbox calls the traces, is meant whatever there is beside it.

    Raises
    ------
    InputError
        If there is none or more than one; what the file holds, and what to do.
    """
    variables = contents.variables
    if any(variable.name.split(".")[0] == _GROUND_TRUTH for variable in variables):
        raise InputError(f"{path} holds ground truth ({_GROUND_TRUTH}), which is for training, not traces to run on")
    nameless = [variable for variable in variables if not variable.name]
    if nameless and key is not None:
        raise InputError(f"{path} holds a single array, which has no name: leave out --key")
    if nameless:
        candidates = nameless
    elif key is not None:
        candidates = _named(variables, key)
        if not any(each.is_matrix or each.is_vector for each in candidates) and contents.expand():
            candidates = _named(variables, key)
        if not candidates:
            raise InputError(f"{path} has no variable {key!r}; it holds {_listed(variables)}")
    else:
        candidates = [variable for variable in variables if variable.is_matrix]
        if not candidates and contents.expand():
            candidates = [variable for variable in variables if variable.is_matrix]
        candidates = [each for each in candidates if _is_published(each)] or candidates
        others = _TIME_NAMES | _BAD_FRAMES_NAMES
        candidates = candidates or [each for each in variables if each.is_vector and not _is_named(each, others)]
    if len(candidates) > 1:
        raise InputError(f"{path} holds {_listed(candidates)}: pass --key to say which are the traces")
    if not candidates or not (candidates[0].is_matrix or candidates[0].is_vector):
        held = _listed(candidates or variables) or "nothing"
        raise InputError(f"{path} holds no traces (numbers, ROIs x frames or frames x ROIs), only {held}")
    return candidates[0]


def orient(variable: Variable, contents: Contents, given: str | None, path: Path, remarks: list[str]) -> Orientation:
    """Which axis of the traces is which: what the user says, else what the file says for certain.

    The file says so if there is only one trace; if the names of its rows or columns are those of ROIs; if it holds
    the times of frames, as many as one of the axes is long and the other is not; or if the traces are called
    ``dF_traces``. If the user contradicts, the user is followed, with a remark.

    Raises
    ------
    InputError
        If it remains open.
    """
    shape = variable.shape
    if len(shape) == 1 or (variable.is_vector and given is None):
        if given is not None:
            remarks.append(f"--orientation {given} changes nothing: there is a single trace")
        return Orientation(len(shape) == 1 or shape[0] == 1, shape, "one ROI")
    found, reason = contents.rois_first, contents.reason
    if variable.rows_are:
        found, reason = True, variable.rows_are
    if found is None:
        times = next((each for each in contents.variables if each.is_vector and _is_named(each, _TIME_NAMES)), None)
        if times is not None and max(times.shape) in shape and shape[0] != shape[1]:
            found, reason = max(times.shape) == shape[1], f"{times.name} has {max(times.shape)} values"
    if found is None and _is_published(variable):
        found, reason = True, f"{variable.name} has a neuron in each row, as the published toolbox defines it"
    if given is not None:
        rois_first = given == ORIENTATIONS[0]
        if found not in (None, rois_first):
            remarks.append(f"--orientation {given} was followed, although {reason}")
        return Orientation(rois_first, shape, "as given")
    if found is None:
        rows, columns = shape
        raise InputError(
            f"{path}: {variable} may be {rows} ROIs of {columns} frames (pass --orientation rois-first) or "
            f"{columns} ROIs of {rows} frames (pass --orientation frames-first)"
        )
    return Orientation(found, shape, reason)


def find_frame_rate(contents: Contents, given: float | None, path: Path) -> tuple[float, str]:
    """Frame rate (Hz) and where it comes from: what the user says, else a number of that name in the file.

    Raises
    ------
    InputError
        If there is none, or several that differ.
    """
    timing = find_timing(contents, given, path, ())
    return timing.frame_rate, timing.source


@dataclass(frozen=True)
class Timing:
    """How fast frames follow each other, and where their times show gaps.

    Attributes
    ----------
    frame_rate : float
        In Hz.
    source : str
        Where it comes from.
    times : str
        Name of the times of frames, if there are any whose unit is known.
    n_times : int
        How many there are.
    found : FrameTimes or None
        What they tell.
    problem : str
        Why they tell nothing.
    """

    frame_rate: float
    source: str
    times: str = ""
    n_times: int = 0
    found: FrameTimes | None = None
    problem: str = ""

    def interruptions(self, n_frames: int, remarks: list[str]) -> tuple[list[int] | None, dict[int, int]]:
        """Segments and dropped frames, as of `Traces`; what is found, or doubtful, becomes a remark."""
        if self.problem:
            remarks.append(f"the times in {self.times} {self.problem}: the frames were taken for evenly spaced")
        if self.found is None:
            return None, {}
        if self.n_times != n_frames:
            remarks.append(f"{self.times} has {self.n_times} times for {n_frames} frames: they tell of no gaps")
            return None, {}
        if abs(self.found.frame_rate / self.frame_rate - 1.0) > _CONTRADICTION:
            remarks.append(
                f"the times in {self.times} mean {self.found.frame_rate:.4g} Hz, but the frame rate is "
                f"{self.frame_rate:.4g} Hz ({self.source}): the latter was used"
            )
        remarks += [f"the times in {self.times} show {words}" for words in self.found.words]
        return self.found.segments, self.found.dropped


def find_timing(contents: Contents, given: float | None, path: Path, shape: tuple[int, ...]) -> Timing:
    """Frame rate and gaps: the rate that the user says, else a number of that name in the file, else times in s or ms.

    Parameters
    ----------
    contents : Contents
        What the file holds.
    given : float or None
        What the user says, in Hz.
    path : Path
        The file, for messages.
    shape : tuple of int
        Of the traces: times of another number are not those of their frames.

    Raises
    ------
    InputError
        If there is no rate, or several that differ.
    """
    vectors = (each for each in contents.variables if each.is_vector and _is_named(each, _TIME_NAMES))
    fitting = [each for each in vectors if max(each.shape) in shape]
    times = next((each for each in fitting if time_unit(each.name) is not None), next(iter(fitting), None))
    scale = None if times is None else time_unit(times.name)
    rate, source = (as_frame_rate(given), GIVEN) if given is not None else _stated_rate(contents, path)
    if times is None or scale is None:
        if rate is None:
            raise InputError(f"{path}: it has no frame rate: pass --frame-rate (Hz){_hint(times, path)}")
        return Timing(rate, source)
    try:
        found = read_times(scale * load_numbers(times, path).ravel().astype(float), rate)
    except InputError as error:
        if rate is None:
            raise InputError(f"{path}: the times in {times.name} {error}: pass --frame-rate (Hz)") from None
        return Timing(rate, source, times.name, problem=str(error))
    if rate is None:
        rate, source = found.frame_rate, f"{times.name} in {path.name}"
    return Timing(rate, source, times.name, max(times.shape), found)


def time_unit(name: str) -> float | None:
    """Seconds in the unit that the name of times ends with (``time_s``, ``t (ms)``), or None if it has none."""
    found = _TIME_UNIT.search(name.lower())
    return None if found is None else 1e-3 if found[1].startswith("m") else 1.0


def _stated_rate(contents: Contents, path: Path) -> tuple[float | None, str]:
    found = [each for each in contents.variables if each.is_scalar and _is_named(each, _RATE_NAMES)]
    rates = {each.name: float(load_numbers(each, path).ravel()[0]) for each in found}
    usable = {name: rate for name, rate in rates.items() if FRAME_RATE_LIMITS[0] <= rate <= FRAME_RATE_LIMITS[1]}
    if len(set(usable.values())) == 1:
        name, rate = next(iter(usable.items()))
        return rate, f"{name} in {path.name}"
    if rates:
        said = ", ".join(f"{name} = {rate:g}" for name, rate in rates.items())
        raise InputError(f"{path}: it has {said}: pass --frame-rate (Hz)")
    return None, ""


def _hint(times: Variable | None, path: Path) -> str:
    """What times of an unknown unit would mean."""
    if times is None:
        return ""
    with np.errstate(invalid="ignore"):
        step = float(np.nanmedian(np.diff(load_numbers(times, path).ravel().astype(float))))
    return f"; the steps of {times.name} mean {1 / step:.4g} Hz if they are in s" if step > 0 else ""


def find_n_planes(contents: Contents, path: Path) -> int | None:
    """How many planes were scanned, if a number of that name is in the file."""
    found = [each for each in contents.variables if each.is_scalar and _is_named(each, _PLANE_NAMES)]
    numbers = {float(load_numbers(each, path).ravel()[0]) for each in found}
    number = numbers.pop() if len(numbers) == 1 else np.nan
    return int(number) if number > 0 and number % 1 == 0 else None


def find_bad_frames(contents: Contents, n_frames: int, path: Path, remarks: list[str]) -> dict[str, np.ndarray]:
    """Frames that a variable ``bad_frames`` marks, by number or with one flag for each; see `Traces.excluded`."""
    found = next((each for each in contents.variables if _is_named(each, _BAD_FRAMES_NAMES)), None)
    if found is None or found.problem:
        return {}
    values = load_numbers(found, path).ravel()
    if len(values) == n_frames and np.isin(values, (0, 1)).all():
        return {f"marked in {found.name}": values.astype(bool)}
    mask = np.zeros(n_frames, dtype=bool)
    if values.dtype.kind not in "iuf" or not (np.isfinite(values) & (values >= 0) & (values < n_frames)).all():
        remarks.append(f"{found} names frames that there are not, and was ignored")
        return {}
    mask[values.astype(int)] = True
    return {f"marked in {found.name}": mask}


def _is_named(variable: Variable, names: set[str]) -> bool:
    name = variable.name.rsplit(".", 1)[-1].lower()
    plain = {re.sub(r"[^a-z]", "", each) for each in (name, _TIME_UNIT.sub("", name))}
    return any(each in names or each.removesuffix("hz") in names for each in plain)


def _is_published(variable: Variable) -> bool:
    return variable.name.rsplit(".", 1)[-1].lower() == _PUBLISHED_NAME


def _named(variables: Sequence[Variable], key: str) -> list[Variable]:
    """Variables of a name; of a cell and what is in it, the latter, and of several matrices in a cell, all."""
    found = [each for each in variables if each.name == key]
    usable = [each for each in found if not each.problem]
    inside = [each for each in variables if re.fullmatch(re.escape(key) + r"\{\d+\}", each.name)]
    return usable or (inside if any(each.is_matrix for each in inside) else []) or found


def _listed(variables: Sequence[Variable]) -> str:
    shown = [str(variable) for variable in variables[:12]]
    return ", ".join(shown) + (f" and {len(variables) - 12} more" if len(variables) > 12 else "")
