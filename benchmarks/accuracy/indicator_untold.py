"""What telling the indicator brings, and whether it can be done without: mixtures over the families of indicators.

    python -m benchmarks.accuracy.indicator_untold             # measures and prints
    python -m benchmarks.accuracy.indicator_untold --summary   # prints what was measured

Measuring needs CASCADE_GROUND_TRUTH. A few neurons of each dataset are predicted at 30 Hz and the noise as it is by
networks that have not seen them, once without an indicator and once with each family. Rules then weigh these
predictions, alike in all neurons of a dataset; the table has the correlation of each neuron with its true spikes.

untold, told   no indicator, and the true one
alike          all weights are the same
explained      more weight where the spikes, times one kernel per neuron, explain more of the trace
agreement      more weight where the network that was trained on simulations agrees
resynthesized  a trace is made from the spikes found without indicator and their kernel; more weight where these spikes
               are found again
best-one       the family with the highest median correlation: it looks at the true spikes
untold-moved, told-moved
               the prediction is moved in time by what fits best, alike in all neurons: it looks at the true spikes

Interrupt it at any time: the same command goes on. For other weights, remove
``results/indicator_untold.csv.gz`` first.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks import tables
from benchmarks.accuracy.shifts import beginnings
from cascade_engine import load_model
from cascade_engine.evaluation import Condition, NeuronScore, TestTrace, evaluate
from cascade_engine.evaluation.leave_out import settings_for
from cascade_engine.evaluation.uncertainty import by_population
from cascade_engine.ground_truth import Dataset, find_datasets, ground_truth_root, load_catalogue, load_dataset
from cascade_engine.networks.families import open_predictor
from cascade_engine.networks.store import Model
from cascade_engine.networks.universal.architecture import INDICATOR_FAMILIES, UNKNOWN, indicator_family
from cascade_engine.networks.universal.predictor import UniversalPredictor
from cascade_engine.signal.kernels import smooth_spikes
from cascade_engine.signal.noise import noise_level_to_sd

STUDY = "indicator_untold"
CONDITION = Condition(30.0, 0.05)

#: Neurons of each dataset.
N_NEURONS = 4

#: What the networks are told, one after the other: nothing first.
FAMILIES = (UNKNOWN, *range(len(INDICATOR_FAMILIES)))

#: Time constants (s) of rise and decay of the kernels that are tried.
RISES_S, DECAYS_S = np.array([0.004, 0.01, 0.02, 0.04, 0.08]), np.geomspace(0.1, 3.0, 10)

#: Slower waves (s) are no part of what spikes must explain.
SLOWEST_S = 20.0

#: How sharply weights follow a rule: they are exponentials of this times what the rule measures.
SHARPNESS = {"explained": 10.0, "agreement": 10.0, "resynthesized": 20.0}

#: How far (frames) a prediction is moved at most, and by which steps.
MOVES = np.arange(-4.0, 4.01, 0.25)

#: A dataset loses if its median correlation falls by more.
LOSS = 0.005


@dataclass(frozen=True)
class Predicted:
    """One neuron: its trace, and what is expected by the networks, not smoothed, for each of `FAMILIES`.

    Attributes
    ----------
    trace : TestTrace
        The neuron.
    found : array, shape (n_families, n_frames)
        By networks trained on ground truth.
    simulated : array, shape (n_frames,)
        By networks trained on simulated neurons, without an indicator.
    """

    trace: TestTrace
    found: np.ndarray
    simulated: np.ndarray

    def smoothed(self, spikes: np.ndarray) -> np.ndarray:
        """Spikes smoothed as they are judged."""
        return smooth_spikes(spikes, self.trace.frame_rate, CONDITION.smoothing, CONDITION.kernel)


def networks_expect(predictor: UniversalPredictor, trace: TestTrace, dff: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`Predicted.found` and `Predicted.simulated` of a trace (n_frames,) like that of a test."""
    model = predictor.model
    level = max(trace.noise_level, model.config.least_noise_level)
    whole = [slice(0, len(dff))]
    of_family = [predictor.by_networks(dff, level, whole, family)[0] for family in FAMILIES]
    recorded = list(model.members or range(model.config.ensemble_size))
    found = np.stack([spikes[recorded].mean(axis=0) for spikes in of_family])
    return found, of_family[0][model.config.ensemble_size :].mean(axis=0)


