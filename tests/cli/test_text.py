"""What is said of a recording: its indicator, and what to expect."""

from __future__ import annotations

import pytest

from cascade_adapters.cli.text import describe_expected, describe_inspection, describe_report
from cascade_adapters.running.report import Report

FIGURES = {"correlation": 0.756, "error": 0.91, "frame_rate_hz": 30.0, "noise_level": 2.0}


@pytest.mark.parametrize(
    ("named", "told", "gain", "said"),
    [
        ("GCaMP6f", "GCaMP6f", None, "indicator GCaMP6f, told to the network"),
        (None, "GCaMP6f", None, "indicator GCaMP6f, told to the network"),
        (
            "AAV1.Syn.GCaMP6f.WPRE", "GCaMP6f", None,
            "indicator 'AAV1.Syn.GCaMP6f.WPRE' read as GCaMP6f, told to the network",
        ),
        ("GCaMP6f", "GCaMP6s", None, "indicator GCaMP6s, told to the network; the file says 'GCaMP6f'"),
        ("Fluo-4", "unknown", 0.02, "indicator 'Fluo-4' is not one that the network knows: it is not told"),
        ("GCaMP6m", "unknown", 0.02, "indicator 'GCaMP6m' is not one that the network knows: it is not told"),
        (
            "GCaMP6f/s GCaMP6s", "unknown", None,
            "indicator 'GCaMP6f/s GCaMP6s' may be GCaMP6f or GCaMP6s: not told to the network: name it with "
            "--indicator",
        ),
        (
            None, "unknown", 0.017,
            "indicator not told to the network: --indicator brings +0.017 in correlation at this frame rate and "
            "noise, on average",
        ),
        (
            None, "unknown", -0.001,
            "indicator not told to the network: --indicator brings nothing at this frame rate and noise, on average",
        ),
        (None, "unknown", None, "indicator not told to the network: name it with --indicator"),
        ("Unknown", "unknown", None, "indicator not told to the network: name it with --indicator"),
        ("GCaMP6f", None, None, "indicator 'GCaMP6f': this model cannot be told any"),
    ],
)  # fmt: skip
def test_the_indicator_in_one_line(named, told, gain, said):
    expected = {**FIGURES, "indicator_gain": gain} if gain is not None else FIGURES
    report = Report(
        path="a", kind="b", frame_rate_hz=30.0, container_indicator=named, settings={"indicator": told},
        noise_level=2.0, noise_level_range=[1.0, 3.0], expected=expected,
    )  # fmt: skip
    for text in (describe_report(report), describe_inspection(report)):
        assert [line for line in text.splitlines() if "indicator" in line] == [f"  {said}"]


@pytest.mark.parametrize(
    ("held", "own", "said"),
    [
        (
            (30.0, 2.0),
            (30.0, 2.0),
            "expected at this noise level: correlation 0.76 with the true spikes, error 0.9 (on ",
        ),
        ((30.0, 8.0), (30.0, 9.0), "expected at noise level 8, the highest that was measured: correlation 0.76 with"),
        ((30.0, 2.0), (30.0, 1.5), "expected at noise level 2, the lowest that was measured: correlation 0.76 with"),
        ((3.0, 2.0), (2.0, 2.0), "error 0.9 (measured at 3 Hz, the nearest frame rate, on neurons not used for "),
    ],
)
def test_expected_figures_name_where_they_were_measured(held, own, said):
    figures = {**FIGURES, "frame_rate_hz": held[0], "noise_level": held[1]}
    assert said in describe_expected(figures, noise_level=own[1], frame_rate=own[0])
