"""CaImAn's files and objects: reading them, writing results, taking them back."""

import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.sparse import csc_matrix

from cascade_adapters.cli import main
from cascade_adapters.containers.base import Reading
from cascade_adapters.containers.caiman.file import CaimanFile
from cascade_adapters.containers.caiman.memory import CaimanObject
from cascade_adapters.hooks.caiman import run_on_estimates, run_on_file
from cascade_adapters.results import Record
from cascade_engine import infer
from cascade_engine.errors import CascadeError, CascadeWarning, InputError
from cascade_engine.file_formats.atomic import sha256
from cascade_engine.signal.dff import delta_f_over_f
from cascade_engine.signal.noise import noise_levels
from tests.builders.caiman_files import (
    CNMF,
    IMAGE_SHAPE,
    VERSIONS,
    content,
    detrend_df_f,
    load,
    make_cnmf,
    make_file,
    save,
    select_components,
    true_dff,
)
from tests.builders.running import dff_of, inspect_one, made_up_record, made_up_results

GIVEN = Reading(frame_rate=20.0)
COMPUTE = Reading(frame_rate=20.0, dff="compute")
ARRAYS = ("spike_prob", "dff", "noise_levels")
BAD_RATE = r"(params/data/fr).*--frame-rate"


@pytest.fixture
def cnmf():
    return make_cnmf()


@pytest.fixture
def path(tmp_path):
    return make_file(tmp_path / "results.hdf5")


@pytest.fixture
def run(random_model):
    """`run_on_file` with the random model, which is one for 30 Hz; doubts are in the reports."""

    def run(path: Path, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CascadeWarning)
            return run_on_file(path, **{"model": str(random_model.folder), "existing": "error", **options})

    return run


def change(path: Path, **fields) -> Path:
    """Change fields of the estimates in a file; None is what CaImAn writes for it, ... removes."""
    with h5py.File(path, "r+") as file:
        for name, value in fields.items():
            del file["estimates"][name]
            if value is not ...:
                file["estimates"][name] = "NoneType" if value is None else value
    return path


def set_frame_rate(path: Path, value) -> None:
    with h5py.File(path, "r+") as file:
        del file["params/data/fr"]
        if value is not None:
            file["params/data/fr"] = value


def stored(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path, "r") as file:
        return {name: item[()] for name, item in file["estimates/cascade"].items()}


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


def test_a_baseline_near_zero_is_guarded_rather_than_taken_over(path, cnmf):
    """CaImAn divides by whatever it is, even by numbers below zero."""
    change(path, b=np.full((cnmf.estimates.b.shape), 1e-3))
    traces = CaimanFile(path).read(GIVEN)
    assert traces.dff is None and "F_dff was not used" in traces.remarks[0]
    change(path, C=cnmf.estimates.C - (cnmf.estimates.C + cnmf.estimates.YrA).mean(axis=1, keepdims=True))
    assert np.abs(dff_of(CaimanFile(path).read(GIVEN)).dff).max() < 100


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
    traces = container.read(Reading(arbitrary_units=True))
    assert traces.source == "C + YrA, detrended, in arbitrary units"
    (remark,) = traces.remarks
    assert remark.startswith("ARBITRARY UNITS: ")
    np.testing.assert_allclose(noise_levels(traces.dff, 20.0), 2.0, rtol=1e-3)
    raw = cnmf.estimates.C + cnmf.estimates.YrA
    for found, expected in zip(traces.dff, raw, strict=True):
        assert np.corrcoef(np.diff(found), np.diff(expected))[0, 1] > 0.999


def test_arbitrary_units_end_to_end(path, run):
    change(path, b=None, f=None)
    before = sha256(path)
    with pytest.raises(InputError, match="--arbitrary-units"):
        run(path)
    assert sha256(path) == before
    report = run(path, arbitrary_units=True)
    assert report.warnings[0].startswith("ARBITRARY UNITS")
    assert CaimanFile(path).record().traces.source == "C + YrA, detrended, in arbitrary units"
    found = inspect_one(CaimanFile(path), arbitrary_units=True)
    assert found.noise_level is not None and found.expected is None


