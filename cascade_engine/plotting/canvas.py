"""What all pictures share: colours, new axes, and checks of what is to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade_engine.errors import InputError, MissingExtraError
from cascade_engine.signal.masked import unmasked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colours that colour-blind people tell apart (Okabe and Ito), and what they stand for everywhere.
DFF_COLOUR, INFERRED_COLOUR, TRUTH_COLOUR = "#0072B2", "#1f1f1f", "#D55E00"

#: Colours for what has no meaning of its own, in the order of use.
FURTHER_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#7A5C00", "#56B4E9")

#: Where nothing is known.
MISSING_COLOUR = "#A6CEE3"

#: Spikes of some neurons: times in s for each.
SpikeTimes = Sequence[np.ndarray]


def matplotlib() -> Any:
    """The package; raises `MissingExtraError` without it."""
    try:
        import matplotlib
    except ImportError:
        raise MissingExtraError("matplotlib", "plot", "drawing") from None
    return matplotlib


def new_axes(n_rows: int = 1, width: float = 8.0, height: float = 4.0, **options: Any) -> np.ndarray:
    """Axes, one below the other, of a new figure (size in inches), which notebooks show by themselves."""
    matplotlib()
    from matplotlib import pyplot

    _, axes = pyplot.subplots(n_rows, 1, squeeze=False, layout="constrained", figsize=(width, height), **options)
    return axes[:, 0]


def given_axes(axes: Any, n_axes: int) -> np.ndarray:
    """Check that there are as many axes as are drawn into."""
    given = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
    if len(given) != n_axes:
        raise InputError(f"axes must be {n_axes} axes of matplotlib, but there are {len(given)}")
    return given


def bare(ax: Axes) -> None:
    """Leave out the lines above and on the right."""
    ax.spines[["top", "right"]].set_visible(False)


def whole_numbers(ax: Axes) -> None:
    """Let the vertical axis have ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    ax.yaxis.set_major_locator(MaxNLocator("auto", integer=True))


def as_rows(name: str, values: Any) -> np.ndarray:
    """Real numbers of some neurons, shape (n_neurons, n_frames); masked and infinite values are NaN then."""
    return _as_numbers(name, values, "(n_neurons, n_frames)", 2, f"; for one neuron pass {name}[np.newaxis]")


def as_row(name: str, values: Any) -> np.ndarray:
    """Real numbers of one neuron, shape (n_frames,); masked and infinite values are NaN then."""
    return _as_numbers(name, values, "(n_frames,)", 1, f"; pass one neuron of it, such as {name}[0]")


def as_values(name: str, values: Any) -> np.ndarray:
    """A real number per neuron, shape (n_neurons,); masked and infinite ones are NaN then."""
    return _as_numbers(name, values, "(n_neurons,)", 1, "")


def _as_numbers(name: str, values: Any, shape: str, n_axes: int, hint: str) -> np.ndarray:
    values = unmasked(values)
    if values.ndim != n_axes:
        raise InputError(f"{name} must have the shape {shape}, but its shape is {values.shape}{hint}")
    if values.dtype.kind not in "fiu":
        raise InputError(f"{name} must hold real numbers, but its type is {values.dtype}")
    values = values.astype(np.float64)
    values[np.isinf(values)] = np.nan
    return values


def check_same_shape(name: str, values: np.ndarray, other_name: str, other: np.ndarray) -> None:
    """Raise `InputError` where two arrays do not belong together."""
    if values.shape != other.shape:
        raise InputError(f"{name} has the shape {values.shape}, but {other_name} has {other.shape}")


def times_of(spikes: Any) -> SpikeTimes:
    """Times (s) of the spikes of each neuron, of a `DiscreteSpikes` or as they are given."""
    return getattr(spikes, "times_s", spikes)


def as_spike_times(name: str, spikes: Any, n_neurons: int) -> list[np.ndarray]:
    """Times (s) of the spikes of each neuron, from a `DiscreteSpikes` or a sequence of arrays."""
    spikes = times_of(spikes)
    if len(spikes) != n_neurons:
        raise InputError(f"{name} must hold the spike times of {n_neurons} neurons, but there are {len(spikes)}")
    times = [np.asarray(each) for each in spikes]
    for i, each in enumerate(times):
        if each.ndim != 1 or (each.size and each.dtype.kind not in "fiu"):
            raise InputError(f"{name} must hold one array of times in s per neuron, but that of neuron {i} is none")
    return [each[np.isfinite(each)].astype(np.float64) for each in times]


def largest(values: np.ndarray) -> float:
    """The largest value; 0 if there is none."""
    return float(np.nanmax(values)) if np.isfinite(values).any() else 0.0
