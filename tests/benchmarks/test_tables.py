"""The tables of the studies: read as they were written, merged by what was measured together."""

from __future__ import annotations

from dataclasses import asdict, replace
from math import isnan

import pytest

from benchmarks import tables
from cascade_engine.evaluation import NeuronScore, write_scores


def scores(method: str, dataset: str, correlation: float, n_cells: int = 2) -> list[NeuronScore]:
    return [
        NeuronScore("30Hz", method, dataset, f"cell{number}", 2.0, 0.5, correlation, 1.0, -0.25, 0.75, 0.5)
        for number in range(n_cells)
    ]


@pytest.fixture(autouse=True)
def own_results(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "RESULTS", tmp_path / "results")


def test_read_as_written():
    rows = scores("ours", "DS01", 0.5)
    assert tables.read("study") == []
    tables.write("study", [asdict(row) for row in rows])
    assert tables.read_as(NeuronScore, "study") == rows


def test_the_same_rows_give_the_same_bytes(monkeypatch):
    rows = [asdict(row) for row in scores("ours", "DS01", 0.5)]
    tables.write("study", rows)
    content = tables.path_of("study").read_bytes()
    monkeypatch.setattr("time.time", lambda: 2e9)
    tables.write("study", rows)
    assert tables.path_of("study").read_bytes() == content


def test_merged_rows_take_the_place_of_earlier_ones():
    first = [*scores("ours", "DS01", 0.1, 3), *scores("ours", "DS02", 0.2), *scores("rival", "DS01", 0.3)]
    tables.merge("study", map(asdict, first))
    again, new = scores("ours", "DS01", 0.4), scores("ours", "DS03", 0.5)
    tables.merge("study", map(asdict, [*new, *again]))
    assert tables.read_as(NeuronScore, "study") == [*again, *first[3:], *new]


def test_rows_of_before_a_column_was_measured_stay():
    older = [
        {key: value for key, value in asdict(row).items() if "aligned" not in key} for row in scores("a", "DS01", 0.5)
    ]
    tables.write("study", older)
    assert isnan(tables.read_as(NeuronScore, "study")[0].aligned_error)
    new = scores("b", "DS01", 0.5)
    tables.merge("study", map(asdict, new))
    *first, third, fourth = tables.read_as(NeuronScore, "study")
    assert [third, fourth] == new and all(isnan(row.aligned_error) and row.error == 1.0 for row in first)


def test_parts_of_one_method_are_merged(tmp_path):
    ours, rivals = scores("ours", "DS01", 0.1), scores("ours-too", "DS01", 0.2)
    write_scores(tmp_path / "ours_fold0.csv", ours)
    write_scores(tmp_path / "ours_fold1.csv", [replace(entry, dataset="DS02") for entry in ours])
    write_scores(tmp_path / "ours-too_fold0.csv", rivals)
    found = tables.merge_scores("study", tmp_path, "ours")
    assert [entry.dataset for entry in found] == ["DS01", "DS01", "DS02", "DS02"]
    assert tables.read_as(NeuronScore, "study") == found


@pytest.mark.parametrize("study", ["ablation", "discrete_spikes", "leave_one_out", "uncertainty"])
def test_tables_of_the_repository_are_complete(study, monkeypatch):
    monkeypatch.undo()
    rows = tables.read(study)
    assert len(rows) > 800
    assert all(len(row) == len(rows[0]) and None not in row.values() for row in rows)


def test_what_is_forgotten_is_gone_and_the_rest_stays():
    rows = [*scores("ours", "DS01", 0.5), *scores("rival", "DS01", 0.25)]
    tables.write("study", [asdict(row) for row in rows])
    tables.forget("study", ["ours"])
    assert tables.read_as(NeuronScore, "study") == scores("rival", "DS01", 0.25)
    tables.forget("study")
    assert tables.read("study") == []
    tables.merge("study", [asdict(row) for row in scores("ours", "DS02", 0.5)])
    assert tables.read_as(NeuronScore, "study") == scores("ours", "DS02", 0.5)
