"""The tables of the documents: as the script makes them from the scores, now."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.accuracy import disturbances, document, end_to_end, users_dff
from benchmarks.accuracy.leave_one_out_summary import load
from cascade_engine import load_model
from cascade_engine.evaluation import NeuronScore, summarize


def test_the_documents_hold_what_was_measured():
    for path, blocks in document.blocks(*load()).items():
        text = path.read_text("utf-8")
        assert document.with_blocks(text, blocks) == text, path


def test_so_does_what_other_studies_have_written():
    text = document.ACCURACY.read_text("utf-8")
    found = users_dff.measured(load_model()) | {
        "end-to-end": end_to_end.summary(),
        "disturbances": disturbances.table(),
    }
    assert document.with_blocks(text, found) == text


def test_each_block_has_one_place():
    text = "a\n<!-- one -->\nold\n<!-- end -->\nb\n<!-- two -->\n<!-- end -->\n"
    assert document.with_blocks(text, {"one": "new"}) == text.replace("old", "\nnew\n")
    with pytest.raises(ValueError, match="one place for three"):
        document.with_blocks(text, {"three": "new"})
    with pytest.raises(ValueError, match="one place for one"):
        document.with_blocks(text + text, {"one": "new"})


def test_figures_that_are_not_known_have_no_column_and_no_row():
    known = summarize([NeuronScore("c", "m", "DS01", "cell", 2.0, 0.5, 0.75, 1.0, -0.5)])
    nothing = replace(known, error=float("nan"))
    rows = [("ours", [known, known]), ("rival", [nothing])]
    assert document.table("c", rows, ("correlation", "aligned_correlation", "error")).splitlines() == [
        "| c | correlation | error |",
        "|---|---|---|",
        "| ours | 0.750 / 0.750 | 1.00 / 1.00 |",
        "| rival | 0.750 |  |",
    ]
    assert "rival" not in document.table("c", rows, ("error",))
