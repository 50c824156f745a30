"""Options of the hooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cascade_adapters.running.in_python import speaking_python
from cascade_adapters.running.options import Options, parse_options


def hook_options(given: Mapping[str, Any]) -> Options:
    """Options of a hook: a pipeline that runs again overwrites earlier results, unless ``existing`` says otherwise."""
    with speaking_python():
        return parse_options({"existing": "overwrite", **given})
