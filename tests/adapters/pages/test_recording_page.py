"""The page of a recording: its figures are those of the stored results, and it claims nothing that is not known."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

import cascade_adapters
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.pages.frames import left_out_spans
from cascade_adapters.pages.summary import MOST_BYTES
from cascade_adapters.results import Spikes
from cascade_engine import load_model
from cascade_engine.signal.frames import frame_mask, frame_text
from tests.builders.pages import Page
from tests.builders.running import made_up_record, made_up_results
from tests.builders.suite2p_folders import change_settings, hashes, make_plane

pytestmark = pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")

N_ROIS, N_FRAMES = 6, 900

#: Figures as a run notes them.
FIGURES = {
    "correlation": 0.71, "error": 0.93, "bias": -0.1, "absolute_bias": 0.5, "frame_rate_hz": 30.0, "smoothing_s": 0.05,
    "noise_level": 2.0, "correlation_range": [0.5, 0.9],
}  # fmt: skip

#: Parts of a record of which some facts are given; others are given as a whole.
PARTS = ("traces", "recording", "rois", "settings")

CLAIMS = ("very good", "decent", "poor", "missed, misplaced or added", "public ground-truth datasets")


def results_with(plane, spike_prob=None, dff=None, spikes=None, **changes):
    """Results that belong to the traces of a plane, with facts of the record as given, written into its folder."""
    container = Suite2pPlane(plane.folder)
    rng = np.random.default_rng(5)
    dff = plane.dff.astype(np.float32) if dff is None else dff
    if spike_prob is None:
        spike_prob = np.where(rng.random(dff.shape) < 0.05, rng.exponential(0.2, dff.shape), 0.0).astype(np.float32)
    record = made_up_record(*dff.shape)
    model = load_model("auto")
    record = replace(
        record,
        input=container.fingerprint(),
        model=replace(record.model, name=model.name, family=model.family, fingerprint=model.fingerprint),
        expected=FIGURES,
    )
    for part, values in changes.items():
        record = replace(record, **{part: replace(getattr(record, part), **values) if part in PARTS else values})
    levels = np.linspace(1.0, 3.5, len(dff))
    container.write(made_up_results(spike_prob, dff, levels, record, spikes))
    return container, spike_prob, dff


def page_of(folder) -> Page:
    (path,) = cascade_adapters.report(folder)
    return Page(path)


@pytest.fixture
def plane(tmp_path):
    return make_plane(tmp_path / "suite2p" / "plane0", N_ROIS, N_FRAMES)


def test_traces_of_a_real_run_come_back_from_the_page(plane, random_model):
    (done,) = cascade_adapters.run(plane.folder, model=str(random_model.folder))
    page = page_of(plane.folder)
    spike_prob, dff = np.asarray(done.results.spike_prob), np.asarray(done.results.dff)
    for roi in range(N_ROIS):  # a short recording: all of them in full
        shown_dff, shown_prob = page.detail(roi)
        np.testing.assert_allclose(shown_dff, dff[roi], atol=np.ptp(dff[roi]) / 60_000)
        np.testing.assert_allclose(shown_prob, spike_prob[roi], atol=np.nanmax(spike_prob[roi]) / 60_000)
        assert shown_prob.max() == pytest.approx(np.nanmax(spike_prob[roi]), rel=1e-6) or np.isnan(shown_prob).any()
    assert page.data["mean_hz"] == pytest.approx(np.nanmean(spike_prob, axis=1) * 30.0, abs=1e-4)
    assert page.data["noise"] == pytest.approx(done.record.rois.comparable_noise_levels, abs=0.006)
    assert page.data["not_cells"] == [2, 5]
    picked = [pick["cell"] for pick in page.data["picks"]]
    noise = np.array(page.data["noise"])
    cells = [0, 1, 3, 4]
    assert (picked[0], picked[-1]) == (cells[np.argmin(noise[cells])], cells[np.argmax(noise[cells])])
    assert random_model.name in page.section("run") and "30 Hz" in page.section("run")
    assert "@article{Rupprecht2021" in page.text


def test_bins_keep_every_peak(plane):
    _, spike_prob, dff = results_with(plane)
    page = page_of(plane.folder)
    size, n_bins = page.data["frames_per_bin"], page.data["n_bins"]
    assert (size, n_bins) == (2, 450)
    for roi in range(N_ROIS):
        low, high, most = page.bins(roi)
        true_dff, true_prob = dff[roi].reshape(n_bins, size), spike_prob[roi].reshape(n_bins, size)
        step = np.ptp(dff[roi]) / 254
        for shown, true, side in ((low, true_dff.min(axis=1), -1), (high, true_dff.max(axis=1), 1)):
            off = side * (shown - true)
            assert (off > -1e-5).all() and (off < step + 1e-5).all()
        off = most - true_prob.max(axis=1)
        assert (off > -1e-5).all() and (off < true_prob.max() / 254 + 1e-5).all()
        assert most.max() == pytest.approx(true_prob.max(), rel=1e-6)
    expected = spike_prob.reshape(N_ROIS, n_bins, size).mean(axis=(0, 2)) * 30.0
    assert page.data["population_hz"] == pytest.approx(expected, abs=1e-4)


def test_what_to_expect_is_what_the_record_holds(plane):
    results_with(plane, settings={"population": "principal"})
    page = page_of(plane.folder)
    words = page.section("expect")
    for part in (
        "0.71", "between 0.50 and 0.90", "For 10 true spikes, about 9 are missed, misplaced or added.", "10% too low",
        "at 30 Hz, noise level 2.0, 50 ms smoothing", "Simulated, not recorded", "noise level 2 at 30 Hz",
    ):  # fmt: skip
        assert part in words, part
    assert re.search(r"\b3 \d+ to \d+", words)  # counts, with their interval
    assert "Median 2.2 % per √Hz: decent" in page.section("noise")
    assert page.data["examples"]["true_spikes"]["0"]


def test_stale_results_claim_nothing(plane):
    results_with(plane)
    np.save(plane.folder / "F.npy", plane.fluorescence + 1)
    page = page_of(plane.folder)
    assert "These results are stale" in page.section("doubts") and "--existing overwrite" in page.section("doubts")
    assert_nothing_claimed(page)


@pytest.mark.parametrize(
    ("facts", "said"),
    [({"arbitrary_units": True}, "arbitrary units"), ({"denoised": True}, "denoised or smoothed")],
)
def test_arbitrary_units_and_denoised_traces_claim_nothing(plane, facts, said):
    results_with(plane, traces=facts)
    page = page_of(plane.folder)
    assert said in page.section("doubts")
    assert_nothing_claimed(page)
    if "arbitrary_units" in facts:
        assert page.data["unit"] == "arbitrary units" and page.data["noise"] == [None] * N_ROIS
        assert [pick["title"] for pick in page.data["picks"]] == ["Most active", "Median", "Least active"]


def test_smooth_traces_are_found_where_the_record_does_not_say_so(plane):
    smooth = np.apply_along_axis(lambda row: np.convolve(row, np.ones(5) / 5, "same"), 1, plane.dff)
    results_with(plane, dff=smooth.astype(np.float32))
    page = page_of(plane.folder)
    assert "are smoothed, interpolated" in page.section("warnings")
    assert_nothing_claimed(page)


def assert_nothing_claimed(page: Page) -> None:
    for name in ("glance", "noise", "expect"):
        words = page.section(name)
        assert not any(claim in words for claim in CLAIMS), words
    assert "examples" not in page.data and "0.71" not in page.section("glance")


def test_cells_without_prediction_say_why(plane):
    spike_prob = np.full((N_ROIS, N_FRAMES), 0.01, dtype=np.float32)
    spike_prob[[1, 4, 5]] = np.nan
    reasons = {1: "infinite dF/F in 3 frames", 4: "infinite dF/F in 20 frames", 5: "all values are missing"}
    results_with(plane, spike_prob, rois={"without_prediction": reasons, "guarded_frames": {0: 12, 2: 30}})
    page = page_of(plane.folder)
    assert page.data["reasons"] == {str(roi): reason for roi, reason in reasons.items()}
    assert [page.data["mean_hz"][roi] for roi in (1, 4, 5)] == [None] * 3
    words = page.section("left-out")
    assert "2 infinite dF/F in 3 to 20 frames 1, 4" in words and "1 all values are missing 5" in words
    assert np.isnan(page.detail(1)[1]).all() and np.isfinite(page.detail(1)[0]).all()
    assert "F0 lay below the noise in 2 ROIs, for 12 to 30 frames" in page.section("flags")
    assert {pick["cell"] for pick in page.data["picks"]} <= {0, 3}


def test_frames_that_do_not_count_are_on_the_axis_of_time(plane):
    excluded = {"marked as bad in ops.npy": "100-149", "named by --exclude-frames": "300"}
    recording = {"excluded_frames": excluded, "dropped_frames": {600: 3}, "segments": [450, 450]}
    spike_prob = np.full((N_ROIS, N_FRAMES), 0.02, dtype=np.float32)
    dff = plane.dff.astype(np.float32)
    for text in excluded.values():
        spike_prob[:, frame_mask(text, N_FRAMES)] = dff[:, frame_mask(text, N_FRAMES)] = np.nan
    dff[0, 700:790] = spike_prob[0, 700:790] = np.nan
    spikes = Spikes(np.array([0, 0]), np.array([10, 610]), np.array([10, 613]) / 30.0, np.ones(2))
    results_with(plane, spike_prob, dff, spikes, recording=recording)
    page = page_of(plane.folder)
    words = page.section("frames")
    for part in (
        "50 of 900 frames are left out: marked as bad in ops.npy.", "1 of 900 frames are left out: named by",
        "3 frames were dropped", "in some further frames dF/F is missing", "2 segments",
    ):  # fmt: skip
        assert part.lower() in words.lower(), part
    assert page.data["n_frames"] == N_FRAMES + 3
    spans = [[100 / 30, 150 / 30], [300 / 30, 301 / 30], [600 / 30, 603 / 30]]
    assert np.array(page.data["left_out"]) == pytest.approx(np.array(spans), abs=1e-3)
    assert page.data["borders_s"] == [15.0]
    shown = page.detail(1)[0]  # on the grid of time: NaN where nothing was recorded
    assert np.flatnonzero(np.isnan(shown)).tolist() == [*range(100, 150), 300, 600, 601, 602]
    assert page.data["spikes"]["0"] == pytest.approx([10 / 30, 613 / 30], abs=1e-3)  # the frame on the grid


def test_names_and_reasons_stay_text(tmp_path):
    bad = "<script>alert('x')</script><!-- & \u2028"
    plane = make_plane(tmp_path / "<b>&mouse" / "plane0", N_ROIS, N_FRAMES)
    spike_prob = np.full((N_ROIS, N_FRAMES), 0.01, dtype=np.float32)
    spike_prob[0] = np.nan
    results_with(
        plane,
        spike_prob,
        rois={"without_prediction": {0: bad}},
        recording={"indicator": bad, "frame_rate_source": bad},
        traces={"source": bad},
        warnings=[bad],
        asked={"key": bad},
    )
    page = page_of(plane.folder)
    assert "<script>alert" not in page.text and "<b>&mouse" not in page.text
    assert page.data["reasons"] == {"0": bad}
    assert " ".join(bad.split()) in page.section("warnings") and "<b>&mouse" in page.section("run")


def test_results_of_earlier_versions_have_a_page(plane):
    container, spike_prob, _ = results_with(plane)
    path = plane.folder / "cascade.json"
    now = json.loads(path.read_text())
    earlier = {
        "format": 1,
        "created": "2025-01-01T00:00:00+00:00",
        "software": {"cascade-spikes": "0.1.0"},
        "model": {"name": "universal", "kind": "universal", "smoothing_s": 0.05, "kernel": "gaussian"},
        "parameters": {"traces": "F.npy", "dff": "F0 of ours"},
        "recording": {"n_rois": N_ROIS, "n_frames": N_FRAMES, "frame_rate_hz": 30.0},
        "input": now["input"],
    }
    path.write_text(json.dumps(earlier))
    page = page_of(plane.folder)
    assert "0.1.0" in page.section("run") and "2025-01-01" in page.section("run")
    assert "The record holds no figures" in page.section("expect")
    np.testing.assert_allclose(page.detail(2)[1], spike_prob[2], atol=spike_prob[2].max() / 60_000)
    assert container.results() is not None


def test_a_page_is_no_data(plane, cascade):
    before = hashes(plane.folder)
    results_with(plane)
    container = Suite2pPlane(plane.folder)
    with_results = hashes(plane.folder)
    assert cascade("report", plane.folder)[0] == 0
    pages = set(hashes(plane.folder)) - set(with_results)
    assert {name.split("/")[-1] for name in pages} == {"cascade_report.html"}
    assert {name: digest for name, digest in hashes(plane.folder).items() if name not in pages} == with_results
    assert container.changes() == [] and len(cascade_adapters.find(plane.folder)) == 1
    assert cascade("report", plane.folder)[0] == 0  # again: ours is replaced
    status, out, _ = cascade("restore", plane.folder)
    assert status == 0 and "removed cascade_report.html" in out
    assert hashes(plane.folder) == before


def test_no_results_are_one_line(plane, cascade):
    status, out, err = cascade("report", plane.folder)
    assert (status, out) == (1, "")
    assert err == f"failed: {plane.folder} has no results to report: use 'cascade run' first\n"


def test_all_frames_of_the_rois_that_were_asked_for(plane, cascade):
    results_with(plane)
    assert cascade("report", plane.folder, "--rois", "3,5")[0] == 0
    status, _, err = cascade("report", plane.folder, "--rois", "6")
    assert status == 1 and "has no ROI 6: there are 6, counted from 0" in err
    status, _, err = cascade("report", plane.folder, "--rois", "three")
    assert status == 2 and "such as 3,17,250" in err


def test_changed_settings_are_named(plane, random_model):
    cascade_adapters.run(plane.folder, model=str(random_model.folder))
    change_settings(plane.folder, fs=15.0)
    assert "the frame rate was 30 Hz, and is 15 Hz now" in page_of(plane.folder).section("doubts")


def test_two_thousand_rois_are_less_than_5_mb(tmp_path):
    n_rois, n_frames = 2000, 27_000
    folder = tmp_path / "plane0"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("F", "cascade_dff", "cascade_spike_prob"):
        values = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, (n_rois, n_frames))
        values[:, :500] = rng.standard_normal((n_rois, 500), dtype=np.float32) ** 2
        del values
    np.save(folder / "cascade_noise_levels.npy", rng.uniform(0.5, 8.0, n_rois).astype(np.float32))
    np.save(folder / "ops.npy", np.array({"fs": 30.0, "neucoeff": 0.7}), allow_pickle=True)
    record = replace(made_up_record(n_rois, n_frames), input=Suite2pPlane(folder).fingerprint())
    (folder / "cascade.json").write_text(record.to_json())
    (path,) = cascade_adapters.report(folder)
    page = Page(path)
    assert path.stat().st_size < 5_000_000
    assert len(page.block("bins")) + len(page.block("details")) <= MOST_BYTES
    assert len(page.data["details"]) >= 3
    shown = page.detail(page.data["picks"][0]["cell"])[1]
    assert len(shown) == n_frames


def test_very_many_spans_are_drawn_together_and_none_is_lost():
    mask = np.zeros(100_000, dtype=bool)
    mask[::7] = True
    recording = replace(made_up_record(1, len(mask)).recording, excluded_frames={"every seventh": frame_text(mask)})
    spans = np.array(left_out_spans(recording)) * 30.0
    assert 0 < len(spans) <= 2001
    covered = np.zeros(len(mask) + 1, dtype=int)
    np.add.at(covered, np.rint(spans[:, 0]).astype(int), 1)
    np.add.at(covered, np.rint(spans[:, 1]).astype(int), -1)
    assert (np.cumsum(covered)[:-1][mask] == 1).all()


def test_a_recording_without_any_prediction_has_a_page(plane):
    reasons = dict.fromkeys(range(N_ROIS), "all values are missing")
    missing = np.full((N_ROIS, N_FRAMES), np.nan, dtype=np.float32)
    results_with(plane, missing, missing, rois={"without_prediction": reasons})
    page = page_of(plane.folder)
    assert "0 of 6" in page.section("glance") and page.data["picks"] == []
    assert "6 all values are missing 0, 1, 2, 3, 4, 5" in page.section("left-out")
