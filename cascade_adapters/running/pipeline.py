"""The main job on one recording: read, dF/F, predict, write back, some ROIs at a time."""

from __future__ import annotations

import platform
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from cascade_adapters.containers.base import Container, Traces
from cascade_adapters.results import Record, Results, schema
from cascade_adapters.results.record import ModelUsed, RecordingUsed, RoiFacts, TracesUsed, now
from cascade_adapters.running.blocks import DffBlock, check_units, dff_blocks
from cascade_adapters.running.excluded import without_bad_frames
from cascade_adapters.running.failures import unforeseen
from cascade_adapters.running.options import Options
from cascade_adapters.running.report import Report
from cascade_adapters.running.unused import unused_options
from cascade_adapters.safe_writing.spool import Spool
from cascade_engine._version import __version__
from cascade_engine.checks import doubt_noise, why_transposed
from cascade_engine.errors import CascadeError, InputError
from cascade_engine.evaluation.expectation import expected_figures
from cascade_engine.inference import InferredBlock, infer_block, warnings_about
from cascade_engine.networks.base import Predictor
from cascade_engine.networks.families import open_predictor
from cascade_engine.networks.store import Model
from cascade_engine.reasons import group_reasons
from cascade_engine.signal.frames import frame_text
from cascade_engine.signal.offset import OffsetFinder
from cascade_engine.signal.steps import StepFinder
from cascade_engine.signal.units import ARBITRARY_PEAK

#: How a recording ends: its report, and the results to be written, if it has any.
_Outcome = tuple[Report, Results | None]


def process(containers: Sequence[Container], options: Options, model: Model, dry_run: bool = False) -> list[Report]:
    """Infer spikes in recordings that share a file, and write them back together.

    Parameters
    ----------
    containers : sequence of Container
        Recordings with the same `Container.job`.
    options : Options
        What the user chose.
    model : Model
        The model; its networks stay open from recording to recording.
    dry_run : bool
        Read and check everything, compute dF/F and noise levels, but predict and write nothing.

    Returns
    -------
    list of Report
        One per recording, with status "done", "skipped", "planned", or "failed" with the reason: the container is then
        as it was.
    """
    reports: list[Report] = []
    with ExitStack() as stack:
        ready: list[tuple[Container, Report, Results]] = []
        found = _read_all(containers, options)
        while found:
            container, traces = found.popleft()
            if isinstance(traces, Report):
                reports.append(traces)
                continue
            report, results = _attempt(container, traces, options, model, dry_run, stack)
            del traces  # make room
            reports.append(report)
            if results is not None:
                ready.append((container, report, results))
        if ready:
            _write(ready, options.replace_spikes)
    return reports


def _read_all(containers: Sequence[Container], options: Options) -> deque[tuple[Container, Traces | Report]]:
    """The traces of recordings that share a file, or reports on why there is nothing to do with them."""
    found: deque[tuple[Container, Traces | Report]] = deque()
    try:
        with containers[0].keep_open():
            for container in containers:
                found.append((container, _read(container, options)))
    except CascadeError as error:
        return deque((container, _failed(container, error)) for container in containers)
    return found


def _read(container: Container, options: Options) -> Traces | Report:
    try:
        if container.record() is not None and options.existing != "overwrite":
            changes = "; ".join(container.changes())
            stale = f"; they are stale: {changes}" if changes else ""
            if options.existing == "error":
                raise InputError(f"{container.path} has results already{stale}: pass --existing overwrite or skip")
            message = f"results are there already{stale}"
            return Report(path=str(container.path), kind=container.kind, status="skipped", message=message)
        if options.replace_spikes:
            container.check_replaceable()
        return container.traces(options.reading)
    except Exception as error:
        return _failed(container, error)


def _attempt(
    container: Container, traces: Traces, options: Options, model: Model, dry_run: bool, stack: ExitStack
) -> _Outcome:
    try:
        return _infer(container, traces, options, model, dry_run, stack)
    except Exception as error:
        return _failed(container, error), None


def _failed(container: Container, error: Exception) -> Report:
    message = str(error) if isinstance(error, CascadeError) else unforeseen(error, str(container.path))
    return Report(path=str(container.path), kind=container.kind, status="failed", message=message)


def _write(ready: Sequence[tuple[Container, Report, Results]], replace_spikes: bool) -> None:
    together = [(container, results) for container, _, results in ready]
    outcomes = type(ready[0][0]).write_together(together, replace_spikes)
    for (_, report, results), outcome in zip(ready, outcomes, strict=True):
        if isinstance(outcome, CascadeError):
            report.status, report.message = "failed", str(outcome)
        else:
            report.written, report.record = outcome, results.record


