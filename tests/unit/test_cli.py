"""The command line as users call it: help, exit codes, and what is passed on to the playbooks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
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
        (["tenant", "add", "-i", "single", "--set", "name"], "'name' is not COLUMN=VALUE"),
        (["tenant", "show"], "Missing argument 'KEY'"),
        (["tune", "vectors", "--threshold", "0"], "0 is not in the range"),
        (["tune", "vectors", "--opclass", "cosine"], "'cosine' is not one of"),
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
    assert "are: single; --workspace DIR" in err


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
    assert f"your inventories in {home}: none" in err
    (home / "inventories/single/group_vars/all/vault.yml").touch()
    assert run("deploy")[0] == Exit.OK
    assert passed["where"] == home / "inventories/single"
    (home / "inventories/other/group_vars/all").mkdir(parents=True)
    (home / "inventories/other/group_vars/all/vault.yml").touch()
    code, _, err = run("deploy")
    assert code == Exit.REFUSED
    assert f"your inventories in {home}: other, single" in err


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


def test_a_deploy_that_ends_with_a_red_checklist_is_not_done(passed: dict[str, Any], run: Any) -> None:
    """A site.yml of the user's may import pgstead's verify."""
    passed["outcome"] = checklist(True, False)
    passed["outcome"].exit_code = Exit.FAILED
    got, _, err = run("deploy", "-i", "single")
    assert got == Exit.FAILED
    assert "lines of the checklist do not hold: pgstead verify -i single shows them" in err and "done:" not in err


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


# ---- tenants and vectors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "variables", "further"),
    [
        (["list"], {"tenant_action": "list"}, []),
        (["list", "--database", "shop", "-l", "db1"], {"tenant_action": "list", "tenant_database": "shop"}, []),
        (["show", "7"], {"tenant_action": "show", "tenant_key": "7"}, []),
        (
            ["add", "--set", 'name={{ x }}="y"\\ 😀', "--set", "city=", "--key", "7", "--check"],
            {"tenant_action": "add", "tenant_key": "7", "tenant_values": {"name": '{{ x }}="y"\\ 😀', "city": ""}},
            ["--check"],
        ),
    ],
)
def test_what_people_say_of_tenants_reaches_the_playbook_as_data(
    passed: dict[str, Any], run: Any, arguments: list[str], variables: dict[str, Any], further: list[str]
) -> None:
    assert run("tenant", *arguments, "-i", "single")[0] == 0
    assert passed["verb"] == "tenant"
    told = passed["extra"][passed["extra"].index("-e") + 1]
    tagged = yaml.load(told, Loader=Unsafe)  # noqa: S506 - a SafeLoader
    assert tagged == variables
    assert told.count("!unsafe") == sum(len(v) if isinstance(v, dict) else 1 for v in variables.values())
    assert passed["extra"][passed["extra"].index("-e") + 2 :] == further


class Unsafe(yaml.SafeLoader):
    """Reads texts that Ansible is told not to take for templates."""


Unsafe.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))  # type: ignore[no-untyped-call,arg-type]


def reported(**report: Any) -> runner.Outcome:
    about = {"database": "shop", "table": "public.shops", "key": "id"}
    return runner.Outcome(results={"db1": {"report": about | report}})


def test_a_new_tenants_key_is_all_that_stdout_has(passed: dict[str, Any], run: Any) -> None:
    passed["outcome"] = reported(tenant={"id": 7, "name": "North", "note": "x" * 50})
    code, out, err = run("tenant", "add", "-i", "single", "--set", "name=North")
    assert (code, out) == (Exit.OK, "7\n")
    assert "North" in err and "x" * 39 + "…" in err
    assert run("tenant", "add", "-i", "single", "--check")[1] == ""
    assert json.loads(run("tenant", "add", "-i", "single", "--json")[1])["hosts"]["db1"]["tenant"]["id"] == 7


def test_tenants_are_listed_and_shown(passed: dict[str, Any], run: Any) -> None:
    passed["outcome"] = reported(columns=["id", "name"], tenants=[{"id": 7, "name": None}, {"id": 8, "name": "[b]"}])
    _, out, err = run("tenant", "list", "-i", "single")
    assert out == "" and "[b]" in err
    assert json.loads(run("tenant", "list", "-i", "single", "--json")[1])["ok"] is True
    passed["outcome"] = reported(tenant={"id": 7}, rows={"public.deals": 12})
    assert "public.deals" in run("tenant", "show", "7", "-i", "single")[2]


def test_a_refusal_is_told_and_is_no_json_success(passed: dict[str, Any], run: Any) -> None:
    failure = Failure("db1", "tenants", "no column nmae", "did you mean name?", Exit.REFUSED)
    passed["outcome"] = runner.Outcome(exit_code=Exit.REFUSED, failures=[failure])
    code, out, err = run("tenant", "add", "-i", "single", "--json")
    assert code == Exit.REFUSED
    assert json.loads(out)["ok"] is False
    assert "next: did you mean name?" in err


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        ([], []),
        (["--apply", "--check"], ["-e", '{"tune_apply": true}', "--check"]),
        (
            ["--database", "shop", "--threshold", "9", "--opclass", "vector_l2_ops"],
            ["-e", "tune_database=shop", "-e", "tune_threshold=9", "-e", "tune_opclass=vector_l2_ops"],
        ),
    ],
)
def test_tune_passes_on_what_is_asked_for(
    passed: dict[str, Any], run: Any, arguments: list[str], extra: list[str]
) -> None:
    assert run("tune", "vectors", "-i", "single", *arguments)[0] == 0
    assert (passed["verb"], passed["extra"]) == ("tune", extra)


@pytest.mark.parametrize(
    ("options", "word"), [([], "to do:"), (["--apply"], "done:"), (["--apply", "--check"], "to do:")]
)
def test_tune_shows_what_fits_and_says_whether_it_was_done(
    passed: dict[str, Any], run: Any, options: list[str], word: str
) -> None:
    column = {
        "database": "shop", "table": "notes", "column": "embedding", "type": "vector", "rows": 9000, "largest": 8000,
        "parts": [{"indexes": [{"name": "old", "method": "ivfflat"}]}], "fits": "hnsw", "why": "8000 rows",
        "notes": ["old is ivfflat"],
    }  # fmt: skip
    report = {"columns": [column], "notes": ["off for app"], "statements": ["CREATE INDEX x"]}
    passed["outcome"] = runner.Outcome(results={"db1": {"report": report}})
    _, out, err = run("tune", "vectors", "-i", "single", *options)
    assert out == ""
    for text in (
        "old (ivfflat)",
        "hnsw: 8000 rows",
        "note: old is ivfflat",
        "note: off for app",
        f"{word} CREATE INDEX x",
    ):
        assert text in err
