"""Files of arrays: dF/F or raw fluorescence, and what is no traces."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_matrix

from cascade_adapters.containers.arrays import ArrayFile
from cascade_adapters.containers.base import Reading, Selection
from cascade_adapters.containers.registry import find_containers
from cascade_engine.errors import CascadeError, InputError
from cascade_engine.signal.dff import delta_f_over_f
from cascade_engine.signal.noise import noise_levels
from cascade_engine.signal.units import ARBITRARY_NOISE_LEVEL, ARBITRARY_UNITS
from tests.adapters.arrays.helpers import ROIS_FIRST, read, refused
from tests.builders.array_files import RATE, make_dff, path_of, save, save_mat73
from tests.builders.suite2p_folders import make_plane

# ---------------------------------------------------------------------------------------------------- dF/F or raw F


def test_raw_fluorescence_becomes_dff(tmp_path, run):
    raw = 500.0 * (1.0 + make_dff())
    path = save(tmp_path, "npy", raw)
    refused(path, "as of raw fluorescence.*pass --raw")
    for selection, options in ((Selection(orientation="rois-first", raw=True), {}), (ROIS_FIRST, {"dff": "compute"})):
        run(path, selection, existing="overwrite", **options)
        np.testing.assert_array_equal(ArrayFile(path).results().dff, delta_f_over_f(raw, RATE).dff)


def test_dff_is_not_taken_for_raw_fluorescence(tmp_path):
    raw = Selection(orientation="rois-first", raw=True)
    path = save(tmp_path, "npy", make_dff())
    refused(path, r"below zero, unlike raw fluorescence; leave out --raw", raw)
    refused(path, r"--raw and --dff container contradict", raw, Reading(frame_rate=RATE, dff="container"))
    # fluorescence that somebody has scaled to its mean is raw all the same
    scaled = read(save(tmp_path, "npy", 1.0 + 0.2 * make_dff()), raw)
    assert scaled.dff is None and scaled.fluorescence.shape == (3, 160)


def test_percent_and_z_scores_are_refused(tmp_path):
    percent = 100 * make_dff()
    path = save(tmp_path, "npy", percent)
    refused(path, r"neither dF/F .*as of raw fluorescence: pass dF/F as a fraction \(0.5 is 50 %\).*--arbitrary-units")
    refused(path, "below zero, unlike raw fluorescence", Selection(orientation="rois-first", raw=True))
    path = save(tmp_path, "npy", percent - np.median(percent, axis=1, keepdims=True))
    refused(path, "as if dF/F were in percent: divide it by 100")
    scores = make_dff() - make_dff().mean(axis=1, keepdims=True)
    path = save(tmp_path, "npy", scores / scores.std(axis=1, keepdims=True))
    refused(path, "mean 0 and the standard deviation 1, as z-scores")


@pytest.mark.parametrize("form", ["npy", "csv"])
@pytest.mark.parametrize("selection", [ROIS_FIRST, Selection(orientation="rois-first", raw=True)])
def test_arbitrary_units_are_told(tmp_path, run, form, selection):
    scores = (make_dff() - make_dff().mean(axis=1, keepdims=True)) / make_dff().std(axis=1, keepdims=True)
    path = save(tmp_path, form, scores)
    refused(path, "neither dF/F .*as z-scores.* nor raw fluorescence .*: pass --arbitrary-units", selection)
    report = run(path, selection, arbitrary_units=True)
    assert report.arbitrary_units and report.traces.endswith(", in arbitrary units")
    assert any(ARBITRARY_UNITS in warning for warning in report.warnings)
    results = ArrayFile(path, selection).results()
    assert results.record.traces.arbitrary_units and results.record.warnings == report.warnings
    np.testing.assert_allclose(noise_levels(results.dff[:], RATE), ARBITRARY_NOISE_LEVEL, rtol=1e-4)
    for scaled, given in zip(results.dff[:], scores, strict=True):
        assert np.corrcoef(scaled, given)[0, 1] > 0.999
    assert np.isnan(results.noise_levels).all() and report.noise_level is None and report.expected is None
    assert not ArrayFile(path, selection).is_stale()


def test_arbitrary_units_are_followed_where_the_numbers_could_be_dff(tmp_path, run):
    """What the user says of the units holds, whatever the numbers look like, and they are scaled."""
    path = save(tmp_path, "npy", 5 * make_dff())
    report = run(path, ROIS_FIRST, arbitrary_units=True)
    assert report.arbitrary_units and report.noise_level is None
    scaled = ArrayFile(path, ROIS_FIRST).results().dff[:]
    np.testing.assert_allclose(noise_levels(scaled, RATE), ARBITRARY_NOISE_LEVEL, rtol=1e-4)


def test_missing_and_infinite_values(tmp_path, run):
    dff = np.array(make_dff(), dtype=np.float64)
    dff[0] = np.nan
    dff[1, 80] = np.inf
    report = run(save(tmp_path, "npy", dff))
    assert set(report.without_prediction) == {0, 1}
    assert np.isfinite(ArrayFile(tmp_path / "traces.npy").results().spike_prob[2]).any()
    for worst in (np.nan, 1e300, -1e300):
        with pytest.raises(InputError, match="nothing predicted"):
            run(save(tmp_path, "npy", np.full((2, 160), worst)), existing="overwrite")


# ------------------------------------------------------------------------------------------------- what is no traces


class Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, target: Path):
        self._target = target

    def __reduce__(self):
        return Path.touch, (self._target,)


@pytest.mark.parametrize("form", ["npy", "npz"])
def test_nothing_is_unpickled(tmp_path, form):
    path, target = path_of(tmp_path, form), tmp_path / "executed"
    array = np.array([Malicious(target)], dtype=object)
    np.save(path, array, allow_pickle=True) if form == "npy" else np.savez(path, dff=array)
    refused(path, "Python objects")
    path.write_bytes(pickle.dumps(Malicious(target)))
    refused(path, "damaged")
    assert not target.exists()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 160), complex), "complex"),
        (np.zeros((3, 160), bool), "logical"),
        (np.array([["a", "b"]]), "text"),
        (np.zeros((2, 160), [("a", "f4"), ("b", "f4")]), "records"),
        (np.zeros((2, 160), "datetime64[s]"), "times"),
        (np.zeros((2, 3, 160)), "2 x 3 x 160"),
        (np.zeros((0, 160)), "empty"),
        (np.zeros((160, 0)), "empty"),
        (np.float64(3.0), "a single number"),
        (np.zeros((1, 1)), "1 x 1"),
    ],
)
@pytest.mark.parametrize("form", ["npy", "npz"])
def test_arrays_that_are_no_traces(tmp_path, form, array, message):
    path = path_of(tmp_path, form)
    np.save(path, array) if form == "npy" else np.savez(path, dff=array)
    refused(path, rf"holds no traces \(numbers, ROIs x frames or frames x ROIs\), only .*{message}")


@pytest.mark.parametrize("form", ["mat5", "mat73"])
def test_variables_of_matlab_that_are_no_traces(tmp_path, form):
    cell = [np.ones((2, 9)), "text"] if form == "mat73" else np.array([np.ones((2, 9)), "text"], dtype=object)
    others = {
        "cells": cell,
        "note": "as it was",
        "mask": np.ones((4, 5), bool),
        "phases": np.ones((4, 5), complex),
        "movie": np.ones((4, 5, 6)),
        "nothing": np.zeros((0, 4)),
        "number": 3.0,
    }
    path = save(tmp_path, form, make_dff(), **others)
    np.testing.assert_array_equal(read(path).dff, make_dff())
    for key in others:
        refused(path, f"no traces.*only {key}", Selection(key=key, orientation="rois-first"))


def test_sparse_matrices_are_refused(tmp_path):
    savemat(tmp_path / "traces.mat", {"dff": csc_matrix(np.eye(20))})
    refused(tmp_path / "traces.mat", r"dff \(20 x 20, sparse\)")
    import h5py

    save_mat73(tmp_path / "traces.mat", {"days": 1.0})
    with h5py.File(tmp_path / "traces.mat", "r+") as file:
        file.create_group("dff").attrs["MATLAB_sparse"] = np.uint64(20)
    refused(tmp_path / "traces.mat", r"dff \(sparse\)")


@pytest.mark.parametrize("form", ["mat5", "mat73"])
def test_structs_are_looked_into(tmp_path, form):
    content = {"session": {"info": {"fs": 20.0, "name": "m1"}, "soma": {"dff": make_dff()}}}
    path = path_of(tmp_path, form)
    savemat(path, content) if form == "mat5" else save_mat73(path, content)
    traces = read(path, reading=Reading())
    np.testing.assert_array_equal(traces.dff, make_dff())
    assert traces.frame_rate_source == "session.info.fs in traces.mat"
    assert traces.source.startswith("session.soma.dff, rois-first")
    assert read(path, Selection(key="session.soma.dff", orientation="rois-first")).shape == (3, 160)


def test_ground_truth_and_settings_are_named_as_such(tmp_path):
    savemat(tmp_path / "CAttached_1.mat", {"CAttached": {"fluo_mean": make_dff()}})
    refused(tmp_path / "CAttached_1.mat", "ground truth.*for training")
    plane = make_plane(tmp_path / "plane0")
    for name in ("ops", "stat", "iscell", "Fneu", "spks"):
        path = plane.folder / f"{name}.npy"
        with pytest.raises(InputError, match=rf"{name}.npy looks like a part of a suite2p folder: pass the folder"):
            find_containers(path, ROIS_FIRST)


@pytest.mark.parametrize("form", ["npy", "npz", "mat5", "csv"])
@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 700, b"PK\x03\x04" + b"0" * 50, b"\x89HDF\r\n\x1a\n", bytes(range(256))]
)
def test_files_of_something_else(tmp_path, form, content):
    path = path_of(tmp_path, form)
    path.write_bytes(content)
    refused(path, "cannot be read|is no text|holds no numbers|is no number")


def test_an_archive_with_another_ending(tmp_path):
    with (tmp_path / "traces.npy").open("wb") as file:
        np.savez(file, dff=make_dff())
    refused(tmp_path / "traces.npy", "it is an archive: rename it to .npz")
    shutil.copy(save(tmp_path, "npy", make_dff(), stem="other"), tmp_path / "traces.npz")
    refused(tmp_path / "traces.npz", "no .npz file")


@pytest.mark.parametrize("form", ["npy", "npz", "mat5", "mat73", "csv"])
def test_damaged_files_fail_in_one_line_or_not_at_all(tmp_path, form):
    path = save(tmp_path, form, make_dff(2, 80), fs=RATE, info={"fs": RATE, "name": "m1", "soma": {"area": 3.0}})
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for case in range(60):
        damaged = bytearray(content[: rng.integers(len(content))] if case % 3 == 0 else content)
        for place in rng.integers(max(1, min(len(damaged), 2000 if case % 2 else 10**9)), size=3):
            if case % 3 and damaged:
                damaged[place % len(damaged)] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            read(path)
        except CascadeError as error:
            assert path.name in str(error) and "\n" not in str(error)
        assert path.read_bytes() == damaged
