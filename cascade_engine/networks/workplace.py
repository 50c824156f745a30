"""The folder in which an unfinished training keeps its state: finished networks, a checkpoint, the log."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cascade_engine._version import __version__
from cascade_engine.errors import InputError
from cascade_engine.file_formats.atomic import replacing
from cascade_engine.file_formats.yaml_text import parse_yaml
from cascade_engine.ground_truth.records import Dataset
from cascade_engine.networks.configuration import Configuration

_LOG_COLUMNS = ("network", "epoch", "windows", "loss", "seconds")


@dataclass(frozen=True)
class Task:
    """One network to train.

    Attributes
    ----------
    key : str
        Its name in the workplace.
    label : str
        Its name for the user.
    seed : tuple of int
        Seed of all its randomness.
    n_steps : int
        Training steps.
    """

    key: str
    label: str
    seed: tuple[int, ...]
    n_steps: int


class Workplace:
    """The folder in which an unfinished training keeps its state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log.csv"
        self._checkpoint = folder / "checkpoint.npz"

    @classmethod
    def open(
        cls,
        folder: Path,
        config: Configuration,
        datasets: Sequence[Dataset],
        transfer: Iterable[np.ndarray] = (),
    ) -> Workplace:
        """Create the folder, or check that it belongs to the same training."""
        description = {
            "version": __version__,
            "config": config.to_dict(),
            "ground_truth": _fingerprint(
                array
                for dataset in datasets
                for recording in dataset.recordings
                for array in (recording.time_s, recording.dff, recording.spike_times_s)
            ),
            "transfer": _fingerprint(transfer),
        }
        path = folder / "training.yaml"
        if path.is_file():
            if parse_yaml(path.read_text("utf-8")) != description:
                raise InputError(
                    f"{folder} holds an unfinished training with another configuration, ground truth or version: "
                    "remove it, or choose another place"
                )
        else:
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file:
                file.write(yaml.safe_dump(description, sort_keys=False).encode())
        return cls(folder)

    def finished(self, task: Task) -> dict[str, np.ndarray] | None:
        """Weights of a network that is trained already."""
        path = self.folder / f"{task.key}.npz"
        if not path.is_file():
            return None
        with np.load(path) as content:
            return dict(content)

    def finish(self, task: Task, weights: Mapping[str, np.ndarray]) -> None:
        """Keep the weights of a trained network."""
        with replacing(self.folder / f"{task.key}.npz") as file:
            np.savez(file, allow_pickle=False, **dict(weights))
        self._checkpoint.unlink(missing_ok=True)

    def save(self, task: Task, network: Any, optimizer: Any, step: int, losses: list[float], seconds: float) -> None:
        """Keep the state of the network that is being trained."""
        with replacing(self._checkpoint) as file:
            np.savez(
                file,
                task=task.key,
                step=step,
                losses=losses,
                seconds=seconds,
                **{f"weight{i}": array for i, array in enumerate(network.get_weights())},
                **{f"optimizer{i}": value.numpy() for i, value in enumerate(optimizer.variables)},
            )

    def restore(self, task: Task, network: Any, optimizer: Any) -> tuple[int, list[float], float]:
        """Put the checkpoint of this network, if any, into it; returns step, losses of the epoch, seconds so far."""
        if not self._checkpoint.is_file():
            return 0, [], 0.0
        with np.load(self._checkpoint) as content:
            if str(content["task"]) != task.key:
                return 0, [], 0.0
            network.set_weights([content[f"weight{i}"] for i in range(len(network.weights))])
            for i, variable in enumerate(optimizer.variables):
                variable.assign(content[f"optimizer{i}"])
            return int(content["step"]), content["losses"].tolist(), float(content["seconds"])

    def write_log(self, task: Task, epoch: int, windows: int, loss: float, seconds: float) -> None:
        """Add an epoch; one that an earlier, killed run had logged behind its last checkpoint is replaced."""
        row = (task.key, str(epoch), str(windows), f"{loss:.6g}", f"{seconds:.0f}")
        rows = [old for old in self._log_rows() if tuple(old[:2]) != row[:2]]
        with replacing(self.log) as file:
            lines = [",".join(line) for line in (_LOG_COLUMNS, *rows, row)]
            file.write("\n".join([*lines, ""]).encode())

    def _log_rows(self) -> list[list[str]]:
        if not self.log.is_file():
            return []
        with self.log.open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file))[1:]

    def _last_rows(self) -> dict[str, list[str]]:
        return {row[0]: row for row in self._log_rows()}

    def seconds(self) -> int:
        """Time spent training, over all networks."""
        return sum(int(row[-1]) for row in self._last_rows().values())

    def final_losses(self) -> dict[str, float]:
        """Mean loss of the last epoch of each network."""
        return {network: float(row[3]) for network, row in self._last_rows().items()}


def _fingerprint(arrays: Iterable[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
