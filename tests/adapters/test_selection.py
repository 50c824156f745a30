"""A choice of traces that does not concern a container is refused: nothing that a user says is ignored in silence."""

from contextlib import suppress
from dataclasses import fields

import numpy as np
import pytest

import cascade_adapters
from cascade_adapters.cli import main
from cascade_adapters.containers.base import Selection
from cascade_adapters.containers.nwb import NwbRecording
from cascade_adapters.containers.registry import CONTAINERS, find_containers
from cascade_adapters.hooks.caiman import run_on_estimates, run_on_file
from cascade_adapters.hooks.suite2p import run_on_folder
from cascade_engine.errors import InputError
from tests.builders import array_files, caiman_files, segmentation_files
from tests.builders.running import inspect_one, run_one
from tests.builders.suite2p_folders import hashes, make_plane

CHOICES = {
    "--channel": ("channel", 2),
    "--series": ("series", "plane0"),
    "--in-place": ("in_place", True),
    "--key": ("key", "x"),
    "--orientation": ("orientation", "rois-first"),
    "--raw": ("raw", True),
}


def test_every_choice_concerns_some_container():
    assert {name for name, _ in CHOICES.values()} == {field.name for field in fields(Selection)}
    used = {name for kind in CONTAINERS for name in kind.uses}
    assert used == {field.name for field in fields(Selection)}
    assert NwbRecording.uses == ("channel", "series", "in_place")


def array_file(path):
    return array_files.save(path, "npy", array_files.make_dff(3, 160))


MAKERS = {
    "suite2p": (lambda path: make_plane(path / "plane0", second_channel=True).folder, {"--channel"}),
    "CaImAn": (lambda path: caiman_files.make_file(path / "cnmf.hdf5"), set()),
    "array": (array_file, {"--key", "--orientation", "--raw"}),
    "EXTRACT": (lambda path: segmentation_files.save_extract(path / "extract.mat"), set()),
}


@pytest.mark.parametrize("option", CHOICES)
@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("command", ["run", "inspect", "spikes"])
def test_choices_that_do_not_concern_a_container(command, kind, option, tmp_path, capsys, random_model):
    if (command, option) in {("inspect", "--in-place"), ("spikes", "--in-place"), ("spikes", "--raw")}:
        pytest.skip("no option of this command")
    make, concerning = MAKERS[kind]
    path = make(tmp_path)
    before = hashes(tmp_path)
    _, value = CHOICES[option]
    model = [] if command == "spikes" else ["--model", str(random_model.folder)]
    arguments = [command, str(path), option, *([] if value is True else [str(value)]), *model]
    message = f"{option} does not concern {kind}: leave it out"
    if option in concerning:
        with suppress(SystemExit):
            main(arguments)
        assert message not in capsys.readouterr().err
        return
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 1
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines()[0] == f"failed: {path}: {message}"
    assert hashes(tmp_path) == before


def test_python_refuses_them_too(tmp_path):
    plane = make_plane(tmp_path / "plane0").folder
    cnmf, file = caiman_files.make_cnmf(), caiman_files.make_file(tmp_path / "cnmf.hdf5")
    for call in (
        lambda: cascade_adapters.run(plane, key="x"),
        lambda: cascade_adapters.find(plane, key="x"),
        lambda: run_on_folder(plane, key="x"),
    ):
        with pytest.raises(InputError, match="plane0: key does not concern suite2p: leave it out"):
            call()
    for call in (
        lambda: run_on_file(file, series="x"),
        lambda: run_on_estimates(cnmf, series="x"),
        lambda: cascade_adapters.run(cnmf, series="x"),
    ):
        with pytest.raises(InputError, match=": series does not concern CaImAn"):
            call()


def test_a_folder_of_several_kinds_takes_what_concerns_one_of_them(tmp_path):
    make_plane(tmp_path / "plane0", second_channel=True)
    caiman_files.make_file(tmp_path / "cnmf.hdf5")
    assert [container.kind for container in cascade_adapters.find(tmp_path, channel=2)] == ["suite2p", "CaImAn"]
    with pytest.raises(InputError, match=": raw does not concern suite2p, CaImAn: leave it out"):
        cascade_adapters.find(tmp_path, raw=True)


def test_what_was_said_for_results_need_not_be_said_again(tmp_path, random_model):
    """In any container that cannot be read without it, as long as its traces are the same."""
    plane = make_plane(tmp_path / "plane0", n_frames=300, frame_rate=None)
    (container,) = find_containers(plane.folder)
    with pytest.raises(InputError, match="no frame rate"):
        inspect_one(container, model=str(random_model.folder))
    run_one(container, model=str(random_model.folder), frame_rate=12.0)
    report = inspect_one(container, model=str(random_model.folder))
    assert (report.frame_rate_hz, report.frame_rate_source) == (12.0, "given")
    np.save(plane.folder / "F.npy", plane.fluorescence + 1)
    with pytest.raises(InputError, match="no frame rate"):
        inspect_one(container, model=str(random_model.folder))
