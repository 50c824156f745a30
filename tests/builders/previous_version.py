"""What version 0.1.0 wrote: `tests/fixtures/version_0_1_0/README.md` says what there is."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from pathlib import Path

import numpy as np

from cascade_engine.file_formats.atomic import sha256

FIXTURES = Path(__file__).parents[1] / "fixtures" / "version_0_1_0"


def unpack(name: str, folder: Path) -> None:
    """Unpack one of the archives into a folder that exists."""
    with tarfile.open(FIXTURES / f"{name}.tar.xz") as archive:
        if sys.version_info >= (3, 12):
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)
    # 'restore' knows by their times that files have not been changed since
    for file, time_ns in json.loads((folder / "times.json").read_text()).items():
        os.utime(folder / file, ns=(time_ns, time_ns))


def load(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz`` file."""
    with np.load(path) as file:
        return dict(file)


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below a folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): sha256(file) for file in files}
