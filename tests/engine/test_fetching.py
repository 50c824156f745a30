"""Downloading ground truth, from a server on this machine that answers as the public one does."""

import hashlib
import http.server
import json
import threading

import pytest

from cascade_engine import InputError
from cascade_engine.ground_truth import load_catalogue
from cascade_engine.ground_truth.catalogue import public_source
from cascade_engine.ground_truth.fetching import fetch


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture
def public_files():
    """Content of the files of two datasets, by path."""
    folders = [load_catalogue()[key].folder for key in ("DS09", "DS14")]
    root = public_source()["folder"]
    return {f"{root}/{folder}/cell{i}_mini.mat": f"{folder} {i}".encode() * 1000 for folder in folders for i in (1, 2)}


@pytest.fixture
def server(public_files):
    """URLs of the list and of the files, the list of requested paths, and the content served."""
    served, requested = dict(public_files), []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.removeprefix("/")
            requested.append(path)
            if path == "tree":
                entries = [{"path": name, "type": "blob", "sha": git_hash(c)} for name, c in public_files.items()]
                content = json.dumps({"tree": [*entries, {"path": "README.md", "type": "blob", "sha": "0"}]}).encode()
            else:
                content = served.get(path)
            self.send_response(200 if content is not None else 404)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as instance:
        threading.Thread(target=instance.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{instance.server_port}"
        yield {"tree_url": f"{base}/tree", "file_url": base + "/{path}"}, requested, served
        instance.shutdown()


def test_downloads_what_was_asked_for(server, public_files, tmp_path):
    urls, _, _ = server
    assert fetch(["DS09"], tmp_path, progress=False, **urls) == tmp_path
    found = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert [path.parent.name for path in found] == [load_catalogue()["DS09"].folder] * 2
    root = public_source()["folder"]
    for path in found:
        assert path.read_bytes() == public_files[f"{root}/{path.relative_to(tmp_path)}"]


def test_goes_on_where_it_stopped(server, tmp_path):
    urls, requested, served = server
    missing = sorted(served)[-1]
    content = served.pop(missing)
    with pytest.raises(InputError, match="cannot be downloaded"):
        fetch(["DS09", "DS14"], tmp_path, progress=False, **urls)
    served[missing] = content
    requested.clear()
    fetch(["DS09", "DS14"], tmp_path, progress=False, **urls)
    assert requested == ["tree", missing]


def test_damaged_files_are_not_kept_and_changed_ones_are_replaced(server, tmp_path):
    urls, _, served = server
    name = next(iter(served))
    whole = served[name]
    served[name] = whole[:-1]
    with pytest.raises(InputError, match="Git hash"):
        fetch(["DS09"], tmp_path, progress=False, **urls)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    served[name] = whole
    fetch(["DS09"], tmp_path, progress=False, **urls)
    path = next(tmp_path.rglob("cell1_mini.mat"))
    path.write_bytes(b"changed")
    fetch(["DS09"], tmp_path, progress=False, **urls)
    assert path.read_bytes() == whole


def test_unknown_and_absent_datasets_are_named(server, tmp_path):
    urls, _, _ = server
    with pytest.raises(InputError, match="no dataset DS99: did you mean"):
        fetch(["DS99"], tmp_path, progress=False, **urls)
    with pytest.raises(InputError, match="no longer has"):
        fetch(["DS20"], tmp_path, progress=False, **urls)
    with pytest.raises(InputError, match="cannot be downloaded"):
        fetch(["DS09"], tmp_path, progress=False, tree_url="http://127.0.0.1:9/tree", file_url=urls["file_url"])
