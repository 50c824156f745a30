"""A command that is asked to end leaves nothing behind, says so in one line, and nobody else's signals are changed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from cascade_adapters.cli import main
from cascade_adapters.safe_writing import interruption
from cascade_adapters.safe_writing.interruption import Interrupted, end_if_asked, held_back, taking_signals
from tests.builders.killing import heed_signals
from tests.builders.suite2p_folders import hashes, make_plane

if os.name != "posix":
    pytest.skip("signals of POSIX", allow_module_level=True)

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def command(arguments, temporary, preexec_fn=heed_signals):
    environment = {**os.environ, "TMPDIR": str(temporary)}
    call = [sys.executable, "-m", "cascade_adapters", *map(str, arguments)]
    return subprocess.Popen(
        call, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment, text=True, preexec_fn=preexec_fn
    )


def end_when_there(process, folder, pattern, number):
    """Send a signal as soon as the command has begun to write."""
    until = time.monotonic() + 60
    while process.poll() is None and not any(folder.glob(pattern)):
        assert time.monotonic() < until
        time.sleep(0.002)
    process.send_signal(number)
    _, output = process.communicate(timeout=60)
    return output


@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_run_that_is_asked_to_end_leaves_nothing(number, threads, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    plane = make_plane(tmp_path / "plane0", 60, 6000).folder
    before = hashes(plane)
    process = command(["run", plane, "--quiet", "--replace-spks", "--threads", threads], temporary)
    output = end_when_there(process, plane, ".cascade-spool-*", number)
    assert process.returncode == STATUS[number]
    name = "" if number == signal.SIGINT else f" by {number.name}"
    assert output == f"cascade: interrupted{name}\n"
    assert hashes(plane) == before
    assert [path.name for path in plane.glob(".*")] == []
    assert list(temporary.glob("cascade*")) == []


@pytest.mark.parametrize("target", ["out.npz", "out", "out.nwb"])
def test_a_conversion_that_is_asked_to_end_leaves_nothing(target, tmp_path):
    if target == "out.nwb":
        pytest.importorskip("pynwb")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    plane = make_plane(tmp_path / "plane0", 200, 6000).folder
    start = ["--session-start-time", "2024-05-17T12:30:00Z"] if target == "out.nwb" else []
    process = command(["convert", plane, tmp_path / target, *start], temporary)
    output = end_when_there(process, tmp_path, ".*cascade-part", signal.SIGTERM)
    assert (process.returncode, output) == (143, "cascade: interrupted by SIGTERM\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plane0", "temporary"]
    assert list(temporary.glob("cascade*")) == []


@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
def test_while_it_is_still_importing(number, tmp_path):
    """An import that takes its time, and makes an error of its own of every exception."""
    (tmp_path / "numpy.py").write_text(
        "import time, pathlib\npathlib.Path('begun').touch()\ntry:\n    time.sleep(60)\nexcept BaseException:\n"
        "    raise ImportError('broken')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    code = "import sys; sys.path.insert(0, sys.argv.pop()); from cascade_adapters.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", ".", str(tmp_path)],
        stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment, preexec_fn=heed_signals,
    )  # fmt: skip
    output = end_when_there(process, tmp_path, "begun", number)
    assert process.returncode == STATUS[number]
    assert output.count("\n") == 1 and output.startswith("cascade: interrupted")


def test_a_signal_that_is_ignored_stays_ignored(tmp_path):
    """As by ``nohup``."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    plane = make_plane(tmp_path / "plane0", 20, 3000).folder
    process = command(
        ["run", plane, "--quiet"], temporary, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    assert end_when_there(process, plane, ".cascade-spool-*", signal.SIGHUP) == ""
    assert process.returncode == 0 and (plane / "cascade.json").exists()


def handlers():
    return {number: signal.getsignal(number) for number in STATUS}


def test_importing_and_using_the_package_changes_no_signal(tmp_path):
    code = (
        "import signal; before = [signal.getsignal(n) for n in (1, 2, 15)]\n"
        "import cascade_adapters, cascade_engine, cascade_adapters.cli.command, sys\n"
        "cascade_adapters.run(sys.argv[1])\n"
        "assert before == [signal.getsignal(n) for n in (1, 2, 15)]"
    )
    plane = make_plane(tmp_path / "plane0").folder
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(plane)], check=True)
    before = handlers()
    main(["inspect", str(plane)])
    assert handlers() == before


def test_a_signal_is_held_back_until_the_block_ends():
    before, done = handlers(), []
    with pytest.raises(Interrupted), taking_signals() as taken:
        taken.is_starting = False
        with held_back():
            with held_back():
                os.kill(os.getpid(), signal.SIGTERM)
                done.append(1)
            done.append(2)
        done.append(3)
    assert done == [1, 2] and taken.status == 143
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_that_a_library_swallows_ends_the_command_later():
    before = handlers()
    with pytest.raises(Interrupted), taking_signals() as taken:
        taken.is_starting = False
        with pytest.raises(ImportError):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(1)
            except Interrupted:
                raise ImportError("broken") from None
        with held_back():
            pass  # what is cleaned up meanwhile is not interrupted again
        os.kill(os.getpid(), signal.SIGHUP)  # nor by another
        end_if_asked()
    assert taken.received == signal.SIGTERM
    for number, handler in before.items():
        signal.signal(number, handler)
    assert interruption._current is None
