"""What each choice in the training of the universal model brings on datasets that it has not seen.

    python -m benchmarks.accuracy.ablation                              # prints what was measured
    python -m benchmarks.accuracy.ablation --work FOLDER [VARIANT ...]  # measures and prints it

Measuring needs CASCADE_GROUND_TRUTH. Each variant differs in one choice from the one that it is based on. A network of
each is trained without ten datasets and tested on them: 10 min on 2 cores. Interrupt it at any time, the same command
goes on. Scores of all neurons go into ``results/ablation.csv.gz``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from benchmarks import tables
from benchmarks.accuracy.disturbed import disturbed
from cascade_engine.evaluation import Condition, NeuronScore, summarize
from cascade_engine.evaluation.leave_out import leave_out
from cascade_engine.evaluation.scores import MEDIANS
from cascade_engine.ground_truth import Dataset, find_datasets, folder_name, ground_truth_root, load_dataset
from cascade_engine.networks.store import load_model
from cascade_engine.networks.training_loop import train_model
from cascade_engine.networks.universal.config import UniversalConfig
from cascade_engine.networks.universal.simulated import simulated_datasets
from cascade_engine.networks.universal.trainer import UniversalTrainer

ROOT = Path(__file__).resolve().parents[2]
STUDY = "ablation"
TESTED = ("DS01", "DS03", "DS06", "DS07", "DS11", "DS14", "DS15", "DS19", "DS20", "DS31")
CONDITIONS = [
    *(Condition(30.0, 0.05, level) for level in (2.0, 4.0, 8.0)),
    Condition(7.5, 0.2, 2.0),
    Condition(60.0, 0.025, None),
]


@dataclass(frozen=True)
class Variant:
    """A training that differs from another: in its configuration, or in what is put beside the ground truth."""

    based_on: str = ""
    changes: Mapping[str, object] = field(default_factory=dict)
    more_data: Callable[[list[Dataset]], list[Dataset]] = lambda datasets: []
    recorded: bool = True


#: The first four each go on from the one before; the others differ from the last of them.
VARIANTS = {
    "first": Variant(
        changes={
            "native_share": 0.0,
            "noise_range": (1.0, 10.0),
            "rate_weights": (),
            "learning_rate": 0.002,
            "dataset_power": 0.5,
            "interneuron_weight": 1.0,
            "correlation_weight": 0.0,
        }
    ),
    "low-noise": Variant(
        "first",
        {
            "native_share": 0.2,
            "noise_range": (0.5, 10.0),
            "rate_weights": (0.4, 0.5, 0.6, 0.7, 1, 1, 1.3, 1.3, 2, 1.3, 2, 1.3, 0.7),
            "learning_rate": 0.0015,
        },
    ),
    "equal-datasets": Variant("low-noise", {"dataset_power": 0.0, "interneuron_weight": 0.4}),
    "correlation": Variant("equal-datasets", {"correlation_weight": 1.0}),
    "again": Variant("correlation", {"seed": 1}),
    "longer": Variant("correlation", {"steps": 10000}),
    "no-averaging": Variant("correlation", {"averaging": 0.0}),
    "two-networks": Variant("correlation", {"ensemble_size": 2}),
    "simulated-counts": Variant("correlation", {"simulated_networks": 1}),
    "simulated-too": Variant("correlation", more_data=lambda _: simulated_datasets(10, 12, seed=1)[0]),
    "simulated-only": Variant("correlation", more_data=lambda _: simulated_datasets(40, 12, seed=1)[0], recorded=False),
    "disturbed-too": Variant("correlation", more_data=lambda datasets: disturbed(datasets, seed=1)),
    "30-Hz": Variant("correlation", {"frame_rates": (30,), "rate_weights": ()}),
    "30-Hz-50-ms": Variant("30-Hz", {"smoothings_frames": (1.5,)}),
    "7.5-Hz": Variant("correlation", {"frame_rates": (7.5,), "rate_weights": ()}),
    "7.5-Hz-200-ms": Variant("7.5-Hz", {"smoothings_frames": (1.5,)}),
}


def changes_of(name: str) -> dict[str, object]:
    """All that a variant changes, with what those that it is based on change."""
    variant = VARIANTS[name]
    return {**(changes_of(variant.based_on) if variant.based_on else {}), **variant.changes}


def measure(names: Sequence[str], work: Path) -> None:
    """Train and test variants, and put their scores into the table."""
    available = find_datasets(ground_truth_root())
    config = UniversalConfig.from_yaml(ROOT / "examples" / "universal.yaml")
    usable = [name for name in config.training_datasets if name in available]
    tested = [name for name in usable if name in map(folder_name, TESTED)]
    trained = tuple(name for name in usable if name not in tested)
    datasets = {name: load_dataset(available[name]) for name in usable}
    interneurons = tuple(name for name in config.interneuron_datasets if name in trained)
    config = replace(config, training_datasets=trained, interneuron_datasets=interneurons, steps=5000)
    config = replace(config, folds=0, ensemble_size=1, simulated_networks=0)

    for name in names:
        variant, settings = VARIANTS[name], replace(config, model_name=name, **changes_of(name))

        def trained_model(*_, variant=variant, settings=settings):
            folder = work / settings.model_name
            if folder.exists():
                return load_model(folder)
            recorded = [datasets[dataset] for dataset in trained]
            more = variant.more_data(recorded)
            trainer = UniversalTrainer(settings, [*recorded, *more] if variant.recorded else more)
            return train_model(trainer, folder)

        conditions = [condition for condition in CONDITIONS if not settings.doubt_about_rate(condition.frame_rate)]
        leave_out(trained_model, datasets, [tested], conditions, work / "scores", name, say=lambda _: None)
        tables.merge_scores(STUDY, work / "scores", name)
        print(f"{name} is done", flush=True)


def report(names: Collection[str]) -> None:
    """Print what was measured, in Markdown: means over datasets of medians over neurons."""
    print(f"| variant | condition | {' | '.join(name.replace('_', ' ') for name in MEDIANS)} | total |")
    print("|---" * (3 + len(MEDIANS)) + "|")
    scores = tables.read_as(NeuronScore, STUDY)
    for name, condition in product(names, CONDITIONS):
        chosen = [entry for entry in scores if (entry.method, entry.condition) == (name, condition.label)]
        if chosen:
            s = summarize(chosen)
            figures = " | ".join(f"{getattr(s, each):.3f}" for each in MEDIANS)
            print(f"| {name} | {condition.label} | {figures} | {s.total:.2f} |")


def main() -> None:
    """Measure if asked for, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"of {', '.join(VARIANTS)} [default: all]")
    parser.add_argument("--work", type=Path, help="measure, and keep models and scores in this folder")
    arguments = parser.parse_args()
    if unknown := set(arguments.variants) - set(VARIANTS):
        parser.error(f"there is no variant {', '.join(unknown)}")
    names = arguments.variants or list(VARIANTS)
    if arguments.work:
        measure(names, arguments.work)
    report(names)


if __name__ == "__main__":
    main()
