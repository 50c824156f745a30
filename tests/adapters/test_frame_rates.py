"""Frame rates that a container may have wrong: of all planes together, defaults, not in Hz."""

import numpy as np
import pytest

from cascade_adapters.containers.base import Reading
from cascade_adapters.containers.frame_rates import doubts_about_rate
from cascade_adapters.containers.registry import find_containers
from cascade_engine.errors import InputError
from tests.builders import array_files, caiman_files, nwb_files
from tests.builders.suite2p_folders import change_settings, make_plane, save_settings


def remarks(path, **reading) -> str:
    (container, *_) = find_containers(path)
    return " | ".join(container.traces(Reading(**reading)).remarks)


@pytest.mark.parametrize(
    ("rate", "n_planes", "each"),
    [
        (30.0, 4, "7.5"), (30.9, 2, "15.45"), (29.97, 3, "9.99"), (15.0, 6, "2.5"),
        (30.0, 1, None), (7.5, 4, None), (15.0, 2, None), (10.1, 3, None), (3.0, 30, None), (60.0, None, None),
    ],
)  # fmt: skip
def test_the_rate_of_all_planes_together(rate, n_planes, each):
    doubts = doubts_about_rate(rate, "fs", n_planes=n_planes)
    assert [text.rpartition("pass --frame-rate ")[2] for text in doubts] == ([each] if each else [])


@pytest.mark.parametrize("generation", ["old", "new"])
def test_suite2p(tmp_path, generation):
    folder = make_plane(tmp_path / "suite2p" / "plane0", generation=generation).folder
    assert remarks(folder) == ""
    for place in (folder, folder.parent) if generation == "new" else (folder,):
        path = place / ("db.npy" if generation == "new" else "ops.npy")
        save_settings(path, np.load(path, allow_pickle=True).item() | {"nplanes": 4})
    assert "and there are 4 planes" in remarks(folder) and "pass --frame-rate 7.5" in remarks(folder)
    assert remarks(folder, frame_rate=7.5) == ""


def test_suite2p_whose_settings_do_not_count_planes(tmp_path):
    folders = [make_plane(tmp_path / "suite2p" / f"plane{i}").folder for i in range(3)]
    for folder in folders:
        settings = np.load(folder / "ops.npy", allow_pickle=True).item()
        del settings["nplanes"]
        np.save(folder / "ops.npy", settings)
    assert "there are 3 planes" in remarks(folders[0]) and "pass --frame-rate 10" in remarks(folders[0])


@pytest.mark.parametrize("form", ["npz", "mat5", "mat73"])
def test_arrays(tmp_path, form):
    path = array_files.save(tmp_path, form, array_files.make_dff(n_frames=900), fs=30.0, nplanes=4, time=np.arange(900))
    assert "there are 4 planes" in remarks(path) and "pass --frame-rate 7.5" in remarks(path)


@pytest.mark.parametrize(("rate", "doubted"), [(10.0, "10 Hz, suite2p's default"), (1.0, "1 Hz, what"), (10.1, "")])
def test_rates_in_nwb_that_nobody_may_have_set(tmp_path, rate, doubted):
    path = nwb_files.simple(tmp_path / "session.nwb", imaging_rate=rate, rate=rate)
    assert doubted in remarks(path) and bool(remarks(path)) == bool(doubted)
    assert remarks(path, frame_rate=30.0) == ""
    times = nwb_files.simple(tmp_path / "times.nwb", imaging_rate=rate, timestamps=np.arange(nwb_files.N_FRAMES) / rate)
    assert remarks(times) == ""  # times tell


def test_planes_in_nwb(tmp_path):
    session = nwb_files.Session(30.0)
    for plane in range(3):
        table = session.table(name=f"PlaneSegmentation{plane}", plane=f"ImagingPlane{plane}")
        session.series(table, nwb_files.raw_traces(seed=plane), f"RoiResponseSeries{plane}", rate=30.0)
    path = session.save(tmp_path / "planes.nwb")
    assert "there are 3 planes" in remarks(path) and "pass --frame-rate 10" in remarks(path)


def test_channels_in_nwb_are_no_planes(tmp_path):
    session = nwb_files.Session(30.0)
    for channel in (1, 2):
        table = session.table(name=f"Rois{channel}", plane=f"ImagingPlaneChan{channel}Plane0")
        session.series(table, nwb_files.raw_traces(seed=channel), f"RoiResponseSeriesChan{channel}Plane0", rate=30.0)
    assert remarks(session.save(tmp_path / "channels.nwb")) == ""


def test_volumes_of_caiman(tmp_path):
    cnmf = caiman_files.make_cnmf(frame_rate=29.0)
    cnmf.estimates.dims = (18, 7, 2)
    assert "there are 2 planes" in remarks(caiman_files.save(cnmf, tmp_path / "volume.hdf5"))


@pytest.mark.parametrize("rate", [0.033, 33_000.0])
def test_rates_that_are_not_in_hz(tmp_path, rate):
    folder = make_plane(tmp_path / "plane0").folder
    change_settings(folder, fs=rate)
    with pytest.raises(
        InputError, match=rf"plane0: fs in ops.npy: frame_rate must be .* but it is {rate}.*pass --frame"
    ):
        remarks(folder)
    assert remarks(folder, frame_rate=30.0) == ""


def test_a_given_rate_that_times_contradict(tmp_path):
    path = nwb_files.simple(tmp_path / "times.nwb", timestamps=np.arange(nwb_files.N_FRAMES) / 7.5)
    assert "--frame-rate 30 was followed, although the timestamps of" in remarks(path, frame_rate=30.0)
    assert "mean 7.5 Hz" in remarks(path, frame_rate=30.0) and "--frame-rate" not in remarks(path, frame_rate=7.5)
