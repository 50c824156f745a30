"""``--json``: standard output is one list of JSON objects and nothing else, failures included.

The objects are `cascade_adapters.running.report.Report`, `cascade_adapters.cli.summaries.ModelSummary` and
`cascade_adapters.cli.summaries.DatasetSummary`; `json_schema` describes them.
"""

from __future__ import annotations

import inspect
import json
import sys
import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from math import isfinite
from types import UnionType
from typing import Any

import click

#: Names of plain types in JSON Schema.
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number"}


def json_option(command: Callable) -> Callable:
    """The option ``--json``, as the parameter ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, on standard output.")(
        command
    )


def print_json(objects: Sequence[Any]) -> None:
    """Print objects as one JSON list; `to_dict` of each gives its content."""
    click.echo(json.dumps([plain(each.to_dict()) for each in objects], indent=1, allow_nan=False))


@contextmanager
def failures_as_json(as_json: bool) -> Iterator[None]:
    """Within the block, a failure ends the command with a list that holds one failed report, if `as_json`."""
    from cascade_adapters.running.failures import unforeseen
    from cascade_adapters.running.report import Report
    from cascade_engine.errors import CascadeError

    try:
        yield
    except (click.ClickException, click.exceptions.Exit):
        raise
    except Exception as error:
        if not as_json:
            raise
        message = str(error) if isinstance(error, CascadeError | OSError) else unforeseen(error, "cascade")
        print_json([Report(path="", kind="", status="failed", message=message)])
        sys.exit(1)


def plain(value: Any) -> Any:
    """A value for JSON, which knows no NaN: what is not known is None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value


def json_schema() -> dict[str, Any]:
    """JSON Schema of what ``--json`` prints, made from the dataclasses and what their docstrings say."""
    from cascade_adapters.cli.summaries import DatasetSummary, ModelSummary
    from cascade_adapters.running.report import Report

    kinds = {"report": Report, "model": ModelSummary, "dataset": DatasetSummary}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What the commands of cascade print with --json",
        "description": "Always a list. What is not known is null. inspect, run, spikes, restore and convert give "
        "reports, and so does every command that fails; models gives models, ground-truth gives datasets.",
        "type": "array",
        "items": {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in kinds]},
        "$defs": {name: _of_dataclass(kind) for name, kind in kinds.items()},
    }


def _of_dataclass(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    said = _attributes(kind)
    properties = {}
    for item in fields(kind):
        if item.name == "record":  # not part of the JSON
            continue
        described = _of_type(hints[item.name])
        if item.name != "status":
            described = described if "type" not in described else {**described, "type": [described["type"], "null"]}
        properties[item.name] = {**described, "description": said[item.name]}
    return {
        "description": (kind.__doc__ or "").splitlines()[0],
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _of_type(hint: Any) -> dict[str, Any]:
    """What a type is in JSON Schema; None is added by the caller."""
    alternatives = [each for each in typing.get_args(hint) if each is not type(None)]
    if typing.get_origin(hint) in (typing.Union, UnionType):
        assert len(alternatives) == 1, hint
        return _of_type(alternatives[0])
    if typing.get_origin(hint) is list:
        return {"type": "array", "items": _of_type(alternatives[0])}
    if typing.get_origin(hint) is dict:
        values = typing.get_args(hint)[1]
        return {"type": "object"} | ({} if values is Any else {"additionalProperties": _of_type(values)})
    if is_dataclass(hint):
        return _of_dataclass(typing.cast(type, hint))
    return {"type": _TYPES[hint]}


def _attributes(kind: type) -> dict[str, str]:
    """What the docstring of a dataclass says of each attribute, in one line."""
    said: dict[str, str] = {}
    names: list[str] = []
    section = inspect.cleandoc(kind.__doc__ or "").partition("Attributes\n")[2].splitlines()[1:]
    for line in section:
        text = line.strip()
        if text and text == line.rstrip():  # not indented
            names = [name.strip() for name in text.partition(" : ")[0].split(",")]
        elif text:
            for name in names:
                said[name] = f"{said[name]} {text}" if name in said else text
    return {name: text.replace("`", "") for name, text in said.items()}
