"""EXTRACT, CNMF-E, Inscopix, SIMA and minian: what is taken, what is refused and why, and that nothing is changed."""

import json
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from cascade_adapters.cli import main
from cascade_adapters.containers.arrays import ArrayFile
from cascade_adapters.containers.base import Reading, Selection
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.containers.segmentations import CnmfeFile, ExtractFile, InscopixFile, MinianFolder, SimaFolder
from cascade_adapters.results import Results
from cascade_engine import infer
from cascade_engine.errors import CascadeError, InputError, MissingExtraError
from cascade_engine.file_formats.safe_pickle import Placeholder, load_pickle
from cascade_engine.signal.dff import delta_f_over_f
from cascade_engine.signal.noise import noise_levels
from tests.builders.array_files import make_dff, save_mat73
from tests.builders.killing import fresh, kills, needs_fork
from tests.builders.running import dff_of, made_up_record, made_up_results, run_one
from tests.builders.segmentation_files import (
    IMAGE_SHAPE,
    RATE,
    change_isxd,
    footprints,
    save_ciatah_extract,
    save_cnmfe,
    save_extract,
    save_isxd,
    save_sima,
)
from tests.builders.suite2p_folders import hashes

RATE_GIVEN = Reading(frame_rate=RATE)
AS_DFF = Reading(frame_rate=RATE, dff="container")
AS_RAW = Reading(frame_rate=RATE, dff="compute")
ARBITRARY = Reading(frame_rate=RATE, arbitrary_units=True)


@pytest.fixture
def run(random_model):
    """Process a path with the random model."""

    def run(path, selection=Selection(), **options):
        (container,) = find_containers(path, selection)
        return run_one(container, **{"model": str(random_model.folder), "frame_rate": RATE, **options})

    return run


@pytest.fixture
def isx():
    """Inscopix' library; skips where it, or roiextractors, is not installed."""
    pytest.importorskip("roiextractors")
    return pytest.importorskip("isx", reason="isx is made for Python up to 3.12 on computers of the x86 family")


def refused(container, match: str, reading: Reading = RATE_GIVEN) -> None:
    """Reading must fail with one line that names the source."""
    with pytest.raises(InputError, match=match) as caught:
        container.read(reading)
    assert container.path.name in str(caught.value) and "\n" not in str(caught.value)


def check_rois(rois) -> None:
    """They must be the footprints, row before column."""
    assert rois.image_shape == IMAGE_SHAPE and len(rois.pixels) == len(rois.weights) == 3
    images = np.zeros((*IMAGE_SHAPE, 3))
    for roi, (pixels, weights) in enumerate(zip(rois.pixels, rois.weights, strict=True)):
        images[pixels[:, 0], pixels[:, 1], roi] = weights
    np.testing.assert_array_equal(images, footprints())


# ----------------------------------------------------------------------------------------------------------- EXTRACT


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_extract(tmp_path, run, random_model, version):
    path = save_extract(tmp_path / "day1.mat", version=version)
    before = hashes(tmp_path)
    (container,) = find_containers(path)
    assert isinstance(container, ExtractFile)
    traces = container.read(RATE_GIVEN)
    np.testing.assert_array_equal(traces.dff, make_dff())
    assert traces.source == "output.temporal_weights" and traces.remarks == []
    check_rois(container.rois())

    report = run(path)
    assert report.written == ["day1_cascade.npz", "day1_cascade.npz.json"]
    found = container.results()
    np.testing.assert_array_equal(found.spike_prob, infer(make_dff(), RATE, random_model).spike_prob)
    np.testing.assert_array_equal(found.dff, make_dff())
    with np.load(tmp_path / "day1_cascade.npz", allow_pickle=False) as archive:
        assert archive["spike_prob"].shape == (3, 160) and archive["frame_rate"] == RATE
        assert json.loads(str(archive["record"]))["traces"]["source"] == "output.temporal_weights"
    assert not container.is_stale() and found.record.input.keys() == {"day1.mat"}
    with pytest.raises(InputError, match=r"was written by cascade: pass what it was made from, day1.mat"):
        run(tmp_path / "day1_cascade.npz")
    assert container.restore() == ["removed day1_cascade.npz", "removed day1_cascade.npz.json"]
    assert hashes(tmp_path) == before and container.restore() == []


