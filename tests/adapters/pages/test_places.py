"""Where pages lie, for each container, and what they never replace."""

import json
import os
import re
import sys

import numpy as np
import pytest
from scipy.io import savemat

import cascade_adapters
from cascade_adapters.pages.places import OVERVIEW
from cascade_adapters.safe_writing.page import is_ours
from tests.builders.pages import Page
from tests.builders.suite2p_folders import make_plane, make_recording

pytestmark = pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")


@pytest.fixture
def recordings(tmp_path, random_model):
    """Two planes with results; and how to run more."""
    make_recording(tmp_path / "mouse", n_frames=300)
    options = {"model": str(random_model.folder)}
    cascade_adapters.run(tmp_path / "mouse", **options)
    return tmp_path / "mouse", options


def test_several_recordings_have_an_overview_with_a_row_each(recordings, cascade, tmp_path):
    root, _ = recordings
    np.save(root / "suite2p" / "plane1" / "F.npy", np.load(root / "suite2p" / "plane1" / "F.npy") + 1)  # stale
    status, out, _ = cascade("report", root, "--json")
    reports = json.loads(out)
    assert status == 0 and [report["kind"] for report in reports] == ["suite2p", "suite2p", "overview"]
    pages = [report["page"] for report in reports]
    assert pages[-1] == str(root / OVERVIEW)
    overview = Page(pages[-1])
    words = overview.section("overview")
    assert words.count("6 of 6") == 2 and "These results are stale" in words
    links = re.findall(r'<a href="([^"#]+)">', overview.text)
    assert [(root / link).resolve() for link in links] == [(root / page).resolve() for page in pages[:2]]
    assert "<script" not in overview.text
    status, out, _ = cascade("restore", root)
    assert status == 0 and f"removed {OVERVIEW}" in out
    assert not list(tmp_path.rglob("*.html"))


def test_an_overview_in_between_is_removed_too(recordings, cascade, tmp_path):
    root, _ = recordings
    cascade("report", root / "suite2p")
    assert (root / "suite2p" / OVERVIEW).is_file()
    cascade("restore", tmp_path)
    assert not list(tmp_path.rglob("*.html"))


def test_output_puts_everything_elsewhere(recordings, cascade, tmp_path):
    root, _ = recordings
    place = tmp_path / "elsewhere"
    place.mkdir()
    assert cascade("report", root, "--output", place / "all.html")[0] == 0
    assert sorted(str(path.relative_to(place)) for path in place.rglob("*.html")) == [
        "all.html", "all_pages/001_cascade_report.html", "all_pages/002_cascade_report.html",
    ]  # fmt: skip
    assert not list(root.rglob("*.html"))
    assert 'href="all_pages/001_cascade_report.html"' in (place / "all.html").read_text()
    assert cascade("report", root / "suite2p" / "plane0", "--output", place / "one.html")[0] == 0
    assert is_ours(place / "one.html")
    cascade("restore", root)
    assert (place / "one.html").is_file()  # what was put elsewhere stays


def test_a_file_of_somebody_else_is_never_replaced(recordings, cascade):
    root, _ = recordings
    mine = root / "suite2p" / "plane0" / "cascade_report.html"
    mine.write_text("<html>my notes</html>")
    status, _, err = cascade("report", root / "suite2p" / "plane0")
    assert status == 1 and err.count("\n") == 1 and "is no page of cascade, so it is not replaced" in err
    assert cascade("restore", root)[0] == 0
    assert mine.read_text() == "<html>my notes</html>"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="permissions do not hold here")
def test_a_read_only_folder_is_one_line(recordings, cascade):
    folder = recordings[0] / "suite2p" / "plane0"
    folder.chmod(0o500)
    try:
        status, _, err = cascade("report", folder)
    finally:
        folder.chmod(0o700)
    assert status == 1 and err.count("\n") == 1 and "pass --output FILE for another place" in err


def test_a_place_that_is_not_there_is_one_line(recordings, cascade, tmp_path):
    status, _, err = cascade(
        "report", recordings[0] / "suite2p" / "plane0", "--output", tmp_path / "a" / "b" / "c.html"
    )
    assert status == 1 and err.count("\n") == 1 and "cannot be written" in err


def test_run_writes_pages_if_asked(tmp_path, cascade, random_model):
    make_recording(tmp_path / "mouse", n_frames=300)
    status, out, _ = cascade(
        "run", tmp_path / "mouse", "--model", random_model.folder, "--report", "--json", "--existing", "overwrite"
    )
    reports = json.loads(out)
    assert status == 0 and [report["status"] for report in reports] == ["done"] * 3
    assert [is_ours(tmp_path / report["page"]) for report in reports] == [True] * 3
    assert reports[-1]["page"] == str(tmp_path / "mouse" / OVERVIEW)
    (tmp_path / "mouse" / "suite2p" / "plane0" / "cascade_report.html").unlink()
    status, out, _ = cascade("run", tmp_path / "mouse", "--report", "--existing", "skip", "--quiet")
    assert status == 0 and (tmp_path / "mouse" / "suite2p" / "plane0" / "cascade_report.html").is_file()
    cascade("restore", tmp_path / "mouse")
    status, out, _ = cascade("run", tmp_path / "mouse", "--model", random_model.folder, "--report", "--dry-run")
    assert status == 0 and not list(tmp_path.rglob("*.html"))


def test_channels_planes_and_files_have_pages_of_their_own(tmp_path, random_model):
    plane = make_plane(tmp_path / "plane0", n_frames=300, second_channel=True)
    options = {"model": str(random_model.folder), "frame_rate": 30.0}
    for channel in (1, 2):
        cascade_adapters.run(plane.folder, channel=channel, **options)
        cascade_adapters.report(plane.folder, channel=channel)
    np.save(tmp_path / "dff.npy", plane.dff.astype(np.float32))
    savemat(tmp_path / "dff.mat", {"dff": plane.dff})
    for name in ("dff.npy", "dff.mat"):
        cascade_adapters.run(tmp_path / name, orientation="rois-first", **options)
        cascade_adapters.report(tmp_path / name)
    assert sorted(path.name for path in tmp_path.rglob("*.html")) == [
        "cascade_chan2_report.html", "cascade_report.html", "dff.mat_cascade_report.html",
        "dff.npy_cascade_report.html",
    ]  # fmt: skip
    for path in (plane.folder, tmp_path / "dff.npy", tmp_path / "dff.mat"):
        cascade_adapters.restore(path)
    assert not list(tmp_path.rglob("*.html"))


def test_series_of_one_nwb_file_have_names_of_their_own(tmp_path):
    pytest.importorskip("pynwb")
    from cascade_adapters.containers.nwb.recording import NwbRecording
    from cascade_adapters.containers.nwb.series import Recording

    names = {
        "/processing/ophys/Fluorescence/RoiResponseSeries": "day1.nwb_cascade_report.html",
        "/processing/ophys/Fluorescence/RoiResponseSeries_plane1": (
            "day1.nwb_RoiResponseSeries_plane1_cascade_report.html"
        ),
        "/processing/ophys_2/Fluorescence/RoiResponseSeries": "day1.nwb_ophys_2_cascade_report.html",
    }
    for name, expected in names.items():
        recording = NwbRecording(tmp_path / "day1.nwb", Recording(name))
        assert recording.report_path == tmp_path / expected
