"""Training a universal model: every member of the ensemble; killed and resumed without a trace."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from cascade_engine._version import __version__
from cascade_engine.errors import InputError
from cascade_engine.ground_truth.folds import training_folds
from cascade_engine.ground_truth.records import Dataset
from cascade_engine.networks.card import write_model
from cascade_engine.networks.keras import import_keras
from cascade_engine.networks.store import Model
from cascade_engine.networks.universal.batches import UniversalBatches
from cascade_engine.networks.universal.config import UniversalConfig
from cascade_engine.networks.universal.graph import build_context_graph, build_spikes_graph
from cascade_engine.networks.universal.keras_network import build_network, read_weights
from cascade_engine.networks.universal.simulated import simulated_datasets
from cascade_engine.networks.workplace import Task, Workplace
from cascade_engine.signal.kernels import smoothing_kernel

_CHECKPOINT_SECONDS = 60.0
_LOG_STEPS = 100
_CLIP_NORM = 1.0

#: Neurons of each simulated dataset.
_SIMULATED_NEURONS = 12

#: Keeps the logarithm of the loss finite, in expected spikes per frame.
_FLOOR = 1e-4


def train_universal(
    config: UniversalConfig, datasets: Sequence[Dataset], folder: str | os.PathLike, progress: bool = True
) -> Model:
    """Train all members of a universal model and write its folder.

    While it runs, finished members, a checkpoint of the current one and ``log.csv`` lie in ``<folder>.training``. The
    same call after a kill goes on from there.

    Parameters
    ----------
    config : UniversalConfig
        What to train.
    datasets : sequence of Dataset
        Ground truth.
    folder : path
        Folder of the finished model; it must not exist.
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
    workplace = Workplace.open(folder.with_name(f"{folder.name}.training"), config, datasets)
    kinds = ["member"] * config.ensemble_size + ["simulated"] * config.simulated_networks
    tasks = [Task(f"{kind}_{number}", (config.seed, number), config.steps) for number, kind in enumerate(kinds)]
    members = {task.key: workplace.finished(task) for task in tasks}
    unseen, batches, made_for = _left_out(config), None, ""
    with tqdm(total=config.steps * len(tasks), disable=not progress, unit="step", smoothing=0.02) as bar:
        for number, (kind, task) in enumerate(zip(kinds, tasks, strict=True)):
            bar.set_description(f"network {number + 1} of {len(tasks)}")
            bar.n = number * config.steps
            if members[task.key] is not None:
                continue
            if kind != made_for:
                batches = None  # gives its memory back first
                batches = UniversalBatches(datasets, config) if kind == "member" else _simulated_batches(config)
                made_for = kind
            hidden = unseen[number] if kind == "member" else []
            members[task.key] = _train_network(keras, config, task, batches.without(hidden), workplace, bar)
            workplace.finish(task, members[task.key])

    weights = list(members.values())
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
            "left_out": unseen,
            "final_loss": workplace.final_losses(),
            "versions": {
                "cascade-spikes": __version__,
                "keras": keras.__version__,
                "backend": keras.backend.backend(),
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        },
    }
    files = {"context": build_context_graph(config, weights), "spikes": build_spikes_graph(config, weights)}
    entries = [({"part": part, "members": len(weights)}, f"{part}.onnx", content) for part, content in files.items()]
    model = write_model(folder, "universal", config, entries, details, {"training_log.csv": workplace.log.read_bytes()})
    shutil.rmtree(workplace.folder)
    return model


def _left_out(config: UniversalConfig) -> list[list[str]]:
    """Datasets that each network does not see."""
    if not config.folds:
        return [[] for _ in range(config.ensemble_size)]
    folds = training_folds(config.training_datasets, config.folds, config.interneuron_datasets)
    return [folds[member % config.folds] for member in range(config.ensemble_size)]


def _simulated_batches(config: UniversalConfig) -> UniversalBatches:
    datasets, interneurons = simulated_datasets(config.simulated_datasets, _SIMULATED_NEURONS, config.seed)
    return UniversalBatches(datasets, replace(config, interneuron_datasets=tuple(interneurons)))


