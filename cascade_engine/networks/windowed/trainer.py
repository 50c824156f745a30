"""Training a model: every noise level, every member of its ensemble; killed and resumed without a trace."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from cascade_engine._version import __version__
from cascade_engine.errors import InputError
from cascade_engine.ground_truth.records import Dataset
from cascade_engine.networks.keras import import_keras
from cascade_engine.networks.store import Model
from cascade_engine.networks.windowed.batches import BatchMaker, resample_datasets
from cascade_engine.networks.windowed.config import ModelConfig
from cascade_engine.networks.windowed.keras_network import build_network, read_weights, write_weights
from cascade_engine.networks.windowed.weights import NetworkWeights
from cascade_engine.networks.windowed.writing import write_windowed_model
from cascade_engine.networks.workplace import Task, Workplace

_CHECKPOINT_SECONDS = 30.0


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
    makers = {level: BatchMaker(resampled, level, config) for level in config.noise_levels}
    start = [array for networks in (transfer or {}).values() for network in networks for array in network.arrays]
    workplace = Workplace.open(folder.with_name(f"{folder.name}.training"), config, datasets, start)

    networks: dict[float, list[NetworkWeights]] = {}
    n_steps = _steps_per_network(config)
    total = n_steps * len(config.noise_levels) * config.ensemble_size
    with tqdm(total=total, disable=not progress, unit="step", smoothing=0.02) as bar:
        for level in config.noise_levels:
            networks[level] = []
            for member in range(config.ensemble_size):
                bar.set_description(f"noise level {level:g}, network {member + 1} of {config.ensemble_size}")
                task = Task(f"noise_{level:g}_member_{member}", (config.seed, round(1000 * level), member), n_steps)
                stored = workplace.finished(task)
                if stored is not None:
                    weights = NetworkWeights.from_arrays(list(stored.values()))
                else:
                    first = _start(transfer, level, member)
                    weights = _train_network(keras, config, task, makers[level], workplace, first, bar)
                    workplace.finish(task, {f"array{i}": array for i, array in enumerate(weights.arrays)})
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
                {
                    "dataset": dataset.name,
                    "neurons": sum(bool(neuron.recordings) for neuron in dataset.neurons),
                    "recordings": len(dataset.recordings),
                }
                for dataset in datasets
            ],
            "used_per_noise_level": [
                {"noise_level": level, "neurons": maker.n_neurons, "recordings": maker.n_recordings}
                for level, maker in makers.items()
            ],
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
    model = write_windowed_model(folder, config, networks, details, {"training_log.csv": workplace.log.read_bytes()})
    shutil.rmtree(workplace.folder)
    return model


def _steps_per_network(config: ModelConfig) -> int:
    return _steps_per_epoch(config) * config.nr_of_epochs


def _steps_per_epoch(config: ModelConfig) -> int:
    return max(1, config.windows_per_epoch // _windows_per_step(config))


def _windows_per_step(config: ModelConfig) -> int:
    return max(1, config.batch_size // config.sequence_length) * config.sequence_length


def _train_network(keras, config, task: Task, batches: BatchMaker, workplace: Workplace, start, bar) -> NetworkWeights:
    """Train one network, from its checkpoint if there is one."""
    keras.utils.set_random_seed(int(np.random.SeedSequence(task.seed).generate_state(1)[0]))
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
    # an interruption saves nothing: it can come between an update of the weights and its count
    while step < task.n_steps:
        dff, target, weight = batches.batch(np.random.default_rng([*task.seed, step]))
        optimizer.learning_rate = _learning_rate(config, step / task.n_steps)
        network.reset_metrics()
        losses.append(float(network.train_on_batch(dff, target, sample_weight=weight)))
        step += 1
        bar.update()
        if step % per_epoch == 0:
            elapsed = seconds + time.monotonic() - started
            workplace.write_log(
                task, step // per_epoch, per_epoch * _windows_per_step(config), np.mean(losses), elapsed
            )
            losses = []
        if time.monotonic() - saved > _CHECKPOINT_SECONDS:
            workplace.save(task, network, optimizer, step, losses, seconds + time.monotonic() - started)
            saved = time.monotonic()
    return read_weights(network)


def _learning_rate(config: ModelConfig, done: float) -> float:
    """Half a cosine from the configured rate to zero: the last steps average over batches."""
    return config.learning_rate * 0.5 * (1.0 + np.cos(np.pi * done))


def _start(
    transfer: Mapping[float, Sequence[NetworkWeights]] | None, noise_level: float, member: int
) -> NetworkWeights | None:
    if transfer is None:
        return None
    members = transfer[min(transfer, key=lambda level: abs(level - noise_level))]
    return members[member % len(members)]
