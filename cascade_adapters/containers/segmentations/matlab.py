"""Structs in ``.mat`` files of either version, as EXTRACT and CNMF-E leave them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cascade_adapters.containers.arrays.contents import Contents
from cascade_adapters.containers.arrays.matlab_files import read_mat_once
from cascade_adapters.containers.base import Rois
from cascade_engine.errors import InputError
from cascade_engine.file_formats.variables import Variable, load_numbers


class Struct:
    """The fields of one struct in a ``.mat`` file.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Name of the struct.
    contents : Contents
        What the file holds.
    """

    def __init__(self, path: Path, name: str, contents: Contents):
        self.path, self.name, self._contents = path, name, contents

    def field(self, name: str) -> Variable | None:
        """A field, by its name with the names of the structs around it, or None."""
        return self._contents.named(f"{self.name}.{name}")

    def scalar(self, name: str) -> float | None:
        """A field that is a single number or logical value, or None."""
        variable = self.field(name)
        if variable is None or variable.problem not in ("", "logical") or np.prod(variable.shape) != 1:
            return None
        value = np.asarray(variable.load()).ravel()
        return float(value[0]) if value.size == 1 and value.dtype.kind in "biuf" else None

    def text(self, name: str) -> str:
        """A field that is text, or an empty string."""
        variable = self.field(name)
        if variable is None or variable.problem not in ("char", "text"):
            return ""
        value = np.asarray(variable.load())
        return "".join(map(chr, value.ravel())) if value.dtype.kind in "iu" else "".join(map(str, value.ravel()))

    def traces(self, name: str, what: str) -> np.ndarray:
        """A field that must be a matrix of numbers; `what` says what it is, for the message."""
        variable = self.field(name)
        if variable is None or variable.problem or len(variable.shape) != 2:
            held = "is missing" if variable is None else f"is {variable}"
            raise InputError(f"{self.path}: {self.name}.{name}, {what}, {held}")
        return load_numbers(variable, self.path)

    def rois(self, name: str) -> Rois | None:
        """Footprints from a field of the shape (height, width, n_rois), or None."""
        variable = self.field(name)
        if variable is None or variable.problem or len(variable.shape) not in (2, 3):
            return None
        images = load_numbers(variable, self.path)
        with np.errstate(over="ignore", invalid="ignore"):  # damaged numbers
            images = images.reshape(*images.shape[:2], -1).astype(np.float32)
        pixels = [np.argwhere(images[:, :, roi] > 0) for roi in range(images.shape[2])]
        weights = [images[place[:, 0], place[:, 1], roi] for roi, place in enumerate(pixels)]
        return Rois(images.shape[:2], pixels, weights)


def find_struct(path: Path, *fields: str) -> Struct | None:
    """The first struct of a ``.mat`` file that has all these fields, or None; never raises."""
    if path.suffix.lower() != ".mat" or not path.is_file():
        return None
    contents = read_mat_once(path)
    if contents is None:
        return None
    for variable in contents.variables:
        struct, _, field = variable.name.rpartition(".")
        if struct and field == fields[0] and all(contents.named(f"{struct}.{other}") for other in fields):
            return Struct(path, struct, contents)
    return None
