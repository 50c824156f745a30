"""CaImAn's files: reading their traces, finding them, where the ROIs lie."""

import h5py
import numpy as np
import pytest
from scipy.sparse import csc_matrix

from cascade_adapters.containers.base import Reading
from cascade_adapters.containers.caiman.file import CaimanFile
from cascade_adapters.containers.caiman.memory import CaimanObject
from cascade_adapters.containers.stored_dff import why_no_dff
from cascade_engine.errors import InputError
from cascade_engine.file_formats.atomic import sha256
from cascade_engine.signal.dff import WITHIN_NOISE
from cascade_engine.signal.noise import noise_levels
from tests.adapters.caiman.helpers import BAD_RATE, COMPUTE, GIVEN, change, set_frame_rate
from tests.builders.caiman_files import (
    CNMF,
    IMAGE_SHAPE,
    VERSIONS,
    detrend_df_f,
    make_cnmf,
    make_file,
    save,
    true_dff,
)
from tests.builders.running import dff_of, inspect_one

# ---------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("version", VERSIONS)
def test_the_raw_trace_and_its_background(tmp_path, cnmf, version):
    estimates = cnmf.estimates
    traces = CaimanFile(save(cnmf, tmp_path / "r.hdf5", version)).read(Reading(dff="compute"))
    np.testing.assert_allclose(traces.fluorescence, estimates.C + estimates.YrA, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(traces.background, estimates.A.T @ estimates.b @ estimates.f, rtol=1e-5)
    assert (traces.frame_rate, traces.frame_rate_source, traces.remarks) == (20.0, "params/data/fr", [])
    assert traces.source == "C + YrA, background b f"
    assert traces.is_cell.tolist() == [True, False] * 3
    dff = dff_of(traces).dff
    for found, expected in zip(dff, true_dff(), strict=True):
        assert np.corrcoef(found, expected)[0, 1] > 0.99
        slope = np.sum(np.diff(found) * np.diff(expected)) / np.sum(np.diff(expected) ** 2)
        assert 0.8 < slope < 1.2


@pytest.mark.parametrize("norm", [0.2, 1.0, 50.0])
def test_dff_does_not_depend_on_the_scale_of_the_footprints(tmp_path, norm):
    traces = CaimanFile(make_file(tmp_path / "r.hdf5", footprint_norm=norm)).read(COMPUTE)
    reference = CaimanObject(make_cnmf()).read(COMPUTE)
    np.testing.assert_allclose(dff_of(traces).dff, dff_of(reference).dff, atol=0.02)


@pytest.mark.parametrize("how", ["rolling", "constant"])
@pytest.mark.parametrize("norm", [1.0, 50.0])
def test_f_dff_is_taken_where_it_is_the_dff_of_the_raw_trace(tmp_path, how, norm):
    path = make_file(tmp_path / "r.hdf5", dff=how, footprint_norm=norm)
    traces = CaimanFile(path).read(GIVEN)
    with h5py.File(path, "r") as file:
        np.testing.assert_array_equal(traces.dff, file["estimates/F_dff"][()].astype(np.float32))
    assert (traces.source, traces.remarks, traces.fluorescence) == ("F_dff", [], None)


def other_dff(cnmf: CNMF, what: str) -> tuple[np.ndarray | None, str]:
    """An F_dff that must not be used, and why."""
    good = detrend_df_f(cnmf.estimates)
    rng = np.random.default_rng(1)
    return {
        "denoised": (detrend_df_f(cnmf.estimates, "denoised"), "6 of 6 components do not follow C .* denoised"),
        "detrended": (detrend_df_f(cnmf.estimates, "detrended"), "6 of 6 components are not divided"),
        "percent": (100 * good, "6 of 6 components are not divided by their baseline"),
        "of others": (good[::-1], "components do not follow C"),
        "one bad": (np.where(np.arange(6)[:, None] == 2, rng.random(good.shape), good), "1 of 6 components do not"),
        "one nan": (np.where(np.arange(6)[:, None] == 2, np.nan, good), "1 of 6 components do not"),
        "infinite": (np.full_like(good, np.inf), "6 of 6 components do not"),
        "short": (good[:, :-1], r"its shape is \(6, 699\), that of C \+ YrA \(6, 700\)"),
        "text": (np.full(good.shape, b"0.1"), "no matrix of numbers"),
        "flat": (good.ravel(), "no matrix of numbers"),
        "empty": (np.empty(0), "there is none"),
        "none": (None, "there is none"),
    }[what]


@pytest.mark.parametrize("what", ["denoised", "detrended", "percent", "of others", "one bad", "one nan", "infinite",
                                  "short", "text", "flat", "empty", "none"])  # fmt: skip
def test_any_other_f_dff_is_left_aside_aloud(path, cnmf, what):
    values, reason = other_dff(cnmf, what)
    change(path, F_dff=values)
    traces = CaimanFile(path).read(GIVEN)
    assert traces.dff is None and traces.background is not None
    if what in ("empty", "none"):
        assert traces.remarks == []
    else:
        (remark,) = traces.remarks
        assert remark.startswith("F_dff was not used: ")
    with pytest.raises(InputError, match=rf"results.hdf5: F_dff cannot be used: .*{reason}.*leave out --dff container"):
        CaimanFile(path).read(Reading(frame_rate=20.0, dff="container"))
    assert CaimanFile(path).read(COMPUTE).remarks == []


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_backgrounds_are_no_baseline_and_not_worth_a_warning(value):
    traces = 100 + np.random.default_rng(0).standard_normal((2, 900))
    background = np.zeros_like(traces)
    background[0, 100:600] = value
    assert (
        why_no_dff(traces / 100 - 1, traces, background) == "the baseline of 1 of 2 components is not above their noise"
    )


def test_a_baseline_near_zero_leaves_no_dff_and_that_of_caiman_is_not_taken_over(path, cnmf):
    """CaImAn divides by whatever it is, even by numbers below zero."""
    change(path, b=np.full((cnmf.estimates.b.shape), 1e-3))
    traces = CaimanFile(path).read(GIVEN)
    assert traces.dff is None and "F_dff was not used" in traces.remarks[0]
    change(path, C=cnmf.estimates.C - (cnmf.estimates.C + cnmf.estimates.YrA).mean(axis=1, keepdims=True))
    block = dff_of(CaimanFile(path).read(GIVEN))
    assert block.notes == [WITHIN_NOISE] * 6 and np.isnan(block.dff).all()


def test_c_alone_is_never_used(path):
    change(path, YrA=None, R=None)
    with pytest.raises(InputError, match=r"no residuals: estimates/YrA is missing, and C alone .*compute_residuals"):
        CaimanFile(path).read(GIVEN)
    assert CaimanFile.find(path)


def test_r_stands_in_for_a_missing_yra(path, cnmf):
    expected = np.asarray(CaimanFile(path).read(COMPUTE).fluorescence)
    change(path, YrA=...)
    traces = CaimanFile(path).read(COMPUTE)
    np.testing.assert_array_equal(traces.fluorescence, expected)
    assert traces.source == "C + R, background b f"


@pytest.mark.parametrize("n_epochs", [1, 2])
def test_noisy_c_of_onacid_stands_in_for_missing_residuals(path, cnmf, n_epochs):
    expected = np.asarray(CaimanFile(path).read(COMPUTE).fluorescence)
    last = np.concatenate([cnmf.estimates.f, cnmf.estimates.C + cnmf.estimates.YrA])
    seen = np.concatenate([np.zeros_like(last)] * (n_epochs - 1) + [last], axis=1)
    change(path, YrA=None, R=None, noisyC=seen)
    traces = CaimanFile(path).read(COMPUTE)
    np.testing.assert_allclose(traces.fluorescence, expected, rtol=1e-5, atol=1e-4)
    assert traces.source.startswith("noisyC")
    change(path, noisyC=seen[:-1])  # after select_components, say, which does not touch it
    with pytest.raises(InputError, match="no residuals"):
        CaimanFile(path).read(COMPUTE)


def test_a_file_that_changes_while_it_is_read_is_refused(path, cnmf):
    traces = CaimanFile(path).read(COMPUTE)
    change(path, C=2 * cnmf.estimates.C)
    with pytest.raises(InputError, match="was changed by another program while it was read: run again"):
        np.asarray(traces.fluorescence)


def test_zeros_before_onacid_has_found_a_component_are_missing_values(path, cnmf, run):
    for name in ("C", "YrA"):
        values = getattr(cnmf.estimates, name).copy()
        values[2, :100] = 0.0
        values[3, :1] = 0.0
        values[4] = 0.0
        change(path, **{name: values})
    traces = CaimanFile(path).read(GIVEN)
    assert traces.dff is None
    assert traces.remarks == [
        "1 components have no trace before they were found (OnACID): no prediction there",
        "F_dff was not used: its baseline counts frames in which components have no trace",
    ]
    missing = np.isnan(traces.fluorescence)
    assert missing[2, :100].all() and np.count_nonzero(missing) == 100
    report = run(path)
    assert report.without_prediction == {4: "F is zero throughout"}
    found = CaimanFile(path).results().spike_prob
    assert np.isnan(found[2, :120]).all() and np.isfinite(found[2, 200:600]).all()


@pytest.mark.parametrize("name", ["b", "f"])
@pytest.mark.parametrize("value", [None, ..., "empty", "zeros"])
def test_one_photon_results_are_refused_unless_their_units_are_accepted(path, cnmf, name, value):
    shape = getattr(cnmf.estimates, name).shape
    empty = (shape[0], 0) if name == "b" else (0, shape[1])
    values = {"empty": np.empty(empty), "zeros": np.zeros(shape)}
    change(path, **{name: values[value] if isinstance(value, str) else value})
    container = CaimanFile(path)
    for dff in ("auto", "container", "compute"):
        with pytest.raises(InputError, match=r"no background b and f, as one-photon .*pass --arbitrary-units"):
            container.read(Reading(dff=dff))
    traces = container.traces(Reading(arbitrary_units=True))
    assert traces.arbitrary_units and traces.source == "C + YrA, in arbitrary units"
    (remark,) = traces.remarks
    assert remark.startswith("ARBITRARY UNITS: ")
    raw = cnmf.estimates.C + cnmf.estimates.YrA
    np.testing.assert_allclose(traces.fluorescence[:], raw, rtol=1e-5, atol=1e-4)  # as they are stored
    scaled = dff_of(traces).dff
    np.testing.assert_allclose(noise_levels(scaled, 20.0), 2.0, rtol=1e-3)
    for found, expected in zip(scaled, raw, strict=True):
        assert np.corrcoef(np.diff(found), np.diff(expected))[0, 1] > 0.999


def test_arbitrary_units_end_to_end(path, run):
    change(path, b=None, f=None)
    before = sha256(path)
    with pytest.raises(InputError, match="pass arbitrary_units=True"):
        run(path)
    assert sha256(path) == before
    report = run(path, arbitrary_units=True)
    assert report.warnings[0].startswith("ARBITRARY UNITS")
    assert CaimanFile(path).record().traces.source == "C + YrA, in arbitrary units"
    found = inspect_one(CaimanFile(path), arbitrary_units=True)
    assert found.noise_level is None and found.expected is None


def test_a_silent_component_in_arbitrary_units_has_no_prediction(path, cnmf):
    change(path, b=None, C=np.zeros_like(cnmf.estimates.C))
    change(path, YrA=np.where(np.arange(6)[:, None] == 1, 0.0, cnmf.estimates.YrA))
    block = dff_of(CaimanFile(path).traces(Reading(arbitrary_units=True)))
    assert np.isnan(block.dff[1]).all() and np.isfinite(block.dff[[0, 2, 3, 4, 5]]).all()
    assert block.notes == ["", "F is zero throughout", "", "", "", ""]


def test_arbitrary_units_are_followed_where_dff_could_be_had(path):
    traces = CaimanFile(path).traces(Reading(arbitrary_units=True))
    assert traces.arbitrary_units and traces.source == "C + YrA, in arbitrary units" and traces.background is None


@pytest.mark.parametrize("version", VERSIONS)
def test_one_photon_results_with_a_background_are_doubted(tmp_path, cnmf, version):
    cnmf.params.init["center_psf"] = True
    traces = CaimanFile(save(cnmf, tmp_path / "r.hdf5", version)).read(GIVEN)
    (remark,) = traces.remarks
    assert remark.startswith("one-photon data")


@pytest.mark.parametrize(("rate", "doubted"), [(30.0, True), (30, True), (20.0, False), (7, False)])
def test_an_untouched_frame_rate_is_doubted_unless_given(tmp_path, rate, doubted):
    path = make_file(tmp_path / "r.hdf5", frame_rate=rate)
    traces = CaimanFile(path).read()
    assert traces.frame_rate == rate
    assert [("CaImAn's default" in remark and "--frame-rate" in remark) for remark in traces.remarks] == [
        True
    ] * doubted
    traces = CaimanFile(path).read(Reading(frame_rate=30.0))
    assert (traces.frame_rate, traces.frame_rate_source, traces.remarks) == (30.0, "given", [])


@pytest.mark.parametrize("rate", [0, -30.0, np.nan, np.inf, "NoneType", "fast", b"30", [30.0, 15.0], None])
def test_an_impossible_frame_rate_is_an_error_that_says_what_to_do(path, rate):
    set_frame_rate(path, rate)
    with pytest.raises(InputError, match=rf"results.hdf5 has .*frame rate.*{BAD_RATE}"):
        CaimanFile(path).read()
    assert CaimanFile(path).read(GIVEN).frame_rate == 20.0


def test_a_frame_rate_in_an_array_or_an_attribute(path):
    set_frame_rate(path, [15.0])
    assert CaimanFile(path).read().frame_rate == 15.0
    set_frame_rate(path, None)
    with h5py.File(path, "r+") as file:
        file["params/data"].attrs["fr"] = 12.5
    assert CaimanFile(path).read().frame_rate == 12.5


def test_a_file_without_parameters_needs_a_frame_rate(path):
    with h5py.File(path, "r+") as file:
        del file["params"]
    with pytest.raises(InputError, match="no frame rate"):
        CaimanFile(path).read()
    assert CaimanFile(path).read(GIVEN).remarks == []


@pytest.mark.parametrize(
    ("index", "accepted"),
    [([0, 5], [True, False, False, False, False, True]), ([], [False] * 6), (np.array([1.0]), None), (None, None)],
)
def test_accepted_components(path, index, accepted):
    change(path, idx_components=np.asarray(index, dtype=float) if index is not None else None)
    traces = CaimanFile(path).read(GIVEN)
    if index is not None and accepted is None:
        accepted = [False, True, False, False, False, False]
    assert (None if traces.is_cell is None else traces.is_cell.tolist()) == accepted
    assert traces.remarks == []


@pytest.mark.parametrize("index", [[0, 6], [-1], [0.5], [np.nan], [b"1"]])
def test_an_index_that_does_not_fit_is_ignored_aloud(path, index):
    change(path, idx_components=np.array(index))
    traces = CaimanFile(path).read(GIVEN)
    assert traces.is_cell is None and traces.remarks[0].startswith("idx_components does not fit the 6 components")


@pytest.mark.parametrize(
    ("predictions", "known"),
    [(np.linspace(0, 1, 6), True), (np.empty(0), False), (np.full(6, np.nan), False), (np.zeros(5), False)],
)
def test_what_the_classifier_gave(path, predictions, known):
    change(path, cnn_preds=predictions)
    found = CaimanFile(path).read(GIVEN).cell_probability
    assert (found is not None) == known
    assert not known or found.tolist() == predictions.tolist()


def test_a_missing_index_is_no_obstacle(path, run):
    change(path, idx_components=...)
    assert CaimanFile(path).read(GIVEN).is_cell is None
    with pytest.raises(InputError, match="leave out only_cells"):
        run(path, only_cells=True)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("C", np.ones((6, 699))),
        ("C", np.ones((700, 6))),
        ("YrA", np.ones((5, 700))),
        ("b", np.ones((251, 2))),
        ("b", np.ones((252, 3))),
        ("f", np.ones((2, 699))),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(path, field, values):
    change(path, **{field: values})
    with pytest.raises(InputError, match=r"results.hdf5: estimates.*must come from the same run"):
        CaimanFile(path).read(GIVEN)


@pytest.mark.parametrize("field", ["C", "YrA", "b", "f"])
@pytest.mark.parametrize(
    "value", [np.ones(700), np.ones((2, 3, 4)), np.full((6, 700), b"1"), np.ones((6, 700), complex)]
)
def test_arrays_of_the_wrong_kind_are_refused(path, field, value):
    change(path, **{field: value})
    with pytest.raises(InputError, match=rf"results.hdf5: estimates/{field} must be a matrix of numbers, but it is"):
        CaimanFile(path).read(GIVEN)


@pytest.mark.parametrize("value", [None, ..., np.empty((0, 0)), np.empty((6, 0))])
def test_a_file_without_traces_is_refused(path, value):
    change(path, C=value)
    assert CaimanFile.find(path)  # it has footprints
    with pytest.raises(InputError, match="has no traces: estimates/C is missing or empty"):
        CaimanFile(path).read(GIVEN)


def test_damaged_footprints_are_refused(path):
    for part, value in (("indices", 10**6), ("indptr", -5), ("indptr", 10**6)):
        with h5py.File(path, "r+") as file:
            before = file[f"estimates/A/{part}"][()]
            file[f"estimates/A/{part}"][3] = value
        with pytest.raises(InputError, match=r"results.hdf5 cannot be read: "):
            CaimanFile(path).read(GIVEN)
        with h5py.File(path, "r+") as file:
            file[f"estimates/A/{part}"][...] = before
    change(path, A=None)
    with pytest.raises(InputError, match="no estimates/A"):
        CaimanFile(path).read(GIVEN)


def test_footprints_and_background_may_be_dense_or_sparse(path, cnmf):
    expected = CaimanFile(path).read(COMPUTE).background
    sparse = csc_matrix(cnmf.estimates.b)
    with h5py.File(path, "r+") as file:
        del file["estimates/A"], file["estimates/b"]
        file["estimates/A"] = cnmf.estimates.A.toarray()
        for part in ("data", "indices", "indptr", "shape"):
            file[f"estimates/b/{part}"] = getattr(sparse, part)
    np.testing.assert_allclose(CaimanFile(path).read(COMPUTE).background, expected, rtol=1e-6)


def test_an_empty_footprint_leaves_its_component_without_prediction(path, cnmf, run):
    footprints = cnmf.estimates.A.toarray()
    footprints[:, 3] = 0.0
    change(path, A=footprints, F_dff=None)
    report = run(path)
    assert report.without_prediction == {3: "the background has no finite value"}


def test_a_size_that_a_damaged_header_claims_is_refused(path):
    with h5py.File(path, "r+") as file:
        del file["estimates/C"], file["estimates/YrA"]
        for name in ("C", "YrA"):
            file["estimates"].create_dataset(name, shape=(10**6, 10**6), dtype="f8")
    with pytest.raises(InputError, match=r"is damaged: it claims 8000000000000 bytes"):
        CaimanFile(path).read(GIVEN)


@pytest.mark.parametrize("dtype", ["f4", "i2", ">f8"])
def test_any_type_of_number_will_do(path, cnmf, dtype):
    for name in ("C", "YrA"):
        change(path, **{name: np.round(getattr(cnmf.estimates, name)).astype(dtype)})
    expected = np.round(cnmf.estimates.C) + np.round(cnmf.estimates.YrA)
    np.testing.assert_array_equal(CaimanFile(path).read(COMPUTE).fluorescence, expected)


# ------------------------------------------------------------------------------------------------------------ finding


def test_files_are_found_among_others(tmp_path):
    for name in ("b.hdf5", "a.H5", "deep/er/ü c.h5"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        make_file(tmp_path / name, dff=None)
    make_file(tmp_path / "results.nwb", dff=None)
    with h5py.File(tmp_path / "movie.h5", "w") as file:
        file["mov"] = np.zeros((3, 4, 5))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["estimates"] = 1.0
    (tmp_path / "text.hdf5").write_text("no HDF5")
    (tmp_path / "empty.hdf5").write_bytes(b"")
    (tmp_path / "folder.hdf5").mkdir()
    found = [container.path for container in CaimanFile.find(tmp_path)]
    assert found == [tmp_path / name for name in ("a.H5", "b.hdf5", "deep/er/ü c.h5")]
    assert CaimanFile.find(tmp_path / "movie.h5") == CaimanFile.find(tmp_path / "results.nwb") == []


def test_a_file_under_any_name_will_do_where_it_is_named(tmp_path):
    path = make_file(tmp_path / "results.hdf5.bak", dff=None)
    assert [container.path for container in CaimanFile.find(path)] == [path]
    assert CaimanFile.find(tmp_path) == []


def test_a_truncated_file_is_not_passed_over(tmp_path, path):
    whole = path.read_bytes()
    other = tmp_path / "movie.h5"
    with h5py.File(other, "w") as file:
        file["mov"] = np.zeros(10_000)
    other.write_bytes(other.read_bytes()[:50_000])
    for length in (len(whole) - 1, len(whole) // 2, 8192):
        path.write_bytes(whole[:length])
        (container,) = CaimanFile.find(tmp_path)
        with pytest.raises(InputError, match=r"results.hdf5 cannot be read: .*truncated"):
            container.read()
    for length in (0, 7, 100):
        path.write_bytes(whole[:length])
        assert CaimanFile.find(tmp_path) == []
        (container,) = CaimanFile.find(path)
        for action in (container.read, container.results, container.fingerprint, container.restore):
            with pytest.raises(InputError, match=r"results.hdf5 cannot be read: "):
                action()


# ---------------------------------------------------------------------------------------------------------- footprints


def test_footprints_are_counted_down_the_columns(path, cnmf):
    rois = CaimanFile(path).rois()
    assert rois.image_shape == IMAGE_SHAPE
    for component, (pixels, weights) in enumerate(zip(rois.pixels, rois.weights, strict=True)):
        image = np.zeros(IMAGE_SHAPE)
        image[tuple(pixels.T)] = weights
        expected = cnmf.estimates.A[:, [component]].toarray().reshape(IMAGE_SHAPE, order="F")
        np.testing.assert_allclose(image, expected, rtol=1e-6)
        assert weights.dtype == np.float32


@pytest.mark.parametrize(("dims", "expected"), [((3, 6, 14), (3, 6, 14)), ((18, 13), None), ((252,), None)])
def test_footprints_of_volumes_and_of_images_of_unknown_size(path, dims, expected):
    change(path, dims=np.array(dims))
    rois = CaimanFile(path).rois()
    assert (None if rois is None else rois.image_shape) == expected
    assert rois is None or rois.pixels[0].shape[1] == 3


def test_the_image_size_is_looked_for_in_several_places(path):
    change(path, dims=None)
    assert CaimanFile(path).rois().image_shape == IMAGE_SHAPE
    with h5py.File(path, "r+") as file:
        del file["dims"]
    assert CaimanFile(path).rois().image_shape == IMAGE_SHAPE
    with h5py.File(path, "r+") as file:
        del file["params/data/dims"]
    assert CaimanFile(path).rois() is None
