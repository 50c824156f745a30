"""Every name of ours that a lab may meet beside its files: hidden files and folders, made and recognised here alone.

What belongs to a file or folder ``NAME`` is called ``.NAME.ENDING``, what belongs to a whole folder ``.ENDING`` inside
it. All endings begin with ``cascade-``:

===================== ==================================================================================================
``cascade-staging``   new content of several files, until all are put in place together
``cascade-part``      a new file or folder while it is made
``cascade-copy-...``  a copy of a file that is being changed
``cascade-old``       a Zarr store that is about to be replaced
``cascade-undo``      undo journal of a change that is under way
``cascade-undo-next`` undo journal of a copy that is about to take a file's place
``cascade-undo1``     undo journal of the oldest change that can be taken back; ``2`` of the next, and so on
``cascade-spool-...`` results that wait on the disk until they are written
===================== ==================================================================================================

Files that replace others at once are named by `cascade_engine.file_formats.atomic`. Version 0.1.0 had other names for
parts (``.NAME.part``) and copies (``.cascade-DIGEST-....part``): `parts` and `copies` find these too.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import tempfile
from pathlib import Path

#: Longest name in bytes that file systems take.
_LONGEST = 255

#: Random characters at the end of a name.
_RANDOM = 8

_OURS = re.compile(r"\.(.*\.)?cascade-(staging|part|old|copy-\w+|undo(\d*|-next)(\.part)?|spool-\w+-\w+(\.lock)?)")


def is_ours(name: str) -> bool:
    """Whether the name of a file or folder (without its path) is one of ours, and not to be searched for recordings."""
    return _OURS.fullmatch(name) is not None


def staging(folder: Path, concerns: str = "") -> Path:
    """Where changes to a folder are prepared; `concerns` is a file in it that they all go with, if there is one."""
    return _beside(folder / concerns, "cascade-staging") if concerns else folder / ".cascade-staging"


def part(path: Path) -> Path:
    """Where a new file or folder is made."""
    return _beside(path, "cascade-part")


def parts(path: Path) -> list[Path]:
    """What is there now of a new file or folder that was being made."""
    return _found(path.parent, rf"{re.escape(part(path).name)}|{re.escape(f'.{path.name}.part')}")


def old(path: Path) -> Path:
    """Where a folder waits to be removed once another has taken its place."""
    return _beside(path, "cascade-old")


def copy_prefix(path: Path) -> str:
    """Beginning of the name of each copy that is to take a file's place; a few random characters follow."""
    return _beside(path, "cascade-copy-", _RANDOM).name


def copies(path: Path) -> list[Path]:
    """Copies of a file that are there now."""
    return _found(path.parent, rf"{re.escape(copy_prefix(path))}\w+|\.cascade-{_digest(path)}-\w+\.part")


def pending_journal(path: Path) -> Path:
    """Undo journal of a change to a file that is under way."""
    return _beside(path, "cascade-undo")


def next_journal(path: Path) -> Path:
    """Undo journal of a copy of a file that is about to take its place."""
    return _beside(path, "cascade-undo-next")


def journal(path: Path, number: int) -> Path:
    """Undo journal of a change to a file that can be taken back; number 1 is the oldest."""
    return _beside(path, f"cascade-undo{number}")


def journal_part(journal: Path) -> Path:
    """Where an undo journal is written."""
    return journal.with_name(f"{journal.name}.part")


def spool_prefix() -> str:
    """Beginning of the name of each folder for results that wait, of runs on this computer."""
    computer = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
    return f".cascade-spool-{computer}-"


def spools(folder: Path) -> list[Path]:
    """Folders for results that wait, of runs on this computer, by their locks or by themselves."""
    found = _found(folder, re.escape(spool_prefix()) + r"\w+(\.lock)?")
    return sorted({path.with_suffix("") if path.suffix == ".lock" else path for path in found})


def spool_lock(spool: Path) -> Path:
    """What a run keeps locked as long as it uses such a folder."""
    return spool.with_name(f"{spool.name}.lock")


def lock_file(path: Path) -> Path:
    """What a run keeps locked while it changes a file or folder: outside, so that nothing is left there."""
    owner = os.getuid() if hasattr(os, "getuid") else 0
    key = hashlib.sha256(os.fsencode(f"{owner}:{path.resolve()}")).hexdigest()[:24]
    return Path(tempfile.gettempdir()) / f"cascade-{key}.lock"


def _beside(path: Path, ending: str, further: int = 0) -> Path:
    """A hidden name beside a path; short where the path's own name is too long to be part of it."""
    name = f".{path.name}.{ending}"
    if len(os.fsencode(name)) + further + len(".part") > _LONGEST:
        name = f".{_digest(path)}.{ending}"
    return path.with_name(name)


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]


def _found(folder: Path, pattern: str) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / entry.name for entry in entries if re.fullmatch(pattern, entry.name))
    except OSError:
        return []
