"""What each choice in the training of the universal model brings on datasets that it has not seen.

    python benchmarks/ablation.py --work FOLDER [VARIANT ...]

needs CASCADE_GROUND_TRUTH. Each variant is a configuration that differs from the one before it; one network of each is
trained without ten datasets and tested on them (10 min on 2 cores; interrupt it at any time, the same command goes on).
Scores of all neurons go to ``results/ablation/``; the table is printed.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from cascade_engine.evaluation import Condition, read_scores, summarize
from cascade_engine.evaluation.leave_out import leave_out
from cascade_engine.ground_truth import find_datasets, ground_truth_root, load_dataset
from cascade_engine.models.store import load_model
from cascade_engine.universal.config import UniversalConfig
from cascade_engine.universal.trainer import train_universal

ROOT = Path(__file__).resolve().parents[1]
TABLES = ROOT / "benchmarks" / "results" / "ablation"
TESTED = ("DS01", "DS03", "DS06", "DS07", "DS11", "DS14", "DS15", "DS19", "DS20", "DS31")
CONDITIONS = [
    *(Condition(30.0, 0.05, level) for level in (2.0, 4.0, 8.0)),
    Condition(7.5, 0.2, 2.0),
    Condition(60.0, 0.025, None),
]

#: Each with what it changes, on top of those before it.
VARIANTS = {
    "first": {
        "native_share": 0.0,
        "noise_range": (1.0, 10.0),
        "rate_weights": (),
        "learning_rate": 0.002,
        "dataset_power": 0.5,
        "interneuron_weight": 1.0,
        "correlation_weight": 0.0,
    },
    "low-noise": {
        "native_share": 0.2,
        "noise_range": (0.5, 10.0),
        "rate_weights": (0.4, 0.5, 0.6, 0.7, 1, 1, 1.3, 1.3, 2, 1.3, 2, 1.3, 0.7),
        "learning_rate": 0.0015,
    },
    "equal-datasets": {"dataset_power": 0.0, "interneuron_weight": 0.4},
    "correlation": {"correlation_weight": 1.0},
}


def main() -> None:
    """Train, test, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"of {', '.join(VARIANTS)} [default: all]")
    parser.add_argument("--work", type=Path, required=True, help="folder for the models")
    arguments = parser.parse_args()
    if unknown := set(arguments.variants) - set(VARIANTS):
        parser.error(f"there is no variant {', '.join(unknown)}")

    available = find_datasets(ground_truth_root())
    config = UniversalConfig.from_yaml(ROOT / "examples" / "universal.yaml")
    names = [name for name in config.training_datasets if name in available]
    tested = [name for name in names if name.startswith(TESTED)]
    trained = tuple(name for name in names if name not in tested)
    datasets = {name: load_dataset(available[name]) for name in names}
    interneurons = tuple(name for name in config.interneuron_datasets if name in trained)
    config = replace(config, training_datasets=trained, interneuron_datasets=interneurons, steps=5000)
    config = replace(config, folds=0, ensemble_size=1)

    print("| variant | condition | correlation | error | bias | absolute bias |\n|---|---|---|---|---|---|")
    for variant, changes in VARIANTS.items():
        config = replace(config, model_name=variant, **changes)
        if arguments.variants and variant not in arguments.variants:
            continue

        def trained_model(*_, config=config):
            folder = arguments.work / config.model_name
            if folder.exists():
                return load_model(folder)
            return train_universal(config, [datasets[name] for name in trained], folder)

        leave_out(trained_model, datasets, [tested], CONDITIONS, TABLES, variant, say=lambda _: None)
        scores = read_scores(TABLES / f"{variant}_fold0.csv")
        for condition in CONDITIONS:
            s = summarize([entry for entry in scores if entry.condition == condition.label])
            print(
                f"| {variant} | {condition.label} | {s.correlation:.3f} | {s.error:.2f} | {s.bias:+.2f} "
                f"| {s.absolute_bias:.2f} |"
            )


if __name__ == "__main__":
    main()
