"""``.csv``, ``.tsv`` and ``.txt``: numbers in rows, with names or times around them, as spreadsheets write them."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cascade_adapters.containers.arrays.contents import Contents
from cascade_adapters.containers.arrays.laid_out import LaidOut
from cascade_adapters.containers.arrays.text_margins import take_margins
from cascade_adapters.containers.arrays.text_rows import (
    Layout,
    Row,
    cells_of,
    n_cells,
    number_in,
    without_first,
    without_last,
)
from cascade_adapters.results import Spikes, schema
from cascade_engine.errors import InputError
from cascade_engine.file_formats.variables import Variable

#: Delimiters in the order in which they are looked for; where there is none, white space.
_DELIMITERS = (";", "\t", ",")

#: So many characters tell whether numbers have a decimal comma or point.
_SAMPLE = 200_000

#: Most lines, and values in a line: 28 hours at 30 Hz.
_MOST = 3_000_000


def read_text(path: Path) -> Contents:
    """What a text file holds: one array, and ``time`` if a row above it or a column in front of it has times.

    Raises
    ------
    InputError
        If it does not hold numbers in rows of equal length: which line does not.
    """
    text, encoding = _decode(path)
    if text.count("\n") > _MOST:
        raise InputError(f"{path} has more than {_MOST:,} lines: save so many numbers as .npy")
    delimiter, decimal_comma = _conventions(text)
    layout = Layout(delimiter, decimal_comma, encoding)
    rows = _rows(text, layout, path)
    contents = Contents([], layout=layout)
    times = take_margins(rows, contents)
    if not rows:
        raise InputError(f"{path} holds no numbers")
    values = _numbers(rows, layout, path)
    contents.variables.append(Variable("", values.shape, lambda: values, "" if values.size else "empty"))
    if times is not None:
        name, of_frames = times
        contents.variables.append(Variable(name, of_frames.shape, lambda: of_frames))
    return contents


def text_files(stem: str, suffix: str, arrays: Mapping[str, LaidOut], facts: Mapping[str, Any], layout: Layout):
    """One text file per array, with the names and times of the input; see `Format` in `formats`."""
    return {
        f"{stem}_{name}{suffix}": partial(_save, array=array, layout=_layout_of(name, layout))
        for name, array in arrays.items()
    }


def load_text_results(
    folder: Path, stem: str, suffix: str, names: tuple[str, ...], layout: Layout
) -> dict[str, np.ndarray]:
    """What `text_files` has written."""
    loaded = {}
    for name in names:
        path = folder / f"{stem}_{name}{suffix}"
        if not path.is_file():
            continue
        own = _layout_of(name, layout)
        rows = _rows(_decode(path)[0], own, path)[len(own.header) :]
        rows = [without_first(row, own) for row in rows] if own.leading else rows
        values = _numbers(rows, own, path) if rows else np.empty((0, len(Spikes.COLUMNS)))
        loaded[name] = values if name == "spikes" else values.astype(np.float32)
    return loaded


def _layout_of(name: str, layout: Layout) -> Layout:
    """How an array of results is written: traces as in the input, the rest without its names and times."""
    if name == "spikes":
        return replace(layout.bare(), header=[list(Spikes.COLUMNS)])
    has_frames = any(array.name == name and array.has_frames for array in schema.ARRAYS)
    return layout if has_frames else layout.bare()


def _decode(path: Path) -> tuple[str, str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    encodings = ["utf-8", "latin-1"]
    if content.startswith(codecs.BOM_UTF8):
        encodings.insert(0, "utf-8-sig")
    elif content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings.insert(0, "utf-16")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            if "\r" in text:
                text = text.replace("\r\n", "\n").replace("\r", "\n")
            return text, encoding
    raise InputError(f"{path} is no text")


def _conventions(text: str) -> tuple[str | None, bool]:
    """Delimiter, and whether a comma takes the place of the decimal point."""
    last: list[str] = []  # two lines, since the very last one may be cut off
    end = len(text)
    while end > 0 and len(last) < 2:
        start = text.rfind("\n", 0, end) + 1
        line = text[start:end]
        last += [line.strip()] if re.search(r"\d", line) and not _is_comment(line) else []
        end = start - 1
    delimiter = next((each for line in last for each in _DELIMITERS if each in line), None)
    commas, points = (len(re.findall(rf"\d{sign}\d", text[:_SAMPLE])) for sign in (",", r"\."))
    return delimiter, delimiter in (";", "\t") and commas > points


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(("#", "%"))


def _rows(text: str, layout: Layout, path: Path) -> list[Row]:
    """Every line that is neither blank nor a comment; most are kept as text, which takes less room than cells."""
    rows: list[Row] = []
    blank, delimiter = 0, layout.delimiter
    for line, content in enumerate(text.split("\n"), 1):
        if _is_comment(content):
            continue
        if not content.strip(" " if delimiter else None):  # a line of delimiters is one of missing values
            blank = line
            continue
        if delimiter and content.count(delimiter) > _MOST:
            raise InputError(f"{path}, line {line} has more than {_MOST:,} values: save so many numbers as .npy")
        row: Row = (line, _split_quoted(content, line, layout, path) if delimiter and '"' in content else content)
        is_behind_blank = bool(rows) and rows[-1][0] < blank and n_cells(row, layout) == 1
        if is_behind_blank and number_in(cells_of(rows[-1], layout)[0], layout) is not None:
            # a single column: this may be a missing value, and leaving it out would shift all that follows
            raise InputError(f"{path}, line {blank} is blank: write NaN where a value is missing")
        rows.append(row)
    if delimiter is not None and rows and all(_ends_empty(row, delimiter) for row in rows):
        rows = [without_last(row, delimiter) for row in rows]  # each line ends with the delimiter
    return rows


def _ends_empty(row: Row, delimiter: str) -> bool:
    content = row[1]
    return not (content.rpartition(delimiter)[2] if isinstance(content, str) else content[-1]).strip()


def _split_quoted(content: str, line: int, layout: Layout, path: Path) -> list[str]:
    try:
        # line by line, so that a stray quote cannot swallow the rest of the file
        return next(csv.reader([content], delimiter=layout.delimiter or " "))
    except csv.Error as error:
        raise InputError(f"{path}, line {line}: {error}") from None


def _numbers(rows: list[Row], layout: Layout, path: Path) -> np.ndarray:
    width = n_cells(rows[0], layout)
    for row in rows:  # before room is made for all
        if n_cells(row, layout) != width:
            raise InputError(
                f"{path}, line {row[0]}: {n_cells(row, layout)} values, but {width} in the first row of numbers"
            )
    values = np.empty((len(rows), width))
    for i, row in enumerate(rows):
        cells = cells_of(row, layout)
        plain = [cell.replace(",", ".") for cell in cells] if layout.decimal_comma else cells
        try:
            values[i] = list(map(float, plain))
        except ValueError:
            found = [number_in(cell, layout) for cell in cells]
            if None in found:
                raise InputError(f"{path}, line {row[0]}: {cells[found.index(None)][:40]!r} is no number") from None
            values[i] = found
    return values


def _save(file: BinaryIO, array: LaidOut, layout: Layout) -> None:
    text = io.TextIOWrapper(file, encoding=layout.encoding, newline="")
    delimiter = layout.delimiter or " "
    cells_writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    cells_writer.writerows(layout.header)
    leading_writer = csv.writer(text, delimiter=delimiter, lineterminator=delimiter)
    number = "%.9g" if array.dtype == np.float32 else "%.15g"  # nine digits give a float32 back exactly
    for row, values in enumerate(values for block in array.file_rows() for values in block):
        if layout.leading:
            leading_writer.writerow([layout.leading[row]])
        numbers = delimiter.join([number] * len(values)) % tuple(values.tolist())
        numbers = numbers.replace("nan", "NaN")
        text.write((numbers.replace(".", ",") if layout.decimal_comma else numbers) + "\n")
    text.flush()
    text.detach()