def test_a_silent_component_in_arbitrary_units_has_no_prediction(path, cnmf):
    change(path, b=None, C=np.zeros_like(cnmf.estimates.C))
    change(path, YrA=np.where(np.arange(6)[:, None] == 1, 0.0, cnmf.estimates.YrA))
    traces = CaimanFile(path).read(Reading(arbitrary_units=True))
    assert np.isnan(traces.dff[1]).all() and np.isfinite(traces.dff[[0, 2, 3, 4, 5]]).all()


def test_accepting_arbitrary_units_changes_nothing_where_dff_can_be_had(path):
    assert CaimanFile(path).read(Reading(arbitrary_units=True)).source == "F_dff"


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
    with pytest.raises(InputError, match="leave out --only-cells"):
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


# ---------------------------------------------------------------------------------------------------------- results


@pytest.mark.parametrize("version", ["1.8.5", "1.12.1"])
@pytest.mark.parametrize("dff", ["container", "compute"])
def test_names_shapes_types_and_order_of_the_results(tmp_path, run, random_model, version, dff):
    path = make_file(tmp_path / "r.hdf5", version)
    before = content(path)
    report = run(path, dff=dff)
    assert report.written == [f"estimates/cascade/{name}" for name in (*ARRAYS, "provenance")]
    after = content(path)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"estimates/cascade"} | {
        f"estimates/cascade/{name}" for name in (*ARRAYS, "provenance")
    }
    found = stored(path)
    assert all(found[name].dtype == np.float32 for name in ARRAYS)
    assert not any(np.isnan(found[name]).any() for name in ARRAYS)
    assert np.isneginf(found["spike_prob"][:, :31]).all() and np.isfinite(found["spike_prob"][:, 32:-32]).all()

    traces = CaimanFile(path).read(Reading(dff=dff))
    expected = dff_of(traces).dff
    if dff == "compute":
        by_hand = delta_f_over_f(traces.fluorescence, 20.0, background=traces.background).dff
        np.testing.assert_array_equal(expected, by_hand)
    inference = infer(expected, 20.0, random_model)
    results = CaimanFile(path).results()
    np.testing.assert_array_equal(results.dff, expected)
    np.testing.assert_allclose(results.spike_prob, inference.spike_prob, atol=1e-6)
    np.testing.assert_allclose(results.noise_levels, inference.noise_levels, rtol=1e-6)


def test_the_record(path, run, random_model):
    report = run(path)
    record = CaimanFile(path).record()
    assert record == Record.parse(stored(path)["provenance"].tobytes(), "")
    assert record.model.fingerprint == random_model.fingerprint
    assert (record.traces.source, record.traces.dff) == ("F_dff", "container")
    assert record.recording.n_rois == 6 and record.recording.frame_rate_source == "params/data/fr"
    assert set(record.input) == {"C", "YrA", "A", "b", "f"}
    assert record.warnings == report.warnings
    with h5py.File(path, "r") as file:
        texts = dict(file["estimates/cascade"].attrs)
    assert texts["model"] == "random" and texts["created"] == record.created and "-inf" in texts["description"]
    assert all(isinstance(text, str) for text in texts.values())


def test_a_record_larger_than_an_attribute_may_be(path):
    results = made_up_results(np.zeros((6, 700)), record=made_up_record(6, 700, long="ü" * 100_000))
    CaimanFile(path).write(results)
    assert CaimanFile(path).record() == results.record


def test_components_are_all_predicted_unless_only_cells_are_wanted(path, run):
    assert run(path).without_prediction == {}
    run(path, only_cells=True, existing="overwrite")
    missing = np.isnan(CaimanFile(path).results().spike_prob).all(axis=1)
    assert missing.tolist() == [False, True] * 3
    assert np.isneginf(stored(path)["noise_levels"]).tolist() == [False, True] * 3


