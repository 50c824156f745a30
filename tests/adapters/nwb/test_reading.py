"""NWB files: which series is taken, when its frames were taken, and what is said about files that cannot be used."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from pynwb import TimeSeries
from scipy.ndimage import uniform_filter1d

from cascade_adapters.containers.base import Reading, Selection
from cascade_adapters.containers.nwb import NwbRecording
from cascade_adapters.containers.registry import find_containers
from cascade_engine.errors import CascadeError, InputError
from cascade_engine.file_formats.atomic import sha256
from tests.builders.nwb_files import (
    IMAGE_SHAPE,
    N_FRAMES,
    N_ROIS,
    RATE,
    Session,
    allen_layout,
    caiman_layout,
    dff_traces,
    neuroconv_layout,
    raw_traces,
    simple,
    suite2p_layout,
)
from tests.builders.running import inspect_one

OPHYS = "/processing/ophys"
SERIES = f"{OPHYS}/Fluorescence/RoiResponseSeries"
TABLE = f"{OPHYS}/ImageSegmentation/PlaneSegmentation"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A simple file, to be copied."""
    return simple(tmp_path_factory.mktemp("nwb") / "simple.nwb")


@pytest.fixture
def changed(template, tmp_path):
    """Return a function that copies the simple file and changes the copy by h5py."""

    def change(edit, name: str = "changed.nwb") -> Path:
        path = tmp_path / name
        shutil.copyfile(template, path)
        with h5py.File(path, "r+") as file:
            edit(file)
        return path

    return change


def only(path: Path, **selection) -> NwbRecording:
    """The one recording in a file."""
    return NwbRecording(path, selection=Selection(**selection))


def replace_data(values):
    def edit(file):
        attributes = dict(file[f"{SERIES}/data"].attrs)
        del file[f"{SERIES}/data"]
        file[f"{SERIES}/data"] = values
        file[f"{SERIES}/data"].attrs.update(attributes)

    return edit


# ------------------------------------------------------------------------------------------------ choosing the series


def test_a_simple_file(template):
    traces = only(template).read()
    np.testing.assert_array_equal(traces.fluorescence, raw_traces())
    assert traces.fluorescence.dtype == np.float32 and traces.dff is None and traces.neuropil is None
    assert (traces.frame_rate, traces.frame_rate_source) == (RATE, f"rate of {SERIES}")
    assert traces.source == SERIES
    assert traces.segments is None and traces.is_cell is None and traces.remarks == []


def test_suite2p_has_planes_in_one_table(tmp_path):
    found = NwbRecording.find(suite2p_layout(tmp_path / "suite2p.nwb"))
    assert len(found) == 2 and len({plane.identity for plane in found}) == 2
    for number, plane in enumerate(found):
        traces = plane.read()
        np.testing.assert_array_equal(traces.fluorescence, raw_traces(seed=number))
        np.testing.assert_array_equal(traces.neuropil, raw_traces(seed=10 + number))
        assert traces.source == f"{OPHYS}/Fluorescence/plane{number}, neuropil {OPHYS}/Neuropil/plane{number}"
        assert traces.neuropil_coefficient == 0.7 and traces.frame_rate == RATE
        # the wrong rate of the movie is nowhere believed
        (remark,) = traces.remarks
        assert "is 30 Hz, and there are 2 planes" in remark
        expected = np.arange(number * N_ROIS, (number + 1) * N_ROIS) % 3 != 2
        np.testing.assert_array_equal(traces.is_cell, expected)
        assert traces.cell_probability[0] == pytest.approx(number * N_ROIS / (2 * N_ROIS - 1))


def test_the_second_channel_of_suite2p(tmp_path):
    path = suite2p_layout(tmp_path / "suite2p.nwb", n_planes=1, second_channel=True)
    assert only(path).read().source.startswith(f"{OPHYS}/Fluorescence/plane0, neuropil {OPHYS}/Neuropil/plane0")
    traces = only(path, channel=2).read()
    np.testing.assert_array_equal(traces.fluorescence, raw_traces(seed=30))
    np.testing.assert_array_equal(traces.neuropil, raw_traces(seed=40))


@pytest.mark.parametrize("generation", ["old", "new"])
def test_both_generations_of_neuroconv(tmp_path, generation):
    container = only(neuroconv_layout(tmp_path / "neuroconv.nwb", generation))
    traces = container.read()
    np.testing.assert_array_equal(traces.fluorescence, raw_traces())
    np.testing.assert_array_equal(traces.neuropil, raw_traces(seed=10))
    assert traces.is_cell.tolist() == [True, True, False] * 2
    np.testing.assert_array_equal(container.read(Reading(dff="container")).dff, dff_traces(seed=100))
    assert container.read(Reading(neuropil_coefficient=0.2)).neuropil_coefficient == 0.2


