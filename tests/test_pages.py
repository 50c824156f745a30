"""The pages of the documentation are followed to the letter: their lines run, and their examples are true."""

from __future__ import annotations

import ast
import builtins
import doctest
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cascade_engine.ground_truth import simulate_dataset
from tests.builders import caiman_files, nwb_files, suite2p_folders

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))


def blocks(page: str, *languages: str) -> list[tuple[str, str]]:
    """Language and content of each block, in the order of the page."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    found = re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(language, content) for language, content in found if language in languages]


def example_arrays() -> dict[str, Any]:
    """What a block of a page may take for granted: a recording of four neurons at 30 Hz."""
    dff = np.array([recording.dff for recording in simulate_dataset(4, 60.0, 30.0, 2.0, seed=0).recordings])
    neuropil = np.full_like(dff, 100.0)
    return {
        "dff": dff,
        "fluorescence": 200.0 * (1.0 + dff),
        "neuropil": neuropil,
        "time_s": np.arange(dff.shape[1]) / 30.0,
    }


def make_suite2p(folder: Path) -> None:
    """A small folder of suite2p's."""
    suite2p_folders.make_recording(folder)


def make_caiman(folder: Path) -> None:
    """A file of CaImAn's."""
    caiman_files.make_file(folder / "results.hdf5")


def make_nwb(folder: Path) -> None:
    """An NWB file."""
    pytest.importorskip("pynwb")
    nwb_files.simple(folder / "session.nwb")


def make_array(folder: Path) -> None:
    """dF/F in a file."""
    np.save(folder / "dff.npy", example_arrays()["dff"])


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(line: str, folder: Path) -> None:
    """Run a line of the shell that starts with ``cascade``."""
    words = line.split("#")[0].split()
    if "demo" in line:
        return  # tests/cli/test_demo.py
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-m", "cascade_adapters", *words[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize(
    ("page", "make", "place", "stays"),
    [
        ("quick_suite2p.md", make_suite2p, ".", {"mouse1.mat"}),
        ("quick_caiman.md", make_caiman, ".", set()),
        ("quick_nwb.md", make_nwb, ".", set()),
        ("quick_arrays.md", make_array, ".", set()),
        ("guide.md", make_suite2p, "path/to", set()),
    ],
)
def test_a_page_is_followed(
    page: str, make: Callable[[Path], None], place: str, stays: set[str], tmp_path: Path, monkeypatch
):
    make(tmp_path / place)
    before = content(tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = example_arrays()
    for language, text in blocks(page, "bash", "python"):
        if language == "python":
            exec(text, names)
            n_rois, n_frames = names["spike_prob"].shape
            assert n_frames > n_rois
            assert np.nansum(names["spike_prob"]) > 0
            if "rate_hz" in names:
                assert np.nanmax(names["rate_hz"]) > np.nanmax(names["spike_prob"])
        else:
            for line in text.splitlines():
                if line.startswith("cascade "):
                    run(line, tmp_path)
    after = content(tmp_path)
    assert {name: after.pop(name) for name in stays}.keys() == stays
    assert after == before  # the last line of each page takes everything back


def free_names(code: str) -> set[str]:
    """Names that a block uses and does not make."""
    tree = ast.parse(code)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    made = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            made |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return {node.id for node in names} - made - set(dir(builtins))


BLOCKS_WITH_ARRAYS = [
    pytest.param(code, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, (_, code) in enumerate(blocks(page.name, "python"))
    if {"dff", "fluorescence"} & free_names(code) and free_names(code) <= example_arrays().keys()
]


@pytest.mark.parametrize("code", BLOCKS_WITH_ARRAYS)
def test_blocks_with_arrays_run(code):
    if "plotting" in code:
        pytest.importorskip("matplotlib").use("agg")
    exec(code, example_arrays())


@pytest.mark.parametrize("page", [page.name for page in PAGES if blocks(page.name, "pycon")])
def test_examples_are_true(page):
    text = "\n".join(content for _, content in blocks(page, "pycon"))
    test = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    output: list[str] = []
    runner = doctest.DocTestRunner()
    runner.run(test, out=output.append)
    assert test.examples
    assert not runner.failures, "".join(output)


def test_questions_have_answers():
    text = (ROOT / "docs" / "questions.md").read_text("utf-8")
    answers = re.split(r"^### .*\?\n", text, flags=re.MULTILINE)[1:]
    assert len(answers) >= 21
    assert all(len(answer.split()) > 10 for answer in answers)


@pytest.mark.parametrize("page", [page.name for page in PAGES if "](pictures/" in page.read_text("utf-8")])
def test_pictures_have_words(page):
    """Each has a text for those who cannot see it, and a caption in one paragraph, which no line makes a list of."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    pictures = re.findall(
        r"^!\[([^]]*)\]\(pictures/[^)]*\)\n\n\*(.+?[^*])\*\n(?:\n|\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert len(pictures) == text.count("](pictures/")
    for description, caption in pictures:
        assert len(description.split()) > 2
        assert caption.endswith((".", ")"))
        assert not re.search(r"\n\n|^(\d+\.|[-+#>]) ", caption, re.MULTILINE)
