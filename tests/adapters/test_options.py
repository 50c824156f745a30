"""Every choice is declared once, and is then on the command line, in Python, in the record, and can be repeated."""

import json
import math
from dataclasses import replace

import click
import numpy as np
import pytest

import cascade_adapters
from cascade_adapters.cli import convert, inspect, run, spikes
from cascade_adapters.containers.base import Reading, Selection
from cascade_adapters.running.options import HEADINGS, Options, choices_by_group, parse_options
from cascade_engine.errors import InputError
from cascade_engine.networks.settings import Settings
from cascade_engine.signal.dff import Baseline
from tests.builders.suite2p_folders import make_plane

CHOICES = {flat: choice for choices in choices_by_group().values() for flat, choice in choices.items()}

#: Another value than the default for every choice; a new choice must be added here.
OTHER_VALUES = {
    "model": "mine",
    "only_cells": True,
    "replace_spikes": True,
    "existing": "skip",
    "n_threads": 3,
    "bad_frames": "marked",
    "exclude_frames": "0-99,500",
    "smoothing": 0.1,
    "kernel": "causal",
    "population": "interneurons",
    "indicator": "GCaMP6s",
    "noise_level": 2.5,
    "threshold": False,
    "padding": 0.0,
    "frame_rate": 28.5,
    "neuropil_coefficient": 0.4,
    "offset": 150.0,
    "dff": "container",
    "arbitrary_units": True,
    "rest": "keep",
    "sessions": [400, 500],
    "channel": 2,
    "series": "plane1",
    "in_place": True,
    "key": "dff",
    "orientation": "frames-first",
    "raw": True,
    "baseline": "maximin",
    "baseline_window_s": 15.0,
    "baseline_percentile": 20.0,
    "neuropil": "full",
}


@pytest.mark.parametrize("flat", CHOICES)
def test_every_choice_is_an_option_of_run(flat):
    options = {parameter.name: parameter for parameter in run.command.params}
    option = options[flat]
    assert option.opts == list(CHOICES[flat].options)
    assert CHOICES[flat].help in option.help
    assert option.default is None  # what was not given is left to the declaration


@pytest.mark.parametrize("flat", CHOICES)
def test_every_choice_is_taken_given_and_taken_again(flat):
    stated, usual = parse_options({flat: OTHER_VALUES[flat]}).to_dict(), Options().to_dict()
    assert stated[flat] == OTHER_VALUES[flat]
    # as text, since False is 0
    assert {name for name in stated if json.dumps(stated[name]) != json.dumps(usual[name])} == {flat}
    again = json.loads(json.dumps(stated, allow_nan=False))
    assert parse_options(again).to_dict() == stated


@pytest.mark.parametrize("flat", CHOICES)
def test_every_choice_on_the_command_line_reaches_the_options(flat, monkeypatch, tmp_path):
    found = []

    def find(paths, selection):
        return [], []

    def process(containers, options, *others):
        found.append(options)
        return []

    monkeypatch.setattr("cascade_adapters.running.finding.find_all", find)
    monkeypatch.setattr("cascade_adapters.running.batch.process_all", process)
    value = OTHER_VALUES[flat]
    text = [] if value is True else ["none" if value is False else str(value).strip("[]")]
    run.command.main([str(tmp_path), CHOICES[flat].options[0], *text], standalone_mode=False)
    assert found[0].to_dict() == parse_options({flat: value}).to_dict()


def test_help_shows_every_group_under_its_heading():
    context = click.Context(run.command, info_name="run")
    sections = run.command.get_help(context).split("\n\n")
    for group, choices in choices_by_group().items():
        (section,) = [text for text in sections if text.startswith(f"{HEADINGS[group]}:\n")]
        for choice in choices.values():
            assert f"  {choice.options[0]}" in section
    assert sections[-1].startswith("Other options:\n")


@pytest.mark.parametrize("command", [inspect.command, convert.command, spikes.command])
def test_other_commands_take_their_choices_from_the_same_list(command):
    own = {parameter.name: parameter for parameter in command.params if parameter.name in CHOICES}
    assert len(own) >= 4
    for flat, option in own.items():
        if flat != "n_threads":
            assert option.opts == list(CHOICES[flat].options)


