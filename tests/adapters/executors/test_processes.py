"""Several jobs at a time, in processes: the same results, failures that stay alone, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import cascade_adapters
from cascade_adapters.cli import main
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.running.batch import jobs_of, process_all
from cascade_adapters.running.executors import Parallel, choose_executor
from cascade_adapters.running.executors.processes import Processes
from cascade_adapters.running.executors.serial import Serial
from cascade_adapters.running.options import parse_options
from cascade_engine.errors import InputError
from tests.builders.batches import Killing, NotToBeSent, copied, found, make_batch, stored
from tests.builders.caiman_files import make_cnmf
from tests.builders.killing import heed_signals
from tests.builders.locking import locked_by_process
from tests.builders.suite2p_folders import hashes, make_plane

needs_posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

TWO = Parallel(2)


@pytest.fixture
def options(random_model):
    """Options with the random model."""
    return parse_options({"model": random_model.folder})


def test_results_and_reports_are_those_of_the_serial_run(tmp_path, options):
    first = make_batch(tmp_path / "a" / "data")
    second = copied(first, tmp_path / "b" / "data")
    expected = process_all(found(first), options)
    reports = process_all(found(second), options, parallel=TWO)
    assert stored(second) == stored(first)
    assert sum(results is not None for results in stored(first).values()) >= 4

    def told(report):
        return json.loads(json.dumps(report.to_dict()).replace(str(second), str(first)))

    assert [told(report) for report in reports] == [told(report) for report in expected]
    assert [report.status for report in reports].count("failed") == 1


def test_with_the_shipped_model(tmp_path):
    """Its networks, and as many threads as there are."""
    first = make_plane(tmp_path / "a" / "mouse0" / "plane0", 9, 700).folder.parents[1]
    make_plane(first / "mouse1" / "plane0", 3, 500, seed=1)
    second = copied(first, tmp_path / "b")
    process_all(found(first), parse_options({"n_threads": 4}))
    process_all(found(second), parse_options({"n_threads": 4}), parallel=TWO)
    assert stored(second) == stored(first)


def test_json_is_in_the_order_of_the_recordings(tmp_path, random_model, capsys):
    make_batch(tmp_path, n_planes=2)
    with pytest.raises(SystemExit) as end:
        main(["run", str(tmp_path), "--jobs", "2", "--json", "--model", str(random_model.folder)])
    assert end.value.code == 1
    output = capsys.readouterr()
    reports = json.loads(output.out)
    assert output.err == ""
    assert [report["path"] for report in reports] == [str(container.path) for container in found(tmp_path)]
    (failed,) = (report for report in reports if report["status"] == "failed")
    assert "mouse1b" in failed["path"] and failed["path"] in failed["message"]


def test_summary(tmp_path, random_model, capsys):
    for number in range(3):
        make_plane(tmp_path / f"plane{number}", seed=number)
    main(["run", str(tmp_path), "--jobs", "3", "--model", str(random_model.folder)])
    output = capsys.readouterr()
    assert output.out.splitlines()[-1].startswith("3 done")


@needs_posix
def test_a_killed_process_is_one_failed_recording(tmp_path, options):
    folders = [make_plane(tmp_path / f"plane{number}", seed=number).folder for number in range(4)]
    planes = [Suite2pPlane(folder) for folder in folders]
    killed, ended = Killing(tmp_path / "large"), Killing(tmp_path / "odd", signal.SIGTERM)
    reports = process_all([planes[0], killed, planes[1], ended, *planes[2:]], options, parallel=TWO)
    assert [report.status for report in reports] == ["done", "failed", "done", "failed", "done", "done"]
    assert reports[1].message == (
        f"{killed.path}: its process was killed by the system, as it happens when memory is full: run fewer jobs at "
        "a time; the recording is complete or as it was"
    )
    assert (
        reports[3].message == f"{ended.path}: its process was ended by SIGTERM; the recording is complete or as it was"
    )
    assert all((folder / "cascade.json").is_file() for folder in folders)


def test_what_cannot_be_sent_is_one_failed_recording(tmp_path, options):
    container, plane = NotToBeSent(tmp_path / "own"), Suite2pPlane(make_plane(tmp_path / "plane0").folder)
    reports = process_all([container, plane], options, parallel=TWO)
    assert [report.status for report in reports] == ["failed", "done"]
    assert f"{container.path} cannot be sent to another process, so run one job at a time: " in reports[0].message


def test_a_container_that_only_this_process_knows(tmp_path, options, monkeypatch):
    """As one that is defined in a script."""
    monkeypatch.setitem(sys.modules, "of_this_process", sys.modules["tests.builders.batches"])
    own = type("Own", (Killing,), {"__module__": "of_this_process"})
    monkeypatch.setattr("tests.builders.batches.Own", own, raising=False)
    plane = Suite2pPlane(make_plane(tmp_path / "plane0").folder)
    reports = process_all([own(tmp_path / "own"), plane], options, parallel=TWO)
    assert [report.status for report in reports] == ["failed", "done"]
    assert reports[0].message == (
        f"{tmp_path / 'own'} cannot be sent to another process, so run one job at a time: "
        "No module named 'of_this_process'"
    )


def test_objects_in_memory_are_done_where_they_are(random_model):
    estimates = make_cnmf(frame_rate=30.0)
    cascade_adapters.run(estimates, model=random_model.folder, jobs=4, frame_rate=30.0)
    assert "spike_prob" in estimates.estimates.cascade


def test_from_a_script_without_a_guard(tmp_path, random_model):
    """Scripts need no ``if __name__ == "__main__"``."""
    for number in range(2):
        make_plane(tmp_path / f"plane{number}", seed=number)
    script = tmp_path / "script.py"
    script.write_text(
        f"import cascade_adapters\ndone = cascade_adapters.run({str(tmp_path)!r}, "
        f"model={str(random_model.folder)!r}, jobs=2)\nprint([each.report.status for each in done])\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout == "['done', 'done']\n"


@pytest.mark.parametrize("jobs", [0, -1, 5000])
def test_impossible_numbers(jobs, tmp_path):
    make_plane(tmp_path / "plane0")
    with pytest.raises(InputError, match="jobs must be"):
        cascade_adapters.run(tmp_path, jobs=jobs)


def test_threads_are_divided(tmp_path, monkeypatch):
    jobs = jobs_of([Killing(tmp_path / str(number)) for number in range(5)])

    def threads(n_jobs, n_threads):
        executor = choose_executor(jobs, Parallel(n_jobs), n_threads)
        return executor._n_processes, executor._n_threads

    assert threads(2, 8) == (2, 4)
    assert threads(3, 8) == (3, 2)
    assert threads(4, 2) == (4, 1)
    assert threads(50, 8) == (5, 1)
    assert isinstance(choose_executor(jobs[:1], Parallel(4)), Serial)


def test_no_more_jobs_than_memory_allows(tmp_path, monkeypatch):
    jobs, said = jobs_of([Killing(tmp_path / str(number)) for number in range(8)]), []
    monkeypatch.setattr("cascade_adapters.running.executors.choice.bytes_available", lambda: 2_000_000_000)
    executor = choose_executor(jobs, Parallel(8), 8, said.append)
    assert isinstance(executor, Processes) and executor._n_processes == 3
    assert said == ["3 of 8 jobs at a time: one may need 0.6 GB of memory, and 2.0 GB are free"]
    assert isinstance(choose_executor(jobs, Parallel(3), 8, said.append), Processes) and len(said) == 1
    (tmp_path / "large.npz").write_bytes(bytes(10_000_000))
    jobs += jobs_of([Killing(tmp_path / "large.npz")])
    monkeypatch.setattr("cascade_adapters.running.executors.choice.bytes_available", lambda: 1_270_000_000)
    assert isinstance(choose_executor(jobs, Parallel(2), 8, said.append), Serial)
    assert said[1] == "1 of 2 jobs at a time: one may need 0.6 GB of memory, and 1.3 GB are free"


def test_waiting_for_another_run_is_said(tmp_path, random_model, capsys):
    for number in range(2):
        make_plane(tmp_path / f"plane{number}", seed=number)
    with locked_by_process(tmp_path / "plane1"), pytest.raises(SystemExit):
        main(["run", str(tmp_path), "--jobs", "2", "--model", str(random_model.folder), "--wait", "0.3"])
    output = capsys.readouterr()
    assert f"cascade: {tmp_path / 'plane1'} is being changed by another run: waiting up to 0.3 s" in output.err
    assert "and still is after 0.3 s" in output.err
    assert (tmp_path / "plane0" / "cascade.json").is_file()


def running(folder):
    """Numbers of the processes that name a folder on their command line or as that of temporary files."""
    found = []
    for place in os.listdir("/proc"):
        try:
            with open(f"/proc/{place}/environ", "rb") as file:
                if str(folder).encode() in file.read():
                    found.append(int(place))
        except (OSError, ValueError):
            continue
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for processes in /proc")
@pytest.mark.parametrize("ending", ["SIGINT to all", "SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_nothing_is_left_when_it_is_asked_to_end(ending, tmp_path):
    """No file, no folder, no process: as of Ctrl-C, which all processes get, and of a kill, of which none hears."""
    temporary, data = tmp_path / "temporary", tmp_path / "data"
    temporary.mkdir()
    for number in range(3):
        make_plane(data / f"plane{number}", 60, 40_000, seed=number)
    before = hashes(data)
    call = [sys.executable, "-m", "cascade_adapters", "run", data, "--jobs", "2", "--quiet"]
    process = subprocess.Popen(
        call, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, preexec_fn=heed_signals,
        start_new_session=True, env={**os.environ, "TMPDIR": str(temporary)},
    )  # fmt: skip
    until = time.monotonic() + 60
    while len(list(data.glob("*/.cascade-spool-*"))) < 2:
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.01)
    assert len(running(temporary)) == 3
    name, _, to_all = ending.partition(" to ")
    number = getattr(signal, name)
    (os.killpg if to_all else os.kill)(process.pid, number)
    _, output = process.communicate(timeout=60)
    if name == "SIGKILL":
        while running(temporary):
            assert time.monotonic() < until + 60
            time.sleep(0.05)
    else:
        assert process.returncode == 128 + number
        assert output == f"cascade: interrupted{'' if name == 'SIGINT' else f' by {name}'}\n"
    assert running(temporary) == []
    assert hashes(data) == before
    assert list(temporary.glob("cascade*")) == []