def test_existing_results_are_heeded(path, run):
    run(path)
    before = sha256(path)
    with pytest.raises(InputError, match=r"has results already: pass --existing"):
        run(path)
    assert run(path, existing="skip").status == "skipped"
    assert sha256(path) == before


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("replace_spikes", [False, True])
def test_results_survive_loading_and_saving_by_caiman(tmp_path, cnmf, run, version, replace_spikes):
    path = save(cnmf, tmp_path / "r.hdf5", version)
    original = content(path)
    run(path, replace_spikes=replace_spikes, only_cells=True)  # some values are missing
    expected = CaimanFile(path).results()
    again = save(load(path, version), tmp_path / "again.hdf5", version)
    container = CaimanFile(again)
    found = container.results()
    np.testing.assert_array_equal(found.spike_prob, expected.spike_prob)
    np.testing.assert_array_equal(found.dff, expected.dff)
    np.testing.assert_array_equal(found.noise_levels, expected.noise_levels)
    assert found.record == expected.record and not container.is_stale()
    *done, rest = container.restore()
    assert done == ["put back estimates/S"] * replace_spikes + ["removed estimates/cascade"]
    assert rest.endswith("there is no .again.hdf5.cascade-undo1 beside it")
    assert content(again) == content(save(load(save(cnmf, path, version), version), tmp_path / "c.hdf5", version))
    assert content(path) == original


def test_missing_values_as_nan_would_not_survive(tmp_path, cnmf):
    """Which is why they are not."""
    cnmf.estimates.cascade = {"spike_prob": np.full((6, 700), np.nan)}
    with pytest.raises(ValueError, match="Error while saving spike_prob"):
        save(cnmf, tmp_path / "r.hdf5", "1.11")


def test_selecting_components_does_not_go_unnoticed(tmp_path, path, run):
    run(path)
    cnmf = load(path)
    select_components(cnmf, [0, 2, 5])
    container = CaimanFile(save(cnmf, tmp_path / "selected.hdf5"))
    assert container.is_stale() and len(stored(container.path)["spike_prob"]) == 6
    (remark,) = container.read(GIVEN).remarks
    assert "results of 6 x 700" in remark and "there are now 3 x 700" in remark and "--existing overwrite" in remark
    with pytest.raises(InputError, match="there are now 3 x 700"):
        container.results()
    assert "stale" in inspect_one(container).earlier_results
    with pytest.raises(InputError, match="stale"):
        run(container.path)
    run(container.path, existing="overwrite")
    assert not container.is_stale() and container.results().spike_prob.shape == (3, 700)
    assert container.read(GIVEN).remarks == []


def test_components_in_another_order_do_not_go_unnoticed(tmp_path, path, run):
    run(path)
    cnmf = load(path)
    select_components(cnmf, [5, 4, 3, 2, 1, 0])
    container = CaimanFile(save(cnmf, tmp_path / "selected.hdf5"))
    assert container.is_stale()


def test_detrending_again_makes_no_results_stale(path, run, cnmf):
    change(path, F_dff=None)
    run(path)
    change(path, F_dff=cnmf.estimates.F_dff)
    assert not CaimanFile(path).is_stale()


@pytest.mark.parametrize(
    "theirs", [np.ones(3), {"spike_prob": np.ones((6, 700))}, {"data": np.ones(3), "S_caiman": 1.0}]
)
def test_a_field_of_the_same_name_is_left_alone(tmp_path, cnmf, run, theirs):
    cnmf.estimates.cascade = theirs
    path = save(cnmf, tmp_path / "r.hdf5")
    before = sha256(path)
    with pytest.raises(InputError, match=r"r.hdf5: estimates/cascade is there already, but not from cascade"):
        run(path)
    assert CaimanFile(path).record() is None and CaimanFile(path).restore() == []
    assert sha256(path) == before
    with pytest.raises(InputError, match=r"estimates.cascade is there already, but not from cascade"):
        run_on_estimates(cnmf)
    assert cnmf.estimates.cascade is theirs


