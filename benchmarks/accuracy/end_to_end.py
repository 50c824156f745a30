"""From a movie to spikes: movies with known spikes, the real suite2p, then `cascade run` on its folder.

    python -m benchmarks.accuracy.end_to_end [MOVIE ...]    # makes and analyses movies, a few minutes each
    python -m benchmarks.accuracy.end_to_end --summary      # prints what was measured; --write puts it into docs/

needs suite2p 1.0 or newer. Each movie has cells of one kind of kinetics, in neuropil that fluctuates and leaks into
them, with movement and shot noise. suite2p registers it, finds the ROIs, and deconvolves with the true decay time,
which favours it. ROIs are matched to true cells by their overlap; those of no cell are left out. Compared are

suite2p    its own ``spks``, in arbitrary units
changes    ours, only the changes of the neuropil subtracted
full       ours, with ``--neuropil full``: F - r Fneu

by the correlation with the true spikes, all smoothed by 50 or by 200 ms, and by the number of spikes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import cascade_adapters
from benchmarks import tables
from benchmarks.accuracy.document import ACCURACY, write_documents
from benchmarks.accuracy.leave_one_out import prepare_torchvision
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_engine.ground_truth.resampling import count_spikes
from cascade_engine.ground_truth.simulation import simulate_spikes
from cascade_engine.signal.kernels import smooth_spikes

STUDY = "end_to_end"
FRAME_RATE, DURATION_S, SIZE = 30.0, 180.0, 96

#: Widths (s) of the smoothing at which spikes are compared; the first is what ours are predicted with.
SMOOTHINGS_S = (0.05, 0.2)

#: Cells of a movie, their radius in pixels, and their mean rate (Hz): its median, and the s.d. of its log.
N_CELLS, RADIUS, RATE_HZ, RATE_SPREAD = 12, 5.0, 0.5, 0.6

#: Light per pixel and frame, in photons: of a resting cell (spread as the rate's), of the neuropil, of the rest.
CELL_LIGHT, CELL_SPREAD, NEUROPIL_LIGHT, DARK_LIGHT = 8.0, 0.3, 8.0, 2.0

#: Part of the neuropil's light that is in a cell, and its changes: s.d. as a part of it, and their length (s) and
#: width (pixels).
CONTAMINATION, NEUROPIL_CHANGES, CHANGES_S, CHANGES_WIDTH = 0.7, 0.1, 0.5, 20.0

#: Movement: s.d. in pixels, and length in s.
MOVEMENT, MOVEMENT_S = 1.0, 1.0

#: The camera's values per photon, and the s.d. of its own noise.
GAIN, READ_NOISE = 20.0, 10.0

#: A ROI is a cell if it shares this part of their pixels taken together.
LEAST_OVERLAP = 0.3


@dataclass(frozen=True)
class Kinetics:
    """How cells of a movie turn spikes into light.

    Attributes
    ----------
    amplitude : float
        dF/F (fraction) at the peak of one spike.
    rise_s, decay_s : float
        Time constants in s; without rise the kernel is a single exponential.
    exponent : float
        dF/F grows with this power of the calcium; above 1 a second spike adds more than the first.
    """

    amplitude: float
    rise_s: float
    decay_s: float
    exponent: float = 1.0

    def dff(self, spike_times_s: np.ndarray, n_frames: int) -> np.ndarray:
        """Noiseless dF/F at the frames, shape (n_frames,)."""
        time_s = np.arange(n_frames) / FRAME_RATE
        calcium, peak = np.zeros(n_frames), 1.0
        if self.rise_s:
            at = self.rise_s * np.log1p(self.decay_s / self.rise_s)
            peak = (1 - np.exp(-at / self.rise_s)) * np.exp(-at / self.decay_s)
        for spike_s in spike_times_s:
            since = time_s[time_s >= spike_s] - spike_s
            rise = 1 - np.exp(-since / self.rise_s) if self.rise_s else 1.0
            calcium[n_frames - len(since) :] += rise * np.exp(-since / self.decay_s) / peak
        return self.amplitude * calcium**self.exponent


MOVIES = {
    "fast": Kinetics(0.2, 0.0, 0.25),
    "medium": Kinetics(0.2, 0.04, 0.5, 1.2),
    "slow": Kinetics(0.25, 0.0, 1.0),
    "slow rise, supralinear": Kinetics(0.2, 0.15, 1.0, 1.6),
}


@dataclass(frozen=True)
class CellScore:
    """How well the spikes of one cell were found.

    Attributes
    ----------
    method, condition, dataset, cell : str
        Who found them, the smoothing, the movie, the number of the cell.
    overlap : float
        Part of the pixels of ROI and cell that they share.
    noise_level : float
        In percent per sqrt(Hz), in the dF/F with the neuropil's changes subtracted.
    correlation : float
        With the true spikes.
    count : float
        Predicted over true spikes; NaN in arbitrary units.
    """

    method: str
    condition: str
    dataset: str
    cell: str
    overlap: float
    noise_level: float
    correlation: float
    count: float


@dataclass(frozen=True)
class Movie:
    """A movie and what is true of it.

    Attributes
    ----------
    frames : array, shape (n_frames, SIZE, SIZE), int16
        Values of the camera.
    masks : array of bool, shape (n_cells, SIZE, SIZE)
        Pixels of the cells.
    counts : array, shape (n_cells, n_frames)
        Spikes per frame.
    """

    frames: np.ndarray
    masks: np.ndarray
    counts: np.ndarray


def make_movie(kinetics: Kinetics, rng: np.random.Generator) -> Movie:
    """Simulate a movie."""
    n_frames = round(DURATION_S * FRAME_RATE)
    masks = _masks(rng)
    rates_hz = RATE_HZ * np.exp(RATE_SPREAD * rng.standard_normal(len(masks)))
    spikes = [simulate_spikes(DURATION_S, rate_hz, 0.5, rng) for rate_hz in rates_hz]
    dff = np.stack([kinetics.dff(times_s, n_frames) for times_s in spikes])
    resting = CELL_LIGHT * np.exp(CELL_SPREAD * rng.standard_normal(len(masks)))
    light = resting[:, np.newaxis] * (1.0 + dff)

    # what the neuropil does differs from place to place, within a distance
    maps = _wandering(rng, (6, SIZE, SIZE), CHANGES_WIDTH, axes=(1, 2))
    changes = NEUROPIL_CHANGES * _wandering(rng, (6, n_frames), CHANGES_S * FRAME_RATE, axes=(1,)) / np.sqrt(6)
    leak = np.where(masks.any(axis=0), CONTAMINATION, 1.0)
    moves = np.rint(MOVEMENT * _wandering(rng, (n_frames, 2), MOVEMENT_S * FRAME_RATE, axes=(0,))).astype(int)
    frames = np.empty((n_frames, SIZE, SIZE), np.int16)
    for i in range(n_frames):
        neuropil = NEUROPIL_LIGHT * leak * (1.0 + np.tensordot(changes[:, i], maps, 1))
        photons = DARK_LIGHT + np.maximum(neuropil, 0.0) + np.tensordot(light[:, i], masks, 1)
        seen = GAIN * rng.poisson(np.roll(photons, moves[i], (0, 1)))
        frames[i] = seen + READ_NOISE * rng.standard_normal((SIZE, SIZE))
    counts = np.stack([count_spikes(times_s, 0.0, FRAME_RATE, n_frames) for times_s in spikes])
    return Movie(frames, masks, counts)


def _masks(rng: np.random.Generator) -> np.ndarray:
    """Round cells that do not touch."""
    y, x = np.mgrid[:SIZE, :SIZE]
    centres: list[np.ndarray] = []
    while len(centres) < N_CELLS:
        centre = rng.uniform(2 * RADIUS, SIZE - 2 * RADIUS, 2)
        if all(np.hypot(*(centre - other)) > 3 * RADIUS for other in centres):
            centres.append(centre)
    return np.stack([np.hypot(y - centre[0], x - centre[1]) < RADIUS for centre in centres])


def _wandering(rng: np.random.Generator, shape: tuple[int, ...], width: float, axes: tuple[int, ...]) -> np.ndarray:
    """Noise of unit variance, smooth along some axes."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(rng.standard_normal(shape), width, axes=axes)
    return smooth / smooth.std(axis=axes, keepdims=True)


