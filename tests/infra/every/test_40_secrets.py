"""No secret in any log, process list, or file that others can read."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conftest import DECLARED, HOME, INVENTORY, PASSWORD_FILE, Declared, pgstead, playbook


class ProcessWatch(threading.Thread):
    """Collects the command lines and environments of every process, on the node and on this machine."""

    def __init__(self, node: str) -> None:
        super().__init__(daemon=True)
        self.node, self.seen, self.rounds, self.stopped = node, "", 0, threading.Event()

    def run(self) -> None:
        # Processes may be gone before they are read; how many rounds were read is asserted.
        script = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | sort -u"
        while not self.stopped.is_set():
            inside = subprocess.run(
                ["docker", "exec", self.node, "sh", "-c", script], capture_output=True, text=True, check=False
            )
            outside = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
            self.seen += inside.stdout + outside.stdout
            self.rounds += 1


def leaks(text: str, declared: Declared) -> list[str]:
    """Names of secrets that stand in a text."""
    return [name for name, value in declared.secrets.items() if value in text]


def test_a_verbose_deploy_that_sets_every_password_tells_none(node: Any, declared: Declared, superuser: Any) -> None:
    # Every password is reset, so that the run has to transport and apply each of them.
    for role in declared.model["roles"]:
        if role["login"]:
            superuser(f'ALTER ROLE "{role["name"]}" PASSWORD NULL')
    watch = ProcessWatch(declared.variables["ansible_host"])
    watch.start()
    # As with an ansible.cfg of the user's own: modules write what they were called with into the node's journal.
    run = playbook("site", "-vvv", "--diff", ANSIBLE_NO_TARGET_SYSLOG="0")
    watch.stopped.set()
    watch.join()
    assert run["rc"] == 0, run["stdout"][-2000:]
    assert "the declared password" in run["stdout"]
    assert watch.rounds > 3
    assert leaks(run["stdout"], declared) == []
    assert "SCRAM-SHA-256$" not in run["stdout"]
    assert leaks(watch.seen, declared) == []
    assert "Invoked with" in node.run("journalctl -q -o cat --since -5min").stdout
    again = playbook("site", "-vvv")
    assert again["changed"] == 0
    assert leaks(again["stdout"], declared) == []


def texts(value: Any) -> Iterator[str]:
    """Every text in a module's arguments."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    else:
        yield str(value)


def given(name: str, file: Path, declared: Declared) -> dict[str, set[str]]:
    """Names of the secrets that modules get from a playbook, by module."""
    folder = Path(__file__).parent / "callback"
    run = playbook(name, ANSIBLE_CALLBACK_PLUGINS=str(folder), MODULE_ARGUMENTS=str(file))
    assert run["rc"] == 0, run["stdout"][-2000:]
    found: dict[str, set[str]] = {}
    for module, arguments in map(json.loads, file.read_text().splitlines()):
        names = found.setdefault(module.rpartition(".")[2], set())
        names.update(leaks("\n".join(texts(arguments)), declared))
    assert len(found) > 4
    return {module: names for module, names in found.items() if names}


def test_modules_get_the_passwords_they_log_in_with_and_no_other_secret(declared: Declared, tmp_path: Path) -> None:
    def first(kind: str, key: str) -> set[str]:
        """Of each database that has this key, the first role of the kind."""
        names = [database["name"] for database in declared.model["databases"] if database[key]]
        roles = [role for role in declared.model["roles"] if role["kind"] == kind]
        return {next(role["secret"] for role in roles if role["database"] == name) for name in names}

    everybody = {role["secret"] for role in declared.model["roles"] if role["login"]}
    deploy = {"schema": first("migrator", "schema_project"), "tenancy": first("migrator", "tenancy")}
    for name, wanted in {"site": deploy, "verify": {"checks": everybody}}.items():
        assert given(name, tmp_path / name, declared) == {module: names for module, names in wanted.items() if names}


def test_verify_and_url_mask_them(declared: Declared) -> None:
    for arguments in (("verify", "-i", str(INVENTORY), "-vvv"), ("url", "-i", str(INVENTORY), "-vvv")):
        done = pgstead(*arguments)
        assert leaks(done.stdout + done.stderr, declared) == []


def test_the_logs_of_the_cli_hold_none(declared: Declared) -> None:
    logs = list((HOME / ".pgstead" / "logs").glob("*.log"))
    assert logs
    assert leaks("".join(log.read_text(errors="replace") for log in logs), declared) == []


def test_no_file_on_the_node_holds_one(node: Any, declared: Declared) -> None:
    patterns = "\n".join(declared.secrets.values())
    found = subprocess.run(
        [
            "docker",
            "exec",
            "-i",
            declared.variables["ansible_host"],
            "grep",
            "-rlIsF",
            "-f",
            "-",
            "/etc",
            "/var",
            "/root",
            "/home",
            "/tmp",
            "/run",
            "/usr/local",
            "/opt",
            "/srv",
        ],
        input=patterns,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""
    assert found.returncode == 1  # grep's own word for: nothing


def test_the_journal_holds_none(node: Any, declared: Declared) -> None:
    journal = node.run("journalctl -q -o cat").stdout + node.run("cat /var/log/postgresql/*.log").stdout
    assert len(journal) > 1000
    assert leaks(journal, declared) == []
    assert "SCRAM-SHA-256$" not in journal


def test_verifiers_are_readable_by_who_needs_them_alone(node: Any) -> None:
    for path in ("/etc/pgbouncer/userlist.txt", "/etc/pgbouncer/pgbouncer.ini", "/etc/pgbouncer/hba.conf"):
        file = node.file(path)
        assert (file.user, file.group, file.mode) == ("root", "pgbouncer", 0o640)
    file = node.file("/etc/pgbouncer/verifiers.txt")
    assert (file.user, file.group, file.mode) == ("root", "postgres", 0o640)
    hba = node.file(f"/etc/postgresql/{DECLARED.instance.replace('-', '/', 1)}/pg_hba.conf")
    assert (hba.user, hba.mode) == ("postgres", 0o640)


def test_the_vault_and_its_password_are_the_owners_alone(declared: Declared) -> None:
    assert PASSWORD_FILE.stat().st_mode & 0o077 == 0
    vault = INVENTORY / "group_vars/all/vault.yml"
    assert vault.read_text().startswith("$ANSIBLE_VAULT;")
    assert leaks(vault.read_text(), declared) == []
    ignored = subprocess.run(["git", "-c", "safe.directory=*", "check-ignore", "-q", vault], cwd=HOME, check=False)
    assert ignored.returncode == 0
    assert os.environ["MOLECULE_SCENARIO_NAME"]
