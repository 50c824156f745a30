"""Leave-one-dataset-out evaluation: every dataset predicted by networks that have not seen it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cascade_engine.evaluation.conditions import Condition, TestTrace, make_trace
from cascade_engine.evaluation.scores import NeuronScore, evaluate, read_scores, write_scores
from cascade_engine.ground_truth.catalogue import load_catalogue
from cascade_engine.ground_truth.records import Dataset
from cascade_engine.inference import infer_block
from cascade_engine.networks.configuration import Configuration
from cascade_engine.networks.families import family_named, open_predictor, resolve
from cascade_engine.networks.settings import Settings
from cascade_engine.networks.store import Model, load_model
from cascade_engine.networks.training_loop import train_model


def leave_out(
    model_without: Callable[[int, Sequence[str]], Model],
    datasets: Mapping[str, Dataset],
    folds: Sequence[Sequence[str]],
    conditions: Sequence[Condition],
    tables: Path,
    method: str,
    only: Collection[int] | None = None,
    say: Callable[[str], None] = print,
    with_indicator: bool = False,
) -> list[NeuronScore]:
    """Evaluate a method on every dataset, each predicted by a model that has never seen it.

    Interrupt it at any time: the same call goes on where it stopped.

    Parameters
    ----------
    model_without : callable
        Given the number of a fold and its datasets, a model that has seen none of them. It is called only for folds
        that are not done yet; `trained_without` makes one that trains.
    datasets : mapping of str to Dataset
        Ground truth by name: all that is tested.
    folds : sequence of sequence of str
        Datasets that are left out together, as made by `training_folds`.
    conditions : sequence of Condition
        Conditions under which the left-out datasets are tested.
    tables : Path
        Folder of the scores: a CSV file per method and fold, read first and added to.
    method : str
        Name of the method in the tables.
    only : collection of int, optional
        Numbers of the folds to do now; others can be done at the same time by other processes.
    say : callable
        Told what is going on.
    with_indicator : bool
        Give the model the indicator of each dataset, if it knows it.

    Returns
    -------
    list of NeuronScore
        All scores of this method.
    """
    all_scores = []
    for number, held_out in enumerate(folds):
        if only is not None and number not in only:
            continue
        table = tables / f"{method}_fold{number}.csv"
        scores = read_scores(table) if table.is_file() else []
        done = {(entry.condition, entry.dataset) for entry in scores}
        wanted = [(condition, name) for condition in conditions for name in held_out]
        missing = [(condition, name) for condition, name in wanted if (condition.label, name) not in done]
        if missing:
            model = model_without(number, held_out)
            assert model.has_not_seen(held_out), f"{model.name} has seen a dataset of fold {number}"
        for condition, name in missing:
            for trace in filter(None, (make_trace(neuron, condition) for neuron in datasets[name].neurons)):
                entry = evaluate(predict_with(model, condition, trace, with_indicator), trace, condition.label, method)
                if entry is not None:
                    scores.append(entry)
            write_scores(table, scores)
        if missing:
            say(f"{method}: fold {number + 1} of {len(folds)} is done ({', '.join(held_out)})")
        all_scores += scores
    return all_scores


def trained_without(
    config: Configuration, datasets: Mapping[str, Dataset], work: Path, say: Callable[[str], None] = print
) -> Callable[[int, Sequence[str]], Model]:
    """For `leave_out`: train a configuration anew for each fold, without the datasets of the fold.

    Parameters
    ----------
    config : Configuration
        What to train.
    datasets : mapping of str to Dataset
        Ground truth by name: at least the training datasets of `config`.
    work : Path
        Folder in which the models of the folds are kept.
    say : callable
        Told what is going on.
    """

    def model_without(number: int, held_out: Sequence[str]) -> Model:
        folder = work / f"{config.model_name}_fold{number}"
        if folder.exists():
            return load_model(folder)
        kept = tuple(name for name in config.training_datasets if name not in held_out)
        settings = config.changed(model_name=folder.name, training_datasets=kept)
        say(f"training {folder.name} without {', '.join(held_out)}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        trainer = family_named(config.family).trainer(settings, [datasets[name] for name in kept])
        return train_model(trainer, folder)

    return model_without


def settings_for(
    model: Model, dataset: str, condition: Condition, noise_level: float, with_indicator: bool = False
) -> Settings:
    """What a model is set to when it is judged on a neuron.

    Parameters
    ----------
    model : Model
        The model.
    dataset : str
        Folder name of the dataset.
    condition : Condition
        Smoothing and kernel to be judged at.
    noise_level : float
        Noise level of the neuron in percent per sqrt(Hz).
    with_indicator : bool
        Give the model the indicator of the dataset, if it knows it.

    Returns
    -------
    Settings
        As the model's family can be set.
    """
    asked = Settings(smoothing=condition.smoothing, kernel=condition.kernel)
    if with_indicator:
        indicators = {entry.folder: entry.indicator for entry in load_catalogue().values()}
        known = resolve(Settings(), model, condition.frame_rate, indicators.get(dataset)).indicator
        asked = replace(asked, indicator=known)
    return family_named(model.family).settings_to_judge(model, dataset, asked, noise_level)


def predict_with(model: Model, condition: Condition, trace: TestTrace, with_indicator: bool = False) -> np.ndarray:
    """Expected spikes per frame of a test trace, shape (n_frames,), as `settings_for` says."""
    settings = settings_for(model, trace.dataset, condition, trace.noise_level, with_indicator)
    predictor = open_predictor(model, trace.frame_rate, settings)
    return infer_block(predictor, trace.dff, segments=trace.segments).spike_prob[0]
