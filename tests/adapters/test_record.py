"""The record of a run: it comes back as it was written, and whatever is damaged in it is one clear line."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest

from cascade_adapters.containers.registry import find_containers
from cascade_adapters.results import Record
from cascade_adapters.results.record import FORMAT, RoiFacts, SpikesFound
from cascade_engine.errors import InputError
from cascade_engine.networks.settings import Settings
from tests.builders.running import inspect_one, made_up_record, run_one
from tests.builders.sessions import run
from tests.builders.suite2p_folders import make_plane

WRONG = (None, "x", ["a"], {"a": []}, -1, 1e999, True)


def full_record() -> Record:
    """A record in which nothing is left out."""
    record = made_up_record(3, 100, variable="dff")
    return replace(
        record,
        recording=replace(record.recording, excluded_frames={"marked in ops.npy (badframes)": "0-9,50"}),
        asked={"only_cells": True, "frame_rate": 30.0},
        input={"F.npy": "0" * 64},
        rois=RoiFacts({1: "not a cell"}, {2: 17}, [2.0, None, 3.5]),
        expected={"correlation": 0.8},
        warnings=["the frame rate is doubtful"],
        discrete_spikes=SpikesFound(
            "2026-01-01T00:00:00+00:00", "0.2.0", 0.05, "gaussian", 3, {1: "silent"}, ["noisy"]
        ),
        converted=[{"from": "plane0", "kind": "suite2p"}],
    )


def places(content, at: tuple = ()):
    """The path of every key and list element in nested content."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield (*at, key)
        yield from places(value, (*at, key))


def changed(content: dict, place: tuple, *value) -> dict:
    """A copy with one entry replaced, or removed if there is no value."""
    content = copy.deepcopy(content)
    inside = content
    for key in place[:-1]:
        inside = inside[key]
    if value:
        inside[place[-1]] = value[0]
    else:
        del inside[place[-1]]
    return content


def test_it_comes_back_as_it_was_written():
    record = full_record()
    assert record.format == FORMAT == 2
    assert Record.parse(record.to_json(), "here") == record
    assert Record.parse(record.to_json(indent=1).encode(), "here") == record
    assert Record.parse(json.loads(record.to_json()), "here") == record
    assert Record.parse(record.to_json(), "here").rois.guarded_frames == {2: 17}  # numbers again, not text


def test_the_form_of_version_0_1_0():
    old = {
        "format": 1,
        "created": "2025-05-05T05:05:05+00:00",
        "software": {"cascade-spikes": "0.1.0"},
        "model": {
            "name": "universal",
            "kind": "universal",
            "fingerprint": "f",
            "smoothing_s": 0.05,
            "kernel": "gaussian",
        },
        "parameters": {"traces": "F.npy", "neuropil_subtracted": True, "neuropil_coefficient": 0.7, "threshold": 0},
        "recording": {"n_rois": 2, "n_frames": 10, "frame_rate_hz": 30.0, "frames_per_session": [4, 6]},
        "input": {"F.npy": "0"},
        "rois": {"without_prediction": {"1": "too short"}, "network_noise_level": [2.0, None]},
        "warnings": ["w"],
        "spks": "abc",
    }
    record = Record.parse(old, "here")
    assert (record.model.name, record.model.family, record.written_by) == ("universal", "universal", "0.1.0")
    assert record.settings == Settings(smoothing=0.05, kernel="gaussian", threshold=0)
    assert (record.traces.neuropil_coefficient, record.recording.segments) == (0.7, [4, 6])
    assert record.rois == RoiFacts({1: "too short"}, {}, [2.0, None])
    assert record.container == {"spks": "abc"}
    # written again, it has today's form
    assert Record.parse(record.to_json(), "here") == record and json.loads(record.to_json())["format"] == FORMAT


def test_one_of_a_later_version_names_it():
    later = {**full_record().to_dict(), "format": FORMAT + 1, "software": {"cascade-spikes": "9.1"}, "new": 1}
    with pytest.raises(
        InputError, match=r"^here: the results were written by cascade-spikes 9.1, and this is .*: update"
    ):
        Record.parse(later, "here")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"[1]", b"null", b"3", b"\xff", "[" * 100_000, b'{"format": 2}'])
def test_what_is_no_record(content):
    with pytest.raises(InputError, match=r"^here: the record of the results is damaged \(.*\): remove it") as caught:
        Record.parse(content, "here")
    assert "\n" not in str(caught.value)


