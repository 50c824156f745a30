"""What surrounds the planes of suite2p: the folder ``combined``, links, and the GUI."""

import os
import shutil
import sys

import numpy as np
import pytest

import cascade_adapters as cascade
from cascade_adapters.containers.base import Reading
from cascade_adapters.containers.caiman.file import CaimanFile
from cascade_adapters.containers.nwb.files import nwb_files
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.containers.searching import files_below
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.containers.suite2p.settings import read_image_shape
from cascade_adapters.convert import convert
from cascade_engine.errors import InputError
from cascade_engine.file_formats.safe_pickle import load_records, load_settings
from tests.builders.caiman_files import make_file
from tests.builders.suite2p_folders import hashes, make_plane

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")


def iscell(*cells):
    return np.array([[cell, 0.5] for cell in cells], dtype=np.float64)


def save(folder, cells, age_s):
    np.save(folder / "iscell.npy", cells)
    os.utime(folder / "iscell.npy", (10**9 - age_s, 10**9 - age_s))


@pytest.fixture
def recording(tmp_path):
    """Two planes of 2 and 3 ROIs, of which all are cells, and ``combined`` with the same, written last."""
    root = tmp_path / "suite2p"
    planes = [make_plane(root / f"plane{i}", i + 2, 300, seed=i).folder for i in range(2)]
    for plane, cells in zip(planes, (iscell(1, 1), iscell(1, 1, 1)), strict=True):
        save(plane, cells, 20)
    (root / "combined").mkdir()
    np.save(root / "combined" / "F.npy", np.concatenate([np.load(plane / "F.npy") for plane in planes]))
    save(root / "combined", iscell(1, 1, 1, 1, 1), 10)
    return root


def cells_of(root):
    read = [plane.read(Reading()) for plane in Suite2pPlane.find(root)]
    about = [remark for traces in read for remark in traces.remarks if "combined" in remark]
    return [traces.is_cell.tolist() for traces in read], about


def test_cells_that_were_chosen_in_combined_are_heeded(recording):
    assert cells_of(recording) == ([[True, True], [True, True, True]], [])
    save(recording / "combined", iscell(0, 1, 1, 0, 1), 5)
    cells, remarks = cells_of(recording)
    assert cells == [[False, True], [True, False, True]]
    assert remarks == [
        f"which ROIs are cells was changed in combined after it was in plane{i}: combined was followed" for i in (0, 1)
    ]


def test_cells_that_were_chosen_later_in_a_plane_stay(recording):
    save(recording / "combined", iscell(0, 1, 1, 0, 1), 10)
    save(recording / "plane1", iscell(1, 0, 0), 5)
    cells, remarks = cells_of(recording)
    assert cells == [[False, True], [True, False, False]] and len(remarks) == 1


@pytest.mark.parametrize("cells", [iscell(0, 1), np.zeros((0, 2)), np.array(["a"] * 5)])
def test_a_combination_of_other_planes_is_not_followed(recording, cells):
    save(recording / "combined", cells, 5)
    assert cells_of(recording) == ([[True, True], [True, True, True]], [])


def test_what_to_do_with_combined_is_said(recording):
    with pytest.raises(InputError, match=rf"combined repeats the planes beside it: pass {recording} "):
        find_containers(recording / "combined")
    for plane in ("plane0", "plane1"):
        shutil.rmtree(recording / plane)
    for path in (recording, recording / "combined"):
        with pytest.raises(InputError, match=r"planes that are not there.*rename combined to plane0"):
            find_containers(path)


@needs_links
def test_links_to_folders_are_followed_once(tmp_path):
    real = make_plane(tmp_path / "store" / "suite2p" / "plane0", 1, 60).folder
    make_file(tmp_path / "store" / "results.hdf5", n_components=2, n_frames=100)
    (tmp_path / "store" / "session.nwb").touch()
    links = tmp_path / "links"
    links.mkdir()
    (links / "mouse").symlink_to(tmp_path / "store")
    (links / "again").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "circle").symlink_to(links)
    (links / "nowhere").symlink_to(tmp_path / "nothing")
    (found,) = Suite2pPlane.find(links)
    assert found.path.resolve() == real
    assert len(CaimanFile.find(links)) == 1
    assert len(nwb_files(links)) == 1
    names = [path.name for path in files_below(links)]
    assert sorted(set(names)) == sorted(names)
    (found,) = Suite2pPlane.find(tmp_path)  # by its own name, where it has one below the path
    assert found.path == real