def run_suite2p(movie: Movie, decay_s: float, folder: Path) -> Path:
    """Analyse a movie with suite2p; the folder of its plane."""
    import tifffile

    prepare_torchvision()
    import suite2p

    (folder / "raw").mkdir()
    tifffile.imwrite(folder / "raw" / "movie.tif", movie.frames)
    db = {"data_path": [str(folder / "raw")], "save_path0": str(folder), "nplanes": 1, "nchannels": 1}
    settings = suite2p.default_settings()
    settings.update(fs=FRAME_RATE, tau=decay_s, torch_device="cpu", diameter=[2 * RADIUS, 2 * RADIUS])
    settings["registration"] |= {"block_size": (64, 64), "nonrigid": False}  # its blocks are made for larger movies
    suite2p.run_s2p(db, settings)
    return folder / "suite2p" / "plane0"


def matched(plane: Path, masks: np.ndarray) -> Iterator[tuple[int, int, float]]:
    """ROI and cell of each pair, and how much they overlap; the best pairs first, each used once."""
    rois = Suite2pPlane(plane).rois()
    assert rois is not None
    found = np.zeros((len(rois.pixels), SIZE, SIZE), bool)
    for roi, pixels in zip(found, rois.pixels, strict=True):
        roi[pixels[:, 0], pixels[:, 1]] = True
    found, cells = found.reshape(len(found), -1).astype(float), masks.reshape(len(masks), -1).astype(float)
    shared = found @ cells.T
    overlap = shared / (found.sum(axis=1)[:, np.newaxis] + cells.sum(axis=1) - shared)
    while overlap.max() >= LEAST_OVERLAP:
        roi, cell = np.unravel_index(overlap.argmax(), overlap.shape)
        yield int(roi), int(cell), float(overlap[roi, cell])
        overlap[roi], overlap[:, cell] = 0.0, 0.0


