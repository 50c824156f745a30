"""The notebooks in ``examples/``: stored as they should be, and each runs from top to bottom and finds the spikes."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from nbmake.nb_run import NotebookRun

EXAMPLES = Path(__file__).parents[1] / "examples"

#: What each needs beside the package, the variable that says how good the result is, and the least that it may be.
NOTEBOOKS = {
    "1_arrays": ((), "correlation", 0.75),
    "2_after_suite2p": (("suite2p", "torch"), "correlation", 0.85),
    "3_after_caiman": ((), "correlation", 0.8),
    "4_nwb": (("pynwb", "pynapple"), "part_found", 0.9),
}

#: Of each cell, in s.
TIMEOUT_S = 180


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)


def test_all_are_known():
    assert sorted(path.stem for path in EXAMPLES.glob("*.ipynb")) == sorted(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_how_they_are_stored(name):
    """Without outputs or traces of whoever ran them; text first, and what to do with own data last."""
    notebook = read(name)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    assert {cell.execution_count for cell in code} == {None}
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert notebook.cells[0].source.startswith("# ")
    assert notebook.cells[-1].source.startswith("## Your own data next")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_they_run(name, tmp_path, monkeypatch):
    """In an empty folder; pictures are shown, and the spikes are those that are there."""
    pytest.importorskip("matplotlib")
    needed, figure_of_merit, least = NOTEBOOKS[name]
    if missing := [library for library in needed if find_spec(library) is None]:
        pytest.skip(f"{missing[0]} is not installed")
    notebook, place = read(name), tmp_path / "work"
    if "suite2p" in needed:
        lines = "from tests.builders.torchvision import declare_operators\ndeclare_operators()"
        notebook.cells.insert(0, nbformat.v4.new_code_cell(lines))
    notebook.cells.append(nbformat.v4.new_code_cell(f"print('found', float({figure_of_merit}))"))
    place.mkdir()
    nbformat.write(notebook, place / "notebook.ipynb")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    for variable in ("HOME", "USERPROFILE", "TMPDIR", "TEMP"):  # suite2p writes there, and the notebooks do
        monkeypatch.setenv(variable, str(tmp_path))
    done = NotebookRun(place / "notebook.ipynb", TIMEOUT_S).execute()
    assert done.error is None, done.error.trace
    outputs = [output for cell in done.nb.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 1
    said = "".join(output.text for output in outputs if output.output_type == "stream")
    assert float(said.rsplit("found", 1)[1]) > least, said
    assert [path.name for path in place.iterdir()] == ["notebook.ipynb"]
