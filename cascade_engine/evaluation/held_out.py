"""The figures in the card of a model: how good it is on the datasets that some of its networks have not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade_engine.evaluation.conditions import NOISE_LEVELS, STANDARD_CONDITIONS, Condition
from cascade_engine.evaluation.expectation import card_entries
from cascade_engine.evaluation.leave_out import leave_out
from cascade_engine.evaluation.uncertainty import by_population, card_spread, count_in_bins
from cascade_engine.ground_truth.records import Dataset
from cascade_engine.networks.families import family_named, resolve
from cascade_engine.networks.settings import Settings
from cascade_engine.networks.store import Model


def held_out_folds(model: Model) -> list[list[str]]:
    """Datasets that networks of a model were trained without, those together that the same networks have not seen."""
    left_out = model.card.get("training", {}).get("left_out", [])
    return [list(fold) for fold in dict.fromkeys(tuple(names) for names in left_out) if fold]


def conditions_for(model: Model) -> list[Condition]:
    """Conditions that a model is made for: frame rate, smoothing, kernel and noise level to evaluate it at."""
    levels = [level for level in NOISE_LEVELS if level <= model.noise_levels.max()]
    chosen = [
        condition
        for condition in STANDARD_CONDITIONS
        if condition.noise_level in levels and not model.config.doubt_about_rate(condition.frame_rate)
    ]
    if chosen and family_named(model.family).evaluation_rate(model) is None:
        return chosen
    rate = model.usual_frame_rate
    smoothing, kernel = resolve(Settings(), model, rate).resolved_kernel
    return [Condition(rate, smoothing, level, kernel) for level in levels]


def held_out_figures(
    model: Model, datasets: Mapping[str, Dataset], work: Path, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Evaluate a model on the datasets that some of its networks have not seen.

    Interrupt it at any time: the same call goes on where it stopped.

    Parameters
    ----------
    model : Model
        A model whose networks were trained without some of the datasets each.
    datasets : mapping of str to Dataset
        Its ground truth by name.
    work : Path
        Folder for the scores of each neuron.
    say : callable
        Called with a line about what is going on.

    Returns
    -------
    dict
        Entries of the card: ``evaluation`` (as of `card_entries`; of principal cells, if there are any) and
        ``uncertainty`` (as of `card_spread`). Empty if every network has seen everything.
    """
    folds = [[name for name in fold if name in datasets] for fold in held_out_folds(model)]
    folds = [fold for fold in folds if fold]
    if not folds:
        return {}
    conditions = conditions_for(model)
    scores = leave_out(lambda _, fold: _unaware(model, fold), datasets, folds, conditions, work, model.name, say=say)
    groups = by_population((name for fold in folds for name in fold), model)
    principal = groups.get("principal", [])
    scores = [entry for entry in scores if entry.dataset in principal or not principal]
    counts = {}
    for fold in folds:
        for name in fold:
            counts[name] = count_in_bins(_unaware(model, fold), datasets[name], model.usual_frame_rate)
    say("the spread of its counts is measured")
    return {
        "evaluation": card_entries(scores, conditions, leaving_out=True),
        "uncertainty": card_spread(counts, model),
    }


def _unaware(model: Model, fold: Sequence[str]) -> Model:
    """The networks of a model that have not seen any dataset of a fold."""
    found = model.without(fold)
    assert found is not None, f"{model.name} has seen a dataset of {', '.join(fold)}"
    return found
