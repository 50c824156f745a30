"""The tables of the studies: one compressed CSV file per study in ``results``, such as ``leave_one_out.csv.gz``.

A study that takes hours keeps what is done in a folder of its own, one part after the other; `merge` puts the parts
into the study's table. pandas and R read a table as it is.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from cascade_adapters.safe_writing.lock import lock
from cascade_engine.evaluation import NeuronScore, read_scores
from cascade_engine.file_formats.atomic import replacing

RESULTS = Path(__file__).parent / "results"

#: Columns that say which rows were measured together: `merge` replaces them together.
MEASURED_TOGETHER = ("method", "condition", "dataset")

Row = TypeVar("Row")


def path_of(study: str) -> Path:
    """Where the table of a study is."""
    return RESULTS / f"{study}.csv.gz"


def read(study: str) -> list[dict[str, str]]:
    """All rows of a study, by column; none if there is no table yet."""
    path = path_of(study)
    if not path.is_file():
        return []
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_as(kind: type[Row], study: str) -> list[Row]:
    """All rows of a study, as objects of a dataclass; its fields are columns of text, integers or floats.

    Columns that are missing take the default of the field.
    """
    types = {"str": str, "int": int, "float": float}
    of_field = {field.name: types[str(field.type)] for field in fields(kind)}  # type: ignore[arg-type]
    return [
        kind(**{name: convert(row[name]) for name, convert in of_field.items() if name in row}) for row in read(study)
    ]


def write(study: str, rows: Sequence[Mapping[str, Any]], float_format: str = ".4f") -> None:
    """Write the table of a study: the same rows give the same bytes."""
    text = io.StringIO()
    columns = dict.fromkeys(column for row in rows for column in row)
    table = csv.DictWriter(text, columns, lineterminator="\n", restval="nan")  # older rows lack later columns
    table.writeheader()
    for row in rows:
        table.writerow({key: f"{v:{float_format}}" if isinstance(v, float) else v for key, v in row.items()})
    path = path_of(study)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as compressed:
        compressed.write(text.getvalue().encode())


def merge(study: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Put rows into the table of a study, in the place of those that were measured in their place before.

    Parameters
    ----------
    study : str
        Name of the study.
    rows : iterable of mapping
        With the columns of the table. All rows of the same method, condition and dataset belong together.
    """
    with lock(path_of(study)):
        groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
        for table in (read(study), rows):
            found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
            for row in table:
                found.setdefault(tuple(row[column] for column in MEASURED_TOGETHER), []).append(row)
            groups.update(found)
        write(study, [row for group in groups.values() for row in group])


def forget(study: str, methods: Collection[str] | None = None) -> None:
    """Remove rows of a study, so that they are measured again: those of some methods, or all."""
    with lock(path_of(study)):
        kept = [row for row in read(study) if methods is not None and row["method"] not in methods]
        write(study, kept)


def merge_scores(study: str, parts: Path, method: str) -> list[NeuronScore]:
    """Put the parts of a method that `leave_out` has written into the table of a study; returns all of their scores."""
    paths = sorted(parts.glob(f"{method}_*.csv"))
    scores = [entry for path in paths for entry in read_scores(path) if entry.method == method]
    if scores:
        merge(study, map(asdict, scores))
    return scores
