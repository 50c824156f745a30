"""NWB files on the network, or open already."""

import http.server
import io
import pickle
import re
import threading
from pathlib import Path

import h5py
import numpy as np
import pynwb
import pytest

from cascade_adapters.cli import main
from cascade_adapters.containers.base import Selection
from cascade_adapters.containers.nwb import NwbRecording
from cascade_adapters.containers.nwb.remote import find_remote
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.running.remote import infer_remote
from cascade_engine.errors import CascadeError, InputError
from tests.builders.nwb_files import N_FRAMES, N_ROIS, Session, neuroconv_layout, raw_traces, suite2p_layout
from tests.builders.running import run_one


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of files that answers requests for a part of a file, as those of archives do.

    Gives its folder, its address, and the number of bytes that it has sent.
    """
    folder = tmp_path_factory.mktemp("served")
    sent = [0]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self._answer(with_content=False)

        def do_GET(self):
            self._answer(with_content=True)

        def _answer(self, with_content: bool) -> None:
            path = folder / self.path.split("?")[0].strip("/").removesuffix("/download")
            if not path.is_file():
                self.send_error(404)
                return
            content, size = path.read_bytes(), path.stat().st_size
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
            first, last = (int(asked[1]), min(int(asked[2] or size), size - 1)) if asked else (0, size - 1)
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(last - first + 1))
            self.send_header("Accept-Ranges", "bytes")
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.end_headers()
            if with_content:
                self.wfile.write(content[first : last + 1])
                sent[0] += last - first + 1

        def log_message(self, *_):
            pass

    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{service.server_port}", sent
    service.shutdown()
    service.server_close()


@pytest.fixture(scope="module")
def address(server):
    """A file with two planes on the server."""
    suite2p_layout(server[0] / "planes.nwb")
    return f"{server[1]}/planes.nwb"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.filterwarnings("ignore:.*if all of them together were scanned")
def test_results_go_into_a_small_file_in_the_working_folder(address, random_model):
    reports = infer_remote(address, model=str(random_model.folder))
    assert [report.status for report in reports] == ["done"] * 2
    assert [path.name for path in Path().iterdir()] == ["planes_cascade.nwb"]
    found = find_remote(address)
    for number, container in enumerate(found):
        results = container.results()
        assert results.record.container["nwb"]["copy_of"] == {"name": address}
        assert results.spike_prob.shape == (N_ROIS, N_FRAMES) and not container.is_stale()
        np.testing.assert_array_equal(container.read().fluorescence, raw_traces(seed=number))
    assert not pynwb.validate(path="planes_cascade.nwb")
    with pynwb.NWBHDF5IO("planes_cascade.nwb", "r") as io:
        nwbfile = io.read()
        assert nwbfile.identifier == "test-0001" and nwbfile.subject.subject_id == "1"
        assert nwbfile.experimenter == ("Doe, Jane") or nwbfile.experimenter[0] == "Doe, Jane"
        assert set(nwbfile.processing["ophys"].data_interfaces) >= {"CascadeSpikes", "CascadeDfOverF"}
        assert "Fluorescence" not in nwbfile.processing["ophys"].data_interfaces and not nwbfile.acquisition
        spikes = nwbfile.processing["ophys"]["CascadeSpikes"]["plane1"]
        assert spikes.rois.table.imaging_plane.imaging_rate == 30.0
        assert len(spikes.rois.table["voxel_mask"][7]) == 2

    with pytest.raises(CascadeError, match="has results already"):
        infer_remote(address, model=str(random_model.folder))
    infer_remote(address, model=str(random_model.folder), existing="overwrite")
    assert found[0].restore() == ["removed planes_cascade.nwb"] and not list(Path().iterdir())


def test_only_what_is_needed_is_fetched(server):
    session = Session()
    session.nwbfile.add_acquisition(
        pynwb.TimeSeries(name="movie", data=np.zeros((4000, 5000), np.int8) + 7, unit="n.a.", rate=1.0)
    )
    session.series(session.table(), raw_traces())
    path = session.save(server[0] / "large.nwb")
    server[2][0] = 0
    (container,) = find_remote(f"{server[1]}/large.nwb")
    np.testing.assert_array_equal(container.read().fluorescence, raw_traces())
    assert path.stat().st_size > 20_000_000 and server[2][0] < 2_000_000


def test_the_command_line_takes_addresses(address, random_model, capsys):
    def cascade(*arguments: str) -> str:
        try:
            main(list(arguments))
        except SystemExit as end:
            assert not end.code
        return capsys.readouterr().out

    model = ("--model", str(random_model.folder))
    assert "results: none" in cascade("inspect", address, *model)
    assert not list(Path().iterdir())
    assert "wrote planes_cascade.nwb, /processing/ophys/CascadeSpikes/plane0" in cascade("run", address, *model)
    assert "results: by random" in cascade("inspect", address, *model)
    assert "removed planes_cascade.nwb" in cascade("restore", "planes_cascade.nwb")
    assert not list(Path().iterdir())


def test_options_and_the_place_of_the_output(server, random_model, tmp_path):
    neuroconv_layout(server[0] / "neuroconv.nwb")
    (report,) = infer_remote(
        f"{server[1]}/neuroconv.nwb/download/",
        output=tmp_path / "mine.nwb",
        series="DfOverF/RoiResponseSeries",
        model=str(random_model.folder),
        noise_level=2.0,
    )
    assert report.written[0] == "mine.nwb" and (tmp_path / "mine.nwb").exists()
    with pytest.raises(InputError, match="no option speed"):
        infer_remote(f"{server[1]}/neuroconv.nwb", speed=1)


def test_pickled_recordings_open_the_file_again(address, server, random_model, tmp_path):
    neuroconv_layout(tmp_path / "a.nwb")
    with h5py.File(tmp_path / "a.nwb") as file:
        here = pickle.dumps(find_remote(file, output=tmp_path / "b.nwb"))
    (container,) = pickle.loads(here)
    np.testing.assert_array_equal(container.read().fluorescence, raw_traces())

    first, second = pickle.loads(pickle.dumps(find_remote(address)))
    assert first._file is second._file  # one open file for all
    assert [one.identity for one in (first, second)] == [one.identity for one in find_remote(address)]
    np.testing.assert_array_equal(second.read().fluorescence, raw_traces(seed=1))
    assert run_one(second, model=str(random_model.folder)).written[0] == "planes_cascade.nwb"

    with h5py.File(io.BytesIO((server[0] / "planes.nwb").read_bytes())) as file:
        found = find_remote(file, output=tmp_path / "c.nwb")
        with pytest.raises(InputError, match="pass its address to use it in others"):
            pickle.dumps(found)


def test_an_open_file(tmp_path, random_model):
    neuroconv_layout(tmp_path / "a.nwb")
    with h5py.File(tmp_path / "a.nwb") as file:
        (report,) = infer_remote(file, output=tmp_path / "b.nwb", model=str(random_model.folder))
        assert file["/processing/ophys"]
    assert report.status == "done" and sorted(p.name for p in tmp_path.iterdir()) == ["a.nwb", "b.nwb"]
    (alone,) = NwbRecording.find(tmp_path / "b.nwb")
    with pytest.raises(InputError, match=r"b.nwb holds no series of ROIs"):
        alone.read()


def test_a_file_in_the_way_is_left_alone(address, random_model):
    Path("planes_cascade.nwb").write_text("mine")
    with pytest.raises(CascadeError, match=r"planes_cascade.nwb"):
        infer_remote(address, model=str(random_model.folder))
    assert Path("planes_cascade.nwb").read_text() == "mine"


def test_what_cannot_be_opened_is_one_clear_line(server, address):
    (server[0] / "text.nwb").write_text("no HDF5 at all" * 100)
    with h5py.File(server[0] / "other.nwb", "w") as file:
        file["x"] = 1
    for wrong, message in (
        ("/gone.nwb", "cannot be opened"),
        ("/text.nwb", "cannot be opened"),
        ("/other.nwb", "is no NWB file"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            find_containers(server[1] + wrong)
        assert server[1] + wrong in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(InputError, match="leave out --in-place"):
        find_remote(address, Selection(in_place=True))
    with pytest.raises(CascadeError, match="cannot be opened"):
        find_containers("nonsense://a/b.nwb")