def test_extract_as_roiextractors_sees_it(tmp_path):
    roiextractors = pytest.importorskip("roiextractors")
    path = save_extract(tmp_path / "day1.mat")
    other = roiextractors.ExtractSegmentationExtractor(path, sampling_frequency=RATE)
    np.testing.assert_array_equal(ExtractFile(path).read(RATE_GIVEN).dff, other.get_traces(name="dff").T)
    for own, mask in zip(ExtractFile(path).rois().pixels, other.get_roi_pixel_masks(), strict=True):
        np.testing.assert_array_equal(own, mask[:, :2])
    other.close()


def test_extract_of_ciatah(tmp_path):
    path = save_ciatah_extract(tmp_path / "day1_extractAnalysis.mat", config={"preprocess": 1.0})
    (container,) = find_containers(path)
    traces = container.read(RATE_GIVEN)
    np.testing.assert_array_equal(traces.dff, make_dff())
    assert traces.source == "extractAnalysisOutput.traces"
    check_rois(container.rois())
    # totalTime is how long the computation took; roiextractors takes it for the length of the recording
    refused(container, "EXTRACT stores no frame rate: pass --frame-rate", Reading())


@pytest.mark.parametrize(
    ("config", "message"),
    [({"preprocess": 0.0}, "set not to"), ({"skip_dff": 1.0}, "set not to"), ({"preprocess": None}, "does not say")],
)
def test_what_extract_was_given_is_asked_for(tmp_path, config, message):
    path = save_extract(tmp_path / "a.mat", **config)
    refused(
        ExtractFile(path), rf"{message}.*; pass --dff container .*--dff compute .*--arbitrary-units if they are not"
    )
    np.testing.assert_array_equal(ExtractFile(path).read(AS_DFF).dff, make_dff())
    refused(ExtractFile(path), "below zero, unlike raw fluorescence: pass --dff container", AS_RAW)
    raw = 300 * (1 + make_dff())
    save_extract(path, raw, **config)
    np.testing.assert_array_equal(ExtractFile(path).read(AS_RAW).fluorescence, raw)
    refused(ExtractFile(path), "as of raw fluorescence", AS_DFF)


def test_extract_says_what_it_holds(tmp_path):
    refused(ExtractFile(save_extract(tmp_path / "a.mat")), "holds dF/F, no raw fluorescence: leave out --dff", AS_RAW)
    refused(ExtractFile(save_extract(tmp_path / "a.mat", 100 * make_dff())), "as of raw fluorescence|in percent")


def test_extract_that_was_denoised(tmp_path):
    for version in ("5", "7.3"):
        path = save_extract(tmp_path / "a.mat", version=version, temporal_denoising=np.array(True))
        refused(ExtractFile(path), "temporal_denoising: the noise by which networks are chosen is gone")
        path = save_extract(tmp_path / "a.mat", version=version, trace_output_option="nonneg")
        (remark,) = ExtractFile(path).read(RATE_GIVEN).remarks
        assert "nonneg: whatever would be below zero was cut off" in remark


# ------------------------------------------------------------------------------------------------------------ CNMF-E


