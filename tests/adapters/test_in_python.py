"""Whoever calls from Python reads keywords in errors and warnings, and never an option of the command line."""

import ast
import re
import warnings
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import cascade_adapters
from cascade_adapters.hooks.caiman import run_on_estimates, run_on_file
from cascade_adapters.hooks.suite2p import run_on_folder
from cascade_adapters.running.in_python import in_python
from cascade_adapters.running.options import choices_by_group, parse_options
from cascade_engine.errors import CascadeWarning, InputError
from tests.adapters.test_options import OTHER_VALUES
from tests.builders import array_files, caiman_files
from tests.builders.suite2p_folders import change_settings, make_plane

CHOICES = {flat: choice for choices in choices_by_group().values() for flat, choice in choices.items()}

_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")

#: Options of commands that have no Python function, or another one.
_OF_COMMANDS_ALONE = {
    "--session-start-time",
    "--set",
    "--template",
    "--metadata",
    "--wait",
    "--log",
    "--no-defaults",
    "--to",
}


def messages():
    """Every text of the package that names an option, those of the command line and docstrings left aside."""
    root = Path(str(files("cascade_adapters")))
    for path in sorted(root.rglob("*.py")):
        if path.is_relative_to(root / "cli") or path.name in ("in_python.py", "metadata.py", "options.py"):
            continue
        tree = ast.parse(path.read_text("utf-8"))
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and isinstance(node.body[0], ast.Expr)
        }
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(part.value if isinstance(part, ast.Constant) else "7.5" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = "" if id(node) in docstrings | inside else node.value
            else:
                continue
            if set(_OPTION.findall(text)) - _OF_COMMANDS_ALONE:
                yield pytest.param(text, id=f"{path.relative_to(root)}:{node.lineno}")


@pytest.mark.parametrize("text", messages())
def test_no_message_keeps_an_option(text):
    assert not set(_OPTION.findall(in_python(text))) - _OF_COMMANDS_ALONE


def test_there_are_messages():
    assert len(list(messages())) > 60


@pytest.mark.parametrize("flat", CHOICES)
def test_every_option_becomes_its_keyword(flat):
    for option in CHOICES[flat].options:
        said = in_python(f"pass {option}, or leave it out")
        keyword = f"{flat}=True" if CHOICES[flat].type is bool else f"{flat}="
        assert said == f"pass {keyword}, or leave it out"
    value = OTHER_VALUES[flat]
    if CHOICES[flat].choices is not None or CHOICES[flat].type in (int, float):
        text = "none" if value is False else f"{value:g}" if isinstance(value, float) else str(value)
        said = in_python(f"pass {option} {text}: it helps")
        assert said.startswith(f"pass {flat}=") and said.endswith(": it helps")
        found = parse_options({flat: ast.literal_eval(said.partition("=")[2].partition(":")[0])})
        assert found == parse_options({flat: value})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pass --frame-rate 7.5", "pass frame_rate=7.5"),
        ("it has no frame rate: pass --frame-rate (Hz)", "it has no frame rate: pass frame_rate= (Hz)"),
        ("pass --frame-rate if it is another", "pass frame_rate= if it is another"),
        ("leave out --raw and --dff compute", 'leave out raw and dff="compute"'),
        ("pass --raw if they are raw", "pass raw=True if they are raw"),
        ("5 frames named by --exclude-frames, 3 marked", "5 frames named by exclude_frames, 3 marked"),
        ("(6 of 6 ROIs) left out by --only-cells", "(6 of 6 ROIs) left out by only_cells"),
        ("or pass --rest subtract (or keep, if it is right)", 'or pass rest="subtract" (or keep, if it is right)'),
        ("pass --sessions 100,220", "pass sessions=(100, 220)"),
        ("--sessions adds up to 10 frames", "sessions adds up to 10 frames"),
        ("--exclude-frames 3-5,9: reason", 'exclude_frames="3-5,9": reason'),
        ("--exclude-frames a/bad.npy: reason", 'exclude_frames="a/bad.npy": reason'),
        ("and pass --offset COUNTS", "and pass offset=COUNTS"),
        ("run again with --existing overwrite", 'run again with existing="overwrite"'),
        ("leave out --replace-spks", "leave out replace_spikes"),
        ("(with --channel 2 for the second channel)", "(with channel=2 for the second channel)"),
        ("--neuropil-coefficient changes nothing", "neuropil_coefficient changes nothing"),
        ("--baseline-window changes nothing", "baseline_window_s changes nothing"),
        ("/data/x--raw/F.npy", "/data/x--raw/F.npy"),
        ("unforeseen failure: x (details with --log FILE)", "unforeseen failure: x"),
        ("run again when that has ended, or pass a longer --wait", "run again when that has ended"),
    ],
)
def test_words(text, expected):
    assert in_python(text) == expected


def test_errors_of_every_function(tmp_path, random_model):
    path = array_files.save(tmp_path, "npy", array_files.make_dff())
    plane = make_plane(tmp_path / "plane0").folder
    caiman = caiman_files.make_file(tmp_path / "a.hdf5", dff=None)
    options = {"model": str(random_model.folder)}
    with pytest.raises(InputError, match=r"pass orientation=\"rois-first\".*; it has no frame rate: pass frame_rate= "):
        cascade_adapters.run(path, **options)
    with pytest.raises(InputError, match="channel does not concern array: leave it out"):
        cascade_adapters.find(path, channel=2)
    with pytest.raises(InputError, match=r'suite2p stores no dF/F; leave out dff="container"'):
        run_on_folder(plane, dff="container", **options)
    with pytest.raises(InputError, match=r"exclude_frames=\"5000\": "):
        run_on_folder(plane, exclude_frames="5000", **options)
    with pytest.raises(InputError, match=r'F_dff cannot be used: .*leave out dff="container"'):
        run_on_file(caiman, dff="container", **options)
    cascade_adapters.run(plane, **options)
    with pytest.raises(InputError, match='has results already: pass existing="update", overwrite or skip'):
        cascade_adapters.run(plane, **options)
    damaged = plane / "cascade_dff.npy"
    np.save(damaged, np.zeros((2, 2), np.float32))
    with pytest.raises(InputError, match='run again with existing="overwrite"'):
        cascade_adapters.read_results(plane)


def test_warnings_and_one_line_on_success(tmp_path, random_model, capsys):
    planes = [make_plane(tmp_path / "suite2p" / f"plane{k}", frame_rate=30.0).folder for k in range(2)]
    change_settings(planes[0], fs=10.0)
    options = {"model": str(random_model.folder)}
    with pytest.warns(CascadeWarning) as caught:
        run_on_folder(tmp_path, **options)
    texts = [str(warning.message) for warning in caught]
    assert any("fs in ops.npy is 10 Hz" in text and "pass frame_rate= if" in text for text in texts)
    assert not any(_OPTION.search(text.replace(str(tmp_path), "")) for text in texts)
    out = capsys.readouterr().out
    assert out == f"cascade: spikes of 12 of 12 ROIs, by random, in {planes[0]} and 1 more\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CascadeWarning)
        run_on_folder(tmp_path, **options, existing="update")
        assert capsys.readouterr().out == f"cascade: {planes[0]}: results are up to date\n"
        run_on_estimates(caiman_files.make_cnmf(4, 320), **options)
        assert capsys.readouterr().out.startswith("cascade: spikes of 4 of 4 ROIs, by random, in ")
        run_on_file(caiman_files.make_file(tmp_path / "a.hdf5"), **options)
        assert capsys.readouterr().out.count("\n") == 1