@pytest.mark.parametrize("damage", [b"{", b"[1]", b"\xff", b""])
def test_a_damaged_record_is_an_error_that_says_what_to_do(path, run, damage):
    run(path)
    with h5py.File(path, "r+") as file:
        del file["estimates/cascade/provenance"]
        file["estimates/cascade/provenance"] = np.frombuffer(damage, np.uint8)
    container = CaimanFile(path)
    for action in (container.record, container.results, container.restore):
        with pytest.raises(InputError, match=r"estimates/cascade: the record .* is damaged .*: remove"):
            action()


def test_incomplete_results_are_an_error_that_says_what_to_do(path, run):
    run(path)
    with h5py.File(path, "r+") as file:
        del file["estimates/cascade/dff"]
    with pytest.raises(InputError, match="is not complete: dff is missing; run again"):
        CaimanFile(path).results()


def test_results_of_another_shape_are_refused(path):
    before = sha256(path)
    with pytest.raises(InputError, match=r"has 6 x 700 components x frames, but the results are 5 x 700"):
        CaimanFile(path).write(made_up_results(np.zeros((5, 700))))
    assert sha256(path) == before


# ---------------------------------------------------------------------------------------------------------- S replaced


def test_replacing_s_keeps_caimans_own_as_it_is(path, cnmf, run):
    with h5py.File(path, "r+") as file:
        del file["estimates/S"]
        theirs = file["estimates"].create_dataset(
            "S", data=cnmf.estimates.S.astype("f4"), chunks=(2, 100), compression="gzip", shuffle=True
        )
        theirs.attrs["note"] = "by hand"
    untouched, before = content(path), sha256(path)
    report = run(path, replace_spikes=True, only_cells=True)
    assert report.written[-2:] == ["estimates/S", "estimates/cascade/S_caiman"]
    results = CaimanFile(path).results()
    with h5py.File(path, "r") as file:
        np.testing.assert_allclose(file["estimates/S"][()], 20.0 * np.nan_to_num(results.spike_prob), rtol=1e-6)
    assert content(path)["estimates/cascade/S_caiman"] == untouched["estimates/S"]

    run(path, replace_spikes=True, existing="overwrite")
    assert content(path)["estimates/cascade/S_caiman"] == untouched["estimates/S"]
    run(path, existing="overwrite")
    assert content(path)["estimates/S"] == untouched["estimates/S"]
    assert "S_caiman" not in stored(path)
    run(path, replace_spikes=True, existing="overwrite")
    assert CaimanFile(path).restore() == ["put back estimates/S", "removed estimates/cascade"]
    assert sha256(path) == before


@pytest.mark.parametrize("value", [None, ..., np.zeros((6, 699)), np.zeros(4)])
def test_there_must_be_an_s_to_replace(path, run, value):
    change(path, S=value)
    before = sha256(path)
    with pytest.raises(InputError, match="has no estimates/S to replace"):
        run(path, replace_spikes=True)
    assert sha256(path) == before
    run(path)


def test_an_s_that_was_changed_since_is_left_alone(path, cnmf, run):
    run(path, replace_spikes=True)
    change(path, S=np.full((6, 700), 7.0))
    with pytest.raises(InputError, match="a new backup would destroy the old one"):
        run(path, replace_spikes=True, existing="overwrite")
    left, removed, rest = CaimanFile(path).restore()
    assert left.startswith("left estimates/S, which was changed since")
    assert removed == "removed all else from estimates/cascade" and rest.endswith("it was changed since")
    assert set(stored(path)) == {"S_caiman"}
    np.testing.assert_array_equal(stored(path)["S_caiman"], cnmf.estimates.S)
    with h5py.File(path, "r") as file:
        assert (file["estimates/S"][()] == 7.0).all()
    assert CaimanFile(path).restore() == []
    with pytest.raises(InputError, match="a new backup would destroy the old one"):
        run(path, replace_spikes=True)
    run(path)
    CaimanFile(path).restore()
    assert set(stored(path)) == {"S_caiman"}


