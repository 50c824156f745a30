"""``--json``: one list on standard output and nothing else, as the schema says, with the same names everywhere."""

import json
from pathlib import Path

import jsonschema
import pytest

from cascade_adapters.cli.json_output import json_schema
from tests.builders import array_files
from tests.builders.suite2p_folders import make_plane, make_recording

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "json_schema.json").read_text("utf-8"))


@pytest.fixture
def ask(cascade):
    """Run a command with --json; returns its status and what it printed, checked against the schema."""

    def call(*words):
        status, out, err = cascade(*words, "--json")
        assert err == ""
        found = json.loads(out, parse_constant=pytest.fail)
        jsonschema.validate(found, SCHEMA)
        return status, found

    return call


def test_the_schema_is_that_of_the_code():
    """``python docs/make_json_schema.py`` writes it anew."""
    assert json_schema() == SCHEMA
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for kind in SCHEMA["$defs"].values():
        assert all(len(each["description"]) > 3 for each in kind["properties"].values())


def test_reports(tmp_path, ask, random_model):
    make_recording(tmp_path, 2)
    model = ("--model", random_model.folder)
    status, inspected = ask("inspect", tmp_path, *model)
    assert status == 0 and [each["status"] for each in inspected] == ["found", "found"]
    status, planned = ask("run", tmp_path, *model, "--dry-run")
    assert [each["status"] for each in planned] == ["planned", "planned"]
    status, done = ask("run", tmp_path, *model)
    assert status == 0 and [each["status"] for each in done] == ["done", "done"]
    # what both know has the same name and value
    varying = {"status", "written", "earlier_results"}
    for name in set(inspected[0]) - varying:
        assert inspected[0][name] == planned[0][name] == done[0][name], name
    assert ask("run", tmp_path, *model, "--existing", "update")[1][0]["message"] == "results are up to date"
    status, found = ask("spikes", tmp_path)
    assert status == 0 and found[0]["n_spikes"] > 0
    for name in (
        "frame_rate_hz",
        "segments",
        "neuropil_coefficient",
        "offset",
        "n_dropped",
        "settings",
        "traces",
        "dff",
    ):
        assert found[0][name] == done[0][name], name
    status, restored = ask("restore", tmp_path)
    assert status == 0 and "removed cascade_dff.npy" in restored[0]["restored"]
    assert restored[0]["frame_rate_hz"] is restored[0]["offset"] is restored[0]["excluded_frames"] is None
    status, converted = ask("convert", tmp_path / "suite2p" / "plane0", tmp_path / "a.npz")
    assert status == 0 and converted[0]["n_rois"] == inspected[0]["n_rois"]


def test_failures_are_reports(tmp_path, ask):
    plane = make_plane(tmp_path / "plane0").folder
    for words in (
        ("run", plane, "--model", "nonsense"),
        ("run", plane, "--exclude-frames", "x"),
        ("inspect", plane, "--model", "nonsense"),
        ("inspect", tmp_path / "nowhere"),
        ("spikes", plane),
        ("restore", tmp_path / "nowhere"),
        ("convert", tmp_path / "nowhere", tmp_path / "a.npz"),
        ("models", "show", "nonsense"),
        ("ground-truth", "show", "nonsense"),
        ("ground-truth", "list", "--ground-truth", tmp_path / "nowhere"),
    ):
        status, (failed,) = ask(*words)
        assert status == 1 and failed["status"] == "failed" and len(failed["message"]) > 10, words
        assert failed["frame_rate_hz"] is failed["n_rois"] is failed["excluded_frames"] is None


def test_what_was_not_foreseen_is_a_report_too(tmp_path, ask, monkeypatch):
    def fail(*args, **options):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("cascade_engine.networks.store.load_model", fail)
    _, (failed,) = ask("models", "show", "universal")
    assert "unforeseen failure, please report it: ZeroDivisionError: a bug" in failed["message"]


def test_what_is_left_out(tmp_path, ask):
    path = array_files.save(tmp_path, "npy", array_files.make_dff())
    status, (report,) = ask(
        "inspect", path, "--orientation", "rois-first", "--frame-rate", 30, "--exclude-frames", "3-5"
    )
    assert status == 0 and report["excluded_frames"] == {"named by --exclude-frames": "3-5"}
    assert report["neuropil_coefficient"] is None and report["message"] is None and report["n_dropped"] == 0


def test_models(ask, monkeypatch, tmp_path):
    (listed,) = ask("models", "list")[1]
    (shown,) = ask("models", "show", "universal")[1]
    assert listed == shown and shown["name"] == "universal" and len(shown["trained_on"]) > 20
    assert shown["n_neurons"] > 100 and shown["licence"].startswith("BSD-3-Clause") and shown["asked_for"] is None
    (asked,) = ask("models", "show", "Global_EXC_7.5Hz_smoothing200ms")[1]
    assert asked["asked_for"] == "Global_EXC_7.5Hz_smoothing200ms" and asked["preset"]["smoothing"] == 0.2
    monkeypatch.setenv("CASCADE_MODELS", str(tmp_path))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "card.yaml").write_text("nonsense")
    assert {each["name"]: each["status"] for each in ask("models", "list")[1]} == {
        "universal": "found",
        "broken": "failed",
    }


def test_ground_truth(ask, cascade, tmp_path):
    status, found = ask("ground-truth", "list")
    assert status == 0 and len(found) > 30 and {each["path"] for each in found} == {None}
    assert cascade("ground-truth", "simulate", tmp_path / "mine", "--neurons", 2, "--minutes", 1)[0] == 0
    _, (shown,) = ask("ground-truth", "show", "mine", "--ground-truth", tmp_path)
    assert shown["n_neurons"] == len(shown["neurons"]) == 2 and shown["key"] is None
    assert shown["frame_rates_hz"] == [30.0, 30.0] and shown["minutes"] == pytest.approx(2.0, rel=0.01)
    assert sum(neuron["n_spikes"] for neuron in shown["neurons"]) == shown["n_spikes"] > 0
    (own,) = [each for each in ask("ground-truth", "list", "--ground-truth", tmp_path)[1] if each["path"]]
    assert own == {**shown, "neurons": None}


# ------------------------------------------------------------------------------------------------------- as text


def test_a_model_in_a_few_lines(cascade):
    status, out, _ = cascade("models", "show", "universal")
    lines = out.splitlines()
    assert status == 0 and 12 <= len(lines) <= 17
    for text in (
        "trained on ",
        " neurons of ",
        "accuracy ",
        "noise level 2: correlation 0.",
        "not for ",
        "licence ",
        "doi:",
    ):
        assert text in out
    card = cascade("models", "show", "universal", "--yaml")[1]
    assert card.startswith("# ") and "sha256:" in card and "sha256" not in out


def test_a_published_name_says_who_answers(cascade, tmp_path):
    name = "Global_EXC_30Hz_smoothing50ms"
    assert cascade("models", "show", name)[1].startswith(f"{name} is not here: universal answers for it, set to ")
    make_plane(tmp_path / "plane0")
    assert f"model universal (it answers for {name})" in cascade("inspect", tmp_path, "--model", name)[1]
