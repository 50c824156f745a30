"""What the universal network has in common in Keras, where it is trained, and in ONNX, where it is run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cascade_engine.networks.indicators import indicators_named, plain_name

#: Kernel lengths (frames of their resolution): both layers at full resolution, between resolutions, at coarser ones,
#: the last of the way up, and of the context.
FINE, STEP, COARSE, LAST, CONTEXT = 9, 4, 5, 7, 9

#: dF/F enters twice: over its noise, and on its own scale; both are compressed by asinh.
NOISE_GAIN, DFF_GAIN = 0.5, 4.0

#: Lowest noise (standard deviation in dF/F per frame) that the network is given; smaller values are raised to it.
LOWEST_NOISE_SD = 1e-3

#: Where the logarithms of frame rate (Hz) and noise are centred.
LOG_RATE_CENTRE, LOG_NOISE_CENTRE = 3.0, -2.0

#: Softness of the maxima that are taken over a trace, and a limit that keeps their exponentials finite.
SHARPNESS, LARGEST_FEATURE = (1.0, 4.0), 12.0

#: Families of indicators that the network can be given: those with several datasets of ground truth, so that what is
#: learned on one can be tested on another. jGCaMP8 stands for a file that does not say which one.
INDICATOR_FAMILIES = (
    ("OGB-1",),
    ("Cal-520",),
    ("GCaMP6f",),
    ("GCaMP6s",),
    ("jGCaMP7f", "jGCaMP8", "jGCaMP8f", "jGCaMP8m", "jGCaMP8s"),
    ("R-CaMP1.07", "jRCaMP1a", "jRGECO1a"),
)

#: What stands for an indicator that is not known, or of no family.
UNKNOWN = -1

#: How many numbers a network is given about a trace.
N_CONDITIONS = 3 + len(INDICATOR_FAMILIES)


def known_indicator(name: str) -> str | None:
    """The indicator of `INDICATOR_FAMILIES` that a name stands for; None if there is none, or more than one.

    Parameters
    ----------
    name : str
        As files hold it (`cascade_engine.networks.indicators`).

    Examples
    --------
    >>> known_indicator("AAV9-syn-jGCaMP8m-WPRE"), known_indicator("gcamp 6f"), known_indicator("Fluo-4")
    ('jGCaMP8m', 'GCaMP6f', None)
    """
    named = {plain_name(each) for each in indicators_named(name)}
    known = (each for names in INDICATOR_FAMILIES for each in names if {plain_name(each)} == named)
    return next(known, None)


def indicator_family(name: str) -> int:
    """Number of the family of the indicator that a name stands for; `UNKNOWN` if the networks do not know it."""
    known = known_indicator(name)
    return next((number for number, names in enumerate(INDICATOR_FAMILIES) if known in names), UNKNOWN)


def conditions(
    frame_rate: float | np.ndarray,
    noise_sd: np.ndarray,
    interneuron: bool | np.ndarray,
    family: int | np.ndarray = UNKNOWN,
) -> np.ndarray:
    """What a network is given about a trace, beside the trace itself.

    Parameters
    ----------
    frame_rate : float or array, shape (n_traces,)
        Frame rate in Hz.
    noise_sd : array, shape (n_traces,)
        Standard deviation of the noise in dF/F per frame.
    interneuron : bool or array, shape (n_traces,)
        Whether the neuron is an interneuron.
    family : int or array, shape (n_traces,)
        Number of the family of the indicator, or `UNKNOWN`.

    Returns
    -------
    array, shape (n_traces, N_CONDITIONS), float32
        Centred logarithms of frame rate and noise, and 0 or 1 for each of the others.
    """
    noise_sd = np.maximum(np.asarray(noise_sd, dtype=np.float64), LOWEST_NOISE_SD)
    columns = [np.log(frame_rate) - LOG_RATE_CENTRE, np.log(noise_sd) - LOG_NOISE_CENTRE, interneuron]
    columns += [np.asarray(family) == number for number in range(len(INDICATOR_FAMILIES))]
    return np.stack([np.broadcast_to(column, noise_sd.shape) for column in columns], axis=1).astype(np.float32)


class Stated(NamedTuple):
    """What a row of `conditions` says: frame rate (Hz), noise (standard deviation in dF/F), population, family."""

    frame_rate: float
    noise_sd: float
    interneuron: bool
    family: int


def stated(row: np.ndarray) -> Stated:
    """Read one row of `conditions`."""
    families = np.flatnonzero(row[3:])
    return Stated(
        float(np.exp(row[0] + LOG_RATE_CENTRE)),
        float(np.exp(row[1] + LOG_NOISE_CENTRE)),
        bool(row[2]),
        int(families[0]) if len(families) else UNKNOWN,
    )
