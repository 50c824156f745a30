"""All options with all containers: each changes the result, is refused, or is said to change nothing."""

from dataclasses import dataclass, field

import numpy as np
import pytest

import cascade_adapters
from cascade_adapters.cli import main
from cascade_adapters.containers.caiman.memory import CaimanObject
from cascade_adapters.containers.registry import refuse_unused
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.convert import convert, read_metadata
from cascade_adapters.hooks.suite2p import run_s2p
from cascade_adapters.running.batch import process_all
from cascade_adapters.running.finding import find_all
from cascade_adapters.running.options import choices_by_group, parse_options
from cascade_engine.errors import CascadeWarning, InputError
from tests.adapters.test_fall import save_fall
from tests.builders import array_files, caiman_files, nwb_files, segmentation_files
from tests.builders.suite2p_folders import change_settings, hashes, make_plane

N_ROIS, N_FRAMES = 4, 320

CHOICES = {flat: choice for choices in choices_by_group().values() for flat, choice in choices.items()}

#: A value of each option besides its default; ``model`` is given by the test.
VALUES = {
    "only_cells": True,
    "replace_spikes": True,
    "bad_frames": "none",
    "exclude_frames": "50-60",
    "existing": "overwrite",
    "n_threads": 1,
    "smoothing": 0.2,
    "kernel": "causal",
    "population": "interneurons",
    "indicator": "GCaMP6s",
    "noise_level": 5.0,
    "threshold": 1,
    "padding": 0.0,
    "frame_rate": 25.0,
    "neuropil_coefficient": 0.3,
    "offset": 0.1,
    "dff": "container",
    "arbitrary_units": True,
    "rest": "keep",
    "sessions": (100, 220),
    "channel": 2,
    "series": "RoiResponseSeries",
    "in_place": True,
    "key": "F",
    "orientation": "rois-first",
    "raw": True,
    "baseline": "maximin",
    "baseline_window_s": 5.0,
    "baseline_percentile": 40.0,
    "neuropil": "full",
}


def suite2p(path, second_channel=True, neuropil=True):
    folder = make_plane(path / "plane0", N_ROIS, N_FRAMES, second_channel=second_channel).folder
    change_settings(folder, badframes=np.arange(N_FRAMES) == 200)
    if not neuropil:
        (folder / "Fneu.npy").unlink()
    return folder


def fall(path):
    folder = suite2p(path)
    return save_fall(
        folder,
        path / "Fall.mat",
        F_chan2=np.load(folder / "F_chan2.npy"),
        Fneu_chan2=np.load(folder / "Fneu_chan2.npy"),
    )


