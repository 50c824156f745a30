"""What a user expects of any good command: examples, options in groups, 'did you mean', completion."""

import os
import shlex
import subprocess
import sys

import click
import pytest
from click.shell_completion import ShellComplete

from cascade_adapters.cli.command import cascade
from cascade_adapters.cli.examples import EXAMPLES
from cascade_adapters.running.options import HEADINGS
from tests.builders.suite2p_folders import make_plane


def every_command(command=cascade, path=()):
    """Every command and group below one, by its names."""
    yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from every_command(command.get_command(context, name), (*path, name))


COMMANDS = dict(every_command())


def root_context(**how):
    """The context of the whole command, as it is when it runs: click remembers what it finds out from it."""
    return click.Context(cascade, info_name="cascade", **cascade.context_settings, **how)


def help_of(path):
    context = root_context(terminal_width=100)
    for name in path.split():
        context = click.Context(context.command.get_command(context, name), parent=context, info_name=name)
    return context.command.get_help(context)


def test_every_command_has_examples_and_no_other():
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_the_help_ends_with_examples_that_can_be_run(path, tmp_path, monkeypatch):
    text, examples = help_of(path), EXAMPLES[path]
    assert 2 <= len(examples) <= (4 if path else 6)
    shown = text.partition("\nExamples:\n")[2].splitlines()
    assert [line.strip().partition("  # ")[0].rstrip() for line in shown] == [line for line, _ in examples]
    assert all(len(line) <= 100 for line in shown)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("model_name: mine")
    for line, _ in examples:
        program, *words = shlex.split(line.partition(" > ")[0])
        command, context = cascade, root_context()
        while isinstance(command, click.Group):
            command = command.get_command(context, words.pop(0))
        assert program == "cascade" and command is not None
        if words != ["--help"]:
            command.make_context("x", words, parent=context)  # refuses what is wrong


@pytest.mark.parametrize("path", [path for path, command in COMMANDS.items() if not isinstance(command, click.Group)])
def test_options_stand_in_groups(path):
    command, text = COMMANDS[path], help_of(path)
    headings = [line.rstrip(":") for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert set(headings) <= {*HEADINGS.values(), "Other options", "Examples"}
    assert headings[-2:] == ["Other options", "Examples"]
    others = text.partition("\nOther options:\n")[2].partition("\nExamples:\n")[0]
    assert "--log FILE" in others and "--help" in others
    for option in command.params:
        if isinstance(option, click.Option):
            assert text.count(f"  {option.opts[0]}") >= 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rnu"], "there is no command 'rnu': did you mean run?"),
        (["ground_truth"], "there is no command 'ground_truth': did you mean ground-truth?"),
        (["models", "shwo"], "there is no command 'shwo': did you mean show?"),
        (["run", "x", "--kernel", "gausian"], "did you mean gaussian?"),
        (["run", "x", "--existing", "updat"], "did you mean update?"),
        (["run", "x", "--existing", "no"], "'no' is not one of"),
        (["convert", "x", "y", "--to", "nbw"], "did you mean nwb?"),
        (["benchmark", "universal", "--kernel", "casual"], "did you mean causal?"),
        (["run", "x", "--frame-rat", "3"], "--frame-rate"),
        (["run", "{plane}", "--model", "univrsal"], "there is no model univrsal: did you mean universal?"),
        (["models", "show", "unversal"], "there is no model unversal: did you mean universal?"),
        (["ground-truth", "show", "GCaMP6f-m-V1"], "did you mean DS09-GCaMP6f-m-V1 or "),
        (["run", "{plane}", "--indicator", "GCamp6d"], "did you mean GCaMP6"),
    ],
)
def test_did_you_mean(words, said, tmp_path, cascade):
    plane = make_plane(tmp_path / "plane0").folder
    status, _, err = cascade(*[word.format(plane=plane) for word in words])
    assert status in (1, 2) and said in err


class _Shell(ShellComplete):
    """Completion as a shell asks for it, without one."""

    name, source_template = "none", ""


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        ([], "in", ["inspect"]),
        (["run", "--model"], "", ["auto", "universal"]),
        (["run", "--model"], "UNI", ["universal"]),
        (["inspect", "--indicator"], "gcamp6", ["GCaMP6f", "GCaMP6s"]),
        (["run", "--existing"], "u", ["update"]),
        (["models", "show"], "u", ["universal"]),
        (["models", "verify"], "u", ["universal"]),
        (["train", "--transfer"], "u", ["universal"]),
        (["ground-truth", "show"], "ds0", [f"DS0{number}" for number in range(1, 10)]),
        (["ground-truth", "fetch", "DS01"], "DS29", ["DS29"]),
        (["benchmark"], "uni", ["universal"]),
        (["benchmark", "universal"], "DS29", ["DS29"]),
    ],
)
def test_completion(words, incomplete, expected):
    found = _Shell(cascade, {}, "cascade", "_CASCADE_COMPLETE").get_completions(words, incomplete)
    assert [item.value for item in found] == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells(shell):
    """As a shell calls it, without anything heavy being imported."""
    environment = {**os.environ, "COMP_WORDS": "cascade run --indicator jGCaMP8", "COMP_CWORD": "3"}
    if shell == "fish":
        environment["COMP_CWORD"] = "jGCaMP8"
    program = [sys.executable, "-X", "importtime", "-c", "from cascade_adapters.cli import main; main()"]

    def ask(what):
        environment["_CASCADE_COMPLETE"] = f"{shell}_{what}"
        return subprocess.run(program, env=environment, capture_output=True, text=True)

    assert "_CASCADE_COMPLETE" in ask("source").stdout
    done = ask("complete")
    assert done.returncode == 0
    for name in ("jGCaMP8f", "jGCaMP8m", "jGCaMP8s"):
        assert name in done.stdout
    for heavy in ("onnxruntime", "h5py", "scipy", "tensorflow"):
        assert f" {heavy}\n" not in done.stderr
