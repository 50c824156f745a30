"""Importing published models: every file form, and agreement with what the published code predicts."""

import shutil
from collections import OrderedDict

import numpy as np
import pytest
from scipy.io import loadmat

from cascade_engine import InputError, ModelError, import_published, infer
from cascade_engine.networks.windowed.published import read_published_network
from tests.builders.models import random_network

#: The published code writes each output one frame before the frame that it was trained for.
SHIFT = 1

CASES = {
    "h5": ("OGB_zf_pDp_7.5Hz_smoothing200ms", "zebrafish-OGB1-7.5Hz-b", 7.5, ""),
    "pth": ("Global_EXC_30Hz_smoothing25ms", "allen-visual-coding-30Hz", 30.0, ""),
    "keras": ("Cascade_Universal_30Hz-keras3", "allen-visual-coding-30Hz", 30.0, "-first8"),
}


@pytest.mark.parametrize("form", CASES)
def test_agrees_with_the_published_code(form, shared, tmp_path):
    name, recording, frame_rate, suffix = CASES[form]
    model = import_published(shared(f"peer_models/{name}"), tmp_path / name)
    published = np.load(shared(f"peer_predictions/{name}__{recording}{suffix}.npy"))
    dff = loadmat(shared(f"containers/arrays/{recording}.mat"))["dF_traces"][: len(published)]
    ours = infer(dff, frame_rate, model).spike_prob
    known = np.isfinite(published[:, :-SHIFT])
    assert known.any(axis=1).sum() >= len(published) - 2
    np.testing.assert_allclose(ours[:, SHIFT:][known], published[:, :-SHIFT][known], atol=1e-4)
    # ours has one more frame: the last full window
    assert (np.isfinite(ours).sum(axis=1) - known.sum(axis=1)).max() == 1


def write_published(path, weights, config):
    """Write a network as the published toolbox does, with Keras or PyTorch itself."""
    if path.suffix == ".pth":
        torch = pytest.importorskip("torch")
        arrays = [array for pair in zip(weights.kernels, weights.biases, strict=True) for array in pair]
        arrays[6], arrays[8] = arrays[6][0], arrays[8].reshape(-1, 1)
        names = [f"{layer}.{kind}" for layer in ("conv1", "conv2", "conv3", "dense1", "dense2") for kind in "wb"]
        torch.save(OrderedDict(zip(names, (torch.tensor(array.T.copy()) for array in arrays), strict=True)), path)
        return
    pytest.importorskip("keras")
    from cascade_engine.networks.windowed.keras_network import build_window_network

    build_window_network(config, weights).save(path)


@pytest.mark.parametrize("form", CASES)
def test_reads_what_keras_and_pytorch_write(form, tmp_path, random_config):
    weights = random_network(5, random_config)
    path = tmp_path / f"Model_NoiseLevel_2_Ensemble_0.{form}"
    write_published(path, weights, random_config)
    found = read_published_network(path)
    for array, expected in zip(found.kernels + found.biases, weights.kernels + weights.biases, strict=True):
        np.testing.assert_array_equal(array, expected)


@pytest.fixture
def published_copy(shared, tmp_path):
    """A published model cut down to one file, to be damaged."""

    def copy(form):
        source = shared(f"peer_models/{CASES[form][0]}")
        folder = tmp_path / f"copy_{form}"
        folder.mkdir()
        shutil.copy(source / "config.yaml", folder)
        path = next(source.glob(f"*.{form}"))
        return shutil.copy(path, folder / path.name)

    return copy


@pytest.mark.parametrize("form", CASES)
@pytest.mark.parametrize("damage", ["cut", "empty", "garbage"])
def test_damaged_files_are_refused(form, damage, published_copy, tmp_path):
    path = published_copy(form)
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "garbage": b"x" * 5000}[damage])
    with pytest.raises(ModelError, match="cannot be read as a published network"):
        import_published(path.parent, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pickles_with_other_classes_are_refused(tmp_path):
    import io
    import pickle
    import zipfile

    folder = tmp_path / "evil"
    folder.mkdir()
    (folder / "config.yaml").write_text("{model_name: evil, sampling_rate: 30, training_datasets: [x]}")

    class Evil:
        def __reduce__(self):
            return (print, ("this must not run",))

    buffer = io.BytesIO()
    pickle.dump({"a": Evil()}, buffer)
    with zipfile.ZipFile(folder / "Model_NoiseLevel_2_Ensemble_0.pth", "w") as archive:
        archive.writestr("evil/data.pkl", buffer.getvalue())
    with pytest.raises(ModelError, match=r"builtins\.print"):
        import_published(folder, tmp_path / "out")


def test_folders_without_a_model_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no published model"):
        import_published(tmp_path)


def test_packaged_models_are_not_shadowed_by_accident(tmp_path):
    folder = tmp_path / "universal"
    folder.mkdir()
    (folder / "config.yaml").write_text("{}")
    (folder / "Model_NoiseLevel_2_Ensemble_0.h5").write_bytes(b"")
    with pytest.raises(InputError, match="comes with the package"):
        import_published(folder)
