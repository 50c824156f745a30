"""A name of a published model stands for a smoothing and a kernel: every command uses both."""

import json

import pytest

from cascade_adapters.cli import main
from tests.builders.suite2p_folders import make_plane

NAME = "Global_EXC_30Hz_smoothing200ms_causalkernel"

#: The same, said with options.
OPTIONS = ["--model", "universal", "--smoothing", "0.2", "--kernel", "causal"]


@pytest.fixture(scope="module")
def ground_truth(tmp_path_factory):
    """A dataset of our own."""
    root = tmp_path_factory.mktemp("truth")
    main(["ground-truth", "simulate", str(root / "mine"), "--neurons", "2", "--minutes", "1"])
    return root


def test_benchmark_measures_what_the_name_says(ground_truth, tmp_path, capsys):
    def benchmark(*arguments):
        capsys.readouterr()
        main(["benchmark", *arguments, "--ground-truth", str(ground_truth), "--noise-level", "3"])
        header, _, *lines = capsys.readouterr().out.splitlines()
        return header.partition(" at ")[2], lines

    named = benchmark(NAME, "mine", "--table", str(tmp_path / "scores.csv"))
    spelt_out = benchmark("universal", "mine", "--frame-rate", "30", "--smoothing", "0.2", "--kernel", "causal")
    assert named[0] == spelt_out[0] == "30Hz_200ms_causal_noise3"
    assert named[1][:2] == spelt_out[1][:2]  # the same scores
    usual = benchmark("universal", "mine")
    assert usual[0] == "30Hz_50ms_noise3" and usual[1][:2] != named[1][:2]
    assert named[0] in (tmp_path / "scores.csv").read_text()
    own_choice = benchmark(NAME, "mine", "--kernel", "gaussian", "--smoothing", "0.05")
    assert own_choice == usual  # options count more than the name


@pytest.mark.parametrize("kernel", ["gaussian", "causal"])
def test_every_command_expects_the_same(tmp_path, capsys, kernel):
    """A causal kernel of 200 ms was not measured: nothing is expected of it."""
    name = NAME if kernel == "causal" else NAME.removesuffix("_causalkernel")
    options = [*OPTIONS[:-1], kernel]
    plane = str(make_plane(tmp_path / "plane0").folder)

    def report(*arguments):
        capsys.readouterr()
        main([*arguments, "--json"])
        (found,) = json.loads(capsys.readouterr().out)
        return found["settings"], found["expected"]

    again = ["--existing", "overwrite"]
    told = [
        report(*command, plane, *model)
        for model in (["--model", name], options)
        for command in (["inspect"], ["run", "--dry-run", *again], ["run", *again])
    ]
    settings, expected = told[0]
    assert (settings["smoothing"], settings["kernel"]) == (0.2, kernel)
    assert all(each == (settings, expected) for each in told)
    usual = report("inspect", plane)
    assert usual[1]["smoothing_s"] == 0.05
    if kernel == "causal":
        assert expected is None
    else:
        assert expected["smoothing_s"] == 0.2 and usual[1]["correlation"] < expected["correlation"]
    record = json.loads((tmp_path / "plane0" / "cascade.json").read_text())
    assert record["expected"] == expected


@pytest.mark.parametrize(
    ("name", "is_told"),
    [("Global_8.5Hz_100ms_causalkernel", True), ("Global_EXC_25Hz_smoothing100ms", False), (NAME, False)],
)
def test_the_frame_rate_of_a_name_is_compared(tmp_path, capsys, name, is_told):
    """The recording has 30 Hz; a name that says 25 Hz is near enough."""
    plane = str(make_plane(tmp_path / "plane0").folder)
    for command in (["inspect"], ["run"]):
        capsys.readouterr()
        main([*command, plane, "--model", name, "--json"])
        (found,) = json.loads(capsys.readouterr().out)
        told = [text for text in found["warnings"] if "the frame rate is 30 Hz" in text]
        assert len(told) == is_told
        assert not is_told or f"{name} is for 8.5 Hz, but" in told[0]
