"""Files of arrays: which files are taken and written, kills, and the command line."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from cascade_adapters.cli import main
from cascade_adapters.containers.arrays import ArrayFile
from cascade_adapters.containers.base import Reading, Selection
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.results import Results
from cascade_adapters.running.batch import process_all
from cascade_adapters.running.finding import find_all
from cascade_adapters.running.options import parse_options
from cascade_adapters.safe_writing.lock import waiting
from cascade_engine.errors import InputError
from tests.adapters.arrays.helpers import FRAMES_FIRST, RATE_GIVEN, ROIS_FIRST, read, refused
from tests.builders.array_files import FORMATS, RATE, make_dff, path_of, save
from tests.builders.killing import forked, fresh, kills, needs_fork
from tests.builders.running import made_up_record, made_up_results
from tests.builders.suite2p_folders import hashes, make_plane

# ------------------------------------------------------------------------------------------- what is taken, and whose


def test_folders_are_not_searched(tmp_path):
    save(tmp_path, "npy", make_dff())
    with pytest.raises(InputError, match=r"holds nothing to run on; looked for suite2p .*array \(.npy, .npz"):
        find_containers(tmp_path)
    assert ArrayFile.find(tmp_path) == [] and ArrayFile.find(tmp_path / "note.md") == []


def test_suite2p_has_its_own(tmp_path):
    plane = make_plane(tmp_path / "plane0")
    (container,) = find_containers(plane.folder / "F.npy")
    assert isinstance(container, Suite2pPlane)
    containers, failures = find_all([plane.folder, plane.folder / "F.npy"])
    assert len(containers) == 1 and not failures
    assert [type(found) for found in find_containers(plane.folder)] == [Suite2pPlane]


def test_results_stand_for_what_they_were_made_from(tmp_path, run):
    """So that the same pattern of names can be passed again, for more runs and for restoring."""
    for form in ("npy", "csv", "mat5", "npz"):
        folder = tmp_path / form
        folder.mkdir()
        path = save(folder, form, make_dff())
        before = hashes(folder)
        report = run(path)
        everything = [file for file in folder.iterdir() if file.suffix == path.suffix]
        containers, failures = find_all(everything, ROIS_FIRST)
        assert [container.path for container in containers] == [path] and not failures
        for name in report.written:
            if not name.endswith(".json"):
                refused(folder / name, r"was written by cascade: pass what it was made from, traces\.")
        main(["restore", *map(str, everything)])
        assert hashes(folder) == before


def test_results_of_a_source_that_is_gone(tmp_path, run):
    path = save(tmp_path, "npy", make_dff())
    run(path)
    path.unlink()
    with pytest.raises(InputError, match=r"traces_cascade_dff.npy was written by cascade"):
        run(tmp_path / "traces_cascade_dff.npy")


def test_files_of_others_are_never_touched(tmp_path, run):
    path = save(tmp_path, "npy", make_dff())
    for name in ("traces_cascade_dff.npy", "traces_cascade.npy.json"):
        (tmp_path / name).write_bytes(b"[1]")
        before = hashes(tmp_path)
        with pytest.raises(InputError, match=rf"{name} is (where results would go, but|no record)"):
            run(path)
        if name.endswith(".npy"):
            assert ArrayFile(path).restore() == []
        else:
            with pytest.raises(InputError, match=r"no record of results from traces.npy: rename it"):
                ArrayFile(path).restore()
        assert hashes(tmp_path) == before
        (tmp_path / name).unlink()


def test_results_changed_since_are_left(tmp_path, run):
    path = save(tmp_path, "npy", make_dff())
    before = hashes(tmp_path)
    run(path)
    np.save(tmp_path / "traces_cascade_dff.npy", np.ones(3))
    changed = hashes(tmp_path)
    with pytest.raises(InputError, match=r"traces_cascade_dff.npy .*was changed since cascade wrote it"):
        run(path, existing="overwrite")
    with pytest.raises(InputError, match=r"cannot be read .*: run again with --existing overwrite"):
        ArrayFile(path).results()
    assert hashes(tmp_path) == changed
    assert any("left traces_cascade_dff.npy, which was changed since" in done for done in ArrayFile(path).restore())
    assert hashes(tmp_path) == before | {"traces_cascade_dff.npy": changed["traces_cascade_dff.npy"]}


@pytest.mark.parametrize("names", [{"../victim.npy": "0"}, ["a"], None, {"victim.npy": 3}])
def test_a_record_cannot_lead_out_of_the_folder(tmp_path, run, names):
    path = save(tmp_path, "npy", make_dff())
    run(path)
    record = tmp_path / "traces_cascade.npy.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"files": names}))
    before = hashes(tmp_path)
    for action in (ArrayFile(path).restore, ArrayFile(path).results):
        with pytest.raises(InputError, match="no record of results"):
            action()
    assert hashes(tmp_path) == before


def test_results_that_are_there(tmp_path, run):
    path = save(tmp_path, "npz", make_dff())
    run(path)
    with pytest.raises(InputError, match="has results already: pass --existing update, overwrite or skip"):
        run(path)
    assert run(path, existing="skip").status == "skipped"
    before = hashes(tmp_path)
    assert run(path, existing="overwrite", threshold=False).status == "done"
    assert hashes(tmp_path) != before
    save(tmp_path, "npz", 2 * make_dff())
    assert ArrayFile(path).is_stale()
    with pytest.raises(InputError, match="leave out --replace-spks"):
        run(path, existing="overwrite", replace_spikes=True)


def test_inputs_of_one_name_do_not_share_results(tmp_path, run):
    paths = [save(tmp_path, form, make_dff()) for form in FORMATS if form != "mat73"]
    alone = hashes(tmp_path)
    for path in paths:
        run(path)
    for path in paths:
        assert not ArrayFile(path).is_stale()
        ArrayFile(path).restore()
    assert hashes(tmp_path) == alone


def test_names_that_begin_alike(tmp_path, run):
    first, second = (save(tmp_path, "npy", make_dff(), stem=stem) for stem in ("traces", "traces_2"))
    run(second)
    before = hashes(tmp_path)
    run(first)
    ArrayFile(first).restore()
    assert hashes(tmp_path) == before


# ---------------------------------------------------------------------------------------------------------- safety


def results_of(path: Path, value: float) -> Results:
    n_rois, n_frames = 3, 160
    spike_prob = np.full((n_rois, n_frames), value, np.float32)
    record = made_up_record(n_rois, n_frames, RATE, value=value)
    return made_up_results(spike_prob, noise_levels=np.full(n_rois, value), record=record)


def states_of(root: Path, form: str) -> dict[str, Path]:
    """Folders before any run, after a first one, and after a second."""
    states = {name: root / name for name in ("untouched", "first", "second")}
    states["untouched"].mkdir()
    path = save(states["untouched"], form, make_dff())
    for name, source, value in (("first", "untouched", 1.0), ("second", "first", 2.0)):
        shutil.copytree(states[source], states[name])
        write(states[name] / path.name, value)
    return states


def write(path: Path, value: float) -> None:
    ArrayFile(path, ROIS_FIRST).write(results_of(path, value))


@needs_fork
@pytest.mark.parametrize("form", ["npy", "mat5", "csv"])
@pytest.mark.parametrize(("before", "after"), [("untouched", "first"), ("first", "second"), ("second", "untouched")])
def test_killed_at_any_operation(tmp_path, form, before, after):
    """Opened again, the folder is as before or as after; old results are never half new."""
    states = states_of(tmp_path, form)
    old, new = hashes(states[before]), hashes(states[after])
    folder = tmp_path / "killed"
    path = path_of(folder, form)
    actions = {"first": lambda: write(path, 1.0), "second": lambda: write(path, 2.0)}
    action = actions.get(after, lambda: ArrayFile(path).restore())
    seen = []
    for at in kills(lambda: fresh(states[before], folder), action, folder):
        ArrayFile(path, ROIS_FIRST).record()
        found = hashes(folder)
        if form == "mat5" and after != "untouched":
            # MATLAB's header holds the time of day, so that the bytes differ from run to run
            is_new = any(digest != old.get(name) for name, digest in found.items())
            assert not is_new or set(found) == set(new)
            loaded = ArrayFile(path).results()
            expected = {"untouched": None, "first": 1.0, "second": 2.0}[after if is_new else before]
            assert (loaded is None) == (expected is None)
            assert loaded is None or (
                (loaded.spike_prob[:] == expected).all() and loaded.record.container["value"] == expected
            )
        else:
            assert found in (old, new), f"operation {at}"
            is_new = found == new
        seen.append(is_new)
    assert seen == sorted(seen) and seen[0] is False and seen[-1] is True and len(seen) > 5


@needs_fork
def test_two_runs_at_once(tmp_path):
    """On one file the second is refused; on two files of a folder both go on, and neither harms the other."""
    path, other = (save(tmp_path, "npy", make_dff(), stem=stem) for stem in ("traces", "other"))
    before = hashes(tmp_path)

    def refused_for_now():
        with waiting(0), pytest.raises(InputError, match=r"traces.npy is being changed by another run"):
            write(path, 2.0)

    container = ArrayFile(path, ROIS_FIRST)
    files = container._beside()

    def meanwhile(file):
        assert forked(refused_for_now) == 0
        assert forked(lambda: write(other, 3.0)) == 0
        np.save(file, np.ones(3))

    files.write({"traces_cascade_dff.npy": meanwhile}, {"what": "a test"})
    assert (ArrayFile(other, ROIS_FIRST).results().spike_prob[:] == 3.0).all()
    assert ArrayFile(other).restore() and ArrayFile(path).restore()
    assert hashes(tmp_path) == before


def test_a_full_disk_leaves_everything_as_it_was(tmp_path, monkeypatch):
    states = states_of(tmp_path, "npz")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="cannot be changed: No space left on device"):
        write(states["first"] / "traces.npz", 2.0)
    monkeypatch.undo()
    ArrayFile(states["first"] / "traces.npz").record()
    assert ArrayFile(states["first"] / "traces.npz").results().record.container["value"] == 1.0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path, run):
    path = save(tmp_path, "npy", make_dff())
    before = hashes(tmp_path)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(InputError, match="cannot be changed: Permission denied"):
            run(path)
    finally:
        tmp_path.chmod(0o755)
    assert hashes(tmp_path) == before


def test_a_read_only_file_and_any_name(tmp_path, run):
    folder = tmp_path / "día 1, µ2² (50%) [x]"
    folder.mkdir()
    path = save(folder, "npy", make_dff(), stem="trazas [1] *")
    path.chmod(0o444)
    before = hashes(folder)
    run(path)
    assert ArrayFile(path).results().dff.shape == (3, 160)
    ArrayFile(path).restore()
    assert hashes(folder) == before


def test_behind_a_link(tmp_path, run):
    """Results lie beside the name that was given; the place that it points to may be an archive."""
    (tmp_path / "archive").mkdir()
    (tmp_path / "mine").mkdir()
    original = save(tmp_path / "archive", "npy", make_dff())
    try:
        (tmp_path / "mine" / "link.npy").symlink_to(original)
    except OSError:
        pytest.skip("this platform or user cannot make links")
    before = hashes(tmp_path)
    run(tmp_path / "mine" / "link.npy")
    assert set(hashes(tmp_path / "archive")) == {"traces.npy"}
    assert (tmp_path / "mine" / "link_cascade_dff.npy").is_file()
    ArrayFile(tmp_path / "mine" / "link.npy").restore()
    assert hashes(tmp_path) == before


def test_a_file_that_vanishes(tmp_path):
    container = ArrayFile(save(tmp_path, "npy", make_dff()), ROIS_FIRST)
    container.path.unlink()
    with pytest.raises(InputError, match="cannot be read: No such file"):
        container.read(RATE_GIVEN)


# ------------------------------------------------------------------------------------------------------ command line


def test_on_the_command_line(tmp_path, random_model, capsys):
    path = save(tmp_path, "mat5", make_dff(), fs=RATE)
    before = hashes(tmp_path)
    options = ["--orientation", "rois-first", "--model", str(random_model.folder)]
    main(["inspect", str(path), *options])
    assert "array, 3 ROIs x 160 frames" in (shown := capsys.readouterr().out)
    assert "frame rate 30 Hz (fs in traces.mat)" in shown and "dF/F from dff, rois-first (as given)" in shown
    main(["run", str(path), *options, "--quiet"])
    assert "wrote traces_cascade.mat, traces_cascade.mat.json" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["run", str(path), *options, "--quiet"])
    main(["run", str(path), *options, "--quiet", "--existing", "overwrite"])
    main(["restore", str(path)])
    assert "removed traces_cascade.mat\n  removed traces_cascade.mat.json" in capsys.readouterr().out
    assert hashes(tmp_path) == before
    with pytest.raises(SystemExit):
        main(["inspect", str(path), *options[2:]])
    assert "pass --orientation rois-first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "rate", "shape"),
    [
        ("allen-visual-coding-30Hz", 30.0, (74, 6001)),
        ("zebrafish-OGB1-7.5Hz-a", 7.5, (1005, 260)),
        ("zebrafish-OGB1-7.5Hz-b", 7.5, (1005, 260)),
    ],
)
def test_real_files(tmp_path, shared, random_model, name, rate, shape):
    path = tmp_path / f"{name}.mat"
    shutil.copyfile(shared("containers/arrays") / path.name, path)
    before = hashes(tmp_path)
    refused(path, "mat: it has no frame rate", Selection(), Reading())  # dF_traces: neurons first, by definition
    options = parse_options({"model": str(random_model.folder), "frame_rate": rate})
    (report,) = process_all(find_containers(path, Selection()), options)
    assert report.status == "done" and (report.n_rois, report.n_frames) == shape
    # two all-NaN neurons; nothing else is lost, and the orientation is not doubted
    assert len(report.without_prediction) == (2 if "zebrafish" in name else 0)
    assert not any("orientation" in warning for warning in report.warnings)
    assert any("orientation" in remark for remark in read(path, FRAMES_FIRST).remarks)
    ArrayFile(path).restore()
    assert hashes(tmp_path) == before


@pytest.mark.parametrize("names", [("dff", "DFF"), ("a b", "a_b")])
def test_variables_whose_names_differ_little_keep_their_results_apart(tmp_path, run, names):
    """Windows and macOS take capitals for the same letters, and not every sign can be part of a file's name."""
    first, second = make_dff(), make_dff(seed=1)
    path = tmp_path / "traces.npz"
    np.savez(path, **dict(zip(names, (first, second), strict=True)))
    selections = [Selection(key=name, orientation="rois-first") for name in names]
    written = [run(path, selection).written for selection in selections]
    assert len({name.lower() for each in written for name in each}) == 4
    for selection, dff in zip(selections, (first, second), strict=True):
        np.testing.assert_array_equal(ArrayFile(path, selection).results().dff, dff)
    ArrayFile(path).restore()
    assert [each.name for each in tmp_path.iterdir()] == ["traces.npz"]
