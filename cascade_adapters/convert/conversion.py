"""From any container to a file or folder of another kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cascade_adapters.containers.base import Reading, Selection
from cascade_adapters.convert.arrays import write_csv, write_mat, write_npz
from cascade_adapters.convert.metadata import Metadata
from cascade_adapters.convert.nwb import write_nwb
from cascade_adapters.convert.session import Session, read_session
from cascade_adapters.convert.suite2p import write_suite2p
from cascade_adapters.safe_writing.new_file import placing
from cascade_engine.errors import InputError

#: Kinds of target, and the ends of names that mean them.
TARGETS: dict[str, tuple[str, ...]] = {
    "nwb": (".nwb",),
    "zarr": (".nwb.zarr", ".zarr"),
    "npz": (".npz",),
    "mat": (".mat",),
    "suite2p": (),
    "csv": (),
}

_WRITERS: dict[str, Callable[[Session, Path], None]] = {
    "npz": write_npz,
    "mat": write_mat,
    "suite2p": write_suite2p,
    "csv": write_csv,
}


@dataclass
class Conversion:
    """What was converted.

    Attributes
    ----------
    session : Session
        What was read, with remarks on what was doubtful or left out.
    target : Path
        What was written.
    kind : str
        One of `TARGETS`.
    """

    session: Session
    target: Path
    kind: str


def convert(
    source: Path,
    target: Path,
    kind: str | None = None,
    selection: Selection = Selection(),
    reading: Reading = Reading(),
    metadata: Metadata | None = None,
) -> Conversion:
    """Write what a container holds to a new file or folder of another kind; nothing is computed.

    Parameters
    ----------
    source : Path
        File or folder of one session.
    target : Path
        File or folder to create.
    kind : str, optional
        One of `TARGETS`; by default what the target's name says, a suite2p folder where it has no known end.
    selection : Selection
        Which of the source's traces are meant.
    reading : Reading
        What is known about them.
    metadata : Metadata, optional
        What an NWB file should say about the experiment.

    Returns
    -------
    Conversion
        What was done.

    Raises
    ------
    InputError
        If the source cannot be read, the target exists, or it cannot hold what the source does.
    """
    kind = kind or kind_of(target)
    if kind not in ("nwb", "zarr") and metadata not in (None, Metadata()):
        raise InputError(f"{target}: only NWB files describe the experiment: leave out what is to be said of it")
    with placing(target) as place:
        session = read_session(source, selection, reading)
        if kind in ("nwb", "zarr"):
            write_nwb(session, metadata or Metadata(), place, zarr=kind == "zarr")
        else:
            _WRITERS[kind](session, place)
    return Conversion(session, target, kind)


def kind_of(target: Path) -> str:
    """The kind of target that a name stands for.

    Parameters
    ----------
    target : Path
        File or folder to create.

    Returns
    -------
    str
        One of `TARGETS`.

    Raises
    ------
    InputError
        If its end means nothing known.
    """
    name = target.name.lower()
    for kind, ends in TARGETS.items():
        if name.endswith(ends):
            return kind
    if target.suffix.lower() in _OTHER_ENDS:
        known = ", ".join(end for ends in TARGETS.values() for end in ends)
        raise InputError(
            f"{target}: cascade writes {known}, and folders: of suite2p files, or with --to csv of CSV files"
        )
    return "suite2p"


#: Ends of names that are surely not meant for a folder of suite2p files.
_OTHER_ENDS = {".csv", ".txt", ".npy", ".hdf5", ".h5", ".json", ".xlsx", ".tif", ".tiff"}
