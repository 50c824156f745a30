"""Types of options that are numbers with a unit, for commands that do not take them from the list of choices."""

from cascade_adapters.cli.common import Number
from cascade_engine.signal.kernels import SMOOTHING_HINT, SMOOTHING_LIMITS
from cascade_engine.signal.noise import FRAME_RATE_HINT, FRAME_RATE_LIMITS, NOISE_HINT, NOISE_LIMITS, NOISE_UNIT

FRAME_RATE = Number(FRAME_RATE_LIMITS, "Hz", FRAME_RATE_HINT)
NOISE_LEVEL = Number(NOISE_LIMITS, NOISE_UNIT, NOISE_HINT)
SMOOTHING = Number(SMOOTHING_LIMITS, "s", SMOOTHING_HINT)
MINUTES = Number((0.1, 1440), "minutes")
