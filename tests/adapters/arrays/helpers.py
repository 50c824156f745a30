"""What the tests of files of arrays share."""

from pathlib import Path

import pytest

from cascade_adapters.containers.arrays import ArrayFile
from cascade_adapters.containers.base import Reading, Selection
from cascade_engine.errors import InputError
from tests.builders.array_files import RATE

RATE_GIVEN = Reading(frame_rate=RATE)

ROIS_FIRST, FRAMES_FIRST = Selection(orientation="rois-first"), Selection(orientation="frames-first")


def read(path: Path, selection: Selection = ROIS_FIRST, reading: Reading = RATE_GIVEN):
    return ArrayFile(path, selection).read(reading)


def refused(path: Path, match: str, selection: Selection = ROIS_FIRST, reading: Reading = RATE_GIVEN) -> None:
    """Reading must fail with one line that names the file."""
    with pytest.raises(InputError, match=match) as caught:
        ArrayFile(path, selection).read(reading)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)
