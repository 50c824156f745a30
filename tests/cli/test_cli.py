"""The command ``cascade``: what it prints, what it returns, and how it fails."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cascade_engine
from cascade_adapters.cli import main
from tests.builders.suite2p_folders import change_settings, hashes, make_plane, make_recording

COMMANDS = ("run", "inspect", "restore", "models", "train", "ground-truth")


@pytest.fixture
def cascade(capsys):
    """Run the command in this process; returns exit status, standard output and standard error."""

    def call(*arguments) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            main([str(argument) for argument in arguments])
            status = 0
        except SystemExit as end:
            status = end.code or 0
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def run(cascade, random_model):
    """``cascade run`` with the random model."""
    return lambda *arguments: cascade("run", "--model", random_model.folder, *arguments)


def assert_one_line(text: str, *contents: str) -> None:
    """An explained failure: one line that names the program and holds what is expected."""
    assert text.count("\n") == 1 and text.startswith("cascade: "), text
    for content in contents:
        assert content in text


# ---------------------------------------------------------------------------------------------------------- the whole


def test_version_and_help(cascade):
    assert cascade("--version") == (0, f"cascade, version {cascade_engine.__version__}\n", "")
    for option in ("--help", "-h"):
        status, out, _ = cascade(option)
        assert status == 0
        assert all(re.search(rf"^  {name} +\w", out, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(cascade, name):
    status, out, _ = cascade(name, "--help")
    assert status == 0 and out.startswith(f"Usage: cascade {name}")


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["run"], ["run", "--nonsense", "x"], ["run", "x", "--threshold", "7"]]
)
def test_wrong_usage_is_exit_status_2(cascade, arguments):
    status, _, err = cascade(*arguments)
    assert status == 2 and "Usage: cascade" in err and "Traceback" not in err


def test_the_installed_command(tmp_path):
    """As a user calls it: in a process of its own."""
    program = shutil.which("cascade", path=str(Path(sys.executable).parent))
    start = [program] if program else [sys.executable, "-c", "from cascade_adapters.cli import main; main()"]
    result = subprocess.run([*start, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("cascade, version")
    result = subprocess.run([*start, "inspect", str(tmp_path)], capture_output=True, text=True)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert result.stderr.startswith(f"failed: {tmp_path} holds nothing to run on")


def test_an_interruption_is_told_in_one_line(cascade, monkeypatch, tmp_path):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("cascade_adapters.running.finding.find_all", interrupt)
    status, out, err = cascade("inspect", tmp_path)
    assert (status, out, err.strip()) == (130, "", "cascade: interrupted")


# -------------------------------------------------------------------------------------------- run, inspect and restore


def test_run_inspect_restore(tmp_path, run, cascade):
    make_recording(tmp_path, 2)
    before = hashes(tmp_path)

    status, out, err = cascade("inspect", tmp_path)
    assert (status, err) == (0, "")
    for text in ("suite2p, 6 ROIs (4 cells) x 900 frames, 30 s", "frame rate 30 Hz (fs in ops.npy)",
                 "neuropil coefficient 0.7", "(moderate)", "results: none"):  # fmt: skip
        assert out.count(text) == 2

    status, out, err = run(tmp_path, "--replace-spks")
    assert (status, err) == (0, "")
    assert out.count(": done\n") == 2 and out.endswith("2 done\n")
    assert out.count("cascade_spike_prob.npy") == out.count("spks_suite2p.npy") == 2
    assert "by random, " in cascade("inspect", tmp_path)[1]

    status, out, err = cascade("restore", tmp_path)
    assert (status, err) == (0, "")
    assert out.count("put back spks.npy") == 2
    assert hashes(tmp_path) == before
    status, out, _ = cascade("restore", tmp_path)
    assert (status, out) == (0, "nothing to restore\n")


def test_options_reach_the_record(tmp_path, run):
    plane = make_plane(tmp_path / "plane0")
    numbers = ["--frame-rate", 28.5, "--neuropil-coefficient", 0.4, "--noise-level", 2, "--threads", 1]
    baseline = ["--baseline", "maximin", "--baseline-window", 15, "--baseline-percentile", 20]
    status, _, _ = run(tmp_path, *numbers, *baseline, "--threshold", "none", "--only-cells", "--quiet")
    record = json.loads((plane.folder / "cascade.json").read_text())
    assert status == 0
    assert record["recording"]["frame_rate_hz"] == 28.5
    assert record["traces"] == {
        "source": "F.npy and Fneu.npy",
        "dff": "computed",
        "arbitrary_units": False,
        "denoised": False,
        "neuropil_coefficient": 0.4,
        "offset": 0.0,
        "baseline": {"method": "maximin", "window_s": 15.0, "percentile": 20.0, "neuropil": "changes"},
    }
    assert record["settings"]["noise_level"] == 2.0 and record["settings"]["threshold"] is False
    assert record["asked"]["only_cells"] is True and record["asked"]["frame_rate"] == 28.5
    # without a threshold the networks' own negative values stay
    assert np.nanmin(np.load(plane.folder / "cascade_spike_prob.npy")) < 0


def test_what_is_known_of_the_neurons_reaches_the_model(tmp_path, cascade):
    plane = make_plane(tmp_path / "plane0")
    status, _, err = cascade("run", tmp_path, "--population", "interneurons", "--indicator", "GCaMP6s")
    assert (status, err) == (0, "")
    record = json.loads((plane.folder / "cascade.json").read_text())
    assert record["settings"]["population"] == "interneurons" and record["settings"]["indicator"] == "GCaMP6s"
    status, _, err = cascade("run", tmp_path, "--indicator", "Fluo-4", "--existing", "overwrite")
    assert status == 1 and "the model does not know the indicator 'Fluo-4'" in err


def test_json_reports(tmp_path, run, cascade):
    make_recording(tmp_path, 2)
    status, out, err = run(tmp_path, "--json")
    assert (status, err) == (0, "")
    reports = json.loads(out)
    assert [report["status"] for report in reports] == ["done", "done"]
    assert reports[0]["n_rois"] == 6 and reports[0]["frame_rate_hz"] == 30.0
    status, out, _ = cascade("inspect", tmp_path, "--json")
    facts = json.loads(out)
    assert status == 0 and [fact["n_cells"] for fact in facts] == [4, 4]
    assert all("up to date" in fact["earlier_results"] for fact in facts)
    status, out, _ = run(tmp_path, tmp_path / "nowhere", "--json", "--existing", "skip")
    assert status == 1
    assert [report["status"] for report in json.loads(out)] == ["failed", "skipped", "skipped"]


def test_a_dry_run_writes_nothing_and_finds_the_problems(tmp_path, run):
    planes = make_recording(tmp_path, 2)
    (planes[1].folder / "F.npy").write_bytes(b"garbage")
    before = hashes(tmp_path)
    status, out, _ = run(tmp_path, "--dry-run", "--replace-spks")
    assert status == 1
    assert "plane0: planned" in out and "noise level" in out and "1 planned, 1 failed" in out
    assert hashes(tmp_path) == before


def test_a_batch_goes_on_after_a_failure_and_says_so(tmp_path, run):
    planes = make_recording(tmp_path, 3)
    (planes[1].folder / "F.npy").write_bytes(b"garbage")
    status, out, err = run(tmp_path)
    assert status == 1
    assert "2 done, 1 failed" in out
    assert err.count("\n") == err.count("plane1/F.npy cannot be read as an array") == 1
    assert [(plane.folder / "cascade.json").exists() for plane in planes] == [True, False, True]


def test_a_path_given_twice_is_run_once(tmp_path, run, monkeypatch):
    plane = make_plane(tmp_path / "plane0")
    monkeypatch.chdir(tmp_path)
    status, out, _ = run(tmp_path, plane.folder, plane.folder / "F.npy", ".", "plane0")
    assert status == 0 and out.count("done") == 1


def test_results_that_are_there(tmp_path, run):
    make_plane(tmp_path / "plane0")
    assert run(tmp_path)[0] == 0
    status, _, err = run(tmp_path)
    assert status == 1 and "pass --existing update, overwrite or skip" in err
    status, out, _ = run(tmp_path, "--existing", "skip")
    assert status == 0 and out.startswith("skipped: ")
    assert run(tmp_path, "--existing", "overwrite")[0] == 0


def test_an_unforeseen_failure_is_told_and_logged(tmp_path, run, monkeypatch):
    make_recording(tmp_path, 2)

    def fail(*args, **options):
        raise RuntimeError("a bug\nin two lines")

    monkeypatch.setattr("cascade_adapters.running.pipeline.infer_block", fail)
    status, _, err = run(tmp_path, "--log", tmp_path / "log.txt")
    assert status == 1
    assert err.count("unforeseen failure, please report it: RuntimeError: a bug in two lines") == 2
    assert (tmp_path / "log.txt").read_text().count("Traceback") == 2


def test_what_is_bad_in_a_plane_is_told(tmp_path, run):
    plane = make_plane(tmp_path / "plane0", frame_rate=10.0)
    f = plane.fluorescence.copy()
    f[2] = 0.0
    np.save(plane.folder / "F.npy", f)
    status, out, _ = run(tmp_path)
    assert status == 0
    assert "1 of 6 ROIs without prediction: F is zero throughout (ROI 2)" in out
    assert "warning: fs in ops.npy is 10 Hz" in out and "warning: the frame rate is 10 Hz but model random" in out


def test_the_second_channel(tmp_path, run, cascade):
    plane = make_plane(tmp_path / "plane0", second_channel=True)
    before = hashes(tmp_path)
    assert run(tmp_path)[0] == 0
    assert cascade("restore", tmp_path)[0] == 0
    assert run(tmp_path, "--channel", 2)[0] == 0
    assert (plane.folder / "cascade_chan2.json").exists() and not (plane.folder / "cascade.json").exists()
    assert run(tmp_path)[0] == 0
    assert cascade("restore", tmp_path)[0] == 0
    assert hashes(tmp_path) == before


# -------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("command", ["run", "inspect", "restore"])
@pytest.mark.parametrize("place", ["missing", "empty", "combined"])
def test_paths_without_recordings(tmp_path, cascade, random_model, command, place):
    make_recording(tmp_path / "recording", 2, n_rois=1, n_frames=30)
    (tmp_path / "empty").mkdir()
    path = tmp_path / {"combined": "recording/suite2p/combined"}.get(place, place)
    model = ["--model", random_model.folder] if command == "run" else []
    status, out, err = cascade(command, path, *model)
    assert status == 1
    told = out + err
    assert told.count("\n") == 1 and str(path) in told
    if place == "missing":
        assert "does not exist" in told
    elif place == "combined":
        assert f"repeats the planes beside it: pass {path.parent}" in told
    else:
        assert "looked for suite2p (folders with F.npy" in told and "except combined" in told


@pytest.mark.parametrize("command", ["run", "inspect"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "F.npy").write_bytes(b"garbage"), "F.npy cannot be read as an array"),
        (lambda folder: (folder / "F.npy").write_bytes(b""), "F.npy cannot be read as an array"),
        (
            lambda folder: (folder / "Fneu.npy").write_bytes(b"PK\x03\x04"),
            "Fneu.npy is an archive of arrays, not an array",
        ),
        (lambda folder: np.save(folder / "Fneu.npy", np.ones((2, 2))), "must come from the same run"),
        (lambda folder: (folder / "ops.npy").write_bytes(b"garbage"), "ops.npy cannot be read as settings"),
        (lambda folder: change_settings(folder, fs=None), "pass --frame-rate"),
        (lambda folder: (folder / "cascade.json").write_text("{"), "the record of the results is damaged"),
    ],
)
def test_damaged_planes_are_one_line(tmp_path, cascade, random_model, command, spoil, message):
    folder = make_plane(tmp_path / "plane0").folder
    spoil(folder)
    before = hashes(tmp_path)
    model = ["--model", random_model.folder] if command == "run" else []
    status, out, err = cascade(command, tmp_path, *model)
    assert status == 1
    assert (out + err).count("\n") == 1 and message in err and str(folder) in err and "unforeseen" not in out
    assert hashes(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--frame-rate", 0], "frame_rate must be a number from 0.1 to 2000 Hz"),
        (["--frame-rate", "nan"], "frame_rate must be a number from 0.1 to 2000 Hz"),
        (["--baseline-window", 0], "baseline_window must be a number from 2 to 3600 s"),
        (["--baseline-window", "inf"], "baseline_window must be a number from 2 to 3600 s"),
        (["--smoothing", 50], "smoothing must be a number from 0 to 20 s (0.05 is 50 ms), but it is 50"),
        (["--baseline-percentile", 120], "baseline_percentile must be a number from 0 to 90 %"),
        (["--neuropil-coefficient", "nan"], "neuropil_coefficient must be a number from 0 to 2"),
        (["--noise-level", "nan"], "noise_level must be a number from 0.05 to 100 % per sqrt(Hz)"),
    ],
)
def test_options_out_of_range(tmp_path, run, options, message):
    make_plane(tmp_path / "plane0")
    before = hashes(tmp_path)
    status, out, err = run(tmp_path, *options)
    assert (status, out) == (1, "")
    assert_one_line(err, message)
    assert hashes(tmp_path) == before


def test_an_unknown_model(tmp_path, cascade, random_model, monkeypatch):
    monkeypatch.setenv("CASCADE_MODELS", str(random_model.folder.parent))
    make_plane(tmp_path / "plane0")
    status, out, err = cascade("run", tmp_path, "--model", "randon")
    assert (status, out) == (1, "")
    assert_one_line(err, "there is no model randon: did you mean random?")
    assert_one_line(cascade("run", tmp_path, "--model", "xyz")[2], "'cascade models list' shows what there is")
    assert cascade("run", tmp_path, "--model", "random")[0] == 0


# ------------------------------------------------------------------------------------------------------------- models


def test_models_list_show_verify(cascade, random_model, monkeypatch):
    monkeypatch.setenv("CASCADE_MODELS", str(random_model.folder.parent))
    status, out, _ = cascade("models", "list")
    assert status == 0
    assert "random: 30 Hz, " in out and "noise levels 1, 2, 4, test" in out
    status, out, _ = cascade("models", "show", "random")
    assert status == 0 and out.startswith(f"# {random_model.folder}\n") and "summary: random weights" in out
    assert cascade("models", "verify", "random") == (0, "random: complete and unchanged\n", "")
    assert "random: complete and unchanged" in cascade("models", "verify")[1]


def test_a_damaged_model(tmp_path, cascade, random_model, run, monkeypatch):
    folder = tmp_path / "models" / "random"
    shutil.copytree(random_model.folder, folder)
    monkeypatch.setenv("CASCADE_MODELS", str(folder.parent))
    (folder / "noise_2.onnx").write_bytes(b"damaged")
    status, _, err = cascade("models", "verify", "random")
    assert status == 1
    assert_one_line(err, "noise_2.onnx is not the file that card.yaml describes")
    make_plane(tmp_path / "plane0")
    status, _, err = cascade("run", tmp_path / "plane0", "--model", "random", "--noise-level", 2)
    assert status == 1 and "noise_2.onnx is not the file" in err and "unforeseen" not in err
    (folder / "card.yaml").write_text("format: [")
    status, out, _ = cascade("models", "list")
    assert status == 0 and "card.yaml is not a model card" in out
    assert_one_line(cascade("models", "show", "random")[2], "card.yaml is not a model card")


@pytest.mark.parametrize("action", [["show"], ["verify"]])
def test_models_that_are_not_there(cascade, action):
    status, _, err = cascade("models", *action, "nowhere")
    assert status == 1
    assert_one_line(err, "there is no model nowhere")


def test_importing_what_is_no_published_model(tmp_path, cascade):
    for folder in (tmp_path / "missing", tmp_path):
        status, _, err = cascade("models", "import", folder)
        assert status == 1
        assert_one_line(err, str(folder), "holds no published model")
    (tmp_path / "config.yaml").write_text("model_name: x\n")
    (tmp_path / "Model_NoiseLevel_1_Ensemble_0.h5").write_bytes(b"garbage")
    status, _, err = cascade("models", "import", tmp_path, "--output", tmp_path / "out")
    assert status == 1
    assert_one_line(err, "Model_NoiseLevel_1_Ensemble_0.h5 cannot be read")
    assert not (tmp_path / "out").exists()


def test_a_published_model_must_be_imported_first(tmp_path, cascade):
    (tmp_path / "config.yaml").write_text("model_name: x\n")
    assert_one_line(cascade("models", "show", tmp_path)[2], "import it first with 'cascade models import")


# ------------------------------------------------------------------------------------------------------- ground truth


def test_ground_truth_simulated_checked_and_shown(tmp_path, cascade):
    folder = tmp_path / "gt" / "mine"
    status, out, err = cascade("ground-truth", "simulate", folder, "--neurons", 3, "--minutes", 1, "--noise-level", 2)
    assert (status, out, err) == (0, f"3 simulated neurons in {folder}\n", "")
    for place in (folder, folder.parent):
        status, out, err = cascade("ground-truth", "check", place)
        assert (status, err) == (0, "")
        assert re.match(r"mine: 3 of 3 neurons, 3.0 min, \d+ spikes\n", out)
    status, out, _ = cascade("ground-truth", "show", "mine", "--ground-truth", folder.parent)
    assert status == 0 and re.search(r"cell01 +1 +1\.0 +\d+ +30\.0 +2\.\d", out)
    status, out, _ = cascade("ground-truth", "list", "--ground-truth", folder.parent)
    assert status == 0 and re.search(r"own +mine +3 +3\.0 ", out) and "1 datasets in" in out
    assert re.search(r"DS09 +GCaMP6f .* not here", out)

    again = tmp_path / "gt" / "again"
    cascade("ground-truth", "simulate", again, "--neurons", 3, "--minutes", 1, "--noise-level", 2)
    for path in folder.iterdir():
        with np.load(path) as one, np.load(again / path.name) as other:
            np.testing.assert_array_equal(one["dff"], other["dff"])
    assert_one_line(cascade("ground-truth", "simulate", folder)[2], "exists already: choose another place")


def test_ground_truth_that_cannot_be_used(tmp_path, cascade):
    folder = tmp_path / "mine"
    cascade("ground-truth", "simulate", folder, "--neurons", 2, "--minutes", 1)
    (folder / "cell01.npz").write_bytes(b"garbage")
    status, out, err = cascade("ground-truth", "check", folder)
    assert status == 1
    assert "mine: 1 of 2 neurons" in out and "cell01.npz cannot be read" in out
    assert_one_line(err, "1 of 2 neurons cannot be used")


def test_ground_truth_that_is_not_there(tmp_path, cascade):
    for place in (tmp_path, tmp_path / "missing"):
        status, _, err = cascade("ground-truth", "check", place)
        assert status == 1
        assert_one_line(err, str(place), "holds no ground truth")
    status, _, err = cascade("ground-truth", "list", "--ground-truth", tmp_path / "missing")
    assert status == 1
    assert_one_line(err, "no ground truth in")
    status, _, err = cascade("ground-truth", "show", "DS99", "--ground-truth", tmp_path)
    assert status == 1
    assert_one_line(err, "there is no dataset DS99: did you mean")


@pytest.mark.parametrize("option", ["--minutes", "--frame-rate", "--noise-level", "--neurons"])
def test_simulations_that_make_no_sense(tmp_path, cascade, option):
    for value in ("0", "-1"):
        status, _, err = cascade("ground-truth", "simulate", tmp_path / "mine", option, value)
        assert status == 2 and option in err and "Traceback" not in err
    assert not (tmp_path / "mine").exists()


def test_a_place_that_cannot_be_written_to(tmp_path, cascade):
    (tmp_path / "file").write_text("")
    status, _, err = cascade("ground-truth", "simulate", tmp_path / "file" / "mine", "--neurons", 1, "--minutes", 0.5)
    assert status == 1
    assert_one_line(err, str(tmp_path / "file"))


def test_training_that_cannot_start(tmp_path, cascade):
    assert cascade("train", tmp_path / "missing.yaml")[0] == 2
    (tmp_path / "config.yaml").write_text("model_name: [")
    status, _, err = cascade("train", tmp_path / "config.yaml", "--ground-truth", tmp_path)
    assert status == 1
    assert_one_line(err, "config.yaml")


def test_public_ground_truth_is_described_without_its_data(cascade, tmp_path, monkeypatch):
    monkeypatch.setenv("CASCADE_GROUND_TRUTH", str(tmp_path / "nowhere"))
    status, out, _ = cascade("ground-truth", "show", "DS09")
    assert status == 0 and "doi:10.1038" in out and "cascade ground-truth fetch DS09" in out


def test_training_datasets_that_are_not_here(cascade, tmp_path):
    cascade("ground-truth", "simulate", tmp_path / "gt" / "mine", "--neurons", 1, "--minutes", 0.5)
    config = tmp_path / "config.yaml"
    config.write_text("{model_name: m, sampling_rate: 30, training_datasets: [DS09, mine]}")
    status, _, err = cascade("train", config, "--ground-truth", tmp_path / "gt")
    assert status == 1
    assert_one_line(err, "lacks the training datasets DS09-GCaMP6f-m-V1; it must be the folder above")
