"""A model with random weights: what it predicts is of no use, but comes about as with any other."""

from __future__ import annotations

import os
from pathlib import Path

from cascade_engine.networks.windowed.config import ModelConfig
from cascade_engine.networks.windowed.writing import write_windowed_model
from tests.builders.models import random_network


def make_model(folder: Path) -> Path:
    """Make the model, if it is not there; returns its folder."""
    if not folder.exists():
        config = ModelConfig("random", 30.0, ("none",), noise_levels=(1, 2, 4), ensemble_size=1)
        networks = {level: [random_network(int(10 * level), config)] for level in config.noise_levels}
        part = folder.with_name(f"{folder.name}.part")
        write_windowed_model(part, config, networks, {"summary": "random weights"})
        os.replace(part, folder)
    return folder