def nwb_raw(path):
    session = nwb_files.Session()
    table = session.table(N_ROIS, iscell=np.array([[1, 0.9], [0, 0.1]] * (N_ROIS // 2)))
    session.series(table, nwb_files.raw_traces(N_ROIS, N_FRAMES))
    session.series(table, 0.5 * nwb_files.raw_traces(N_ROIS, N_FRAMES, seed=3), "Neuropil")
    return session.save(path / "raw.nwb")


def nwb_dff(path):
    session = nwb_files.Session()
    dff = np.array(array_files.make_dff(N_ROIS, N_FRAMES))
    session.series(session.table(N_ROIS), dff, container="DfOverF", is_dff=True)
    return session.save(path / "dff.nwb")


def caiman_one_photon(path):
    cnm = caiman_files.make_cnmf(N_ROIS, N_FRAMES, dff=None)
    cnm.estimates.b = cnm.estimates.f = None
    return caiman_files.save(cnm, path / "one_photon.hdf5")


def array_raw(path):
    raw = 500.0 * (1.0 + array_files.make_dff(N_ROIS, N_FRAMES))
    np.savez(path / "raw.npz", F=raw, other=raw, fs=30.0)
    return path / "raw.npz"


@dataclass
class Kind:
    """A recording: what makes it, and the options without which it cannot be run."""

    make: object
    needs: dict = field(default_factory=dict)


DFF = array_files.make_dff(N_ROIS, N_FRAMES)
RATE, ROIS_FIRST = {"frame_rate": 30.0}, {"orientation": "rois-first"}

KINDS = {
    "suite2p": Kind(suite2p),
    "suite2p without Fneu": Kind(lambda path: suite2p(path, second_channel=False, neuropil=False)),
    "Fall.mat": Kind(fall),
    "NWB": Kind(nwb_raw),
    "NWB of dF/F": Kind(nwb_dff),
    "CaImAn": Kind(lambda path: caiman_files.make_file(path / "a.hdf5", n_components=N_ROIS, n_frames=N_FRAMES)),
    "CaImAn without F_dff": Kind(
        lambda path: caiman_files.make_file(path / "b.hdf5", n_components=N_ROIS, n_frames=N_FRAMES, dff=None)
    ),
    "CaImAn object": Kind(lambda path: caiman_files.make_cnmf(N_ROIS, N_FRAMES)),
    "CaImAn of one photon": Kind(caiman_one_photon, {"arbitrary_units": True}),
    "array": Kind(lambda path: array_files.save(path, "npy", DFF), RATE | ROIS_FIRST),
    "raw array": Kind(array_raw, {"raw": True, "key": "F"} | ROIS_FIRST),
    "EXTRACT": Kind(lambda path: segmentation_files.save_extract(path / "e.mat", DFF), RATE),
    "SIMA": Kind(lambda path: segmentation_files.save_sima(path / "s.sima", [1.0 + DFF]), RATE),
}  # fmt: skip

RAW = ("suite2p", "suite2p without Fneu", "Fall.mat", "NWB", "CaImAn without F_dff", "raw array", "SIMA")
ARRAYS = ("array", "raw array")

#: It changes the result; it is heeded, and the result is the same here; results go elsewhere.
CHANGES, SAME, PLACE = "changes", "same", "place"

ALL_OTHERS = "*"


def refused(text):
    """The run fails with a line that holds this."""
    return ("refused", text)


def said(option, text):
    """The result is the same, and a warning says so."""
    return ("said", f"{option} changes nothing: {text}")


def foreign(option):
    """It does not concern the container, and is refused since it concerns nothing else either."""
    return refused(f"{option} does not concern ")


def about_f0(option, *without_neuropil):
    """What holds for options about neuropil and baseline where there is none to compute."""
    return {
        **dict.fromkeys(RAW, CHANGES),
        **{kind: said(option, "there are no neuropil traces") for kind in without_neuropil},
        "CaImAn of one photon": CHANGES if not without_neuropil else said(option, "there are no neuropil traces"),
        ALL_OTHERS: said(option, "dF/F is the container's ("),
    }


NO_NEUROPIL = ("suite2p without Fneu", "CaImAn without F_dff", "raw array", "SIMA")
UNMARKED = "does not say which ROIs are cells: leave out --only-cells"

EXPECTED = {
    "model": {ALL_OTHERS: SAME},  # the one that is used anyway
    "only_cells": {
        **dict.fromkeys(["NWB of dF/F", *ARRAYS, "EXTRACT", "SIMA"], refused(UNMARKED)),
        ALL_OTHERS: CHANGES,
    },
    "replace_spikes": {
        **dict.fromkeys([kind for kind in KINDS if "suite2p" in kind or "CaImAn" in kind], PLACE),
        ALL_OTHERS: refused("has no deconvolved traces to replace: leave out --replace-spks"),
    },
    "bad_frames": {"suite2p": CHANGES, "suite2p without Fneu": CHANGES, "Fall.mat": CHANGES, ALL_OTHERS: SAME},
    "exclude_frames": {ALL_OTHERS: CHANGES},
    "existing": {ALL_OTHERS: SAME},
    "n_threads": {ALL_OTHERS: SAME},
    "smoothing": {ALL_OTHERS: refused("leave out smoothing and kernel, or choose the universal model")},
    "kernel": {ALL_OTHERS: refused("leave out smoothing and kernel, or choose the universal model")},
    "population": {ALL_OTHERS: refused("cannot be given a population: leave it out")},
    "indicator": {ALL_OTHERS: refused("cannot be given an indicator: leave it out")},
    "noise_level": {ALL_OTHERS: CHANGES},
    "threshold": {ALL_OTHERS: CHANGES},
    "padding": {ALL_OTHERS: CHANGES},
    "frame_rate": {ALL_OTHERS: CHANGES},
    "neuropil_coefficient": about_f0("--neuropil-coefficient", *NO_NEUROPIL),
    "offset": {
        **dict.fromkeys(RAW, CHANGES),
        "CaImAn of one photon": refused("is traces in arbitrary units: leave it out"),
        ALL_OTHERS: refused("is dF/F: leave it out"),
    },
    "dff": {
        **dict.fromkeys(["suite2p", "suite2p without Fneu", "Fall.mat"], refused("suite2p stores no dF/F")),
        "NWB": refused("has no dF/F for /processing/ophys/Fluorescence/RoiResponseSeries: leave out --dff container"),
        "CaImAn without F_dff": refused("F_dff cannot be used: there is none"),
        "CaImAn of one photon": said("--dff", "the traces are in arbitrary units"),
        "raw array": refused("--raw and --dff container contradict each other"),
        "SIMA": refused("holds raw fluorescence, no dF/F: leave out --dff container"),
        ALL_OTHERS: SAME,
    },
    "arbitrary_units": {"CaImAn of one photon": SAME, ALL_OTHERS: CHANGES},
    "rest": {
        **dict.fromkeys(RAW, said("--rest", "dF/F is computed, and rests at 0")),
        "CaImAn of one photon": said("--rest", "the traces are in arbitrary units"),
        ALL_OTHERS: SAME,
    },
    "sessions": {ALL_OTHERS: CHANGES},
    "channel": {
        "suite2p": CHANGES,
        "suite2p without Fneu": refused("holds nothing to run on"),
        "Fall.mat": CHANGES,
        "NWB": refused("has no series of channel 2, only /processing/ophys/Fluorescence/RoiResponseSeries"),
        "NWB of dF/F": refused("has no series of channel 2, only /processing/ophys/DfOverF/RoiResponseSeries"),
        "SIMA": refused("has no signals_1.pkl"),
        ALL_OTHERS: foreign("--channel"),
    },
    "series": {"NWB": SAME, "NWB of dF/F": SAME, ALL_OTHERS: foreign("--series")},
    "in_place": {"NWB": PLACE, "NWB of dF/F": PLACE, ALL_OTHERS: foreign("--in-place")},
    "key": {
        "Fall.mat": SAME,
        "array": refused("holds a single array, which has no name: leave out --key"),
        "raw array": SAME,
        "SIMA": refused("has no extraction 'F'"),
        ALL_OTHERS: foreign("--key"),
    },
    "orientation": {**dict.fromkeys(ARRAYS, SAME), ALL_OTHERS: foreign("--orientation")},
    "raw": {"array": refused("leave out --raw"), "raw array": SAME, ALL_OTHERS: foreign("--raw")},
    "baseline": about_f0("--baseline"),
    "baseline_window_s": about_f0("--baseline-window"),
    "baseline_percentile": about_f0("--baseline-percentile"),
    "neuropil": about_f0("--neuropil", *NO_NEUROPIL),
}  # fmt: skip


def test_every_option_is_in_the_table():
    assert set(EXPECTED) == set(CHOICES) == {"model", *VALUES}


@dataclass
class Outcome:
    """How a run ended: failures in words, warnings, results, and where they were to go."""

    message: str
    warnings: list
    arrays: dict
    place: tuple


@pytest.fixture
def outcome_of(monkeypatch):
    """Return a function that runs a recording up to where its results would be written."""
    written = []

    def write(ready, replace_spikes):
        for container, _, results in ready:
            arrays = {name: np.array(values[:]) for name, values in results.arrays.items()}
            written.append((arrays, (getattr(container, "_in_place", False) is True, replace_spikes)))

    monkeypatch.setattr("cascade_adapters.running.pipeline._write", write)

    def run(where, options):
        written.clear()
        chosen = parse_options(options)
        if isinstance(where, caiman_files.CNMF):
            containers, reports = [CaimanObject(where)], []
            try:
                refuse_unused(chosen.selection, containers)
            except InputError as error:
                return Outcome(str(error), [], {}, ())
        else:
            containers, reports = find_all([where], chosen.selection)
        reports += process_all(containers, chosen)
        (report,) = reports
        return Outcome(report.message, report.warnings, *(written[0] if written else ({}, ())))

    return run


def are_equal(one, other):
    return all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)


@pytest.mark.parametrize("kind", KINDS)
def test_every_option(kind, tmp_path, outcome_of, random_model):
    """With a model of the published architecture, which cannot be set to much."""
    made = KINDS[kind]
    where, needs = made.make(tmp_path), {"model": str(random_model.folder), **made.needs}
    usual = outcome_of(where, needs)
    assert usual.message == "" and np.isfinite(usual.arrays["spike_prob"]).any()
    assert not [text for text in usual.warnings if "changes nothing" in text]
    for option in EXPECTED:
        value = needs["model"] if option == "model" else VALUES[option]
        found = outcome_of(where, needs | {option: value})
        expected = EXPECTED[option].get(kind, EXPECTED[option][ALL_OTHERS])
        unused = [text for text in found.warnings if "changes nothing" in text]
        context = (kind, option, found.message, found.warnings)
        if isinstance(expected, tuple) and expected[0] == "refused":
            assert expected[1] in found.message and "\n" not in found.message, context
            assert not found.arrays, context
            continue
        assert found.message == "", context
        is_same = are_equal(found.arrays, usual.arrays)
        if isinstance(expected, tuple):
            assert is_same and len(unused) == 1 and unused[0].startswith(expected[1]), context
        else:
            assert not unused, context
            assert (is_same, found.place == usual.place) == {
                CHANGES: (False, True),
                SAME: (True, True),
                PLACE: (True, False),
            }[expected], context


def test_settings_of_the_universal_model(tmp_path, outcome_of, random_model):
    """They concern the model, whatever the container."""
    made = KINDS["array"]
    where = made.make(tmp_path)
    usual = outcome_of(where, made.needs)
    for option in ("smoothing", "kernel", "population", "indicator", "noise_level", "threshold", "model"):
        value = str(random_model.folder) if option == "model" else VALUES[option]
        found = outcome_of(where, made.needs | {option: value})
        assert found.message == "" and found.warnings == usual.warnings, option
        assert not are_equal(found.arrays, usual.arrays), option
    found = outcome_of(where, made.needs | {"padding": 0.0})
    assert are_equal(found.arrays, usual.arrays)
    assert "--padding changes nothing: this model predicts every segment up to its ends" in found.warnings


def test_what_contradicts_itself(tmp_path, outcome_of, random_model):
    where, model = suite2p(tmp_path), {"model": str(random_model.folder)}
    for options, text in (
        (
            {"baseline": "constant", "baseline_window_s": 5.0},
            "--baseline-window changes nothing: a constant baseline has",
        ),
        (
            {"baseline": "maximin", "baseline_percentile": 5.0},
            "--baseline-percentile changes nothing: the baseline max",
        ),
        (
            {"neuropil_coefficient": 0.0, "neuropil": "full"},
            "--neuropil changes nothing: the neuropil coefficient is 0",
        ),
    ):
        assert [each for each in outcome_of(where, options | model).warnings if each.startswith(text)], options
    found = outcome_of(where, model | {"noise_level": [1.0, 2.0]})
    assert found.message == f"{where} has 4 ROIs, but 2 noise levels are given: give one, or one per ROI"


def test_channels_give_their_own_traces(tmp_path):
    """Fall.mat and suite2p alike; NWB files whose series name the channel; none of them gives the other channel."""
    path = fall(tmp_path)
    for channel, name in ((1, "F"), (2, "F_chan2")):
        for where in (path, tmp_path / "plane0"):
            (found,) = cascade_adapters.find(where, channel=channel)
            np.testing.assert_array_equal(found.read().fluorescence[:], np.load(tmp_path / "plane0" / f"{name}.npy"))
    assert len(cascade_adapters.find(path, channel=None)) == 2
    first = save_fall(tmp_path / "plane0", tmp_path / "first.mat")
    with pytest.raises(InputError, match=r"first\.mat holds no F_chan2 and Fneu_chan2: it has no traces of channel 2"):
        cascade_adapters.find(first, channel=2)[0].read()

    session = nwb_files.Session()
    table = session.table(N_ROIS)
    values = {name: nwb_files.raw_traces(N_ROIS, N_FRAMES, seed) for seed, name in enumerate(("Chan1", "Chan2"))}
    for name, traces in values.items():
        session.series(table, traces, f"RoiResponseSeries{name}Plane0")
    both = session.save(tmp_path / "both.nwb")
    for channel in (1, 2):
        (found,) = cascade_adapters.find(both, channel=channel)
        np.testing.assert_array_equal(found.read().fluorescence[:], values[f"Chan{channel}"])
    (found,) = cascade_adapters.find(both, channel=2, series="RoiResponseSeriesChan1Plane0")
    with pytest.raises(InputError, match="RoiResponseSeriesChan1Plane0 is of channel 1: leave out --channel 2"):
        found.read()
    alone = nwb_files.simple(tmp_path / "alone.nwb", name="RoiResponseSeriesChan2Plane0")
    (found,) = cascade_adapters.find(alone)
    assert "the file has series of channel 2 alone: they were used" in found.read().remarks


def test_results_of_the_second_channel_of_fall(tmp_path, random_model, capsys):
    path = fall(tmp_path)
    before = hashes(tmp_path)
    main(["run", str(path), "--channel", "2", "--model", str(random_model.folder)])
    assert "from F_chan2 and Fneu_chan2, rois-first" in capsys.readouterr().out
    assert set(hashes(tmp_path)) - set(before) == {"Fall_chan2_cascade.mat", "Fall_chan2_cascade.mat.json"}
    (results,) = cascade_adapters.read_results(path, channel=2)
    assert results.record.traces.source.startswith("F_chan2") and cascade_adapters.read_results(path) == [None]
    main(["restore", str(path)])
    assert hashes(tmp_path) == before


def test_a_batch_says_where_an_option_changes_nothing(tmp_path, random_model, capsys):
    plane, dff = suite2p(tmp_path), array_raw(tmp_path)
    main(
        [
            "run",
            str(plane),
            str(dff),
            "--raw",
            "--key",
            "F",
            "--orientation",
            "rois-first",
            "--model",
            str(random_model.folder),
        ]
    )
    out, err = capsys.readouterr()
    first, second = out.split(f"{dff}: done")
    for option in ("--key", "--orientation", "--raw"):
        assert f"  warning: {option} changes nothing: it does not concern suite2p\n" in first
    assert "changes nothing" not in second and "2 done" in second and err == ""


@pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")
def test_python_and_hooks(tmp_path, random_model):
    plane, model = suite2p(tmp_path), str(random_model.folder)
    cnm = caiman_files.make_cnmf(N_ROIS, N_FRAMES)
    for call in (cascade_adapters.find, cascade_adapters.read_results):
        with pytest.raises(InputError, match=": key does not concern CaImAn object"):
            call(cnm, key="x")
    with pytest.raises(InputError, match="which traces are meant was said when it was found"):
        cascade_adapters.run(Suite2pPlane(plane), channel=2, model=model)
    with pytest.warns(CascadeWarning, match=": baseline changes nothing: dF/F is the container's"):
        cascade_adapters.run(cnm, baseline="constant", model=model)


def test_run_s2p_refuses_before_suite2p_starts(monkeypatch):
    class Suite2p:
        def run_s2p(self):
            raise AssertionError

    monkeypatch.setitem(__import__("sys").modules, "suite2p", Suite2p())
    with pytest.raises(InputError, match=": key does not concern suite2p"):
        run_s2p(cascade={"key": "x"})


def test_conversion(tmp_path):
    plane = suite2p(tmp_path, neuropil=False)
    done = convert(plane, tmp_path / "a.npz", reading=parse_options({"neuropil_coefficient": 0.3}).reading)
    assert "plane0: --neuropil-coefficient changes nothing: there are no neuropil traces" in done.session.remarks
    with pytest.raises(InputError, match="only NWB files describe the experiment"):
        convert(plane, tmp_path / "b.npz", metadata=read_metadata(None, ("subject.sex=F",)))
