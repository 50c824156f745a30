"""How far a run is: in plain lines, on a bar, for one recording at a time or several."""

import io
from pathlib import Path

import pytest

from cascade_adapters.running.batch import process_all
from cascade_adapters.running.options import parse_options
from cascade_adapters.running.progress import Bar, Hidden, Lines, duration, open_display, short_name
from tests.builders.batches import found
from tests.builders.suite2p_folders import make_plane


class Clock:
    """A clock that is set."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lines(clock):
    """A display of lines for 40 recordings, and what it has written."""
    written = []
    display = Lines(40, written.append, clock=clock)
    display.written = written
    return display


def test_one_recording_at_a_time(lines, clock):
    for job in range(2):
        lines.begin(job, f"mouse{job}/plane0", 500)
        lines.end(job, 1)
    lines.begin(2, "mouse7/plane0", 500)
    clock.now += 24
    lines.advance(2, 200)
    assert lines.written == ["3 of 40, mouse7/plane0, 40 %, 6 min left"]  # 37.6 recordings, of 10 s each


def test_several_at_a_time(lines, clock):
    lines.begin(0, "mouse1/plane0", 100)
    lines.begin(1, "mouse2/plane0", 200)
    clock.now += 30
    lines.advance(0, 50)
    assert lines.written == ["1-2 of 40, mouse1/plane0 50 %, mouse2/plane0 0 %, 40 min left"]
    lines.end(0, 1)
    lines.begin(2, "mouse3/plane0", 100)
    clock.now += 30
    lines.advance(1, 100)
    assert lines.written[1] == "2-3 of 40, mouse2/plane0 50 %, mouse3/plane0 0 %, 26 min left"


def test_lines_are_not_many(lines, clock):
    lines.begin(0, "mouse1/plane0", 36_000)
    for _ in range(36_000):
        clock.now += 0.1
        lines.advance(0, 1)
    assert 20 < len(lines.written) < 50
    assert lines.written[0] == "1 of 40, mouse1/plane0, 0 %"  # of the time that is left nothing is known so far
    assert lines.written[-1].startswith("1 of 40, mouse1/plane0, 9") and lines.written[-1].endswith(" h left")


def test_what_is_skipped_says_nothing_of_the_time_that_is_left(lines, clock):
    for job in range(20):
        lines.end(job, 1)
    lines.begin(20, "mouse1/plane0", 100)
    clock.now += 60
    assert lines.left_s is None
    lines.advance(20, 50)
    assert lines.left_s == pytest.approx(19.5 * 120)


def test_a_job_with_several_recordings(lines, clock):
    """Planes of one file, the first of which was skipped."""
    lines.begin(0, "session.nwb", 100)
    lines.begin(0, "session.nwb", 100)
    clock.now += 20
    lines.advance(0, 100)
    lines.end(0, 3)
    assert lines.part == pytest.approx(3 / 40)
    lines.begin(1, "mouse2/plane0", 100)
    assert lines.text().startswith("4 of 40, mouse2/plane0, 0 %")


def test_the_end(lines):
    lines.begin(0, "mouse1/plane0", 0)
    assert lines.part == 0
    for job in range(40):
        lines.end(job, 1)
    assert lines.part == 1 and lines.text() == "40 of 40 done"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1 s"), (12, "10 s"), (54, "55 s"), (56, "1 min"), (150, "2 min"), (3600, "60 min"), (7200, "2.0 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/mouse7/suite2p/plane0", "mouse7/plane0"),
        ("plane0", "plane0"),
        ("/results.hdf5", "results.hdf5"),
        ("lab/mouse1/session.nwb", "mouse1/session.nwb"),
    ],
)
def test_names(path, name):
    assert short_name(Path(path)) == name


class Terminal(io.StringIO):
    """A terminal, as far as anybody asks."""

    def isatty(self):
        return True


def test_on_a_terminal_there_is_a_bar(monkeypatch, clock):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    display = open_display(2, shown=True)
    assert isinstance(display, Bar)
    display.begin(0, "mouse1/plane0", 10)
    display.end(0, 1)
    display.begin(1, "mouse2/plane0", 10)
    display.close()
    text = terminal.getvalue()
    assert "1 of 2, mouse1/plane0, 0 %" in text and "2 of 2, mouse2/plane0, 0 %" in text and " 50 % |" in text
    assert isinstance(open_display(2, shown=False), Hidden)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert isinstance(open_display(2, shown=True), Lines)


@pytest.mark.parametrize("jobs", [1, 2])
def test_all_of_a_run_is_shown(jobs, tmp_path, random_model, monkeypatch):
    """dF/F and prediction together are all there is to do."""
    from cascade_adapters.running.executors import Parallel

    for number in range(2):
        make_plane(tmp_path / f"mouse{number}" / "plane0", seed=number)
    parts = {}

    class Kept(Hidden):
        def advance(self, job, amount):
            super().advance(job, amount)
            parts.setdefault(self._under_way[job].name, []).append(self._under_way[job].part)

    monkeypatch.setattr("cascade_adapters.running.batch.open_display", lambda n, shown: Kept(n))
    monkeypatch.setattr("cascade_adapters.running.executors.messages._INTERVAL_S", 0.0)
    process_all(found(tmp_path), parse_options({"model": random_model.folder}), parallel=Parallel(jobs))
    assert set(parts) == {"mouse0/plane0", "mouse1/plane0"}
    if jobs == 1:  # another process tells of it a few times in a second only; the ends of a trace are not predicted
        assert all(0.9 < found[-1] <= 1 and found == sorted(found) for found in parts.values())
