"""The universal model against its rivals on the public ground truth, no method having seen what it is tested on.

    python -m benchmarks.accuracy.leave_one_out --work FOLDER [METHOD ...]

needs CASCADE_GROUND_TRUTH, and for OASIS suite2p. Methods:

universal        the model that comes with the package: each of its networks was trained without a part of the datasets,
                 and predicts these
universal-told   the same, told the indicator of each dataset where it is one that it knows
published        the published architecture and recipe, one network per noise level, at 30 and 7.5 Hz; trained here for
                 each fold, some 8 min on one core
published-5      the same as an ensemble of 5, on the first fold, at 30 Hz
imported         models as published (folder --peer-models), on datasets that they were not trained on
oasis            as suite2p runs it, tau 0.7 s
oasis-tuned      the same, the decay chosen per dataset by its score there: it is favoured

Models and scores of the folds are kept in FOLDER: interrupt it at any time, the same command goes on, and with --fold
several processes can share the work. Each prediction is scored as published and with clocks aligned. After a change of
either, remove FOLDER/scores; trained models stay. The scores of every neuron go into ``results/leave_one_out.csv.gz``,
where they replace earlier ones of the same method, condition and dataset.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks import tables
from cascade_engine import import_published, load_model
from cascade_engine.errors import CascadeError
from cascade_engine.evaluation import Condition, TestTrace, evaluate, make_trace, read_scores, write_scores
from cascade_engine.evaluation.conditions import NOISE_LEVELS, STANDARD_CONDITIONS
from cascade_engine.evaluation.held_out import held_out_folds
from cascade_engine.evaluation.leave_out import leave_out, trained_without
from cascade_engine.evaluation.uncertainty import by_population
from cascade_engine.ground_truth import find_datasets, ground_truth_root, load_dataset
from cascade_engine.ground_truth.records import Dataset
from cascade_engine.networks.windowed.config import ModelConfig
from cascade_engine.signal.kernels import smooth_spikes

STUDY = "leave_one_out"

AT_30HZ = [Condition(30.0, 0.05, level) for level in (*NOISE_LEVELS, None)]
AT_7HZ = [Condition(7.5, 0.2, level) for level in (*NOISE_LEVELS, None)]
ENS2 = Condition(60.0, 0.025, None)  # its protocol

#: Published models that are tested, and the smoothing (s) that they were trained with.
IMPORTED = {"Global_EXC_30Hz_smoothing25ms": 0.025, "Cascade_Universal_30Hz-keras3": 0.2}

#: Decay times (s) tried for each dataset, and the one that suite2p takes if it is not told.
TAUS_S, TAU_S = (0.1, 0.15, 0.25, 0.4, 0.7, 1.0, 1.5, 2.5), 0.7


def published_configs(names: tuple[str, ...]) -> list[tuple[ModelConfig, list[Condition]]]:
    """The published architecture and recipe, for each frame rate at which it is compared."""
    config = ModelConfig(
        "published",
        30.0,
        names,
        noise_levels=NOISE_LEVELS,
        ensemble_size=1,
        nr_of_epochs=4,
        windows_per_epoch=5_000_000,
    )
    slow = replace(config, model_name="published_7.5Hz", sampling_rate=7.5, smoothing=0.2)
    return [
        (replace(config, model_name="published_30Hz"), [c for c in AT_30HZ if c.noise_level]),
        (slow, [c for c in AT_7HZ if c.noise_level]),
    ]


def oasis(trace: TestTrace, condition: Condition, taus_s: Sequence[float]) -> list[np.ndarray]:
    """Deconvolution as suite2p runs it, with its maximin baseline; one smoothed trace (arbitrary unit) per decay."""
    dcnv, cpu = suite2p_deconvolution()
    rate = trace.frame_rate
    parts = np.split(trace.dff.astype(np.float32), np.cumsum(trace.segments)[:-1], axis=1)
    parts = [dcnv.preprocess(part, "maximin", 60.0, 10.0, rate, device=cpu) for part in parts]

    def smoothed(part: np.ndarray, tau_s: float) -> np.ndarray:
        spikes = dcnv.oasis(F=part, batch_size=1, tau=tau_s, fs=rate)[0]
        return smooth_spikes(spikes, rate, condition.smoothing, condition.kernel)

    return [np.concatenate([smoothed(part, tau_s) for part in parts]) for tau_s in taus_s]


def prepare_torchvision() -> None:
    """Declare to a torch made for the CPU what torchvision expects when suite2p is imported."""
    import torch

    for name in ("nms", "qnms"):
        with suppress(RuntimeError):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


@cache
def suite2p_deconvolution():
    """suite2p's module of deconvolution, and the device to run it on."""
    import torch

    prepare_torchvision()
    from suite2p.extraction import dcnv

    return dcnv, torch.device("cpu")


