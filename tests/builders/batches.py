"""Batches of recordings of several kinds, their results without what differs from run to run, and odd containers."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cascade_adapters.containers.base import Container, Reading, Traces
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.running.finding import find_all
from tests.builders import caiman_files
from tests.builders.sessions import Given, dff_traces
from tests.builders.suite2p_folders import make_plane

#: Windows knows none; tests that need it are skipped there.
SIGKILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def make_batch(root: Path, n_planes: int = 3, n_frames: int = 600) -> Path:
    """Planes of suite2p, one of them damaged, a CaImAn file, and an NWB file with two planes if pynwb is there."""
    for number in range(n_planes):
        make_plane(root / f"mouse{number}" / "suite2p" / "plane0", 6, n_frames, seed=number)
    make_plane(root / "mouse1b" / "suite2p" / "plane0", 4, n_frames, seed=7)
    damage(root / "mouse1b" / "suite2p" / "plane0")
    (root / "mouse5").mkdir()
    caiman_files.make_file(root / "mouse5" / "results.hdf5", frame_rate=30.0)
    try:
        from tests.builders.nwb_files import suite2p_layout
    except ImportError:
        return root
    (root / "mouse6").mkdir()
    suite2p_layout(root / "mouse6" / "session.nwb")
    return root


def damage(plane: Path) -> None:
    """Cut F.npy short."""
    content = (plane / "F.npy").read_bytes()
    (plane / "F.npy").write_bytes(content[: len(content) // 2])


def found(root: Path) -> list[Container]:
    """All recordings in a folder."""
    containers, failures = find_all([root])
    assert failures == []
    return containers


def stored(root: Path) -> dict[str, Any]:
    """Arrays and record of each recording in a folder, but for the time at which they were made."""
    everything = {}
    for container in found(root):
        results = container.results()
        name = str(container.path.relative_to(root)), container.identity[2:]
        if results is None:
            everything[name] = None
            continue
        record = replace(results.record, created="", container={})
        arrays = {key: np.asarray(values[:]).tobytes() for key, values in results.arrays.items()}
        everything[name] = (record, arrays)
    return everything


def copied(root: Path, target: Path) -> Path:
    """A copy of a folder."""
    shutil.copytree(root, target)
    return target


class Killing(Given):
    """A container that kills the process that reads it, as the system does where memory is full."""

    def __init__(self, path: Path, number: int = SIGKILL):
        super().__init__(path)
        self.number = number

    def read(self, reading: Reading = Reading()) -> Traces:
        os.kill(os.getpid(), self.number)
        raise AssertionError("not reached")


class NotToBeSent(Given):
    """A container that no other process can be given."""

    def __init__(self, path: Path):
        super().__init__(path, {"own": dff_traces()})
        self.kept = open(os.devnull)  # noqa: SIM115

    def __del__(self) -> None:
        self.kept.close()


class KillingOnce(Suite2pPlane):
    """A plane that kills the first process that reads it."""

    def read(self, reading: Reading = Reading()) -> Traces:
        try:
            (self.path.parent / "was_read").touch(exist_ok=False)
        except FileExistsError:
            return super().read(reading)
        os.kill(os.getpid(), SIGKILL)
        raise AssertionError("not reached")