def test_anything_wrong_in_it_is_one_line_or_harmless():
    content = json.loads(full_record().to_json())
    n_refused = 0
    for place in places(content):
        for value in [(), *((wrong,) for wrong in WRONG)]:
            try:
                record = Record.parse(changed(content, place, *value), "here")
            except InputError as error:
                assert str(error).startswith("here: ") and "\n" not in str(error), place
                n_refused += 1
            else:
                assert Record.parse(record.to_json(), "here") == record, place
    assert n_refused > 100


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("recording", "segments"), ["a"]),
        (("recording", "segments"), [900.5]),
        (("recording", "segments"), [1, 2]),
        (("recording", "n_frames"), "many"),
        (("recording", "frame_rate_hz"), 0.0),
        (("model",), "x"),
        (("settings",), ["a"]),
        (("settings", "smoothing"), None),
        (("rois", "without_prediction"), {"first": "no number"}),
        (("rois", "without_prediction"), ["a"]),
        (("discrete_spikes",), 3),
        (("software",), "0.2.0"),
    ],
)
def test_these_are_refused(place, value):
    with pytest.raises(InputError, match="the record of the results is damaged"):
        Record.parse(changed(json.loads(full_record().to_json()), place, value), "here")


# ------------------------------------------------------------------------------------------------------- on the command


@pytest.fixture(scope="module")
def plane(tmp_path_factory, random_model) -> Path:
    """A suite2p folder with results."""
    folder = make_plane(
        tmp_path_factory.mktemp("suite2p") / "plane0", n_rois=2, n_frames=200, segments=[100, 100]
    ).folder
    (container,) = find_containers(folder)
    run_one(container, model=str(random_model.folder))
    return folder


def commands(plane: Path, model: Path, target: Path) -> list[tuple]:
    return [
        ("spikes", plane),
        ("inspect", plane, "--model", model),
        ("run", plane, "--model", model, "--quiet", "--existing", "overwrite", "--dry-run"),
        ("convert", plane, target),
        ("restore", plane),
    ]


def test_a_damaged_record_is_one_line_of_every_command(plane, tmp_path, random_model, capsys):
    """Each key in turn is lost, or holds a wrong type."""
    record = plane / "cascade.json"
    whole = json.loads(record.read_text())
    before = {path.name: path.read_bytes() for path in plane.iterdir()}
    cases = [
        ((key,), value) for key in ("model", "recording", "settings", "software", "format") for value in ("x", ["a"])
    ]
    cases += [
        (("recording", "segments"), ["a"]),
        (("recording", "n_rois"), "x"),
        (("rois", "guarded_frames"), {"a": 1}),
    ]
    try:
        for number, (place, value) in enumerate(cases):
            record.write_text(json.dumps(changed(whole, place, value)))
            for command in commands(plane, random_model.folder, tmp_path / f"{number}.npz"):
                status, output, errors = run(capsys, *command)
                said = output + errors
                assert "Traceback" not in said, (place, command)
                if command[0] == "convert":  # what can be converted is, and the rest is said
                    assert status == 0 and said.count("the record of the results is damaged") == 1, (place, command)
                    continue
                assert status == 1, (place, command)
                assert len(errors.splitlines()) == 1 and "the record of the results is damaged" in errors, (
                    place,
                    command,
                )
    finally:
        for name, content in before.items():
            (plane / name).write_bytes(content)
    assert {path.name for path in plane.iterdir()} == set(before)


def test_every_key_of_it_lost_or_wrong(plane, capsys):
    """No command that reads the record ends in a traceback, whatever the record has become."""
    record = plane / "cascade.json"
    text = record.read_text()
    whole = json.loads(text)
    try:
        for place in places(whole):
            for value in [(), ("x",), (["a"],)]:
                record.write_text(json.dumps(changed(whole, place, *value)))
                (container,) = find_containers(plane)
                for action in (container.record, container.results, container.is_stale):
                    try:
                        action()
                    except InputError as error:
                        assert "\n" not in str(error), place
    finally:
        record.write_text(text)


# ------------------------------------------------------------------------------------------------- inspect as run does


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"baseline": "constant", "baseline_percentile": 50.0},
        {"baseline": "maximin", "baseline_window_s": 5.0},
        {"neuropil_coefficient": 0.0},
    ],
)
def test_inspect_measures_the_noise_that_run_measures(tmp_path, random_model, options):
    folder = make_plane(tmp_path / "plane0").folder
    (container,) = find_containers(folder)
    model = str(random_model.folder)
    inspected = inspect_one(container, model=model, **options)
    done = run_one(container, model=model, **options)
    assert inspected.noise_level == done.noise_level
    assert inspected.noise_level_range == done.noise_level_range
    default = inspect_one(container, model=model)
    assert (default.noise_level == inspected.noise_level) == (not options)