def test_planes_and_channels_of_neuroconv(tmp_path):
    path = neuroconv_layout(tmp_path / "a.nwb", suffixes=["Chan1Plane0", "Chan1Plane1", "Chan2Plane0"])
    found = NwbRecording.find(path)
    assert [plane.read().source for plane in found] == [
        f"{OPHYS}/Fluorescence/RoiResponseSeries{suffix}, neuropil {OPHYS}/Fluorescence/Neuropil{suffix}; "
        f"not used: {OPHYS}/DfOverF/RoiResponseSeries{suffix}"
        for suffix in ("Chan1Plane0", "Chan1Plane1")
    ]
    np.testing.assert_array_equal(found[1].read(Reading(dff="container")).dff, dff_traces(seed=101))


def test_allen_has_only_dff(tmp_path):
    container = only(allen_layout(tmp_path / "allen.nwb"))
    traces = container.read()
    np.testing.assert_array_equal(traces.dff, dff_traces())
    assert traces.source == f"{OPHYS}/dff/traces" and traces.is_cell.tolist() == [True, False] * 3
    with pytest.raises(InputError, match=r"has only dF/F .*leave out --dff compute"):
        container.read(Reading(dff="compute"))


def test_allen_with_raw_traces(tmp_path):
    container = only(allen_layout(tmp_path / "allen.nwb", with_raw=True))
    traces = container.read()
    assert traces.source == (
        f"{OPHYS}/demixed_trace/traces, neuropil {OPHYS}/neuropil_trace/traces; not used: {OPHYS}/dff/traces"
    )
    np.testing.assert_array_equal(traces.fluorescence, raw_traces(seed=3))
    np.testing.assert_array_equal(container.read(Reading(dff="container")).dff, dff_traces())


def test_caiman_is_fit_plus_residuals_over_its_background(tmp_path):
    traces = only(caiman_layout(tmp_path / "caiman.nwb")).read()
    raw = raw_traces()
    assert traces.source == f"{SERIES} plus {OPHYS}/residuals"
    # 3 counts of residuals on top of the fit, which lies above its own minimum
    np.testing.assert_allclose(traces.fluorescence, raw - raw.min(axis=1, keepdims=True), atol=20)
    assert np.std(traces.fluorescence - (raw - raw.min(axis=1, keepdims=True))) == pytest.approx(3, rel=0.1)
    # masks of ROIs and of background do not touch here
    assert traces.background.shape == raw.shape and not traces.background.any()
    assert traces.is_cell.tolist() == [True, False] * 3


def test_the_background_under_a_roi_is_the_weighted_mean_of_the_masks(tmp_path):
    path = caiman_layout(tmp_path / "caiman.nwb")
    with h5py.File(path, "r+") as file:
        masks = file[f"{TABLE}/image_mask"]
        masks[N_ROIS] = masks[0] * 3
        masks[N_ROIS + 1] = 2.0
    traces = only(path).read()
    background = 400 + raw_traces(2, seed=5)
    uniform = 2 * 1.5 / (0.5**2 + 1.0)
    np.testing.assert_allclose(traces.background[0], 3 * background[0] + uniform * background[1], rtol=1e-4)
    np.testing.assert_allclose(traces.background[3], uniform * background[1], rtol=1e-4)


def test_caiman_without_background_needs_consent(tmp_path):
    container = only(caiman_layout(tmp_path / "caiman.nwb", background=False))
    with pytest.raises(InputError, match=r"without the background.*--arbitrary-units"):
        container.read()
    traces = container.traces(Reading(arbitrary_units=True))
    assert traces.arbitrary_units and any("ARBITRARY UNITS" in text for text in traces.remarks)


def test_caiman_in_several_modules(tmp_path):
    found = NwbRecording.find(caiman_layout(tmp_path / "caiman.nwb", modules=["ophys", "ophys1"]))
    assert [one.read().source for one in found] == [
        f"{SERIES} plus {OPHYS}/residuals",
        "/processing/ophys1/Fluorescence/RoiResponseSeries plus /processing/ophys1/residuals",
    ]


def test_a_series_may_be_anywhere(tmp_path):
    session = Session()
    table = session.table()
    session.series(table, raw_traces(), "cells", "imaging of today", module="two photons, plane 3")
    assert only(session.save(tmp_path / "a.nwb")).read().source == (
        "/processing/two photons, plane 3/imaging of today/cells"
    )


@pytest.mark.parametrize(
    ("container", "name", "options"),
    [
        ("Fluorescence", "Neuropil", {}),
        ("Fneu", "plane0", {}),
        ("Fluorescence", "Deconvolved", {}),
        ("spks", "traces", {}),
        ("event_detection", "traces", {}),
        ("Fluorescence", "Denoised", {}),
        ("Fluorescence", "Background", {}),
        ("Fluorescence", "F0", {}),
        ("Fluorescence", "cells", {"description": "Array of denoised traces."}),
        ("Fluorescence", "cells", {"description": "Deconvolved by OASIS"}),
    ],
)
def test_never_inferred_on(tmp_path, container, name, options):
    session = Session()
    session.series(session.table(), raw_traces(), name, container, **options)
    path = session.save(tmp_path / "a.nwb")
    with pytest.raises(InputError, match=rf"no fluorescence of cells.*only .*{name}.*--series overrides"):
        only(path).read()
    traces = only(path, series=name).read()
    assert traces.source == f"{OPHYS}/{container}/{name}"
    assert traces.remarks[0].startswith(f"--series names {OPHYS}/{container}/{name}, although")


