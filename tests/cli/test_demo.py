"""The demo: what it makes, what it says, and what it leaves when it cannot go on."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cascade_adapters.cli import main
from cascade_adapters.demo import run_example, write_recording
from cascade_adapters.demo.recording import true_spikes_of
from cascade_engine.errors import InputError


def run(*arguments: object, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "cascade_adapters", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_what_it_says_and_leaves(tmp_path):
    """In the working folder, under the name that it has unless another one is given."""
    done = run("demo", cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout.lower()
    correlations = [float(value) for value in re.findall(r"correlation (\d\.\d+)", done.stdout)]
    counts = [float(value) for value in re.findall(r"(\d\.\d+) spikes inferred for each true one", done.stdout)]
    assert len(correlations) == len(counts) == 2
    assert min(correlations) > 0.8 and min(counts) > 0.5 and max(counts) < 1.6
    for plane in (tmp_path / "cascade-demo/suite2p/plane0", tmp_path / "cascade-demo/suite2p/plane1"):
        assert np.load(plane / "cascade_spike_prob.npy").shape == np.load(plane / "F.npy").shape
    named = re.search(r"results: (\S+)", done.stdout)
    assert named is not None and (tmp_path / named[1]).is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["cascade-demo"]


def test_the_page_to_open(tmp_path, capsys):
    """It leads to the page of each plane."""
    main(["demo", str(tmp_path / "here"), "--quiet"])
    page = tmp_path / "here" / "cascade_overview.html"
    assert f"open this page in your browser: {page}" in capsys.readouterr().out
    text = page.read_text("utf-8")
    assert all(f"suite2p/{plane}/" in text for plane in ("plane0", "plane1"))
    assert len(list((tmp_path / "here").rglob("*.html"))) == 3


def test_the_picture(tmp_path):
    pytest.importorskip("matplotlib")
    example = run_example(tmp_path / "here")
    assert example.picture == tmp_path / "here" / "traces.png"
    picture = example.picture.read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 50_000


def test_no_picture_without_matplotlib(tmp_path, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    main(["demo", str(tmp_path / "here"), "--quiet"])
    said = capsys.readouterr().out
    assert "spikes inferred for each true one" in said and "picture:" not in said
    assert not (tmp_path / "here" / "traces.png").exists()


@pytest.mark.parametrize("there", ["folder", "file"])
def test_nothing_is_written_over(tmp_path, there, capsys):
    place = tmp_path / "here"
    if there == "folder":
        place.mkdir()
        (place / "mine.txt").write_text("mine")
    else:
        place.write_text("mine")
    with pytest.raises(SystemExit) as end:
        main(["demo", str(place)])
    assert end.value.code == 1
    assert capsys.readouterr() == ("", f"cascade: {place} exists already: remove it, or choose another name\n")
    assert (place / "mine.txt" if there == "folder" else place).read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_what_was_begun_is_removed(tmp_path, monkeypatch, error):
    def fail(*arguments):
        assert (tmp_path / "here" / "suite2p" / "plane1" / "F.npy").is_file()
        raise error("in the middle")

    monkeypatch.setattr("cascade_adapters.demo.example.process_all", fail)
    with pytest.raises(error):
        run_example(tmp_path / "here")
    assert list(tmp_path.iterdir()) == []


def test_the_recording_is_always_the_same(tmp_path):
    """And small, and its neurons are in the order of their true spikes."""
    for name in ("first", "second"):
        write_recording(tmp_path / name)
    first, second = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.npy")}
        for name in ("first", "second")
    )
    assert first == second
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) / 2 < 2e6
    plane = tmp_path / "first" / "plane0"
    fluorescence, spikes = np.load(plane / "F.npy"), true_spikes_of(plane)
    assert len(spikes) == 10 and len(fluorescence) == 12
    for i, times in enumerate(spikes):
        frames = np.unique((times * 15.0).astype(int))
        frames = frames[frames < fluorescence.shape[1] - 3] + 2
        others = np.setdiff1d(np.arange(fluorescence.shape[1]), frames)
        assert fluorescence[i][frames].mean() > fluorescence[i][others].mean()


def test_make_demo_runs_it():
    makefile = (Path(__file__).parents[2] / "Makefile").read_text("utf-8")
    assert "cascade demo demo" in makefile