def best_kernel(spikes: np.ndarray, trace: TestTrace) -> tuple[float, np.ndarray]:
    """How much of a trace spikes explain with the best kernel, from 0 to 1, and this kernel (dF/F, frame by frame)."""
    from scipy.signal import lfilter

    taus = np.concatenate([RISES_S, DECAYS_S])
    decayed = np.stack([lfilter([1.0], [1.0, -np.exp(-1.0 / (tau * trace.frame_rate))], spikes) for tau in taus])
    dff = np.nan_to_num(trace.dff[0].astype(np.float64))
    n_waves = int(2 * len(dff) / trace.frame_rate / SLOWEST_S) + 1
    waves = np.cos(np.pi * np.outer(np.arange(n_waves), (np.arange(len(dff)) + 0.5) / len(dff)))
    basis = np.linalg.qr(waves.T)[0]

    def fast(x: np.ndarray) -> np.ndarray:
        return x - (x @ basis) @ basis.T

    parts, target = fast(decayed), fast(dff)
    products, with_target = parts @ parts.T, parts @ target
    best, kernel, frames = 0.0, np.zeros_like(dff), np.arange(len(dff))
    for rise in range(len(RISES_S)):
        for decay in range(len(RISES_S), len(taus)):
            size = products[rise, rise] + products[decay, decay] - 2 * products[rise, decay]
            covariance = with_target[decay] - with_target[rise]
            share = covariance**2 / (size * (target @ target)) if covariance > 0 else 0.0
            if share > best:
                slow, quick = (np.exp(-frames / (taus[number] * trace.frame_rate)) for number in (decay, rise))
                best, kernel = share, covariance / size * (slow - quick)
    return best, kernel


def explained(neuron: Predicted, predictor: UniversalPredictor) -> np.ndarray:
    """Logarithm of what the spikes of each family leave unexplained, changed in sign."""
    return np.array([-np.log1p(-best_kernel(spikes, neuron.trace)[0]) for spikes in neuron.found])


def agreement(neuron: Predicted, predictor: UniversalPredictor) -> np.ndarray:
    """Correlation of each family's spikes with those of the networks that were trained on simulated neurons."""
    reference = neuron.smoothed(neuron.simulated)
    return np.array([_correlation(neuron.smoothed(spikes), reference) for spikes in neuron.found])


def resynthesized(neuron: Predicted, predictor: UniversalPredictor) -> np.ndarray:
    """Correlation of known spikes, drawn from those found, with what is found in the trace that they would make."""
    rng = np.random.default_rng(0)
    spikes = rng.poisson(neuron.found[0]).astype(np.float64)
    made = np.convolve(spikes, best_kernel(neuron.found[0], neuron.trace)[1])[: len(spikes)]
    noise = noise_level_to_sd(neuron.trace.noise_level, neuron.trace.frame_rate) * rng.standard_normal(len(made))
    found, _ = networks_expect(predictor, neuron.trace, (made + noise).astype(np.float32))
    truth = neuron.smoothed(spikes)
    return np.array([_correlation(neuron.smoothed(each), truth) for each in found])


RULES: dict[str, Callable[[Predicted, UniversalPredictor], np.ndarray]] = {
    "explained": explained,
    "agreement": agreement,
    "resynthesized": resynthesized,
}


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


def moved(values: np.ndarray, n_frames: float) -> np.ndarray:
    """A trace moved later by a part of a frame or some frames."""
    return np.interp(np.arange(len(values)) - n_frames, np.arange(len(values)), values)