def test_series_names_one_by_its_end_or_its_path(tmp_path):
    path = neuroconv_layout(tmp_path / "a.nwb")
    assert only(path, series="DfOverF/RoiResponseSeries").read().dff is not None
    assert only(path, series=SERIES).read().fluorescence is not None
    assert only(path, series="Baseline").read().source.startswith(f"{OPHYS}/Fluorescence/Baseline")
    with pytest.raises(InputError, match=r"several series RoiResponseSeries: pass one of .*DfOverF/RoiResponseSeries"):
        only(path, series="RoiResponseSeries").read()
    with pytest.raises(InputError, match=r"has no series plane7; there are .*Fluorescence/Neuropil"):
        only(path, series="plane7").read()


def test_several_versions_of_the_same_traces_are_not_guessed_between(tmp_path):
    session = Session()
    table = session.table()
    for name in ("F_day1", "F_again"):
        session.series(table, raw_traces(), name)
    path = session.save(tmp_path / "a.nwb")
    with pytest.raises(InputError, match=r"several series of fluorescence of the same ROIs.*F_again.*F_day1.*--series"):
        only(path).read()
    assert only(path, series="F_day1").read().source.endswith("F_day1")


def test_several_sessions_of_the_same_rois_are_several_recordings(tmp_path):
    session = Session()
    table = session.table()
    session.series(table, raw_traces(), "first", starting_time=0.0)
    session.series(table, raw_traces(seed=1), "second", starting_time=1000.0)
    assert len(NwbRecording.find(session.save(tmp_path / "a.nwb"))) == 2


def test_corrected_fluorescence_is_taken_where_nothing_else_can_be_corrected(tmp_path):
    session = Session()
    table = session.table()
    session.series(table, raw_traces(), "raw")
    session.series(table, raw_traces(seed=1), "neuropil_corrected")
    traces = only(session.save(tmp_path / "a.nwb")).read()
    assert traces.source.endswith("neuropil_corrected") and "subtracted already" in traces.remarks[0]


def test_motion_correction_is_no_neuropil_correction(tmp_path):
    session = Session()
    session.series(session.table(), raw_traces(), "motion_corrected")
    assert only(session.save(tmp_path / "a.nwb")).read().remarks == []


def test_a_neuropil_that_is_not_certain_is_not_subtracted(tmp_path):
    session = Session()
    table = session.table()
    session.series(table, raw_traces(), "cells")
    session.series(table, raw_traces(seed=1), "neuropil_inner")
    session.series(table, raw_traces(seed=2), "neuropil_outer")
    traces = only(session.save(tmp_path / "a.nwb")).read()
    assert traces.neuropil is None and "nothing was subtracted" in traces.remarks[0]


def test_dff_of_some_cells_is_no_recording_of_its_own(tmp_path):
    session = Session()
    table = session.table()
    session.series(table, raw_traces())
    session.series(table, dff_traces(3), container="DfOverF", is_dff=True, rows=[0, 2, 4])
    container = only(session.save(tmp_path / "a.nwb"))
    assert container.read().fluorescence is not None
    with pytest.raises(InputError, match="has no dF/F for"):
        container.read(Reading(dff="container"))


def test_dff_in_percent_is_divided_where_the_unit_says_so(tmp_path):
    session = Session()
    session.series(session.table(), 100 * dff_traces(), container="DfOverF", is_dff=True, unit="percent")
    traces = only(session.save(tmp_path / "a.nwb")).read()
    np.testing.assert_allclose(traces.dff, dff_traces(), rtol=1e-5)
    assert "in percent" in traces.remarks[0]


@pytest.mark.parametrize(
    ("unit", "stored", "conversion", "said"),
    [
        ("percent", 100.0, 0.01, "was taken for a fraction"),  # what most mean by it
        ("percent", 10_000.0, 0.01, "divided by 100"),  # what NWB means by it
        ("% dF/F", 100.0, 1.0, "divided by 100"),
        ("%", 1.0, 100.0, "divided by 100"),
        ("fraction", 100.0, 0.01, ""),
    ],
)
def test_percent_and_conversion(tmp_path, unit, stored, conversion, said):
    session = Session()
    values = stored * dff_traces()
    session.series(session.table(), values, container="DfOverF", is_dff=True, unit=unit, conversion=conversion)
    traces = only(session.save(tmp_path / "a.nwb")).read()
    np.testing.assert_allclose(traces.dff[:], dff_traces(), rtol=1e-4, atol=1e-6)
    assert said in "; ".join(traces.remarks) and bool(said) == bool(traces.remarks)


def test_noisy_percent_with_a_conversion(tmp_path):
    """With more noise, values are possible in either unit: what most mean is taken, and told."""
    session, noisy = Session(), 0.6 * np.random.default_rng(0).standard_normal(dff_traces().shape).astype(np.float32)
    session.series(session.table(), 100 * noisy, container="DfOverF", is_dff=True, unit="percent", conversion=0.01)
    traces = only(session.save(tmp_path / "a.nwb")).read()
    np.testing.assert_allclose(traces.dff[:], noisy, rtol=1e-4, atol=1e-6)
    assert "conversion of 0.01 makes fractions" in traces.remarks[0]


