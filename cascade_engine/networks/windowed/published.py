"""Importing models published for the original toolbox: Keras 2 (.h5), Keras 3 (.keras) and PyTorch (.pth) files.

Neither TensorFlow nor PyTorch is needed: the weights are plain arrays inside HDF5 or ZIP files.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections import defaultdict
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cascade_engine.errors import InputError, ModelError
from cascade_engine.file_formats.hdf5 import open_hdf5
from cascade_engine.file_formats.json_text import parse_json
from cascade_engine.file_formats.pickle_reader import PickleError, PickleReader, Reference
from cascade_engine.file_formats.unpacking import check_archive, check_unpacked
from cascade_engine.networks.store import Model, packaged_models, user_models
from cascade_engine.networks.windowed.config import ModelConfig
from cascade_engine.networks.windowed.weights import NetworkWeights
from cascade_engine.networks.windowed.writing import write_windowed_model

if TYPE_CHECKING:
    import h5py

_FILE_NAME = re.compile(r"Model_NoiseLevel_(?P<level>\d+(?:\.\d+)?)_Ensemble_(?P<member>\d+)\.(h5|keras|pth)")


def import_published(folder: str | os.PathLike, destination: str | os.PathLike | None = None) -> Model:
    """Convert a published model to this package's form.

    Parameters
    ----------
    folder : path
        Folder with ``config.yaml`` and files ``Model_NoiseLevel_{n}_Ensemble_{k}.h5``, ``.keras`` or ``.pth``.
    destination : path, optional
        Folder to create. Default: the model's folder name, among the user's models.

    Returns
    -------
    Model
        The imported model.

    Raises
    ------
    InputError
        If `folder` holds no published model, `destination` exists, or its default name is that of a packaged model.
    ModelError
        If a file cannot be read or holds another architecture.

    Notes
    -----
    The published code writes the output of a window one frame before the one that it was trained for. Here it is put on
    the frame that it was trained for, so predictions lie one frame later than the published ones.
    """
    folder = Path(folder)
    files: dict[float, dict[int, Path]] = defaultdict(dict)
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if match := _FILE_NAME.fullmatch(path.name):
            files[float(match["level"])].setdefault(int(match["member"]), path)
    if not files or not (folder / "config.yaml").is_file():
        raise InputError(
            f"{folder} holds no published model: expected config.yaml and files Model_NoiseLevel_n_Ensemble_k "
            "(.h5, .keras or .pth)"
        )
    if destination is None and folder.name in packaged_models():
        raise InputError(
            f"{folder.name} is also the name of a model that comes with the package, with other weights: give the "
            "imported one another name with --output FOLDER"
        )
    networks = {
        level: [read_published_network(members[member]) for member in sorted(members)]
        for level, members in files.items()
    }
    destination = Path(destination) if destination else user_models() / folder.name
    config = ModelConfig.from_yaml(folder / "config.yaml")
    config = replace(config, model_name=destination.name, noise_levels=tuple(sorted(files)))
    return write_windowed_model(
        destination,
        config,
        networks,
        details={
            "summary": "Imported from the published toolbox; the weights are those of its authors.",
            "origin": "imported",
            "licence": "GPL-3.0, as published",
            "citation": "Rupprecht et al. 2021, Nature Neuroscience 24:1324, doi:10.1038/s41593-021-00895-5",
        },
    )


def read_published_network(path: Path) -> NetworkWeights:
    """Read the weights of one published network; raises `ModelError` if it cannot be understood."""
    try:
        arrays = _READERS[path.suffix](path)
    except Exception as error:  # a damaged file can fail anywhere inside h5py, zipfile or pickle
        raise ModelError(f"{path} cannot be read as a published network: {error}") from None
    kernels, biases = arrays[0::2], arrays[1::2]
    if len(kernels) != 5 or kernels[3].ndim != 2 or kernels[4].ndim != 2 or kernels[4].shape[0] % len(biases[3]):
        raise ModelError(f"{path} holds another architecture: layers of shape {[array.shape for array in arrays]}")
    # dense layers act at single positions; the last one reads several, lined up position by position
    dense, last = kernels[3][np.newaxis], kernels[4].reshape(-1, len(biases[3]), 1)
    kernels = [np.asarray(kernel, dtype=np.float32) for kernel in (*kernels[:3], dense, last)]
    return NetworkWeights(tuple(kernels), tuple(np.asarray(bias, dtype=np.float32) for bias in biases))


def _read_h5(path: Path) -> list[np.ndarray]:
    """Kernels and biases in layer order, from a Keras 2 file."""
    arrays = []
    with open_hdf5(path) as file:
        weights = file["model_weights"]
        for layer in weights.attrs["layer_names"]:
            group = weights[layer]
            arrays += [_whole(group[name]) for name in group.attrs["weight_names"]]
    return arrays


def _read_keras(path: Path) -> list[np.ndarray]:
    """Kernels and biases in layer order, from a Keras 3 file."""
    import h5py

    arrays = []
    with zipfile.ZipFile(path) as archive:
        check_archive(archive)
        # weights are filed under class names, numbered in the order of the layers
        classes = {"Conv1D": "conv1d", "Dense": "dense"}
        counts: dict[str, int] = defaultdict(int)
        layers = parse_json(archive.read("config.json"))["config"]["layers"]
        with h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as file:
            for name in (classes.get(layer["class_name"]) for layer in layers):
                if name is None:
                    continue
                group = file["layers"][name if counts[name] == 0 else f"{name}_{counts[name]}"]["vars"]
                counts[name] += 1
                arrays += [_whole(group["0"]), _whole(group["1"])]
    return arrays


def _whole(dataset: h5py.Dataset) -> np.ndarray:
    check_unpacked(dataset.nbytes, dataset.id.get_storage_size())
    return dataset[()]


def _read_pth(path: Path) -> list[np.ndarray]:
    """Kernels and biases in layer order, from a PyTorch state dictionary, in Keras' order of axes."""
    with zipfile.ZipFile(path) as archive:
        check_archive(archive)
        index = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        root = index.removesuffix("data.pkl")
        state = PickleReader(archive.read(index), _find, lambda place: _storage(archive, root, place)).load()
    return [array.transpose() if array.ndim > 1 else array for array in state.values()]


def _find(module: str, name: str) -> Reference:
    """What makes up a dictionary of tensors; everything else in the pickle is refused."""
    try:
        return {
            ("collections", "OrderedDict"): Reference(lambda: {}),
            ("torch._utils", "_rebuild_tensor_v2"): Reference(_rebuild_tensor),
            ("torch", "FloatStorage"): Reference(_no_storage),  # it is only named
        }[module, name]
    except KeyError:
        raise PickleError(f"it refers to {module}.{name}") from None


def _no_storage(*_: object) -> None:
    raise PickleError("it makes numbers that lie nowhere")


def _storage(archive: zipfile.ZipFile, root: str, place: tuple) -> np.ndarray:
    """Numbers of a tensor, which lie in the archive."""
    return np.frombuffer(archive.read(f"{root}data/{place[2]}"), "<f4")


def _rebuild_tensor(storage: np.ndarray, offset: int, shape: tuple, strides: tuple, *_) -> np.ndarray:
    n_needed = offset + 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if max(n_needed, prod(shape)) > storage.size or offset < 0 or min(*shape, *strides, 0) < 0:
        raise PickleError("a tensor is larger than its data")
    strides_bytes = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, strides_bytes).copy()


_READERS = {".h5": _read_h5, ".keras": _read_keras, ".pth": _read_pth}
