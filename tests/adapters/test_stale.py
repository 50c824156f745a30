"""Results are stale when a run with the same options would read something else; what has changed is said."""

import numpy as np
import pytest
from scipy.io import loadmat, savemat

import cascade_adapters
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.convert import convert, read_metadata
from cascade_engine.errors import InputError
from tests.adapters.test_fall import save_fall
from tests.builders import array_files, caiman_files
from tests.builders.running import inspect_one
from tests.builders.suite2p_folders import change_settings, make_plane

pytestmark = pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")

N_FRAMES = 300

MASK = np.arange(N_FRAMES) // 5 == 10


def cells(folder, *rois):
    np.save(folder / "iscell.npy", np.isin(np.arange(6), rois)[:, np.newaxis].astype(float))


#: What is changed in a plane's folder, options of the run, and what is said.
CHANGES = {
    "marks": (lambda folder: change_settings(folder, badframes=MASK), {}, "5 more frames are marked as bad"),
    "marks, not heeded": (lambda folder: change_settings(folder, badframes=MASK), {"bad_frames": "none"}, ""),
    "marks, named before": (lambda folder: change_settings(folder, badframes=MASK), {"exclude_frames": "50-54"}, ""),
    "frame rate": (lambda folder: change_settings(folder, fs=15.0), {}, "the frame rate was 30 Hz, and is 15 Hz now"),
    "frame rate, given": (lambda folder: change_settings(folder, fs=15.0), {"frame_rate": 30.0}, ""),
    "segments": (
        lambda folder: change_settings(folder, frames_per_folder=[100, 200]), {},
        "there were 1 segments, of 300 frames, and now 100, 200",
    ),
    "segments, given": (
        lambda folder: change_settings(folder, frames_per_folder=[100, 200]), {"sessions": (150, 150)}, "",
    ),
    "coefficient": (
        lambda folder: change_settings(folder, neucoeff=0.5), {},
        "the neuropil coefficient was 0.7, and is 0.5 now",
    ),
    "coefficient, given": (lambda folder: change_settings(folder, neucoeff=0.5), {"neuropil_coefficient": 0.6}, ""),
    "cells": (lambda folder: cells(folder, 0, 1, 2), {"only_cells": True}, "3 of 6 ROIs have become cells"),
    "cells, all used": (lambda folder: cells(folder, 0, 1, 2), {}, ""),
    "what nobody reads": (lambda folder: change_settings(folder, tau=3.0), {}, ""),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_what_a_run_heeds(case, tmp_path, random_model):
    change, options, said = CHANGES[case]
    plane = make_plane(tmp_path / "plane0", n_frames=N_FRAMES)
    options = {**options, "model": str(random_model.folder)}
    container = Suite2pPlane(plane.folder)
    cascade_adapters.run(plane.folder, **options)
    assert container.changes() == []
    change(plane.folder)
    if not said:
        assert container.changes() == [] and not container.is_stale()
        assert inspect_one(container, model=options["model"]).earlier_results.endswith("up to date")
        return
    (found,) = container.changes()
    assert found.startswith(said) and container.is_stale()
    assert inspect_one(container, model=options["model"]).earlier_results.endswith(f"stale ({found})")
    with pytest.raises(InputError, match="has results already; they are stale: ") as error:
        cascade_adapters.run(plane.folder, **options)
    assert found in str(error.value)
    cascade_adapters.run(plane.folder, existing="overwrite", **options)
    assert container.changes() == []


def test_marks_that_are_gone(tmp_path, random_model):
    plane = make_plane(tmp_path / "plane0", n_frames=N_FRAMES)
    change_settings(plane.folder, badframes=MASK)
    cascade_adapters.run(plane.folder, model=str(random_model.folder))
    change_settings(plane.folder, badframes=np.roll(MASK, 2))
    assert Suite2pPlane(plane.folder).changes() == [
        "2 more frames are marked as bad and 2 frames are not marked as bad any more"
    ]


def test_other_containers(tmp_path, random_model):
    options = {"model": str(random_model.folder)}
    fall = save_fall(make_plane(tmp_path / "plane0", n_frames=N_FRAMES).folder, tmp_path / "Fall.mat")
    caiman = caiman_files.make_file(tmp_path / "a.hdf5")
    array = array_files.save(tmp_path, "npz", array_files.make_dff(), fs=30.0)
    for where, more in ((fall, {}), (caiman, {}), (array, {"orientation": "rois-first"})):
        (done,) = cascade_adapters.run(where, **options, **more)
        assert done.container.changes() == []
    import h5py

    with h5py.File(caiman, "r+") as file:
        file["params/data/fr"][()] = 12.0
    (found,) = cascade_adapters.find(caiman)
    assert found.changes() == ["the frame rate was 20 Hz, and is 12 Hz now"]
    # a file that cannot be read without further options is only compared by its hash
    (found,) = cascade_adapters.find(array)
    assert not found.is_stale()
    content = {name: value for name, value in loadmat(fall).items() if not name.startswith("__")}
    savemat(fall, content | {"spks": content["F"]})
    (found,) = cascade_adapters.find(fall)
    assert found.changes() == ["the traces have changed since"]


@pytest.mark.parametrize("target", ["a.nwb", "folder"])
def test_conversions_are_not_stale(target, tmp_path, random_model):
    plane = make_plane(tmp_path / "plane0", n_frames=N_FRAMES)
    change_settings(plane.folder, badframes=MASK, frames_per_folder=[100, 200])
    cascade_adapters.run(plane.folder, exclude_frames="200-203", only_cells=True, model=str(random_model.folder))
    metadata = read_metadata(None, ("session_start_time=2024-05-17T12:30:00+02:00",)) if target == "a.nwb" else None
    done = convert(plane.folder, tmp_path / target, metadata=metadata)
    assert "bad frames" in done.session.planes[0].content
    (found,) = cascade_adapters.find(tmp_path / target)
    assert found.changes() == [] and found.results() is not None
    (mask,) = found.read().excluded.values()
    np.testing.assert_array_equal(np.flatnonzero(mask), [50, 51, 52, 53, 54, 200, 201, 202, 203])