def _infer(
    container: Container, traces: Traces, options: Options, model: Model, dry_run: bool, stack: ExitStack
) -> _Outcome:
    chosen = _chosen_rois(container, traces, options)
    traces = with_exclusions(container, traces, options)
    predictor = open_predictor(model, traces.frame_rate, options.settings, traces.indicator)
    refuse_transposed(container, traces, predictor)
    report = report_on(container, traces, options, predictor)
    if dry_run:
        report.status = "planned"
        survey(report, container, traces, options, predictor, chosen)
        return report, None
    offsets = _checked(report, container, traces, options, chosen)
    n_rois, n_frames = traces.shape
    grid = traces.grid
    found = _Found(_RawFinders.of(traces))
    sizes = {array.name: array.shape(n_rois, n_frames) for array in schema.ARRAYS}
    spool = stack.enter_context(Spool.beside(container.scratch_folder))
    arrays = {array.name: spool.array(array.name, sizes[array.name], array.dtype) for array in schema.ARRAYS}
    with _ProgressBar(container, int(np.count_nonzero(chosen)) * grid.n_frames, options.progress) as advance:
        for block in dff_blocks(traces, options.baseline, chosen, found.raw, offsets):
            inferred = _infer_block(predictor, block, traces, n_threads=options.n_threads, progress=advance)
            produced = {**vars(inferred), **vars(block)}
            for array in schema.ARRAYS:
                arrays[array.name].append(np.asarray(produced[array.name], dtype=array.dtype))
            found.add(block, inferred)
    _conclude(report, found, predictor, traces, chosen)
    if nothing := _why_nothing(report, chosen):
        report.status, report.message = "failed", f"{container.path}: {nothing}"
        return report, None
    record = _record(report, found, predictor, traces, options, container)
    return report, Results({name: array.finish() for name, array in arrays.items()}, record)


def refuse_transposed(container: Container, traces: Traces, predictor: Predictor) -> None:
    """Raise `InputError` if there are too few frames, and so many ROIs that these may be the frames."""
    doubt = why_transposed(*traces.shape, predictor.shortest)
    if doubt:
        raise InputError(f"{container.path}: {doubt}; {container.advice_if_transposed}")


def with_exclusions(container: Container, traces: Traces, options: Options) -> Traces:
    """The traces without the frames that are left out; see `without_bad_frames`."""
    try:
        return without_bad_frames(traces, options.bad_frames, options.exclude_frames)
    except InputError as error:
        raise InputError(f"{container.path}: {error}") from None


def survey(
    report: Report, container: Container, traces: Traces, options: Options, predictor: Predictor, chosen: np.ndarray
) -> None:
    """Complete a report with all that can be known without predicting: noise, what to expect, doubts.

    Raises
    ------
    InputError
        What `process` would refuse.
    """
    offsets = _checked(report, container, traces, options, chosen)
    found = _Found(_RawFinders.of(traces))
    for block in dff_blocks(traces, options.baseline, chosen, found.raw, offsets):
        found.add(block, _infer_block(predictor, block, traces, predict=False))
    _conclude(report, found, predictor, traces, chosen)
    if nothing := _why_nothing(report, chosen):
        raise InputError(f"{container.path}: {nothing}")


def _checked(report: Report, container: Container, traces: Traces, options: Options, chosen: np.ndarray) -> np.ndarray:
    """What to subtract from dF/F of each ROI; what is no dF/F is refused."""
    try:
        offsets, remarks = check_units(traces, chosen, options.reading.rest)
    except InputError as error:
        raise InputError(f"{container.path}: {error}") from None
    report.warnings += remarks
    report.rest_offsets = {int(roi): round(float(offsets[roi]), 4) for roi in np.flatnonzero(offsets)}
    return offsets


def _infer_block(predictor: Predictor, block: DffBlock, traces: Traces, **options: Any) -> InferredBlock:
    """What is inferred from a block, for the frames that are stored."""
    grid = traces.grid
    on_grid = grid.expand(block.dff)
    inferred = infer_block(predictor, on_grid, first_neuron=block.rows.start, segments=grid.segments, **options)
    missing_part = np.isnan(block.dff).sum(axis=1) / max(1, block.dff.shape[1])
    levels = inferred.noise_levels
    if traces.arbitrary_units:  # a noise level needs dF/F
        levels = np.full_like(levels, np.nan)
    return replace(
        inferred, spike_prob=grid.collect(inferred.spike_prob), noise_levels=levels, missing_part=missing_part
    )