def analyse(name: str, folder: Path) -> list[CellScore]:
    """Make a movie, analyse it, and score all methods."""
    movie = make_movie(MOVIES[name], np.random.default_rng(list(MOVIES).index(name)))
    plane = run_suite2p(movie, MOVIES[name].decay_s, folder)
    predicted = {"suite2p": np.load(plane / "spks.npy")}
    noise_levels = {}
    for method in ("changes", "full"):
        (done,) = cascade_adapters.run(
            plane, neuropil=method, smoothing=SMOOTHINGS_S[0], kernel="gaussian", existing="overwrite"
        )
        # the next run replaces these files
        predicted[method], noise_levels[method] = done.results.spike_prob[:].copy(), done.results.noise_levels[:].copy()
    scores = []
    for roi, cell, overlap in matched(plane, movie.masks):
        for method, values in predicted.items():
            known = np.isfinite(values[roi])
            already_s = 0.0 if method == "suite2p" else SMOOTHINGS_S[0]
            count = np.nan if method == "suite2p" else values[roi, known].sum() / movie.counts[cell, known].sum()
            for smoothing_s in SMOOTHINGS_S:
                ours = np.where(known, values[roi], 0.0)
                width_s = np.sqrt(smoothing_s**2 - already_s**2)
                ours = smooth_spikes(ours, FRAME_RATE, width_s) if width_s else ours
                truth = smooth_spikes(movie.counts[cell], FRAME_RATE, smoothing_s)
                scores.append(
                    CellScore(
                        method,
                        f"{1000 * smoothing_s:g}ms",
                        name,
                        str(cell),
                        overlap,
                        float(noise_levels["changes"][roi]),
                        float(np.corrcoef(ours[known], truth[known])[0, 1]),
                        float(count),
                    )
                )
    return scores


def summary() -> str:
    """A table of medians over the cells of each movie, in Markdown."""
    rows = tables.read_as(CellScore, STUDY)
    methods, labels, movies = (
        list(dict.fromkeys(getattr(row, column) for row in rows)) for column in ("method", "condition", "dataset")
    )
    ours = [method for method in methods if method != "suite2p"]
    headings = [f"correlation at {label}: {' / '.join(methods)}" for label in labels]
    headings = ["movie", "cells found", "noise level", *headings, f"count: {' / '.join(ours)}"]
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for name in movies:
        chosen = [row for row in rows if row.dataset == name]
        n_found, noise = len({row.cell for row in chosen}), np.median([row.noise_level for row in chosen])
        figures = [
            " / ".join(f"{_median(chosen, method, label, 'correlation'):.3f}" for method in methods) for label in labels
        ]
        counts = " / ".join(f"{_median(chosen, method, labels[0], 'count'):.2f}" for method in ours)
        lines.append(f"| {' | '.join([name, f'{n_found} of {N_CELLS}', f'{noise:.1f}', *figures, counts])} |")
    return "\n".join(lines)


def _median(rows: Sequence[CellScore], method: str, condition: str, column: str) -> float:
    return float(
        np.median([getattr(row, column) for row in rows if (row.method, row.condition) == (method, condition)])
    )


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("movies", nargs="*", metavar="MOVIE", help=f"of {', '.join(MOVIES)} [default: all]")
    parser.add_argument("--summary", action="store_true", help="print what was measured, measure nothing")
    parser.add_argument("--write", action="store_true", help="put the table into docs/")
    arguments = parser.parse_args()
    if unknown := set(arguments.movies) - set(MOVIES):
        parser.error(f"there is no movie {', '.join(unknown)}")
    for name in [] if arguments.summary else arguments.movies or MOVIES:
        with TemporaryDirectory() as folder:
            tables.merge(STUDY, map(asdict, analyse(name, Path(folder))))
    print(summary())
    if arguments.write:
        write_documents({ACCURACY: {"end-to-end": summary()}})


if __name__ == "__main__":
    main()
