"""Frames as text: what is written, what is read, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_engine.errors import InputError
from cascade_engine.signal.frames import frame_mask, frame_ranges, frame_text


@given(st.lists(st.booleans(), max_size=60))
def test_a_mask_comes_back(mask):
    np.testing.assert_array_equal(frame_mask(frame_text(np.array(mask, dtype=bool)), len(mask)), mask)


def test_ranges_as_users_write_them():
    expected = [(0, 99), (500, 500), (700, 710)]
    for text in ("0-99,500,700-710", "0-99, 500, 700 - 710", "0-99\n500\n700-710\n", " 0-99 500\t700-710,"):
        assert frame_ranges(text) == expected
    assert frame_ranges("") == frame_ranges(" , ") == []
    assert np.flatnonzero(frame_mask("7-9, 3,8", 10)).tolist() == [3, 7, 8, 9]


@pytest.mark.parametrize(
    "text", ["a", "1-", "-5", "9-3", "1.5", "1--2", "1-2-3", "٣", "0x1", "1" * 20, "frames.csv", "1;2"]
)
def test_what_is_refused(text):
    with pytest.raises(InputError, match="they are written as 0-99,500,700-710") as caught:
        frame_ranges(text)
    assert "\n" not in str(caught.value)


def test_frames_beyond_the_end():
    with pytest.raises(InputError, match="there is no frame 10: the recording has 10 frames, counted from 0"):
        frame_mask("9-10", 10)
    with pytest.raises(InputError, match="no frame 999999999999"):
        frame_mask("0-999999999999", 10)
