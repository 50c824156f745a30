"""Leave-one-dataset-out evaluation: every dataset predicted by networks that have not seen it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cascade_engine.evaluation.conditions import Condition, TestTrace, bring
from cascade_engine.evaluation.scores import NeuronScore, evaluate, read_scores, write_scores
from cascade_engine.ground_truth.catalogue import load_catalogue
from cascade_engine.ground_truth.records import Dataset
from cascade_engine.inference import infer
from cascade_engine.networks.store import Model, load_model
from cascade_engine.networks.universal.architecture import UNKNOWN, indicator_family
from cascade_engine.networks.windowed.config import ModelConfig


def leave_out(
    model_without: Callable[[int, Sequence[str]], Model],
    datasets: Mapping[str, Dataset],
    folds: Sequence[Sequence[str]],
    conditions: Sequence[Condition],
    tables: Path,
    method: str,
    only: Collection[int] | None = None,
    say: Callable[[str], None] = print,
    tell_indicator: bool = False,
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
        What to bring the left-out datasets to.
    tables : Path
        Folder of the scores: a CSV file per method and fold, read first and added to.
    method : str
        Name of the method in the tables.
    only : collection of int, optional
        Numbers of the folds to do now; others can be done at the same time by other processes.
    say : callable
        Told what is going on.
    tell_indicator : bool
        Tell a universal model the indicator of each dataset, if it knows it.

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
            told = what_is_known(model, name, tell_indicator)
            for trace in filter(None, (bring(neuron, condition) for neuron in datasets[name].neurons)):
                entry = evaluate(predict_with(model, condition, trace, **told), trace, condition.label, method)
                if entry is not None:
                    scores.append(entry)
            write_scores(table, scores)
        if missing:
            say(f"{method}: fold {number + 1} of {len(folds)} is done ({', '.join(held_out)})")
        all_scores += scores
    return all_scores


def trained_without(
    config: ModelConfig, datasets: Mapping[str, Dataset], work: Path, say: Callable[[str], None] = print
) -> Callable[[int, Sequence[str]], Model]:
    """For `leave_out`: train a configuration anew for each fold, without the datasets of the fold.

    Parameters
    ----------
    config : ModelConfig
        What to train.
    datasets : mapping of str to Dataset
        Ground truth by name: at least the training datasets of `config`.
    work : Path
        Folder in which the models of the folds are kept.
    say : callable
        Told what is going on.
    """

    def model_without(number: int, held_out: Sequence[str]) -> Model:
        from cascade_engine.networks.windowed.trainer import train

        folder = work / f"{config.model_name}_fold{number}"
        if folder.exists():
            return load_model(folder)
        kept = tuple(name for name in config.training_datasets if name not in held_out)
        settings = replace(config, model_name=folder.name, training_datasets=kept)
        say(f"training {folder.name} without {', '.join(held_out)}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        return train(settings, [datasets[name] for name in kept], folder)

    return model_without


def what_is_known(model: Model, dataset: str, tell_indicator: bool = False) -> dict[str, str]:
    """Population and, if wanted, indicator of a dataset (folder name), as `infer` takes them; nothing for models of the
    published architecture, or where nothing is known."""
    if not model.is_universal:
        return {}
    known = {"population": "interneurons"} if dataset in model.config.interneuron_datasets else {}
    indicators = {entry.folder: entry.indicator for entry in load_catalogue().values()}
    if tell_indicator and indicator_family(indicators.get(dataset, "")) != UNKNOWN:
        known["indicator"] = indicators[dataset]
    return known


def predict_with(model: Model, condition: Condition, trace: TestTrace, **known: str) -> np.ndarray:
    """Expected spikes per frame of a test trace, shape (n_frames,).

    A universal model is asked for the smoothing and kernel of the condition, told what else is known, and finds the
    noise level itself; one of the published architecture has its own, and is told the noise level.
    """
    asked = {"smoothing": condition.smoothing, "kernel": condition.kernel, **known}
    if not model.is_universal:
        asked = {"noise_level": trace.noise_level}
    result = infer(trace.dff, trace.frame_rate, model, segments=trace.segments, threshold=0, check_units=False, **asked)
    return result.spike_prob[0]
