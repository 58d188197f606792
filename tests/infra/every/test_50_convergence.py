"""A deploy changes what differs, repairs what drifted, reports what is not declared, and nothing else."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from conftest import DECLARED, Declared, ask, connect, deploy, playbook, verify_lines

from ansible_collections.pgstead.platform.plugins.module_utils import login

APP, READONLY, MIGRATOR = (DECLARED.role(kind) for kind in ("app", "readonly", "migrator"))
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


def test_verify_answers_whatever_it_meets(superuser: Any) -> None:
    """An extension outside of the search_path, and a database of somebody else because the owner is gone."""
    superuser('CREATE SCHEMA "odd Place"; ALTER EXTENSION vector SET SCHEMA "odd Place"', DATABASE)
    superuser(f'ALTER ROLE "{OWNER}" RENAME TO elsewhere')
    try:
        ok = {(line["area"], line["title"]): line["ok"] for line in verify_lines()}
    finally:
        superuser(f'ALTER ROLE elsewhere RENAME TO "{OWNER}"')
        superuser('ALTER EXTENSION vector SET SCHEMA public; DROP SCHEMA "odd Place"', DATABASE)
    assert ok[f"database {DATABASE}", "has vector, and it computes"]
    assert ok[f"role {APP['name']}", "has no right beyond its kind"]
    assert not ok["server", "has databases, roles and rights as declared"]


def test_verify_sends_the_node_passwords_to_log_in_with_and_no_other_secret(node: Any, declared: Declared) -> None:
    playbook("verify", ANSIBLE_KEEP_REMOTE_FILES="1", ANSIBLE_PIPELINING="0")
    modules = node.run("cat /root/.ansible/tmp/*/AnsiballZ_checks.py").stdout
    node.run("rm -r /root/.ansible/tmp")
    calls = [line for line in modules.splitlines() if line.startswith("params=")]
    secrets = {role["secret"] for role in declared.model["roles"] if role["login"]}
    assert len(calls) == 2  # of the server and of the pooler
    for sent in calls:
        arguments = json.loads(ast.literal_eval(sent.removeprefix("params=").rstrip(",")))["ANSIBLE_MODULE_ARGS"]
        assert arguments["passwords"] == {name: declared.secrets[name] for name in secrets}


@pytest.fixture
def undeclared(superuser: Any) -> Iterator[None]:
    """Things nobody declared, and rights where one does not look for them."""
    app, readonly = APP["name"], READONLY["name"]
    for statement in (
        "CREATE ROLE stranger LOGIN",
        "CREATE DATABASE orphan",
        f'GRANT "{OWNER}" TO stranger WITH ADMIN OPTION',
        f'SET ROLE stranger; GRANT "{OWNER}" TO "{MIGRATOR["name"]}" WITH INHERIT TRUE',
        f'ALTER DATABASE "{DATABASE}" SET geqo = off',
        f'GRANT TEMPORARY ON DATABASE "{DATABASE}" TO "{app}"',
        f'GRANT SET ON PARAMETER log_statement TO "{readonly}"',
    ):
        superuser(statement)
    inside = f"""
        SET ROLE "{OWNER}";
        CREATE TABLE kept (id int, n int GENERATED ALWAYS AS IDENTITY);
        GRANT TRUNCATE ON kept TO "{app}";
        GRANT INSERT ON kept TO PUBLIC;
        GRANT UPDATE (id) ON kept TO "{readonly}";
        GRANT SELECT ON SEQUENCE kept_n_seq TO "{readonly}";
        ALTER DEFAULT PRIVILEGES GRANT TRUNCATE ON TABLES TO "{readonly}";
        RESET ROLE;
        CREATE SCHEMA hidden;
        CREATE TABLE hidden.secret ();
        GRANT ALL ON SCHEMA hidden TO "{readonly}";
        GRANT ALL ON hidden.secret TO "{readonly}";
        ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA hidden GRANT ALL ON TABLES TO "{readonly}";
    """
    superuser(inside, DATABASE)
    yield
    superuser("DROP TABLE IF EXISTS kept", DATABASE)
    superuser("DROP SCHEMA IF EXISTS hidden CASCADE", DATABASE)
    superuser("DROP DATABASE IF EXISTS orphan")
    deploy("--prune")


# What the undeclared rights allow the readonly role.
MISDEEDS = (
    "INSERT INTO public.kept VALUES (1)",
    "UPDATE public.kept SET id = 1",
    "SELECT last_value FROM public.kept_n_seq",
    "DELETE FROM hidden.secret",
    "CREATE TABLE hidden.more ()",
    "SET LOCAL log_statement = 'none'",
)


def refusals() -> list[bool]:
    """Which of these are denied, each tried in a transaction that may write and is rolled back."""
    endpoint = READONLY["endpoints"][-1]
    with closing(connect(READONLY["name"], endpoint, DATABASE)) as connection:
        return [login.refusal(connection, statement) == login.DENIED for statement in MISDEEDS]


def test_undeclared_things_are_reported_and_removed_only_when_asked(undeclared: None, superuser: Any) -> None:
    app, readonly = APP["name"], READONLY["name"]
    inherits = f"SELECT pg_has_role('{MIGRATOR['name']}', '{OWNER}', 'USAGE')"
    assert superuser(inherits) == "t"
    reported = deploy().stderr.partition("not declared, left as it is")[2]
    # What a declared membership may is declared, whoever granted it.
    assert superuser(inherits) == "f"
    named = (
        "role stranger",
        "database orphan",
        "geqo = off",
        "TEMPORARY",
        "TRUNCATE on public.kept",
        "rights of PUBLIC on 1 table of schema public: INSERT on public.kept",
        "UPDATE (id) on public.kept",
        "SELECT on public.kept_n_seq",
        f"CREATE for {readonly}",
        f"rights of {readonly} on 1 table of schema hidden",
        f"rights on future tables of database {DATABASE}: TRUNCATE for {readonly}",
        f"schema {DATABASE}.hidden, made by postgres",
        f"rights on setting log_statement: SET for {readonly}",
    )
    assert [text for text in named if text not in reported] == [], reported
    assert " pgbouncer" not in reported  # a service's own rights
    red = {line["title"] for line in verify_lines() if not line["ok"]}
    assert "has nothing that is not declared" in red
    assert "has databases, roles and rights as declared" not in red
    assert superuser("SELECT count(*) FROM pg_roles WHERE rolname = 'stranger'") == "1"
    assert not any(refusals())
    listed = deploy("--prune", "--check")
    assert "role stranger" in listed.stderr
    assert superuser("SELECT count(*) FROM pg_roles WHERE rolname = 'stranger'") == "1"
    assert ask(app, "pooled", DATABASE, "SHOW geqo") == [("off",)]
    deploy("--prune")
    assert all(refusals())
    # A setting applies at login: the pooler replaced the server connections that still had the old one.
    assert ask(app, "pooled", DATABASE, "SHOW geqo") == [("on",)]
    assert superuser("SELECT count(*) FROM pg_roles WHERE rolname = 'stranger'") == "0"
    assert superuser(f"SELECT has_table_privilege('{app}', 'kept', 'TRUNCATE')", DATABASE) == "f"
    assert superuser(f"SELECT has_table_privilege('{app}', 'kept', 'SELECT')", DATABASE) == "t"
    assert superuser("SELECT count(*) FROM pg_database WHERE datname = 'orphan'") == "1"  # never a database
    assert superuser("SELECT count(*) FROM pg_class WHERE relname IN ('kept', 'secret')", DATABASE) == "2"  # nor tables
    future = f"SELECT has_table_privilege('{readonly}', 'later', 'TRUNCATE')"
    assert superuser(f'SET ROLE "{OWNER}"; CREATE TABLE later (); {future}; DROP TABLE later', DATABASE) == "f"


def test_a_verifier_of_the_same_password_is_no_change_unless_it_is_weaker(superuser: Any, declared: Declared) -> None:
    stored = f"SELECT rolpassword FROM pg_authid WHERE rolname = '{MIGRATOR['name']}'"
    before = superuser(stored)
    secret = declared.secrets[MIGRATOR["secret"]].replace("'", "''")
    iterations = declared.get("postgresql_scram_iterations", 4096)

    def salted_anew(count: int) -> str:
        superuser(f"SET scram_iterations = {count}; ALTER ROLE \"{MIGRATOR['name']}\" PASSWORD '{secret}'")
        return str(superuser(stored))

    assert f"${iterations - 1}:" in salted_anew(iterations - 1)
    assert playbook("site")["changed"] >= 1
    assert superuser(stored) == before
    other = salted_anew(iterations + 1)
    assert other != before
    unchanged()
    assert superuser(stored) == other
    assert ask(MIGRATOR["name"], "direct", DATABASE, "SELECT 1") == [(1,)]


def test_files_changed_by_hand_come_back(node: Any) -> None:
    config = f"/etc/postgresql/{DECLARED.instance.replace('-', '/', 1)}"
    paths = [f"{config}/conf.d/10-pgstead.conf", f"{config}/pg_hba.conf", "/etc/pgbouncer/pgbouncer.ini"]
    for path in paths:
        assert node.run("sed -i '$a # by hand' %s", path).rc == 0
    red = [line["title"] for line in verify_lines() if not line["ok"]]
    assert red.count("has configuration files as declared") == 2
    assert "has read its configuration files" in red  # as after a deploy that was broken off before the reload
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