def test_raw_fluorescence_that_is_dff_is_refused_unless_it_is_named(tmp_path):
    session = Session()
    session.series(session.table(), dff_traces())
    path = session.save(tmp_path / "a.nwb")
    with pytest.raises(InputError, match=r"cannot be turned into dF/F: .*unlike raw fluorescence; name it by --series"):
        only(path).read()
    named = only(path, series="RoiResponseSeries").read(Reading(dff="container"))
    np.testing.assert_array_equal(named.dff, dff_traces())
    assert only(path).traces(Reading(arbitrary_units=True)).arbitrary_units


@pytest.mark.parametrize("conversion", [1.0, 0.01])
def test_a_unit_of_percent_that_cannot_be_true_is_told(tmp_path, conversion):
    """Values are a fraction once `conversion` is applied, whatever the unit says."""
    session, dff = Session(), dff_traces()
    session.series(session.table(), dff / conversion, unit="percent", conversion=conversion, name="dff")
    traces = only(session.save(tmp_path / "a.nwb")).read()
    np.testing.assert_allclose(traces.dff, dff, rtol=1e-5)
    assert any("percent" in remark and "was taken for a fraction" in remark for remark in traces.remarks)


def test_raw_traces_stay_where_the_unit_of_their_dff_is_wrong(tmp_path):
    session, dff = Session(), dff_traces()
    table = session.table()
    session.series(table, 900 * (1 + dff))
    session.series(table, dff, "DfOverF", unit="percent")
    np.testing.assert_allclose(only(session.save(tmp_path / "a.nwb")).read().fluorescence, 900 * (1 + dff), rtol=1e-6)


RAW_AND_DFF = {
    "around_zero": (lambda dff: 1800 * dff - 60, None, "dff"),
    "above_zero_without_background": (lambda dff: 1800 * dff + 400, None, "dff"),
    "with_background": (lambda dff: 1800 * dff + 1800, None, "raw"),
    "dff_in_percent": (lambda dff: 1800 * dff - 60, lambda dff: 100 * dff, "dff"),
    "denoised": (lambda dff: 1800 * dff - 60, lambda dff: uniform_filter1d(dff, 9), "is not its dF/F"),
    "only_detrended": (lambda dff: 1800 * dff - 60, lambda dff: 1800 * dff, "is not its dF/F"),
}


@pytest.mark.parametrize("case", list(RAW_AND_DFF))
def test_raw_traces_that_lack_their_background_give_way_to_their_dff(tmp_path, case):
    make_raw, make_dff, expected = RAW_AND_DFF[case]
    dff = dff_traces().astype(float)
    session = Session()
    table = session.table()
    session.series(table, make_raw(dff))
    unit = "percent" if case == "dff_in_percent" else "n.a."
    session.series(table, dff if make_dff is None else make_dff(dff), "DfOverF", unit=unit)
    container = only(session.save(tmp_path / "a.nwb"))
    if expected not in ("raw", "dff"):
        with pytest.raises(InputError, match=f"{expected}; pass --dff container to use .*DfOverF all the same"):
            container.read()
        return
    traces = container.read()
    if expected == "raw":
        np.testing.assert_allclose(traces.fluorescence, make_raw(dff), rtol=1e-5)
        return
    np.testing.assert_allclose(traces.dff, dff, rtol=1e-4, atol=1e-6)
    assert traces.source.startswith("/processing/ophys/Fluorescence/DfOverF; not used: /processing/ophys/Fluor")


def test_no_dff_to_take(template):
    with pytest.raises(InputError, match=r"has no dF/F for .*leave out --dff container"):
        only(template).read(Reading(dff="container"))


def without_rois(path: Path, zarr: bool = False) -> Path:
    """Traces in plain time series: in order, turned round, and short with times that tell so; and something else."""
    session, times = Session(), np.arange(N_FRAMES) / RATE
    del session.nwbfile.processing["ophys"].data_interfaces["ImageSegmentation"]
    module = session.module("calcium")
    for name, data, given in (
        ("raw", raw_traces().T, {"rate": RATE, "starting_time": 2.0}),
        ("dff", dff_traces().T, {"rate": RATE}),
        ("turned", raw_traces(), {"rate": RATE}),
        ("timed", raw_traces().T[:5], {"timestamps": times[:5]}),
    ):
        module.add(TimeSeries(name=name, data=data, unit="n.a.", description="traces", **given))
    session.nwbfile.add_acquisition(TimeSeries(name="speed", data=np.arange(50.0), rate=10.0, unit="m/s"))
    return session.save(path, zarr)


def test_a_file_without_rois_says_what_it_has(tmp_path):
    path = without_rois(tmp_path / "a.nwb")
    (container,) = NwbRecording.find(path)
    expected = (
        r"a.nwb holds no series of ROIs \(RoiResponseSeries\), but other time series: /processing/calcium/dff "
        r"\(300, 6\), /processing/calcium/raw \(300, 6\), .*/acquisition/speed \(50,\); if one .*, pass it as --series"
    )
    with pytest.raises(InputError, match=expected):
        container.read()
    assert NwbRecording.find(tmp_path) == []
    with pytest.raises(InputError, match="holds no series of ROIs"):
        only(path, series="nothing").read()


