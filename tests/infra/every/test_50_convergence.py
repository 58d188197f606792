"""A deploy changes what differs, repairs what drifted, reports what is not declared, and nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from conftest import DECLARED, Declared, ask, connect, deploy, playbook, verify_lines

APP, READONLY = DECLARED.role("app"), DECLARED.role("readonly")
DATABASE = APP["database"]
OWNER = next(db["owner"] for db in DECLARED.model["databases"] if db["name"] == DATABASE)


def unchanged() -> None:
    """A deploy finds nothing to do."""
    assert playbook("site")["changed"] == 0


def test_check_and_diff_on_the_deployed_node_change_nothing() -> None:
    run = playbook("site", "--check", "--diff")
    assert run["rc"] == 0
    assert run["changed"] == 0
    assert "+++ after" not in run["stdout"]


def test_verify_is_green_and_covers_every_login() -> None:
    lines = verify_lines()
    assert [line for line in lines if not line["ok"]] == []
    titles = {(line["area"], line["title"]) for line in lines}
    for role in DECLARED.model["roles"]:
        for endpoint in role["endpoints"]:
            assert any(area == f"role {role['name']}" and f"by the {endpoint} URL" in title for area, title in titles)


@pytest.mark.parametrize(
    "damage",
    [
        {
            f'ALTER ROLE "{APP["name"]}" CREATEROLE': "has no right beyond its kind",
            f'GRANT TEMPORARY ON DATABASE "{DATABASE}" TO PUBLIC': "cannot create, escalate or run programs",
            f'ALTER DATABASE "{DATABASE}" OWNER TO postgres': "has databases, roles and rights as declared",
            f'ALTER ROLE "{READONLY["name"]}" CONNECTION LIMIT 0': "logs in to",
        },
        {
            f"ALTER ROLE \"{APP['name']}\" PASSWORD 'somebody changed this'": "by the pooled URL",
            f'REVOKE CONNECT ON DATABASE "{DATABASE}" FROM "{APP["name"]}"': "has databases, roles and rights",
        },
    ],
    ids=["rights", "login"],
)
def test_drift_of_declared_things_is_seen_and_repaired(superuser: Any, damage: dict[str, str]) -> None:
    for statement in damage:
        superuser(statement)
    red = [item["title"] for item in verify_lines() if not item["ok"]]
    for line in damage.values():
        assert any(line in title for title in red), red
    assert playbook("site")["changed"] >= 1
    assert [item for item in verify_lines() if not item["ok"]] == []
    unchanged()


@pytest.fixture
def undeclared(superuser: Any) -> Iterator[list[str]]:
    """Things nobody declared."""
    extra = [
        "CREATE ROLE stranger LOGIN",
        "CREATE DATABASE orphan",
        f'GRANT "{OWNER}" TO stranger',
        f'ALTER ROLE "{APP["name"]}" SET geqo = off',
        f'GRANT TEMPORARY ON DATABASE "{DATABASE}" TO "{APP["name"]}"',
    ]
    for statement in extra:
        superuser(statement)
    superuser(f'SET ROLE "{OWNER}"; CREATE TABLE kept (id int); GRANT TRUNCATE ON kept TO "{APP["name"]}"', DATABASE)
    yield extra
    superuser("DROP TABLE IF EXISTS kept", DATABASE)
    superuser("DROP DATABASE IF EXISTS orphan")
    deploy("--prune")


def test_undeclared_things_are_reported_and_removed_only_when_asked(undeclared: list[str], superuser: Any) -> None:
    reported = deploy()
    text = reported.stderr
    for named in ("role stranger", "database orphan", "geqo = off", "TRUNCATE", "TEMPORARY"):
        assert named in text, text
    assert superuser("SELECT count(*) FROM pg_roles WHERE rolname = 'stranger'") == "1"
    listed = deploy("--prune", "--check")
    assert "role stranger" in listed.stderr
    assert superuser("SELECT count(*) FROM pg_roles WHERE rolname = 'stranger'") == "1"
    assert ask(APP["name"], "pooled", DATABASE, "SHOW geqo") == [("off",)]
    deploy("--prune")
    # A setting applies at login: the pooler replaced the server connections that still had the old one.
    assert ask(APP["name"], "pooled", DATABASE, "SHOW geqo") == [("on",)]
    assert superuser("SELECT count(*) FROM pg_roles WHERE rolname = 'stranger'") == "0"
    assert superuser(f"SELECT has_table_privilege('{APP['name']}', 'kept', 'TRUNCATE')", DATABASE) == "f"
    assert superuser(f"SELECT has_table_privilege('{APP['name']}', 'kept', 'SELECT')", DATABASE) == "t"
    assert superuser("SELECT count(*) FROM pg_database WHERE datname = 'orphan'") == "1"  # never a database
    assert superuser("SELECT count(*) FROM pg_class WHERE relname = 'kept'", DATABASE) == "1"  # nor a table


def test_a_verifier_of_the_same_password_is_no_change(superuser: Any, declared: Declared) -> None:
    before = superuser(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{APP['name']}'")
    secret = declared.secrets[APP["secret"]].replace("'", "''")
    superuser(f"ALTER ROLE \"{APP['name']}\" PASSWORD '{secret}'")  # another salt
    other = superuser(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{APP['name']}'")
    assert other != before
    unchanged()
    assert superuser(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{APP['name']}'") == other
    assert ask(APP["name"], "pooled", DATABASE, "SELECT 1") == [(1,)]


def test_files_changed_by_hand_come_back(node: Any) -> None:
    config = f"/etc/postgresql/{DECLARED.instance.replace('-', '/', 1)}"
    paths = [f"{config}/conf.d/10-pgstead.conf", f"{config}/pg_hba.conf", "/etc/pgbouncer/pgbouncer.ini"]
    for path in paths:
        assert node.run("sed -i '$a # by hand' %s", path).rc == 0
    red = [line["title"] for line in verify_lines() if not line["ok"]]
    assert red.count("has configuration files as declared") == 2
    assert playbook("site")["changed"] == 2
    assert all("# by hand" not in node.file(path).content_string for path in paths)
    unchanged()


def test_a_setting_that_needs_a_restart_waits_for_permission(superuser: Any, declared: Declared) -> None:
    started = superuser("SELECT pg_postmaster_start_time()")
    before = superuser("SHOW max_locks_per_transaction")
    settings = declared.get("postgresql_settings", {}) | {"max_locks_per_transaction": 96}
    override = json.dumps({"postgresql_settings": settings})
    waiting = deploy("-e", override)
    assert superuser("SELECT pg_postmaster_start_time()") == started
    assert superuser("SHOW max_locks_per_transaction") == before
    log = Path(waiting.stderr.split("full log: ")[1].strip()).read_text()
    assert "pending until a restart: max_locks_per_transaction" in log
    red = [line for line in verify_lines() if not line["ok"]]
    assert any(line["title"] == "waits for no restart" for line in red)
    deploy("-e", override, "--restart")
    assert superuser("SHOW max_locks_per_transaction") == "96"
    assert superuser("SELECT pg_postmaster_start_time()") != started
    deploy("--restart")
    assert superuser("SHOW max_locks_per_transaction") == before
    unchanged()


def test_alter_system_is_noticed(superuser: Any) -> None:
    superuser("ALTER SYSTEM SET work_mem = '1MB'")
    superuser("SELECT pg_reload_conf()")
    red = [line for line in verify_lines() if not line["ok"]]
    assert any(line["title"] == "runs the declared settings" and "work_mem" in line["found"] for line in red)
    superuser("ALTER SYSTEM RESET work_mem")
    superuser("SELECT pg_reload_conf()")
    assert [line for line in verify_lines() if not line["ok"]] == []


def test_a_role_dropped_by_hand_is_gone_from_the_pool_at_once_and_comes_back(superuser: Any) -> None:
    assert ask(APP["name"], "pooled", DATABASE, "SELECT 1") == [(1,)]
    superuser(f'ALTER ROLE "{APP["name"]}" NOLOGIN')
    with pytest.raises(psycopg2.OperationalError):
        connect(APP["name"], "pooled", DATABASE)
    superuser(f"ALTER ROLE \"{APP['name']}\" LOGIN VALID UNTIL '2001-01-01'")
    with pytest.raises(psycopg2.OperationalError):
        connect(APP["name"], "pooled", DATABASE)
    playbook("site")
    assert ask(APP["name"], "pooled", DATABASE, "SELECT 1") == [(1,)]
    unchanged()
