"""Frames of a recording that are left out: marked by the pipeline, named by the user, or found in the traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cascade_adapters.containers.base import Traces
from cascade_adapters.results.record import NAMED_FRAMES
from cascade_engine.errors import InputError
from cascade_engine.signal.artefacts import FEWEST_ROIS, find_artefacts
from cascade_engine.signal.frames import frame_mask, frame_ranges, frame_text

#: What `--bad-frames` can be: marked and found ones are left out, only the former, or none.
BAD_FRAMES = ("all", "marked", "none")

#: ROIs in which artefacts are looked for, fewer in very long recordings, so that so many values are in memory.
_MOST_ROIS, _LEAST_ROIS, _SAMPLED_VALUES = 64, 8, 8_000_000

#: Part of the frames from which on it is pointed out how many are left out.
_MANY = 0.05


def as_frames(given: str | Sequence[int] | Sequence[bool]) -> str:
    """Frames that the user names, as text.

    Parameters
    ----------
    given : str or sequence
        A text as of `frame_ranges`, the path of a ``.npy`` or ``.txt`` file, a list of frames or a mask.

    Returns
    -------
    str
        The text, or the path.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if isinstance(given, str):
        _frames_in(given)
        return given
    values = _numbers(np.asarray(given))
    return frame_text(values) if values.dtype == bool else ",".join(map(str, values.tolist()))


def without_bad_frames(traces: Traces, bad_frames: str = "all", given: str | Sequence[int] | None = None) -> Traces:
    """The same traces, with all frames that are left out and a remark where they are many.

    Parameters
    ----------
    traces : Traces
        As read; `Traces.excluded` holds what the pipeline has marked.
    bad_frames : {"all", "marked", "none"}
        Whether frames that the pipeline has marked, and those that cannot be fluorescence, are left out.
    given : str or sequence, optional
        Frames that the user names; see `as_frames`.

    Returns
    -------
    Traces
        `Traces.excluded` then holds the frames of each source.

    Raises
    ------
    InputError
        If the user names frames that there are not, or no frame is left.
    """
    n_frames = traces.shape[1]
    excluded = {} if bad_frames == "none" else dict(traces.excluded)
    if given is not None:
        excluded[NAMED_FRAMES] = _given_frames(as_frames(given), n_frames)
    found = _found_frames(replace(traces, excluded=excluded)) if bad_frames == "all" else {}
    remarks = list(traces.remarks)
    for source, mask in {**excluded, **found}.items():
        if source != NAMED_FRAMES and mask.mean() > _MANY:
            keep = "marked" if source in found else "none"
            remarks.append(
                f"{mask.mean():.0%} of the frames are left out, {source}: look at some of them, and pass --bad-frames "
                f"{keep} if they are good"
            )
    excluded = {source: mask for source, mask in {**excluded, **found}.items() if mask.any()}
    traces = replace(traces, excluded=excluded, remarks=remarks)
    if n_frames and traces.excluded_frames.all():
        raise InputError(f"no frame is left of {n_frames}: {', '.join(excluded)}")
    return traces


def _given_frames(given: str, n_frames: int) -> np.ndarray:
    named = _frames_in(given)
    try:
        if isinstance(named, str):
            return frame_mask(named, n_frames)
        if named.dtype == bool or (len(named) == n_frames and np.isin(named, (0, 1)).all()):
            if len(named) != n_frames:
                raise InputError(f"it is a mask of {len(named)} frames, but the recording has {n_frames}")
            return named.astype(bool)
        return frame_mask(",".join(map(str, named.tolist())), n_frames)
    except InputError as error:
        raise InputError(f"--exclude-frames {_shown(given)}: {error}") from None


def _frames_in(given: str) -> str | np.ndarray:
    """What is given: a text that names frames, or the numbers or the mask in a ``.npy`` file."""
    path = Path(given)
    try:
        if path.suffix.lower() == ".npy":
            return _numbers(np.load(path, allow_pickle=False))
        text = path.read_text(encoding="utf-8") if path.suffix.lower() == ".txt" else given
        frame_ranges(text)
        return text
    except InputError as error:
        reason = str(error)
    except (OSError, ValueError, EOFError) as error:
        reason = f"it cannot be read: {' '.join(str(error).split())}"
    raise InputError(f"--exclude-frames {_shown(given)}: {reason}")


def _numbers(values: np.ndarray) -> np.ndarray:
    """A mask or whole numbers, with one axis."""
    if values.dtype.kind not in "biuf" or values.size != max(values.shape, default=0):
        raise InputError(f"a mask or a list of frames is needed, not {values.dtype} of shape {values.shape}")
    values = values.ravel()
    if values.dtype == bool:
        return values
    if not (np.isfinite(values) & (values >= 0) & (values % 1 == 0)).all():
        raise InputError("frames are whole numbers, counted from 0")
    return values.astype(np.int64)


def _shown(given: str) -> str:
    return given if len(given) <= 80 else given[:80] + " ..."


def _found_frames(traces: Traces) -> dict[str, np.ndarray]:
    """Artefacts in some ROIs, spread over all; each is read once and in order, as hashes of what is read need it."""
    values = traces.fluorescence if traces.dff is None else traces.dff
    assert values is not None
    n_rois, n_frames = traces.shape
    rois = np.arange(n_rois)
    if traces.is_cell is not None and np.count_nonzero(traces.is_cell) >= FEWEST_ROIS:
        rois = np.flatnonzero(traces.is_cell)
    n_sampled = min(len(rois), max(_LEAST_ROIS, min(_MOST_ROIS, _SAMPLED_VALUES // max(n_frames, 1))))
    sampled = rois[np.linspace(0, len(rois) - 1, n_sampled).astype(int)].tolist()
    present = ~traces.excluded_frames
    sample = np.empty((n_sampled, np.count_nonzero(present)), dtype=np.result_type(values.dtype, np.float32))
    for place, roi in enumerate(sampled):
        sample[place] = np.asarray(values[roi : roi + 1])[0, present]
    segments = [int(np.count_nonzero(part)) for part in np.split(present, np.cumsum(traces.segments or [])[:-1])]
    found = {}
    for source, mask in find_artefacts(sample, traces.frame_rate, segments).items():
        found[source] = np.zeros(n_frames, dtype=bool)
        found[source][present] = mask
    return found
