"""HDF5 files that another program has open: one clear line, for every container, for reading and for writing."""

import subprocess
import sys
from contextlib import contextmanager

import h5py
import numpy as np
import pytest

from cascade_adapters.containers.base import Selection
from cascade_adapters.containers.registry import find_containers
from cascade_engine.errors import InputError, ModelError
from cascade_engine.file_formats.hdf5 import is_hdf5, open_hdf5
from cascade_engine.networks.windowed.published import read_published_network
from tests.builders.caiman_files import make_file
from tests.builders.nwb_files import simple

pytest.importorskip("fcntl", reason="Windows has locks of its own")

_HOLD = "import h5py, sys; file = h5py.File(sys.argv[1], sys.argv[2]); print('open', flush=True); sys.stdin.read()"

IN_USE = "is open in another program: close it there"


@contextmanager
def open_elsewhere(path, mode):
    """Another process has the file open."""
    program = [sys.executable, "-c", _HOLD, str(path), mode]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield
        process.communicate()


def make_mat(path):
    with h5py.File(path, "w", userblock_size=512) as file:
        file["dff"] = np.zeros((300, 4))
        file["dff"].attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path


MAKERS = {
    "a.nwb": simple,
    "results.hdf5": make_file,
    "traces.mat": make_mat,
}


@pytest.mark.parametrize("name", list(MAKERS))
def test_reading(tmp_path, name):
    path = MAKERS[name](tmp_path / name)
    with open_elsewhere(path, "r+"), pytest.raises(InputError) as caught:
        (container,) = find_containers(path, Selection(key="dff") if name == "traces.mat" else Selection())
        container.read()
    assert IN_USE in str(caught.value) and "Errno" not in str(caught.value)


def test_models(tmp_path):
    with h5py.File(tmp_path / "model.h5", "w"):
        pass
    with open_elsewhere(tmp_path / "model.h5", "r+"), pytest.raises(ModelError, match=IN_USE):
        read_published_network(tmp_path / "model.h5")


def test_open_in_this_process(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = 1
    with h5py.File(tmp_path / "a.h5", "r"), pytest.raises(InputError, match="in this very process in another mode"):
        open_hdf5(tmp_path / "a.h5", "r+")


def test_left_open_by_a_program_that_was_killed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        file["a"] = 1
        file.flush()
        (tmp_path / "b.h5").write_bytes((tmp_path / "a.h5").read_bytes())
    with pytest.raises(InputError, match="left by one that was killed: close it there, or run 'h5clear -s'"):
        open_hdf5(tmp_path / "b.h5")


@pytest.mark.parametrize("block", [0, 512, 2048])
def test_what_is_hdf5(tmp_path, block):
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=block):
        pass
    (tmp_path / "b.h5").write_bytes(b"text")
    assert is_hdf5(tmp_path / "a.h5") and not is_hdf5(tmp_path / "b.h5")
