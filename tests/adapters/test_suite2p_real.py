"""The real suite2p run through our hook, real folders, and the hook's promises with a suite2p that only pretends."""

import contextlib
import json
import shutil
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

from cascade_adapters.cli import main
from cascade_adapters.containers.base import Selection
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.hooks.suite2p import run_on_folder, run_s2p
from cascade_engine.errors import CascadeWarning, InputError, MissingExtraError, ModelError
from cascade_engine.ground_truth import simulate_dataset
from tests.builders.suite2p_folders import hashes, make_recording

REAL_FOLDERS = {
    "suite2p-1.1.0-one-plane": 1,
    "suite2p-0.14.6-one-plane": 1,
    "two-planes-two-channels": 2,
    "no-ops-18000-frames": 1,
}

RATE = 30.0


# --------------------------------------------------------------------------------------------------- the real suite2p


@pytest.fixture(scope="module")
def suite2p(tmp_path_factory):
    """The real package; skips where it, or what it needs, is not installed."""
    torch = pytest.importorskip("torch", reason="suite2p is not installed")
    with pytest.MonkeyPatch.context() as patch:
        # it creates a folder in the home directory when it is imported
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for operator in ("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
                         "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"):  # fmt: skip
            name, _, signature = operator.partition("(")
            # torchvision made for GPUs cannot declare these beside a torch made for the CPU
            with contextlib.suppress(RuntimeError):
                torch.library.define(f"torchvision::{name}", f"({signature}")
        module = pytest.importorskip("suite2p", reason="suite2p is not installed")
        if "settings" not in module.run_s2p.__code__.co_varnames:
            pytest.skip("needs suite2p 1.0 or newer")
        yield module