def test_cnmfe_takes_the_trace_with_its_noise(tmp_path):
    path = save_cnmfe(tmp_path / "day1_cnmfeAnalysis.mat")
    (container,) = find_containers(path)
    assert isinstance(container, CnmfeFile)
    refused(container, "CNMF-E stores no frame rate: pass --frame-rate", Reading())
    refused(container, "away that dF/F would be divided by; pass --dff container if the traces are dF/F, --arbitrary")
    refused(container, "leave out --dff compute", AS_RAW)
    traces = container.traces(ARBITRARY)
    assert traces.source == "cnmfeAnalysisOutput.extractedSignalsEst, in arbitrary units"
    (remark,) = traces.remarks
    assert remark.startswith("ARBITRARY UNITS")
    # of one noise level, whatever unit they were in; neither noise nor events were lost
    scaled = dff_of(traces).dff
    np.testing.assert_allclose(noise_levels(scaled, RATE), 2.0, rtol=1e-5)
    assert all(np.corrcoef(own, true)[0, 1] > 0.99 for own, true in zip(scaled, make_dff(), strict=True))
    brighter = CnmfeFile(save_cnmfe(path, 70 * make_dff())).traces(ARBITRARY)
    np.testing.assert_allclose(scaled, dff_of(brighter).dff, atol=1e-5)
    check_rois(container.rois())


def test_cnmfe_of_a_movie_of_dff(tmp_path):
    np.testing.assert_array_equal(CnmfeFile(save_cnmfe(tmp_path / "a.mat")).read(AS_DFF).dff, make_dff())


def test_the_denoised_fit_alone_is_refused(tmp_path):
    path = save_cnmfe(tmp_path / "a.mat", extractedSignalsEst=None)
    for reading in (RATE_GIVEN, ARBITRARY, AS_DFF):
        refused(CnmfeFile(path), "denoised fit alone .*the noise by which networks are chosen is gone", reading)
    refused(CnmfeFile(save_cnmfe(path, extractedSignalsEst="no")), r"extractedSignalsEst, cells x frames, is .*char")


def test_roiextractors_takes_the_denoised_fit(tmp_path):
    """The reason for not reading CNMF-E through it: it calls the fit raw, and time of computation time of recording."""
    roiextractors = pytest.importorskip("roiextractors")
    other = roiextractors.CnmfeSegmentationExtractor(save_cnmfe(tmp_path / "a.mat"))
    np.testing.assert_array_equal(other.get_traces(name="raw").T, 3 * np.maximum(make_dff(), 0))
    assert other.get_sampling_frequency() == 160 / 77


# ---------------------------------------------------------------------------------------------------------- Inscopix


def test_inscopix(tmp_path, run, isx):
    path = save_isxd(tmp_path / "día 1.isxd", units="dF over F")
    before = hashes(tmp_path)
    (container,) = find_containers(path)
    assert isinstance(container, InscopixFile)
    traces = container.read()
    np.testing.assert_array_equal(traces.dff, make_dff())
    assert traces.frame_rate == pytest.approx(RATE, abs=0.001) and traces.frame_rate_source == "timing of the cell set"
    assert traces.source == "traces (dF over F, pca-ica)" and traces.is_cell.tolist() == [True, True, False]
    assert container.read(Reading(frame_rate=15.0)).frame_rate == 15.0
    check_rois(container.rois())
    report = run(path, frame_rate=None, only_cells=True)
    assert report.written == ["día 1_cascade.npz", "día 1_cascade.npz.json"]
    assert np.isnan(container.results().spike_prob[2]).all()
    container.restore()
    assert hashes(tmp_path) == before


def test_units_of_inscopix(tmp_path, isx):
    path = save_isxd(tmp_path / "a.isxd", units="dF over noise", method="cnmfe")
    refused(InscopixFile(path), "in units of dF over noise; pass --dff container", Reading())
    path = save_isxd(tmp_path / "b.isxd")
    refused(InscopixFile(path), "does not say what its traces are in; pass --dff container", Reading())
    assert InscopixFile(path).read(Reading(dff="container")).dff.shape == (3, 160)
    np.testing.assert_allclose(noise_levels(dff_of(InscopixFile(path).traces(ARBITRARY)).dff, RATE), 2.0, rtol=1e-5)
    raw = save_isxd(tmp_path / "c.isxd", 300 * (1 + make_dff()))
    assert InscopixFile(raw).read(Reading(dff="compute")).fluorescence.shape == (3, 160)