def score_oasis(
    datasets: dict[str, Dataset], names: list[str], taus_s: Sequence[float], method: str, parts: Path
) -> None:
    """Score OASIS; of several decays the one with the best median correlation on the dataset is kept."""
    for name in names:
        table = parts / f"{method}_{name.split('-')[0]}.csv"
        scores = read_scores(table) if table.is_file() else []
        done = {entry.condition for entry in scores}
        for condition in (condition for condition in AT_30HZ if condition.label not in done):
            tried = [[] for _ in taus_s]
            for trace in filter(None, (make_trace(neuron, condition) for neuron in datasets[name].neurons)):
                for entries, spike_prob in zip(tried, oasis(trace, condition, taus_s), strict=True):
                    entries.append(evaluate(spike_prob, trace, condition.label, method))
            tried = [[entry for entry in entries if entry is not None] for entries in tried]
            if any(tried):
                scores += max(tried, key=lambda entries: np.median([entry.correlation for entry in entries]))
        write_scores(table, scores)
        print(f"{method}: {name} is done", flush=True)


def score_imported(datasets: dict[str, Dataset], names: list[str], source: Path, work: Path, parts: Path) -> None:
    """Score published models on the datasets that they were not trained on."""
    for model_name, smoothing in IMPORTED.items():
        folder = work / model_name
        model = load_model(folder) if folder.exists() else import_published(source / model_name, folder)
        unseen = [name for name in names if model.has_not_seen([name])]
        conditions = [Condition(30.0, smoothing, level) for level in NOISE_LEVELS]
        method = f"imported-{model_name}"
        leave_out(lambda *_, model=model: model, datasets, [unseen], conditions, parts, method)
        tables.merge_scores(STUDY, parts, method)


def main() -> None:
    """Train, predict, score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    methods = ("universal", "universal-told", "published", "published-5", "imported", "oasis", "oasis-tuned")
    parser.add_argument("methods", nargs="*", metavar="METHOD", help=f"of {', '.join(methods)} [default: all]")
    parser.add_argument("--work", type=Path, required=True, help="folder for models and scores of the folds")
    parser.add_argument("--peer-models", type=Path, help="folder with published models, for 'imported'")
    parser.add_argument("--fold", type=int, action="append", help="only this fold; may be repeated")
    arguments = parser.parse_args()
    if unknown := set(arguments.methods) - set(methods):
        parser.error(f"there is no method {', '.join(unknown)}")
    chosen = arguments.methods or [name for name in methods if name != "imported" or arguments.peer_models]
    if "imported" in chosen and not arguments.peer_models:
        parser.error("'imported' needs --peer-models")

    model = load_model()
    try:
        available = find_datasets(ground_truth_root())
    except CascadeError as error:
        sys.exit(str(error))
    folds = [[name for name in fold if name in available] for fold in held_out_folds(model)]
    names = [name for fold in folds for name in fold]
    usable = [name for name in model.config.training_datasets if name in names]
    principal = by_population(usable, model)["principal"]
    principal_folds = [[name for name in fold if name in principal] for fold in folds]
    datasets = {name: load_dataset(available[name]) for name in names}

    parts = arguments.work / "scores"
    for method in chosen:
        if method.startswith("universal"):
            leave_out(
                lambda _, held_out: model.without(held_out),
                datasets,
                folds,
                STANDARD_CONDITIONS if method == "universal" else [*AT_30HZ, *AT_7HZ, ENS2],
                parts,
                method,
                arguments.fold,
                with_indicator=method == "universal-told",
            )
        elif method == "published":
            for settings, conditions in published_configs(tuple(principal)):
                train = trained_without(settings, datasets, arguments.work)
                leave_out(train, datasets, principal_folds, conditions, parts, method, arguments.fold)
        elif method == "published-5":
            settings, conditions = published_configs(tuple(principal))[0]
            settings = replace(settings, model_name="published_30Hz_ensemble", ensemble_size=5)
            train = trained_without(settings, datasets, arguments.work)
            leave_out(train, datasets, principal_folds, conditions, parts, method, [0])
        elif method == "imported":
            score_imported(datasets, principal, arguments.peer_models, arguments.work, parts)
        else:
            score_oasis(datasets, principal, TAUS_S if method == "oasis-tuned" else (TAU_S,), method, parts)
        tables.merge_scores(STUDY, parts, method)


if __name__ == "__main__":
    main()
