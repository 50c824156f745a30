"""The plugin in suite2p's real GUI, drawn to memory: running, cancelling, showing, merging, closing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.hooks.suite2p_gui.shown_rates import ShownRates
from tests.builders.suite2p_folders import hashes
from tests.builders.suite2p_gui import import_gui, make_gui_plane, wait_until

pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # of the GUI, where it divides by zero
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

RESULTS = {f"cascade_{name}.npy" for name in ("spike_prob", "dff", "noise_levels")} | {"cascade.json"}


@pytest.fixture(scope="module")
def gui(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield import_gui(tmp_path_factory.mktemp("home"), patch)


@pytest.fixture
def opened(gui, tmp_path, monkeypatch):
    """Return a function that opens the GUI on a plane and the panel, which has looked at it."""
    windows = []

    def open_window(stat: Path | None = None, **options) -> SimpleNamespace:
        stat = stat or make_gui_plane(tmp_path / "suite2p" / "plane0", settings=gui.default_settings(), **options)
        window = gui.MainWindow(statfile=str(stat))
        windows.append(window)
        assert window.loaded
        plugin = window.plugins["cascade"]
        (action,) = [each for each in menu(window, "&Plugins").actions() if each.text() == plugin.name]
        action.trigger()
        found = SimpleNamespace(window=window, panel=plugin.panel, folder=stat.parent, gui=gui)
        wait_until(gui, lambda: plugin.panel.job is None)
        return found

    yield open_window
    for window in windows:
        window.close()
        window.deleteLater()
    gui.application.processEvents()


def menu(window, title: str):
    return next(action.menu() for action in window.menuBar().actions() if action.text() == title)


def run(opened) -> None:
    opened.panel.run_button.click()
    wait_until(opened.gui, lambda: opened.panel.job is None)


def rates(folder: Path) -> np.ndarray:
    return np.nan_to_num(np.load(folder / "cascade_spike_prob.npy")) * np.float32(30.0)


def message(opened) -> str:
    """The text of the last dialog."""
    assert opened.panel.message is not None
    return opened.panel.message.text()


def test_looking_says_what_inspect_says_and_writes_nothing(opened, gui, tmp_path):
    stat = make_gui_plane(tmp_path / "plane0", settings=gui.default_settings())
    before = hashes(tmp_path)
    found = opened(stat)
    text = found.panel.text.toPlainText()
    assert "6 ROIs (4 cells) x 900 frames" in text and "frame rate 30 Hz (fs in ops.npy)" in text
    assert "results: none" in text
    assert found.panel.state.text() == "The GUI shows suite2p's own spikes. There are no results yet."
    assert found.panel.run_button.isEnabled() and not found.panel.rates_button.isEnabled()
    assert hashes(tmp_path) == before


def test_a_run_is_that_of_the_command_and_is_shown(opened):
    found = opened(n_frames=1500)
    own, before = found.window.Spks, hashes(found.folder)
    kept = own.copy()
    run(found)
    assert found.panel.message is None
    after = hashes(found.folder)
    assert set(after) - set(before) == RESULTS
    assert {name: after[name] for name in before} == before
    assert found.panel.progress.value() == 1000
    assert "6 ROIs (4 cells) x 1500 frames at 30 Hz" in found.panel.text.toPlainText()

    # shown in place of suite2p's
    window = found.window
    assert isinstance(window.Spks, ShownRates) and np.allclose(window.Spks[:], rates(found.folder))
    assert window.windowTitle().endswith("spike rates of cascade are shown")
    assert window.comboBox.itemText(3) == "cascade rates"
    shown = rates(found.folder)[0]
    window.deconvOn, window.imerge = True, [0]
    window.update_plot()
    drawn = [item.yData for item in window.p3.listDataItems()]
    lowest, span = window.fmin, window.fmax - window.fmin
    assert any(np.allclose(each, shown / shown.max() * span + lowest, atol=1e-3 * span) for each in drawn)
    assert np.allclose(window.Spks[:], rates(found.folder))  # drawing has not scaled it

    # and back, the same array with the same values
    found.panel.own_button.click()
    assert window.Spks is own and np.array_equal(own, kept)
    assert "cascade" not in window.windowTitle() and window.comboBox.itemText(3) == "deconvolved"
    assert found.panel.run_button.text() == "Run again" and found.panel.rates_button.isEnabled()


def test_the_same_results_as_the_command(opened, tmp_path):
    found = opened()
    shutil.copytree(found.folder, tmp_path / "copy" / "plane0")
    run(found)
    from cascade_adapters.hooks.suite2p import run_on_folder

    run_on_folder(tmp_path / "copy")
    for name in RESULTS - {"cascade.json"}:
        assert np.array_equal(np.load(found.folder / name), np.load(tmp_path / "copy/plane0" / name), equal_nan=True)


def test_options_of_the_panel(opened):
    found = opened()
    found.panel.frame_rate.setText("15.5")
    found.panel.indicator.setCurrentText("GCaMP6s")
    found.panel.population.setCurrentText("interneurons")
    found.panel.only_cells.setChecked(True)
    run(found)
    record = json.loads((found.folder / "cascade.json").read_text())
    assert record["recording"]["frame_rate_hz"] == 15.5
    assert (record["settings"]["indicator"], record["settings"]["population"]) == ("GCaMP6s", "interneurons")
    assert set(record["rois"]["without_prediction"]) == {"2", "5"}
    # the network has no rates for ROIs that are no cells: they are shown as 0, and drawing them is no error
    assert not found.window.Spks[2].any()
    found.window.imerge = [2]
    found.window.update_plot()
    found.window.imerge = [0, 1, 2]
    found.window.activityMode = 3
    found.window.update_plot()
    assert np.isfinite(found.window.Spks[:]).all()


@pytest.mark.parametrize(
    "typed, said", [("fast", "must be a number, in Hz, but it is 'fast'"), ("-3", "frame_rate"), ("1e9", "frame_rate")]
)
def test_what_is_wrong_is_one_line_in_a_dialog(opened, typed, said):
    found = opened()
    before = hashes(found.folder)
    found.panel.frame_rate.setText(typed)
    run(found)
    assert said in message(found) and "\n" not in message(found)
    assert hashes(found.folder) == before
    assert found.panel.run_button.isEnabled()


def test_a_failed_run_is_said_and_writes_nothing(opened):
    found = opened()
    np.save(found.folder / "Fneu.npy", np.zeros((6, 10), np.float32))
    before = hashes(found.folder)
    run(found)
    assert "F.npy has the shape (6, 900), but Fneu.npy has (6, 10)" in message(found)
    assert hashes(found.folder) == before
    assert not found.window.windowTitle().endswith("shown")


def test_results_that_are_there_are_offered_and_stale_ones_said(opened, gui, tmp_path, random_model):
    from cascade_adapters.hooks.suite2p import run_on_folder

    stat = make_gui_plane(tmp_path / "plane0", settings=gui.default_settings())
    run_on_folder(tmp_path, model=str(random_model.folder))
    found = opened(stat)
    assert found.panel.state.text().endswith("There are results: 'Show rates' shows them.")
    assert ", up to date" in found.panel.text.toPlainText()
    found.panel.rates_button.click()
    assert np.allclose(found.window.Spks[:], rates(stat.parent))
    found.panel.own_button.click()

    np.save(stat.parent / "Fneu.npy", np.load(stat.parent / "Fneu.npy") + 1)
    found.panel.look()
    wait_until(gui, lambda: found.panel.job is None)
    assert "stale (the traces have changed since)" in found.panel.text.toPlainText()
    assert "stale" in found.panel.state.text()


def test_cancelling_takes_everything_back(opened):
    found = opened(n_rois=12, n_frames=20_000)
    before = hashes(found.folder)
    found.panel.run_button.click()
    wait_until(found.gui, lambda: found.panel.progress.value() > 0)
    assert not found.panel.run_button.isEnabled()
    found.panel.cancel_button.click()
    wait_until(found.gui, lambda: found.panel.job is None)
    assert found.panel.state.text().startswith(
        "Cancelled: what was not finished was not written. The GUI shows suite2p"
    )
    assert hashes(found.folder) == before
    assert not isinstance(found.window.Spks, ShownRates)


def test_closing_the_window_takes_everything_back(opened):
    found = opened(n_rois=12, n_frames=20_000)
    before = hashes(found.folder)
    found.panel.run_button.click()
    wait_until(found.gui, lambda: found.panel.progress.value() > 0)
    job = found.panel.job
    found.window.close()
    assert not job.is_running
    found.gui.application.processEvents()
    assert hashes(found.folder) == before


def merge(found, rois: list[int]) -> None:
    """What the GUI does when its user merges ROIs, after the question whether to do so."""
    from suite2p.gui import io
    from suite2p.gui.merge import merge_activity_masks

    found.window.ichosen, found.window.imerge = rois[0], list(rois)
    merge_activity_masks(found.window)
    found.window.update_plot()
    io.save_merge(found.window)


def test_merging_keeps_suite2ps_spikes_and_makes_results_stale(opened):
    found = opened()
    original = found.window.Spks.copy()  # the GUI has scaled the row that it draws
    run(found)
    for roi in range(6):
        found.window.imerge = [roi]
        found.window.update_plot()
    merge(found, [0, 1])
    stored = np.load(found.folder / "spks.npy")
    assert stored.shape == (7, 900) and np.array_equal(stored[:6], original)
    assert not isinstance(found.window.Spks, ShownRates)
    wait_until(found.gui, lambda: "stale" in found.panel.text.toPlainText())
    assert "cascade" not in found.window.windowTitle()
    found.panel.rates_button.click()
    assert message(found).endswith("are of 6 ROIs and 900 frames, but there are now 7 and 900: press 'Run again'")
    run(found)
    assert np.load(found.folder / "cascade_spike_prob.npy").shape == (7, 900)
    assert np.allclose(found.window.Spks[:], rates(found.folder))
    assert np.array_equal(np.load(found.folder / "spks.npy"), stored)


def test_spks_that_hold_rates_of_ours(opened, gui, tmp_path, random_model):
    """They stay replaced, with the new rates, and the GUI has those: a merge writes no rates of an earlier run."""
    from cascade_adapters.hooks.suite2p import run_on_folder

    stat = make_gui_plane(tmp_path / "plane0", settings=gui.default_settings())
    original = np.load(stat.parent / "spks.npy")
    run_on_folder(tmp_path, model=str(random_model.folder), replace_spikes=True)
    found = opened(stat)
    assert found.panel.state.text().startswith("The GUI shows what spks.npy holds, rates of cascade. There are results")
    run(found)
    stored = np.load(stat.parent / "spks.npy")
    assert np.allclose(stored, rates(stat.parent), rtol=1e-6)
    assert np.array_equal(np.load(stat.parent / "spks_suite2p.npy"), original)
    assert found.panel.state.text().endswith("it takes what spks.npy holds, rates of cascade.")
    merge(found, [0, 1])
    described = Suite2pPlane(stat.parent).deconvolved()
    assert (described.holds, described.others) == ("both", [6])
    wait_until(gui, lambda: "in 6 of 7 rows" in found.panel.text.toPlainText())

    # run again: suite2p's own are back, with the row of the merged ROI, and the GUI has them
    merged = np.load(stat.parent / "spks.npy")[6:]
    run(found)
    expected = np.concatenate([original, merged])
    assert np.array_equal(np.load(stat.parent / "spks.npy"), expected)
    found.panel.own_button.click()
    found.window.imerge = [3]
    assert np.array_equal(found.window.Spks[[1, 2, 4, 5, 6]], expected[[1, 2, 4, 5, 6]])
    assert found.panel.state.text().startswith("The GUI shows suite2p's own spikes.")


def test_saving_as_matlab_keeps_suite2ps_spikes(opened):
    import scipy.io
    from suite2p.gui import io

    found = opened()
    original = found.window.Spks.copy()
    run(found)
    io.save_mat(found.window)
    assert np.array_equal(scipy.io.loadmat(found.folder / "Fall.mat")["spks"], original)


def test_colours(opened):
    found = opened()
    found.panel.only_cells.setChecked(True)
    run(found)
    found.panel.noise_button.click()
    assert found.panel.message is None
    levels = np.load(found.folder / "cascade_noise_levels.npy").astype(float)
    assert np.isnan(levels).any() != np.isfinite(levels).all()
    filled = np.where(np.isfinite(levels), levels, np.nanmax(levels))
    low, high = np.percentile(filled, [1, 99])
    assert np.allclose(found.window.colors["istat"][9], np.clip((filled - low) / (high - low), 0, 1), atol=1e-6)
    assert np.allclose(found.window.colors["colorbar"][9], [low, (low + high) / 2, high])
    assert found.window.ops_plot["color"] == 9
    assert np.array_equal(np.load(found.folder / "cascade_noise_levels.npy").astype(float), levels, equal_nan=True)

    found.panel.rate_colour_button.click()
    means = np.nan_to_num(np.nanmean(np.load(found.folder / "cascade_spike_prob.npy"), axis=1)) * 30
    low, high = np.percentile(means, [1, 99])
    assert np.allclose(found.window.colors["istat"][9], np.clip((means - low) / (high - low), 0, 1), atol=1e-5)
    assert means[2] == means[5] == found.window.colors["istat"][9][2] == 0


def test_another_plane_in_the_same_window(opened, gui, tmp_path):
    from suite2p.gui import io

    found = opened()
    run(found)
    other = make_gui_plane(tmp_path / "other" / "plane0", n_rois=4, settings=gui.default_settings(), seed=5)
    found.window.fname = str(other)
    io.load_proc(found.window)
    wait_until(gui, lambda: "4 ROIs" in found.panel.text.toPlainText())
    assert not isinstance(found.window.Spks, ShownRates)
    assert "cascade" not in found.window.windowTitle() and found.window.comboBox.itemText(3) == "deconvolved"
    assert found.panel.state.text() == "The GUI shows suite2p's own spikes. There are no results yet."


def test_all_planes_at_once(opened, gui, tmp_path):
    from suite2p.gui import io

    for plane in range(2):
        folder = tmp_path / "both" / f"plane{plane}"
        make_gui_plane(folder, n_rois=4, settings=gui.default_settings(), seed=plane)
        ops = np.load(folder / "ops.npy", allow_pickle=True).item()
        np.save(folder / "db.npy", ops, allow_pickle=True)
        of_run = {key: value for key, value in ops.items() if key in gui.default_settings()}
        np.save(folder / "settings.npy", of_run, allow_pickle=True)
        (folder / "ops.npy").unlink()
    found = opened()
    found.window.fname = str(tmp_path / "both")
    io.load_folder(found.window)
    wait_until(gui, lambda: found.panel.text.toPlainText().count("4 ROIs") == 2)
    run(found)
    expected = [rates(tmp_path / "both" / f"plane{plane}") for plane in range(2)]
    assert np.allclose(found.window.Spks[:], np.concatenate(expected))
    assert not list((tmp_path / "both" / "combined").glob("cascade*"))


def test_a_window_with_nothing_loaded(gui):
    window = gui.MainWindow(statfile=None)
    plugin = window.plugins["cascade"]
    plugin.trigger()
    assert plugin.panel.state.text() == "Nothing is loaded."
    assert not plugin.panel.run_button.isEnabled()
    window.close()


def test_the_record_says_the_same_as_the_command(opened):
    found = opened()
    run(found)
    record = Suite2pPlane(found.folder).record()
    assert record.model.name == "universal" and record.recording.frame_rate_source == "fs in ops.npy"
