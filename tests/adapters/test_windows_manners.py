"""What Windows does not let a program do with files that it has open is never done, by any container."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from cascade_adapters.cli import main
from tests.builders.array_files import RATE, make_dff, save
from tests.builders.caiman_files import make_file
from tests.builders.suite2p_folders import hashes, make_recording
from tests.builders.windows import needs_list_of_open_files, refuse_open_files

pytestmark = [needs_list_of_open_files, pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")]

GIVEN = ("--orientation", "rois-first", "--frame-rate", str(RATE))


def make_nwb(path):
    pytest.importorskip("pynwb")
    from tests.builders.nwb_files import simple

    return simple(path)


#: What is told to 'run' alone.
ONLY_RUN = ("--replace-spks", "--replace-s", "--in-place")

#: How each is made in a folder, and what is told of it.
CONTAINERS = {
    "suite2p": (lambda folder: make_recording(folder, 2) and folder / "suite2p", ("--replace-spks",)),
    "caiman": (lambda folder: make_file(folder / "results.hdf5"), ("--replace-s",)),
    "nwb": (lambda folder: make_nwb(folder / "session.nwb"), ()),
    "nwb in place": (lambda folder: make_nwb(folder / "session.nwb"), ("--in-place",)),
    "npy": (lambda folder: save(folder, "npy", make_dff()), GIVEN),
    "npz": (lambda folder: save(folder, "npz", make_dff()), GIVEN),
    "mat": (lambda folder: save(folder, "mat5", make_dff()), GIVEN),
    "mat73": (lambda folder: save(folder, "mat73", make_dff()), GIVEN),
    "csv": (lambda folder: save(folder, "csv", make_dff()), GIVEN),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_run_again_spikes_restore(kind, tmp_path, random_model, monkeypatch, capsys):
    make, told = CONTAINERS[kind]
    path = make(tmp_path)
    before = hashes(tmp_path)
    refuse_open_files(monkeypatch)
    run = ["run", str(path), *told, "--quiet", "--model", str(random_model.folder)]
    main(run)
    main(["spikes", str(path)])
    with_results = hashes(tmp_path)
    assert with_results != before
    main([*run, "--existing", "overwrite"])
    main(["inspect", str(path), *(word for word in told if word not in ONLY_RUN)])
    assert "up to date" in capsys.readouterr().out
    main(["restore", str(path)])
    assert hashes(tmp_path) == before


@pytest.mark.parametrize("ending", ["nwb", "npz", "mat", "csv"])
def test_convert(ending, tmp_path, random_model, monkeypatch):
    if ending == "nwb":
        pytest.importorskip("pynwb")
    path = make_file(tmp_path / "results.hdf5")
    refuse_open_files(monkeypatch)
    main(["run", str(path), "--quiet", "--model", str(random_model.folder)])
    out = tmp_path / ("tables" if ending == "csv" else f"out.{ending}")
    when = ["--session-start-time", "2024-05-17T12:30:00+02:00"] if ending == "nwb" else []
    main(["convert", str(path), str(out), *when, *(["--to", "csv"] if ending == "csv" else [])])
    assert out.exists()
    assert sorted(each.name for each in tmp_path.iterdir() if "part" in each.name) == []


def test_the_demo(tmp_path, monkeypatch):
    refuse_open_files(monkeypatch)
    main(["demo", str(tmp_path / "demo"), "--quiet"])
    assert np.load(tmp_path / "demo" / "suite2p" / "plane0" / "cascade_spike_prob.npy").shape == (12, 4500)


WITHOUT = """
import os, signal, sys
for holder, names in ((signal, ["SIGHUP"]), (os, ["getuid", "geteuid", "O_DIRECTORY", "copy_file_range", "chown"])):
    for name in names:
        delattr(holder, name)
sys.modules["resource"] = sys.modules["pwd"] = sys.modules["grp"] = None
from cascade_adapters.cli import main
main(["demo", sys.argv[1]])
main(["spikes", sys.argv[1]])
main(["restore", sys.argv[1]])
"""


def test_functions_and_signals_that_are_not_there(tmp_path):
    """What Windows lacks is not needed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", WITHOUT, str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("wrote cascade_spikes.npz") == 2
    assert done.stdout.count(": restored") == 3  # the planes, and the overview above them


def test_the_rules_are_those_of_windows(tmp_path, monkeypatch):
    """The test tests something."""
    refuse_open_files(monkeypatch)
    (tmp_path / "folder").mkdir()
    one, two = tmp_path / "folder" / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("2")
    with one.open():
        for forbidden in (
            one.unlink,
            lambda: os.replace(two, one),
            lambda: os.rename(one, two),
            lambda: one.parent.rename(tmp_path / "other"),
            lambda: shutil.rmtree(one.parent),
        ):
            with pytest.raises(PermissionError):
                forbidden()
    os.replace(two, one)
    assert one.read_text() == "2"
