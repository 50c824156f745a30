"""NWB files: nothing is lost, whatever happens while they are written."""

import os
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

from cascade_adapters.cli import main
from cascade_adapters.containers.base import Selection
from cascade_adapters.containers.nwb import NwbRecording
from cascade_adapters.containers.nwb.loading import load_series
from cascade_adapters.containers.nwb.opening import open_nwb
from cascade_adapters.results import Results
from cascade_engine.errors import InputError
from tests.adapters.nwb.helpers import (
    IN_PLACE,
    assert_same,
    copy,
    made_up,
    output,
    state,
    write,
)
from tests.adapters.nwb.test_reading import SERIES
from tests.builders.killing import changing_points, forked, killed, needs_fork
from tests.builders.locking import locked_elsewhere
from tests.builders.nwb_files import raw_traces, simple

#: Every line of these counts as a point at which a run can be killed.
OWN_CODE = (
    "hdf5_file.py",
    "zarr_store.py",
    "in_place.py",
    "overlay.py",
    "journal.py",
    "copy.py",
    "/files.py",
    "/recording.py",
    "/output.py",
)


@needs_fork
@pytest.mark.parametrize(
    ("name", "is_second", "selection", "n_kills"),
    [
        ("a.nwb", False, Selection(), 3),
        ("planes.nwb", True, Selection(), 3),
        ("a.nwb", False, IN_PLACE, 3),
        ("a.nwb.zarr", False, Selection(), 1),
        ("a.nwb.zarr", True, Selection(), 1),
    ],
)
def test_killed_at_any_point_it_is_old_or_new(templates, tmp_path, name, is_second, selection, n_kills):
    kills = Kills(templates / name, tmp_path, selection, is_second)
    rng = np.random.default_rng(0)
    for point in rng.choice(kills.points, n_kills, replace=False):
        kills.kill(int(point))


class Kills:
    """Writing into copies of a file, killed at chosen points; nothing must ever be lost.

    Parameters
    ----------
    template, folder : Path
        The file, and where copies go.
    selection : Selection
        Where results go.
    is_second : bool
        There are results already, in a file of ours that is changed.
    """

    def __init__(self, template: Path, folder: Path, selection: Selection, is_second: bool):
        self._template, self._folder, self._selection, self._is_second = template, folder, selection, is_second
        container, results = self._prepare("counted")
        is_zarr = template.is_dir()  # each of its many files is something new
        self._own_code = () if is_zarr else OWN_CODE
        self.points = changing_points(
            lambda: container.write(results), None if is_zarr else container.path.parent, self._own_code
        )

    def kill(self, point: int) -> str:
        """Kill a run at one of `points`; returns which results are there then, "old" or "new"."""
        container, results = self._prepare("killed")
        path, earlier = container.path, container.results()
        before = self._before
        assert killed(lambda: container.write(results), point, self._own_code)
        again = [one for one in NwbRecording.find(path, self._selection) if one.identity == container.identity]
        found = again[0].results()
        is_new = found is not None and np.array_equal(found.spike_prob, results.spike_prob, equal_nan=True)
        expected = results if is_new else earlier
        assert (found is None) == (expected is None)
        if expected is not None:
            assert_same(found, expected)
        np.testing.assert_array_equal(again[0].read().fluorescence, container.read().fluorescence)
        again[0].restore()
        assert state(path.parent) == before
        shutil.rmtree(path.parent)
        return "new" if is_new else "old"

    def _prepare(self, name: str) -> tuple[NwbRecording, Results]:
        path = copy(self._template, self._folder / name)
        self._before = state(path.parent)
        containers = NwbRecording.find(path, self._selection)
        if self._is_second:
            containers[0].write(made_up(containers[0]))
        return containers[-1], made_up(containers[-1], seed=1)


@needs_fork
@pytest.mark.parametrize("selection", [Selection(), IN_PLACE])
def test_a_full_disk_leaves_everything_as_it_was(path, selection):
    import resource

    container, before = NwbRecording(path, selection=selection), state(path.parent)
    results, message = made_up(container), path.parent.parent / "message"

    def write_on_a_full_disk() -> None:
        size = path.stat().st_size + 5000
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        try:
            container.write(results)
        except InputError as error:
            message.write_text(str(error))

    assert forked(write_on_a_full_disk) == 0
    assert "cannot be written" in message.read_text() or "cannot be changed" in message.read_text()
    assert "\n" not in message.read_text()
    assert state(path.parent) == before


