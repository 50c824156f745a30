"""Configuration, cards, the store, and networks in their different forms."""

from dataclasses import replace

import numpy as np
import pytest
import yaml

from cascade_engine import InputError, ModelConfig, ModelError, list_models, load_model
from cascade_engine.networks.windowed.reader import read_networks
from cascade_engine.networks.windowed.weights import NetworkWeights, build_onnx
from cascade_engine.networks.windowed.writing import write_windowed_model

MINIMAL = {"model_name": "m", "sampling_rate": 30, "training_datasets": ["DS09"]}


def test_config_keeps_its_values():
    config = ModelConfig.from_dict(
        {**MINIMAL, "causal_kernel": 1, "noise_levels": [2, 3.5], "verbose": 1, "placeholder_1": 0}
    )
    assert config.kernel == "causal"
    assert config.noise_levels == (2, 3.5)
    assert ModelConfig.from_dict(yaml.safe_load(yaml.safe_dump(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampling_rat": 30}, "sampling_rat; did you mean sampling_rate"),
        ({"sampling_rate": 0}, "sampling_rate must be above zero"),
        ({"sampling_rate": 0.033}, r"sampling_rate must be .* Hz \(frames per second, not s per frame or kHz\)"),
        ({"smoothing": 50}, r"smoothing must be a number from 0 to 20 s \(0.05 is 50 ms\), but it is 50"),
        ({"noise_levels": [0.02, 2]}, "each of noise_levels must be a number from 0.05 to 100 % per sqrt"),
        ({"sampling_rate": "fast"}, "sampling_rate cannot be 'fast'"),
        ({"noise_levels": []}, "noise_levels"),
        ({"noise_levels": [1, 1]}, "twice"),
        ({"before_frac": 1}, "before_frac"),
        ({"filter_sizes": [31, 19]}, "three positive numbers"),
        ({"windowsize": 40}, "too short"),
        ({"ensemble_size": 2.5}, "ensemble_size cannot be 2.5"),
        ({"causal_kernel": 2}, "causal_kernel"),
        ({"smoothing": -1}, "smoothing"),
    ],
)
def test_bad_config_is_explained(change, message):
    with pytest.raises(InputError, match=message):
        ModelConfig.from_dict({**MINIMAL, **change})


def test_missing_keys_and_files_are_named(tmp_path):
    with pytest.raises(InputError, match="lacks sampling_rate, training_datasets"):
        ModelConfig.from_dict({"model_name": "m"})
    (tmp_path / "bad.yaml").write_text("a: [1")
    for name, message in {"bad.yaml": "is not YAML", "none.yaml": "cannot be read"}.items():
        with pytest.raises(InputError, match=message):
            ModelConfig.from_yaml(tmp_path / name)


def test_model_is_read_back(random_model, random_networks):
    model = load_model(random_model.folder)
    assert model.config == random_model.config
    assert model.fingerprint == random_model.fingerprint
    np.testing.assert_array_equal(model.noise_levels, [1, 2, 4])
    for level, networks in read_networks(model).items():
        for network, original in zip(networks, random_networks[level], strict=True):
            for array, expected in zip(
                (*network.kernels, *network.biases), (*original.kernels, *original.biases), strict=True
            ):
                np.testing.assert_array_equal(array, expected)


def test_damaged_weights_are_refused(tmp_path, random_config, random_networks):
    model = write_windowed_model(tmp_path / "m", random_config, random_networks, {})
    model.verify()
    path = model.folder / "noise_2.onnx"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"noise_2.onnx is not the file"):
        model.verify()
    path.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        model.read_network("2")


@pytest.mark.parametrize(
    "card", ["nonsense", "a: [", "format: 9", "{format: 1, networks: [], config: {}}", "{format: 1, networks: 5}"]
)
def test_damaged_cards_are_refused(tmp_path, card):
    (tmp_path / "card.yaml").write_text(card)
    with pytest.raises(ModelError):
        load_model(tmp_path)


def test_card_cannot_point_outside_its_folder(tmp_path, random_config, random_networks):
    model = write_windowed_model(tmp_path / "m", random_config, random_networks, {})
    card = yaml.safe_load((model.folder / "card.yaml").read_text())
    card["networks"][0]["file"] = "../secret.onnx"
    (model.folder / "card.yaml").write_text(yaml.safe_dump(card))
    with pytest.raises(ModelError, match="outside its folder"):
        load_model(model.folder)


def test_existing_folders_are_not_overwritten(random_model, random_config, random_networks):
    with pytest.raises(InputError, match="exists already"):
        write_windowed_model(random_model.folder, random_config, random_networks, {})


def test_failed_writing_leaves_nothing(tmp_path, random_config, random_networks):
    with pytest.raises(ModelError, match="read 64 frames"):
        write_windowed_model(tmp_path / "m", replace(random_config, windowsize=60), random_networks, {})
    assert list(tmp_path.iterdir()) == []


def test_names_are_found_among_the_user_s_models(monkeypatch, tmp_path, random_config, random_networks):
    monkeypatch.setenv("CASCADE_MODELS", str(tmp_path))
    write_windowed_model(tmp_path / "mine", replace(random_config, model_name="mine"), random_networks, {})
    assert list_models()["mine"] == tmp_path / "mine"
    assert load_model("mine").name == "mine"
    with pytest.raises(ModelError, match="did you mean mine"):
        load_model("mien")


def test_shipped_models_are_whole():
    names = list_models()
    assert "universal" in names
    for name in names:
        model = load_model(name)
        model.verify()
        assert model.name == name
        assert model.card["training"]["ground_truth"]


def test_weights_that_form_no_network_are_refused(random_networks):
    network = random_networks[1][0]
    with pytest.raises(ModelError, match="do not form a network"):
        NetworkWeights(network.kernels[:4], network.biases[:4])
    with pytest.raises(ModelError, match="do not form a network"):
        NetworkWeights((network.kernels[0], *network.kernels[:4]), network.biases)


def test_members_and_mean_of_the_graph(random_networks):
    import onnxruntime

    networks = random_networks[1]
    session = onnxruntime.InferenceSession(build_onnx(networks), providers=["CPUExecutionProvider"])
    dff = np.random.default_rng(0).standard_normal((3, 200)).astype(np.float32)
    mean, members = session.run(["spike_prob", "members"], {"dff": dff})
    assert mean.shape == (3, 137)
    assert members.shape == (3, 2, 137)
    np.testing.assert_allclose(members.mean(axis=1), mean, atol=1e-6)
    for i, network in enumerate(networks):
        alone = onnxruntime.InferenceSession(build_onnx([network]), providers=["CPUExecutionProvider"])
        np.testing.assert_allclose(alone.run(["spike_prob"], {"dff": dff})[0], members[:, i], atol=1e-6)
