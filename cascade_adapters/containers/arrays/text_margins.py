"""What stands around the numbers of a text file: names, counts and times in the rows above and the column in front."""

from __future__ import annotations

import re

import numpy as np

from cascade_adapters.containers.arrays.contents import Contents
from cascade_adapters.containers.arrays.text_rows import (
    Layout,
    Row,
    cells_of,
    first_two,
    n_cells,
    number_in,
    without_first,
)

_ROI_NAME = re.compile(r"(roi|cell|neuron|unit|component|mean|dff|f|c|n)[ _.#(-]*\d+\)?", re.IGNORECASE)
_TIME_NAME = re.compile(r"(t|times?|timestamps?|frame[ _]?times?|seconds|sec|s)([^a-z].*)?", re.IGNORECASE)
_TIME_UNIT = re.compile(r"(?:.*[ _.(\[])?(s|sec|seconds|ms|msec|milliseconds)[)\]]?")
_COUNT_NAME = re.compile(r"|#|index|(frame|sample|roi|cell|neuron)s?[ _]?(number|no|id|index)?", re.IGNORECASE)

#: Numbers that are evenly spaced to this part of their spacing count something, or are times; traces never are.
_EVEN = 1e-3

#: More rows of names than this are no header.
_MOST_NAMES = 1000

#: Fewer numbers may be evenly spaced by chance.
_FEWEST_EVEN = 5


def take_margins(rows: list[Row], contents: Contents) -> tuple[str, np.ndarray] | None:
    """Move what stands around the numbers from the rows to the layout.

    Parameters
    ----------
    rows : list of Row
        All rows of the file; left are those of numbers.
    contents : Contents
        Its `layout` is filled; what names say about the orientation, and what was left out, is noted.

    Returns
    -------
    tuple of str and array, shape (n_frames,), or None
        Name and times of the frames, if they are there.
    """
    column_times = _take_header(rows, contents)
    row_times = _take_leading(rows, contents)
    times = row_times if column_times is None else column_times
    corner = contents.layout.header[-1][0] if contents.layout.header else ""
    unit = _TIME_UNIT.fullmatch(corner.strip().lower())
    return None if times is None else (f"time_{unit[1]}" if unit else "time", times)


def _take_header(rows: list[Row], contents: Contents) -> np.ndarray | None:
    layout: Layout = contents.layout
    for row in rows[: _MOST_NAMES + 1]:
        cells = cells_of(row, layout)
        if not _is_text(cells, layout):
            break
        layout.header.append([cell.strip() for cell in cells])
    if len(layout.header) > _MOST_NAMES:  # whoever asks for the numbers is told that there are none
        rows.clear()
    del rows[: len(layout.header)]
    for cells in layout.header:
        if len(cells) > 1 and all(_ROI_NAME.fullmatch(cell) for cell in cells[1:]):
            contents.rois_first, contents.reason = False, f"its columns are named {cells[1]}, ..."
    if len(rows) < 2:
        return None
    first, second = ([cell.strip() for cell in cells_of(row, layout)] for row in rows[:2])
    has_corner = first[0] == "" or number_in(first[0], layout) is None
    cells = first[1:] if has_corner else first
    counts_columns = has_corner and cells and all(cell.isdigit() for cell in cells) and second[0] != ""
    if not counts_columns and not _is_axis(cells, second[-len(cells) :], layout):
        return None
    layout.header.append(first)
    del rows[0]
    values = np.array([number_in(cell, layout) for cell in cells])
    if counts_columns or _is_whole(values):
        contents.remarks.append("the first row counts the columns and was left out")
        return None
    contents.remarks.append("the first row holds times and was left out")
    return values


def _take_leading(rows: list[Row], contents: Contents) -> np.ndarray | None:
    layout: Layout = contents.layout
    if not rows or min(n_cells(row, layout) for row in rows) < 2:
        return None
    pairs = [first_two(row, layout) for row in rows]
    leading = [first.strip() for first, _ in pairs]
    numbers = [number_in(cell, layout) for cell in leading]
    values = np.array([np.nan if number is None else number for number in numbers])
    name = layout.header[-1][0] if layout.header else None
    names_time = name is not None and bool(_TIME_NAME.fullmatch(name))
    names_count = name is not None and bool(_COUNT_NAME.fullmatch(name))
    is_text = all(number is None for number in numbers)
    # a frame may repeat the time of the one before
    is_increasing = len(values) > 1 and bool(np.all(np.diff(values) >= 0)) and values[-1] > values[0]
    if not (
        is_text
        or (is_increasing and (names_time or names_count))
        or _is_axis(leading, [second for _, second in pairs], layout)
    ):
        return None
    layout.leading = leading
    rows[:] = [without_first(row, layout) for row in rows]
    if is_text:
        contents.remarks.append("the first column holds names and was left out")
        if all(_ROI_NAME.fullmatch(cell) for cell in leading):
            contents.rois_first, contents.reason = True, f"its rows are named {leading[0]}, ..."
        return None
    if names_time or not (names_count or _is_whole(values)):
        contents.remarks.append("the first column holds times and was left out")
        return values
    contents.remarks.append("the first column counts the rows and was left out")
    return None


def _is_text(cells: list[str], layout: Layout) -> bool:
    """Whether a row has names, and no number except perhaps in front."""
    numbers = [number_in(cell, layout) for cell in (cells[1:] or cells)]
    return None in numbers and not any(number is not None and np.isfinite(number) for number in numbers)


def _is_axis(cells: list[str], beside: list[str], layout: Layout) -> bool:
    """Whether numbers are too evenly spaced to be fluorescence; `beside` are cells that surely are."""
    numbers = [number_in(cell, layout) for cell in cells]
    if len(cells) < 2 or None in numbers:
        return False
    with np.errstate(invalid="ignore"):  # infinite values
        steps = np.diff(np.array(numbers, dtype=float))
    even = steps[0] > 0 and bool(np.all(np.abs(steps - steps[0]) < _EVEN * steps[0]))
    counts = all(cell.isdigit() for cell in cells) and numbers[0] in (0, 1) and steps[0] == 1
    return even and (len(cells) >= _FEWEST_EVEN or (counts and not any(cell.isdigit() for cell in beside)))


def _is_whole(values: np.ndarray) -> bool:
    return bool(np.all(values == np.round(values)))
