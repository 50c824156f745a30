"""suite2p's ``Fall.mat``: what is read from it is what the plane's folder holds, and results lie beside it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from cascade_adapters.cli import main
from cascade_adapters.containers.arrays import ArrayFile
from cascade_adapters.containers.base import Reading, Rois, Selection
from cascade_adapters.containers.fall import FallFile, ProcFile
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.convert import convert
from cascade_engine.errors import InputError
from tests.builders.array_files import RATE, make_dff, save, save_mat73
from tests.builders.running import run_one
from tests.builders.sessions import assert_same_rois
from tests.builders.suite2p_folders import hashes, make_plane


def save_fall(plane: Path, path: Path, **changes) -> Path:
    """Save what suite2p saves with ``save_mat``."""
    settings = np.load(plane / "ops.npy", allow_pickle=True).item()
    content = {name: np.load(plane / f"{name}.npy") for name in ("F", "Fneu", "spks", "iscell")}
    stat = np.array([{"med": np.array([1, 2]), "ypix": np.arange(5)} for _ in content["F"]], dtype=object)
    settings = {name: str(value) if name == "date_proc" else value for name, value in settings.items()}
    content |= {"stat": stat, "ops": settings, "redcell": 0, **changes}
    savemat(path, {name: value for name, value in content.items() if value is not None})
    return path


def refused(path: Path, match: str, reading: Reading = Reading()) -> None:
    """Reading must fail with one line that names the file."""
    with pytest.raises(InputError, match=match) as caught:
        FallFile(path).read(reading)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)


def test_fall_is_the_plane(tmp_path, random_model):
    plane = make_plane(tmp_path / "plane0", n_frames=300, segments=[100, 200], neuropil_coefficient=0.5)
    path = save_fall(plane.folder, tmp_path / "Fall.mat")
    own, other = FallFile(path).read(), Suite2pPlane(plane.folder).read()
    np.testing.assert_array_equal(own.fluorescence, other.fluorescence)
    np.testing.assert_array_equal(own.neuropil, other.neuropil)
    np.testing.assert_array_equal(own.is_cell, other.is_cell)
    for name in ("neuropil_coefficient", "frame_rate", "segments", "remarks"):
        assert getattr(own, name) == getattr(other, name)
    assert own.frame_rate_source == "ops.fs in Fall.mat"
    before = hashes(tmp_path)
    for place in (path, plane.folder):
        (container,) = find_containers(place)
        run_one(container, model=str(random_model.folder))
    found, expected = FallFile(path).results(), Suite2pPlane(plane.folder).results()
    for name in ("spike_prob", "dff", "noise_levels"):
        np.testing.assert_array_equal(found.arrays[name], expected.arrays[name])
    assert found.record.container["orientation"] == "rois-first"
    main(["restore", str(tmp_path), str(path)])
    assert hashes(tmp_path) == before


def test_oddities_of_fall(tmp_path):
    plane = make_plane(tmp_path / "plane0", n_frames=160)
    path = tmp_path / "Fall.mat"
    refused(save_fall(plane.folder, path, Fneu=plane.neuropil[:-1]), r"Fneu \(5 x 160\): they must come from the same")
    refused(save_fall(plane.folder, path, Fneu="no"), "instead of ROIs x frames")
    refused(save_fall(plane.folder, path, ops={"tau": 1.0}), "no frame rate", reading=Reading())
    refused(path, "suite2p stores no dF/F", reading=Reading(dff="container"))
    settings = {"fs": 10.0, "neucoeff": -1.0, "frames_per_folder": [100, 100]}
    traces = FallFile(save_fall(plane.folder, path, ops=settings, iscell=np.ones((2, 2)))).read()
    assert traces.neuropil_coefficient == 0.7 and traces.segments is None and traces.is_cell is None
    assert [remark.split(":")[0] for remark in traces.remarks] == [
        "ops.fs in Fall.mat is 10 Hz, suite2p's default, which may never have been set",
        "ops.neucoeff is -1",
        "ops.frames_per_folder adds up to 200, not 160",
        "iscell (2 x 2) does not fit to 6 ROIs and was ignored",
    ]
    # another of its variables can be had by name
    selection = Selection(key="Fneu", orientation="rois-first", raw=True)
    (container,) = find_containers(save_fall(plane.folder, path), selection)
    assert type(container) is ArrayFile
    traces = container.read(Reading(frame_rate=RATE))
    np.testing.assert_array_equal(traces.fluorescence, plane.neuropil)


def test_fall_of_version_73(tmp_path):
    plane = make_plane(tmp_path / "plane0", n_frames=160)
    content = {"F": plane.fluorescence, "Fneu": plane.neuropil, "iscell": np.ones((6, 2)), "ops": {"fs": 30.0}}
    save_mat73(tmp_path / "Fall.mat", content)
    traces = FallFile(tmp_path / "Fall.mat").read()
    np.testing.assert_array_equal(traces.fluorescence, plane.fluorescence)
    assert traces.frame_rate == 30.0 and traces.is_cell.all()


def test_only_files_of_suite2p_are_taken(tmp_path, random_model):
    """Whatever the file is called; and results of ours stand for the file that they were made from."""
    plane = make_plane(tmp_path / "plane0", n_frames=160)
    path = save_fall(plane.folder, tmp_path / "session 1.mat")
    (container,) = find_containers(path)
    assert (type(container), container.kind, container.path) == (FallFile, "Fall.mat", path)
    report = run_one(container, model=str(random_model.folder))
    assert report.written == ["session 1_cascade.mat", "session 1_cascade.mat.json"]
    (again,) = find_containers(tmp_path / "session 1_cascade.mat")
    assert (type(again), again.path) == (FallFile, path)
    other = save(tmp_path, "mat5", make_dff(), stem="Fall")
    (container,) = find_containers(other)
    assert type(container) is ArrayFile
    assert FallFile.find(tmp_path) == []  # a folder is not searched


def test_restoring_takes_back_the_results_of_every_variable(tmp_path, random_model):
    path = save_fall(make_plane(tmp_path / "plane0", n_frames=160).folder, tmp_path / "Fall.mat")
    before = hashes(tmp_path)
    options = {"model": str(random_model.folder), "frame_rate": RATE}
    for selection in (Selection(), Selection(key="Fneu", orientation="rois-first", raw=True)):
        (container,) = find_containers(path, selection)
        run_one(container, **options)
    assert {"Fall_cascade.mat", "Fall_Fneu_cascade.mat"} < set(hashes(tmp_path))
    main(["restore", str(path)])
    assert hashes(tmp_path) == before


# --------------------------------------------------------------------------------------------------- Suite2P for MATLAB


def save_proc(path: Path, plane, sessions=(100, 200), form: str = "mat5", nested: bool = True, **changes) -> Path:
    """Save what Suite2P for MATLAB saves: a cell with a matrix for each session, an array of structs for ROIs."""

    def cell(values, ends):
        parts = [np.asarray(part) for part in np.split(values, ends, axis=1)]
        if form == "mat73":
            return parts
        found = np.empty((1, len(parts)), dtype=object)
        found[0, :] = parts
        return found

    ends, n_rois = np.cumsum(sessions)[:-1], len(plane.fluorescence)
    coefficients = changes.pop("coefficients", np.linspace(0.4, 0.9, n_rois))
    masks = changes.pop("masks", [{"ipix": np.arange(5.0)}] * n_rois)
    stat = [{"iscell": float(i != 2), "neuropilCoefficient": coefficients[i], **mask} for i, mask in enumerate(masks)]
    ops = {"imageRate": 30.0, "nplanes": 1.0, "mouse_name": "m1", **changes.pop("ops", {})}
    content = {
        "Fcell": cell(plane.fluorescence, ends),
        "FcellNeu": cell(plane.neuropil, ends),
        "ops": ops,
        "stat": stat,
    }
    content = {**content, "cl": {"iscell": np.ones((n_rois, 1))}, **changes}
    if form == "mat5":
        content["stat"] = np.array([tuple(roi.values()) for roi in stat], dtype=[(name, "O") for name in stat[0]])
    content = {"dat": content} if nested else content
    save_mat73(path, content) if form == "mat73" else savemat(path, content, do_compression=True)
    return path


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("form", ["mat5", "mat73"])
def test_files_of_suite2p_in_matlab(tmp_path, random_model, form, nested):
    plane = make_plane(tmp_path / "plane0", n_frames=300)
    path = save_proc(tmp_path / "F_m1_2015-04-29_plane1_proc.mat", plane, form=form, nested=nested)
    before = hashes(tmp_path)
    (container,) = find_containers(path)
    assert type(container) is ProcFile
    traces = container.read()
    np.testing.assert_array_equal(traces.fluorescence, plane.fluorescence)
    assert (traces.frame_rate, traces.segments, traces.shape) == (30.0, [100, 200], (6, 300))
    assert traces.is_cell.tolist() == [True, True, False, True, True, True]
    own = np.linspace(0.4, 0.9, 6)[:, np.newaxis]
    np.testing.assert_allclose(traces.neuropil_coefficient * traces.neuropil, own * plane.neuropil, rtol=1e-5)
    assert any("coefficient of its own, from 0.4 to 0.9" in text for text in traces.remarks)
    one = container.read(Reading(neuropil_coefficient=0.5, frame_rate=7.0))
    np.testing.assert_array_equal(one.neuropil, plane.neuropil)
    assert (one.neuropil_coefficient, one.frame_rate) == (0.5, 7.0)
    run_one(container, model=str(random_model.folder))
    assert container.results().spike_prob.shape == (6, 300)
    container.restore()
    assert hashes(tmp_path) == before


def test_oddities_of_suite2p_in_matlab(tmp_path):
    plane = make_plane(tmp_path / "plane0", n_frames=300)
    path = tmp_path / "F_proc.mat"

    def refused_proc(match, **changes):
        with pytest.raises(InputError, match=match):
            ProcFile(save_proc(path, plane, **changes)).read()

    refused_proc(r"imageRate is 30 Hz with 4 planes.*--frame-rate 7.5 if.*--frame-rate 30 if", ops={"nplanes": 4.0})
    refused_proc("no ops.imageRate: pass --frame-rate", ops={"imageRate": 0.0})
    traces = ProcFile(save_proc(path, plane, ops={"nplanes": 4.0, "fs": 7.5})).read()
    assert (traces.frame_rate, traces.frame_rate_source) == (7.5, "ops.fs in F_proc.mat")
    cell = np.empty((1, 1), dtype=object)
    cell[0, 0] = plane.neuropil[:-1]
    refused_proc("different shapes", sessions=(300,), FcellNeu=cell)
    traces = ProcFile(save_proc(path, plane, sessions=(300,), coefficients=np.full(6, 0.6))).read()
    assert traces.segments is None and traces.neuropil_coefficient == 0.6 and "1 session" in traces.source
    assert ["check it" in text for text in traces.remarks] == [True]
    bad = np.zeros((300, 1))
    bad[7] = 1
    traces = ProcFile(save_proc(path, plane, ops={"badframes": bad})).read()
    assert np.flatnonzero(traces.excluded_frames).tolist() == [7]
    # the early neuropil model: F without neuropil, which is negative
    negative = replace(plane, neuropil=-plane.neuropil, fluorescence=plane.fluorescence - plane.neuropil)
    traces = ProcFile(save_proc(path, negative, coefficients=np.full(6, 0.6))).read()
    np.testing.assert_allclose(traces.fluorescence, plane.fluorescence, rtol=1e-5)
    np.testing.assert_array_equal(traces.neuropil, plane.neuropil)


#: Masks in an image of 40 x 30 of which rows 4 to 33 and columns 3 to 27 were used: row, column, weight, all from 0.
MASKS = [[(4 + i, 3 + i, 0.5), (5 + i, 3 + i, 1.0), (5 + i, 4 + i, 2.0)] for i in range(6)]


def in_matlab(first: int, weights: str = "lam") -> list[dict]:
    """Those masks as ``stat`` counts them: within the used part, from 1 (or 0); ipix down the columns, from 1."""
    found = []
    for mask in MASKS:
        y, x, lam = (np.array(each, dtype=float)[:, np.newaxis] for each in zip(*mask, strict=True))
        y, x = y - 4, x - 3
        found.append({"ypix": y + first, "xpix": x + first, weights: lam, "ipix": y + 30 * x + 1})
    return found


@pytest.mark.parametrize(("form", "weights", "first"), [("mat5", "lam", 1), ("mat73", "lambda", 1), ("mat5", "lam", 0)])
def test_masks_of_suite2p_in_matlab_are_converted(tmp_path, form, weights, first):
    """Files that were made from those of suite2p in Python count from 0."""
    plane = make_plane(tmp_path / "plane0", n_frames=300)
    ops = {"yrange": np.arange(5.0, 35.0), "xrange": np.arange(4.0, 29.0), "Ly": 40.0, "Lx": 30.0}
    masks = in_matlab(first, weights)
    path = save_proc(tmp_path / "F_proc.mat", plane, form=form, ops=ops, masks=masks)
    expected = Rois(
        (40, 30),
        [np.array([place[:2] for place in mask]) for mask in MASKS],
        [np.array([place[2] for place in mask], np.float32) for mask in MASKS],
    )
    assert_same_rois(ProcFile(path).rois(), expected)
    convert(path, tmp_path / "suite2p")
    assert_same_rois(find_containers(tmp_path / "suite2p")[0].rois(), expected)
    masks[2]["ypix"] = masks[2]["ypix"] + 30
    outside = ProcFile(save_proc(path, plane, form=form, ops=ops, masks=masks))
    with pytest.raises(InputError, match=r"F_proc.mat: stat\(3\) has pixels that lie outside the image"):
        outside.rois()
    assert outside.read().shape == (6, 300)


def test_suite2p_in_matlab_without_masks(tmp_path):
    plane = make_plane(tmp_path / "plane0", n_frames=300)
    assert ProcFile(save_proc(tmp_path / "F_proc.mat", plane)).rois() is None


def test_masks_of_fall_are_converted(tmp_path):
    """suite2p in Python counts from 0, in the whole image."""
    plane = make_plane(tmp_path / "plane0", n_frames=300).folder
    stat = np.empty(6, dtype=object)
    stat[:] = [
        dict(zip(("ypix", "xpix", "lam"), (np.array(each) for each in zip(*mask, strict=True)), strict=True))
        for mask in MASKS
    ]
    path = save_fall(plane, tmp_path / "Fall.mat", stat=stat)
    expected = [np.array([place[:2] for place in mask]) for mask in MASKS]
    found = FallFile(path).rois()
    for pixels, wanted in zip(found.pixels, expected, strict=True):
        np.testing.assert_array_equal(pixels, wanted)
    convert(path, tmp_path / "a.npz")
    (converted,) = find_containers(tmp_path / "a.npz")
    assert_same_rois(converted.rois(), found)
    without = save_fall(plane, path)  # of which suite2p has stored no xpix
    assert FallFile(without).rois() is None
