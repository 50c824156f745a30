"""``cascade.yaml``: a lab's defaults, found beside or above the data, said, recorded, and overridden."""

import json

import numpy as np
import pytest

import cascade_adapters
from cascade_adapters.running.lab_defaults import find_file, read_file
from cascade_adapters.running.options import Options, choices_by_group
from cascade_engine.errors import InputError
from tests.adapters.test_options import OTHER_VALUES
from tests.builders import array_files
from tests.builders.suite2p_folders import make_plane

CHOICES = {flat: choice for choices in choices_by_group().values() for flat, choice in choices.items()}


def record_of(plane):
    return json.loads((plane.folder / "cascade.json").read_text())


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A home folder with data in it, and the file that says what the lab wants."""
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "cascade.yaml"


def test_the_file_is_found_said_and_recorded(lab, cascade, random_model):
    plane = make_plane(lab.parent / "mouse1" / "plane0")
    lab.write_text(
        f"# of our lab\nmodel: {random_model.folder}\nthreshold: none\nbaseline-window: 30\nonly_cells: yes\n"
    )
    status, _, err = cascade("run", plane.folder, "--baseline-window", 20)
    said = f"model {random_model.folder}, threshold False, only_cells True"
    assert (status, err) == (0, f"defaults of {lab}: {said} (--no-defaults leaves them out)\n")
    record = record_of(plane)
    assert record["asked"]["baseline_window_s"] == 20.0 and record["asked"]["threshold"] is False
    values = {"model": str(random_model.folder), "threshold": False, "only_cells": True}
    assert record["defaults"] == {"file": str(lab), "values": values}
    (report,) = json.loads(cascade("inspect", plane.folder, "--json")[1])
    assert report["defaults"]["file"] == str(lab) and report["settings"]["threshold"] is False
    # what is typed counts more, also no; and so does wanting none
    assert cascade("run", plane.folder, "--no-only-cells", "--existing", "update")[0] == 0
    assert record_of(plane)["asked"]["only_cells"] is False
    status, _, err = cascade(
        "run", plane.folder, "--no-defaults", "--model", random_model.folder, "--existing", "update"
    )
    assert (status, err) == (0, "") and record_of(plane)["defaults"] is None
    assert record_of(plane)["asked"]["threshold"] == 0


@pytest.mark.parametrize("flat", CHOICES)
def test_every_option_can_be_a_default(flat, lab):
    """By its name in Python or on the command line."""
    value = OTHER_VALUES[flat]
    text = "none" if flat == "threshold" else json.dumps(value)
    for name in (flat, *(option.removeprefix("--") for option in CHOICES[flat].options)):
        lab.write_text(f"{name}: {text}\n")
        found = read_file(lab)
        assert found == {flat: value} and cascade_adapters.lab_defaults(lab.parent) == found


def test_where_it_is_looked_for(lab, tmp_path):
    lab.write_text("smoothing: 0.1\n")
    inner = lab.parent / "mouse" / "day" / "plane0"
    inner.mkdir(parents=True)
    assert find_file(inner) == find_file(inner / "F.npy") == find_file(lab.parent) == lab
    nearer = inner.parent / "cascade.yaml"
    nearer.write_text("")
    assert find_file(inner) == nearer and read_file(nearer) == {}
    nearer.write_text("smoothing:\nkernel: causal\n")
    assert read_file(nearer) == {"kernel": "causal"}  # what is left open
    lab.unlink()
    (tmp_path / "cascade.yaml").write_text("kernel: causal")
    assert find_file(lab.parent) == tmp_path / "cascade.yaml"  # the home folder is the last
    (tmp_path / "cascade.yaml").unlink()
    (tmp_path.parent / "cascade.yaml").write_text("kernel: causal")
    try:
        assert find_file(lab.parent) is None
    finally:
        (tmp_path.parent / "cascade.yaml").unlink()
    assert find_file("https://dandiarchive.org/x.nwb") is None


def test_files_are_named_from_the_folder_of_the_file(lab, cascade, random_model, monkeypatch, tmp_path):
    plane = make_plane(lab.parent / "plane0")
    (lab.parent / "bad.txt").write_text("5-9")
    lab.write_text("exclude_frames: bad.txt\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert cascade("run", plane.folder, "--model", random_model.folder)[0] == 0
    assert record_of(plane)["recording"]["excluded_frames"] == {"named by --exclude-frames": "5-9"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("smothing: 0.1", "there is no option smothing (did you mean smoothing?)"),
        ("smoothing: fast", "smoothing must be a number, but it is 'fast'"),
        ("smoothing: -1", "smoothing must be a number from 0 to 20 s"),
        ("kernel: gausian", "kernel must be one of gaussian, causal, but it is 'gausian'"),
        ("only_cells: 1", "only_cells must be True or False, but it is 1"),
        ("existing: replace", "existing must be one of error, skip, update, overwrite"),
        ("frame_rate: 30\nframe-rate: 20", "frame-rate is there twice"),
        ("- smoothing", "it must hold one option per line"),
        ("smoothing", "it must hold one option per line"),
        ("a: [1", "cannot be read: "),
        ("smoothing: 2024-01-01", "smoothing must be a number"),
        ("1: 2", "there is no option 1"),
        ("progress: yes", "there is no option progress"),
        ("settings: {smoothing: 0.1}", "there is no option settings"),
        ("x: &a [*a]", "cannot be read: "),
        ("# " + "x" * 200_000, "it is too large for a list of options"),
    ],
)
def test_what_is_wrong_in_it_is_one_line_with_its_name(text, said, lab, cascade):
    plane = make_plane(lab.parent / "plane0")
    lab.write_text(text)
    for command in ("inspect", "run"):
        status, out, err = cascade(command, plane.folder)
        assert (status, out, err.count("\n")) == (1, "", 1) and f"{lab}" in err and said in err
    (report,) = json.loads(cascade("run", plane.folder, "--json")[1])
    assert report["status"] == "failed" and str(lab) in report["message"]
    assert cascade("inspect", plane.folder, "--no-defaults")[0] == 0
    assert not (plane.folder / "cascade.json").exists()


def test_bytes_that_are_no_text(lab):
    lab.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"cascade.yaml cannot be read"):
        cascade_adapters.lab_defaults(lab.parent)


def test_different_files_are_not_mixed(lab, cascade, random_model):
    planes = [make_plane(lab.parent / name / "plane0") for name in ("a", "b")]
    lab.write_text("threshold: 1\n")
    model = ("--model", random_model.folder)
    assert cascade("run", planes[0].folder, planes[1].folder, *model, "--dry-run")[0] == 0
    own = planes[1].folder.parent / "cascade.yaml"
    own.write_text("threshold: none\n")
    status, _, err = cascade("run", planes[0].folder, planes[1].folder, *model)
    assert status == 1 and f"{planes[0].folder} has {lab}, {planes[1].folder} has {own}: run them by themselves" in err
    status, _, err = cascade("run", lab.parent, *model)
    assert status == 1 and f"{planes[1].folder} has its own {own}: pass {own.parent} by itself" in err
    assert cascade("run", lab.parent, *model, "--no-defaults", "--dry-run")[0] == 0
    assert not (planes[0].folder / "cascade.json").exists()


def test_other_commands_take_what_concerns_them(lab, cascade, random_model):
    plane = make_plane(lab.parent / "plane0", second_channel=True)
    lab.write_text("channel: 2\nsmoothing: 0.3\n")
    assert cascade("run", plane.folder, "--model", random_model.folder, "--no-defaults", "--channel", 2)[0] == 0
    status, _, err = cascade("spikes", plane.folder)
    assert status == 0 and err == f"defaults of {lab}: channel 2 (--no-defaults leaves them out)\n"
    path = array_files.save(lab.parent, "npy", array_files.make_dff())
    lab.write_text("orientation: rois-first\nframe_rate: 12.5\nsmoothing: 0.3\n")
    status, _, err = cascade("convert", path, lab.parent / "a.npz")
    assert status == 0 and "orientation rois-first, frame_rate 12.5 (" in err
    with np.load(lab.parent / "a.npz") as archive:
        assert float(archive["frame_rate"]) == 12.5
    assert cascade("restore", plane.folder)[0] == 0


def test_python_reads_it_when_asked_to(lab, random_model):
    plane = make_plane(lab.parent / "plane0")
    lab.write_text("threshold: 1\n")
    options = {"model": str(random_model.folder)}
    (done,) = cascade_adapters.run(plane.folder, **options)
    assert done.record.asked["threshold"] == Options().settings.threshold == 0
    found = cascade_adapters.lab_defaults(plane.folder)
    (done,) = cascade_adapters.run(plane.folder, **found, **options, existing="update")
    assert done.report.redone == ["made with threshold 0, now 1"]
