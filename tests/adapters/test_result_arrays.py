"""A further array of results is one line in the list: every container writes it, reads it, and carries it over."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cascade_adapters
import cascade_engine
from cascade_adapters.containers.base import Container, Selection
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.results import ResultArray, schema
from cascade_adapters.running import blocks, pipeline
from tests.builders import array_files, caiman_files, nwb_files, segmentation_files, suite2p_folders
from tests.builders.running import run_one
from tests.builders.sessions import run

MATRIX = ResultArray("doubled", ("roi", "frame"), "fraction", "Twice dF/F.", since="0.2.0")
VECTOR = ResultArray("numbered", ("roi",), "1", "Number of the ROI, times 1.5.", since="0.2.0")

ROIS_FIRST, FRAMES_FIRST = Selection(orientation="rois-first"), Selection(orientation="frames-first")


@pytest.fixture
def further(monkeypatch):
    """Two further arrays, one of each kind, and what computes them."""
    monkeypatch.setattr(schema, "ARRAYS", (*schema.ARRAYS, MATRIX, VECTOR))

    def dff_blocks(*arguments, **options):
        for block in blocks.dff_blocks(*arguments, **options):
            block.doubled = 2 * block.dff
            block.numbered = 1.5 * np.arange(block.rows.start, block.rows.stop)
            yield block

    monkeypatch.setattr(pipeline, "dff_blocks", dff_blocks)


def make(kind: str, folder: Path) -> tuple[Path, Selection, dict]:
    """A recording of each kind, and what has to be said to read it."""
    if kind == "suite2p":
        return suite2p_folders.make_plane(folder / "plane0", n_frames=200).folder, Selection(), {}
    if kind == "CaImAn":
        return caiman_files.make_file(folder / "results.hdf5", n_frames=200), Selection(), {}
    if kind == "NWB":
        return nwb_files.simple(folder / "session.nwb"), Selection(), {}
    if kind == "EXTRACT":
        return segmentation_files.save_extract(folder / "extract.mat"), Selection(), {"frame_rate": 30.0}
    form, orientation = kind.split(", ")
    dff = array_files.make_dff()
    path = array_files.save(folder, form, dff if orientation == "rois-first" else dff.T)
    return path, Selection(orientation=orientation), {"frame_rate": 30.0}


ARRAYS = [f"{form}, {orientation}" for form in array_files.FORMATS for orientation in ("rois-first", "frames-first")]


def assert_further(container: Container) -> None:
    results = container.results()
    assert set(results.arrays) == {array.name for array in schema.ARRAYS}
    np.testing.assert_array_equal(results.arrays["doubled"], 2 * np.asarray(results.dff))
    np.testing.assert_array_equal(results.arrays["numbered"], np.float32(1.5) * np.arange(len(results.dff)))
    assert {np.dtype(results.arrays[name].dtype) for name in ("doubled", "numbered")} == {np.dtype(np.float32)}


@pytest.mark.parametrize("kind", ["suite2p", "CaImAn", "NWB", "EXTRACT", *ARRAYS])
def test_written_read_and_restored(tmp_path, random_model, further, kind):
    path, selection, given = make(kind, tmp_path)
    before = suite2p_folders.hashes(tmp_path)
    (container,) = find_containers(path, selection)
    run_one(container, model=str(random_model.folder), **given)
    (again,) = find_containers(path, selection)
    assert_further(again)
    again.restore()
    assert suite2p_folders.hashes(tmp_path) == before


@pytest.mark.parametrize("kind", ["suite2p", "npy, frames-first"])
def test_results_without_it_are_complete_if_they_are_older(tmp_path, random_model, monkeypatch, kind):
    path, selection, given = make(kind, tmp_path)
    (container,) = find_containers(path, selection)
    run_one(container, model=str(random_model.folder), **given)
    monkeypatch.setattr(schema, "ARRAYS", (*schema.ARRAYS, replace(MATRIX, since="9.0")))
    (again,) = find_containers(path, selection)
    assert set(again.results().arrays) == {"spike_prob", "dff", "noise_levels"}


@pytest.mark.parametrize("target", ["suite2p", "npz", "csv", "nwb"])
def test_carried_over(tmp_path, random_model, further, target, capsys):
    path, selection, _ = make("suite2p", tmp_path)
    (container,) = find_containers(path, selection)
    run_one(container, model=str(random_model.folder))
    expected = container.results()
    out = tmp_path / {"suite2p": "out", "csv": "tables"}.get(target, f"out.{target}")
    more = ("--session-start-time", "2024-05-17T12:30:00+02:00") if target == "nwb" else ()
    status, _, errors = run(capsys, "convert", path, out, "--to", target, *more)
    assert (status, errors) == (0, "")
    if target == "npz":
        with np.load(out) as found:
            np.testing.assert_array_equal(found["doubled"], expected.arrays["doubled"])
            np.testing.assert_array_equal(found["numbered"], expected.arrays["numbered"])
            assert "Twice dF/F" in json.loads(str(found["content"]))["doubled"]
    elif target == "csv":
        doubled = np.loadtxt(out / "doubled.csv", delimiter=",", skiprows=1)[:, 1:].T
        np.testing.assert_allclose(doubled, expected.arrays["doubled"], rtol=1e-6)
        assert "numbered" in (out / "rois.csv").read_text().splitlines()[0].split(",")
    else:
        (found,) = find_containers(out)
        assert_further(found)


def test_one_line_in_the_schema_is_enough(tmp_path, random_model):
    """In a copy of both packages: the part of missing frames, which is computed anyway, becomes a result."""
    code, data = tmp_path / "code", tmp_path / "data"
    for package in (cascade_engine, cascade_adapters):
        shutil.copytree(Path(package.__file__).parent, code / package.__name__, ignore=shutil.ignore_patterns("*.pyc"))
    path = code / "cascade_adapters" / "results" / "schema.py"
    text = path.read_text()
    start = text.index("ARRAYS: tuple[ResultArray, ...] = (\n")
    at = text.index("\n)\n", start) + 1
    line = (
        '    ResultArray("missing_part", ("roi",), "fraction", "Part of the frames without a value.", since="0.2.0"),\n'
    )
    path.write_text(text[:at] + line + text[at:])

    data.mkdir()
    recordings = [make(kind, data) for kind in ("suite2p", "CaImAn", "npz, rois-first")]
    command = "import sys; from cascade_adapters.cli import main; main(sys.argv[1:])"
    for place, selection, given in recordings:
        options = ["--model", str(random_model.folder), "--quiet"]
        options += ["--orientation", selection.orientation] if selection.orientation else []
        options += ["--frame-rate", str(given["frame_rate"])] if given else []
        done = subprocess.run(
            [sys.executable, "-c", command, "run", str(place), *options],
            capture_output=True, text=True, check=False, cwd=code, env={"PYTHONPATH": str(code), "PATH": ""},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    found = np.load(data / "plane0" / "cascade_missing_part.npy")
    np.testing.assert_array_equal(found, np.zeros(6, np.float32))
    import h5py

    with h5py.File(data / "results.hdf5", "r") as file:
        assert file["estimates/cascade/missing_part"].shape == (6,)
    with np.load(data / "traces_cascade.npz") as archive:
        np.testing.assert_array_equal(archive["missing_part"], np.zeros(3, np.float32))
