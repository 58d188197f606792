"""What the running pooler reports is what was declared, and what was not declared is not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg2
import pytest
from conftest import DECLARED, Declared, ask, connect

from ansible_collections.pgstead.platform.plugins.module_utils import pooler

APP = DECLARED.role("app")
DATABASE = APP["database"]
POOL = next(db["pool"] for db in DECLARED.model["databases"] if db["name"] == DATABASE)


@pytest.fixture(scope="session")
def config(console: Any) -> dict[str, str]:
    return {row["key"]: row["value"] for row in console("SHOW CONFIG")}


def test_configuration_is_the_declared_one(config: dict[str, str], declared: Declared) -> None:
    assert config["max_client_conn"] == str(declared.get("pgbouncer_max_client_conn", 1000))
    assert config["listen_port"] == str(declared.ports["pooled"])
    assert config["pool_mode"] == "transaction"
    assert config["auth_type"] == "hba"
    assert config["client_tls_sslmode"] == "require"
    assert config["query_wait_timeout"] == str(declared.get("pgbouncer_query_wait_timeout", 120))
    assert config["reserve_pool_timeout"] == str(declared.get("pgbouncer_reserve_timeout", 3))
    assert config["admin_users"] == ""
    for name, value in declared.get("pgbouncer_settings", {}).items():
        assert config[name] == str(value)
    if "max_prepared_statements" in config:  # since 1.22
        assert config["max_prepared_statements"] == str(declared.get("pgbouncer_max_prepared_statements", 200))


def test_both_parameters_that_guard_each_other_are_ignored_together(config: dict[str, str]) -> None:
    # CVE-2026-107349: extra_float_digits without options lets anybody spin the process
    assert set(config["ignore_startup_parameters"].replace(" ", "").split(",")) == {"extra_float_digits", "options"}


def test_databases_are_the_declared_ones(console: Any, declared: Declared) -> None:
    served = {row["name"]: row for row in console("SHOW DATABASES")}
    pooled = pooler.pooled_databases(declared.model)
    assert served.keys() - {"pgbouncer", "pgbouncer_lookup"} == {database["name"] for database in pooled}
    for database in pooled:
        row, pool = served[database["name"]], database["pool"]
        assert row["pool_mode"] == pool["mode"]
        assert row["pool_size"] == str(pool["size"])
        assert row.get("reserve_pool_size", row.get("reserve_pool")) == str(pool["reserve"])
        assert row["max_connections"] == str(pool["size"] + pool["reserve"])
        assert row["host"] == "/var/run/postgresql"
        assert row["port"] == str(declared.ports["direct"])


def test_limits_fit_the_declared_clients(node: Any, declared: Declared) -> None:
    limit = int(node.check_output("systemctl show -P LimitNOFILE pgbouncer"))
    assert limit >= declared.get("pgbouncer_max_client_conn", 1000) + pooler.backend_demand(declared.model)


def test_runs_as_a_user_that_is_not_the_superuser(node: Any, superuser: Any) -> None:
    assert node.process.get(comm="pgbouncer").user == "pgbouncer"
    found = superuser("SELECT rolsuper, rolcanlogin, rolpassword IS NULL FROM pg_authid WHERE rolname = 'pgbouncer'")
    assert found == "f|t|t"
    as_superuser = node.run(
        "runuser -u pgbouncer -- psql -h /var/run/postgresql -p %s -U postgres -d postgres -c 'SELECT 1'",
        str(DECLARED.ports["direct"]),
    )
    assert as_superuser.rc != 0
    assert "Peer authentication failed" in as_superuser.stderr


def test_server_connections_come_over_the_unix_socket() -> None:
    address = "SELECT inet_client_addr() IS NULL"
    assert ask(APP["name"], "pooled", DATABASE, address) == [(True,)]


def test_the_poolers_user_comes_in_as_pooled_roles_alone_and_nobody_else_does(node: Any) -> None:
    def come(user: str, role: str) -> str:
        """What psql says of a login over the socket without a password."""
        psql = "runuser -u %s -- psql -Xwh /var/run/postgresql -p %s -U %s -d %s -c 'SELECT 1'"
        return str(node.run(psql, user, str(DECLARED.ports["direct"]), role, DATABASE).stderr)

    assert come("pgbouncer", APP["name"]) == ""
    assert "Peer authentication failed" in come("nobody", APP["name"])
    assert "no password supplied" in come("pgbouncer", DECLARED.role("migrator")["name"])


@contextmanager
def two_clients() -> Iterator[tuple[Any, Any]]:
    with ExitStack() as stack:
        one, two = (stack.enter_context(closing(connect(APP["name"], "pooled", DATABASE))) for _ in range(2))
        yield one, two


def test_transaction_mode_shares_a_server_connection_between_clients() -> None:
    assert POOL["mode"] == "transaction", "the first database of every scenario is"
    with two_clients() as (one, two):
        pids = set()
        for connection in (one, two, one, two):
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                pids.add(cursor.fetchone()[0])
        assert len(pids) == 1


def test_a_transaction_keeps_its_server_connection_to_itself() -> None:
    with two_clients() as (one, two):
        with one.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT pg_backend_pid()")
            first = cursor.fetchone()[0]
        with two.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            assert cursor.fetchone()[0] != first


def test_as_many_clients_as_declared_share_the_pool_and_one_more_is_refused(declared: Declared, superuser: Any) -> None:
    clients = declared.get("pgbouncer_max_client_conn", 1000)
    if APP["connection_limit"] > 0:
        assert APP["connection_limit"] >= POOL["size"] + POOL["reserve"]
    with ExitStack() as stack:
        held = [stack.enter_context(closing(connect(APP["name"], "pooled", DATABASE))) for _ in range(clients)]
        for connection in held:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                assert cursor.fetchone() == (1,)
        servers = superuser(
            f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{APP['name']}' AND datname = '{DATABASE}'"
        )
        assert 1 <= int(servers) <= POOL["size"] + POOL["reserve"]
        with pytest.raises(psycopg2.OperationalError, match="no more connections allowed"):
            connect(APP["name"], "pooled", DATABASE)


def test_statistics_for_the_statistics_role_on_the_node_alone(node: Any, declared: Declared) -> None:
    def as_stats(command: str, host: str) -> Any:
        return node.run(
            "PGPASSWORD=%s PGSSLMODE=require psql -XAt -h %s -p %s -U pgbouncer_stats pgbouncer -c %s",
            declared.secrets["pgbouncer_stats"],
            host,
            str(declared.ports["pooled"]),
            command,
        )

    assert as_stats("SHOW POOLS", "127.0.0.1").rc == 0
    denied = as_stats("RELOAD", "127.0.0.1")
    assert denied.rc != 0
    assert "admin access needed" in denied.stderr
    with pytest.raises(psycopg2.OperationalError):
        connect("pgbouncer_stats", "pooled", "pgbouncer")


def test_no_client_reaches_the_console_or_the_lookup(declared: Declared) -> None:
    for role in declared.model["roles"]:
        for database in ("pgbouncer", "pgbouncer_lookup", "postgres"):
            if role["login"]:
                with pytest.raises(psycopg2.OperationalError):
                    connect(role["name"], "pooled", database)


def test_the_lookup_tells_verifiers_to_the_pooler_alone(superuser: Any, console: Any) -> None:
    central = any(row["name"] == "pgbouncer_lookup" for row in console("SHOW DATABASES"))
    database = "postgres" if central else DATABASE
    lookup = "SELECT count(*) FROM pgbouncer.lookup('{}')"
    as_pooler = "SET SESSION AUTHORIZATION pgbouncer; "
    assert superuser(as_pooler + lookup.format(APP["name"]), database) == "1"
    for hidden in ("postgres", "pgbouncer", "nobody-at-all", DECLARED.model["databases"][0]["owner"]):
        assert superuser(as_pooler + lookup.format(hidden), database) == "0"
    for name in (role["name"] for role in DECLARED.model["roles"]):
        allowed = f"SELECT has_function_privilege('{name}', 'pgbouncer.lookup(text)', 'EXECUTE')"
        assert superuser(allowed, database) == "f"


def test_the_auth_file_holds_no_plaintext_and_no_app_role(node: Any, declared: Declared) -> None:
    content = node.file("/etc/pgbouncer/userlist.txt").content_string
    entries = dict(line.replace('"', "").split(" ", 1) for line in content.splitlines() if line.startswith('"'))
    assert set(entries) == {"pgbouncer_stats"}
    assert all(value.startswith("SCRAM-SHA-256$") for value in entries.values())
    assert not any(secret in content for secret in declared.secrets.values())


def test_protocol_level_prepared_statements_work(node: Any, declared: Declared, config: dict[str, str]) -> None:
    if "max_prepared_statements" not in config:
        # Before 1.22 the pooler cannot carry them; that it says so is what its users need to see.
        assert declared.variables["sandbox_image"] == "debian-12"
        return
    done = node.run(
        "echo 'SELECT 1;' > /root/one.sql && PGPASSWORD=%s PGSSLMODE=require"
        " pgbench -n -M prepared -f /root/one.sql -c 40 -j 40 -t 25 -h %s -p %s -U %s %s",
        declared.secrets[APP["secret"]],
        declared.address,
        str(declared.ports["pooled"]),
        APP["name"],
        DATABASE,
    )
    assert "number of transactions actually processed: 1000/1000" in done.stdout, done.stderr
