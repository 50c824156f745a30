"""Training a model: every noise level, every member of its ensemble; killed and resumed without a trace."""

from __future__ import annotations

import csv
import hashlib
import os
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cascade_engine import __version__
from cascade_engine.errors import InputError
from cascade_engine.files import replacing
from cascade_engine.ground_truth.records import Dataset
from cascade_engine.models.config import ModelConfig
from cascade_engine.models.network import NetworkWeights
from cascade_engine.models.store import Model, write_model
from cascade_engine.training.batches import BatchMaker, resample_datasets
from cascade_engine.training.keras_network import build_network, import_keras, read_weights, write_weights

_CHECKPOINT_SECONDS = 30.0
_LOG_COLUMNS = ("noise_level", "member", "epoch", "windows", "loss", "seconds")


def train(
    config: ModelConfig,
    datasets: Sequence[Dataset],
    folder: str | os.PathLike,
    transfer: Mapping[float, Sequence[NetworkWeights]] | None = None,
    progress: bool = True,
) -> Model:
    """Train all networks of a model and write its folder.

    While it runs, finished networks, a checkpoint of the current one and ``log.csv`` lie in ``<folder>.training``.
    The same call after a kill goes on from there and ends with the same weights as an uninterrupted run on the same
    machine.

    Parameters
    ----------
    config : ModelConfig
        What to train.
    datasets : sequence of Dataset
        Ground truth; its recordings are brought to the config's frame rate and noise levels.
    folder : path
        Folder of the finished model; it must not exist.
    transfer : mapping of float to sequence of NetworkWeights, optional
        Networks to start from, by noise level (percent per sqrt(Hz)); the nearest level is taken.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Model
        The finished model.

    Raises
    ------
    InputError
        If the folder exists, holds the training of something else, or the ground truth is of no use.
    MissingExtraError
        Without Keras 3.
    """
    from tqdm import tqdm

    keras = import_keras()
    folder = Path(folder).absolute()
    if folder.exists():
        raise InputError(f"{folder} exists already: remove it or choose another place")
    resampled = resample_datasets(datasets, config.sampling_rate)
    workplace = _Workplace.open(folder.with_name(f"{folder.name}.training"), config, datasets, transfer)

    networks: dict[float, list[NetworkWeights]] = {}
    data: dict[float, dict[str, Any]] = {}
    n_steps = _steps_per_network(config)
    total = n_steps * len(config.noise_levels) * config.ensemble_size
    with tqdm(total=total, disable=not progress, unit="step", smoothing=0.02) as bar:
        for level in config.noise_levels:
            batches = BatchMaker(resampled, level, config)
            data[level] = {"neurons": batches.n_neurons, "recordings": batches.n_recordings}
            networks[level] = []
            for member in range(config.ensemble_size):
                bar.set_description(f"noise level {level:g}, network {member + 1} of {config.ensemble_size}")
                task = _Task(level, member, n_steps)
                weights = workplace.finished(task)
                if weights is None:
                    weights = _train_network(keras, config, task, batches, workplace, _start(transfer, task), bar)
                    workplace.finish(task, weights)
                bar.n = n_steps * (len(networks[level]) + config.noise_levels.index(level) * config.ensemble_size + 1)
                bar.refresh()
                networks[level].append(weights)

    details = {
        "summary": f"Trained with cascade-spikes {__version__}.",
        "origin": "trained",
        "training": {
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "seconds": workplace.seconds(),
            "ground_truth": [
                {"dataset": dataset.name, "neurons": len(dataset.neurons), "recordings": len(dataset.recordings)}
                for dataset in datasets
            ],
            "used_per_noise_level": [{"noise_level": level, **counts} for level, counts in data.items()],
            "final_loss": workplace.final_losses(),
            "transfer": transfer is not None,
            "versions": {
                "cascade-spikes": __version__,
                "keras": keras.__version__,
                "backend": keras.backend.backend(),
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        },
    }
    model = write_model(folder, config, networks, details)
    shutil.copyfile(workplace.log, folder / "training_log.csv")
    shutil.rmtree(workplace.folder)
    return model


@dataclass(frozen=True)
class _Task:
    """One network to train."""

    level: float
    member: int
    n_steps: int

    @property
    def key(self) -> str:
        return f"noise_{self.level:g}_member_{self.member}"

    def seed(self, config: ModelConfig, *more: int) -> list[int]:
        return [config.seed, round(1000 * self.level), self.member, *more]


def _steps_per_network(config: ModelConfig) -> int:
    return _steps_per_epoch(config) * config.nr_of_epochs


def _steps_per_epoch(config: ModelConfig) -> int:
    sequences = max(1, config.batch_size // config.sequence_length)
    return max(1, config.windows_per_epoch // (sequences * config.sequence_length))


def _train_network(
    keras, config, task: _Task, batches: BatchMaker, workplace: _Workplace, start, bar
) -> NetworkWeights:
    """Train one network, from its checkpoint if there is one."""
    keras.utils.set_random_seed(int(np.random.SeedSequence(task.seed(config)).generate_state(1)[0]))
    network = build_network(config)
    if start is not None:
        write_weights(network, start)
    optimizer = keras.optimizers.get({"class_name": config.optimizer, "config": {}})
    optimizer.build(network.trainable_variables)
    # compiled steps are twice as fast with TensorFlow and a must with JAX; torch cannot compile everywhere
    network.compile(optimizer, config.loss_function, jit_compile=keras.backend.backend() != "torch")
    step, losses, seconds = workplace.restore(task, network, optimizer)
    bar.update(step)

    per_epoch = _steps_per_epoch(config)
    started = saved = time.monotonic()
    try:
        while step < task.n_steps:
            dff, target, weight = batches.batch(np.random.default_rng(task.seed(config, step)))
            optimizer.learning_rate = _learning_rate(config, step / task.n_steps)
            network.reset_metrics()
            losses.append(float(network.train_on_batch(dff, target, sample_weight=weight)))
            step += 1
            bar.update()
            if step % per_epoch == 0:
                elapsed = seconds + time.monotonic() - started
                workplace.write_log(task, step // per_epoch, per_epoch * config.batch_size, np.mean(losses), elapsed)
                losses = []
            if time.monotonic() - saved > _CHECKPOINT_SECONDS:
                workplace.save(task, network, optimizer, step, losses, seconds + time.monotonic() - started)
                saved = time.monotonic()
    except KeyboardInterrupt:
        workplace.save(task, network, optimizer, step, losses, seconds + time.monotonic() - started)
        raise
    return read_weights(network)


def _learning_rate(config: ModelConfig, done: float) -> float:
    """Half a cosine from the configured rate to zero: the last steps average over batches."""
    return config.learning_rate * 0.5 * (1.0 + np.cos(np.pi * done))


def _start(transfer: Mapping[float, Sequence[NetworkWeights]] | None, task: _Task) -> NetworkWeights | None:
    if transfer is None:
        return None
    members = transfer[min(transfer, key=lambda level: abs(level - task.level))]
    return members[task.member % len(members)]


class _Workplace:
    """The folder in which an unfinished training keeps its state."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.log = folder / "log.csv"
        self._checkpoint = folder / "checkpoint.npz"

    @classmethod
    def open(cls, folder: Path, config: ModelConfig, datasets: Sequence[Dataset], transfer) -> _Workplace:
        """Create the folder, or check that it belongs to the same training."""
        description = {
            "config": config.to_dict(),
            "ground_truth": _fingerprint(datasets),
            "transfer": transfer is not None,
        }
        path = folder / "training.yaml"
        if path.is_file():
            if yaml.safe_load(path.read_text("utf-8")) != description:
                raise InputError(
                    f"{folder} holds an unfinished training with another configuration or other ground truth: "
                    "remove it, or choose another place"
                )
        else:
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file:
                file.write(yaml.safe_dump(description, sort_keys=False).encode())
        return cls(folder)

    def finished(self, task: _Task) -> NetworkWeights | None:
        path = self.folder / f"{task.key}.npz"
        if not path.is_file():
            return None
        with np.load(path) as content:
            arrays = [content[f"array{i}"] for i in range(len(content))]
        return NetworkWeights(tuple(arrays[0::2]), tuple(arrays[1::2]))

    def finish(self, task: _Task, weights: NetworkWeights) -> None:
        pairs = zip(weights.kernels, weights.biases, strict=True)
        with replacing(self.folder / f"{task.key}.npz") as file:
            np.savez(file, **{f"array{i}": array for i, array in enumerate(a for pair in pairs for a in pair)})
        self._checkpoint.unlink(missing_ok=True)

    def save(self, task: _Task, network, optimizer, step: int, losses: list[float], seconds: float) -> None:
        with replacing(self._checkpoint) as file:
            np.savez(
                file,
                task=task.key,
                step=step,
                losses=losses,
                seconds=seconds,
                **{f"weight{i}": array for i, array in enumerate(network.get_weights())},
                **{f"optimizer{i}": np.asarray(value) for i, value in enumerate(optimizer.variables)},
            )

    def restore(self, task: _Task, network, optimizer) -> tuple[int, list[float], float]:
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

    def write_log(self, task: _Task, epoch: int, windows: int, loss: float, seconds: float) -> None:
        """Add an epoch; one that an earlier, killed run had logged behind its last checkpoint is replaced."""
        row = (f"{task.level:g}", str(task.member), str(epoch), str(windows), f"{loss:.6g}", f"{seconds:.0f}")
        rows = [old for old in self._log_rows() if tuple(old[:3]) != row[:3]]
        with replacing(self.log) as file:
            lines = [",".join(line) for line in (_LOG_COLUMNS, *rows, row)]
            file.write("\n".join([*lines, ""]).encode())

    def _log_rows(self) -> list[list[str]]:
        if not self.log.is_file():
            return []
        with self.log.open(newline="") as file:
            return list(csv.reader(file))[1:]

    def _last_rows(self) -> dict[tuple[str, str], list[str]]:
        return {(row[0], row[1]): row for row in self._log_rows()}

    def seconds(self) -> int:
        """Time spent training, over all networks."""
        return sum(int(row[-1]) for row in self._last_rows().values())

    def final_losses(self) -> list[dict[str, float]]:
        """Mean loss of the last epoch of each network."""
        return [
            {"noise_level": float(level), "member": int(member), "loss": float(row[4])}
            for (level, member), row in self._last_rows().items()
        ]


def _fingerprint(datasets: Sequence[Dataset]) -> str:
    digest = hashlib.sha256()
    for dataset in datasets:
        for recording in dataset.recordings:
            for array in (recording.time_s, recording.dff, recording.spike_times_s):
                digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
