"""Frames as text: ``0-99,500,700-710``, counted from 0, both ends included."""

from __future__ import annotations

import re

import numpy as np

from cascade_engine.errors import InputError


def frame_ranges(text: str) -> list[tuple[int, int]]:
    """First and last frame of each range that a text names.

    Parameters
    ----------
    text : str
        Frames and ranges of frames, separated by commas, blanks or new lines.

    Returns
    -------
    list of tuple of int
        Empty if it names none.

    Raises
    ------
    InputError
        If it is no such text.

    Examples
    --------
    >>> frame_ranges("0-99, 500")
    [(0, 99), (500, 500)]
    """
    ranges = []
    for part in re.sub(r"\s*-\s*", "-", text).replace(",", " ").split():
        found = re.fullmatch(r"([0-9]{1,12})(?:-([0-9]{1,12}))?", part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if first > last:
            shown = part if len(part) <= 40 else part[:40] + " ..."
            raise InputError(f"{shown!r} is no frame and no range of frames: they are written as 0-99,500,700-710")
        ranges.append((first, last))
    return ranges


def frame_mask(text: str, n_frames: int) -> np.ndarray:
    """Which frames of a recording a text names.

    Parameters
    ----------
    text : str
        As of `frame_ranges`.
    n_frames : int
        Frames of the recording.

    Returns
    -------
    array of bool, shape (n_frames,)
        True for the frames that are named.

    Raises
    ------
    InputError
        If it is no such text, or names frames beyond the end of the recording.

    Examples
    --------
    >>> np.flatnonzero(frame_mask("0-2, 5", n_frames=8))
    array([0, 1, 2, 5])
    """
    mask = np.zeros(n_frames, dtype=bool)
    for first, last in frame_ranges(text):
        if last >= n_frames:
            raise InputError(f"there is no frame {last}: the recording has {n_frames} frames, counted from 0")
        mask[first : last + 1] = True
    return mask


def frame_text(mask: np.ndarray) -> str:
    """The text that names the frames of a mask; `frame_mask` takes it back.

    Parameters
    ----------
    mask : array of bool, shape (n_frames,)
        True for the frames to be named.

    Examples
    --------
    >>> frame_text(np.array([True, True, False, True]))
    '0-1,3'
    """
    steps = np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8))
    firsts, lasts = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1) - 1
    return ",".join(
        f"{first}" if first == last else f"{first}-{last}" for first, last in zip(firsts, lasts, strict=True)
    )
