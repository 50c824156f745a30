"""NWB files as neuroconv, really installed, writes them from real suite2p folders and CaImAn files."""

from __future__ import annotations

import shutil
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from cascade_adapters.containers.registry import find_containers
from cascade_engine.errors import InputError
from tests.builders.running import run_one


def write_nwb(interface, path: Path) -> None:
    """Write what an interface has read, with its own metadata but for the start time."""
    metadata = interface.get_metadata()
    metadata["NWBFile"]["session_start_time"] = datetime(2024, 5, 17, 12, tzinfo=timezone.utc)
    interface.run_conversion(nwbfile_path=str(path), metadata=metadata)


def infer_in(path: Path, model, dff: str = "auto"):
    (container,) = find_containers(path)
    run_one(container, model=str(model.folder), dff=dff)
    return container.results()


def test_suite2p_through_neuroconv(tmp_path, shared, random_model):
    interfaces = pytest.importorskip("neuroconv.datainterfaces", reason="needs neuroconv")
    folder = tmp_path / "suite2p"
    shutil.copytree(shared("containers/suite2p/suite2p-1.1.0-one-plane/suite2p"), folder, copy_function=shutil.copy)
    write_nwb(interfaces.Suite2pSegmentationInterface(folder_path=str(folder)), tmp_path / "session.nwb")
    found, expected = infer_in(tmp_path / "session.nwb", random_model), infer_in(folder, random_model)
    assert "Neuropil" in found.record.traces.source
    # neuroconv keeps suite2p's order of ROIs, which is that of the folder
    np.testing.assert_allclose(found.dff, expected.dff, atol=1e-5)
    np.testing.assert_allclose(found.spike_prob, expected.spike_prob, atol=1e-4)


def test_caiman_through_neuroconv(tmp_path, shared, random_model):
    interfaces = pytest.importorskip("neuroconv.datainterfaces", reason="needs neuroconv")
    source = tmp_path / "results.hdf5"
    shutil.copyfile(shared("containers/caiman/caiman-1.12.1-cnmf.hdf5"), source)
    write_nwb(interfaces.CaimanSegmentationInterface(file_path=str(source)), tmp_path / "session.nwb")
    # what it calls raw is C + YrA without the background: no dF/F can be had from that
    with pytest.raises(InputError, match="cannot be turned into dF/F"):
        infer_in(tmp_path / "session.nwb", random_model, dff="compute")
    results = infer_in(tmp_path / "session.nwb", random_model)
    assert results.record.traces.source.startswith("/processing/ophys/Fluorescence/DfOverF; not used: ")
    expected = infer_in(source, random_model)
    np.testing.assert_array_equal(results.dff, expected.dff)
    np.testing.assert_array_equal(results.spike_prob, expected.spike_prob)