def test_other_files_of_inscopix(tmp_path, isx):
    path = save_isxd(tmp_path / "a.isxd")
    change_isxd(path, type=0)
    refused(InscopixFile(path), "no cell set of Inscopix, but a movie")
    isx.CellSet.write(str(tmp_path / "empty.isxd"), isx.Timing(num_samples=9), isx.Spacing(num_pixels=(2, 2))).flush()
    refused(InscopixFile(tmp_path / "empty.isxd"), "is an empty cell set: it holds no cells")


def test_without_what_reads_inscopix(tmp_path, monkeypatch):
    """Needs neither; the description at the end is checked before."""
    path = tmp_path / "a.isxd"
    text = json.dumps({"type": 1}).encode()
    path.write_bytes(b"\0" * 100 + text + b"\0" + len(text).to_bytes(8, "little"))
    monkeypatch.setitem(sys.modules, "isx", None)
    with pytest.raises(MissingExtraError, match='pip install "roiextractors>='):
        InscopixFile(path).read()
    # some tools end every file with a line break
    text = json.dumps({"type": 1, "CellNames": []}).encode()
    for behind in (b"", b"\n", b"\r\n"):
        path.write_bytes(text + b"\0" + len(text).to_bytes(8, "little") + behind)
        refused(InscopixFile(path), "is an empty cell set: it holds no cells; find cells in the movie first")
    path.write_bytes(text[5:] + b"\0" + len(text).to_bytes(8, "little"))
    refused(InscopixFile(path), "cannot be read as an Inscopix cell set: its description is cut off")


# -------------------------------------------------------------------------------------------------------------- SIMA


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_sima(tmp_path, run, protocol):
    relative = 1.0 + 0.2 * make_dff(3, 300)
    folder = save_sima(tmp_path / "day1.sima", [relative[:, :100], relative[:, 100:]], protocol=protocol)
    before = hashes(tmp_path)
    (container,) = find_containers(folder)
    assert isinstance(container, SimaFolder)
    traces = container.read(RATE_GIVEN)
    np.testing.assert_array_equal(traces.fluorescence, np.float32(relative))
    assert traces.segments == [100, 200] and traces.source == "raw of signals_0.pkl"
    refused(container, "SIMA stores no frame rate: pass --frame-rate", Reading())
    refused(container, "holds raw fluorescence, no dF/F: leave out --dff container", AS_DFF)
    check_rois(container.rois())
    report = run(folder)
    assert report.written == ["day1_cascade.npz", "day1_cascade.npz.json"]
    expected = delta_f_over_f(np.float32(relative), RATE, segments=[100, 200]).dff
    np.testing.assert_array_equal(container.results().dff, expected)
    # roiextractors' reader would have rewritten every pickle here
    main(["restore", str(folder)])
    assert hashes(tmp_path) == before


def test_nothing_in_sima_is_executed(tmp_path):
    class Malicious:
        def __reduce__(self):
            return Path.touch, (tmp_path / "executed",)

    folder = save_sima(tmp_path / "a.sima", [1.0 + 0.2 * make_dff()], extra=Malicious(), rois=[{"mask": Malicious()}])
    container = SimaFolder(folder)
    assert container.read(RATE_GIVEN).shape == (3, 160) and container.rois() is None
    assert not (tmp_path / "executed").exists()
    content = load_pickle(folder / "signals_0.pkl")
    assert isinstance(content["2015-01-01-10h00m00s"]["extra"], Placeholder)


@pytest.mark.parametrize(
    ("signals", "message"),
    [
        ({"raw": None}, "no raw signals of ROIs x frames"),
        ({"raw": []}, "no raw signals"),
        ({"raw": [np.ones(9)]}, "no raw signals"),
        ({"raw": [np.array([["a"]])]}, "no raw signals"),
        ({"raw": [np.ones((3, 70)), np.ones((2, 70))]}, "different numbers of ROIs"),
        ({"labels": []}, "no extracted signals"),
        ({"labels": ["one", "two"]}, "holds the extractions one, two: pass --key"),
    ],
)
def test_signals_of_sima_that_cannot_be_used(tmp_path, signals, message):
    refused(SimaFolder(save_sima(tmp_path / "a.sima", [make_dff()], **signals)), message)


