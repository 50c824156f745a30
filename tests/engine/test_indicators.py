"""Names of indicators as files hold them."""

from __future__ import annotations

import pytest

from cascade_engine.ground_truth import load_catalogue
from cascade_engine.networks.indicators import indicators_named
from cascade_engine.networks.universal.architecture import (
    INDICATOR_FAMILIES,
    UNKNOWN,
    indicator_family,
    known_indicator,
)


@pytest.mark.parametrize(
    ("name", "indicator"),
    [
        ("AAV1.Syn.GCaMP6f.WPRE.SV40", "GCaMP6f"),
        ("GCaMP 6f", "GCaMP6f"),
        ("GCaMP-6F", "GCaMP6f"),
        ("GCaMP6.f", "GCaMP6f"),
        ("gcamp6 fast", "GCaMP6f"),
        ("GCaMP6f; GCaMP6f", "GCaMP6f"),
        ("Ai93(TITL-GCaMP6f)", "GCaMP6f"),
        ("Ai148(TIT2L-GC6f-ICL-tTA2)", "GCaMP6f"),
        ("Thy1-GCaMP6s", "GCaMP6s"),
        ("tetO-GCaMP6s", "GCaMP6s"),
        ("hSynGCaMP6s_v2", "GCaMP6s"),
        ("jGCaMP7f", "jGCaMP7f"),
        ("AAV9-syn-jGCaMP8m-WPRE", "jGCaMP8m"),
        ("GCaMP8s", "jGCaMP8s"),
        ("jGCaMP8", "jGCaMP8"),
        ("Cal 520", "Cal-520"),
        ("Cal-520 AM", "Cal-520"),
        ("OGB1", "OGB-1"),
        ("OGB-1 AM + SR101", "OGB-1"),
        ("Oregon Green BAPTA-1", "OGB-1"),
        ("Oregon Green 488 BAPTA-1, AM", "OGB-1"),
        ("R-CaMP 1.07", "R-CaMP1.07"),
        ("RCaMP1.07", "R-CaMP1.07"),
        ("jRCaMP1a", "jRCaMP1a"),
        ("Syn.NES.jRGECO1a.WPRE", "jRGECO1a"),
    ],
)
def test_names_that_files_hold(name, indicator):
    assert known_indicator(name) == indicator
    assert indicator in INDICATOR_FAMILIES[indicator_family(name)]


@pytest.mark.parametrize(
    "name",
    [
        "", "unknown", "mixed", "GCaMP", "GCaMP6", "AAV1.hSyn.GCaMP6.SV40", "GCaMP6.Syn", "GCaMP6m", "GCaMP5K",
        "GCaMP6f2", "GCaMP16f", "jGCaMP7", "jGCaMP7s", "R-CaMP2", "jRCaMP1b", "jRGECO1b", "Fluo-4", "XCaMP-Gf",
        "OGB-10", "Cal-590", "local 520 nm",
    ],
)  # fmt: skip
def test_others_are_not_guessed(name):
    assert known_indicator(name) is None and indicator_family(name) == UNKNOWN


@pytest.mark.parametrize("name", ["GCaMP6f/GCaMP6s", "GCaMP6s and jRGECO1a", "OGB-1, GCaMP6f", "Fluo-4; GCaMP6f"])
def test_two_indicators_are_not_guessed(name):
    assert len(indicators_named(name)) == 2 and known_indicator(name) is None


def test_names_of_the_networks_stand_for_themselves():
    for number, names in enumerate(INDICATOR_FAMILIES):
        for name in names:
            assert (known_indicator(name), indicator_family(name)) == (name, number)
    unknown = {entry.indicator for entry in load_catalogue().values() if indicator_family(entry.indicator) == UNKNOWN}
    assert unknown == {"GCaMP5K", "XCaMP-Gf", "mixed"}
