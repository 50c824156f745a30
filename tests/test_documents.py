"""What the documents say agrees with the code: versions, commands and their options, imports, paths, links."""

from __future__ import annotations

import ast
import re
import shlex
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
import yaml

from cascade_adapters.cli.command import cascade
from cascade_engine import __version__

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture(params=DOCUMENTS, ids=lambda path: path.name)
def document(request) -> Path:
    return request.param


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def lines(document: Path, start: str) -> list[str]:
    """Lines of the shell that start with a word, in blocks and in the text."""
    text = document.read_text("utf-8")
    found = [line for block in blocks(document, "bash") for line in block.splitlines()]
    found += [" ".join(code.split()) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]
    return [line for line in found if line.startswith(f"{start} ")]


def test_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    (heading, *_) = re.findall(r"^## (.*)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert citation["version"] == __version__
    assert heading == f"{__version__} ({citation['date-released']})"
    page = (ROOT / "docs" / "citation.md").read_text("utf-8")
    assert re.findall(r"version = \{(.*)\}", page) == re.findall(r"cascade-spikes ([\d.]+\d)", page) == [__version__]
    assert re.findall(r"date    = \{(.*)\}", page) == [citation["date-released"]]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").split()) <= 950


def test_commands_and_options_exist(document):
    for line in lines(document, "cascade"):
        command: click.Command = cascade
        context = click.Context(cascade, **cascade.context_settings)
        for word in shlex.split(line, comments=True)[1:]:
            if isinstance(command, click.Group) and not word.startswith("-") and re.fullmatch("[a-z-]+", word):
                found = command.get_command(context, word)
                assert found is not None, line
                command = found
            elif re.match("--[a-z]", word):
                known = [
                    name for option in command.get_params(context) for name in (*option.opts, *option.secondary_opts)
                ]
                assert word.split("=")[0] in known, line


def test_benchmarks_exist(document):
    for line in lines(document, "python"):
        words = shlex.split(line, comments=True)
        if words[1:2] == ["-m"] and words[2].startswith("benchmarks"):
            assert find_spec(words[2]) is not None, line


def test_imports_exist(document):
    for block in blocks(document, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("cascade_"):
                module = import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{node.module}.{alias.name}"


def test_paths_exist(document):
    text = document.read_text("utf-8")
    if document.name == "CHANGELOG.md":
        pytest.skip("says what was, too")
    for path in re.findall(r"`((?:cascade_engine|cascade_adapters|benchmarks|tests|docs|examples)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path


def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)", path.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target
