"""Jobs on a Dask cluster of real processes: the same results, whatever dies in between."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

import cascade_adapters
from cascade_adapters.cli import main
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.running.batch import process_all
from cascade_adapters.running.executors import Parallel
from cascade_adapters.running.options import parse_options
from cascade_engine.errors import CascadeError, InputError
from tests.builders.batches import Killing, KillingOnce, copied, found, make_batch, stored
from tests.builders.caiman_files import make_cnmf
from tests.builders.killing import heed_signals
from tests.builders.suite2p_folders import hashes, make_plane

pytest.importorskip("distributed")

from tests.builders.dask_cluster import DaskCluster

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes by signals of POSIX")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster of three workers."""
    made = DaskCluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.start()
        yield made
    finally:
        made.kill()


@pytest.fixture
def options(random_model):
    """What a run on a cluster has by default, with the random model."""
    return parse_options(Parallel(scheduler="any").choices({"model": random_model.folder}))


def test_results_are_those_of_the_serial_run(tmp_path, options, cluster):
    """One container is damaged, and another has vanished by the time it is read."""
    first = make_batch(tmp_path / "a" / "data")
    second = copied(first, tmp_path / "b" / "data")
    containers = {root: found(root) for root in (first, second)}
    for root in containers:
        shutil.rmtree(root / "mouse2")
    expected = process_all(containers[first], options)
    reports = process_all(containers[second], options, parallel=Parallel(scheduler=cluster.address))
    assert stored(second) == stored(first)

    def told(report):
        return json.loads(json.dumps(report.to_dict()).replace(str(second), str(first)))

    assert [told(report) for report in reports] == [told(report) for report in expected]
    failures = {report.path: report.message for report in reports if report.status == "failed"}
    assert [path.split("/data/")[1].split("/")[0] for path in failures] == ["mouse1b", "mouse2"]
    assert all(path in message for path, message in failures.items())


def test_the_same_command_again_does_what_is_missing(tmp_path, random_model, cluster, capsys, monkeypatch):
    """By relative paths; the workers have working folders of their own."""
    for number in range(2):
        make_plane(tmp_path / "data" / f"plane{number}", seed=number)
    shutil.copytree(random_model.folder, tmp_path / "own_model")
    monkeypatch.chdir(tmp_path)

    def statuses(*options):
        command = ["run", "data", "--scheduler", cluster.address, "--json", "--model", "own_model"]
        main([*command, *options])
        return [report["status"] for report in json.loads(capsys.readouterr().out)]

    assert statuses() == ["done", "done"]
    before = hashes(tmp_path / "data")
    make_plane(tmp_path / "data" / "plane2", seed=2)
    assert statuses() == ["skipped", "skipped", "done"]
    assert {name: found for name, found in hashes(tmp_path / "data").items() if "plane2" not in name} == before
    assert statuses("--only-cells", "--existing", "skip") == ["skipped"] * 3
    assert statuses("--only-cells") == ["done"] * 3


def test_a_worker_that_dies(tmp_path, options, cluster):
    """Its job is given to another one."""
    planes = [Suite2pPlane(make_plane(tmp_path / f"mouse{n}" / "plane0", seed=n).folder) for n in range(3)]
    containers = [planes[0], KillingOnce(planes[1].path), planes[2]]
    reports = process_all(containers, options, parallel=Parallel(scheduler=cluster.address))
    assert [report.status for report in reports] == ["done"] * 3
    assert (tmp_path / "mouse1" / "was_read").exists()


def test_a_job_that_kills_every_worker(tmp_path, options, cluster):
    """It is a failed recording, and others are done."""
    plane = Suite2pPlane(make_plane(tmp_path / "plane0").folder)
    reports = process_all([Killing(tmp_path / "large"), plane], options, parallel=Parallel(scheduler=cluster.address))
    assert [report.status for report in reports] == ["failed", "done"]
    assert reports[0].message == (
        f"{tmp_path / 'large'}: its worker was killed again and again, as it happens when memory is full: give the "
        "workers more; the recording is complete or as it was"
    )


def test_a_scheduler_that_is_restarted(tmp_path, options):
    """Everything dies in the middle, and comes back at the same address."""
    folders = [make_plane(tmp_path / f"plane{number}", seed=number).folder for number in range(4)]
    cluster = DaskCluster(tmp_path, n_workers=1)
    announced = []

    def announce(report):
        announced.append(report.path)
        if len(announced) == 1:
            cluster.kill()
            cluster.start()

    try:
        cluster.start()
        reports = process_all(
            [Suite2pPlane(folder) for folder in folders],
            options,
            announce=announce,
            parallel=Parallel(scheduler=cluster.address),
        )
    finally:
        cluster.kill()
    # what was written while nobody heard of it is up to date, and not done again
    assert {report.status for report in reports} <= {"done", "skipped"}
    assert sorted(announced) == [str(folder) for folder in folders]
    assert all((folder / "cascade.json").is_file() for folder in folders)