@pytest.mark.parametrize("name", ["raw", "dff", "turned", "timed", "/acquisition/speed"])
def test_any_time_series_can_be_named(tmp_path, name):
    traces = only(without_rois(tmp_path / "a.nwb"), series=name).read()
    others = {"dff": dff_traces(), "timed": raw_traces()[:, :5], "/acquisition/speed": np.arange(50.0)[np.newaxis]}
    expected = others.get(name, raw_traces())
    np.testing.assert_allclose(traces.dff if name == "dff" else traces.fluorescence, expected, rtol=1e-6)
    assert traces.frame_rate == pytest.approx(10.0 if name.endswith("speed") else RATE)
    assert (traces.is_cell, traces.indicator) == (None, None)
    turned = any("(roi, time) instead of (time, roi)" in remark for remark in traces.remarks)
    assert turned == (name == "turned")


def test_2_0b(changed):
    container = only(changed(lambda file: file.attrs.update(nwb_version="2.0b")))
    np.testing.assert_array_equal(container.read().fluorescence, raw_traces())


# ------------------------------------------------------------------------------------------- values and their layout


def test_transposed_data_is_turned_round(changed):
    traces = only(changed(replace_data(raw_traces()))).read()
    np.testing.assert_array_equal(traces.fluorescence, raw_traces())
    assert traces.remarks == [f"{SERIES} holds (roi, time) instead of (time, roi): it was turned round"]


def test_one_dimension_is_one_roi(tmp_path):
    session = Session()
    session.series(session.table(1), raw_traces(1), data=raw_traces(1)[0])
    traces = only(session.save(tmp_path / "a.nwb")).read()
    np.testing.assert_array_equal(traces.fluorescence, raw_traces(1))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (raw_traces()[0], r"one dimension \(300 values\) but 6 ROIs"),
        (raw_traces(N_ROIS + 1).T, r"shape \(300, 7\), but 6 ROIs \(of 6 in its table\): it is not certain"),
        (np.ones((3, 4, 5)), r"cannot be opened by pynwb"),
        (np.ones((N_FRAMES, N_ROIS), complex), "but is complex128"),
        (["a", "b"], "but is object"),
        (np.ones((0, N_ROIS)), "holds no data"),
    ],
)
def test_data_that_cannot_be_traces_is_one_clear_line(changed, values, message):
    with pytest.raises(InputError, match=message):
        only(changed(replace_data(values))).read()


@pytest.mark.parametrize("chunks", [None, (7, 2), (N_FRAMES, 1), (1, N_ROIS), (N_FRAMES, N_ROIS)])
@pytest.mark.parametrize("transposed", [False, True])
def test_blocks_of_any_layout_give_the_same(changed, monkeypatch, chunks, transposed):
    monkeypatch.setattr("cascade_adapters.containers.nwb.rows_first._BLOCK_BYTES", 1000)

    def edit(file):
        attributes = dict(file[f"{SERIES}/data"].attrs)
        del file[f"{SERIES}/data"]
        values = raw_traces() if transposed else raw_traces().T
        layout = chunks[::-1] if chunks and transposed else chunks
        data = file.create_dataset(f"{SERIES}/data", data=values, chunks=layout, compression=4 if chunks else None)
        data.attrs.update(attributes)

    np.testing.assert_array_equal(only(changed(edit)).read().fluorescence, raw_traces())


def test_conversion_and_offset_are_applied(tmp_path):
    session = Session()
    counts = np.arange(N_ROIS * N_FRAMES, dtype=np.int16).reshape(N_ROIS, N_FRAMES)
    session.series(session.table(), counts, conversion=0.5, offset=100.0)
    traces = only(session.save(tmp_path / "a.nwb")).read()
    np.testing.assert_array_equal(traces.fluorescence, 0.5 * counts + 100.0)


def test_a_conversion_without_meaning_is_refused(changed):
    def edit(file):
        file[f"{SERIES}/data"].attrs["conversion"] = np.nan

    with pytest.raises(InputError, match="has a conversion of nan"):
        only(changed(edit)).read()


def test_nan_stays_nan(changed):
    values = raw_traces().T.copy()
    values[10:20] = np.nan
    np.testing.assert_array_equal(only(changed(replace_data(values))).read().fluorescence, values.T)


def test_frames_that_suite2p_has_filled_up_with_zeros_are_left_out(changed):
    values = raw_traces().T.copy()
    values[250:] = 0
    traces = only(changed(replace_data(values))).read()
    assert np.isnan(traces.fluorescence[:, 250:]).all() and np.isfinite(traces.fluorescence[:, :250]).all()
    assert traces.remarks == [f"the last 50 frames of {SERIES} are zero in every ROI and were left out"]


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("iscell", [[1, 0.9], [0, 0.1]] * 3, [True, False] * 3),
        ("Accepted", [1, 0] * 3, [True, False] * 3),
        ("Rejected", [1, 0] * 3, [False, True] * 3),
        ("accepted", [False] * 6, None),
        ("iscell", ["yes", "no"] * 3, None),
    ],
)
def test_which_rois_are_cells(tmp_path, column, values, expected):
    session = Session()
    session.series(session.table(**{column: values}), raw_traces())
    traces = only(session.save(tmp_path / "a.nwb")).read()
    assert expected == (None if traces.is_cell is None else traces.is_cell.tolist())
    assert len(traces.remarks) == isinstance(values[0], str)


