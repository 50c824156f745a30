"""Spikes in NWB files that are not on this computer, such as those of DANDI; or that are open already.

`cascade_adapters.run` takes an address too; here the place of the results can be chosen::

    from cascade_adapters.running.remote import infer_remote

    infer_remote("https://api.dandiarchive.org/api/assets/.../download/", output="mouse1_cascade.nwb")
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_adapters.containers.nwb.remote import find_remote
from cascade_adapters.running.batch import run_and_warn
from cascade_adapters.running.in_python import speaking_python
from cascade_adapters.running.options import parse_options
from cascade_adapters.running.report import Report

if TYPE_CHECKING:
    import h5py


def infer_remote(source: str | h5py.File, output: str | Path | None = None, **options: Any) -> list[Report]:
    """Infer spikes in an NWB file that lies elsewhere, or is open already.

    Parameters
    ----------
    source : str or h5py.File
        Address of the file (http, https, or whatever `fsspec` knows), or the open file.
    output : path, optional
        File for the results; default: ``NAME_cascade.nwb`` in the working folder.
    **options
        As for `cascade_adapters.run`.

    Returns
    -------
    list of Report
        One per recording.

    Raises
    ------
    CascadeError
        If the file cannot be opened, or, once all recordings have had their turn, if some could not be processed.

    Warns
    -----
    CascadeWarning
        If something makes the results doubtful.
    """
    with speaking_python():
        chosen = parse_options(options)
        found = find_remote(source, chosen.selection, output)
    return run_and_warn(found, chosen)