def test_too_little_room_for_a_copy_is_found_at_once(path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(InputError, match=r"GB free, but a copy of a.nwb needs .* or pass --in-place"):
        write(path)
    assert [file.name for file in path.parent.iterdir()] == ["a.nwb"]


def test_a_read_only_file_is_not_changed_in_place(path):
    path.chmod(0o444)
    before = state(path.parent)
    with pytest.raises(InputError, match=r"a.nwb is read-only"):
        write(path, IN_PLACE)
    assert state(path.parent) == before
    write(path)
    assert output(path).exists()


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="the system lets root write anywhere")
def test_a_read_only_folder(path):
    path.parent.chmod(0o555)
    try:
        for selection in (Selection(), IN_PLACE):
            with pytest.raises(InputError, match=r"cannot be (written|changed): Permission denied"):
                write(path, selection)
    finally:
        path.parent.chmod(0o755)


@pytest.mark.parametrize("selection", [Selection(), IN_PLACE])
def test_two_runs_at_once(path, selection):
    container = NwbRecording(path, selection=selection)
    results, before = made_up(container), state(path.parent)
    with (
        locked_elsewhere(path if selection.in_place else output(path)),
        pytest.raises(InputError, match="is being changed by another run"),
    ):
        container.write(results)
    assert state(path.parent) == before


def test_a_file_that_is_open_elsewhere_is_not_changed(path):
    pytest.importorskip("fcntl")
    container = NwbRecording(path, selection=IN_PLACE)
    results, before = made_up(container), state(path.parent)
    with h5py.File(path, "r"), pytest.raises(InputError, match="is open in another program"):
        container.write(results)
    assert state(path.parent) == before


@pytest.mark.parametrize("selection", [Selection(), IN_PLACE])
def test_a_link_and_a_name_of_any_kind(templates, tmp_path, selection):
    real = copy(templates / "a.nwb", tmp_path / "día 1, µ2² (50%) [x]")
    link = tmp_path / "links" / "línk ü.nwb"
    link.parent.mkdir()
    try:
        link.symlink_to(real)
    except OSError:
        pytest.skip("this platform or user cannot make links")
    before = state(real.parent)
    (results,) = write(link, selection)
    assert_same(NwbRecording(link, selection=selection).results(), results)
    assert link.is_symlink() and (link.parent / "línk ü_cascade.nwb").exists() != selection.in_place
    (found,) = NwbRecording.find(link)
    found.restore()
    assert state(real.parent) == before and [file.name for file in link.parent.iterdir()] == ["línk ü.nwb"]


def test_a_result_that_is_not_valid_is_never_put_in_place(path, monkeypatch):
    def refuse(file, names):
        raise InputError("not valid")

    before = state(path.parent)
    monkeypatch.setattr("cascade_adapters.containers.nwb.recording.check_valid", refuse)
    for selection in (Selection(), IN_PLACE):
        with pytest.raises(InputError, match="not valid"):
            write(path, selection)
        assert state(path.parent) == before


def test_results_of_other_rois_are_refused(path):
    container = NwbRecording(path)
    results = made_up(container)
    results.arrays["spike_prob"] = results.spike_prob[:-1]
    with pytest.raises(InputError, match=r"results of 5 ROIs do not fit the 6"):
        container.write(results)


def test_traces_are_read_without_a_second_copy(tmp_path):
    path = simple(tmp_path / "a.nwb", values=raw_traces(20, 100_000), rows=[0] * 20)
    with open_nwb(path) as opened:
        load_series(opened, SERIES)
        tracemalloc.start()
        values = load_series(opened, SERIES).values
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert values.nbytes == 8_000_000 and peak < 2.2 * values.nbytes


def test_the_command_line(path, random_model, capsys):
    before = state(path.parent)

    def cascade(*arguments: str) -> str:
        try:
            main([arguments[0], str(path.parent), *arguments[1:]])
        except SystemExit as end:
            assert not end.code
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    model = ("--model", str(random_model.folder))
    assert "wrote a_cascade.nwb, /processing/ophys/CascadeSpikes" in cascade("run", *model)
    assert "results: by random" in cascade("inspect", *model)
    assert "removed a_cascade.nwb" in cascade("restore")
    assert "wrote a.nwb" in cascade("run", *model, "--in-place")
    assert "done" in cascade("run", *model, "--in-place", "--existing", "overwrite")
    assert "to the last byte" in cascade("restore")
    assert "nothing to restore" in cascade("restore")
    assert state(path.parent) == before


def test_nothing_of_nwb_is_imported_before_it_is_needed():
    code = """
import sys
import cascade_adapters.containers.registry
print(sorted({"pynwb", "hdmf", "hdmf_zarr", "zarr", "h5py"} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