@pytest.mark.parametrize("mask", ["image_mask", "pixel_mask", "voxel_mask"])
def test_where_rois_lie(tmp_path, mask):
    session = Session()
    session.series(session.table(mask=mask), raw_traces(3), rows=[1, 3, 5])
    rois = only(session.save(tmp_path / "a.nwb")).rois()
    depth = [[0], [1]] if mask == "voxel_mask" else [[], []]
    for roi, number in enumerate((1, 3, 5)):
        assert rois.pixels[roi].tolist() == [[2, number + 1, *depth[0]], [3, number + 1, *depth[1]]]
        assert rois.weights[roi].tolist() == [0.5, 1.0]
    assert rois.image_shape == (IMAGE_SHAPE if mask == "image_mask" else None)


def test_suite2p_writes_rows_first(tmp_path):
    path = suite2p_layout(tmp_path / "a.nwb", n_planes=1)
    assert only(path).rois().pixels[0].tolist() == [[1, 2], [1, 3]]


# -------------------------------------------------------------------------------------------------------------- times


def with_times(tmp_path, timestamps, imaging_rate=None) -> NwbRecording:
    values = raw_traces(n_frames=len(timestamps))
    return only(simple(tmp_path / "a.nwb", values=values, timestamps=timestamps, imaging_rate=imaging_rate))


def test_a_rate_of_zero_gives_way_to_the_imaging_plane(changed):
    def edit(file):
        file[f"{SERIES}/starting_time"].attrs["rate"] = 0.0

    traces = only(changed(edit)).read()
    assert (traces.frame_rate, traces.frame_rate_source) == (RATE, "imaging_rate of the imaging plane")
    assert traces.remarks == [f"the rate of {SERIES} is 0; the imaging plane's was taken"]


def test_no_frame_rate_at_all(tmp_path):
    path = simple(tmp_path / "a.nwb", imaging_rate=None, rate=0.0)
    with pytest.raises(InputError, match=r"has no frame rate, but a rate of 0: pass --frame-rate"):
        only(path).read()
    traces = only(path).read(Reading(frame_rate=12.0))
    assert (traces.frame_rate, traces.frame_rate_source, traces.remarks) == (12.0, "given", [])


@pytest.mark.parametrize("times", [None, np.arange(N_FRAMES) / RATE])
def test_a_contradiction_is_told_with_who_was_believed(tmp_path, times):
    timing = {} if times is None else {"timestamps": times}
    path = simple(tmp_path / "a.nwb", imaging_rate=15.0, **timing)
    traces = only(path).read()
    assert traces.frame_rate == pytest.approx(RATE)
    (remark,) = traces.remarks
    assert "is 30 Hz, but the imaging_rate of its imaging plane is 15 Hz: the former was believed" in remark
    told = [] if times is None else [f"--frame-rate 10 was followed, although the timestamps of {SERIES} mean 30 Hz"]
    assert only(path).read(Reading(frame_rate=10.0)).remarks == told


@pytest.mark.parametrize("jitter_s", [0.0, 1e-4, 3e-3])
def test_timestamps_give_the_rate_and_may_jitter(tmp_path, jitter_s):
    rng = np.random.default_rng(0)
    traces = with_times(tmp_path, 5 + np.arange(N_FRAMES) / 31.0 + jitter_s * rng.uniform(-1, 1, N_FRAMES)).read()
    assert traces.frame_rate == pytest.approx(31.0, rel=1e-3) and traces.segments is None and traces.remarks == []
    assert traces.frame_rate_source == f"timestamps of {SERIES}"


def test_timestamps_that_were_rounded_to_ms_give_the_true_rate(tmp_path):
    traces = with_times(tmp_path, np.round(np.arange(N_FRAMES) / RATE, 3)).read()
    assert traces.frame_rate == pytest.approx(RATE, rel=1e-3)


def test_only_long_gaps_part_the_recording(tmp_path):
    times = np.arange(N_FRAMES) / RATE
    times[100:] += 10.0
    times[250:] += 1 / RATE  # a single frame was dropped
    traces = with_times(tmp_path, times).read()
    assert traces.segments == [100, 200] and traces.dropped == {250: 1}
    assert traces.frame_rate == pytest.approx(RATE)
    assert traces.remarks == [
        f"the timestamps of {SERIES} show 1 dropped frame, up to 0.033 s at a time: F0 and prediction run across",
        f"the timestamps of {SERIES} show 1 gap of more than 2 s, the longest of 10 s: a segment ends there, and "
        "nothing reaches across",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda times: np.cumsum(np.random.default_rng(0).exponential(0.03, len(times))), "too irregular"),
        (lambda times: np.zeros_like(times), "do not increase at frame 1"),
        (lambda times: times[::-1], "do not increase at frame 1"),
    ],
)
def test_timestamps_without_a_rate_are_refused_unless_it_is_given(tmp_path, change, message):
    container = with_times(tmp_path, change(np.arange(N_FRAMES) / RATE))
    with pytest.raises(InputError, match=rf"{message}.*resample the traces evenly, or pass --frame-rate"):
        container.read()
    traces = container.read(Reading(frame_rate=RATE))
    assert traces.frame_rate == RATE and "taken for evenly spaced" in traces.remarks[0]


