"""What the universal network has in common in Keras, where it is trained, and in ONNX, where it is run."""

from __future__ import annotations

import numpy as np

#: Kernel lengths (frames of their resolution): both layers at full resolution, between resolutions, at coarser ones,
#: the last of the way up, and of the context.
FINE, STEP, COARSE, LAST, CONTEXT = 9, 4, 5, 7, 9

#: dF/F enters twice: over its noise, and on its own scale; both are compressed by asinh.
NOISE_GAIN, DFF_GAIN = 0.5, 4.0

#: Noise (standard deviation in dF/F per frame) below which it is taken for this.
LOWEST_NOISE_SD = 1e-3

#: Where the logarithms of frame rate (Hz) and noise are centred.
LOG_RATE_CENTRE, LOG_NOISE_CENTRE = 3.0, -2.0

#: Softness of the maxima that are taken over a trace, and a limit that keeps their exponentials finite.
SHARPNESS, LARGEST_FEATURE = (1.0, 4.0), 12.0


#: Kinds of neuron that the network can be told: what it takes for granted, and cells that fire much and fast.
POPULATIONS = ("principal", "interneurons")

#: How many numbers a network is told about a trace.
N_CONDITIONS = 3


def conditions(frame_rate: float | np.ndarray, noise_sd: np.ndarray, interneuron: bool | np.ndarray) -> np.ndarray:
    """What a network is told about a trace.

    Parameters
    ----------
    frame_rate : float or array, shape (n_traces,)
        Frame rate in Hz.
    noise_sd : array, shape (n_traces,)
        Standard deviation of the noise in dF/F per frame.
    interneuron : bool or array, shape (n_traces,)
        Whether the neuron is an interneuron.

    Returns
    -------
    array, shape (n_traces, 3), float32
        Centred logarithms of frame rate and noise, and 0 or 1.
    """
    noise_sd = np.maximum(np.asarray(noise_sd, dtype=np.float64), LOWEST_NOISE_SD)
    columns = (np.log(frame_rate) - LOG_RATE_CENTRE, np.log(noise_sd) - LOG_NOISE_CENTRE, interneuron)
    return np.stack([np.broadcast_to(column, noise_sd.shape) for column in columns], axis=1).astype(np.float32)