# ---------------------------------------------------------------------------------------------------------- restore


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("replace_spikes", [False, True])
def test_restore_gives_the_same_bytes(tmp_path, run, version, replace_spikes):
    path = make_file(tmp_path / "r.hdf5", version)
    before = path.read_bytes()
    sizes = []
    for _ in range(3):
        run(path, replace_spikes=replace_spikes, existing="overwrite")
        sizes.append(path.stat().st_size)
    assert max(sizes) - min(sizes) < 100  # overwriting does not make it grow
    done = CaimanFile(path).restore()
    assert done == ["put back estimates/S"] * replace_spikes + ["removed estimates/cascade"]
    assert path.read_bytes() == before
    assert CaimanFile(path).restore() == []
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("userblock", [0, 512])
def test_restore_gives_the_same_bytes_whatever_the_layout(tmp_path, cnmf, run, libver, userblock):
    path = save(cnmf, tmp_path / "r.hdf5")
    with (
        h5py.File(path, "r") as source,
        h5py.File(
            tmp_path / "other.hdf5", "w", libver=libver, userblock_size=userblock, track_order=libver == "latest"
        ) as target,
    ):
        for name in source:
            source.copy(name, target)
    path = tmp_path / "other.hdf5"
    before = path.read_bytes()
    run(path, replace_spikes=True)
    CaimanFile(path).restore()
    assert path.read_bytes() == before


@pytest.mark.parametrize("replace_spikes", [False, True])
def test_restore_after_another_program_has_written_keeps_what_it_wrote(path, run, replace_spikes):
    before = content(path)
    run(path, replace_spikes=replace_spikes)
    with h5py.File(path, "r+") as file:
        file["estimates/notes"] = np.arange(5)
        file["estimates/C"].attrs["seen"] = 1.0
        file["estimates/b"][0, 0] = 7.0
    expected = dict(before) | {name: content(path)[name] for name in ("estimates/notes", "estimates/C", "estimates/b")}
    *done, rest = CaimanFile(path).restore()
    assert done == ["put back estimates/S"] * replace_spikes + ["removed estimates/cascade"]
    assert rest == "the rest is as it was, if not to the last byte: it was changed since"
    assert content(path) == expected
    run(path, existing="overwrite")
    CaimanFile(path).restore()
    assert content(path) == expected


@pytest.mark.parametrize("replace_spikes", [False, True])
def test_a_file_that_was_moved_without_its_journal(tmp_path, path, run, replace_spikes):
    before = content(path)
    run(path, replace_spikes=replace_spikes)
    moved = path.rename(tmp_path / "moved.hdf5")
    run(moved, replace_spikes=replace_spikes, existing="overwrite")
    *done, rest = CaimanFile(moved).restore()
    assert done == ["put back estimates/S"] * replace_spikes + ["removed estimates/cascade"]
    assert rest == ("the rest is as it was, if not to the last byte: there is no .moved.hdf5.cascade-undo1 beside it")
    assert content(moved) == before


