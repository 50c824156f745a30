"""Students: small networks that learn from a universal model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cascade_engine import infer, load_model
from cascade_engine.errors import InputError
from cascade_engine.ground_truth import simulate_dataset
from cascade_engine.networks.families import family_named
from cascade_engine.networks.student.config import StudentConfig
from cascade_engine.networks.training_loop import train_model
from cascade_engine.networks.universal.architecture import conditions, stated
from cascade_engine.networks.universal.batches import UniversalBatches
from cascade_engine.networks.universal.config import UniversalConfig
from cascade_engine.networks.universal.trainer import UniversalTrainer
from cascade_engine.signal.noise import noise_level_to_sd, sd_to_noise_level

SIZES = {
    "channels": [6, 8, 10], "context_channels": [6, 6], "context_size": 6, "frames_per_step": 1024, "crop_s": 10,
    "steps": 4, "warmup_steps": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def datasets():
    return [
        replace(simulate_dataset(n_neurons=3, duration_s=40, noise_level=0.5, seed=seed), name=f"data{seed}")
        for seed in range(2)
    ]


@pytest.fixture(scope="module")
def teacher(datasets, tmp_path_factory):
    """A universal model of two networks, each trained without one of the two datasets, and one for simulations."""
    pytest.importorskip("keras")
    config = UniversalConfig.from_dict(
        {
            **SIZES, "model_name": "teacher", "training_datasets": ["data0", "data1"], "frame_rates": [7.5, 30],
            "ensemble_size": 2, "folds": 2, "simulated_networks": 1, "simulated_datasets": 1, "gain": 1.2,
        }
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("models") / "teacher"
    return train_model(UniversalTrainer(config, datasets), folder, progress=False)


@pytest.fixture(scope="module")
def config(teacher):
    return StudentConfig.from_dict({**SIZES, "model_name": "student", "teacher": str(teacher.folder)})


@pytest.fixture(scope="module")
def student(config, datasets, tmp_path_factory):
    trainer = family_named("student").trainer(config, datasets)
    return train_model(trainer, tmp_path_factory.mktemp("models") / "student", progress=False)


def noise(n_neurons: int, n_frames: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((n_neurons, n_frames))).astype(np.float32)


def lessons(teacher, datasets, config):
    from cascade_engine.networks.student.lessons import Lessons

    clean = replace(config, disturbed_share=0.0, silent_share=0.0)
    batches = UniversalBatches(datasets, clean)
    return Lessons(teacher, batches, batches, config)


@pytest.mark.parametrize("stem", [1, 2, 4])
def test_onnx_gives_what_keras_gives(config, stem):
    from cascade_engine.networks.onnx_sessions import open_session
    from cascade_engine.networks.student.graph import build_student_graphs
    from cascade_engine.networks.student.keras_network import build_student
    from cascade_engine.networks.universal.keras_network import read_weights

    config = replace(config, stem=stem)
    network, rng = build_student(config), np.random.default_rng(0)
    network.set_weights([w + 0.1 * rng.standard_normal(w.shape).astype("f4") for w in network.get_weights()])
    dff, mask = noise(2, 128), (rng.random((2, 128)) > 0.1).astype("f4")
    known = conditions(30.0, np.array([0.1, 0.2]), False, 2)
    context, spikes = map(open_session, build_student_graphs(config, read_weights(network)))
    inputs = {"dff": dff, "conditions": known, "mask": mask}
    described = context.run(["context"], inputs)[0]
    found = spikes.run(["spike_prob"], inputs | {"context": described})[0]
    np.testing.assert_allclose(found, network.predict_on_batch([dff, known, mask]), atol=1e-5)


def test_what_the_teacher_decides_is_taken_over_and_can_be_changed(teacher, config):
    assert config.training_datasets == ("data0", "data1")
    assert (config.frame_rates, config.folds, config.channels) == ((7.5, 30), 2, (6, 8, 10))
    changed = StudentConfig.from_dict(
        {"model_name": "s", "teacher": str(teacher.folder), "frame_rates": [15], "folds": 0}
    )
    assert (changed.frame_rates, changed.folds) == ((15,), 0)


def test_a_teacher_of_another_family_is_refused(random_model):
    with pytest.raises(InputError, match=r"the teacher must be a universal model, but .* is of the windowed family"):
        StudentConfig.from_dict({"model_name": "s", "teacher": str(random_model.folder)})


def test_conditions_can_be_read_back():
    row = conditions(12.5, np.array([0.07]), True, 3)[0]
    assert stated(row) == pytest.approx((12.5, 0.07, True, 3), rel=1e-5)
    assert stated(conditions(12.5, np.array([0.07]), False)[0]).family == -1
    assert sd_to_noise_level(noise_level_to_sd(2.5, 30.0), 30.0) == pytest.approx(2.5)


@pytest.mark.parametrize("indicator", [None, "GCaMP6f"])
def test_the_teacher_is_asked_as_a_user_would_ask_it(teacher, datasets, config, indicator):
    # the noise level that a crop states is measured by `infer` too; without smoothing, both give the same
    dff, frame_rate = noise(2, 256), 30.0
    sd = noise_level_to_sd(2.0, frame_rate)
    known = conditions(frame_rate, np.array([sd, sd]), False, -1 if indicator is None else 2)
    taught = lessons(teacher, datasets, config).taught(dff, known, np.ones_like(dff))
    asked = infer(dff, frame_rate, model=teacher, noise_level=2.0, indicator=indicator, smoothing=0.0)
    np.testing.assert_allclose(taught, asked.spike_prob, rtol=1e-4, atol=1e-6)


def test_a_disturbed_trace_is_taught_the_spikes_of_the_clean_one(teacher, datasets, config):
    def batch(share):
        chosen = replace(config, disturbed_share=share, silent_share=0.0, rescaled_share=0.0)
        return lessons(teacher, datasets, chosen).batch(np.random.default_rng(5))

    (clean, _, _), clean_target = batch(0.0)
    (disturbed, _, mask), target = batch(1.0)
    assert np.mean(np.abs(disturbed - clean) > 1e-3) > 0.01
    np.testing.assert_allclose(target[..., 0], clean_target[..., 0] * mask, rtol=1e-5)
    assert not target[..., 1][mask == 0].any()


def test_noise_alone_is_taught_as_silence(teacher, datasets, config):
    chosen = replace(config, disturbed_share=0.0, silent_share=1.0, simulated_share=0.0)
    (dff, known, mask), target = lessons(teacher, datasets, chosen).batch(np.random.default_rng(1))
    assert not target[..., 0].any()
    sds = [stated(row).noise_sd for row in known]
    np.testing.assert_allclose([row[m > 0].std() for row, m in zip(dff, mask, strict=True)], sds, rtol=0.2)


def test_a_larger_trace_is_taught_what_the_teacher_makes_of_it(teacher, datasets, config):
    def batch(share):
        chosen = replace(config, disturbed_share=0.0, silent_share=0.0, rescaled_share=share)
        return lessons(teacher, datasets, chosen).batch(np.random.default_rng(2))

    (same, known, _), _ = batch(0.0)
    (rescaled, known_rescaled, mask), target = batch(1.0)
    factors = [np.median(b[m > 0] / a[m > 0]) for a, b, m in zip(same, rescaled, mask, strict=True)]
    assert np.std(np.log(factors)) > 0.05
    np.testing.assert_allclose(known_rescaled[:, 1] - known[:, 1], np.log(factors), atol=1e-4)
    taught = lessons(teacher, datasets, config).taught(rescaled, known_rescaled, mask)
    np.testing.assert_allclose(target[..., 0], taught, rtol=1e-5)


def test_a_batch_is_a_function_of_its_seed(teacher, datasets, config):
    drawn = [lessons(teacher, datasets, config).batch(np.random.default_rng(3)) for _ in range(2)]
    for one, other in zip([*drawn[0][0], drawn[0][1]], [*drawn[1][0], drawn[1][1]], strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_student_in_use_learned_from_everything_and_judges_have_not_seen_their_part(student):
    left_out = student.card["training"]["left_out"]
    assert [len(names) for names in left_out] == [0, 1, 1] and left_out[1] != left_out[2]
    assert not student.has_not_seen(["data0"])
    for name in ("data0", "data1"):
        judge = student.without([name])
        assert left_out[judge.members[0]] == [name]
    assert student.without(["data0", "data1"]) is None
    assert student.card["training"]["teacher"]["name"] == "teacher"


def test_the_network_that_is_asked_for_predicts(student):
    dff = noise(1, 300)
    found = [infer(dff, 30.0, model=model).spike_prob for model in (student, student.without(["data0"]))]
    assert all(np.isfinite(each).all() for each in found)
    assert not np.allclose(*found)
    reloaded = load_model(student.folder)
    np.testing.assert_array_equal(infer(dff, 30.0, model=reloaded).spike_prob, found[0])


def test_the_indicator_is_told_in_the_same_pass(student):
    dff = noise(1, 300)
    told = infer(dff, 30.0, model=student, indicator="GCaMP6s").spike_prob
    assert not np.allclose(told, infer(dff, 30.0, model=student).spike_prob)


def test_every_frame_has_a_prediction_except_missing_ones(student):
    dff = noise(1, 301)
    dff[0, 40:43] = np.nan
    found = infer(dff, 30.0, model=student).spike_prob
    np.testing.assert_array_equal(np.isnan(found), np.isnan(dff))


def test_a_teacher_that_has_seen_a_part_is_refused(teacher, datasets, config):
    wrong = replace(config, training_datasets=("data0", "data1"), folds=2, seed=0)
    trainer = family_named("student").trainer(wrong, datasets)
    trainer._left_out["judge_1"] = ["data0", "data1"]
    with pytest.raises(InputError, match="every network of the teacher teacher has seen some of data0, data1"):
        trainer.prepare()


def test_the_loss_asks_for_the_number_of_spikes(config):
    keras = pytest.importorskip("keras")
    from cascade_engine.networks.universal.loss import spike_loss

    target = np.zeros((1, 64, 2), dtype=np.float32)
    target[0, 20, 0], target[..., 1] = 5.0, 1e-6
    predicted = np.zeros((1, 64), dtype=np.float32)
    predicted[0, 20] = 2.0
    with_gain, without = (float(keras.ops.mean(spike_loss(config, weight)(target, predicted))) for weight in (1.0, 0.0))
    assert with_gain - without == pytest.approx(np.log(5.3 / 2.3) ** 2, rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stem": 3}, "stem must be 1, 2 or 4, but it is 3"),
        ({"gain_weight": -1}, "gain_weight must not be negative"),
        ({"simulated_share": 1.5}, "simulated_share must lie between 0 and 1"),
        ({"rescaled_share": -0.1}, "rescaled_share must lie between 0 and 1"),
        ({"folds": 9}, "folds must be 0, or from 2"),
    ],
)
def test_settings_are_checked(teacher, changes, message):
    with pytest.raises(InputError, match=message):
        StudentConfig.from_dict({"model_name": "s", "teacher": str(teacher.folder), **changes})
