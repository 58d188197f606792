"""The server runs as declared."""

from __future__ import annotations

import re
from typing import Any

import psycopg2
import pytest
from conftest import DECLARED, Declared, ask, connect

from ansible_collections.pgstead.platform.plugins.module_utils import pooler
from ansible_collections.pgstead.platform.plugins.plugin_utils import model, tuning


def test_every_unit_of_the_node_is_healthy(node: Any, declared: Declared) -> None:
    assert node.run("systemctl is-system-running").stdout.strip() == "running"
    assert node.service(f"postgresql@{declared.instance}").is_running
    assert node.service("pgbouncer").is_running
    assert node.service("pgbouncer").is_enabled
    # postgresql-common starts instances at boot through postgresql.service
    assert node.service("postgresql").is_enabled


def test_version_is_the_declared_one(declared: Declared) -> None:
    role = declared.role("migrator")
    (number,) = ask(role["name"], "direct", role["database"], "SHOW server_version_num")[0]
    assert int(number) // 10000 == declared.version
    if minor := declared.get("postgresql_minor", ""):
        assert int(number) % 10000 == int(minor.partition(".")[2])


def test_checksums_encoding_and_password_scheme(superuser: Any) -> None:
    assert superuser("SHOW data_checksums") == "on"
    assert superuser("SHOW password_encryption") == "scram-sha-256"
    assert superuser("SELECT string_agg(DISTINCT pg_encoding_to_char(encoding), ',') FROM pg_database") == "UTF8"
    stored = superuser("SELECT DISTINCT split_part(rolpassword, '$', 1) FROM pg_authid WHERE rolpassword IS NOT NULL")
    assert stored == "SCRAM-SHA-256"


def test_running_settings_are_the_computed_and_the_declared_ones(superuser: Any, declared: Declared, node: Any) -> None:
    sizes = node.run("df -Pm /var/lib/postgresql | awk 'NR==2 {print $2}'")
    asked = declared.get("postgresql_settings", {})
    computed = tuning.compute(
        tuning.Node(
            memory_mb=declared.get("postgresql_memory_mb", 0),
            cores=declared.get("postgresql_cores", 0) or int(node.run("nproc").stdout),
            storage=declared.get("postgresql_storage", "ssd"),
            disk_mb=int(sizes.stdout),
            connections=tuning.max_connections(
                declared.get("postgresql_max_connections", 0), pooler.backend_demand(declared.model)
            ),
            version=declared.version,
        )
    )
    wanted = {item["name"]: item["value"] for item in computed} | {k: model.setting_text(v) for k, v in asked.items()}
    assert len(wanted) >= 15
    for name, value in wanted.items():
        assert amount(superuser(f"SHOW {name}")) == amount(value), name


UNITS = {"kB": 1024, "MB": 1024**2, "GB": 1024**3, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}


def amount(text: str) -> str | int:
    """A setting with its unit resolved, so that 64MB equals 65536kB; other values as they are."""
    match = re.fullmatch(r"(\d+)(kB|MB|GB|ms|s|min|h)?", text)
    return int(match[1]) * UNITS.get(match[2], 1) if match else text


def test_memory_is_never_promised_twice(superuser: Any, declared: Declared) -> None:
    shown = {
        name: int(amount(superuser(f"SHOW {name}")))
        for name in (
            "shared_buffers",
            "maintenance_work_mem",
            "autovacuum_work_mem",
            "work_mem",
            "autovacuum_max_workers",
            "hash_mem_multiplier",
            "max_connections",
        )
    }
    claimed = (
        shown["shared_buffers"]
        + shown["maintenance_work_mem"]
        + shown["autovacuum_max_workers"] * shown["autovacuum_work_mem"]
        + shown["hash_mem_multiplier"] * shown["work_mem"] * shown["max_connections"]
    )
    if "work_mem" not in declared.get("postgresql_settings", {}):  # then the sum is the user's
        assert claimed < declared.variables["postgresql_memory_mb"] * 1024**2


def test_listens_only_where_declared(node: Any, declared: Declared) -> None:
    listening = node.run("ss -Hltn").stdout
    for port in declared.ports.values():
        found = {line.split()[3].rsplit(":", 1)[0] for line in listening.splitlines() if f":{port} " in line}
        assert found == {"127.0.0.1", declared.address}


def test_the_superuser_has_no_way_in_over_tcp(declared: Declared, superuser: Any) -> None:
    assert superuser("SELECT count(*) FROM pg_authid WHERE rolsuper AND rolpassword IS NOT NULL") == "0"
    for database in [db["name"] for db in declared.model["databases"]] + ["postgres"]:
        for endpoint in ("direct", "pooled"):
            with pytest.raises(psycopg2.OperationalError):
                connect("postgres", endpoint, database, password="anything")


def test_plaintext_connections_are_refused(declared: Declared) -> None:
    for role in declared.model["roles"]:
        for endpoint in role["endpoints"]:
            database = role["database"] or declared.model["databases"][0]["name"]
            with pytest.raises(psycopg2.OperationalError):
                connect(role["name"], endpoint, database, sslmode="disable")


def test_hba_has_no_weak_method_and_no_open_network(superuser: Any) -> None:
    methods = superuser("SELECT string_agg(DISTINCT auth_method, ',' ORDER BY auth_method) FROM pg_hba_file_rules")
    assert set(methods.split(",")) <= {"peer", "scram-sha-256"}
    assert superuser("SELECT count(*) FROM pg_hba_file_rules WHERE address IN ('0.0.0.0', '::', 'all')") == "0"


def test_unnamed_roles_may_not_even_connect(superuser: Any) -> None:
    for database in (db["name"] for db in DECLARED.model["databases"]):
        assert superuser(f"SELECT has_database_privilege('pg_read_all_stats', '{database}', 'CONNECT')") == "f"
        assert superuser(f"SELECT has_database_privilege('pg_read_all_stats', '{database}', 'TEMPORARY')") == "f"
        assert superuser("SELECT has_schema_privilege('pg_read_all_stats', 'public', 'CREATE')", database) == "f"


def test_pgvector_finds_the_nearest(declared: Declared) -> None:
    for database in declared.model["databases"]:
        if not any(extension["name"] == "vector" for extension in database["extensions"]):
            continue
        role = next(r for r in declared.model["roles"] if r["kind"] == "app" and r["database"] == database["name"])
        query = (
            "SELECT i FROM (VALUES (1, '[1,0,0]'::vector), (2, '[0,1,0]'), (3, '[0.9,0.1,0]')) AS v (i, e)"
            " ORDER BY e <=> '[0,0.9,0.1]' LIMIT 1"
        )
        assert ask(role["name"], "pooled", database["name"], query) == [(2,)]
