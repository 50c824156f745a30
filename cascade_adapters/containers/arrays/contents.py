"""What a file of arrays holds, before any of it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cascade_engine.file_formats.variables import Variable


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
    look_inside : callable
        Gives the variables that lie inside others; it may take long, and is called if there are no traces otherwise.
    """

    variables: list[Variable]
    rois_first: bool | None = None
    reason: str = ""
    remarks: list[str] = field(default_factory=list)
    layout: Any = None
    look_inside: Callable[[], list[Variable]] = list

    def expand(self) -> bool:
        """Add the variables that lie inside others; whether there are any."""
        look_inside, self.look_inside = self.look_inside, list
        added = look_inside()
        names = {variable.name for variable in added}
        self.variables[:] = [variable for variable in self.variables if variable.name not in names] + added
        return bool(added)

    def named(self, name: str) -> Variable | None:
        """The variable of this name, or None."""
        return next((variable for variable in self.variables if variable.name == name), None)
