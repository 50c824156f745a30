"""Discrete spikes: how right they are, how near the best, how fast.

    python -m benchmarks.accuracy.discrete_spikes score         # each dataset unseen by the networks, and OASIS
    python -m benchmarks.accuracy.discrete_spikes summary       # prints what `score` has measured
    python -m benchmarks.accuracy.discrete_spikes search        # against 500 restarts of a Monte-Carlo search
    python -m benchmarks.accuracy.discrete_spikes speed [PATH]  # 100 neurons x 27,000 frames
    python -m benchmarks.accuracy.discrete_spikes timing        # do times between frames come nearer?

All but `summary` need CASCADE_GROUND_TRUTH, and OASIS needs suite2p. The scores of every neuron go into
``results/discrete_spikes.csv.gz``. PATH is a recording with results of 'cascade run', whose ROIs are repeated; without
it the ground truth is taken, which fires and bursts more than most recordings.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import groupby, product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import tables
from benchmarks.accuracy.leave_one_out import TAUS_S, suite2p_deconvolution
from cascade_engine import infer, infer_discrete_spikes, load_model, smooth_spikes, smoothing_kernel
from cascade_engine.discrete.islands import find_islands
from cascade_engine.errors import CascadeError
from cascade_engine.evaluation import Condition, TestTrace, make_trace
from cascade_engine.evaluation.spike_trains import ERROR_RATE_TOLERANCE_S, SpikeTrainScore, n_matched, score_spikes
from cascade_engine.ground_truth import find_datasets, folder_name, ground_truth_root, load_dataset
from cascade_engine.ground_truth.records import Dataset
from cascade_engine.ground_truth.resampling import resample
from cascade_engine.inference import Inference
from cascade_engine.networks.store import Model
from cascade_engine.networks.universal.config import UniversalConfig
from tests.builders.monte_carlo import best_distance

ROOT = Path(__file__).resolve().parents[2]
STUDY = "discrete_spikes"
CONDITIONS = (Condition(60.0, 0.025, None), Condition(30.0, 0.05, 2.0))

#: ENS2 (Zhou et al. 2023), over excitatory DS02-DS21 at 60 Hz: mean and median.
ENS2 = {"error_rate": (0.459, 0.437), "victor_purpura": (0.70, 0.53)}
ENS2_DATASETS = [f"DS{number:02d}" for number in range(2, 22)]

#: Figures of a row with clocks aligned.
ALIGNED = ("aligned_f1", "aligned_error_rate")

#: dF/F (fraction) of one spike that are tried for OASIS.
THRESHOLDS = np.geomspace(0.01, 3.0, 16)

#: s of silence between recordings of a neuron, so that no spike of one is matched with one of another.
_BETWEEN_S = 10.0


@dataclass(frozen=True)
class Row:
    """One neuron, one condition, one method; the last two figures are with clocks aligned, NaN if not measured."""

    condition: str
    method: str
    dataset: str
    cell: str
    noise_level: float
    score: SpikeTrainScore
    aligned_f1: float = np.nan
    aligned_error_rate: float = np.nan

    def columns(self) -> dict[str, Any]:
        """As a row of the table."""
        score = asdict(self.score)
        return {name: value for name, value in vars(self).items() if name != "score"} | score


def spike_times(trace: TestTrace, counts: np.ndarray) -> np.ndarray:
    """Times (s) of spikes per frame, of the frames that count."""
    session = np.repeat(np.arange(len(trace.segments)), trace.segments)
    time_s = np.arange(len(trace.spikes)) / trace.frame_rate + session * _BETWEEN_S
    return np.repeat(time_s, np.where(trace.scored, counts, 0).astype(int))


def score_trace(trace: TestTrace, counts: np.ndarray, label: str, method: str) -> Row | None:
    """Score spikes per frame over the frames that count; None without a true spike."""
    score, aligned = (
        score_spikes(spike_times(trace, true), spike_times(trace, counts))
        for true in (trace.spikes, trace.aligned_spikes)
    )
    row = Row(label, method, trace.dataset, trace.cell, trace.noise_level, score, aligned.f1, aligned.error_rate)
    return row if score.n_true else None


def universal(trace: TestTrace, condition: Condition, model: Model) -> np.ndarray:
    """Spikes per frame by a universal model."""
    result = predict(trace, condition, model)
    return infer_discrete_spikes(result, segments=trace.segments).counts()[0]


def predict(trace: TestTrace, condition: Condition, model: Model) -> Inference:
    """Expected spikes per frame by a universal model."""
    given = {"smoothing": condition.smoothing, "kernel": condition.kernel}
    return infer(trace.dff, trace.frame_rate, model, segments=trace.segments, check_units=False, **given)


def oasis(trace: TestTrace, settings: Sequence[tuple[float, float]]) -> Iterator[np.ndarray]:
    """Spikes per frame by OASIS as suite2p runs it, for each decay (s) and height of a spike (dF/F)."""
    dcnv, cpu = suite2p_deconvolution()
    rate = trace.frame_rate
    parts = np.split(trace.dff.astype(np.float32), np.cumsum(trace.segments)[:-1], axis=1)
    parts = [dcnv.preprocess(part, "maximin", 60.0, 10.0, rate, device=cpu) for part in parts]
    for tau_s, same in groupby(settings, key=lambda setting: setting[0]):
        spikes = np.concatenate([dcnv.oasis(F=part, batch_size=1, tau=tau_s, fs=rate)[0] for part in parts])
        for _, threshold in same:
            yield np.rint(spikes / threshold)


def score_dataset(dataset: Dataset, condition: Condition, model: Model, options: argparse.Namespace) -> list[Row]:
    """Scores of all neurons of a dataset; OASIS with the decay and threshold that are best on it (it is favoured)."""
    traces = [trace for trace in (make_trace(neuron, condition) for neuron in dataset.neurons) if trace is not None]
    rows = [score_trace(trace, universal(trace, condition, model), condition.label, "universal") for trace in traces]
    if not options.without_oasis and traces:
        settings = list(product(TAUS_S[::2], THRESHOLDS.tolist()))
        rates = np.array([[error_rate(trace, counts) for counts in oasis(trace, settings)] for trace in traces])
        best = settings[int(np.argmin(np.nanmedian(rates, axis=0)))]
        rows += [score_trace(trace, *oasis(trace, [best]), condition.label, "oasis-tuned") for trace in traces]
    return [row for row in rows if row is not None]


def error_rate(trace: TestTrace, counts: np.ndarray) -> float:
    """As in `SpikeTrainScore`; NaN without a true spike."""
    true, found = spike_times(trace, trace.spikes), spike_times(trace, counts)
    if not len(true):
        return np.nan
    return 1 - 2 * n_matched(true, found, ERROR_RATE_TOLERANCE_S) / (len(true) + len(found))


def read() -> list[Row]:
    """Rows of the table."""
    texts = ("condition", "method", "dataset", "cell")
    scores = tables.read_as(SpikeTrainScore, STUDY)
    return [
        Row(
            *(row[name] for name in texts),
            float(row["noise_level"]),
            score,
            *(float(row.get(n, "nan")) for n in ALIGNED),
        )
        for row, score in zip(tables.read(STUDY), scores, strict=True)
    ]


def summarize(rows: Sequence[Row]) -> None:
    """Print means and medians over neurons, in Markdown."""
    names = [*(field.name for field in fields(SpikeTrainScore)[2:]), *ALIGNED]
    print(f"| condition | method | datasets | neurons | {' | '.join(names)} |\n|{'---|' * (4 + len(names))}")
    for condition, method in sorted({(row.condition, row.method) for row in rows}):
        chosen = [row for row in rows if (row.condition, row.method) == (condition, method)]
        figures = [row.columns() for row in chosen]
        values = [np.array([each[name] for each in figures]) for name in names]
        cells = [f"{np.nanmean(v):.3f} / {np.nanmedian(v):.3f}" if np.isfinite(v).any() else "-" for v in values]
        n_datasets = len({row.dataset for row in chosen})
        print(f"| {condition} | {method} | {n_datasets} | {len(chosen)} | {' | '.join(cells)} |")
    told = ", ".join(f"{name} {mean:g} / {median:g}" for name, (mean, median) in ENS2.items())
    print(f"mean / median over neurons; ENS2 reports {told}")


def score(arguments: argparse.Namespace) -> None:
    """Score every dataset, predicted by the networks that have not seen it."""
    model, rows = load_model(), []
    for name, path in principal_datasets(arguments.datasets or ENS2_DATASETS).items():
        dataset = load_dataset(path)
        dataset.neurons = dataset.neurons[: arguments.neurons]
        for condition in CONDITIONS:
            rows += score_dataset(dataset, condition, model.without([name]), arguments)
        print(f"{name} is done", flush=True)
        if not (arguments.datasets or arguments.neurons):
            tables.merge(STUDY, [row.columns() for row in rows])
    summarize(rows)


def principal_datasets(wanted: Sequence[str]) -> dict[str, Path]:
    """Datasets of principal cells that the shipped model is made for, as far as they are here."""
    config = UniversalConfig.from_yaml(ROOT / "examples" / "universal.yaml")
    available = find_datasets(ground_truth_root())
    chosen = {folder_name(name) for name in wanted}
    names = [name for name in config.training_datasets if name in available and name in chosen]
    return {name: available[name] for name in names if name not in config.interneuron_datasets}


def predictions(condition: Condition, n_neurons: int) -> Iterator[tuple[TestTrace, np.ndarray]]:
    """What the shipped model predicts for ground truth, some neurons of each dataset."""
    model = load_model()
    for path in principal_datasets(ENS2_DATASETS).values():
        traces = filter(None, (make_trace(neuron, condition) for neuron in load_dataset(path).neurons[:n_neurons]))
        for trace in traces:
            yield trace, predict(trace, condition, model).spike_prob[0]


def search(arguments: argparse.Namespace) -> None:
    """Compare distances with those that the Monte-Carlo search reaches, on islands of predictions."""
    rng = np.random.default_rng(0)
    for condition in (Condition(30.0, 0.05, 2.0), CONDITIONS[0]):
        weights = smoothing_kernel(condition.frame_rate, condition.smoothing)
        half, excess = len(weights) // 2, []
        for trace, spike_prob in predictions(condition, 3):
            spike_prob, rate = spike_prob[: trace.segments[0]].astype(float), condition.frame_rate
            spikes = infer_discrete_spikes(spike_prob[np.newaxis], rate, condition.smoothing)
            counts = spikes.counts()[0]
            islands = find_islands(spike_prob[np.newaxis], weights, [slice(0, len(spike_prob))])
            for number in rng.permutation(len(islands.first))[:6]:
                start = int(islands.frame[islands.first[number]])
                stop = start + int(islands.length[number])
                low, high = start - half, stop + half
                if low < 0 or high > len(spike_prob) or high - low > 600:
                    continue
                goal, inside = spike_prob[low:high], np.zeros(high - low)
                inside[half:-half] = counts[start:stop]
                ours = float(((goal - smooth_spikes(inside, rate, condition.smoothing)) ** 2).sum())
                theirs = best_distance(
                    goal, slice(half, high - low - half), rate, condition.smoothing, "gaussian", arguments.restarts, rng
                )
                excess.append((ours - theirs) / (weights**2).sum())
        excess = np.array(excess)
        print(
            f"{condition.label}: {len(excess)} islands; worse than the best of {arguments.restarts} restarts in "
            f"{np.count_nonzero(excess > 1e-9)}, better in {np.count_nonzero(excess < -1e-9)} (mean difference there "
            f"{-excess[excess < -1e-9].mean() if (excess < -1e-9).any() else 0:.3f} of a spike's squared norm)"
        )


def speed(arguments: argparse.Namespace) -> None:
    """Time 100 neurons x 27,000 frames (15 min at 30 Hz)."""
    if arguments.path:
        from cascade_adapters.containers.registry import find_containers

        results = find_containers(arguments.path)[0].results()
        if results is None:
            sys.exit(f"{arguments.path} has no results: 'cascade run' first")
        rate, settings = results.record.recording.frame_rate_hz, results.record.settings
        smoothing, kernel = settings.smoothing or 0.0, settings.kernel or "gaussian"
        found = np.nan_to_num(results.spike_prob[:])
    else:
        rate, smoothing, kernel = 30.0, 0.05, "gaussian"
        found = np.concatenate([each for _, each in predictions(Condition(rate, smoothing, 2.0), 7)])
    traces = np.resize(found, (100, 27_000)).astype(np.float32)
    times = []
    for _ in range(arguments.repeats):
        start = time.perf_counter()
        spikes = infer_discrete_spikes(traces, rate, smoothing, kernel, n_threads=2)
        times.append(time.perf_counter() - start)
    weights = smoothing_kernel(rate, smoothing, kernel)
    active = find_islands(traces, weights, [slice(0, traces.shape[1])]).possible.sum() / traces.size
    print(
        f"100 neurons x 27,000 frames, {spikes.n_spikes.mean() / 27_000 * rate:.2f} spikes/s, {active:.1%} of frames "
        f"can hold one: {min(times):.2f} s with 2 threads"
    )


def timing(arguments: argparse.Namespace) -> None:
    """Median absolute timing error of isolated spikes, on frames and with the peak of the fit put between them."""
    from scipy.ndimage import correlate1d

    model = load_model()
    for rate, smoothing in ((7.5, 0.2), (15.0, 0.1), (30.0, 0.05)):
        errors: list[list[np.ndarray]] = []
        for path in principal_datasets([*ENS2_DATASETS, "DS29", "DS30", "DS31", "DS32"]).values():
            found = []
            for recording in (one for neuron in load_dataset(path).neurons[:8] for one in neuron.recordings):
                resampled = resample(recording, rate)
                if len(resampled.dff) < 100:
                    continue
                dff, exact_rate = resampled.dff[np.newaxis], resampled.frame_rate
                result = infer(dff, exact_rate, model, smoothing=smoothing, check_units=False)
                if np.isnan(result.spike_prob).all():
                    continue
                spikes = infer_discrete_spikes(result)
                fit = correlate1d(
                    np.nan_to_num(result.spike_prob[0]).astype(float), smoothing_kernel(result.frame_rate, smoothing)
                )
                frames = spikes.frames[0][_isolated(spikes.times_s[0])]
                frames = frames[(frames > 0) & (frames < len(fit) - 1)]
                before, at, after = (fit[frames + step] for step in (-1, 0, 1))
                between = np.clip((after - before) / (2 * (2 * at - before - after)), -0.5, 0.5)
                true = recording.spike_times_s - recording.time_s[0]
                true = true[_isolated(true)]
                if len(true) and len(frames):
                    nearest = true[np.abs(true - frames[:, np.newaxis] / result.frame_rate).argmin(axis=1)]
                    off = np.stack([frames, frames + between]) / result.frame_rate - nearest
                    found.append(np.abs(off[:, np.abs(off[0]) < 0.25]))
            pooled = np.concatenate(found, axis=1) if found else np.empty((2, 0))
            if pooled.shape[1] >= 10:
                errors.append(np.median(pooled, axis=1))
        on_frames, refined = 1000 * np.mean(errors, axis=0)
        nearer = np.count_nonzero(np.diff(errors, axis=1) < 0)
        print(
            f"{rate:g} Hz, {1000 * smoothing:g} ms, {len(errors)} datasets: {on_frames:.1f} ms on frames, "
            f"{refined:.1f} ms between them; nearer in {nearer} datasets"
        )


def _isolated(times_s: np.ndarray) -> np.ndarray:
    """Whether each of some sorted times has no other within a second."""
    apart = np.diff(times_s, prepend=-np.inf, append=np.inf) > 1.0
    return apart[:-1] & apart[1:]


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("score")
    command.set_defaults(run=score)
    command.add_argument("datasets", nargs="*", metavar="DS", help="only these, such as DS09")
    command.add_argument("--neurons", type=int, help="for a trial: so many neurons of each dataset")
    command.add_argument("--without-oasis", action="store_true")
    command = commands.add_parser("summary")
    command.set_defaults(run=lambda _: summarize(read()))
    command = commands.add_parser("search")
    command.set_defaults(run=search)
    command.add_argument("--restarts", type=int, default=500)
    command = commands.add_parser("speed")
    command.set_defaults(run=speed)
    command.add_argument("path", nargs="?", type=Path)
    command.add_argument("--repeats", type=int, default=5)
    command = commands.add_parser("timing")
    command.set_defaults(run=timing)
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except CascadeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
