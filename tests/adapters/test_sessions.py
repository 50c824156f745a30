"""``--sessions``: the user tells where a recording was put together; for every container, and in every step."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cascade_adapters.containers.base import Reading
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.convert import convert
from cascade_adapters.hooks.suite2p import run_on_folder
from cascade_adapters.running.options import parse_options
from cascade_engine import InputError
from cascade_engine.signal.dff import delta_f_over_f
from tests.adapters.test_spike_times import KINDS, make
from tests.builders import suite2p_folders
from tests.builders.running import dff_of, inspect_one, run_one
from tests.builders.sessions import run
from tests.builders.suite2p_folders import make_plane


@pytest.mark.parametrize("kind", KINDS)
def test_every_container_takes_it(kind, tmp_path):
    path, selection = make(kind, tmp_path / "lab")
    (container,) = find_containers(path, selection)
    given = {"frame_rate": 30.0} if path.suffix in (".mat", ".npy", ".npz", ".csv", ".tsv", ".txt") else {}
    n_frames = container.read(Reading(**given)).shape[1]
    report = run_one(container, sessions=[100, n_frames - 100], **given)
    assert report.segments == [100, n_frames - 100]
    assert container.record().recording.segments == [100, n_frames - 100]
    assert container.record().asked["sessions"] == [100, n_frames - 100]
    with pytest.raises(InputError, match=rf"--sessions adds up to 200 frames, but the recording has {n_frames}"):
        inspect_one(container, sessions=[100, 100], **given)


@pytest.mark.parametrize("given", ["400,500", "400, 500", [400, 500], (400, 500), np.array([400, 500]), "file", "path"])
def test_how_it_can_be_said(given, tmp_path):
    if isinstance(given, str) and given in ("file", "path"):
        path = tmp_path / "sessions.txt"
        path.write_text("400\n500\n")
        given = str(path) if given == "file" else path
    assert parse_options({"sessions": given}).reading.sessions == (400, 500)
    options = parse_options({"sessions": given})
    assert parse_options(json.loads(json.dumps(options.to_dict()))) == options


@pytest.mark.parametrize("given", ["", "400,x", "400,-500", "400,0", "no_file.txt", [], ["a"], [400, -1]])
def test_what_is_no_number_of_frames_is_one_line(given):
    with pytest.raises(InputError, match="sessions must be the frames of each session, such as 9000,9000") as error:
        parse_options({"sessions": given})
    assert len(str(error.value).splitlines()) == 1


def test_baselines_and_predictions_stay_apart(tmp_path):
    plane = make_plane(tmp_path / "plane0", n_frames=900)
    traces = Suite2pPlane(plane.folder).traces(Reading(sessions=(400, 500)))
    expected = delta_f_over_f(plane.fluorescence, 30.0, plane.neuropil, 0.7, segments=[400, 500]).dff
    np.testing.assert_array_equal(dff_of(traces).dff, expected)


def test_it_takes_precedence_and_says_so(tmp_path):
    container = Suite2pPlane(make_plane(tmp_path / "plane0", n_frames=900, segments=[300, 300, 300]).folder)
    traces = container.traces(Reading(sessions=(400, 500)))
    assert traces.segments == [400, 500]
    assert traces.remarks[-1] == "--sessions tells of 2 segments, the container of 3: the former were used"
    assert container.traces(Reading(sessions=(300, 300, 300))).remarks == container.read().remarks
    assert container.traces(Reading(sessions=(900,))).segments is None


def test_the_command(tmp_path, capsys):
    plane = make_plane(tmp_path / "plane0", n_frames=900).folder
    status, output, _ = run(capsys, "inspect", plane, "--sessions", "400,500")
    assert status == 0 and "2 segments of 400, 500 frames" in output
    status, _, errors = run(capsys, "run", plane, "--sessions", "400,400")
    assert status == 1 and "--sessions adds up to 800 frames, but the recording has 900" in errors
    assert run(capsys, "run", plane, "--sessions", "400,500")[0] == 0
    assert json.loads((plane / "cascade.json").read_text())["recording"]["segments"] == [400, 500]
    assert run(capsys, "convert", plane, tmp_path / "all.npz", "--sessions", "400,500")[0] == 0
    with np.load(tmp_path / "all.npz") as archive:
        assert archive["frames_per_session"].tolist() == [400, 500]


def test_convert_and_hooks(tmp_path):
    plane = make_plane(tmp_path / "in" / "plane0", n_frames=900).folder
    convert(plane, tmp_path / "out", reading=Reading(sessions=(400, 500)))
    assert Suite2pPlane(tmp_path / "out" / "plane0").read().segments == [400, 500]
    (report,) = run_on_folder(plane, sessions=[400, 500])
    assert report.segments == [400, 500]


# ------------------------------------------------------------------------------------------------------------- steps


def with_step(folder: Path) -> Path:
    plane = make_plane(folder, n_frames=3000)
    for name, values in (("F", plane.fluorescence), ("Fneu", plane.neuropil)):
        values = values.copy()
        values[:, 1600:] *= 2.0
        np.save(folder / f"{name}.npy", values)
    return folder


def test_a_step_that_nobody_tells_of_is_pointed_out(tmp_path, capsys):
    plane = with_step(tmp_path / "plane0")
    told = [text for text in inspect_one(Suite2pPlane(plane)).warnings if "--sessions" in text]
    assert len(told) == 1 and "at about frame 1600, and stay so: if another session begins there" in told[0]
    assert "pass --sessions 1600,1400" in told[0]
    report = run_one(Suite2pPlane(plane))
    assert told[0] in report.warnings and told[0] in report.record.warnings
    report = run_one(Suite2pPlane(plane), sessions=[1600, 1400], existing="overwrite")
    assert not [text for text in report.warnings if "--sessions" in text]


def test_a_step_between_segments_is_known(tmp_path):
    plane = with_step(tmp_path / "plane0")
    suite2p_folders.change_settings(plane, frames_per_folder=np.array([1600, 1400]))
    assert not [text for text in inspect_one(Suite2pPlane(plane)).warnings if "--sessions" in text]
