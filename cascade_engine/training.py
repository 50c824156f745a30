"""Training a model of any family on ground truth, and judging it by what some of its networks have not seen."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade_engine.evaluation.held_out import held_out_figures
from cascade_engine.ground_truth.records import Dataset
from cascade_engine.networks.configuration import Configuration
from cascade_engine.networks.families import family_named
from cascade_engine.networks.store import Model
from cascade_engine.networks.training_loop import train_model


def train(
    config: Configuration,
    datasets: Sequence[Dataset],
    folder: str | os.PathLike,
    transfer: Model | None = None,
    *,
    progress: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> Model:
    """Train a model and write its folder.

    While it runs, finished networks, a checkpoint of the current one and ``log.csv`` lie in ``<folder>.training``. The
    same call after a kill goes on from there and ends with the same weights as an uninterrupted run on the same
    machine.

    Where each network is trained without some of the datasets, the model is judged by these in the end. Its card then
    says what to expect of it, and how far its numbers of spikes may be off (see
    `cascade_engine.count_spikes_in_bins`).

    Parameters
    ----------
    config : Configuration
        What to train: a `ModelConfig` or another family's configuration.
    datasets : sequence of Dataset
        Ground truth, as of `cascade_engine.ground_truth.load_dataset`.
    folder : path
        Folder of the finished model; it must not exist.
    transfer : Model, optional
        A model of the same family whose weights to start from.
    progress : bool
        Show a progress bar.
    say : callable
        Called with a line about what is going on after the training.

    Returns
    -------
    Model
        The finished model.

    Raises
    ------
    InputError
        If the folder exists, holds the training of something else, or the ground truth is of no use; or if the weights
        of `transfer` do not fit.
    MissingExtraError
        Without Keras 3.
    """
    by_name = {dataset.name: dataset for dataset in datasets}

    def judge(model: Model, work: Path) -> Mapping[str, Any]:
        return held_out_figures(model, by_name, work, say)

    trainer = family_named(config.family).trainer(config, datasets, transfer)
    return train_model(trainer, folder, progress, judge)
