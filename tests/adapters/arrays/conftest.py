"""Fixtures of the tests of files of arrays."""

import pytest

from cascade_adapters.containers.registry import find_containers
from tests.adapters.arrays.helpers import ROIS_FIRST
from tests.builders.array_files import RATE
from tests.builders.running import run_one


@pytest.fixture
def run(random_model):
    """Process a file with the random model."""

    def run(path, selection=ROIS_FIRST, **options):
        (container,) = find_containers(path, selection)
        return run_one(container, **{"model": str(random_model.folder), "frame_rate": RATE, **options})

    return run
