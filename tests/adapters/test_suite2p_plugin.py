"""The plugin for suite2p's GUI, without Qt: it loads with nothing, and never stops the GUI."""

from __future__ import annotations

import io
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from cascade_adapters.hooks.suite2p import run_on_folder
from cascade_adapters.hooks.suite2p_gui import CascadePlugin
from cascade_adapters.hooks.suite2p_gui.planes import mean_rates_hz, noise_levels, planes_shown, rates_hz, results_of
from cascade_adapters.hooks.suite2p_gui.shown_rates import ShownRates
from cascade_engine.errors import InputError
from tests.builders.suite2p_folders import make_recording

pytestmark = pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")


def test_the_gui_finds_it():
    (found,) = [each for each in entry_points(group="suite2p.plugin") if each.name == "cascade"]
    assert found.load() is CascadePlugin


def test_loading_it_imports_nothing_heavy():
    code = (
        "import sys; before = set(sys.modules); from cascade_adapters.hooks.suite2p_gui import CascadePlugin; "
        "plugin = CascadePlugin(object()); assert plugin.name == 'Spike rates (cascade)'; "
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith('cascade_adapters')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = set(done.stdout.strip("[]\n").replace("'", "").split(", "))
    assert done.returncode == 0, done.stderr
    assert not loaded & {"numpy", "scipy", "onnxruntime", "qtpy", "PyQt6", "click", "h5py", "suite2p", "yaml"}
    assert len(loaded) < 60, loaded


@pytest.mark.parametrize("parent", ["None", "3", "object()", "Broken()"])
def test_a_parent_that_is_no_window_is_one_line(parent):
    """In a process of its own, where there is no Qt."""
    code = f"""
import sys
sys.modules["qtpy"] = None
class Broken:
    def __getattr__(self, name):
        raise RuntimeError(name)
from cascade_adapters.hooks.suite2p_gui import CascadePlugin
CascadePlugin({parent}).trigger(False)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("cascade: The panel for spike rates cannot be opened: ModuleNotFoundError")


def rates_and_spikes() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((4, 50), np.float32), rng.exponential(9.0, (4, 50)).astype(np.float32)


def test_what_is_shown_cannot_be_changed_by_drawing():
    rates, own = rates_and_spikes()
    shown = ShownRates(rates, own)
    row = shown[2, :]
    row /= row.max()
    row *= 1000.0
    assert type(row) is np.ndarray
    assert np.array_equal(shown[:], rates)
    assert np.array_equal(own, rates_and_spikes()[1])
    assert np.allclose(shown.mean(axis=1), rates.mean(axis=1))


def test_what_is_saved_is_suite2ps_own(tmp_path):
    rates, own = rates_and_spikes()
    shown = ShownRates(rates, own)
    further = np.ones((1, 50), np.float32)
    np.save(tmp_path / "spks.npy", shown)
    np.savez(tmp_path / "spks.npz", spks=shown)
    file = io.BytesIO()
    scipy.io.savemat(file, {"spks": shown})
    assert np.array_equal(np.load(tmp_path / "spks.npy"), own)
    assert np.array_equal(np.load(tmp_path / "spks.npz")["spks"], own)
    assert np.array_equal(scipy.io.loadmat(file)["spks"], own)
    for joined, expected in [
        (np.concatenate((shown, further), axis=0), np.concatenate((own, further))),
        (np.concatenate((further, shown), axis=0), np.concatenate((further, own))),
        (np.vstack([shown, further]), np.vstack([own, further])),
        (np.append(shown, further, axis=0), np.append(own, further, axis=0)),
        (np.delete(shown, 1, 0), np.delete(own, 1, 0)),
    ]:
        assert type(joined) is np.ndarray
        assert np.array_equal(joined, expected)
    with pytest.raises(ValueError, match=r"rates of shape \(4, 50\) cannot stand for spikes of shape \(3, 50\)"):
        ShownRates(rates, own[:3])


def test_rates_of_several_planes(tmp_path, random_model):
    """Put together as the GUI does it: planes in natural order, shorter ones padded; 0 where nothing is predicted."""
    planes = make_recording(tmp_path, 2, n_rois=4, n_frames=600)
    folder = tmp_path / "suite2p"
    short = planes[1].fluorescence[:, :550].copy()
    short[3] = 7.0
    np.save(folder / "plane1" / "F.npy", short)
    np.save(folder / "plane1" / "Fneu.npy", planes[1].neuropil[:, :550])
    (folder / "plane1" / "ops.npy").write_bytes((folder / "plane0" / "ops.npy").read_bytes())
    traces = np.zeros((8, 600), np.float32)
    traces[:4], traces[4:, :550] = planes[0].fluorescence, short

    found = planes_shown(folder / "combined", traces)
    assert [plane.path.name for plane in found] == ["plane0", "plane1"]
    with pytest.raises(InputError, match="plane0 has no results yet"):
        results_of(found)
    run_on_folder(folder, model=str(random_model.folder))
    results = results_of(found)
    rates = rates_hz(results, 600)
    expected = [np.load(folder / f"plane{i}" / "cascade_spike_prob.npy") for i in range(2)]
    assert np.isnan(expected[1][3]).all() and np.isfinite(expected[1][0]).any()
    assert np.allclose(rates[:4], 30 * np.nan_to_num(expected[0]))
    assert np.allclose(rates[4:, :550], 30 * np.nan_to_num(expected[1]))
    assert not rates[4:, 550:].any() and not rates[7].any()
    means = mean_rates_hz(results)
    assert means[0] == pytest.approx(30 * np.nanmean(expected[0][0]), rel=1e-5) and np.isnan(means[7])
    levels = np.load(folder / "plane0" / "cascade_noise_levels.npy")
    assert np.array_equal(noise_levels(results)[:4], levels.astype(float))


@pytest.mark.parametrize("change", ["another row", "more rows", "fewer frames"])
def test_traces_that_are_not_those_of_the_folder(tmp_path, change):
    (plane,) = make_recording(tmp_path, 1, n_rois=4, n_frames=200)
    traces = plane.fluorescence.copy()
    assert [each.path for each in planes_shown(plane.folder, traces)] == [plane.folder]
    traces = {"another row": traces[::-1], "more rows": traces[[0, 1, 2, 3, 3]], "fewer frames": traces[:, :150]}[
        change
    ]
    with pytest.raises(InputError, match="holds other traces than this window: load the folder again"):
        planes_shown(plane.folder, traces)


def test_folders_without_planes(tmp_path):
    for folder in (tmp_path, tmp_path / "combined", Path("nowhere")):
        with pytest.raises(InputError, match="is no folder of a suite2p plane"):
            planes_shown(folder, np.zeros((3, 10)))
