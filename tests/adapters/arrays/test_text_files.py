"""Files of arrays: text as people write it."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from cascade_adapters.containers.arrays import ArrayFile
from cascade_adapters.containers.base import Selection
from tests.adapters.arrays.helpers import FRAMES_FIRST, read, refused
from tests.builders.array_files import RATE, make_dff


def lines_of(matrix: np.ndarray, delimiter: str = ",", comma: bool = False) -> list[str]:
    lines = [delimiter.join(f"{value:.9g}" for value in row) for row in matrix]
    return [line.replace(".", ",") for line in lines] if comma else lines


def as_text(
    folder: Path, lines: list[str], encoding: str = "utf-8", ending: str = "\n", name: str = "traces.csv"
) -> Path:
    path = folder / name
    path.write_bytes(ending.join([*lines, ""]).encode(encoding))
    return path


def with_index(lines: list[str], header: str, labels: list) -> list[str]:
    delimiter = ";" if ";" in header else ","
    return [header, *(f"{label}{delimiter}{line}" for label, line in zip(labels, lines, strict=True))]


DFF = make_dff()
TIMES = [f"{frame / RATE:.5f}" for frame in range(160)]
PLAIN, COUNTS = lines_of(DFF.T), ",".join(map(str, range(160)))

#: What the file looks like, the orientation that has to be given, and what is remarked.
TEXTS = {
    "plain": (PLAIN, "frames-first", None),
    "one ROI per line": (lines_of(DFF), "rois-first", None),
    "blank lines": (["", *PLAIN[:5], "", "  ", *PLAIN[5:], ""], "frames-first", None),
    "comments": (["# made by hand", "% twice", *PLAIN], "frames-first", None),
    "names of ROIs": (["ROI1,ROI2,ROI3", *PLAIN], None, None),
    "other names": (['"left, upper",right,axon', *PLAIN], "frames-first", None),
    "two rows of names": (["C00,C01,C02", "accepted,undecided,accepted", *PLAIN], None, None),
    "semicolons": (lines_of(DFF.T, ";"), "frames-first", None),
    "decimal commas": (lines_of(DFF.T, ";", comma=True), "frames-first", None),
    "tabs and decimal commas": (lines_of(DFF.T, "\t", comma=True), "frames-first", None),
    "blanks after commas": (lines_of(DFF.T, ", "), "frames-first", None),
    "columns of blanks": (lines_of(DFF.T, "   "), "frames-first", None),
    "delimiter at the end": ([f"{line}," for line in PLAIN], "frames-first", None),
    "pandas": (with_index(PLAIN, ",0,1,2", range(160)), "frames-first", "counts the rows"),
    "pandas, ROIs first": (with_index(lines_of(DFF), f",{COUNTS}", range(3)), "rois-first", "counts"),
    "pandas without index": (["0,1,2", *PLAIN], "frames-first", "counts the columns"),
    "names in front": (with_index(lines_of(DFF), ",".join(["id", *TIMES]), ["cell 1", "cell 2", "c 3"]), None, "times"),
    "times": (with_index(PLAIN, "time (s),a,b,c", TIMES), None, "holds times"),
    "times without a name": (with_index(PLAIN, "", TIMES)[1:], None, "holds times"),
    "Inscopix": ([" , C0, C1, C2", *with_index(PLAIN, "Time(s), accepted, , rejected", TIMES)], None, "times"),
    "frame numbers": (with_index(PLAIN, "Frame,a,b,c", range(1, 161)), "frames-first", "counts the rows"),
    "ImageJ": (with_index(PLAIN, " ,Mean1,Mean2,Mean3", range(1, 161)), None, "counts the rows"),
    "times above": ([",".join(TIMES), *lines_of(DFF)], None, "first row holds times"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_text_in_the_wild(tmp_path, run, name):
    lines, orientation, remark = TEXTS[name]
    path = as_text(tmp_path, lines)
    if orientation is not None:
        refused(path, "pass --orientation", Selection())
    traces = read(path, Selection(orientation=orientation))
    np.testing.assert_array_equal(np.float32(traces.dff), DFF)
    assert (remark is None and traces.remarks == []) or any(remark in each for each in traces.remarks)
    # results have the same margins, so that they stay aligned with the input in a spreadsheet
    run(path, Selection(orientation=orientation))
    np.testing.assert_array_equal(ArrayFile(path).results().dff, DFF)
    written = [line for line in (tmp_path / "traces_cascade_dff.csv").read_text().splitlines()]
    kept = [line for line in lines if line.strip() and line[0] not in "#%"]
    assert len(written) == len(kept)
    if remark is None:
        again = read(shutil.copy(tmp_path / "traces_cascade_dff.csv", tmp_path / "copy.csv") and tmp_path / "copy.csv",
                     Selection(orientation=orientation))  # fmt: skip
        np.testing.assert_array_equal(np.float32(again.dff), DFF)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_encodings(tmp_path, run, encoding, ending):
    path = as_text(tmp_path, ["Zelle µ,b,c", *PLAIN], encoding, ending)
    np.testing.assert_array_equal(np.float32(read(path, FRAMES_FIRST).dff), DFF)
    run(path, FRAMES_FIRST)
    assert (tmp_path / "traces_cascade_dff.csv").read_bytes().decode(encoding).startswith("Zelle µ,b,c")
    np.testing.assert_array_equal(ArrayFile(path).results().dff, DFF)


def test_margins_of_text_are_kept(tmp_path, run):
    path = as_text(tmp_path, with_index(lines_of(DFF.T, ";", comma=True), "time (s);left, upper;b;c", TIMES))
    run(path, Selection())
    lines = (tmp_path / "traces_cascade_spike_prob.csv").read_text().splitlines()
    assert lines[0] == "time (s);left, upper;b;c"
    assert lines[1] == "0.00000;NaN;NaN;NaN" and lines[80].startswith(f"{TIMES[79]};") and "," in lines[80]
    assert len((tmp_path / "traces_cascade_noise_levels.csv").read_text().splitlines()) == 3


def test_missing_values_in_text(tmp_path):
    lines = PLAIN.copy()
    for line, text in ((4, ",{1},{2}"), (5, "{0},NaN,{2}"), (6, "{0},{1},N/A"), (7, "NA,{1},{2}"), (8, ",,")):
        lines[line] = text.format(*lines[line].split(","))
    found = np.isnan(read(as_text(tmp_path, lines), FRAMES_FIRST).dff)
    assert found[:, 4:9].T.tolist() == [
        [True, False, False], [False, True, False], [False, False, True], [True, False, False], [True, True, True],
    ]  # fmt: skip
    assert np.count_nonzero(found) == 7


def test_a_line_of_tabs_is_a_frame_of_missing_values(tmp_path):
    lines = lines_of(DFF.T, "\t")
    lines[80] = "\t\t"
    found = read(as_text(tmp_path, lines, name="traces.tsv"), FRAMES_FIRST).dff
    assert found.shape == (3, 160) and np.isnan(found[:, 80]).all() and np.isfinite(found[:, 81]).all()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([*PLAIN[:9], "0.1,0.2", *PLAIN[9:]], "line 10: 2 values, but 3 in the first row"),
        ([*PLAIN[:9], "0.1,abc,0.3", *PLAIN[9:]], "line 10: 'abc' is no number"),
        (["0.1,abc,0.3", *PLAIN], "line 1: 'abc' is no number"),
        (["hello", "world"], "holds no numbers"),
        (["0.1", "0.2", "", "0.3"], "line 3 is blank: write NaN where a value is missing"),
        (['"' + "x" * 200_000 + '",1'], "line 1: field larger"),
    ],
)
def test_text_that_is_no_table(tmp_path, lines, message):
    refused(as_text(tmp_path, lines), message, FRAMES_FIRST)


def test_a_few_numbers_that_count_are_data_all_the_same(tmp_path):
    """Photon counts may rise evenly; only what is written unlike its neighbours, or goes on too long, is left out."""
    lines = ["1,2,3", "4,5,7", "2,2,1"] * 60
    traces = read(as_text(tmp_path, lines), Selection(orientation="frames-first", raw=True))
    assert traces.shape == (3, 180) and traces.remarks == []


def test_a_last_line_that_is_cut_off_is_named(tmp_path):
    """Its only value has no delimiter, which does not make names of all other lines."""
    refused(as_text(tmp_path, [*PLAIN[:-1], "0.1"]), "line 160: 1 values, but 3 in the first row", FRAMES_FIRST)