@dataclass
class _RawFinders:
    """What is looked for in the raw fluorescence of a recording, block by block."""

    steps: StepFinder
    offset: OffsetFinder

    @classmethod
    def of(cls, traces: Traces) -> _RawFinders:
        grid = traces.grid
        return cls(StepFinder(grid.n_frames, traces.frame_rate, grid.segments), OffsetFinder(traces.frame_rate))

    def add(self, fluorescence: np.ndarray) -> None:
        self.steps.add(fluorescence)
        self.offset.add(fluorescence)


@dataclass
class _Found:
    """What the blocks of a recording have brought to light, ROI by ROI."""

    raw: _RawFinders
    noise_levels: list[float] = field(default_factory=list)
    comparable_noise_levels: list[float] = field(default_factory=list)
    network_noise_levels: list[float] = field(default_factory=list)
    missing_part: list[float] = field(default_factory=list)
    step_correlations: list[float] = field(default_factory=list)
    guarded_frames: list[int] = field(default_factory=list)
    n_by_peak: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, block, inferred) -> None:
        self.noise_levels += inferred.noise_levels.tolist()
        self.comparable_noise_levels += (inferred.noise_levels * block.noise_factor).tolist()
        self.network_noise_levels += inferred.network_noise_levels.tolist()
        self.missing_part += inferred.missing_part.tolist()
        self.step_correlations += inferred.step_correlations.tolist()
        self.guarded_frames += block.guarded_frames.tolist()
        self.n_by_peak += np.count_nonzero(block.by_peak)
        # the earliest reason is the true one
        self.notes += [first or second for first, second in zip(block.notes, inferred.notes, strict=True)]


def report_on(container: Container, traces: Traces, options: Options, predictor: Predictor) -> Report:
    """What a recording is, before its values are looked at."""
    n_rois, n_frames = traces.shape
    levels = options.settings.noise_level
    if isinstance(levels, tuple) and len(levels) != n_rois:
        raise InputError(
            f"{container.path} has {n_rois} ROIs, but {len(levels)} noise levels are given: give one, or one per ROI"
        )
    return Report(
        path=str(container.path),
        kind=container.kind,
        traces=traces.source,
        dff="computed" if traces.dff is None else "container",
        arbitrary_units=traces.arbitrary_units,
        denoised=traces.denoised,
        n_rois=n_rois,
        n_cells=None if traces.is_cell is None else int(np.count_nonzero(traces.is_cell)),
        n_frames=n_frames,
        frame_rate_hz=traces.frame_rate,
        frame_rate_source=traces.frame_rate_source,
        duration_s=traces.grid.n_frames / traces.frame_rate,
        neuropil_coefficient=None if traces.neuropil is None else traces.neuropil_coefficient,
        neuropil=None if traces.neuropil is None else options.baseline.neuropil,
        offset=traces.offset,
        segments=traces.segments,
        excluded_frames={source: frame_text(mask) for source, mask in traces.excluded.items()},
        n_dropped=sum(max(count, 0) for count in traces.dropped.values()),
        container_indicator=traces.indicator,
        model=predictor.model.name,
        settings=predictor.settings.to_dict(),
        warnings=[*traces.remarks, *unused_options(options, container, traces, predictor)],
    )


def _conclude(report: Report, found: _Found, predictor: Predictor, traces: Traces, chosen: np.ndarray) -> None:
    levels = np.array(found.noise_levels)
    known = levels[np.isfinite(levels)]
    usable = np.array([not note for note in found.notes], dtype=bool)
    correlations = np.array(found.step_correlations)
    report.denoised = traces.denoised or bool(doubt_noise(correlations[usable]))
    if known.size:
        report.noise_level = float(np.median(known))
        report.noise_level_range = np.percentile(known, [10, 90]).tolist()
        report.comparable_noise_level = comparable = float(np.nanmedian(found.comparable_noise_levels))
        if not report.denoised:
            report.expected = expected_figures(predictor.model, traces.frame_rate, comparable, predictor.settings)
    n_frames = traces.shape[1]
    n_missing = np.rint(np.array(found.missing_part) * n_frames) - np.count_nonzero(traces.excluded_frames)
    report.warnings += warnings_about(
        predictor,
        traces.grid.n_frames,
        traces.grid.segments,
        levels,
        usable,
        n_missing / max(n_frames, 1),
        correlations,
    )
    if found.n_by_peak:
        report.warnings.append(
            f"{found.n_by_peak} of {traces.shape[0]} ROIs have no noise to be scaled by: they are denoised, or zero "
            f"between events, and were scaled so that their peak is {ARBITRARY_PEAK:g}"
        )
    offset = found.raw.offset.found()
    if offset is not None:
        report.warnings.append(
            f"F0 is mostly an offset of the detector, of up to {_rounded(offset):g} counts, as its noise tells: dF/F "
            "and the number of spikes are then too small. See what images hold without light, and pass --offset COUNTS"
        )
    step = found.raw.steps.found()
    if step is not None:
        frame = int(traces.grid.stored(step[0]))
        ends = sorted({0, frame, *np.cumsum(traces.segments or [n_frames]).tolist()})
        report.warnings.append(
            f"most ROIs become brighter or darker by {step[1]:.0%} at about frame {frame}, and stay so: if another "
            f"session begins there, pass --sessions {','.join(map(str, np.diff(ends)))}"
        )
    report.without_prediction = {roi: note for roi, note in enumerate(found.notes) if note and chosen[roi]}
    report.n_left_out = int(np.count_nonzero(~chosen))
    report.guarded_frames = {
        roi: frames for roi, frames in enumerate(found.guarded_frames) if frames and not found.notes[roi]
    }