def write_movie(folder: Path, n_planes: int, n_frames: int = 400, size: int = 72, n_cells: int = 12) -> None:
    """A movie of discs that flash as simulated neurons do, with shot noise, on a background; planes interleaved."""
    import tifffile

    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size]
    movie = np.empty((n_frames, n_planes, size, size), np.int16)
    for plane in range(n_planes):
        recordings = simulate_dataset(n_cells, n_frames / RATE, RATE, 0.5, seed=plane).recordings
        centres = [(14 + 17 * (i // 4), 12 + 18 * (i % 4)) for i in range(n_cells)]
        discs = np.stack([np.hypot(y - cy, x - cx) < 4.5 for cy, cx in centres]).reshape(n_cells, -1).astype(float)
        brightness = np.stack([1.0 + 3.0 * np.maximum(recording.dff, 0.0) for recording in recordings])
        frames = (
            100.0 + 20.0 * np.sin(x / 9.0) * np.cos(y / 7.0) + (60.0 * brightness.T @ discs).reshape(-1, size, size)
        )
        movie[:, plane] = rng.poisson(frames)
    folder.mkdir()
    tifffile.imwrite(folder / "movie.tif", movie.reshape(-1, size, size))


def test_a_real_run_of_suite2p(suite2p, tmp_path, random_model, monkeypatch):
    """Results lie in every plane beside suite2p's own files, which are as suite2p left them, also after a restore."""
    write_movie(tmp_path / "raw", n_planes=2)
    db = {"data_path": [str(tmp_path / "raw")], "save_path0": str(tmp_path), "nplanes": 2, "nchannels": 1}
    settings = suite2p.default_settings()
    settings.update(fs=RATE, tau=0.7, torch_device="cpu", diameter=[9.0, 9.0])
    settings["registration"] |= {"block_size": (64, 64), "nonrigid": False}
    left_by_suite2p, returned = {}, []
    real_run = suite2p.run_s2p

    def run_and_look(*args, **kwargs):
        returned.append(real_run(*args, **kwargs))
        left_by_suite2p.update(hashes(tmp_path / "suite2p"))
        return returned[0]

    monkeypatch.setattr(suite2p, "run_s2p", run_and_look)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = run_s2p(db, settings, cascade={"model": str(random_model.folder), "replace_spikes": True})

    assert result is returned[0] and len(result) == 2
    planes = [tmp_path / "suite2p" / f"plane{i}" for i in range(2)]
    for plane in planes:
        f, spike_prob = np.load(plane / "F.npy"), np.load(plane / "cascade_spike_prob.npy")
        assert len(f) >= 3 and spike_prob.shape == f.shape == (len(f), 400)
        assert np.isfinite(spike_prob[:, 32:-32]).any(axis=1).all()
        record = json.loads((plane / "cascade.json").read_text())
        assert record["recording"]["frame_rate_hz"] == RATE
        assert record["traces"]["neuropil_coefficient"] == 0.7
    found = hashes(tmp_path / "suite2p")
    assert not [name for name in found if name.startswith("combined") and "cascade" in name]
    replaced = {f"plane{i}/spks.npy" for i in range(2)}
    own = {name: digest for name, digest in left_by_suite2p.items() if name not in replaced}
    assert {name: found.get(name) for name in own} == own
    assert all(found[f"plane{i}/spks_suite2p.npy"] == left_by_suite2p[f"plane{i}/spks.npy"] for i in range(2))

    for plane in planes:
        Suite2pPlane(plane).restore()
    assert hashes(tmp_path / "suite2p") == left_by_suite2p


# ------------------------------------------------------------------------------------------------------- real folders


@pytest.mark.parametrize("name", REAL_FOLDERS)
def test_real_folders_through_the_library(shared, tmp_path, random_model, name):
    folder, before = copy_of(shared, tmp_path, name)
    with pytest.warns(CascadeWarning):  # a random model, and settings that were never set
        reports = run_on_folder(folder, model=str(random_model.folder), replace_spikes=True, frame_rate=rate_for(name))
    assert [report.status for report in reports] == ["done"] * REAL_FOLDERS[name]
    for report in reports:
        plane = Path(report.path)
        spike_prob, f = np.load(plane / "cascade_spike_prob.npy"), np.load(plane / "F.npy", mmap_mode="r")
        assert spike_prob.shape == f.shape and spike_prob.dtype == np.float32
        predicted = np.isfinite(spike_prob).any(axis=1)
        assert predicted.sum() + len(report.without_prediction) == len(f)
        assert predicted.mean() > 0.5
        assert np.isfinite(np.load(plane / "spks.npy")).all()
    for plane in Suite2pPlane.find(folder):
        plane.restore()
    assert hashes(folder) == before


@pytest.mark.parametrize("name", REAL_FOLDERS)
def test_real_folders_through_the_commands(shared, tmp_path, random_model, capsys, name):
    folder, before = copy_of(shared, tmp_path, name)
    rate = ["--frame-rate", "30"] if rate_for(name) else []
    command(["run", str(folder), "--model", str(random_model.folder), "--replace-spks", "--json", *rate])
    reports = json.loads(capsys.readouterr().out)
    assert [report["status"] for report in reports] == ["done"] * REAL_FOLDERS[name]
    assert hashes(folder) != before
    command(["restore", str(folder)])
    assert hashes(folder) == before


def test_the_second_channel_of_a_real_folder(shared, tmp_path, random_model):
    folder, before = copy_of(shared, tmp_path, "two-planes-two-channels")
    with pytest.warns(CascadeWarning):  # a random model, and settings that were never set
        reports = run_on_folder(folder, channel=2, model=str(random_model.folder))
    assert [len(report.written) for report in reports] == [4, 4]
    for plane in Suite2pPlane.find(folder, Selection(channel=2)):
        plane.restore()
    assert hashes(folder) == before


def copy_of(shared, tmp_path: Path, name: str) -> tuple[Path, dict[str, str]]:
    folder = Path(shutil.copytree(shared(f"containers/suite2p/{name}"), tmp_path / name))
    return folder, hashes(folder)


def rate_for(name: str) -> float | None:
    return 30.0 if name.startswith("no-ops") else None


def command(arguments: list[str]) -> None:
    """Run a command that must succeed."""
    try:
        main(arguments)
    except SystemExit as end:
        assert not end.code


# ----------------------------------------------------------------------------------------- the hook, without suite2p


@pytest.fixture
def pretended(tmp_path, monkeypatch):
    """A module ``suite2p`` whose run writes simulated planes and returns what `pretended.result` says."""
    module = types.ModuleType("suite2p")
    module.calls, module.n_planes = [], 2
    root = tmp_path / "out"
    module.result = [str(root / "suite2p" / f"plane{i}" / "db.npy") for i in range(2)]

    def run(*args, **kwargs):
        module.calls.append((args, kwargs))
        shutil.rmtree(root / "suite2p", ignore_errors=True)
        make_recording(root, module.n_planes, n_rois=3, n_frames=200)
        return module.result

    module.run_s2p = run
    module.root = root
    monkeypatch.setitem(sys.modules, "suite2p", module)
    return module


def planes_with_results(root: Path) -> list[str]:
    return sorted(str(path.parent.relative_to(root)) for path in root.rglob("cascade.json"))


def test_arguments_and_return_value_are_passed_on(pretended, random_model):
    result = run_s2p({"a": 1}, settings={"fs": 30.0}, cascade={"model": str(random_model.folder)})
    assert result is pretended.result
    assert pretended.calls == [(({"a": 1},), {"settings": {"fs": 30.0}})]
    assert planes_with_results(pretended.root) == ["suite2p/plane0", "suite2p/plane1"]


@pytest.mark.parametrize("form", ["plane folders", "paths", "ops returned", "ops given", "data_path"])
def test_where_suite2p_has_written_is_found_in_every_form(pretended, random_model, form):
    """Versions differ in what they return."""
    root = pretended.root
    ops = {"save_path0": str(root), "save_folder": "suite2p"}
    args = ({},)
    if form == "plane folders":
        pretended.result = [str(root / "suite2p" / "plane0"), str(root / "suite2p" / "plane1")]
    elif form == "paths":
        pretended.result = [root / "suite2p" / "plane0" / "ops.npy", root / "suite2p" / "plane1" / "ops.npy"]
    elif form == "ops returned":
        pretended.result = ops | {"fs": 30.0}
    else:
        pretended.result = None
        args = ({"fs": 30.0}, ops) if form == "ops given" else ({"data_path": [str(root)]},)
    run_s2p(*args, cascade={"model": str(random_model.folder)})
    assert planes_with_results(root) == ["suite2p/plane0", "suite2p/plane1"]


def test_running_twice_overwrites(pretended, random_model):
    for _ in range(2):
        run_s2p({}, cascade={"model": str(random_model.folder)})
    pretended.run_s2p = lambda *args: pretended.result
    run_s2p({}, cascade={"model": str(random_model.folder)})
    with pytest.warns(CascadeWarning, match="has results already"):
        run_s2p({}, cascade={"model": str(random_model.folder), "existing": "error"})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"modle": "x"}, InputError, "no option modle"),
        ({"model": "nowhere"}, ModelError, "no model nowhere"),
        ({"baseline": "median"}, InputError, "baseline method"),
        ({"existing": "maybe"}, InputError, "existing must be one of"),
        ({"threshold": 3}, InputError, "threshold"),
        ({"frame_rate": -1}, InputError, "frame_rate"),
        ({"channel": 3}, InputError, "channels 1 and 2"),
    ],
)
def test_wrong_options_are_found_before_suite2p_is_started(pretended, random_model, options, error, message):
    with pytest.raises(error, match=message):
        run_s2p({}, cascade={"model": str(random_model.folder), **options})
    assert pretended.calls == []


