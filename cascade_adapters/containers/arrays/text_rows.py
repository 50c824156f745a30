"""The rows of a text file, cut into cells only when these are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

#: Number of the line in the file, and its text; or its cells, where there are quotes in it.
Row = tuple[int, str | list[str]]

#: No number has more characters.
_LONGEST_NUMBER = 1000

_MISSING = {"", "na", "n/a", "#n/a", "nan", "null", "none", "-"}


@dataclass
class Layout:
    """How a text file is written, beside its numbers.

    Attributes
    ----------
    delimiter : str or None
        None for white space.
    decimal_comma : bool
        A comma takes the place of the point.
    encoding : str
        Of the text.
    header : list of list of str
        Cells of the rows above the numbers.
    leading : list of str
        The cell in front of the numbers of each row, or nothing.
    """

    delimiter: str | None
    decimal_comma: bool
    encoding: str
    header: list[list[str]] = field(default_factory=list)
    leading: list[str] = field(default_factory=list)

    def bare(self) -> Layout:
        """The same without anything around the numbers."""
        return replace(self, header=[], leading=[])


def number_in(cell: str, layout: Layout) -> float | None:
    """The number in a cell, NaN where it is missing, None if the cell holds anything else."""
    if len(cell) > _LONGEST_NUMBER:
        return None
    if cell.strip().lower() in _MISSING:
        return float("nan")
    try:
        return float(cell.replace(",", ".") if layout.decimal_comma else cell)
    except ValueError:
        return None


def cells_of(row: Row, layout: Layout) -> list[str]:
    """The cells of a row."""
    content = row[1]
    if not isinstance(content, str):
        return content
    return content.split() if layout.delimiter is None else content.strip(" ").split(layout.delimiter)


def n_cells(row: Row, layout: Layout) -> int:
    """How many cells a row has."""
    content = row[1]
    if isinstance(content, str) and layout.delimiter is not None:
        return content.count(layout.delimiter) + 1
    return len(cells_of(row, layout))


def first_two(row: Row, layout: Layout) -> tuple[str, str]:
    """The first two cells of a row that has as many."""
    content = row[1]
    cells = content.split(layout.delimiter, 2) if isinstance(content, str) else content
    return cells[0], cells[1]


def without_first(row: Row, layout: Layout) -> Row:
    """A row without its first cell."""
    line, content = row
    if not isinstance(content, str):
        return line, content[1:]
    return line, "".join(content.split(layout.delimiter, 1)[1:])


def without_last(row: Row, delimiter: str) -> Row:
    """A row without its last cell."""
    line, content = row
    return line, content[:-1] if not isinstance(content, str) else content.rpartition(delimiter)[0]
