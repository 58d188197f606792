"""The command line as users call it: help, exit codes, and what is passed on to the playbooks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from pgstead import cli, runner
from pgstead.errors import CommandError, Exit, PgsteadError, RefusedError
from pgstead.explain import Failure


def verbs(command: click.Command = cli.root, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and every command of a group."""
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from verbs(inner, (*path, name))


@pytest.mark.parametrize("path", list(verbs()), ids=" ".join)
def test_every_verb_explains_itself_and_every_option_it_has(path: tuple[str, ...]) -> None:
    command: Any = cli.root
    for name in path:
        command = command.commands[name]
    done = CliRunner().invoke(cli.root, [*path, "--help"])
    assert done.exit_code == 0
    assert " ".join(command.help.split("\n")[0].split()) in " ".join(done.output.split())
    undescribed = [option.name for option in command.params if isinstance(option, click.Option) and not option.help]
    assert undescribed == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["deploy", "--nonsense"], "No such option"),
        (["deploy", "-i"], "requires an argument"),
        (["init"], "Missing argument 'NAME'"),
        (["completion", "tcsh"], "'tcsh' is not one of"),
        (["deploy", "--vault-password-file", "/does/not/exist"], "does not exist"),
        (["mirror", "build", "out", "--postgresql", "14"], "14 is not in the range"),
    ],
)
def test_a_wrong_command_line_is_usage_and_says_why(run: Any, arguments: list[str], said: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (Exit.USAGE, "")
    assert said in err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(run: Any, shell: str) -> None:
    code, out, _ = run("completion", shell)
    assert code == 0
    assert "_PGSTEAD_COMPLETE" in out


def raises(monkeypatch: pytest.MonkeyPatch, problem: BaseException) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise problem

    monkeypatch.setattr(runner, "run", fail)


@pytest.mark.parametrize(
    ("problem", "code", "said"),
    [
        (RefusedError("no [bold]", "do this"), 3, "error: no [bold]\nnext: do this\n"),
        (PgsteadError("broken"), 1, "error: broken\n"),
        (
            CommandError(["a", "b", "c", "d", "secret"], 7, "x\n" * 20),
            1,
            "error: `a b c d` exited with 7:\n" + "x\n" * 8,
        ),
        (KeyboardInterrupt(), 130, "interrupted: what a node was just doing it may still finish"),
        (click.Abort(), 130, "interrupted: what a node was just doing it may still finish"),
    ],
    ids=["refused", "failed", "a program failed", "Ctrl-C", "end of input"],
)
def test_an_error_is_told_in_its_own_words_with_its_exit_code(
    home: Path, monkeypatch: pytest.MonkeyPatch, run: Any, problem: BaseException, code: int, said: str
) -> None:
    raises(monkeypatch, problem)
    got, _, err = run("deploy", "-i", "single")
    assert got == code
    assert err.lstrip().startswith(said)
    assert "Traceback" not in err


def test_a_bug_is_told_without_traceback_and_kept_in_a_log(
    home: Path, monkeypatch: pytest.MonkeyPatch, run: Any
) -> None:
    raises(monkeypatch, ZeroDivisionError("by nothing"))
    code, _, err = run("deploy", "-i", "single")
    (log,) = (home / ".pgstead/logs").glob("*-crash.log")
    assert code == 1
    assert str(log) in err
    assert "by nothing" not in err
    assert "ZeroDivisionError: by nothing" in log.read_text()


# ---- which inventory --------------------------------------------------------------------------------------


def test_an_unknown_inventory_is_refused_and_those_that_exist_are_named(home: Path, run: Any) -> None:
    code, _, err = run("deploy", "-i", "prod")
    assert code == Exit.REFUSED
    assert "there is no inventory 'prod'" in err
    assert "here are: single" in err


@pytest.fixture
def passed(home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a verb passes on to its playbook; `outcome` is what comes back."""
    seen: dict[str, Any] = {"outcome": runner.Outcome()}

    def take(verb: str, where: Path, extra: list[str], **other: Any) -> runner.Outcome:
        seen.update(verb=verb, where=where, extra=extra, **other)
        outcome: runner.Outcome = seen["outcome"]
        return outcome

    monkeypatch.setattr(runner, "run", take)
    return seen


def test_the_only_inventory_with_secrets_needs_no_name(home: Path, passed: dict[str, Any], run: Any) -> None:
    code, _, err = run("deploy")
    assert code == Exit.REFUSED
    assert "your inventories: none" in err
    (home / "inventories/single/group_vars/all/vault.yml").touch()
    assert run("deploy")[0] == Exit.OK
    assert passed["where"] == home / "inventories/single"
    (home / "inventories/other/group_vars/all").mkdir(parents=True)
    (home / "inventories/other/group_vars/all/vault.yml").touch()
    code, _, err = run("deploy")
    assert code == Exit.REFUSED
    assert "your inventories: other, single" in err


# ---- what is passed on ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        ([], []),
        (["--check"], ["--check", "--diff"]),
        (["--diff"], ["--diff"]),
        (["--prune"], ["-e", '{"postgresql_prune": true}']),
        (["--restart"], ["-e", '{"postgresql_restart": true}']),
        (["-t", "postgresql"], ["--tags", "postgresql"]),
        (["-l", "db1", "-e", "a=1", "-e", "b=x y", "-vv"], ["--limit", "db1", "-e", "a=1", "-e", "b=x y", "-vv"]),
    ],
)
def test_deploy_adds_only_what_is_asked_for(
    passed: dict[str, Any], run: Any, arguments: list[str], extra: list[str]
) -> None:
    assert run("deploy", "-i", "single", *arguments)[0] == 0
    assert (passed["verb"], passed["extra"]) == ("deploy", extra)


PROBLEMS = (("databases[0].pool.size", "-1", "write a number from 1"),)


@pytest.mark.parametrize("code", [Exit.FAILED, Exit.REFUSED, Exit.UNREACHABLE, Exit.LOCKED])
def test_a_failed_run_exits_with_its_code_and_tells_what_to_do(passed: dict[str, Any], run: Any, code: Exit) -> None:
    failure = Failure("db1", "preflight: check", "1 problem [found]", "correct it", code, PROBLEMS)
    passed["outcome"] = runner.Outcome(exit_code=code, failures=[failure], warnings=["role x is not declared"])
    got, _, err = run("deploy", "-i", "single")
    assert got == code
    for text in (
        "failed: db1: preflight: check",
        "1 problem [found]",
        *PROBLEMS[0],
        "next: correct it",
        "note: role x",
    ):
        assert text in err
    assert "done:" not in err


def checklist(*oks: bool) -> runner.Outcome:
    lines = [{"area": "server", "title": f"line {i}", "ok": ok, "found": "x", "fix": "y"} for i, ok in enumerate(oks)]
    return runner.Outcome(
        results={"db1": {"checklist": lines, "urls": [{"database": "shop", "name": "DATABASE_URL", "url": "u"}]}}
    )


NO_ANSWER = runner.Outcome(exit_code=Exit.UNREACHABLE, failures=[Failure("db1", "ping", "gone", "", Exit.UNREACHABLE)])


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (checklist(True, True), Exit.OK),
        (checklist(True, False), Exit.FAILED),
        (runner.Outcome(), Exit.FAILED),
        (NO_ANSWER, Exit.UNREACHABLE),
    ],
    ids=["all green", "one red", "nothing asked", "no answer"],
)
def test_verify_is_content_only_when_every_line_holds(
    passed: dict[str, Any], run: Any, outcome: runner.Outcome, code: Exit
) -> None:
    passed["outcome"] = outcome
    assert run("verify", "-i", "single")[0] == code
    got, out, _ = run("verify", "-i", "single", "--json")
    assert got == code
    assert json.loads(out)["ok"] is (code == Exit.OK)


def test_verify_shows_every_line_and_the_way_out_of_red_ones(passed: dict[str, Any], run: Any) -> None:
    passed["outcome"] = checklist(True, False)
    _, _, err = run("verify", "-i", "single")
    for text in ("line 0", "line 1", "-> y", "1 lines do not hold", "DATABASE_URL=u"):
        assert text in err
