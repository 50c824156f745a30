"""The demo, step by step, as 'make demo' runs it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(*command) -> str:
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_demo(tmp_path):
    pytest.importorskip("matplotlib")
    run(sys.executable, EXAMPLES / "make_recording.py", tmp_path)
    report = run(Path(sys.executable).with_name("cascade"), "run", tmp_path)
    assert "2 done" in report
    assert "warning" not in report
    text = run(sys.executable, EXAMPLES / "compare_with_truth.py", tmp_path)
    correlations = [float(value) for value in re.findall(r"true spikes (-?\d\.\d+)", text)]
    assert len(correlations) == 2
    assert min(correlations) > 0.5
    picture = (tmp_path / "traces.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 50_000


def test_configuration_of_the_shipped_model():
    from cascade_engine import load_model
    from cascade_engine.networks.universal.config import UniversalConfig

    config = UniversalConfig.from_yaml(EXAMPLES / "universal.yaml")
    assert load_model(config.model_name).config == config
