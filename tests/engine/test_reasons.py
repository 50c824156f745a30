"""Reasons that differ in numbers only are one reason."""

import numpy as np
import pytest

from cascade_engine import predict
from cascade_engine.errors import CascadeWarning
from cascade_engine.reasons import group_reasons, in_words, listed


@pytest.mark.parametrize(
    ("reasons", "groups"),
    [
        ({}, []),
        ({3: "all values are missing"}, [("all values are missing", [3])]),
        (
            {0: "absurd dF/F of -1.5e+06: F0 is near zero", 2: "absurd dF/F of 2e+04: F0 is near zero"},
            [("absurd dF/F of -1.5e+06 to 2e+04: F0 is near zero", [0, 2])],
        ),
        (
            {0: "too short: 40 frames, 64 needed", 1: "constant: each is 0", 2: "too short: 9 frames, 64 needed"},
            [("too short: 9 to 40 frames, 64 needed", [0, 2]), ("constant: each is 0", [1])],
        ),
        # numbers that are parts of names
        (
            {0: "no GCaMP6f", 1: "no GCaMP6s", 2: "no GCaMP6f"},
            [("no GCaMP6f", [0, 2]), ("no GCaMP6s", [1])],
        ),
    ],
)  # fmt: skip
def test_groups(reasons, groups):
    assert group_reasons(reasons) == groups


def test_words():
    assert in_words([7]) == "neuron 7 has"
    assert in_words(range(41)) == "41 neurons (0, 1, 2, 3, 4, 5, 6, 7, ...) have"
    assert listed([1, 2], most=2) == "1, 2" and listed([1, 2, 3], most=2) == "1, 2, ..."


def test_one_warning_for_neurons_with_one_reason(random_model):
    dff = np.random.default_rng(0).normal(0, 0.05, (42, 200)).astype(np.float32)
    for neuron in range(41):
        dff[neuron, : neuron + 1] = np.inf
    with pytest.warns(CascadeWarning) as caught:
        predict(dff, 30.0, random_model)
    texts = [str(each.message) for each in caught if "no prediction" in str(each.message)]
    listed = "0, 1, 2, 3, 4, 5, 6, 7, ..."
    assert texts == [f"41 neurons ({listed}) have no prediction: infinite dF/F in 1 to 41 frames"]
