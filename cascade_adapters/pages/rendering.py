"""From templates to one page that needs nothing else: style and scripts are put into it."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from cascade_adapters.safe_writing.page import MARK
from cascade_engine._version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

#: Scripts and styles, in the order in which they are put into pages with a viewer.
_SCRIPTS = ("vendor/uplot/uPlot.iife.min.js", "static/numbers.js", "static/viewer.js", "static/raster.js",
            "static/page.js")  # fmt: skip
_STYLES = ("vendor/uplot/uPlot.min.css", "static/page.css")


def render(template: str, content: dict[str, Any], viewer: bool = True) -> str:
    """One page as text.

    Parameters
    ----------
    template : str
        Name of the template.
    content : dict
        What it shows; all of it is escaped. ``data`` becomes the JSON that the scripts read.
    viewer : bool
        Whether it has scripts at all.
    """
    return (
        _environment()
        .get_template(template)
        .render(
            **content,
            data_json=as_json(content.get("data", {})),
            mark=MARK,
            version=__version__,
            styles="\n".join(_asset(name) for name in _STYLES if viewer or "vendor" not in name),
            scripts="\n".join(_asset(name) for name in _SCRIPTS) if viewer else "",
            licence=_asset("vendor/uplot/LICENSE") if viewer else "",
        )
    )


def as_json(values: Any) -> str:
    """JSON that can stand in a page: nothing in it ends a script or begins a comment."""
    text = json.dumps(values, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


@cache
def _asset(name: str) -> str:
    text = resources.files("cascade_adapters.pages").joinpath(name).read_text("utf-8")
    assert "</script" not in text and "<!--" not in text
    return text


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("cascade_adapters.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment
