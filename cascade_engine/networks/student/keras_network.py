"""A student in Keras: the universal network on a coarser grid, with fewer features, that gives several frames at once.

Its first layer already steps over `stem` frames; its last gives the spikes of all of them. What comes from the way down
is added on the way up, where the universal network puts it beside. So most of the arithmetic is saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cascade_engine.networks.student.config import StudentConfig
from cascade_engine.networks.universal.architecture import COARSE, FINE, STEP
from cascade_engine.networks.universal.keras_network import NetworkInKeras

if TYPE_CHECKING:
    import keras


def build_student(config: StudentConfig) -> keras.Model:
    """Build an untrained student; inputs and output are those of the universal network.

    Parameters
    ----------
    config : StudentConfig
        Its sizes.

    Returns
    -------
    keras.Model
        See `cascade_engine.networks.universal.keras_network.build_network`.
    """
    part = NetworkInKeras()
    described = part.description(config)

    def layer(x: Any, n: int, length: int, name: str, stride: int = 1) -> Any:
        return part.modulated(part.convolution(x, n, length, name, stride), described, name)

    channels = config.channels
    x = layer(part.traces, channels[0], FINE, "fine0", config.stem)
    x = layer(x, channels[0], COARSE, "fine1")
    skipped = [x]
    for i, n in enumerate(channels[1:], start=1):
        x = layer(layer(x, n, STEP, f"down{i}", 2), n, COARSE, f"coarse{i}")
        skipped.append(x)
    for i in reversed(range(len(channels) - 1)):
        x = part.twice(part.convolution(x, channels[i], 1, f"narrow{i}")) + skipped[i]
        x = layer(x, channels[i], COARSE, f"up{i}")
    return part.model(x, config.stem)
