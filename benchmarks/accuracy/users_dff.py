"""The universal model on the dF/F that users of suite2p get, and how much of the neuropil's mean should stay in F0.

    python -m benchmarks.accuracy.users_dff --work FOLDER    # measures, about 10 min on 2 cores; resumable
    python -m benchmarks.accuracy.users_dff                  # prints what was measured; --write puts it into docs/

Measuring needs CASCADE_GROUND_TRUTH, and CASCADE_RAW_FLUORESCENCE (or --raw-fluorescence) with raw fluorescence and
neuropil of some of its datasets. At 30 Hz, with 50 ms and the noise as it is, the same neurons are predicted from

published   the published dF/F
changes     dF/F as `cascade run` computes it, only the changes of the neuropil subtracted: its mean stays in F0
half        the same, half of the mean kept
full        the usual formula F - r Fneu: nothing of the mean kept

each told the indicator and not told, by networks that have not seen the dataset. The scores of every neuron go into
``results/users_dff.csv.gz``.

A second table shows simulated cells, F = F0 (1 + dF/F) + contamination * Fneu with neuropil of 1 to 5 times their F0,
seen with r = 0.7: how the number of spikes depends on the brightness of the neuropil.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks import tables
from benchmarks.accuracy.document import ACCURACY, write_documents
from cascade_engine import infer, load_model
from cascade_engine.errors import CascadeError
from cascade_engine.evaluation import Condition, NeuronScore, summarize
from cascade_engine.evaluation.held_out import held_out_folds
from cascade_engine.evaluation.leave_out import leave_out
from cascade_engine.evaluation.uncertainty import by_population
from cascade_engine.ground_truth import find_datasets, ground_truth_root, load_dataset, simulate_dataset
from cascade_engine.ground_truth.raw_fluorescence import raw_fluorescence_root, with_computed_dff
from cascade_engine.networks.store import Model
from cascade_engine.signal.dff import NEUROPIL_KEPT, Baseline, delta_f_over_f

STUDY = "users_dff"
CONDITION = Condition(30.0, 0.05)

#: The dF/F that is published, and those that are computed.
PUBLISHED, COMPUTED = "published", tuple(NEUROPIL_KEPT)
KINDS = (PUBLISHED, *COMPUTED)

#: What follows the name of the dF/F where the networks were told the indicator.
TOLD = "-told"

#: Simulated cells: neuropil in units of their F0, part of it in F, and its changes (s.d. as a part of it, and in s).
NEUROPIL, CONTAMINATION = (1.0, 2.0, 3.0, 5.0), (0.5, 0.7)
NEUROPIL_CHANGES, NEUROPIL_CHANGES_S = 0.05, 0.7

#: Simulated cells: how many, for how long (s), F0 (light per frame sets the shot noise), and their noise level.
N_CELLS, DURATION_S, F0, NOISE_LEVEL = 12, 180.0, 300.0, 1.0


def measure(model: Model, raw: Path, work: Path) -> None:
    """Score every kind of dF/F, told and not told; the scores go into the table of the study."""
    available, with_raw = find_datasets(ground_truth_root()), {path.name for path in raw.iterdir()}
    folds = [[name for name in fold if name in available and name in with_raw] for fold in held_out_folds(model)]
    folds = [fold for fold in folds if fold]
    published = {name: load_dataset(available[name]) for fold in folds for name in fold}
    for kind in KINDS:
        datasets = published
        if kind != PUBLISHED:
            datasets = {
                name: with_computed_dff(dataset, raw, CONDITION.frame_rate, baseline=Baseline(neuropil=kind))
                for name, dataset in published.items()
            }
        for method in (kind, kind + TOLD):
            leave_out(
                lambda _, held_out: model.without(held_out),
                datasets,
                folds,
                [CONDITION],
                work,
                method,
                with_indicator=method.endswith(TOLD),
            )
            tables.merge_scores(STUDY, work, method)


def summary(scores: Sequence[NeuronScore], names: Iterable[str]) -> str:
    """A table in Markdown, a line for each dF/F; every dataset counts alike."""
    lines = [
        "| dF/F | indicator | noise level | correlation | error | absolute bias | absolute log gain | total | "
        "s.d. within |",
        "|---" * 9 + "|",
    ]
    names = set(names)
    for suffix in ("", TOLD):
        for kind in KINDS:
            chosen = [entry for entry in scores if entry.method == kind + suffix and entry.dataset in names]
            found = summarize(chosen)
            noise = np.mean([np.median([e.noise_level for e in chosen if e.dataset == name]) for name in names])
            lines.append(
                f"| {kind} | {'told' if suffix else ''} | {noise:.2f} | {found.correlation:.3f} | {found.error:.2f} | "
                f"{found.absolute_bias:.2f} | {found.absolute_log_gain:.2f} | {found.total:.2f} | "
                f"{found.gain_sd_within:.2f} |"
            )
    return "\n".join(lines)


def per_dataset(scores: Sequence[NeuronScore]) -> str:
    """A table of correlation and count (predicted over true spikes) for each dataset, networks not told."""
    lines = ["| correlation / count |" + "".join(f" {kind} |" for kind in KINDS), "|---" * (1 + len(KINDS)) + "|"]
    for name in sorted({entry.dataset for entry in scores}):
        line = f"| {name} |"
        for kind in KINDS:
            entries = [entry for entry in scores if (entry.method, entry.dataset) == (kind, name)]
            r, gain = (np.median([getattr(e, column) for e in entries]) for column in ("correlation", "log_gain"))
            line += f" {r:.3f} / {np.exp(gain):.2f} |"
        lines.append(line)
    return "\n".join(lines)


def measured(model: Model) -> dict[str, str]:
    """What stands in the document about the ground truth, by name."""
    scores = tables.read_as(NeuronScore, STUDY)
    populations = by_population(sorted({entry.dataset for entry in scores}), model)
    return {
        **{f"users-{population}": summary(scores, names) for population, names in populations.items()},
        "users-datasets": per_dataset(scores),
    }


def simulated(model: Model) -> str:
    """A table of predicted over true spikes of simulated cells in neuropil of increasing brightness."""
    neurons = simulate_dataset(N_CELLS, DURATION_S, CONDITION.frame_rate, NOISE_LEVEL, seed=3).neurons
    recordings = [neuron.recordings[0] for neuron in neurons]
    dff = np.stack([recording.dff for recording in recordings])
    n_spikes = np.array([len(recording.spike_times_s) for recording in recordings])
    wander = _wandering(dff.shape, CONDITION.frame_rate)
    lines = [
        "| part of Fneu that is in F | neuropil / F0 |" + "".join(f" {kind} |" for kind in COMPUTED),
        "|---" * (2 + len(COMPUTED)) + "|",
    ]
    for contamination in CONTAMINATION:
        for ratio in NEUROPIL:
            neuropil = ratio * F0 * (1.0 + NEUROPIL_CHANGES * wander)
            fluorescence = F0 * (1.0 + dff) + contamination * neuropil
            rng = np.random.default_rng(0)
            # the light of the neuropil makes noise too; that of the cell is in dF/F
            fluorescence += np.sqrt(contamination * neuropil) * rng.standard_normal(dff.shape)
            line = f"| {contamination:g} | {ratio:g} |"
            for kind in COMPUTED:
                baseline = Baseline(neuropil=kind)
                result = delta_f_over_f(fluorescence, CONDITION.frame_rate, neuropil, baseline=baseline)
                found = infer(result.dff, CONDITION.frame_rate, model=model).spike_prob
                counts = np.nansum(found, axis=1) / n_spikes
                has_dff = np.array([not note for note in result.notes])
                line += f" {np.median(counts[has_dff]):.2f} |" if has_dff.mean() > 0.5 else " F0 within the noise |"
            lines.append(line)
    return "\n".join(lines)


def _wandering(shape: tuple[int, int], frame_rate: float) -> np.ndarray:
    """Smooth noise of unit variance."""
    from scipy.ndimage import gaussian_filter1d

    noise = np.random.default_rng(1).standard_normal(shape)
    smooth = gaussian_filter1d(noise, NEUROPIL_CHANGES_S * frame_rate, axis=1)
    return smooth / smooth.std(axis=1, keepdims=True)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="measure; folder for the scores of the folds, one for each model")
    parser.add_argument("--raw-fluorescence", type=Path, help="folder of raw fluorescence and neuropil")
    parser.add_argument("--model", default="universal", help="name or folder of the model")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/")
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    if arguments.work:
        try:
            measure(model, raw_fluorescence_root(arguments.raw_fluorescence), arguments.work)
        except CascadeError as error:
            sys.exit(str(error))
    found = measured(model) | {"users-simulated": simulated(model)}
    for name, text in found.items():
        print(f"\n{name}\n\n{text}")
    if arguments.write:
        write_documents({ACCURACY: found})


if __name__ == "__main__":
    main()