def test_channels_and_extractions_of_sima(tmp_path, run):
    folder = save_sima(tmp_path / "a.sima", [1 + 0.2 * make_dff()], labels=["one", "two"])
    save_sima(folder, [1 + 0.2 * make_dff(2)], channel=1)
    before = hashes(tmp_path)
    assert run(folder, Selection(key="two")).n_rois == 3
    report = run(folder, Selection(channel=2))
    assert report.n_rois == 2 and report.written[0] == "a_chan2_cascade.npz"
    refused(SimaFolder(folder, label="three"), "no extraction 'three'; it has one, two")
    main(["restore", str(folder)])
    assert hashes(tmp_path) == before
    (folder / "signals_0.pkl").unlink()
    refused(SimaFolder(folder), "no signals_0.pkl: extract signals in SIMA first, or pass another --channel")


def test_sima_given_as_the_folder_that_one_is_in(tmp_path, run, monkeypatch):
    folder = save_sima(tmp_path / "a.sima", [1 + 0.2 * make_dff()])
    monkeypatch.chdir(folder)
    run(Path())
    assert (tmp_path / "a_cascade.npz").is_file() and set(os.listdir(folder)) == {
        "signals_0.pkl", "sequences.pkl", "dataset.pkl",
    }  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"junk", b"\x80\x04.", pickle.dumps([1, 2])[:-4], pickle.dumps([1, 2])])
def test_damaged_pickles_of_sima(tmp_path, content):
    folder = save_sima(tmp_path / "a.sima", [make_dff()])
    (folder / "signals_0.pkl").write_bytes(content)
    refused(SimaFolder(folder), "cannot be read as a pickle|holds no extracted signals")


# ------------------------------------------------------------------------------------------------------------ minian


def test_minian_is_refused_with_the_reason(tmp_path, random_model, capsys):
    zarr = pytest.importorskip("zarr")
    for name, array in (("A", footprints().transpose(2, 0, 1)), ("C", make_dff()), ("S", make_dff())):
        zarr.open_group(str(tmp_path / "minian" / f"{name}.zarr"), mode="w").create_dataset(name, data=array)
    before = hashes(tmp_path)
    (container,) = find_containers(tmp_path / "minian")
    assert isinstance(container, MinianFolder)
    refused(container, "denoised fit alone .*the noise by which networks are chosen is gone; extract the mean")
    with pytest.raises(SystemExit):
        main(["run", str(tmp_path / "minian"), "--model", str(random_model.folder)])
    assert "minian keeps its denoised fit alone" in capsys.readouterr().err
    assert hashes(tmp_path) == before


# ---------------------------------------------------------------------------------------------------- who takes what


def test_other_files_of_matlab_are_arrays(tmp_path):
    save_mat73(tmp_path / "a.mat", {"dff": make_dff(), "output": {"temporal_weights": make_dff().T}})
    assert [type(found) for found in find_containers(tmp_path / "a.mat")] == [ArrayFile]
    (tmp_path / "a.mat").write_bytes(b"damaged")
    assert [type(found) for found in find_containers(tmp_path / "a.mat")] == [ArrayFile]


def test_folders_are_not_searched_and_the_message_names_every_kind(tmp_path):
    save_extract(tmp_path / "a.mat")
    (tmp_path / "movie.avi").write_bytes(b"RIFF")
    for path in (tmp_path, tmp_path / "movie.avi"):
        with pytest.raises(InputError, match="holds nothing to run on; looked for suite2p") as caught:
            find_containers(path)
        assert all(kind in str(caught.value) for kind in ("EXTRACT", "CNMF-E", "Inscopix", "SIMA", "minian", "array"))


# ------------------------------------------------------------------------------------------------------------ safety


