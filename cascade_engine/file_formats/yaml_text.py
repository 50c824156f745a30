"""YAML, by the parser that is compiled where there is one: it is ten times faster."""

from __future__ import annotations

from typing import Any

import yaml

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_yaml(text: str) -> Any:
    """Content of a YAML text, plain values only; raises `yaml.YAMLError` if it is none."""
    return yaml.load(text, _Loader)