def candidates(dataset: Dataset, neurons: Sequence[Predicted], predictors: Sequence[UniversalPredictor]):
    """For each method the prediction of every neuron, shape (n_frames,), smoothed."""
    indicators = {entry.folder: entry.indicator for entry in load_catalogue().values()}
    true_family = FAMILIES.index(indicator_family(indicators.get(dataset.name, "")))
    only = np.eye(len(FAMILIES))

    def mixed(weights: np.ndarray) -> list[np.ndarray]:
        shares = [each.found / each.found.sum(axis=1, keepdims=True) * each.found[0].sum() for each in neurons]
        return [each.smoothed(weights @ share) for each, share in zip(neurons, shares, strict=True)]

    def median_correlation(spike_probs: Sequence[np.ndarray]) -> float:
        return float(
            np.median([_score(p, each.trace, "").correlation for p, each in zip(spike_probs, neurons, strict=True)])
        )

    def best_moved(spike_probs: Sequence[np.ndarray]) -> list[np.ndarray]:
        return max(([moved(p, move) for p in spike_probs] for move in MOVES), key=median_correlation)

    found = {
        "untold": mixed(only[0]),
        "told": mixed(only[true_family]),
        "alike": mixed(np.full(len(FAMILIES), 1 / len(FAMILIES))),
    }
    for name, rule in RULES.items():
        values = np.mean([rule(each, predictor) for each, predictor in zip(neurons, predictors, strict=True)], axis=0)
        weights = np.exp(SHARPNESS[name] * (values - values.max()))
        found[name] = mixed(weights / weights.sum())
    found["best-one"] = max(map(mixed, only), key=median_correlation)
    for name in ("untold", "told"):
        found[f"{name}-moved"] = best_moved(found[name])
    return found


def _score(spike_prob: np.ndarray, trace: TestTrace, method: str) -> NeuronScore:
    found = evaluate(spike_prob, trace, CONDITION.label, method)
    assert found is not None, f"{trace.cell} has spikes, and a prediction"
    return found


def measure(model: Model, dataset: Dataset) -> None:
    """Measure a dataset, if that is not done yet."""
    if dataset.name in {row["dataset"] for row in tables.read(STUDY)}:
        return
    unaware = model.without([dataset.name])
    assert unaware is not None, f"every network has seen {dataset.name}"
    neurons, predictors = [], []
    for trace in beginnings(dataset, CONDITION, N_NEURONS):
        settings = settings_for(unaware, dataset.name, CONDITION, trace.noise_level)
        predictor = open_predictor(unaware, trace.frame_rate, settings)
        assert isinstance(predictor, UniversalPredictor), f"{model.name} is no universal model"
        neurons.append(Predicted(trace, *networks_expect(predictor, trace, trace.dff[0])))
        predictors.append(predictor)
    if neurons:
        found = candidates(dataset, neurons, predictors)
        scores = [_score(p, n.trace, name) for name, ps in found.items() for p, n in zip(ps, neurons, strict=True)]
        tables.merge(STUDY, map(asdict, scores))
        print(f"{dataset.name} is done", flush=True)


def summary(model: Model) -> None:
    """Print the mean over datasets of the median correlation of each method, and what it gains and loses."""
    scores = tables.read_as(NeuronScore, STUDY)
    methods = list(dict.fromkeys(entry.method for entry in scores))
    datasets = list(dict.fromkeys(entry.dataset for entry in scores))
    medians = {
        (method, name): np.median([e.correlation for e in scores if (e.method, e.dataset) == (method, name)])
        for method in methods
        for name in datasets
    }
    gcamp8 = [name for name in datasets if "GCaMP8" in name]
    groups = by_population(datasets, model)
    print("| method | " + " | ".join(f"{group}: r, gain, worst, losing" for group in groups) + " | GCaMP8: gain |")
    print("|---|" + "---|" * (len(groups) + 1))
    for method in methods:
        cells = []
        for names in (*groups.values(), gcamp8):
            gains = np.array([medians[method, name] - medians["untold", name] for name in names])
            mean = np.mean([medians[method, name] for name in names])
            cells.append(
                f"{mean:.3f}, {gains.mean():+.3f}, {gains.min():+.3f}, {(gains < -LOSS).sum()} of {len(gains)}"
            )
        print(f"| {method} | " + " | ".join(cells) + " |")


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="universal", help="name or folder of the model")
    parser.add_argument("--again", action="store_true", help="forget what was measured before, with other weights")
    parser.add_argument("--summary", action="store_true", help="print what was measured, measure nothing")
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    if arguments.again:
        tables.forget(STUDY)
    if not arguments.summary:
        available = find_datasets(ground_truth_root())
        for name in (name for name in model.config.training_datasets if name in available):
            measure(model, load_dataset(available[name]))
    summary(model)


if __name__ == "__main__":
    main()