def results_of(value: float) -> Results:
    spike_prob = np.full((3, 160), value, np.float32)
    return made_up_results(spike_prob, record=made_up_record(3, 160, value=value))


@needs_fork
def test_killed_at_any_operation(tmp_path):
    old, folder = tmp_path / "old", tmp_path / "killed"
    old.mkdir()
    save_extract(old / "a.mat")
    untouched = hashes(old)
    ExtractFile(old / "a.mat").write(results_of(1.0))
    seen = {"write": [], "restore": []}
    actions = {
        "write": lambda: ExtractFile(folder / "a.mat").write(results_of(2.0)),
        "restore": lambda: ExtractFile(folder / "a.mat").restore(),
    }
    for name, action in actions.items():
        for _ in kills(lambda: fresh(old, folder), action, folder):
            found = ExtractFile(folder / "a.mat").results()
            if found is None:
                assert hashes(folder) == untouched and name == "restore"
            else:
                assert (found.spike_prob == found.record.container["value"]).all() and len(hashes(folder)) == 3
            seen[name].append(found is None or found.record.container["value"] == 2.0)
        assert sorted(seen[name]) == seen[name] and seen[name].count(False) > 3 and seen[name].count(True) > 1


def test_files_of_others_are_never_touched(tmp_path, run):
    path = save_extract(tmp_path / "a.mat")
    (tmp_path / "a_cascade.npz").write_bytes(b"mine")
    before = hashes(tmp_path)
    with pytest.raises(InputError, match=r"a_cascade.npz is where results would go, but it was not written by cascade"):
        run(path)
    assert ExtractFile(path).restore() == [] and hashes(tmp_path) == before
    (tmp_path / "a_cascade.npz").unlink()
    with pytest.raises(InputError, match="no deconvolved traces to replace: leave out --replace-spks"):
        run(path, replace_spikes=True)
    run(path)
    (tmp_path / "a_cascade.npz").write_bytes(b"changed")
    with pytest.raises(InputError, match=r"cannot be read \(they are damaged\): run again"):
        ExtractFile(path).results()
    assert ExtractFile(path).restore()[0].startswith("left a_cascade.npz")


@pytest.mark.parametrize("kind", ["extract", "cnmfe", "sima", "isxd"])
def test_damaged_files_fail_in_one_line_or_not_at_all(tmp_path, request, kind):
    if kind == "isxd":
        request.getfixturevalue("isx")
    makers = {
        "extract": lambda: save_extract(tmp_path / "a.mat", version="5"),
        "cnmfe": lambda: save_cnmfe(tmp_path / "a.mat"),
        "sima": lambda: save_sima(tmp_path / "a.sima", [make_dff()]) / "signals_0.pkl",
        "isxd": lambda: save_isxd(tmp_path / "a.isxd", units="dF over F"),
    }
    path = makers[kind]()
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for case in range(40):
        damaged = bytearray(content[: rng.integers(len(content))] if case % 4 == 0 else content)
        for place in rng.integers(len(damaged) + 1, size=case % 4):
            damaged[place % len(damaged)] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        given = path.parent if kind == "sima" else path
        try:
            (container,) = find_containers(given, Selection(orientation="rois-first"))
            container.read(ARBITRARY)
            container.rois()
        except CascadeError as error:
            assert "\n" not in str(error)
        assert path.read_bytes() == damaged


def test_on_the_command_line(tmp_path, random_model, capsys):
    path = save_extract(tmp_path / "day 1.mat")
    before = hashes(tmp_path)
    options = [str(path), "--frame-rate", "30", "--model", str(random_model.folder)]
    main(["inspect", *options])
    assert "EXTRACT, 3 ROIs x 160 frames" in capsys.readouterr().out
    main(["run", *options, "--quiet"])
    assert "wrote day 1_cascade.npz, day 1_cascade.npz.json" in capsys.readouterr().out
    main(["restore", str(path)])
    assert hashes(tmp_path) == before
