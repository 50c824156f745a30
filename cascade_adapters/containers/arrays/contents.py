"""What a file of arrays holds, before any of it is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cascade_engine.file_formats.variables import Variable

#: Variables in which the conversion notes that dF/F, or the source's traces, are in arbitrary units or denoised.
ARBITRARY_DFF, ARBITRARY_SOURCE, DENOISED = "arbitrary_units", "source_arbitrary_units", "denoised"


@dataclass
class Contents:
    """What a file of arrays holds.

    Attributes
    ----------
    variables : list of Variable
        All of them.
    rois_first : bool or None
        Which axis comes first, if the file says so (text files with names of ROIs).
    reason : str
        How it says so.
    remarks : list of str
        What was left out.
    layout : object
        What the format needs to write results in the same form.
    """

    variables: list[Variable]
    rois_first: bool | None = None
    reason: str = ""
    remarks: list[str] = field(default_factory=list)
    layout: Any = None

    def told_of(self, name: str) -> tuple[bool, bool]:
        """Whether 'cascade convert' has noted that a variable is in arbitrary units, and that it is denoised.

        Names of several planes begin with the plane's, those of the notes too.
        """
        found = re.fullmatch(r"((?:.*_)??)(source_dff|F|dff)", name)
        if found is None:
            return False, False
        plane, units = found[1], ARBITRARY_DFF if found[2] == "dff" else ARBITRARY_SOURCE
        return self._is_set(plane + units), self._is_set(plane + DENOISED)

    def _is_set(self, name: str) -> bool:
        variable = self.named(name)
        try:
            return variable is not None and np.asarray(variable.load()).ravel().tolist() == [1]
        except Exception:  # a damaged file can fail in any way
            return False

    def named(self, name: str) -> Variable | None:
        """The variable of this name, or None."""
        return next((variable for variable in self.variables if variable.name == name), None)
