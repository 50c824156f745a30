"""What a page shows of the stored results, in one pass over blocks of ROIs: memory stays bounded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cascade_adapters.pages.packing import BYTE, WORD, in_bins, pack, range_of
from cascade_adapters.results import Results
from cascade_adapters.results.rows import row_blocks
from cascade_engine.checks import doubt_noise
from cascade_engine.signal.smoothness import step_correlations

#: Most bytes of all traces on a page, before base64 makes four of three; less than two thirds are for the bins.
MOST_BYTES, MOST_BYTES_OF_BINS = 3_150_000, 2_400_000

#: Most bins of time, and most frames of one ROI that are shown in full.
MOST_BINS, MOST_DETAIL_FRAMES = 600, 120_000


@dataclass(frozen=True)
class Detail:
    """All frames of one ROI, or of a part of the recording.

    Attributes
    ----------
    start : int
        First frame of the grid.
    dff, spike_prob : array, shape (n_frames,)
        As they are stored; NaN for dropped frames.
    """

    start: int
    dff: np.ndarray
    spike_prob: np.ndarray


@dataclass(frozen=True)
class Summary:
    """Results of a recording in bins of time, on an even grid of frames.

    Attributes
    ----------
    frames_per_bin : int
        Frames of the grid in each bin.
    packed : list of bytes
        Per ROI: lowest dF/F, highest dF/F and highest expected spikes per frame of each bin, one byte each.
    ranges : array, shape (n_rois, 3)
        Lowest and highest dF/F and highest expected spikes per frame of each ROI.
    mean_prob : array, shape (n_rois,)
        Mean expected spikes per frame; NaN without a prediction.
    population : array, shape (n_bins,)
        Mean expected spikes per frame over all frames and ROIs of a bin.
    missing : array, shape (n_bins,)
        Part of the values of predicted ROIs that have no dF/F, from 0 to 1.
    unpredicted : array, shape (n_bins,)
        Part of the values of predicted ROIs that have no prediction.
    smoothed : str
        Why these traces are taken for smoothed; empty if they are not.
    """

    frames_per_bin: int
    packed: list[bytes]
    ranges: np.ndarray
    mean_prob: np.ndarray
    population: np.ndarray
    missing: np.ndarray
    unpredicted: np.ndarray
    smoothed: str


def summarize(results: Results) -> Summary:
    """Go through the results once, some ROIs at a time."""
    n_rois = results.shape[0]
    grid = results.record.recording.grid
    n_bins = max(1, min(MOST_BINS, grid.n_frames, MOST_BYTES_OF_BINS // (3 * max(n_rois, 1))))
    size = max(1, -(-grid.n_frames // n_bins))
    n_bins = -(-grid.n_frames // size)
    packed: list[bytes] = []
    ranges, means, correlations = [np.empty((0, 3))], [np.empty(0)], [np.empty(0)]
    total, known, without, n_usable = np.zeros(n_bins), np.zeros(n_bins), np.zeros(n_bins), 0
    frames = np.isfinite(in_bins(np.zeros((1, grid.n_frames)), size)).sum(axis=2)[0]
    for rows in row_blocks(n_rois, grid.n_frames):
        stored_prob, stored_dff = (np.asarray(values[rows]) for values in (results.spike_prob, results.dff))
        usable = np.isfinite(stored_prob).any(axis=1)
        prob, dff = grid.expand(stored_prob), grid.expand(stored_dff)
        correlations.append(step_correlations(dff[usable], grid.segments))
        prob_bins, dff_bins = in_bins(prob, size), in_bins(dff, size)
        lowest, highest, peaks = (
            np.fmin.reduce(dff_bins, axis=2),
            np.fmax.reduce(dff_bins, axis=2),
            np.fmax.reduce(prob_bins, axis=2),
        )
        for low, high, peak in zip(lowest, highest, peaks, strict=True):
            bottom, top, most = range_of(low)[0], range_of(high)[1], range_of(peak)[1]
            parts = pack(low, bottom, top, BYTE, -1), pack(high, bottom, top, BYTE, 1), pack(peak, 0.0, most, BYTE, 1)
            packed.append(b"".join(part.numbers.tobytes() for part in parts))
            ranges.append(np.array([[bottom, top, most]]))
        is_known = np.isfinite(prob_bins)
        counts = is_known.sum(axis=(1, 2))
        with np.errstate(invalid="ignore"):
            means.append(np.where(is_known, prob_bins, 0.0).sum(axis=(1, 2), dtype=np.float64) / counts)
        total += np.where(is_known, prob_bins, 0.0).sum(axis=(0, 2), dtype=np.float64)
        known += is_known.sum(axis=(0, 2))
        without += np.isfinite(dff_bins[usable]).sum(axis=(0, 2))
        n_usable += int(np.count_nonzero(usable))
    expected = np.maximum(n_usable * frames, 1)
    with np.errstate(invalid="ignore"):
        population = total / known
    return Summary(
        frames_per_bin=size,
        packed=packed,
        ranges=np.concatenate(ranges),
        mean_prob=np.concatenate(means),
        population=population,
        missing=1.0 - without / expected,
        unpredicted=1.0 - known / expected,
        smoothed=doubt_noise(np.concatenate(correlations)),
    )


def most_details(n_rois: int, n_frames: int, bytes_of_bins: int) -> int:
    """How many ROIs can be shown in full, at least three."""
    per_roi = 4 * min(n_frames, MOST_DETAIL_FRAMES)
    return max(3, min(n_rois, (MOST_BYTES - bytes_of_bins) // max(per_roi, 1)))


def detail(results: Results, roi: int) -> Detail:
    """All frames of one ROI; of a very long recording, the part in which it is most active."""
    grid = results.record.recording.grid
    dff, prob = (grid.expand(np.asarray(values[roi : roi + 1]))[0] for values in (results.dff, results.spike_prob))
    start = 0
    if len(prob) > MOST_DETAIL_FRAMES:
        start = busiest(prob, MOST_DETAIL_FRAMES)
    part = slice(start, start + MOST_DETAIL_FRAMES)
    return Detail(start, dff[part], prob[part])


def busiest(spike_prob: np.ndarray, n_frames: int) -> int:
    """First frame of the stretch of `n_frames` with the most expected spikes."""
    sums = np.concatenate([[0.0], np.cumsum(np.nan_to_num(spike_prob.astype(np.float64)))])
    if len(spike_prob) <= n_frames:
        return 0
    return int(np.argmax(sums[n_frames:] - sums[:-n_frames]))


def pack_detail(values: np.ndarray, from_zero: bool = False) -> tuple[bytes, list[float]]:
    """A trace as numbers of two bytes, with the range that they stand for."""
    low, high = range_of(values)
    packed = pack(values, min(low, 0.0) if from_zero else low, high, WORD)
    return packed.numbers.tobytes(), [packed.low, packed.high]
