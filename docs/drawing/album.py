"""The list of all pictures, and what they share: style, simulated neurons, recorded neurons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cascade_engine import Inference, infer
from cascade_engine.ground_truth import Dataset, Indicator, find_datasets, ground_truth_root, load_dataset, simulate_dff
from cascade_engine.plotting.canvas import DFF_COLOUR, INFERRED_COLOUR, TRUTH_COLOUR

#: Width of a picture (inches) and its dots per inch: text is then large enough at the width of a page.
WIDTH, DPI = 9.0, 150

#: matplotlib's settings for all pictures.
STYLE = {
    "font.size": 13,
    "axes.titlesize": "medium",
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": DPI,
}

#: Colours of the three kinds of lines, wherever they are.
DFF, INFERRED, TRUTH = DFF_COLOUR, INFERRED_COLOUR, TRUTH_COLOUR

#: Frame rate (Hz) of simulated recordings, and an indicator like GCaMP6f.
RATE, LIKE_GCAMP6F = 30.0, Indicator(amplitude=0.1, rise_s=0.05, decay_s=0.45)


@dataclass(frozen=True)
class Picture:
    """A picture: how it is drawn, what is seen on it, and whether it needs recorded ground truth."""

    draw: Callable[[], Figure]
    caption: str
    recorded: bool


#: All pictures by name, in the order in which they are made.
ALBUM: dict[str, Picture] = {}


def picture(name: str, caption: str, recorded: bool = False) -> Callable[[Callable[[], Figure]], Callable[[], Figure]]:
    """Put a function that draws a picture into the album, under the name of its file (without ``.png``)."""

    def put(draw: Callable[[], Figure]) -> Callable[[], Figure]:
        ALBUM[name] = Picture(draw, " ".join(caption.split()), recorded)
        return draw

    return put


def page(n_rows: int = 1, n_columns: int = 1, height: float = 5.0, **options: Any) -> tuple[Figure, Any]:
    """A figure of the width of a page, and its axes."""
    return pyplot.subplots(n_rows, n_columns, figsize=(WIDTH, height), layout="constrained", **options)


def simulated_dff(
    spike_times_s: np.ndarray,
    duration_s: float,
    noise_level: float,
    seed: int = 0,
    indicator: Indicator = LIKE_GCAMP6F,
    frame_rate: float = RATE,
) -> np.ndarray:
    """dF/F (fraction) of one neuron with these spikes, shape (n_frames,)."""
    n_frames = round(duration_s * frame_rate)
    return simulate_dff(spike_times_s, n_frames, frame_rate, noise_level, indicator, np.random.default_rng(seed))


def inferred(dff: np.ndarray, frame_rate: float = RATE, **options: Any) -> Inference:
    """What the shipped model makes of the dF/F of one neuron, shape (n_frames,), or of several."""
    return infer(np.atleast_2d(dff), frame_rate, n_threads=2, **options)


def recorded(name: str) -> Dataset:
    """A dataset of recorded ground truth by its number, such as DS09."""
    found = find_datasets(ground_truth_root())
    return load_dataset(next(path for folder, path in found.items() if folder.startswith(name)))


def say(ax: Axes, x: float, y: float, text: str, colour: str = "black", **options: Any) -> None:
    """Write on a picture: x in units of the data, y as a part of the height."""
    options = {"ha": "center", "va": "center"} | options
    ax.text(x, y, text, color=colour, transform=ax.get_xaxis_transform(), **options)
