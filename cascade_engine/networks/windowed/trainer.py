"""Training a model of the published architecture: every noise level, every member of its ensemble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cascade_engine.ground_truth.records import Dataset
from cascade_engine.networks.card import NetworkFile
from cascade_engine.networks.training_loop import NetworkSetup, Trainer, Weights
from cascade_engine.networks.windowed.batches import BatchMaker, resample_datasets
from cascade_engine.networks.windowed.config import ModelConfig
from cascade_engine.networks.windowed.keras_network import build_network, read_weights, write_weights
from cascade_engine.networks.windowed.weights import NetworkWeights
from cascade_engine.networks.windowed.writing import network_files
from cascade_engine.networks.workplace import Task


class WindowedTrainer(Trainer):
    """Trains a model of the published architecture.

    Parameters
    ----------
    config : ModelConfig
        What to train.
    datasets : sequence of Dataset
        Ground truth; its recordings are resampled, and noise is added, to the config's frame rate and noise levels.
    transfer : mapping of float to sequence of NetworkWeights, optional
        Networks to start from, by noise level (percent per sqrt(Hz)); the nearest level is taken.
    """

    family = "windowed"

    def __init__(
        self,
        config: ModelConfig,
        datasets: Sequence[Dataset],
        transfer: Mapping[float, Sequence[NetworkWeights]] | None = None,
    ) -> None:
        super().__init__(config, datasets)
        self._transfer = transfer
        self._batches: dict[float, BatchMaker] = {}
        n_steps = _steps_per_epoch(config) * config.nr_of_epochs
        self._networks = {
            Task(
                f"noise_{level:g}_member_{member}",
                f"noise level {level:g}, network {member + 1} of {config.ensemble_size}",
                (config.seed, round(1000 * level), member),
                n_steps,
            ): (level, member)
            for level in config.noise_levels
            for member in range(config.ensemble_size)
        }

    def prepare(self) -> None:
        """See `Trainer.prepare`."""
        resampled = resample_datasets(self.datasets, self.config.sampling_rate)
        self._batches = {level: BatchMaker(resampled, level, self.config) for level in self.config.noise_levels}

    def first_weights(self) -> list[np.ndarray]:
        """See `Trainer.first_weights`."""
        return [
            array for networks in (self._transfer or {}).values() for network in networks for array in network.arrays
        ]

    def tasks(self) -> list[Task]:
        """See `Trainer.tasks`."""
        return list(self._networks)

    def set_up(self, keras: Any, task: Task) -> NetworkSetup:
        """See `Trainer.set_up`."""
        config = self.config
        level, member = self._networks[task]
        network = build_network(config)
        if self._transfer is not None:
            write_weights(network, _nearest(self._transfer, level, member))
        return NetworkSetup(
            network=network,
            optimizer=keras.optimizers.get({"class_name": config.optimizer, "config": {}}),
            loss=config.loss_function,
            batch=self._batches[level].batch,
            weights=_arrays,
            windows_per_step=_windows_per_step(config),
            steps_per_epoch=_steps_per_epoch(config),
            steps_per_line=_steps_per_epoch(config),
            # half a cosine from the configured rate to zero: the last steps average over batches
            learning_rate=lambda done: config.learning_rate * 0.5 * (1.0 + np.cos(np.pi * done)),
        )

    def files(self, weights: Sequence[Weights]) -> list[NetworkFile]:
        """See `Trainer.files`."""
        networks: dict[float, list[NetworkWeights]] = {level: [] for level in self.config.noise_levels}
        for (level, _), arrays in zip(self._networks.values(), weights, strict=True):
            networks[level].append(NetworkWeights.from_arrays(list(arrays.values())))
        return network_files(self.config, networks)

    def facts(self) -> dict[str, Any]:
        """See `Trainer.facts`."""
        return {
            "used_per_noise_level": [
                {"noise_level": level, "neurons": batches.n_neurons, "recordings": batches.n_recordings}
                for level, batches in self._batches.items()
            ],
            "transfer": self._transfer is not None,
        }


def _windows_per_step(config: ModelConfig) -> int:
    return max(1, config.batch_size // config.sequence_length) * config.sequence_length


def _steps_per_epoch(config: ModelConfig) -> int:
    return max(1, config.windows_per_epoch // _windows_per_step(config))


def _arrays(network: Any) -> Weights:
    return {f"array{i}": array for i, array in enumerate(read_weights(network).arrays)}


def _nearest(transfer: Mapping[float, Sequence[NetworkWeights]], noise_level: float, member: int) -> NetworkWeights:
    members = transfer[min(transfer, key=lambda level: abs(level - noise_level))]
    return members[member % len(members)]
