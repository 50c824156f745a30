"""The configurations in ``examples/``."""

from pathlib import Path

from cascade_engine import load_model
from cascade_engine.networks.universal.config import UniversalConfig

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_configuration_of_the_shipped_model():
    config = UniversalConfig.from_yaml(EXAMPLES / "universal.yaml")
    assert load_model(config.model_name).config == config
