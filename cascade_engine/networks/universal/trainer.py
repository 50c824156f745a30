"""Training a universal model: networks on ground truth, each without its fold, and networks on simulated neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cascade_engine.ground_truth.folds import training_folds
from cascade_engine.ground_truth.records import Dataset
from cascade_engine.networks.card import NetworkFile
from cascade_engine.networks.training_loop import NetworkSetup, Trainer, Weights
from cascade_engine.networks.universal.batches import UniversalBatches
from cascade_engine.networks.universal.config import UniversalConfig
from cascade_engine.networks.universal.graph import build_context_graph, build_spikes_graph
from cascade_engine.networks.universal.keras_network import build_network, read_weights
from cascade_engine.networks.universal.loss import spike_loss
from cascade_engine.networks.universal.simulated import simulated_datasets
from cascade_engine.networks.workplace import Task

_LOG_STEPS = 100
_CLIP_NORM = 1.0

#: Neurons of each simulated dataset.
_SIMULATED_NEURONS = 12


class UniversalTrainer(Trainer):
    """Trains a universal model; the parameters are those of `Trainer`."""

    family = "universal"

    def __init__(self, config: UniversalConfig, datasets: Sequence[Dataset]) -> None:
        super().__init__(config, datasets)
        n_networks = config.ensemble_size + config.simulated_networks
        kinds = ["member"] * config.ensemble_size + ["simulated"] * config.simulated_networks
        self._kinds = {f"{kind}_{number}": kind for number, kind in enumerate(kinds)}
        self._tasks = [
            Task(key, f"network {number + 1} of {n_networks}", (config.seed, number), config.steps)
            for number, key in enumerate(self._kinds)
        ]
        self._left_out = dict(zip(self._kinds, _left_out(config), strict=False))
        self._batches: tuple[str, UniversalBatches] | None = None

    def tasks(self) -> list[Task]:
        """See `Trainer.tasks`."""
        return self._tasks

    def set_up(self, keras: Any, task: Task) -> NetworkSetup:
        """See `Trainer.set_up`."""
        config = self.config
        batches = self._batches_of(self._kinds[task.key]).without(self._left_out.get(task.key, []))
        network = build_network(config)
        return NetworkSetup(
            network=network,
            optimizer=optimizer_of(config, keras),
            loss=spike_loss(config),
            batch=batches.batch,
            weights=read_weights,
            windows_per_step=config.frames_per_step,
            steps_per_epoch=1,
            steps_per_line=_LOG_STEPS,
        )

    def files(self, weights: Sequence[Weights]) -> list[NetworkFile]:
        """See `Trainer.files`."""
        parts = {
            "context": build_context_graph(self.config, weights),
            "spikes": build_spikes_graph(self.config, weights),
        }
        return [({"part": part, "members": len(weights)}, f"{part}.onnx", file) for part, file in parts.items()]

    def facts(self) -> dict[str, Any]:
        """See `Trainer.facts`."""
        return {"left_out": list(self._left_out.values())}

    def _batches_of(self, kind: str) -> UniversalBatches:
        """Batches of ground truth ("member") or of simulated neurons ("simulated"); only one kind is kept."""
        if self._batches is None or self._batches[0] != kind:
            self._batches = None  # gives its memory back first
            made = UniversalBatches(self.datasets, self.config) if kind == "member" else simulated_batches(self.config)
            self._batches = kind, made
        return self._batches[1]


def _left_out(config: UniversalConfig) -> list[list[str]]:
    """Datasets that each network does not see."""
    if not config.folds:
        return [[] for _ in range(config.ensemble_size)]
    folds = training_folds(config.training_datasets, config.folds, config.interneuron_datasets)
    return [folds[member % config.folds] for member in range(config.ensemble_size)]


def optimizer_of(config: UniversalConfig, keras: Any) -> Any:
    """Adam whose learning rate rises, and then falls along half a cosine, with a moving average over weights."""
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        config.steps - config.warmup_steps,
        warmup_target=config.learning_rate,
        warmup_steps=config.warmup_steps,
    )
    return keras.optimizers.Adam(
        schedule, global_clipnorm=_CLIP_NORM, use_ema=config.averaging > 0, ema_momentum=config.averaging
    )


def simulated_batches(config: UniversalConfig) -> UniversalBatches:
    """Batches of simulated neurons alone."""
    datasets, interneurons = simulated_datasets(config.simulated_datasets, _SIMULATED_NEURONS, config.seed)
    own = replace(
        config,
        interneuron_datasets=tuple(interneurons),
        disturbed_share=config.simulated_disturbed_share,
        silent_share=0.0,
        computed_dff_share=0.0,
    )
    return UniversalBatches(datasets, own)