@needs_links
@pytest.mark.parametrize("relative", [True, False])
def test_restore_puts_a_link_back_as_a_link(tmp_path, random_model, relative):
    plane, annex = make_plane(tmp_path / "plane0", 2, 300).folder, tmp_path / "annex"
    annex.mkdir()
    shutil.move(plane / "spks.npy", annex / "spks.npy")
    target = "../annex/spks.npy" if relative else annex / "spks.npy"
    (plane / "spks.npy").symlink_to(target)
    before = hashes(tmp_path)
    for _ in range(2):
        cascade.run(plane, model=random_model.folder, replace_spikes=True, existing="overwrite")
        assert not (plane / "spks.npy").is_symlink()
        assert os.readlink(plane / "spks_suite2p.npy") == str(target)
    cascade.restore(plane)
    assert os.readlink(plane / "spks.npy") == str(target)
    assert hashes(tmp_path) == before


def test_a_converted_folder_has_what_the_gui_of_suite2p_wants(tmp_path):
    source = make_file(tmp_path / "results.hdf5", n_components=4, n_frames=200)
    done = convert(getattr(source, "path", source), tmp_path / "out")
    folder = tmp_path / "out" / "plane0"
    settings, records = load_settings(folder / "ops.npy"), load_records(folder / "stat.npy")
    shape = settings["Ly"], settings["Lx"]
    assert settings["meanImg"].shape == settings["meanImgE"].shape == shape
    assert 0 < settings["meanImg"].max() <= 1
    assert (settings["yrange"], settings["xrange"]) == ([0, shape[0]], [0, shape[1]])
    assert settings["tau"] > 0 and settings["diameter"] > 0
    assert np.load(folder / "spks.npy").shape == np.load(folder / "F.npy").shape == (4, 200)
    for record in records:
        assert record["radius"] == pytest.approx(np.sqrt(record["npix"] / np.pi))
        assert record["ypix"].max() < shape[0] and record["xpix"].max() < shape[1]
    listed = settings["cascade_placeholders"]
    assert {"tau", "meanImg", "meanImgE", "spks.npy"} <= set(listed)
    said = [remark for remark in done.session.remarks if "stands in" in remark]
    assert said == [
        "spks.npy (zeros), meanImg (drawn from the masks) are not known: what suite2p's GUI wants stands in"
    ]


def test_what_stands_in_is_said_once_for_all_planes(tmp_path):
    source = make_file(tmp_path / "results.hdf5", n_components=4, n_frames=200)
    convert(getattr(source, "path", source), tmp_path / "suite2p")
    shutil.copytree(tmp_path / "suite2p" / "plane0", tmp_path / "suite2p" / "plane1")
    convert(tmp_path / "suite2p", tmp_path / "a.npz")
    done = convert(tmp_path / "a.npz", tmp_path / "back")
    said = [remark for remark in done.session.remarks if "stands in" in remark]
    assert len(done.session.planes) == 2 and len(said) == 1
    assert said[0].startswith("spks.npy (zeros), meanImg (drawn from the masks) are not known")


def test_what_stands_in_is_not_taken_for_data(tmp_path):
    """Neuropil and the size of the image, where the source has none."""
    plane = make_plane(tmp_path / "plane0", 2, 300).folder
    settings = {"fs": 30.0, "Ly": 9, "Lx": 9, "cascade_placeholders": ["Fneu.npy", "Ly", "Lx"]}
    np.save(plane / "ops.npy", settings, allow_pickle=True)
    np.save(plane / "Fneu.npy", np.zeros_like(np.load(plane / "F.npy")))
    (found,) = Suite2pPlane.find(plane)
    traces = found.read(Reading())
    assert traces.neuropil is None
    assert "Fneu.npy only stands in for neuropil that is not known: nothing was subtracted" in traces.remarks
    assert read_image_shape(plane) is None
