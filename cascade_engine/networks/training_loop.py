"""The training of a model of any family: network after network; killed and resumed without a trace."""

from __future__ import annotations

import os
import platform
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cascade_engine._version import __version__
from cascade_engine.errors import InputError
from cascade_engine.ground_truth.records import Dataset
from cascade_engine.networks.card import NetworkFile, complete_card, write_model
from cascade_engine.networks.keras import import_keras
from cascade_engine.networks.store import Model, load_model
from cascade_engine.networks.workplace import Task, Workplace

#: Time (s) between two checkpoints.
CHECKPOINT_S = 30.0

#: Compiled steps are twice as fast with TensorFlow and a must with JAX; torch cannot compile everywhere.
COMPILED_WITH = ("tensorflow", "jax")

#: Weights of one network, by name.
Weights = Mapping[str, np.ndarray]

#: Gives further entries of the card of a trained model; see `train_model`.
Judge = Callable[[Model, Path], Mapping[str, Any]]


@dataclass(frozen=True)
class NetworkSetup:
    """One network, ready to be trained.

    Attributes
    ----------
    network : keras.Model
        With its first weights.
    optimizer : keras.optimizers.Optimizer
        Optimizer.
    loss : str or callable
        Loss, as Keras takes it.
    batch : callable
        Given a random generator, the arguments of ``train_on_batch`` for one step.
    weights : callable
        Given the trained network, its weights by name.
    windows_per_step : int
        Output frames of one step, for the log.
    steps_per_epoch : int
        Steps that the log counts as one epoch.
    steps_per_line : int
        Steps between two lines of the log.
    learning_rate : callable or None
        Given the part of the training that is done, 0 to 1, the learning rate; None if the optimizer has its own.
    """

    network: Any
    optimizer: Any
    loss: Any
    batch: Callable[[np.random.Generator], Sequence[Any]]
    weights: Callable[[Any], Weights]
    windows_per_step: int
    steps_per_epoch: int
    steps_per_line: int
    learning_rate: Callable[[float], float] | None = None


class Trainer(ABC):
    """What differs from family to family when a model is trained.

    Parameters
    ----------
    config : Configuration
        What to train.
    datasets : sequence of Dataset
        Ground truth.
    """

    #: Name of the family.
    family: ClassVar[str]

    def __init__(self, config: Any, datasets: Sequence[Dataset]) -> None:
        self.config: Any = config
        self.datasets = datasets

    def prepare(self) -> None:  # noqa: B027  (a family may have nothing to prepare)
        """Look at the ground truth before the first network is trained; raises `InputError` if it is of no use."""

    def first_weights(self) -> Iterable[np.ndarray]:
        """Weights of another model that the training starts from."""
        return ()

    @abstractmethod
    def tasks(self) -> list[Task]:
        """All networks to train, in order."""

    @abstractmethod
    def set_up(self, keras: Any, task: Task) -> NetworkSetup:
        """One of them, ready to be trained; random numbers of Keras are seeded for it."""

    @abstractmethod
    def files(self, weights: Sequence[Weights]) -> list[NetworkFile]:
        """The ONNX files of the model, given the weights of all its networks in the order of the tasks."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What the card says about this training beside what it says about every training."""


def train_model(
    trainer: Trainer, folder: str | os.PathLike, progress: bool = True, judge: Judge | None = None
) -> Model:
    """Train all networks of a model and write its folder.

    While it runs, finished networks, a checkpoint of the current one and ``log.csv`` lie in ``<folder>.training``. The
    same call after a kill goes on from there and ends with the same weights as an uninterrupted run on the same
    machine.

    Parameters
    ----------
    trainer : Trainer
        What to train, and on what.
    folder : path
        Folder of the finished model; it must not exist.
    progress : bool
        Show a progress bar.
    judge : callable, optional
        Given the trained model and a folder for what it wants to keep if it is interrupted, further entries of the
        card.

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
    trainer.prepare()
    workplace = Workplace.open(
        folder.with_name(f"{folder.name}.training"), trainer.config, trainer.datasets, trainer.first_weights()
    )
    tasks = trainer.tasks()
    weights: list[Weights] = []
    with tqdm(total=sum(task.n_steps for task in tasks), disable=not progress, unit="step", smoothing=0.02) as bar:
        for number, task in enumerate(tasks):
            bar.set_description(task.label)
            found: Weights | None = workplace.finished(task)
            if found is None:
                found = _train_network(keras, trainer, task, workplace, bar)
                workplace.finish(task, found)
            weights.append(found)
            bar.n = sum(task.n_steps for task in tasks[: number + 1])
            bar.refresh()
    details = {
        "summary": f"Trained with cascade-spikes {__version__}.",
        "origin": "trained",
        "training": {**_general_facts(trainer.datasets, workplace, keras), **trainer.facts()},
    }
    further_files = {"training_log.csv": workplace.log.read_bytes()}
    ready = workplace.folder / "model"
    shutil.rmtree(ready, ignore_errors=True)  # of a run that was killed here
    model = write_model(ready, trainer.family, trainer.config, trainer.files(weights), details, further_files)
    if judge is not None:
        complete_card(model, **judge(model, workplace.folder / "evaluation"))
    ready.rename(folder)
    shutil.rmtree(workplace.folder)
    return load_model(folder)


def _train_network(keras: Any, trainer: Trainer, task: Task, workplace: Workplace, bar: Any) -> Weights:
    """Train one network, from its checkpoint if there is one."""
    keras.utils.set_random_seed(int(np.random.SeedSequence(task.seed).generate_state(1)[0]))
    setup = trainer.set_up(keras, task)
    network, optimizer = setup.network, setup.optimizer
    optimizer.build(network.trainable_variables)
    network.compile(optimizer, setup.loss, jit_compile=keras.backend.backend() in COMPILED_WITH)
    step, losses, seconds = workplace.restore(task, network, optimizer)
    bar.update(step)

    started = saved = time.monotonic()

    def batch(number: int) -> Sequence[Any]:
        return setup.batch(np.random.default_rng([*task.seed, number]))

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(batch, step)
        # an interruption saves nothing: it can come between an update of the weights and its count
        while step < task.n_steps:
            arguments = coming.result()
            coming = pool.submit(batch, step + 1)
            if setup.learning_rate is not None:
                optimizer.learning_rate = setup.learning_rate(step / task.n_steps)
            network.reset_metrics()
            losses.append(float(network.train_on_batch(*arguments)))
            step += 1
            bar.update()
            if step % setup.steps_per_line == 0 or step == task.n_steps:
                windows, elapsed = len(losses) * setup.windows_per_step, seconds + time.monotonic() - started
                workplace.write_log(task, step // setup.steps_per_epoch, windows, float(np.mean(losses)), elapsed)
                losses = []
            if time.monotonic() - saved > CHECKPOINT_S:
                workplace.save(task, network, optimizer, step, losses, seconds + time.monotonic() - started)
                saved = time.monotonic()
    if optimizer.use_ema:
        optimizer.finalize_variable_values(network.trainable_variables)
    return setup.weights(network)


def _general_facts(datasets: Sequence[Dataset], workplace: Workplace, keras: Any) -> dict[str, Any]:
    """What the card says about every training."""
    return {
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
        "final_loss": workplace.final_losses(),
        "versions": {
            "cascade-spikes": __version__,
            "keras": keras.__version__,
            "backend": keras.backend.backend(),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
