"""Programs run quietly, are logged whole, and fail loudly."""

import sys
from pathlib import Path

import pytest

from pgstead import command
from pgstead.errors import CommandError, Exit

TALK = (sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(int(sys.argv[1]))")


@pytest.fixture
def steps(home: Path) -> command.Steps:
    return command.Steps("test")


def test_a_step_shows_its_title_and_logs_what_its_programs_said(
    steps: command.Steps, capsys: pytest.CaptureFixture[str]
) -> None:
    with steps.step("Making it"):
        output = steps.run(*TALK, "0")
    steps.say("made")
    log, shown = steps.log.read_text(), capsys.readouterr().err
    assert sorted(output.split()) == ["err", "out"]
    assert log.startswith(f"== Making it\n$ {sys.executable} -c ")
    assert log.endswith("-- made\n")
    assert "✓ Making it" in shown
    assert "made" in shown
    assert "err" not in shown


def test_a_step_that_fails_says_where_it_stopped(steps: command.Steps, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError) as failed, steps.step("Making it"):
        steps.run(*TALK, "3", hint="try again")
    shown = capsys.readouterr().err
    assert "✗ Making it" in shown
    assert str(steps.log) in shown
    assert (failed.value.returncode, failed.value.hint, failed.value.exit_code) == (3, "try again", Exit.FAILED)
    assert "exited with 3" in str(failed.value)
    assert "err" in steps.log.read_text()


def test_input_and_environment_reach_the_program(steps: command.Steps) -> None:
    script = "import os, sys; print(sys.stdin.read() + os.environ['GIVEN'])"
    assert steps.run(sys.executable, "-c", script, stdin=b"in ", env={"GIVEN": "too"}) == "in too\n"


def test_whether_a_program_succeeds() -> None:
    assert command.succeeds(*TALK, "0")
    assert not command.succeeds(*TALK, "1")
    assert not command.succeeds("no-program-has-this-name")
    assert not command.succeeds(sys.executable, "-c", "input()", timeout=0)


def test_the_output_of_a_program_that_only_reads_is_its_stdout() -> None:
    assert command.output_of(*TALK, "0") == "out\n"
    with pytest.raises(CommandError, match="exited with 2:\nerr"):
        command.output_of(*TALK, "2")
