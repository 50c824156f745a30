"""What the tests of CaImAn's files and objects share."""

from pathlib import Path

import h5py
import numpy as np

from cascade_adapters.containers.base import Reading

GIVEN = Reading(frame_rate=20.0)

COMPUTE = Reading(frame_rate=20.0, dff="compute")

ARRAYS = ("spike_prob", "dff", "noise_levels")

BAD_RATE = r"(params/data/fr).*--frame-rate"


def change(path: Path, **fields) -> Path:
    """Change fields of the estimates in a file; None is what CaImAn writes for it, ... removes."""
    with h5py.File(path, "r+") as file:
        for name, value in fields.items():
            del file["estimates"][name]
            if value is not ...:
                file["estimates"][name] = "NoneType" if value is None else value
    return path


def set_frame_rate(path: Path, value) -> None:
    with h5py.File(path, "r+") as file:
        del file["params/data/fr"]
        if value is not None:
            file["params/data/fr"] = value


def stored(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path, "r") as file:
        return {name: item[()] for name, item in file["estimates/cascade"].items()}