def test_a_scheduler_that_does_not_come_back(tmp_path, options, monkeypatch):
    monkeypatch.setattr("cascade_adapters.running.executors.cluster.CONNECT_S", 2.0)
    monkeypatch.setattr("cascade_adapters.running.executors.cluster.RETURN_S", 1.0)
    folders = [make_plane(tmp_path / f"plane{number}", seed=number).folder for number in range(3)]
    cluster = DaskCluster(tmp_path, n_workers=1)
    try:
        cluster.start()
        reports = process_all(
            [Suite2pPlane(folder) for folder in folders],
            options,
            announce=lambda report: cluster.kill(),
            parallel=Parallel(scheduler=cluster.address),
        )
    finally:
        cluster.kill()
    lost = [report for report in reports if report.status == "failed"]
    assert reports[0].status == "done" and lost
    assert lost[0].message == (
        f"{lost[0].path}: the scheduler at {cluster.address} was lost and did not come back: run the same command again"
    )


def test_no_scheduler(tmp_path, random_model, capsys, monkeypatch):
    monkeypatch.setattr("cascade_adapters.running.executors.cluster.CONNECT_S", 1.0)
    make_plane(tmp_path / "plane0")
    with pytest.raises(SystemExit) as end:
        main(["run", str(tmp_path), "--scheduler", "tcp://127.0.0.1:9"])
    assert end.value.code == 1
    output = capsys.readouterr().err
    assert output.startswith("cascade: no Dask scheduler answers at tcp://127.0.0.1:9: ") and output.count("\n") == 1


def test_files_are_named_in_full(tmp_path, monkeypatch):
    """Not what only looks like one."""
    monkeypatch.chdir(tmp_path)
    for name in ("universal", "own", "frames.txt"):
        (tmp_path / name).mkdir()
    given = {"model": "own", "exclude_frames": "frames.txt", "sessions": "10,20", "series": "own"}
    expected = given | {"model": str(tmp_path / "own"), "exclude_frames": str(tmp_path / "frames.txt")}
    assert Parallel(scheduler="local").choices(given) == expected | {"existing": "update"}
    assert Parallel(scheduler="local").choices({"model": "universal", "existing": "skip"}) == {
        "model": "universal",
        "existing": "skip",
    }
    assert Parallel(2).choices(given) == given


def test_no_dask(tmp_path, monkeypatch):
    make_plane(tmp_path / "plane0")
    monkeypatch.setattr("cascade_adapters.running.executors.cluster.find_spec", lambda name: None)
    with pytest.raises(CascadeError, match=r"a Dask scheduler needs distributed, .*: pip install .distributed>="):
        cascade_adapters.run(tmp_path, scheduler="local")


def test_objects_in_memory_are_refused(random_model, cluster):
    with pytest.raises(InputError, match="in the memory of this process alone"):
        cascade_adapters.run(make_cnmf(frame_rate=30.0), model=random_model.folder, scheduler=cluster.address)


def local(data, *options):
    call = [sys.executable, "-m", "cascade_adapters", "run", data, "--scheduler", "local", "--jobs", "2", *options]
    return subprocess.Popen(
        call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heed_signals
    )


def test_a_cluster_of_this_computer(tmp_path, random_model):
    for number in range(2):
        make_plane(tmp_path / f"plane{number}", seed=number)
    process = local(tmp_path, "--model", random_model.folder)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0 and output.splitlines()[-1].startswith("2 done")
    assert "Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_cluster_of_this_computer_is_asked_to_end(number, tmp_path):
    for plane in range(2):
        make_plane(tmp_path / f"plane{plane}", 60, 40_000, seed=plane)
    before = hashes(tmp_path)
    process = local(tmp_path, "--quiet")
    until = time.monotonic() + 90
    while not list(tmp_path.glob("*/.cascade-spool-*")):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert errors.splitlines()[-1] == f"cascade: interrupted{'' if number == signal.SIGINT else ' by SIGTERM'}"
    assert hashes(tmp_path) == before
    with pytest.raises(ProcessLookupError):  # none is left of all that it has started
        while time.monotonic() < until + 60:
            os.killpg(process.pid, 0)
            time.sleep(0.1)
