"""The other way of authentication: verifiers in userlist.txt, from the same declaration (PgBouncer 1.26.1 or later)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from conftest import DECLARED, Declared, ask, connect, deploy, playbook

APP = DECLARED.role("app")
USERLIST = ("-e", "pgbouncer_auth=userlist")


@pytest.fixture(scope="module", autouse=True)
def userlist(node: Any) -> Iterator[None]:
    assert node.package("pgbouncer").version >= "1.26.1", "the sandbox's mirror carries a current PgBouncer"
    # The pooler knows the role from lookups when it finds it in the file.
    assert ask(APP["name"], "pooled", APP["database"], "SELECT 1") == [(1,)]
    deploy(*USERLIST)
    yield
    deploy()
    assert ask(APP["name"], "pooled", APP["database"], "SELECT 1") == [(1,)]


def entries(node: Any) -> dict[str, str]:
    content = node.file("/etc/pgbouncer/userlist.txt").content_string
    return dict(line.replace('"', "").split(" ", 1) for line in content.splitlines() if line.startswith('"'))


def test_every_pooled_role_is_in_the_file_and_nowhere_else(node: Any) -> None:
    pooled = {role["name"] for role in DECLARED.model["roles"] if "pooled" in role["endpoints"]}
    assert set(entries(node)) == pooled | {"pgbouncer_stats"}
    assert "SCRAM-SHA-256$" not in node.file("/etc/pgbouncer/verifiers.txt").content_string


def test_logins_work_and_wrong_ones_do_not() -> None:
    assert ask(APP["name"], "pooled", APP["database"], "SELECT session_user::text") == [(APP["name"],)]
    with pytest.raises(psycopg2.OperationalError):
        connect(APP["name"], "pooled", APP["database"], password="not the password")
    with pytest.raises(psycopg2.OperationalError):
        connect(DECLARED.role("migrator")["name"], "pooled", APP["database"])


def test_a_second_deploy_changes_nothing_and_verify_is_green() -> None:
    assert playbook("site", *USERLIST)["changed"] == 0
    assert playbook("verify", *USERLIST)["rc"] == 0


def test_a_removed_role_is_really_gone(node: Any, declared: Declared) -> None:
    """PgBouncer remembers a user whom a reload no longer finds in the file: only a restart forgets it."""
    databases = json.loads(json.dumps(declared.variables["databases"]))
    gone = next(role for role in databases[0]["roles"] if role.get("kind") == "readonly")["name"]
    assert ask(gone, "pooled", APP["database"], "SELECT 1") == [(1,)]
    databases[0]["roles"] = [role for role in databases[0]["roles"] if role["name"] != gone]
    deploy(*USERLIST, "--prune", "-e", json.dumps({"databases": databases}))
    assert gone not in entries(node)
    users = node.check_output(
        "runuser -u pgbouncer -- psql -XAt -h /run/pgbouncer -p 6432 -U pgbouncer pgbouncer -c 'SHOW USERS'"
    )
    assert gone not in users
    with pytest.raises(psycopg2.OperationalError):
        connect(gone, "pooled", APP["database"])
    deploy(*USERLIST)
    assert ask(gone, "pooled", APP["database"], "SELECT 1") == [(1,)]


def test_a_changed_verifier_counts_without_a_restart_and_a_role_cannot_change_its_own(node: Any) -> None:
    before = node.check_output("systemctl show -P InvocationID pgbouncer")
    deploy(*USERLIST, "-e", "pgbouncer_scram_iterations=5000")
    assert "$5000:" in entries(node)[APP["name"]]
    ask(APP["name"], "pooled", APP["database"], f"ALTER ROLE \"{APP['name']}\" PASSWORD 'mine'")
    assert ask(APP["name"], "pooled", APP["database"], "SELECT 1") == [(1,)]
    with pytest.raises(psycopg2.OperationalError):
        connect(APP["name"], "pooled", APP["database"], password="mine")
    deploy(*USERLIST)
    assert ask(APP["name"], "pooled", APP["database"], "SELECT 1") == [(1,)]
    assert node.check_output("systemctl show -P InvocationID pgbouncer") == before
