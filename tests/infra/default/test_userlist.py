"""The other way of authentication: verifiers in userlist.txt, from the same declaration (PgBouncer 1.26.1 or later)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
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


def test_every_pooled_role_is_in_the_file_with_the_servers_own_verifier(node: Any, superuser: Any) -> None:
    pooled = {role["name"] for role in DECLARED.model["roles"] if "pooled" in role["endpoints"]}
    found = entries(node)
    assert set(found) == pooled | {"pgbouncer_stats"}
    for name in pooled:
        assert found[name] == superuser(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{name}'")


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


def test_changed_verifiers_reach_both_sides() -> None:
    """PgBouncer would go on logging in to the server with the keys of the old verifier."""
    deploy(*USERLIST, "-e", "postgresql_scram_iterations=5000", "-e", "pgbouncer_scram_iterations=5000")
    assert ask(APP["name"], "pooled", APP["database"], "SELECT 1") == [(1,)]
    deploy(*USERLIST)
    assert ask(APP["name"], "pooled", APP["database"], "SELECT 1") == [(1,)]


def test_a_verifier_set_by_hand_is_replaced_because_both_copies_must_be_one(superuser: Any, node: Any) -> None:
    secret = DECLARED.secrets[APP["secret"]]
    superuser(f"ALTER ROLE \"{APP['name']}\" PASSWORD '{secret}'")  # the same password with another salt
    assert playbook("site", *USERLIST)["changed"] == 1
    assert entries(node)[APP["name"]] == superuser(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{APP['name']}'")
    assert ask(APP["name"], "pooled", APP["database"], "SELECT 1") == [(1,)]