def test_a_file_that_was_moved_with_its_journal(tmp_path, path, run):
    before = path.read_bytes()
    run(path)
    (tmp_path / "moved").mkdir()
    for name in (path.name, f".{path.name}.cascade-undo1"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    assert CaimanFile(tmp_path / "moved" / path.name).restore() == ["removed estimates/cascade"]
    assert (tmp_path / "moved" / path.name).read_bytes() == before


def test_values_that_another_program_has_changed_stay_changed(path, run):
    """Where it wrote no further bytes, all others are what they were."""

    def change(file: Path) -> None:
        with h5py.File(file, "r+") as root:
            root["estimates/b"][0, 0] = 7.0

    changed = Path(shutil.copy(path, path.with_name("changed")))
    change(changed)
    run(path)
    change(path)
    assert CaimanFile(path).restore() == ["removed estimates/cascade"]
    assert path.read_bytes() == changed.read_bytes()


# ---------------------------------------------------------------------------------------------------------- in memory


@pytest.fixture
def run_in_memory(random_model):
    return lambda cnmf, **options: run_on_estimates(cnmf, **{"model": str(random_model.folder), **options})


@pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("replace_spikes", [False, True])
def test_an_object_gives_the_same_as_its_file(tmp_path, cnmf, run, run_in_memory, version, replace_spikes):
    path = save(cnmf, tmp_path / "r.hdf5", version)
    run(path, replace_spikes=replace_spikes)
    report = run_in_memory(cnmf, replace_spikes=replace_spikes)
    assert report.written == ["estimates.cascade"] + ["estimates.S"] * replace_spikes
    expected, found = CaimanFile(path).results(), CaimanObject(cnmf).results()
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.record.input == expected.record.input

    saved = CaimanFile(save(cnmf, tmp_path / "saved.hdf5", version))
    assert saved.record() == found.record and not saved.is_stale()
    np.testing.assert_array_equal(saved.results().spike_prob, found.spike_prob)
    loaded = CaimanObject(load(saved.path, version))
    assert loaded.record() == found.record and not loaded.is_stale()
    saved.restore()
    assert content(saved.path) == content(save(make_cnmf(), tmp_path / "r.hdf5", version))


@pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")
def test_restoring_an_object(cnmf, run_in_memory):
    before, spikes = set(vars(cnmf.estimates)), cnmf.estimates.S
    run_in_memory(cnmf, replace_spikes=True)
    run_in_memory(cnmf, replace_spikes=True)
    assert cnmf.estimates.S is not spikes and cnmf.estimates.cascade["S_caiman"] is spikes
    run_in_memory(cnmf)
    assert cnmf.estimates.S is spikes
    run_in_memory(cnmf, replace_spikes=True)
    assert CaimanObject(cnmf).restore() == ["put back estimates.S", "removed estimates.cascade"]
    assert cnmf.estimates.S is spikes and set(vars(cnmf.estimates)) == before
    assert CaimanObject(cnmf).restore() == []
    cnmf.estimates.S = None
    with pytest.raises(InputError, match="no S to replace"):
        run_in_memory(cnmf, replace_spikes=True)


@pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")
def test_an_objects_s_that_was_changed_since_is_left_alone(cnmf, run_in_memory):
    spikes = cnmf.estimates.S
    run_in_memory(cnmf, replace_spikes=True)
    cnmf.estimates.S = theirs = np.full((6, 700), 7.0)
    with pytest.raises(InputError, match="would destroy the old one"):
        run_in_memory(cnmf, replace_spikes=True)
    run_in_memory(cnmf)
    assert cnmf.estimates.cascade["S_caiman"] is spikes
    CaimanObject(cnmf).restore()
    assert cnmf.estimates.S is theirs and list(cnmf.estimates.cascade) == ["S_caiman"]


def test_doubts_about_an_object_are_warnings(cnmf, run_in_memory):
    cnmf.params.data["fr"] = 30.0
    with pytest.warns(CascadeWarning, match="CaImAn's default"):
        run_in_memory(cnmf)


@pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")
def test_estimates_alone_need_a_frame_rate(cnmf, run_in_memory):
    with pytest.raises(InputError, match=r"the CaImAn object has no frame rate"):
        run_in_memory(cnmf.estimates)
    assert run_in_memory(cnmf.estimates, frame_rate=20.0).frame_rate_hz == 20.0
    assert cnmf.estimates.cascade["spike_prob"].shape == (6, 700)


def test_parameters_may_be_attributes(cnmf):
    cnmf.params.data = CNMF(**cnmf.params.data)
    assert CaimanObject(cnmf).read().frame_rate == 20.0


def test_lists_and_sparse_arrays_in_an_object(cnmf):
    expected = CaimanObject(cnmf).read(COMPUTE)
    cnmf.estimates.idx_components = [0, 2, 4]
    cnmf.estimates.b, cnmf.estimates.A = csc_matrix(cnmf.estimates.b), cnmf.estimates.A.tocsr()
    found = CaimanObject(cnmf).read(COMPUTE)
    np.testing.assert_allclose(found.background, expected.background, rtol=1e-6)
    assert found.is_cell.tolist() == [True, False] * 3
    assert CaimanObject(cnmf).fingerprint() == CaimanObject(make_cnmf()).fingerprint()


@pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")
def test_selecting_components_of_an_object_does_not_go_unnoticed(cnmf, run_in_memory):
    run_in_memory(cnmf)
    select_components(cnmf, [1, 2])
    container = CaimanObject(cnmf)
    assert container.is_stale() and "there are now 2 x 700" in container.read().remarks[0]
    with pytest.raises(InputError, match="there are now 2 x 700"):
        container.results()
    run_in_memory(cnmf)
    assert not container.is_stale() and container.results().spike_prob.shape == (2, 700)


@pytest.mark.parametrize("other", [None, 3, "results.hdf5", {"C": 1}, np.ones((3, 4))])
def test_anything_else_in_memory_is_refused(other):
    with pytest.raises(InputError, match="a CNMF object, or its estimates, is needed"):
        run_on_estimates(other)


def test_an_object_of_which_no_dff_can_be_had_is_as_it_was(cnmf, run_in_memory):
    cnmf.estimates.b = cnmf.estimates.f = None
    before = dict(vars(cnmf.estimates))
    with pytest.raises(InputError, match=r"the CaImAn object has no background b and f"):
        run_in_memory(cnmf)
    assert vars(cnmf.estimates) == before


def test_options_are_checked(path, cnmf):
    with pytest.raises(InputError, match="there is no option speed"):
        run_on_file(path, speed=3)
    with pytest.raises(InputError, match="there is no option speed"):
        run_on_estimates(cnmf, speed=3)
    with pytest.raises(InputError, match="is no file of CaImAn's"):
        run_on_file(path.parent)
    with pytest.raises(InputError, match="is no file of CaImAn's"):
        run_on_file(path.parent / "other.hdf5")


# ---------------------------------------------------------------------------------------------- other ways to get here


def test_on_the_command_line(tmp_path, random_model, capsys):
    folder = tmp_path / "with spaces, ü"
    folder.mkdir()
    path = make_file(folder / "résults 1.hdf5")
    before = sha256(path)
    main(["inspect", str(folder), "--model", str(random_model.folder)])
    assert "CaImAn, 6 ROIs (3 cells) x 700 frames" in capsys.readouterr().out
    main(["run", str(folder), "--model", str(random_model.folder), "--replace-s", "--quiet"])
    assert "estimates/cascade/spike_prob" in capsys.readouterr().out
    main(["restore", str(folder)])
    assert "restored\n  put back estimates/S\n  removed estimates/cascade\n" in capsys.readouterr().out
    assert sha256(path) == before


MESMERIZE = """
import importlib.machinery, sys
from pathlib import Path

class Empty:  # CaImAn and what comes with it
    def find_spec(name, *rest):
        if name.split(".")[0] in ("caiman", "ipyparallel"):
            return importlib.machinery.ModuleSpec(name, Empty, is_package=True)
    def create_module(spec):
        pass
    def exec_module(module):
        module.__getattr__ = lambda attribute: type(attribute, (), {})

sys.meta_path.append(Empty)
import mesmerize_core, pandas as pd
import cascade_adapters.hooks.mesmerize
folder, model = sys.argv[1:]
df = mesmerize_core.create_batch(Path(folder) / "batch.pickle")
outputs = {"success": True, "traceback": None, "cnmf-hdf5-path": "results.hdf5"}
series = pd.Series({"algo": "cnmf", "uuid": "1", "outputs": outputs})
series.paths.set_batch_path(Path(folder) / "batch.pickle")
series.cnmf.get_n_components  # mesmerize's own accessor
report = series.cascade.run(model=model)
assert report.status == "done", report
assert series.cascade.get_results().spike_prob.shape == (6, 700)
assert series.cascade.restore() == ["removed estimates/cascade"]
assert series.cascade.get_results() is None
"""


def test_the_accessor_for_mesmerize(path, random_model):
    """With mesmerize-core itself; CaImAn, which it imports and pip cannot install, stands in empty."""
    pytest.importorskip("pandas")
    from importlib.util import find_spec

    if find_spec("mesmerize_core") is None:
        pytest.skip("needs mesmerize-core")
    before = sha256(path)
    arguments = [sys.executable, "-c", MESMERIZE, str(path.parent), str(random_model.folder)]
    result = subprocess.run(arguments, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert sha256(path) == before


def test_the_accessor_is_not_there_without_mesmerize():
    code = """
import sys
sys.modules["mesmerize_core"] = None
sys.meta_path.insert(0, type("Hide", (), {"find_spec": lambda name, *rest: None}))
import importlib.util
importlib.util.find_spec = lambda name: None
from cascade_engine.errors import MissingExtraError
try:
    import cascade_adapters.hooks.mesmerize
except MissingExtraError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip().startswith("the accessor series.cascade needs mesmerize-core, which is not installed")


def test_importing_the_adapter_is_light():
    code = """
import sys, cascade_adapters.hooks.caiman
print(sorted({"h5py", "scipy", "pandas", "caiman"} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["caiman-1.12.1-cnmf.hdf5", "caiman-1.8.5-cnmf.hdf5"])
@pytest.mark.parametrize("replace_spikes", [False, True])
def test_real_files(shared, tmp_path, run, name, replace_spikes):
    path = tmp_path / name
    path.write_bytes((shared("containers") / "caiman" / name).read_bytes())
    before, untouched = sha256(path), content(path)
    traces = CaimanFile(path).read()
    assert traces.source == "F_dff" and traces.frame_rate == 30.0 and "CaImAn's default" in traces.remarks[0]
    computed = dff_of(CaimanFile(path).read(Reading(dff="compute"))).dff
    for ours, theirs in zip(computed, traces.dff, strict=True):
        assert np.corrcoef(np.diff(ours), np.diff(theirs))[0, 1] > 0.99
    rois = CaimanFile(path).rois()
    assert len(rois.pixels) == len(traces.dff)
    run(path, replace_spikes=replace_spikes)
    after = content(path)
    assert {key for key in untouched if after[key] != untouched[key]} == ({"estimates/S"} if replace_spikes else set())
    version = "1.8.5" if "1.8.5" in name else "1.12.1"
    again = CaimanFile(save(load(path, version), tmp_path / "again.hdf5", version))
    assert again.record() == CaimanFile(path).record() and not again.is_stale()
    CaimanFile(path).restore()
    assert sha256(path) == before


def test_caiman_itself_loads_and_saves_results(path, tmp_path, run):
    """Only conda has CaImAn; the package of this name that pip finds is another."""
    cnmf_module = pytest.importorskip(
        "caiman.source_extraction.cnmf.cnmf", reason="needs CaImAn, which is installed by conda"
    )
    run(path, only_cells=True)
    loaded = cnmf_module.load_CNMF(str(path))
    assert loaded.estimates.cascade["spike_prob"].shape == (6, 700)
    loaded.save(str(tmp_path / "again.hdf5"))
    assert CaimanFile(tmp_path / "again.hdf5").record() == CaimanFile(path).record()


def test_every_failure_is_a_cascade_error():
    assert issubclass(InputError, CascadeError)
