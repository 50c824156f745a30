"""The benchmark of disturbances: what is judged, and what is not."""

import numpy as np
import pytest

from benchmarks.accuracy.disturbance_kinds import KINDS
from benchmarks.accuracy.disturbances import changes
from cascade_engine.evaluation import Condition, make_trace
from cascade_engine.ground_truth import simulate_dataset

CONDITION = Condition(30.0, 0.05)
#: Kinds that are somewhere, and nowhere else.
LOCAL = {"movement", "black frames", "flashes", "missing frames", "repeated frames", "saturation"}


def measured(predict):
    """Changes by kind, where the first of two simulated neurons is disturbed."""
    dataset = simulate_dataset(n_neurons=2, duration_s=120, seed=3)
    first, second = (make_trace(neuron, CONDITION) for neuron in dataset.neurons)
    found = changes(predict, first, second, "test", CONDITION)
    return {kind: [change for change in found if change.kind == kind] for kind in KINDS}


def test_what_a_disturbance_changes_only_where_it_is_does_not_count():
    by_kind = measured(lambda trace: np.nan_to_num(trace.dff[0], nan=9.0) + 10.0)  # frame by frame
    assert all(len(found) == len(KINDS[kind].strengths) for kind, found in by_kind.items())
    for kind in LOCAL:
        for change in by_kind[kind]:
            assert change.count_ratio == pytest.approx(1.0)
            assert change.correlation_change == pytest.approx(0.0)


def test_what_a_disturbance_changes_elsewhere_counts():
    by_kind = measured(lambda trace: np.clip(trace.dff[0], 0, None) / np.nanmax(trace.dff))  # one gain for all frames
    strongest = by_kind["flashes"][-1]
    assert strongest.strength == 50.0
    assert strongest.count_ratio < 0.1
    assert strongest.correlation_change == pytest.approx(0.0, abs=1e-4)
