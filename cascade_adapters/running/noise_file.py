"""Noise levels as text: one number, one for each ROI, or a file with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cascade_engine.errors import InputError


def as_noise_levels(given: str) -> float | list[float]:
    """Noise levels from text.

    Parameters
    ----------
    given : str
        A number; numbers with commas, one for each ROI, in the container's order; or the path of a ``.npy`` or ``.txt``
        file with one for each ROI. All in percent per sqrt(Hz); ``nan``: as measured.

    Returns
    -------
    float or list of float
        One for all, or one for each ROI.

    Raises
    ------
    InputError
        If it is none of these, or the file cannot be read.
    """
    path = Path(given)
    try:
        if path.suffix.lower() == ".npy":
            values = np.load(path, allow_pickle=False)
            if values.dtype.kind not in "iuf" or values.size != max(values.shape, default=0):
                raise InputError(f"one number for each ROI is needed, not {values.dtype} of shape {values.shape}")
            return [float(value) for value in values.ravel()]
        if path.suffix.lower() == ".txt":
            return [float(word) for word in path.read_text("utf-8").replace(",", " ").split()]
        numbers = [float(word) for word in given.split(",")]
        return numbers[0] if len(numbers) == 1 else numbers
    except InputError as error:
        raise InputError(f"--noise-level {given}: {error}") from None
    except (OSError, ValueError, EOFError) as error:
        kinds = "a number, numbers with commas, or a .npy or .txt file with one for each ROI"
        raise InputError(f"--noise-level must be {kinds}, but {given}: {' '.join(str(error).split())}") from None
