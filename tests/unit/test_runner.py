"""A playbook becomes progress, results and an exit code."""

from pathlib import Path
from typing import Any

import pytest

from pgstead import paths, runner
from pgstead.errors import Exit
from pgstead.explain import Failure


def failures(*codes: Exit) -> runner.Outcome:
    return runner.Outcome(failures=[Failure("db1", "task", "x", "", code) for code in codes])


@pytest.mark.parametrize(
    ("status", "outcome", "code"),
    [
        ("successful", runner.Outcome(), Exit.OK),
        ("failed", runner.Outcome(), Exit.FAILED),
        ("failed", failures(Exit.FAILED), Exit.FAILED),
        ("failed", failures(Exit.FAILED, Exit.UNREACHABLE), Exit.UNREACHABLE),
        ("failed", failures(Exit.LOCKED, Exit.UNREACHABLE), Exit.LOCKED),
        ("failed", failures(Exit.REFUSED, Exit.LOCKED, Exit.FAILED), Exit.REFUSED),
    ],
)
def test_of_several_failures_the_one_that_stops_a_user_first_decides(
    status: str, outcome: runner.Outcome, code: Exit
) -> None:
    assert runner._exit_code(status, outcome) is code


def test_the_vault_password_is_the_one_given_else_ansible_s_own_else_the_generated(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = home / "inventories/single"
    assert runner.vault_arguments(where, None) == []
    generated = home / ".pgstead/vault/single"
    generated.write_text("x")
    assert runner.vault_arguments(where, None) == ["--vault-password-file", str(generated)]
    assert runner.vault_arguments(where, Path("mine")) == ["--vault-password-file", "mine"]
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", "another")
    assert runner.vault_arguments(where, None) == []
    assert runner.vault_arguments(where, Path("mine")) == ["--vault-password-file", "mine"]


PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Change something
      ansible.builtin.debug: {msg: changed indeed}
      changed_when: true
    - name: Look
      ansible.builtin.debug: {msg: nothing new}
    - name: Stop
      ansible.builtin.fail: {msg: "No space left on device"}
      when: full | default(false) | bool
"""


@pytest.fixture
def where(home: Path) -> Path:
    """An inventory of this machine alone, and a playbook that asks nothing of it."""
    made = home / "inventories/here"
    made.mkdir()
    (made / "hosts.yml").write_text("all: {hosts: {db1: {ansible_connection: local}}}\n")
    (home / "playbooks/site.yml").write_text(PLAYBOOK)
    return made


def test_a_run_that_succeeds_counts_its_changes_and_logs_everything(where: Path, capsys: Any) -> None:
    outcome = runner.run("deploy", where, [])
    assert (outcome.exit_code, outcome.failures, outcome.changed) == (Exit.OK, [], {"db1": 1})
    assert "changed indeed" in outcome.log.read_text()
    assert outcome.log.stat().st_mode & 0o777 == 0o600


SITE_OF_THEIR_OWN = """\
- hosts: all
  gather_facts: false
  roles: [theirs]
  tasks:
    - ansible.builtin.import_role: {name: theirs}
    - import_role: name=their.collection.role
    - ansible.builtin.include_role: {name: "{{ 'theirs' }}"}
    - ansible.builtin.import_tasks: "{{ playbook_dir }}/more.yml"
- ansible.builtin.import_playbook: another.yml
"""


def test_a_playbook_may_have_roles_of_any_kind(home: Path, where: Path, capsys: Any) -> None:
    task = "- {ansible.builtin.debug: {msg: x}, changed_when: true}\n"
    books = home / "playbooks"
    (books / "site.yml").write_text(SITE_OF_THEIR_OWN)
    (books / "more.yml").write_text(task)
    (books / "another.yml").write_text(PLAYBOOK)
    for role in ("roles/theirs", "collections/ansible_collections/their/collection/roles/role"):
        (books / role / "tasks").mkdir(parents=True)
        (books / role / "tasks/main.yml").write_text(task)
    outcome = runner.run("deploy", where, [])
    assert (outcome.exit_code, outcome.failures, outcome.changed) == (Exit.OK, [], {"db1": 6})
    told, *done = filter(None, capsys.readouterr().err.splitlines())
    assert told == f"workspace {home}, content {paths.content()}"
    assert [line.split()[1] for line in done] == ["theirs", "role", "theirs"]


def test_a_run_that_fails_says_where_and_why(where: Path) -> None:
    outcome = runner.run("deploy", where, ["-e", "full=true"], quiet=True)
    (failure,) = outcome.failures
    assert (outcome.exit_code, failure.host, failure.task) == (Exit.FAILED, "db1", "Stop")
    assert failure.message == "the node's disk is full: No space left on device"
    assert outcome.changed == {"db1": 1}


def test_a_run_that_reached_no_host_is_no_success(where: Path) -> None:
    (where / "hosts.yml").write_text("all: {hosts: {}}\n")
    outcome = runner.run("deploy", where, [], quiet=True)
    assert outcome.exit_code is not Exit.OK
    assert outcome.failures


@pytest.mark.parametrize("name", ["hosts.yml", "group_vars/all.yml"])
def test_a_run_over_an_inventory_that_is_no_yaml_says_where(where: Path, name: str) -> None:
    (where / "group_vars").mkdir()
    (where / name).write_text("a: [\n")
    outcome = runner.run("deploy", where, [], quiet=True)
    assert outcome.exit_code is Exit.REFUSED
    assert f"{name}, line 2" in outcome.failures[0].message
