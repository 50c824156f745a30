"""The file that holds the results of another file: a copy of it, beside it, with our results added."""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType
from typing import Any

from cascade_adapters.containers.nwb import hdf5_file, zarr_store
from cascade_adapters.containers.nwb.content import hold_the_same
from cascade_adapters.containers.nwb.files import holds_results_of, results_in, state_of
from cascade_adapters.containers.nwb.validation import check_valid
from cascade_adapters.safe_writing import names as hidden
from cascade_adapters.safe_writing.lock import lock
from cascade_engine.errors import InputError

#: Whole ticks of the coarsest clock of a file system.
_CLOCK_NS = 2_000_000_000


def backend_of(zarr: bool) -> ModuleType:
    """The module that writes into Zarr stores, or the one for HDF5 files."""
    return zarr_store if zarr else hdf5_file


class OutputFile:
    """The file of ours beside a source, which may be there or not.

    Parameters
    ----------
    path : Path
        Where it is.
    zarr : bool
        Whether it is a Zarr store.
    source : Path, optional
        The source, if it is on this computer.
    """

    def __init__(self, path: Path, zarr: bool, source: Path | None = None):
        self.path = path
        self._zarr = zarr
        self._source = source

    @property
    def _backend(self) -> ModuleType:
        return backend_of(self._zarr)

    def is_ours(self, source: str) -> bool:
        """Whether it is there, and holds results of ours in a copy of the source with this name."""
        self._backend.recover(self.path)
        if self._source is not None:
            return holds_results_of(self.path, self._source)
        return any(found.copy_of == source for found in results_in(self.path))

    def can_be_added_to(self, source: dict[str, Any]) -> bool:
        """Whether results can be added, because it is a copy of the source as that is now.

        Parameters
        ----------
        source : dict
            Name of the source, and what else tells whether it has changed.

        Returns
        -------
        bool
            If not, a new copy may take its place.

        Raises
        ------
        InputError
            If something that must not be lost is in the way.
        """
        if not self.path.exists():
            return False
        if not self.is_ours(source["name"]):
            raise InputError(f"{self.path} is in the way, and was not written by cascade: move or rename it")
        if self._is_copy_of(source):
            return True
        if self._is_untouched_copy_of(source["name"]) or self._holds_nothing_else():
            return False
        raise InputError(
            f"{self.path} holds other things than {source['name']} besides our results: one of them was changed since; "
            "move it away, or take our results out of it with 'cascade restore'"
        )

    def take_back(self, source: dict[str, Any]) -> list[str]:
        """Remove it; if it holds anything that is nowhere else, remove only our results.

        Parameters
        ----------
        source : dict
            As for `can_be_added_to`.

        Returns
        -------
        list of str
            What was done.
        """
        self._backend.recover(self.path)
        if not self.path.exists() and not hidden.parts(self.path):
            return []
        with lock(self.path):
            for part in hidden.parts(self.path):
                self._backend.throw_away(part)
            if not self.is_ours(source["name"]):
                return []
            if (self._is_untouched() and self._is_copy_of(source)) or self._holds_nothing_else():
                self._backend.throw_away(self.path)
                return [f"removed {self.path.name}"]
            left = results_in(self.path)
            with self._backend.updating(self.path, False, check_valid) as editor:
                for found in left:
                    editor.remove(found.names)
        reason = "nothing tells whether it was changed since"
        if self._source is not None:
            reason = f"it is not what {self._source.name} holds, so that one of them was changed since"
        return [f"removed our results from {self.path.name}, and left the rest: {reason}"]

    def new_stamp_ns(self) -> int | None:
        """Time of modification (in ns) to be recorded and given to it, so that changes by others are noticed later.

        None if others have changed it already.
        """
        if self.path.exists() and not self._is_untouched():
            return None
        return time.time_ns() // _CLOCK_NS * _CLOCK_NS

    def _is_untouched_copy_of(self, name: str) -> bool:
        return self._is_untouched() and any(found.copy_of == name for found in results_in(self.path))

    def _is_copy_of(self, source: dict[str, Any]) -> bool:
        return all(found.facts["copy_of"] == source for found in results_in(self.path))

    def _holds_nothing_else(self) -> bool:
        """Whether all that it holds besides our results is in the source too; copying files gives them new times."""
        return self._source is not None and self._source.exists() and hold_the_same(self.path, self._source)

    def _is_untouched(self) -> bool:
        """Whether nobody has changed it since we did, by its time of modification."""
        stamps = [found.facts.get("stamp_ns") or 0 for found in results_in(self.path)]
        return state_of(self.path)["mtime_ns"] <= max(stamps, default=0)
