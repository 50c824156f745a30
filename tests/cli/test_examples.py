"""The scripts and configurations in ``examples/``."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cascade_adapters.cli import main
from cascade_engine import load_model
from cascade_engine.networks.universal.config import UniversalConfig

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_configuration_of_the_shipped_model():
    config = UniversalConfig.from_yaml(EXAMPLES / "universal.yaml")
    assert load_model(config.model_name).config == config


def run(script: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run a script of the examples."""
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def ground_truth(tmp_path_factory):
    folder = tmp_path_factory.mktemp("truth") / "my_dataset"
    main(["ground-truth", "simulate", str(folder), "--neurons", "3", "--minutes", "2"])
    return folder


def medians(text: str) -> tuple[float, float, float]:
    correlation, error, bias = re.search(r"^median +(\S+) +(\S+) +(\S+)$", text, re.MULTILINE).groups()
    return float(correlation), float(error), float(bias)


def test_evaluate_the_universal_model(ground_truth):
    done = run("evaluate_a_model.py", ground_truth, "--noise-level", "2")
    assert done.returncode == 0, done.stderr
    correlation, error, bias = medians(done.stdout)
    assert correlation > 0.7 and 0 < error < 1 and abs(bias) < 0.6
    assert len(re.findall(r"^cell\d+ +2\.0 ", done.stdout, re.MULTILINE)) == 3


def test_train_on_own_ground_truth_and_refuse_to_judge_by_it(ground_truth, tmp_path):
    """The tiny model can be used, and is not judged by what it has learned from."""
    pytest.importorskip("keras")
    done = run("train_on_your_ground_truth.py", ground_truth, tmp_path / "mine", "--frame-rate", 30, "--quick")
    assert done.returncode == 0, done.stderr
    assert "my_dataset: 3 of 3 neurons can be used" in done.stdout
    model = load_model(tmp_path / "mine")
    assert (model.config.sampling_rate, model.config.training_datasets) == (30.0, ("my_dataset",))
    judged = run("evaluate_a_model.py", ground_truth, "--model", model.folder)
    assert judged.returncode == 1
    assert judged.stderr == f"{model.folder} was trained on my_dataset: its figures there would be too good\n"
    other = tmp_path / "other"
    main(["ground-truth", "simulate", str(other), "--neurons", "2", "--minutes", "2", "--seed", "5"])
    assert medians(run("evaluate_a_model.py", other, "--model", model.folder).stdout)[0] > 0.2


def test_scripts_say_how_they_are_used():
    for script in sorted(EXAMPLES.glob("*.py")):
        done = run(script.name, "--help")
        assert done.returncode == 0 and "FOLDER holds one file per neuron" in done.stdout, done.stderr


def test_scripts_end_in_one_line(tmp_path):
    for script, *options in (("evaluate_a_model.py",), ("train_on_your_ground_truth.py", "mine", "--frame-rate", "30")):
        done = run(script, tmp_path, *options)
        assert done.returncode == 1
        assert done.stderr == f"{tmp_path} holds no ground truth: expected a .mat, .npz or .csv file per neuron\n"
