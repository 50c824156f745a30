"""Writing a model of the published architecture: an ONNX file for each noise level."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from cascade_engine.errors import ModelError
from cascade_engine.networks.card import NetworkFile, write_model
from cascade_engine.networks.store import Model
from cascade_engine.networks.windowed.config import ModelConfig
from cascade_engine.networks.windowed.weights import NetworkWeights, build_onnx


def write_windowed_model(
    folder: str | os.PathLike,
    config: ModelConfig,
    networks: Mapping[float, Sequence[NetworkWeights]],
    details: Mapping[str, Any],
    further_files: Mapping[str, bytes] | None = None,
) -> Model:
    """Write a model of the published architecture.

    Parameters
    ----------
    folder : path
        Folder to create; it must not exist.
    config : ModelConfig
        Configuration.
    networks : mapping of float to sequence of NetworkWeights
        Ensemble for each noise level (percent per sqrt(Hz)).
    details, further_files
        As for `write_model`.

    Returns
    -------
    Model
        The model as written.

    Raises
    ------
    InputError
        If the folder exists.
    ModelError
        If the networks do not fit the configuration.
    """
    return write_model(folder, "windowed", config, network_files(config, networks), details, further_files)


def network_files(config: ModelConfig, networks: Mapping[float, Sequence[NetworkWeights]]) -> list[NetworkFile]:
    """The ONNX files of a model; parameters and errors are those of `write_windowed_model`."""
    files: list[NetworkFile] = []
    for level in sorted(networks):
        for network in networks[level]:
            if network.windowsize > config.windowsize:
                raise ModelError(
                    f"the networks of noise level {level:g} read {network.windowsize} frames, "
                    f"the configuration says {config.windowsize}"
                )
        content = build_onnx(networks[level], f"{config.model_name}, noise level {level:g}")
        files.append(({"noise_level": level, "members": len(networks[level])}, f"noise_{level:g}.onnx", content))
    return files