@pytest.mark.parametrize("problem", ["damaged plane", "no plane", "nowhere"])
def test_a_failure_after_suite2p_is_a_warning(pretended, random_model, monkeypatch, problem):
    """Hours of suite2p must not be lost."""
    run = pretended.run_s2p

    def run_and_spoil(*args):
        run(*args)
        if problem == "damaged plane":
            (pretended.root / "suite2p" / "plane0" / "F.npy").write_bytes(b"")
        elif problem == "no plane":
            shutil.rmtree(pretended.root / "suite2p" / "plane0")
        else:
            return None
        return pretended.result

    monkeypatch.setattr(pretended, "run_s2p", run_and_spoil)
    with pytest.warns(CascadeWarning, match="suite2p has finished, but spikes were not inferred: "):
        result = run_s2p({}, cascade={"model": str(random_model.folder)})
    assert result is (None if problem == "nowhere" else pretended.result)
    assert planes_with_results(pretended.root) == ([] if problem == "nowhere" else ["suite2p/plane1"])


def test_doubts_become_warnings(pretended, random_model):
    with pytest.warns(CascadeWarning) as caught:
        run_s2p({}, cascade={"model": str(random_model.folder), "frame_rate": 15.0})
    texts = [str(warning.message) for warning in caught]
    assert len(texts) == 2 and all("trained for 30 Hz" in text for text in texts)
    assert "plane0" in texts[0] and "plane1" in texts[1]


def test_without_suite2p_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "suite2p", None)
    with pytest.raises(MissingExtraError, match=r'needs suite2p.*pip install "suite2p(\[\w+\])?>='):
        run_s2p({})