def test_a_run_is_repeated_from_its_record(tmp_path, random_model):
    plane = make_plane(tmp_path / "plane0")
    asked = {
        "model": random_model.folder,
        "only_cells": True,
        "noise_level": np.linspace(1.0, 4.0, 6),
        "threshold": False,
        "frame_rate": np.float32(29.5),
        "baseline": "constant",
        "baseline_percentile": 30,
    }
    (first,) = cascade_adapters.run(plane.folder, **asked)
    values = np.load(plane.folder / "cascade_spike_prob.npy")
    stored = json.loads((plane.folder / "cascade.json").read_text())["asked"]
    assert stored == first.record.asked == parse_options(asked).to_dict()
    assert stored["noise_level"] == asked["noise_level"].tolist() and stored["padding"] is None

    (second,) = cascade_adapters.run(plane.folder, **{**first.record.asked, "existing": "overwrite"})
    np.testing.assert_array_equal(np.load(plane.folder / "cascade_spike_prob.npy"), values)
    assert second.record.settings.to_dict() == first.record.settings.to_dict()
    assert {**second.record.asked, "existing": "error"} == first.record.asked
    (other,) = cascade_adapters.run(plane.folder, **{**stored, "baseline_percentile": 60, "existing": "overwrite"})
    assert not np.array_equal(other.results.spike_prob, values, equal_nan=True)


def test_noise_levels_of_rois_are_repeated():
    options = parse_options({"noise_level": np.array([1.0, math.nan])})
    stated = json.loads(json.dumps(options.to_dict(), allow_nan=False))
    assert stated["noise_level"] == [1.0, None] and parse_options(stated) == options


def test_whole_groups():
    settings, reading = Settings(smoothing=0.1), Reading(frame_rate=10.0)
    options = parse_options({"settings": settings, "reading": reading, "channel": 2}, progress=True)
    assert options == Options(settings=settings, reading=reading, selection=Selection(channel=2), progress=True)
    with pytest.raises(InputError, match="settings is given as a whole, and smoothing beside it: leave one out"):
        parse_options({"settings": settings, "smoothing": 0.2})
    baseline = Baseline("constant")
    assert parse_options({"baseline": baseline}) == replace(Options(), baseline=baseline)


def test_none_leaves_a_choice_open():
    left_open = {flat: None for flat in CHOICES if flat != "channel"}
    assert parse_options(left_open) == Options() or math.isnan(parse_options(left_open).settings.padding)
    assert parse_options(left_open).to_dict() == Options().to_dict()
    assert parse_options({"channel": None}).selection.channel is None  # both


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"smothing": 0.1}, r"there is no option smothing \(did you mean smoothing\?\); there are model, only_cells"),
        ({"baseline_window": 3.0}, r"there is no option baseline_window \(did you mean baseline_window_s\?\)"),
        ({"xyz": 1, "modle": "m"}, r"there is no option modle \(did you mean model\?\), xyz; there are"),
        ({"model": 3}, "model must be text, but it is 3"),
        ({"n_threads": 1.5}, "n_threads must be a whole number, but it is 1.5"),
        ({"n_threads": True}, "n_threads must be a whole number, but it is True"),
        ({"n_threads": 0}, "threads must be a number from 1 to 1024, but it is 0"),
        ({"only_cells": 1}, "only_cells must be True or False, but it is 1"),
        ({"existing": "replace"}, "existing must be one of error, skip, update, overwrite, but it is 'replace'"),
        ({"smoothing": "0.1"}, "smoothing must be a number, but it is '0.1'"),
        ({"smoothing": -1}, "smoothing must be a number from 0 to 20 s .0.05 is 50 ms., but it is -1"),
        ({"kernel": ["gaussian"]}, r"kernel must be one of gaussian, causal, but it is \['gaussian'\]"),
        ({"noise_level": ["x"]}, "noise_level must be a number, but it is 'x'"),
        ({"neuropil_coefficient": [0.7]}, r"neuropil_coefficient must be a number, but it is \[0.7\]"),
        ({"frame_rate": math.nan}, "frame_rate must be a number from 0.1 to 2000 Hz"),
        ({"frame_rate": 0.033}, "frames per second, not s per frame or kHz., but it is 0.033"),
        ({"neuropil_coefficient": 70}, "from 0 to 2 .0.7 is 70 %., but it is 70"),
        ({"offset": math.inf}, "offset must be a number from -1e.06 to 1e.06 counts, but it is inf"),
        ({"channel": "x"}, "suite2p has channels 1 and 2, not x"),
        ({"orientation": "rows"}, "orientation must be rois-first or frames-first, but it is 'rows'"),
        ({"baseline": "mean"}, "the baseline method must be one of percentile, maximin, constant, but it is 'mean'"),
    ],
)
def test_impossible_choices(given, message, tmp_path):
    with pytest.raises(InputError, match=message):
        parse_options(given)
    with pytest.raises(InputError, match=message):
        cascade_adapters.run(tmp_path, **given)  # before anything is looked for