def test_frames_without_a_time_are_left_out(tmp_path):
    times = 5.0 + np.arange(N_FRAMES) / RATE
    times[[0, 10, 11, 200, N_FRAMES - 1]] = np.nan
    traces = only(simple(tmp_path / "a.nwb", timestamps=times)).read()
    assert np.flatnonzero(traces.excluded_frames).tolist() == [0, 10, 11, 200, N_FRAMES - 1]
    assert traces.frame_rate == pytest.approx(RATE) and not traces.dropped and traces.segments is None


def test_no_frame_has_a_time(tmp_path):
    path = simple(tmp_path / "a.nwb", timestamps=np.full(N_FRAMES, np.nan))
    with pytest.raises(InputError, match=r"the timestamps of .* are NaN: resample .* or pass --frame-rate"):
        only(path).read()


def test_timestamps_of_another_number(changed):
    def edit(file):
        del file[f"{SERIES}/starting_time"]
        file[f"{SERIES}/timestamps"] = np.arange(10.0)
        file[f"{SERIES}/timestamps"].attrs.update(interval=np.int32(1), unit="seconds")

    with pytest.raises(InputError, match="has 300 frames, but 10 timestamps"):
        only(changed(edit)).read()


# ----------------------------------------------------------------------------------------------------------- finding


def test_files_are_found_below_a_folder(tmp_path, template):
    for name in ("b/two.nwb", "a/one.nwb"):
        (tmp_path / name).parent.mkdir()
        shutil.copyfile(template, tmp_path / name)
    (tmp_path / "note.txt").write_text("no")
    session = Session()
    session.save(tmp_path / "c.nwb")
    assert [found.path.name for found in NwbRecording.find(tmp_path)] == ["one.nwb", "two.nwb"]
    with pytest.raises(InputError, match=r"c.nwb holds no series of ROIs"):
        only(tmp_path / "c.nwb").read()


def test_an_nwb_file_may_have_another_name(tmp_path, template):
    shutil.copyfile(template, tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["x"] = 1
    assert len(NwbRecording.find(tmp_path / "a.h5")) == 1
    assert NwbRecording.find(tmp_path) == NwbRecording.find(tmp_path / "b.h5") == []
    assert [found.kind for found in find_containers(tmp_path / "a.h5")] == ["NWB"]


def test_zarr(tmp_path):
    path = simple(tmp_path / "a.nwb.zarr", zarr=True)
    for place in (tmp_path, path):
        (found,) = NwbRecording.find(place)
        np.testing.assert_array_equal(found.read().fluorescence, raw_traces())
    assert len(only(path).rois().pixels) == N_ROIS
    (tmp_path / "other.zarr").mkdir()
    (tmp_path / "other.zarr" / ".zgroup").write_text("{}")
    assert NwbRecording.find(tmp_path / "other.zarr") == []


def test_a_recording_found_by_itself(tmp_path, template):
    assert NwbRecording(template).read().source == SERIES
    with pytest.raises(InputError, match=r"holds several recordings: pass one of .*plane0, .*plane1 as --series"):
        NwbRecording(suite2p_layout(tmp_path / "a.nwb")).read()


def test_the_fingerprint_is_that_of_values_and_times(template, changed):
    reference = only(template).fingerprint()
    assert set(reference) == {SERIES}

    def rechunk(file):
        replace_data(raw_traces().T.astype(float))(file)

    def other_value(file):
        file[f"{SERIES}/data"][3, 3] += 1

    def other_rate(file):
        file[f"{SERIES}/starting_time"].attrs["rate"] = 29.0

    assert only(changed(rechunk)).fingerprint() == reference
    assert only(changed(lambda file: file.attrs.update(note="x"))).fingerprint() == reference
    assert only(changed(other_value)).fingerprint() != reference
    assert only(changed(other_rate)).fingerprint() != reference


def test_inspection_changes_nothing(template, random_model):
    before = sha256(template)
    facts = inspect_one(only(template), model=str(random_model.folder))
    assert (facts.kind, facts.n_rois, facts.frame_rate_hz, facts.earlier_results) == ("NWB", N_ROIS, RATE, "none")
    assert sha256(template) == before and [path.name for path in template.parent.iterdir()] == [template.name]


# --------------------------------------------------------------------------------------------------- damaged files


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda file: file.attrs.update(nwb_version="1.2b"), "has the version 1.2b of NWB, which pynwb cannot read"),
        (lambda file: file.attrs.pop("nwb_version"), "is no NWB file: it has no nwb_version"),
        (lambda file: file.pop("identifier"), "cannot be opened by pynwb: .*identifier"),
        (lambda file: file.pop(f"{SERIES}/rois"), "cannot be opened by pynwb: .*rois"),
        (lambda file: file.pop(TABLE), "cannot be opened by pynwb"),
        (lambda file: file.pop("general/optophysiology/ImagingPlane"), "cannot be opened by pynwb: .*imaging_plane"),
        (
            lambda file: file[f"{SERIES}/rois"].attrs.create("table", h5py.Reference(), dtype=h5py.ref_dtype),
            "cannot be opened by pynwb: .*reference",
        ),
        (lambda file: file[f"{SERIES}/rois"].write_direct(np.full(N_ROIS, 99)), "are not among the 6 rows"),
    ],
)
def test_what_pynwb_refuses_is_one_clear_line(changed, edit, message):
    path = changed(edit)
    with pytest.raises(InputError, match=rf"{message}") as caught:
        only(path).read()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_nwb_1_is_named(tmp_path):
    with h5py.File(tmp_path / "old.nwb", "w") as file:
        file["nwb_version"] = "NWB-1.0.6"
    with pytest.raises(InputError, match=r"has the version NWB-1.0.6 of NWB"):
        only(tmp_path / "old.nwb").read()


