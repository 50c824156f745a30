"""Settings of the documentation site; ``make docs`` builds it into ``docs/_build/html``."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from docutils import nodes  # noqa: E402
from sphinx.util import logging  # noqa: E402

from cascade_engine import __version__  # noqa: E402

project = "cascade-spikes"
author = "The cascade-spikes developers"
release = version = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
suppress_warnings = [
    "mystnb.unknown_mime_type",  # widgets of notebooks
    "ref.python",  # words in docstrings that are attributes of more than one class
]

# pages
html_theme = "furo"
html_title = project
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
myst_heading_anchors = 4
smartquotes = False  # options begin with two hyphens
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

# notebooks: those of examples/, each run once and kept until it changes
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / "notebooks")
nb_execution_in_temp = True
nb_execution_timeout = 180
nb_execution_show_tb = True
nb_merge_streams = True

# reference
default_role = "py:obj"
autodoc_typehints = "none"  # docstrings say them, with shapes and units
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_param = False  # types are words, not links
napoleon_use_rtype = False

#: What notebooks need beside the package: without it, or where it cannot be imported, they are shown but not run.
_NEEDED = {"2_after_suite2p": "suite2p", "4_nwb": "pynapple"}
_CANNOT = [
    notebook
    for notebook, library in _NEEDED.items()
    if subprocess.run([sys.executable, "-c", f"import {library}"], capture_output=True).returncode
]
nb_execution_excludepatterns = [f"notebooks/{notebook}.ipynb" for notebook in _CANNOT]


def _copy_notebooks(app) -> None:
    """Copy the notebooks of ``examples/`` to where the site can find them."""
    there = HERE / "notebooks"
    shutil.rmtree(there, ignore_errors=True)
    there.mkdir()
    for notebook in sorted((ROOT / "examples").glob("*.ipynb")):
        shutil.copy(notebook, there)
    for notebook in _CANNOT:
        logging.getLogger(__name__).info("%s.ipynb is not run: %s cannot be imported", notebook, _NEEDED[notebook])


def _lead_to_pages(app, docname: str, content: list[str]) -> None:
    """Links to notebooks lead to their pages; elsewhere, markdown is read without this."""
    content[0] = re.sub(r"\]\(\.\./examples/([\w-]+)\.ipynb\)", r"](notebooks/\1.ipynb)", content[0])


def _set_dashes(app, doctree) -> None:
    """Dashes between an argument and what it means; all other pairs of hyphens are options."""
    for text in list(doctree.findall(nodes.Text)):
        if " -- " in text and not isinstance(text.parent, nodes.literal | nodes.literal_block):
            text.parent.replace(text, nodes.Text(text.replace(" -- ", " – ")))


def _escape_bars(app, ctx, lines: list[str]) -> None:
    """Help of a command is plain text, but a word between bars would be a substitution; bars that begin a line stay."""
    lines[:] = [line[:1] + line[1:].replace("|", r"\|") for line in lines]


def setup(app) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", _copy_notebooks)
    app.connect("source-read", _lead_to_pages)
    app.connect("doctree-read", _set_dashes)
    app.connect("sphinx-click-process-description", _escape_bars)