def _train_network(keras, config: UniversalConfig, task: Task, batches: UniversalBatches, workplace: Workplace, bar):
    """Train one network, from its checkpoint if there is one."""
    from concurrent.futures import ThreadPoolExecutor

    keras.utils.set_random_seed(int(np.random.SeedSequence(task.seed).generate_state(1)[0]))
    network = build_network(config)
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(
            0.0,
            config.steps - config.warmup_steps,
            warmup_target=config.learning_rate,
            warmup_steps=config.warmup_steps,
        ),
        global_clipnorm=_CLIP_NORM,
        use_ema=config.averaging > 0,
        ema_momentum=config.averaging,
    )
    optimizer.build(network.trainable_variables)
    # compiled steps are twice as fast with TensorFlow and a must with JAX; torch cannot compile everywhere
    network.compile(optimizer, spike_loss(config), jit_compile=keras.backend.backend() != "torch")
    step, losses, seconds = workplace.restore(task, network, optimizer)
    bar.update(step)

    started = saved = time.monotonic()

    def draw(number: int):
        return batches.batch(np.random.default_rng([*task.seed, number]))

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(draw, step)
        # an interruption saves nothing: it can come between an update of the weights and its count
        while step < task.n_steps:
            inputs, target = coming.result()
            coming = pool.submit(draw, step + 1)
            network.reset_metrics()
            losses.append(float(network.train_on_batch(inputs, target)))
            step += 1
            bar.update()
            if step % _LOG_STEPS == 0 or step == task.n_steps:
                frames = len(losses) * config.frames_per_step
                workplace.write_log(task, step, frames, np.mean(losses), seconds + time.monotonic() - started)
                losses = []
            if time.monotonic() - saved > _CHECKPOINT_SECONDS:
                workplace.save(task, network, optimizer, step, losses, seconds + time.monotonic() - started)
                saved = time.monotonic()
    if config.averaging:
        optimizer.finalize_variable_values(network.trainable_variables)
    return read_weights(network)


def spike_loss(config: UniversalConfig):
    """Loss by which predicted and true spikes are compared.

    Both are smoothed with several Gaussians, and compared by the Poisson deviance. Like the squared error it is
    smallest for the expected number of spikes, so that predictions can be smoothed further afterwards; unlike it, it
    does not leave the result to the largest bursts. A second term asks for correlation within each crop, whatever the
    gain, so that the shape of a trace counts in neurons whose gain is hard to see.

    Parameters
    ----------
    config : UniversalConfig
        Widths of the Gaussians, and the weight of the second term.

    Returns
    -------
    callable
        Of the target (batch, frames, 2: spikes per frame and weight) and the prediction (batch, frames).
    """
    keras = import_keras()
    ops = keras.ops
    kernels = [smoothing_kernel(1.0, width) for width in config.smoothings_frames]
    half = max(len(kernel) for kernel in kernels) // 2
    bank = np.stack([np.pad(kernel, half - len(kernel) // 2) for kernel in kernels], axis=-1)
    bank = bank[:, np.newaxis].astype(np.float32)

    def loss(target, predicted):
        spikes, weight = target[..., :1], target[..., 1:]
        true = ops.conv(spikes, bank, padding="same")
        guess = ops.conv(ops.expand_dims(predicted, -1), bank, padding="same") + _FLOOR
        deviance = guess - true * ops.log(guess) - (true - true * ops.log(true + _FLOOR))
        total = ops.sum(ops.mean(deviance, -1, keepdims=True) * weight, axis=(1, 2))
        if config.correlation_weight:
            total = total + config.correlation_weight * _decorrelation(ops, true, guess, ops.sign(weight))
        return total

    return loss


def _decorrelation(ops, true, guess, present):
    """One minus the correlation over time, averaged over the crops with spikes and over smoothings."""
    n_frames = ops.sum(present, 1, keepdims=True) + 1e-3
    true, guess = ((x - ops.sum(x * present, 1, keepdims=True) / n_frames) * present for x in (true, guess))
    power = ops.sum(ops.square(true), 1)
    correlation = ops.sum(true * guess, 1) / ops.sqrt(power * ops.sum(ops.square(guess), 1) + 1e-8)
    with_spikes = ops.cast(power > 1e-3, "float32")
    return ops.sum((1.0 - correlation) * with_spikes) / (ops.sum(with_spikes) + 1e-3)
