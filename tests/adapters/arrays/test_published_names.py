"""Files made for the published toolbox: ``dF_traces`` is neurons x time, and nothing has to be said about it."""

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from cascade_adapters.cli import main
from cascade_adapters.containers.arrays import ArrayFile
from cascade_adapters.containers.base import Reading, Selection
from cascade_engine import infer
from tests.adapters.arrays.helpers import FRAMES_FIRST, RATE_GIVEN, read, refused
from tests.builders.array_files import RATE, make_dff, save_mat73

UNTOLD = Selection()


def save(folder, form: str, **variables):
    """Save variables as that toolbox takes them; in a ``.npy`` file as a dictionary."""
    path = folder / f"traces.{'mat' if form.startswith('mat') else form}"
    if form == "mat5":
        savemat(path, variables)
    elif form == "mat73":
        save_mat73(path, variables)
    elif form == "npz":
        np.savez(path, **variables)
    else:
        np.save(path, variables, allow_pickle=True)
    return path


@pytest.mark.parametrize("form", ["mat5", "mat73", "npz", "npy"])
@pytest.mark.parametrize("shape", [(3, 160), (160, 160), (200, 120)], ids=str)
def test_neurons_by_time_whatever_the_shape(tmp_path, form, shape):
    dff = make_dff(*shape)
    traces = read(save(tmp_path, form, dF_traces=dff), UNTOLD)
    np.testing.assert_array_equal(np.asarray(traces.dff[:]), dff)
    assert "rois-first (dF_traces has a neuron in each row" in traces.source


def test_from_the_command_to_the_results(tmp_path, random_model, capsys):
    """Right values, in the form of the input, without --orientation."""
    dff = make_dff()
    path = save(tmp_path, "mat5", dF_traces=dff)
    main(["run", str(path), "--frame-rate", str(RATE), "--model", str(random_model.folder)])
    assert "warning: " not in capsys.readouterr().out.replace("warning: this model", "")
    expected = infer(dff, RATE, random_model).spike_prob
    np.testing.assert_array_equal(loadmat(tmp_path / "traces_cascade.mat")["spike_prob"], expected)


@pytest.mark.parametrize("form", ["mat5", "mat73", "npz", "npy"])
def test_it_is_meant_whatever_is_beside_it(tmp_path, form):
    dff = make_dff()
    path = save(tmp_path, form, dF_traces=dff, spike_prob=np.zeros((3, 160)), raw=make_dff(seed=1) + 5)
    np.testing.assert_array_equal(np.asarray(read(path, UNTOLD).dff[:]), dff)
    other = read(path, Selection(key="raw", orientation="rois-first"), Reading(frame_rate=RATE, dff="compute"))
    np.testing.assert_array_equal(np.asarray(other.fluorescence[:]), make_dff(seed=1) + 5)


def test_in_a_struct(tmp_path):
    path = save(tmp_path, "mat5", session={"dF_traces": make_dff(), "frame_rate": RATE})
    traces = read(path, UNTOLD, Reading())
    np.testing.assert_array_equal(np.asarray(traces.dff[:]), make_dff())
    assert traces.frame_rate == RATE


def test_a_transposed_one_is_doubted(tmp_path):
    """By its name its rows are neurons; its numbers say otherwise, and so does the warning."""
    dff = make_dff(20, 400)
    path = save(tmp_path, "mat5", dF_traces=dff.T)
    found = read(path, UNTOLD)
    assert found.dff.shape == (400, 20)
    assert any("check the orientation" in remark for remark in found.remarks)
    said = read(path, FRAMES_FIRST)
    np.testing.assert_array_equal(np.asarray(said.dff[:]), dff)
    assert any("--orientation frames-first was followed, although dF_traces" in remark for remark in said.remarks)


def test_times_of_frames_say_more(tmp_path):
    dff = make_dff(20, 400)
    path = save(tmp_path, "mat5", dF_traces=dff.T, time_s=np.arange(400) / RATE)
    np.testing.assert_array_equal(np.asarray(read(path, UNTOLD, Reading()).dff[:]), dff)


def test_another_name_says_nothing(tmp_path):
    refused(save(tmp_path, "mat5", dF=make_dff()), "pass --orientation rois-first", UNTOLD, RATE_GIVEN)
    refused(save(tmp_path, "npz", dF_traces_z=make_dff()), "pass --orientation rois-first", UNTOLD, RATE_GIVEN)


def test_what_was_run_is_found_again(tmp_path, random_model):
    from tests.builders.running import run_one

    path = save(tmp_path, "npz", dF_traces=make_dff(), other=np.ones((3, 160)))
    run_one(ArrayFile(path), model=str(random_model.folder), frame_rate=RATE)
    container = ArrayFile(path)
    assert not container.is_stale() and container.results().record.container["variable"] == "dF_traces"
    assert (tmp_path / "traces_cascade.npz").is_file()