def _why_nothing(report: Report, chosen: np.ndarray) -> str:
    """Why no ROI at all has a prediction; empty if one has."""
    n_chosen = int(np.count_nonzero(chosen))
    if len(report.without_prediction) < n_chosen:
        return ""
    reasons = [
        f"{reason} ({len(rois)} of {len(chosen)} ROIs)" for reason, rois in group_reasons(report.without_prediction)
    ]
    if n_chosen < len(chosen):
        reasons.append(f"left out by --only-cells ({len(chosen) - n_chosen} of {len(chosen)} ROIs)")
    return f"nothing predicted: {'; '.join(reasons) or 'there are no ROIs'}"


def _record(
    report: Report, found: _Found, predictor: Predictor, traces: Traces, options: Options, container: Container
) -> Record:
    model = predictor.model
    return Record(
        created=now(),
        software=software(),
        model=ModelUsed(model.name, model.family, model.fingerprint, (model.preset or {}).get("asked_for")),
        settings=predictor.settings,
        asked=options.to_dict(),
        traces=TracesUsed(
            source=traces.source,
            dff="computed" if traces.dff is None else "container",
            arbitrary_units=traces.arbitrary_units,
            denoised=traces.denoised,
            neuropil_coefficient=report.neuropil_coefficient,
            offset=traces.offset,
            baseline=asdict(options.baseline) if traces.dff is None or traces.arbitrary_units else None,
        ),
        recording=RecordingUsed(
            n_rois=traces.shape[0],
            n_frames=traces.shape[1],
            frame_rate_hz=traces.frame_rate,
            frame_rate_source=traces.frame_rate_source,
            segments=traces.segments,
            excluded_frames=report.excluded_frames,
            dropped_frames=traces.dropped,
            indicator=traces.indicator,
        ),
        input=container.fingerprint() if traces.hashes is None else traces.hashes(),
        rois=RoiFacts(
            without_prediction={roi: note for roi, note in enumerate(found.notes) if note},
            guarded_frames={roi: frames for roi, frames in enumerate(found.guarded_frames) if frames},
            rest_offsets=report.rest_offsets,
            network_noise_levels=_or_none(found.network_noise_levels),
            comparable_noise_levels=_or_none(found.comparable_noise_levels),
        ),
        expected=report.expected,
        warnings=list(report.warnings),
    )


def _rounded(value: float) -> float:
    """A number to two digits."""
    return float(f"{value:.2g}")


def _or_none(levels: Sequence[float]) -> list[float | None]:
    """JSON knows no NaN."""
    return [None if np.isnan(level) else level for level in levels]


def software() -> dict[str, str]:
    """Versions of what computes."""
    import onnxruntime

    return {
        "cascade-spikes": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
    }


def _chosen_rois(container: Container, traces: Traces, options: Options) -> np.ndarray:
    if not options.only_cells:
        return np.ones(traces.shape[0], dtype=bool)
    if traces.is_cell is None:
        raise InputError(f"{container.path} does not say which ROIs are cells: leave out --only-cells")
    return traces.is_cell


class _ProgressBar:
    """A bar over all frames of a recording, or whoever wants to know; gives what is to be called with frames done."""

    def __init__(self, container: Container, n_frames: int, shown: bool | Callable[[float], object]):
        from tqdm import tqdm

        self._tell = shown if callable(shown) else None
        hidden = not shown or self._tell is not None
        self._bar = tqdm(
            total=n_frames, disable=hidden, unit="frame", unit_scale=True, desc=container.path.name, smoothing=0.1
        )
        self._n_done, self._n_frames = 0, n_frames

    def __enter__(self) -> Callable[[int], object]:
        return self._bar.update if self._tell is None else self._count

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def _count(self, n_frames: int) -> None:
        assert self._tell is not None
        self._n_done += n_frames
        self._tell(self._n_done / max(self._n_frames, 1))