@pytest.mark.parametrize("length", [0, 1, 100, 5000, -100])
def test_a_truncated_file_is_one_clear_line(tmp_path, template, length):
    (tmp_path / "a.nwb").write_bytes(template.read_bytes()[:length])
    with pytest.raises(InputError, match=r"a.nwb (is empty|cannot be read)"):
        only(tmp_path / "a.nwb").read()


def test_any_damaged_byte_is_one_clear_line_or_none(tmp_path, template):
    content = template.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(15):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 20):
            damaged[place] = rng.integers(256)
        (tmp_path / "a.nwb").write_bytes(damaged)
        try:
            only(tmp_path / "a.nwb").read()
        except CascadeError as error:
            assert "\n" not in str(error)


def test_data_that_claims_more_than_the_file_can_hold(changed):
    def edit(file):
        del file[f"{SERIES}/data"]
        data = file.create_dataset(f"{SERIES}/data", shape=(10**10, N_ROIS), chunks=(1000, 6), dtype=np.float32)
        data.attrs.update(unit="n.a.", conversion=1.0, resolution=-1.0)

    with pytest.raises(InputError, match=r"is damaged: it would take 240.0 GB, but only 0.0 MB are stored of it"):
        only(changed(edit)).read()


def test_a_damaged_chunk_is_one_clear_line(changed):
    def edit(file):
        attributes = dict(file[f"{SERIES}/data"].attrs)
        del file[f"{SERIES}/data"]
        data = file.create_dataset(f"{SERIES}/data", data=raw_traces().T, compression="gzip")
        data.attrs.update(attributes)
        place.append(data.id.get_chunk_info(0).byte_offset)

    place: list[int] = []
    path = changed(edit)
    with path.open("r+b") as file:
        file.seek(place[0])
        file.write(bytes(100))
    with pytest.raises(InputError, match=rf"{SERIES} in .*cannot be read"):
        only(path).read()


def test_data_linked_from_a_file_that_is_gone(changed, tmp_path):
    def edit(file):
        del file[f"{SERIES}/data"]
        file[f"{SERIES}/data"] = h5py.ExternalLink("gone.nwb", "/data")

    with pytest.raises(InputError, match=r"holds no data; if it is linked from another file, is that there\?"):
        only(changed(edit)).read()


def test_an_extension_need_not_be_installed(tmp_path):
    """Its schema travels in the file; a series of a type of its own is a series all the same."""
    path = tmp_path / "extended.nwb"
    code = f"""
import sys
from tests.builders import nwb_files
from pynwb import get_class, load_namespaces
from pynwb.spec import NWBGroupSpec, NWBNamespaceBuilder
builder = NWBNamespaceBuilder("a test", "ndx-test", author="a", contact="a@b.c", version="0.1.0")
builder.include_type("RoiResponseSeries", namespace="core")
spec = NWBGroupSpec(
    "special", neurodata_type_def="SpecialSeries", neurodata_type_inc="RoiResponseSeries",
)
builder.add_spec("ndx-test.extensions.yaml", spec)
builder.export("ndx-test.namespace.yaml", outdir={str(tmp_path)!r})
load_namespaces({str(tmp_path / "ndx-test.namespace.yaml")!r})
session = nwb_files.Session()
table = session.table()
series = get_class("SpecialSeries", "ndx-test")(
    name="cells", data=nwb_files.raw_traces().T, rate=30.0, unit="n.a.",
    rois=table.create_roi_table_region(region=list(range(6)), description="all"),
)
from pynwb.ophys import Fluorescence
session.module().add(Fluorescence(roi_response_series=series))
session.save({str(path)!r}, cache_spec=True)
"""
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", code], check=True)
    traces = only(path).read()
    np.testing.assert_array_equal(traces.fluorescence, raw_traces())


def test_real_files(shared, tmp_path):
    folder = shared("containers/nwb")
    first, second = (only(path).read() for path in sorted(folder.glob("*.nwb")))
    assert first.shape == (20, 1500) and first.fluorescence is not None and first.is_cell.all()
    assert second.shape == (15, 250) and second.neuropil is not None and second.is_cell.sum() == 7
