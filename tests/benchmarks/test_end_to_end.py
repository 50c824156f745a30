"""Movies with known spikes: their light is that of the spikes, and ROIs find the cells that they show."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.accuracy import end_to_end
from benchmarks.accuracy.end_to_end import FRAME_RATE, GAIN, Kinetics, make_movie, matched
from tests.builders.suite2p_folders import make_plane, save_settings


@pytest.mark.parametrize(
    "kinetics", [Kinetics(0.2, 0.0, 0.25), Kinetics(0.3, 0.15, 1.0), Kinetics(0.2, 0.04, 0.5, 1.6)]
)
def test_one_spike_peaks_at_the_amplitude(kinetics):
    one, two = (kinetics.dff(np.full(n, 2.0), 300) for n in (1, 2))
    assert not one[:60].any() and one.max() == pytest.approx(kinetics.amplitude, rel=0.02)
    assert two.max() == pytest.approx(2**kinetics.exponent * one.max())
    fallen = one[60 + round(5 * kinetics.decay_s * FRAME_RATE)]
    assert fallen == pytest.approx(0.0, abs=0.03 * kinetics.amplitude)


def test_the_light_of_a_cell_follows_its_spikes(monkeypatch):
    for name, value in {"DURATION_S": 20.0, "N_CELLS": 3, "SIZE": 48, "MOVEMENT": 0.0, "RATE_HZ": 1.0}.items():
        monkeypatch.setattr(end_to_end, name, value)
    kinetics = Kinetics(1.0, 0.0, 0.3)
    movie = make_movie(kinetics, np.random.default_rng(0))
    assert movie.frames.shape == (600, 48, 48) and movie.counts.shape == (3, 600) and movie.counts.sum() > 10
    for mask, counts in zip(movie.masks, movie.counts, strict=True):
        assert mask.sum() == pytest.approx(np.pi * end_to_end.RADIUS**2, rel=0.1)
        light = movie.frames[:, mask].mean(axis=1) / GAIN
        expected = kinetics.dff(np.repeat(np.arange(600), counts.astype(int)) / FRAME_RATE, 600)
        assert np.corrcoef(light, expected)[0, 1] > 0.9


def test_every_roi_finds_the_cell_that_it_shows(tmp_path):
    size = end_to_end.SIZE
    masks = np.zeros((3, size, size), bool)
    masks[0, 10:20, 10:20], masks[1, 10:20, 22:32], masks[2, 50:60, 50:60] = True, True, True
    plane = make_plane(tmp_path / "plane0", n_rois=3, n_frames=100)
    y, x = np.mgrid[10:20, 21:31]  # cell 1, one pixel off; cell 0 with a half of it missing; nothing
    boxes = [(y, x), np.mgrid[10:15, 10:20], np.mgrid[70:80, 70:80]]
    stat = [{"ypix": y.ravel(), "xpix": x.ravel(), "lam": np.ones(y.size), "med": (0, 0)} for y, x in boxes]
    save_settings(plane.folder / "stat.npy", stat)
    found = list(matched(plane.folder, masks))
    assert [(roi, cell) for roi, cell, _ in found] == [(0, 1), (1, 0)]
    assert [overlap for _, _, overlap in found] == pytest.approx([90 / 110, 0.5])
